"""What a result is to look like as a file: format, quality, metadata policy."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.operations import canonical_value


class Format(StrEnum):
    """The image formats that can be read; all but SVG can also be written."""

    JPEG = "jpeg"
    PNG = "png"
    GIF = "gif"
    WEBP = "webp"
    AVIF = "avif"
    TIFF = "tiff"
    BMP = "bmp"
    ICO = "ico"
    SVG = "svg"

    @property
    def media_type(self) -> str:
        """The IANA media type."""
        return MEDIA_TYPES[self]

    @property
    def extension(self) -> str:
        """The usual file name extension, without the dot."""
        return "jpg" if self is Format.JPEG else self.value

    @property
    def holds_alpha(self) -> bool:
        """Whether a file of this format can hold transparency as we write it."""
        return self not in (Format.JPEG, Format.BMP)

    @property
    def holds_animation(self) -> bool:
        """Whether we can write more than one frame."""
        return self in (Format.GIF, Format.WEBP)


MEDIA_TYPES = {
    Format.JPEG: "image/jpeg", Format.PNG: "image/png", Format.GIF: "image/gif", Format.WEBP: "image/webp",
    Format.AVIF: "image/avif", Format.TIFF: "image/tiff", Format.BMP: "image/bmp",
    Format.ICO: "image/vnd.microsoft.icon", Format.SVG: "image/svg+xml",
}  # fmt: skip


class Target(StrEnum):
    """What format a plan asks for: one format, or a rule that the render worker settles on seeing the picture."""

    JPEG = "jpeg"
    PNG = "png"
    GIF = "gif"
    WEBP = "webp"
    AVIF = "avif"
    TIFF = "tiff"
    BMP = "bmp"
    ICO = "ico"
    SOURCE = "source"
    """The original's own format (SVG becomes PNG)."""
    PLAIN = "plain"
    """What every browser reads: GIF when animated, PNG when there is transparency, JPEG otherwise."""

    @property
    def known_format(self) -> Format | None:
        """The format, where it is known before the picture is seen."""
        return None if self in (Target.SOURCE, Target.PLAIN) else Format(self.value)


class Metadata(StrEnum):
    """What of the original's metadata a result keeps. Orientation is always consumed, GPS never kept."""

    NONE = "none"
    COPYRIGHT = "copyright"
    """Artist, copyright and the like; nothing else."""


class ColourPolicy(StrEnum):
    """What happens to the colours."""

    SRGB = "srgb"
    """Converted to sRGB; no profile is attached."""
    KEEP = "keep"
    """Kept in the original's RGB or grey profile, which is attached; CMYK becomes sRGB all the same."""


class Animation(StrEnum):
    """What happens to an animated original."""

    KEEP = "keep"
    """All frames, where the target format can hold them; the first frame otherwise."""
    FIRST = "first"
    """The first frame only."""


class Truncated(StrEnum):
    """What happens to an original that ends too early."""

    REFUSE = "refuse"
    """An error: a half picture would be cached for a year."""
    RENDER = "render"
    """What is there is rendered, the rest is grey."""


@dataclass(frozen=True, slots=True)
class Output:
    """How a result is written. `quality` and `effort` None mean the format's default."""

    target: Target = Target.SOURCE
    quality: int | None = None
    progressive: bool = False
    lossless: bool = False
    effort: int | None = None
    background: Colour = Colour.WHITE
    metadata: Metadata = Metadata.NONE
    colour: ColourPolicy = ColourPolicy.SRGB
    animation: Animation = Animation.KEEP
    truncated: Truncated = Truncated.REFUSE
    animated: Target | None = None
    """The target for a picture with several frames that are kept, where it differs. A negotiated AVIF has one: we write
    one frame into an AVIF, and an animation must not stand still because the browser is a modern one."""

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise InvalidCommand(f"quality must be 1 to 100, got {self.quality}")
        if self.effort is not None and not 0 <= self.effort <= 9:
            raise InvalidCommand(f"effort must be 0 to 9, got {self.effort}")

    def target_for(self, frames: int) -> Target:
        """The target for an original of so many frames."""
        keeps = frames > 1 and self.animation is Animation.KEEP
        return self.animated if keeps and self.animated is not None else self.target

    def canonical(self) -> str:
        """The one spelling of this output; every field that is not at its default, the target always."""
        parts = [f"target={self.target.value}"]
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value != field.default:
                parts.append(f"{field.name}={canonical_value(value)}")
        return f"output({','.join(parts)})"

"""What a result is to look like as a file: format, quality, metadata policy."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from proxy.errors import InvalidCommand
from proxy.plan.animation import OverBudget
from proxy.plan.colour import Colour
from proxy.plan.operations import canonical_value


class Format(StrEnum):
    """The image formats that can be read; all but HEIC, SVG and PDF can also be written."""

    JPEG = "jpeg"
    PNG = "png"
    GIF = "gif"
    WEBP = "webp"
    AVIF = "avif"
    TIFF = "tiff"
    BMP = "bmp"
    ICO = "ico"
    JXL = "jxl"
    HEIC = "heic"
    SVG = "svg"
    PDF = "pdf"

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
    Format.ICO: "image/vnd.microsoft.icon", Format.JXL: "image/jxl", Format.HEIC: "image/heic",
    Format.SVG: "image/svg+xml", Format.PDF: "application/pdf",
}  # fmt: skip


REPORT_TYPE = "application/json"
"""The media type of a result that is no picture."""


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
    JXL = "jxl"
    SOURCE = "source"
    """The original's own format (SVG becomes PNG; HEIC and PDF become JPEG, or PNG if there is transparency)."""
    PLAIN = "plain"
    """What every browser reads: GIF when animated, PNG when there is transparency, JPEG otherwise."""
    FAMILIAR = "familiar"
    """The original's own format; JPEG where browsers do not all read that (TIFF, AVIF, JPEG XL), PNG for SVG."""

    @property
    def known_format(self) -> Format | None:
        """The format, where it is known before the picture is seen."""
        return None if self in (Target.SOURCE, Target.PLAIN, Target.FAMILIAR) else Format(self.value)


class Answer(StrEnum):
    """What a result is: the picture, or a JSON report about it in the shape of one vendor."""

    PICTURE = "picture"
    QINIU_INFO = "qiniu-info"
    TENCENT_INFO = "tencent-info"
    ALIYUN_INFO = "aliyun-info"
    HUAWEI_INFO = "huawei-info"
    UPYUN_INFO = "upyun-info"
    UPYUN_META = "upyun-meta"
    UPYUN_COLOURS = "upyun-colours"
    """The picture's most frequent colours, at most `entries`, as `#RRGGBB`."""
    UPYUN_COLOURS_DECIMAL = "upyun-colours-decimal"
    """The same as numbers."""
    EXIF = "exif"
    """Every EXIF field with its text and type (Qiniu, Tencent)."""
    INFO = "info"
    """Our own: format, sizes, frames, EXIF without what is private, colours, hashes, faces, codes."""
    BLURHASH = "blurhash"
    THUMBHASH = "thumbhash"
    PALETTE = "palette"
    """The dominant colour, the average, and the most frequent ones."""
    PHASH = "phash"
    """Two perceptual hashes of 64 bits."""
    BARCODES = "barcodes"
    AVERAGE = "average"
    """The average colour."""


OWN_REPORTS = (Answer.INFO, Answer.BLURHASH, Answer.THUMBHASH, Answer.PALETTE, Answer.PHASH, Answer.BARCODES)
"""Reports that are cached like pictures."""
VENDOR_REPORTS = tuple(answer for answer in Answer if answer not in (Answer.PICTURE, *OWN_REPORTS))


class QualityRule(StrEnum):
    """How the quality asked for is to be understood, next to that of the original."""

    EXACT = "exact"
    """As it is."""
    CORRECTED = "corrected"
    """Of a JPEG, at most what the original's quality is worth at the new size (Qiniu)."""
    AT_MOST = "at-most"
    """Of a JPEG, at most the original's quality (Tencent, Aliyun `Q`)."""
    AT_LEAST = "at-least"
    """Of a JPEG, the original's quality, but not below (Tencent `lq`)."""
    RELATIVE = "relative"
    """A percentage of the original's quality (Tencent `rq`, Aliyun `q`)."""


class OverLimit(StrEnum):
    """What happens when a result has more bytes than its limit."""

    LOWER_QUALITY = "lower-quality"
    """JPEG only: the quality goes down until it fits, or cannot go lower."""
    OR_ORIGINAL = "or-original"
    """The same for every lossy format; if it still does not fit, the answer is the original."""
    SMALLER = "smaller"
    """The smaller one of result and original."""
    FIT = "fit"
    """Every lossy format: the highest quality that fits; the lowest of all if none does."""


SOURCE_BYTES = -1
"""As a limit: the size of the original."""


class Metadata(StrEnum):
    """What of the original's metadata a result keeps. Orientation is always consumed, GPS never kept."""

    NONE = "none"
    COPYRIGHT = "copyright"
    """Artist, copyright and the like; nothing else."""


class ColourPolicy(StrEnum):
    """What happens to the colours."""

    SRGB = "srgb"
    """Converted to sRGB; no profile is attached."""
    P3 = "p3"
    """Converted to Display P3, whose profile is attached; sRGB in a format that holds no profile."""
    KEEP = "keep"
    """Kept in the original's RGB or grey profile, which is attached; CMYK becomes sRGB all the same."""


class Animation(StrEnum):
    """What happens to an animated original."""

    KEEP = "keep"
    """All frames, where the target format can hold them; the first frame otherwise."""
    FIRST = "first"
    """The first frame only."""


class Orientation(StrEnum):
    """What happens to an EXIF orientation that no operation has consumed."""

    DROP = "drop"
    KEEP = "keep"
    """It is written into the result, so that it is shown as the original is."""


class OnError(StrEnum):
    """What the answer is when the original cannot be rendered as asked."""

    REFUSE = "refuse"
    ORIGINAL = "original"
    """The original's own bytes, with status 200."""


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
    quality_rule: QualityRule = QualityRule.EXACT
    palette: int | None = None
    """Most colours of a GIF or PNG."""
    density: int | None = None
    """Dots per inch; a remark in the file, no pixel depends on it."""
    orientation: Orientation = Orientation.DROP
    max_bytes: int | None = None
    """A limit to the result's bytes; `SOURCE_BYTES` stands for the original's."""
    over_limit: OverLimit = OverLimit.LOWER_QUALITY
    on_error: OnError = OnError.REFUSE
    slim: bool = False
    """Encode JPEG and PNG as small as can be; anything else is answered as it is."""
    answer: Answer = Answer.PICTURE
    entries: int | None = None
    """How many entries a list in a report has at most."""
    max_frames: int | None = None
    """Most frames of an animation, where that is fewer than the settings allow."""
    over_budget: OverBudget | None = None
    """What happens to an animation over its limits; None: as the settings say."""
    ssimulacra2: int | None = None
    """The SSIMULACRA2 to be reached, by the lowest quality that does."""
    candidates: tuple[Target, ...] = ()
    """The targets of which the smallest result is kept; `target` is the one that every client reads."""

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise InvalidCommand(f"quality must be 1 to 100, got {self.quality}")
        if self.effort is not None and not 0 <= self.effort <= 9:
            raise InvalidCommand(f"effort must be 0 to 9, got {self.effort}")
        if self.max_frames is not None and not 1 <= self.max_frames <= 10_000:
            raise InvalidCommand(f"an animation may have 1 to 10000 frames, got {str(self.max_frames)[:20]}")
        if self.palette is not None and not 2 <= self.palette <= 256:
            raise InvalidCommand(f"a palette has 2 to 256 colours, got {str(self.palette)[:20]}")
        if self.density is not None and not 1 <= self.density <= 1200:
            raise InvalidCommand(f"density must be 1 to 1200 dots per inch, got {str(self.density)[:20]}")
        if self.max_bytes is not None and self.max_bytes != SOURCE_BYTES and not 1 <= self.max_bytes <= 1 << 32:
            raise InvalidCommand(f"a size limit must be at least 1 byte, got {str(self.max_bytes)[:20]}")
        if self.ssimulacra2 is not None and not 10 <= self.ssimulacra2 <= 95:
            raise InvalidCommand(f"ssimulacra2 must be 10 to 95, got {str(self.ssimulacra2)[:20]}")

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

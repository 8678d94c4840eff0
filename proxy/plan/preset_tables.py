"""The shape of presets.toml: its tables as pydantic models, field by field.

The models check one field at a time: type, range, legal words. What fields say together (`fit = "cover"` needs both
sides) is `preset_rules.py`'s subject, and what they mean, `preset_compile.py`'s. The docstrings of the fields are the
help that editors show: the JSON Schema is generated from here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from proxy.plan.adhoc import AdhocMode, AdhocPolicy
from proxy.plan.animation import OverBudget
from proxy.plan.operation_tables import Step, Table
from proxy.plan.output import Animation, ColourPolicy, Metadata, Truncated
from proxy.plan.picture_table import PictureTable, scalar_or_table
from proxy.plan.preset_values import (
    Background,
    Between,
    Box,
    ByteCount,
    Cache,
    Dialects,
    Duration,
    Extension,
    FormatChoice,
    Quality,
    Separator,
)
from proxy.plan.presets import DEFAULT_DIALECTS, Originals

MAX_OPERATIONS = 32
MAX_SIZES = 500


class PresetTable(PictureTable):
    """A preset: fields for the usual, or a list of operations, or a vendor's command; then how it is written."""

    operations: Annotated[list[Step], Field(min_length=1, max_length=MAX_OPERATIONS)] | None = None
    """Operations in order, instead of the fields above: [ { resize = { width = 400 } }, { sharpen = {} } ]."""
    command: str | None = None
    """A vendor's command as in a vendor's console, instead of the fields above: "imageView2/1/w/200/h/200"."""
    format: FormatChoice = "source"
    """The result's format; auto is negotiated with the browser, source is the original's, smallest (or a list, like
    ["avif", "webp", "jpeg"]) is the smallest file of what the browser reads, at equal quality. jxl needs the extra
    `formats`."""
    quality: Quality | None = None
    """Quality of lossy formats, 1 to 100, or "ssimulacra2:80": for each picture the lowest that reaches this score;
    without it, the format's default."""
    max_bytes: ByteCount | None = None
    """Most bytes of the result ("100k", "2m"): the quality, or the score, is lowered until it fits."""
    answer: Literal["picture", "info", "blurhash", "thumbhash", "palette", "phash", "barcodes"] = "picture"
    """The picture, or a report about it as JSON: info is all there is to say; the others are single answers. With a
    size or operations it is about the picture that they make. Codes and faces need the extra `vision`."""
    effort: Annotated[int, Between(0, 9)] | None = None
    """How much time the encoder may take for a smaller file, 0 to 9; without it, the format's default. What would not
    be ready in time gets less, and the notes of `/-/explain` and Server-Timing say so."""
    lossless: bool = False
    """Lossless WebP or AVIF."""
    progressive: bool = False
    """Progressive JPEG, interlaced PNG or GIF."""
    background: Background | None = None
    """What shows through where the picture does not: "#rrggbb", "#rrggbbaa" or a name; with
    fit = "pad", also "blur": the picture itself, enlarged and blurred."""
    metadata: Annotated[Metadata, Field(strict=False)] = Metadata.NONE
    """What is kept of the original's metadata; never the position."""
    color: Annotated[ColourPolicy, Field(strict=False)] = ColourPolicy.SRGB
    """Convert to sRGB or Display P3, or keep the original's colour profile."""
    animation: Annotated[Animation, Field(strict=False)] = Animation.KEEP
    """Keep all frames where the format can hold them, or only the first."""
    max_frames: Annotated[int, Between(1, 10_000)] | None = None
    """Most frames of an animation, where that is fewer than `IMGBANG_MAX_FRAMES`."""
    over_budget: Annotated[OverBudget, Field(strict=False)] | None = None
    """An animation with more frames, pixels or work than allowed: fewer (frames are left out evenly, the whole lasts as
    long as before), first (only the first frame) or refuse. Without it, `IMGBANG_OVER_BUDGET`. `/-/explain` says what
    was done."""
    truncated: Annotated[Truncated, Field(strict=False)] = Truncated.REFUSE
    """Refuse an original that ends too early, or render what is there."""
    cache: Cache | None = None
    """How long an answer may be kept: "7d", "1h30m", seconds, "immutable" or "no-store"."""
    stale_while_revalidate: Duration | None = None
    """How long an old answer may be used while a new one is fetched (RFC 5861)."""
    stale_if_error: Duration | None = None
    """How long an old answer may be used when there is no new one (RFC 5861)."""
    eager: bool = False
    """Whether results are rendered as soon as an original appears."""


class AdhocTable(Table):
    """Allow these ad-hoc sizes and no others."""

    sizes: Annotated[list[Box], Field(min_length=1, max_length=MAX_SIZES)]
    """The sizes, as in URLs: 50x50, 50x, x50."""


class FileTable(Table):
    """The presets of imgbang: which pictures can be asked for, and how."""

    separators: Annotated[list[Separator], Field(min_length=1)] = ["!"]  # noqa: RUF012 -- pydantic copies it
    """The characters that can split a key from a preset's name."""
    originals: Annotated[Originals, Field(strict=False)] = Originals.OPEN
    """Whether originals are served (open); only presets of them, unless a token opens them (protected), or whoever asks
    (sealed); or nothing at all without a token (private)."""
    protected_extensions: Annotated[list[Extension], Field(min_length=1)] = []  # noqa: RUF012 -- pydantic copies it
    """The extensions of keys that protection is about: ["jpg", "png"]. Without it, every key."""
    originals_first: bool = False
    """Whether an original that is really called cat.jpg!thumb wins over the preset thumb of cat.jpg."""
    adhoc: Annotated[
        Annotated[Literal["off", "signed", "any"], Tag("scalar")] | Annotated[AdhocTable, Tag("table")],
        Discriminator(scalar_or_table),
    ] = "off"
    """Which sizes a URL may ask for without a preset: off, signed, any, or { sizes = ["50x50"] }."""
    dialects: Dialects = list(DEFAULT_DIALECTS)  # noqa: RUF012 -- pydantic copies it
    """The vendors whose URLs are understood; of two with the same commands the first listed reads them."""
    presets: dict[str, PresetTable] = {}  # noqa: RUF012 -- pydantic copies it
    """The presets by name."""

    def adhoc_policy(self) -> AdhocPolicy:
        """The policy as a value."""
        if isinstance(self.adhoc, AdhocTable):
            return AdhocPolicy(AdhocMode.SIZES, tuple(dict.fromkeys(self.adhoc.sizes)))
        return AdhocPolicy(AdhocMode(self.adhoc))

"""The fields of a preset that say what the picture looks like; `preset_compile.py` gives them their order."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Field, Tag

from proxy.plan.operation_tables import TABLES, Table
from proxy.plan.preset_values import Aims, Between, ColourText, Radius, Side

if TYPE_CHECKING:
    from proxy.plan.operation_tables import OperationTable as NormaliseTable
    from proxy.plan.operation_tables import OperationTable as RedactTable
    from proxy.plan.operation_tables import OperationTable as TextTable
    from proxy.plan.operation_tables import OperationTable as TintTable
    from proxy.plan.operation_tables import OperationTable as TrimTable
    from proxy.plan.operation_tables import OperationTable as WatermarkTable
else:
    NormaliseTable, RedactTable, TextTable, TintTable, TrimTable, WatermarkTable = (
        TABLES[name] for name in ("normalise", "redact", "text", "tint", "trim", "watermark")
    )


class SharpenTable(Table):
    """How much to sharpen; the same fields and defaults as the operation's."""

    sigma: Annotated[float, Between(0.1, 10)] = 0.8
    amount: Annotated[float, Between(0.1, 10)] = 1.0


class BorderTable(Table):
    """A line around the picture, of one width on all sides."""

    width: Annotated[int, Between(1, 1000)]
    """In pixels."""
    color: ColourText


class PresetFit(StrEnum):
    """How a preset's picture meets its box."""

    INSIDE = "inside"
    COVER = "cover"
    FILL = "fill"
    PAD = "pad"


def scalar_or_table(value: object) -> str:
    """Which of the two a value is: the tag of a field that takes both."""
    return "scalar" if isinstance(value, bool | str) else "table"


class PictureTable(Table):
    """What the picture looks like."""

    width: Side | None = None
    """Width of the box in pixels."""
    height: Side | None = None
    """Height of the box in pixels."""
    fit: Annotated[PresetFit, Field(strict=False)] = PresetFit.INSIDE
    """How the picture meets the box: inside (whole picture, proportional), cover (fills the box, the rest is cut off),
    fill (squeezed to the box), pad (whole picture, the rest of the box is background)."""
    gravity: Aims | None = None
    """What stays when `cover` cuts: an anchor, attention, entropy, face, focal (the point stored with the original), a
    point { x = 0.3, y = 0.6 } in fractions of the upright picture, or a list to be tried in order: ["face",
    "attention"]. With `pad`, where it puts the picture: an anchor."""
    focal: bool = True
    """Whether a focal point stored with the original comes first when `cover` cuts. Without effect where `gravity` is
    an anchor or a point, or says itself when "focal" counts."""
    enlarge: bool = False
    """Whether a small original is scaled up."""
    auto_orient: bool = True
    """Whether the picture is turned as its EXIF orientation says, before anything else."""
    redact: (
        Annotated[
            Annotated[Literal["faces"], Tag("scalar")] | Annotated[RedactTable, Tag("table")],
            Discriminator(scalar_or_table),
        ]
        | None
    ) = None
    """Make faces ("faces"), or areas, unrecognisable before anything is scaled: { areas = [[0.1, 0.1, 0.2, 0.3]], by =
    "fill" }."""
    trim: Annotated[
        Annotated[bool, Tag("scalar")] | Annotated[TrimTable, Tag("table")], Discriminator(scalar_or_table)
    ] = False
    """Cut off margins of one colour before the picture is scaled: true, or { threshold = 10, background = "white" }."""
    rotate: Annotated[float, Between(-360, 360)] = 0.0
    """Degrees clockwise."""
    flip: Literal["vertical", "horizontal"] | None = None
    """Mirror top to bottom (vertical) or left to right (horizontal)."""
    normalise: Annotated[
        Annotated[bool, Tag("scalar")] | Annotated[NormaliseTable, Tag("table")], Discriminator(scalar_or_table)
    ] = False
    """Spread the tones from black to white: true, or { clip = 1.0 }, the percent of pixels lost at either end."""
    brightness: Annotated[int, Between(-100, 100)] = 0
    """Brighter (up to 100) or darker (down to -100)."""
    contrast: Annotated[int, Between(-100, 100)] = 0
    """More contrast (up to 100) or less (down to -100)."""
    gamma: Annotated[float, Between(0.1, 10)] = 1.0
    """Brighter mid tones above 1, darker below."""
    saturation: Annotated[int, Between(-100, 100)] = 0
    """Stronger colours (up to 100) or paler (down to -100)."""
    hue: Annotated[float, Between(-360, 360)] = 0.0
    """Turn all hues by so many degrees."""
    grayscale: bool = False
    """Take the colour out."""
    sepia: bool | Annotated[int, Between(1, 100)] = False
    """Tone brown like an old print: true, or how much of it, 1 to 100."""
    tint: (
        Annotated[
            Annotated[ColourText, Tag("scalar")] | Annotated[TintTable, Tag("table")], Discriminator(scalar_or_table)
        ]
        | None
    ) = None
    """Shades of one colour: "#2060c0", or { colour = "#2060c0", amount = 50 }."""
    duotone: Annotated[list[ColourText], Field(min_length=2, max_length=2)] | None = None
    """Mixtures of two colours, the dark one first: ["#1e3264", "#f5e9c8"]."""
    invert: bool = False
    """Turn every colour into its opposite."""
    blur: Annotated[float, Between(0.1, 50)] | None = None
    """Sigma of a Gaussian blur, in pixels of the result."""
    pixelate: Annotated[int, Between(2, 1000)] | None = None
    """Squares of so many pixels of the result."""
    sharpen: Annotated[
        Annotated[bool, Tag("scalar")] | Annotated[SharpenTable, Tag("table")], Discriminator(scalar_or_table)
    ] = False
    """Sharpen a little (true), or as a table says: { sigma = 0.8, amount = 1.0 }."""
    watermark: WatermarkTable | None = None
    """Another image drawn on the picture: { image = "logo.png", opacity = 60 }."""
    text: TextTable | None = None
    """A text drawn on the picture: { text = "© 2026", colour = "white" }."""
    padding: Annotated[int, Between(1, 1000)] | None = None
    """Pixels of background around the picture."""
    border: BorderTable | None = None
    """A line around the picture and its padding: { width = 2, color = "#333333" }."""
    radius: Radius | None = None
    """Round corners: pixels, or percent of the sides: "10%"."""
    circle: bool = False
    """Cut the largest circle out of the middle."""


GEOMETRY: tuple[str, ...] = tuple(name for name in PictureTable.model_fields if name != "auto_orient")
"""The fields that compile to operations; `operations` and `command` take their place."""

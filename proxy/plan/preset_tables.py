"""The shape of presets.toml: its tables as pydantic models, field by field.

The models check one field at a time: type, range, legal words. What fields say together (`fit = "cover"` needs both
sides) is `preset_rules.py`'s subject, and what they mean, `preset_compile.py`'s. The docstrings of the fields are the
help that editors show: the JSON Schema is generated from here.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from enum import Enum, StrEnum
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, create_model, model_validator

from proxy.errors import InvalidCommand
from proxy.plan.adhoc import AdhocMode, AdhocPolicy
from proxy.plan.animation import OverBudget
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.operations import WRITTEN, Operation
from proxy.plan.output import Animation, ColourPolicy, Metadata, Truncated
from proxy.plan.preset_values import (
    Between,
    Box,
    Cache,
    ColourText,
    Dialects,
    Duration,
    Extension,
    GravityName,
    Separator,
    Side,
    shown_value,
)
from proxy.plan.presets import DEFAULT_DIALECTS, Originals

MAX_OPERATIONS = 32
MAX_SIZES = 500


class Table(BaseModel):
    """A table of presets.toml: no unknown keys, no silent conversions."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


class OperationTable(Table):
    """The fields of one operation, as `operations.py` declares them; checked by building the operation."""

    def build(self) -> Operation:
        """Make the operation."""
        raise NotImplementedError


def _operation_table(operation: type[Operation]) -> type[OperationTable]:
    """The model of an operation's table, made from its dataclass, so that a new operation needs no second list."""
    hints = get_type_hints(operation)
    definitions: dict[str, Any] = {
        field.name: (_annotation(hints[field.name]), _default(field.default))
        for field in fields(cast(Any, operation))  # every operation is a dataclass
        if field.metadata.get("written", True)
    }

    def build(self: OperationTable) -> Operation:
        return operation(**{name: getattr(self, name) for name in definitions})

    def buildable(self: OperationTable) -> OperationTable:
        try:
            self.build()
        except InvalidCommand as error:
            raise ValueError(error.message) from error
        return self

    return create_model(
        operation.__name__,
        __base__=type(f"{operation.__name__}Base", (OperationTable,), {"build": build}),
        __doc__=operation.__doc__,
        __validators__={"buildable": cast(Any, model_validator(mode="after")(buildable))},
        **definitions,
    )


def _default(default: object) -> Any:
    """A field's default as pydantic wants it; editors are shown colours as they are written."""
    if isinstance(default, Colour):
        return Field(default, json_schema_extra={"default": str(default)})
    return ... if default is MISSING else default


def _annotation(hint: Any) -> Any:
    """The type with which pydantic reads a field of an operation."""
    if get_origin(hint) in (Union, UnionType):
        inner = next(argument for argument in get_args(hint) if argument is not type(None))
        return Union[_annotation(inner), None]  # noqa: UP007 -- built at run time
    if hint is Colour:
        return ColourText
    if hint is Gravity:
        return GravityName
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Annotated[hint, Field(strict=False)]
    return Annotated[hint, Field(allow_inf_nan=False)] if hint is float else hint


_TABLES = {name.replace("-", "_"): _operation_table(operation) for name, operation in WRITTEN.items()}


def _step_schema(schema: dict[str, Any]) -> None:
    """Tell editors that a step holds exactly one operation, and that its name may be hyphenated."""
    names = schema.get("properties", {})
    schema["properties"] = names | {name.replace("_", "-"): table for name, table in names.items()}
    schema |= {"minProperties": 1, "maxProperties": 1}


class StepTable(Table):
    """One element of an `operations` list: a table with one key, the operation's name."""

    model_config = ConfigDict(json_schema_extra=_step_schema)

    @model_validator(mode="before")
    @classmethod
    def _one_operation(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            raise ValueError(f"must be a table with one operation in it, got {len(value)}")
        ((name, arguments),) = value.items()
        if name.replace("_", "-") not in WRITTEN:
            raise ValueError(f"unknown operation {shown_value(name)}; known are {', '.join(WRITTEN)}")
        return {name.replace("-", "_"): arguments}

    def build(self) -> Operation:
        """Make the operation."""
        (name,) = self.model_fields_set
        return cast(OperationTable, getattr(self, name)).build()


if TYPE_CHECKING:
    Step = StepTable
else:
    Step = create_model(
        "Step",
        __base__=StepTable,
        __doc__=StepTable.__doc__,
        **{name: (table, None) for name, table in _TABLES.items()},
    )


class SharpenTable(Table):
    """How much to sharpen; the same fields and defaults as the operation's."""

    sigma: Annotated[float, Between(0.1, 10)] = 0.8
    amount: Annotated[float, Between(0.1, 10)] = 1.0


class PresetFit(StrEnum):
    """How a preset's picture meets its box."""

    INSIDE = "inside"
    COVER = "cover"
    FILL = "fill"
    PAD = "pad"


def _scalar_or_table(value: object) -> str:
    return "table" if isinstance(value, dict) else "scalar"


class PresetTable(Table):
    """A preset: fields for the usual, or a list of operations, or a vendor's command; then how it is written."""

    width: Side | None = None
    """Width of the box in pixels."""
    height: Side | None = None
    """Height of the box in pixels."""
    fit: Annotated[PresetFit, Field(strict=False)] = PresetFit.INSIDE
    """How the picture meets the box: inside (whole picture, proportional), cover (fills the box, the rest is cut off),
    fill (squeezed to the box), pad (whole picture, the rest of the box is background)."""
    gravity: GravityName | None = None
    """What stays when `cover` cuts, or where `pad` puts the picture: an anchor, attention or entropy."""
    enlarge: bool = False
    """Whether a small original is scaled up."""
    auto_orient: bool = True
    """Whether the picture is turned as its EXIF orientation says, before anything else."""
    rotate: Annotated[float, Between(-360, 360)] = 0.0
    """Degrees clockwise."""
    flip: Literal["vertical", "horizontal"] | None = None
    """Mirror top to bottom (vertical) or left to right (horizontal)."""
    grayscale: bool = False
    """Take the colour out."""
    blur: Annotated[float, Between(0.1, 50)] | None = None
    """Sigma of a Gaussian blur, in pixels of the result."""
    sharpen: Annotated[
        Annotated[bool, Tag("scalar")] | Annotated[SharpenTable, Tag("table")], Discriminator(_scalar_or_table)
    ] = False
    """Sharpen a little (true), or as a table says: { sigma = 0.8, amount = 1.0 }."""
    operations: Annotated[list[Step], Field(min_length=1, max_length=MAX_OPERATIONS)] | None = None
    """Operations in order, instead of the fields above: [ { resize = { width = 400 } }, { sharpen = {} } ]."""
    command: str | None = None
    """A vendor's command as in a vendor's console, instead of the fields above: "imageView2/1/w/200/h/200"."""
    format: Literal["auto", "source", "jpeg", "jpg", "png", "gif", "webp", "avif", "tiff", "bmp", "ico", "jxl"] = (
        "source"
    )
    """The result's format; auto is negotiated with the browser, source is the original's. jxl needs the extra
    `formats`."""
    quality: Annotated[int, Between(1, 100)] | None = None
    """Quality of lossy formats, 1 to 100; without it, the format's default."""
    effort: Annotated[int, Between(0, 9)] | None = None
    """How much time the encoder may take for a smaller file, 0 to 9."""
    lossless: bool = False
    """Lossless WebP or AVIF."""
    progressive: bool = False
    """Progressive JPEG, interlaced PNG or GIF."""
    background: ColourText | None = None
    """What shows through where the picture does not: "#rrggbb", "#rrggbbaa" or a name."""
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

    separators: Annotated[list[Separator], Field(min_length=1)] = ["!"]
    """The characters that can split a key from a preset's name."""
    originals: Annotated[Originals, Field(strict=False)] = Originals.OPEN
    """Whether originals are served (open); only presets of them, unless a token opens them (protected), or whoever asks
    (sealed); or nothing at all without a token (private)."""
    protected_extensions: Annotated[list[Extension], Field(min_length=1)] = []
    """The extensions of keys that protection is about: ["jpg", "png"]. Without it, every key."""
    originals_first: bool = False
    """Whether an original that is really called cat.jpg!thumb wins over the preset thumb of cat.jpg."""
    adhoc: Annotated[
        Annotated[Literal["off", "signed", "any"], Tag("scalar")] | Annotated[AdhocTable, Tag("table")],
        Discriminator(_scalar_or_table),
    ] = "off"
    """Which sizes a URL may ask for without a preset: off, signed, any, or { sizes = ["50x50"] }."""
    dialects: Dialects = list(DEFAULT_DIALECTS)
    """The vendors whose URLs are understood; of two with the same commands the first listed reads them."""
    presets: dict[str, PresetTable] = {}
    """The presets by name."""

    def adhoc_policy(self) -> AdhocPolicy:
        """The policy as a value."""
        if isinstance(self.adhoc, AdhocTable):
            return AdhocPolicy(AdhocMode.SIZES, tuple(dict.fromkeys(self.adhoc.sizes)))
        return AdhocPolicy(AdhocMode(self.adhoc))

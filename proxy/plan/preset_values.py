"""The values that presets.toml is written with: numbers in bounds, colours, durations, boxes, separators.

Each is an annotated type: pydantic calls its reader, which refuses with a message that names what was expected, and
editors see its JSON Schema. `preset_tables.py` puts them into tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, PlainValidator, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from proxy.errors import InvalidCommand
from proxy.plan.adhoc import MAX_BOX_SIDE, AdhocBox
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.presets import DIALECTS, LEGAL_SEPARATORS
from proxy.plan.region import Region

MAX_DURATION = 31_536_000
"""A year: HTTP caches take no more for serious."""

FORMATS = ("jpeg", "jpg", "png", "gif", "webp", "avif", "tiff", "bmp", "ico", "jxl")
"""The formats that a preset can name."""
FORMAT_RULES = ("auto", "source", "smallest")
"""…and the rules that choose one."""

_SCORE = re.compile(r"ssimulacra2:([0-9]{1,2})")
_BYTES = re.compile(r"([0-9]{1,10})([km]?)b?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_DURATION = re.compile(r"(?:[0-9]{1,9}[smhdwy])+")


@dataclass(frozen=True, slots=True)
class Between:
    """Bounds of a number, both inclusive, with one message for both sides."""

    low: float
    high: float

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the bounds after the type."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Show the bounds to editors."""
        return {**handler(schema), "minimum": self.low, "maximum": self.high}

    def _check(self, value: float) -> float:
        if not self.low <= value <= self.high:
            raise ValueError(f"must be {self.low:g} to {self.high:g}, got {value:.15g}")
        return value


def shown_value(value: object) -> str:
    """A value as TOML would write it, cut when long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:60] + "…"


def _read_colour(value: object) -> Colour:
    if not isinstance(value, str):
        raise ValueError(f"must be a colour in quotes, got {shown_value(value)}")  # noqa: TRY004 -- pydantic collects ValueErrors only
    try:
        return Colour.parse(value)
    except InvalidCommand as error:
        raise ValueError(error.message) from error


def _read_gravity(value: object) -> object:
    return "centre" if value == "center" else value


def _read_sought(value: object) -> Gravity | Region:
    """One thing to look for: a word, or a point or box as a table."""
    if isinstance(value, dict):
        numbers = [value.get(name, 0.0) for name in ("x", "y", "width", "height")]
        if not {"x", "y"} <= set(value) <= {"x", "y", "width", "height"} or not all(map(_is_number, numbers)):
            raise ValueError("a focal point is { x = 0.3, y = 0.6 }, in fractions of the upright picture")
        try:
            return Region(*map(float, numbers))
        except InvalidCommand as error:
            raise ValueError(error.message) from error
    word = _read_gravity(value)
    if word in _GRAVITIES:
        return Gravity(str(word))
    raise ValueError(f"must be {', '.join(_GRAVITIES[:-1])} or {{ x = 0.3, y = 0.6 }}, got {shown_value(value)}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read_aims(value: object) -> tuple[Gravity | Region, ...]:
    """A word, a point, or several to be tried in order; what is always found ends the list."""
    listed = value if isinstance(value, list) else [value]
    aims = tuple(_read_sought(item) for item in listed)
    if not aims or len(set(aims)) < len(aims):
        raise ValueError("a list of gravities names each once, and at least one")
    for aim in aims[:-1]:
        if isinstance(aim, Region) or aim not in (Gravity.FACE, Gravity.FOCAL):
            raise ValueError(f"{aim} is always found: what follows it in the list is never tried")
    return aims


def _read_radius(value: object) -> tuple[float, bool]:
    """Pixels, or a text like `10%`; the second says whether it is percent."""
    if _is_number(value):
        number, percent = float(value), False  # type: ignore[arg-type]  # it is a number
    elif isinstance(value, str) and (match := re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%", value)):
        number, percent = float(match[1]), True
    else:
        raise ValueError(f'must be pixels, or percent like "10%", got {shown_value(value)}')
    most = 50 if percent else MAX_BOX_SIDE
    if not 0 < number <= most:
        raise ValueError(f"must be above 0 and up to {most}{' %' if percent else ''}, got {shown_value(value)}")
    return number, percent


def _read_background(value: object) -> object:
    return value if value == "blur" else _read_colour(value)


def read_duration(value: object) -> int:
    """Read `7d`, `1h30m` or a whole number of seconds."""
    seconds = None
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and _DURATION.fullmatch(value):
        seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([smhdwy])", value))
    if seconds is None:
        raise ValueError(f'must be a duration like "7d", "1h30m" or 3600 (seconds), got {shown_value(value)}')
    if not 0 <= seconds <= MAX_DURATION:
        raise ValueError(f'must be 0 seconds to 365 days ("365d"), got {shown_value(value)}')
    return seconds


def _read_cache(value: object) -> int | str:
    if value in ("immutable", "no-store"):
        return str(value)
    try:
        return read_duration(value)
    except ValueError as error:
        raise ValueError(f'{error}; "immutable" and "no-store" are possible too') from error


@dataclass(frozen=True, slots=True)
class Score:
    """A quality as people see it: what the result's SSIMULACRA2 is to be."""

    ssimulacra2: int


def _read_quality(value: object) -> object:
    match = _SCORE.fullmatch(value) if isinstance(value, str) else None
    if match is not None and 10 <= int(match[1]) <= 95:
        return Score(int(match[1]))
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= 100:
            raise ValueError(f"must be 1 to 100, got {value}")
        return value
    raise ValueError(f'must be 1 to 100, or "ssimulacra2:10" to "ssimulacra2:95", got {shown_value(value)}')


def _read_size(value: object) -> object:
    """Read a number of bytes; k and m are thousands and millions: the limit holds for those who count in 1024, too."""
    match = _BYTES.fullmatch(value.lower()) if isinstance(value, str) else None
    size = value if isinstance(value, int) and not isinstance(value, bool) else None
    if match is not None:
        size = int(match[1]) * {"": 1, "k": 1000, "m": 1_000_000}[match[2]]
    if size is None or not 100 <= size <= 1 << 32:
        raise ValueError(f'must be a number of bytes from 100, like "100k" or "2m", got {shown_value(value)}')
    return size


def _read_format(value: object) -> object:
    names = [value] if isinstance(value, str) else value
    known = (*FORMATS, *FORMAT_RULES) if isinstance(value, str) else FORMATS
    if not isinstance(names, list) or not names or any(name not in known for name in names):
        raise ValueError(
            f"knows {', '.join(FORMATS)}, a list of these, or {', '.join(FORMAT_RULES)}, got {shown_value(value)}"
        )
    return value if isinstance(value, str) else tuple(dict.fromkeys(names))


def _read_box(value: object) -> AdhocBox:
    try:
        return AdhocBox.parse(value if isinstance(value, str) else shown_value(value))
    except InvalidCommand as error:
        raise ValueError(error.message) from error


def _read_separator(value: object) -> str:
    if isinstance(value, str) and len(value) == 1 and value in LEGAL_SEPARATORS:
        return value
    raise ValueError(f"a separator is one character out of {' '.join(LEGAL_SEPARATORS)}, got {shown_value(value)}")


def _read_dialects(value: object) -> list[str]:
    """`all` stands for every dialect; what is listed before it keeps its precedence."""
    names = [value] if value == "all" else value
    if not isinstance(names, list):
        raise ValueError(f'must be a list of dialects or "all", got {shown_value(value)}')  # noqa: TRY004 -- as above
    for name in names:
        if name not in (*DIALECTS, "all"):
            raise ValueError(f"knows {', '.join(DIALECTS)} and all, got {shown_value(name)}")
    if "all" in names:
        names = [name for name in names if name != "all"] + list(DIALECTS)
    return list(dict.fromkeys(names))


_DURATION_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": MAX_DURATION},
        {"type": "string", "pattern": r"^([0-9]+[smhdwy])+$"},
    ]
}
_CACHE_SCHEMA: dict[str, Any] = {"anyOf": [*_DURATION_SCHEMA["anyOf"], {"enum": ["immutable", "no-store"]}]}
_GRAVITIES = [*(gravity.value for gravity in Gravity), "center"]

Side = Annotated[int, Between(1, MAX_BOX_SIDE)]
ColourText = Annotated[Colour, BeforeValidator(_read_colour), WithJsonSchema({"type": "string"})]
GravityName = Annotated[
    Gravity, Field(strict=False), BeforeValidator(_read_gravity), WithJsonSchema({"enum": _GRAVITIES})
]
_POINT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "number", "minimum": 0, "maximum": 1} for name in ("x", "y", "width", "height")},
    "required": ["x", "y"],
    "additionalProperties": False,
}
_SOUGHT_SCHEMA: dict[str, Any] = {"anyOf": [{"enum": _GRAVITIES}, _POINT_SCHEMA]}
Sought = Annotated[Gravity | Region, BeforeValidator(_read_sought), WithJsonSchema(_SOUGHT_SCHEMA)]
Aims = Annotated[
    tuple[Gravity | Region, ...],
    BeforeValidator(_read_aims),
    WithJsonSchema({"anyOf": [*_SOUGHT_SCHEMA["anyOf"], {"type": "array", "items": _SOUGHT_SCHEMA, "minItems": 1}]}),
]
Radius = Annotated[
    tuple[float, bool],
    BeforeValidator(_read_radius),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^[0-9.]+%$"}]}),
]
Background = Annotated[Colour | Literal["blur"], BeforeValidator(_read_background), WithJsonSchema({"type": "string"})]
Quality = Annotated[
    int | Score,
    PlainValidator(_read_quality),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 100},
                {"type": "string", "pattern": "^ssimulacra2:[1-9][0-9]$"},
            ]
        }
    ),
]
ByteCount = Annotated[
    int,
    PlainValidator(_read_size),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 100}, {"type": "string", "pattern": "^[0-9]+[kKmM]?[bB]?$"}]}
    ),
]
FormatChoice = Annotated[
    str | tuple[str, ...],
    PlainValidator(_read_format),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": [*FORMAT_RULES, *FORMATS]},
                {"type": "array", "items": {"enum": list(FORMATS)}, "minItems": 1, "uniqueItems": True},
            ]
        }
    ),
]
Duration = Annotated[int, BeforeValidator(read_duration), WithJsonSchema(_DURATION_SCHEMA)]
Cache = Annotated[int | str, BeforeValidator(_read_cache), WithJsonSchema(_CACHE_SCHEMA)]
Box = Annotated[AdhocBox, BeforeValidator(_read_box), WithJsonSchema({"type": "string", "pattern": "^[0-9]*x[0-9]*$"})]
Separator = Annotated[str, BeforeValidator(_read_separator), WithJsonSchema({"enum": list(LEGAL_SEPARATORS)})]
Dialects = Annotated[
    list[str],
    BeforeValidator(_read_dialects),
    WithJsonSchema(
        {"anyOf": [{"const": "all"}, {"type": "array", "items": {"enum": [*DIALECTS, "all"]}, "uniqueItems": True}]}
    ),
]


def _read_extension(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\.?[A-Za-z0-9]{1,16}", value):
        raise ValueError(f'must be an extension of keys like "jpg", got {shown_value(value)}')
    return value.removeprefix(".").lower()


Extension = Annotated[str, BeforeValidator(_read_extension), WithJsonSchema({"type": "string", "pattern": r"^\.?\w+$"})]

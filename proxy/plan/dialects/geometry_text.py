"""The geometry of ImageMagick as it stands in `thumbnail`, `crop` and `extent`.

    [!] <w>x<h> [flag] [offsets]      50p  75px  x75p  200x300!  200x200r  700x300<  1000x200>  350000@  300x300a30-100

A value that begins with `!` is escaped: the `!` falls away, and `p`, `r`, `a` stand for `%`, `^`, `+`. The unescaped
characters are understood as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.errors import InvalidCommand
from proxy.plan.keys import shown
from proxy.plan.operations import MAX_SIDE, Area, Fit, Operation, Resize, Scale

_ESCAPES = str.maketrans({"p": "%", "r": "^", "a": "+"})
_GEOMETRY = re.compile(
    r"(?P<width>[0-9]{1,9})?(?P<width_percent>%)?(?:(?P<by>x)(?P<height>[0-9]{1,9})?(?P<height_percent>%)?)?"
    r"(?P<flag>[@!<>^])?(?P<dx>[-+][0-9]{1,9})?(?P<dy>[-+][0-9]{1,9})?(?P<late>[!<>^])?"
)
_SHRINK_ONLY_SIDE = 10_000
_SHRINK_ONLY_AREA = 25_000_000
_MAX_PERCENT = 1000
_MAX_OFFSET = 10_000


@dataclass(frozen=True, slots=True)
class Geometry:
    """A geometry, taken apart. Sides that are 0 count as missing, as ImageMagick has it."""

    width: int | None
    height: int | None
    percent: bool
    by: bool
    named: bool
    """Whether a side is named at all, be it 0."""
    flag: str
    offsets: tuple[int, int] | None


def read_geometry(name: str, text: str) -> Geometry:
    """Read a geometry."""
    plain = text[1:].translate(_ESCAPES) if text.startswith("!") else text
    match = _GEOMETRY.fullmatch(plain) or _GEOMETRY.fullmatch(plain.translate(_ESCAPES))
    if not text or match is None or (match["flag"] and match["late"]):
        raise InvalidCommand(f"{name} must be a geometry like 200x300, 200x or !50p, got {shown(text, 40)}")
    percent = bool(match["width_percent"] or match["height_percent"])
    if percent and bool(match["width"]) != bool(match["width_percent"]):
        raise InvalidCommand(f"{name} must have a percent sign behind each side or none, got {shown(text, 40)}")
    if percent and bool(match["height"]) != bool(match["height_percent"]):
        raise InvalidCommand(f"{name} must have a percent sign behind each side or none, got {shown(text, 40)}")
    if bool(match["dx"]) != bool(match["dy"]):
        raise InvalidCommand(f"{name} must have both offsets or none, got {shown(text, 40)}")
    offsets = (int(match["dx"]), int(match["dy"])) if match["dx"] else None
    if offsets and max(map(abs, offsets)) > _MAX_OFFSET:
        raise InvalidCommand(f"{name}: offsets go up to {_MAX_OFFSET}, got {shown(text, 40)}")
    flag = match["flag"] or match["late"] or ""
    named = bool(match["width"] or match["height"])
    return Geometry(_side(match["width"]), _side(match["height"]), percent, bool(match["by"]), named, flag, offsets)


def _side(digits: str | None) -> int | None:
    return int(digits) or None if digits else None


def read_thumbnail(name: str, text: str) -> Operation:
    """Read the geometry of `thumbnail`; it may enlarge unless a side exceeds 10,000 pixels."""
    found = read_geometry(name, text)
    if found.width is None and found.height is None:
        raise InvalidCommand(f"{name} needs a width or a height, got {shown(text, 40)}")
    if found.percent:
        return _scale(name, found, text)
    if found.flag == "@":
        return _area(name, found, text)
    return _resize(found)


def _scale(name: str, found: Geometry, text: str) -> Scale:
    sides = (found.width, found.height)
    if found.flag or any(side is not None and side > _MAX_PERCENT for side in sides):
        raise InvalidCommand(f"{name}: percentages go from 1 to {_MAX_PERCENT}, without a flag, got {shown(text, 40)}")
    if not found.by and found.width is not None:
        return Scale(float(found.width), float(found.width))
    # `!75px` leaves the height alone: the vendors' table says so, against ImageMagick and their own list of examples.
    return Scale(float(found.width or 100), float(found.height or 100))


def _area(name: str, found: Geometry, text: str) -> Area:
    if found.width is None or found.by:
        raise InvalidCommand(f"{name}: an area is written 350000@, got {shown(text, 40)}")
    pixels = min(found.width, MAX_SIDE * MAX_SIDE)
    return Area(pixels, enlarge=pixels <= _SHRINK_ONLY_AREA)


def _resize(found: Geometry) -> Resize:
    enlarge = all(side is None or side <= _SHRINK_ONLY_SIDE for side in (found.width, found.height))
    width = None if found.width is None else min(found.width, MAX_SIDE)
    height = None if found.height is None else min(found.height, MAX_SIDE)
    match found.flag:
        case "!":
            return Resize(width, height, Fit.FILL, enlarge)
        case "^":
            return Resize(width or height, height or width, Fit.COVER, enlarge)
        case ">":
            return Resize(width, height)
        case "<":
            return Resize(width, height, enlarge=enlarge, shrink=False)
        case _:
            return Resize(width, height, enlarge=enlarge)


def read_box(name: str, text: str) -> Geometry:
    """Read the geometry of `crop` or `extent`: sides and offsets, no percentages, no flags."""
    found = read_geometry(name, text)
    if found.percent or found.flag:
        raise InvalidCommand(f"{name} takes sides and offsets in pixels, got {shown(text, 40)}")
    if not found.named and found.offsets is None:
        raise InvalidCommand(f"{name} needs a side or offsets, got {shown(text, 40)}")
    for side in (found.width, found.height):
        if side is not None and side > MAX_SIDE:
            raise InvalidCommand(f"{name}: a side has at most {MAX_SIDE} pixels, got {shown(text, 40)}")
    return found

"""Upyun's parameters that change pixels, in the order in which they work wherever they stand.

`rotate/auto`, crop, sizes, clip, `rotate/<degrees>`, flip, unsharp, gaussblur, gradient, roundrect, border,
canvas. The
documentation settles crop, sizes and clip; the rest is the order in which each still sees the picture's own pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from proxy.errors import InvalidCommand
from proxy.plan import operations as ops
from proxy.plan.colour import Colour
from proxy.plan.dialects.arguments import read_decimal, read_gravity, read_int
from proxy.plan.dialects.oss_actions import towards
from proxy.plan.dialects.upyun_words import SIZES, Words
from proxy.plan.geometry import Gravity
from proxy.plan.keys import shown
from proxy.plan.operations import MAX_SIDE, Axes, Fit, How, Operation, Small, Towards

MAX_AREA = 25_000_000
_BOX = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
_PLACED = re.compile(r"([0-9]{1,5})x([0-9]{1,5})(?:([as])([0-9]{1,5})([as])([0-9]{1,5}))?")
_POSITIONS = re.compile(r"([0-9]{1,5}),([0-9]{1,5})")
_COLOUR = re.compile(r"(?P<rgb>[0-9a-fA-F]{6})(?P<clear>[0-9a-fA-F]{2})?")
_FLIPS = {"left,right": "horizontal", "top,down": "vertical"}
"""Also written with a hyphen."""
_TOWARDS = {
    "top,down": Towards.BOTTOM, "bottom,up": Towards.TOP, "left,right": Towards.RIGHT, "right,left": Towards.LEFT,
}  # fmt: skip
_GRADIENT = ("gdori", "gdpos", "gdstartcolor", "gdstopcolor")


def pixel_operations(words: Words) -> Iterator[Operation]:
    """The operations, in their order."""
    values = words.values
    turn = values.get("rotate", "")
    if turn == "auto":
        yield ops.AutoOrient()
    if "crop" in values:
        yield _crop("crop", words)
    yield from _sizes(values)
    if "clip" in values:
        yield _crop("clip", words)
    if turn and turn != "auto":
        yield ops.Rotate(float(read_int("rotate", turn, 1, 360)))
    yield from _effects(values)
    if values.keys() & set(_GRADIENT):
        yield _gradient(values)
    if "roundrect" in values:
        radius = float(read_int("roundrect", values["roundrect"], 1, MAX_SIDE))
        yield ops.RoundCorners(radius, radius, even=True)
    if "border" in values:
        width, height = read_box("border", values["border"], low=0)
        yield ops.Border(width, height, read_colour("brdcolor", values.get("brdcolor", "FFFFFF00")))
    if "canvas" in values:
        yield _canvas(values)


def _sizes(values: Mapping[str, str]) -> Iterator[Operation]:
    enlarge = read_truth("force", values.get("force", "false"))
    for name in SIZES:
        if name in values and name != "hscale":
            yield _size(name, values[name], values, enlarge=enlarge)
    if "hscale" in values and "wscale" not in values:
        yield ops.Scale(100.0, _percent("hscale", values["hscale"]))


def _size(name: str, value: str, values: Mapping[str, str], *, enlarge: bool) -> Operation:
    match name:
        case "fw":
            return ops.Resize(_side(name, value), None, enlarge=enlarge)
        case "fh":
            return ops.Resize(None, _side(name, value), enlarge=enlarge)
        case "max":
            return ops.Resize(_side(name, value), None, enlarge=enlarge, axes=Axes.LONG_SHORT)
        case "min":
            return ops.Resize(None, _side(name, value), enlarge=enlarge, axes=Axes.LONG_SHORT)
        case "fwfh":
            return ops.Resize(*read_box(name, value), Fit.INSIDE, enlarge)
        case "fwfh2":
            return ops.Resize(*read_box(name, value), Fit.COVER, enlarge)
        case "fxfn":
            return ops.Resize(*read_box(name, value), Fit.INSIDE, enlarge, axes=Axes.LONG_SHORT)
        case "fxfn2":
            return ops.Resize(*read_box(name, value), Fit.COVER, enlarge, axes=Axes.LONG_SHORT)
        case "both":
            return ops.Reframe(*read_box(name, value), How.CUT, Small.STRETCH if enlarge else Small.ENLARGE)
        case "sq":
            side = _side(name, value)
            return ops.Reframe(side, side, How.CUT, Small.STRETCH if enlarge else Small.ENLARGE)
        case "scale":
            return ops.Scale(_percent(name, value), _percent(name, value))
        case "wscale":
            return ops.Scale(_percent(name, value), _percent("hscale", values.get("hscale", "100")))
        case _:
            return ops.Area(read_int(name, value, 1, MAX_AREA), enlarge)


def _effects(values: Mapping[str, str]) -> Iterator[Operation]:
    if "flip" in values:
        direction = _FLIPS.get(values["flip"].replace("-", ","))
        if direction is None:
            raise InvalidCommand(f"flip must be {' or '.join(_FLIPS)}, got {shown(values['flip'], 20)}")
        yield ops.Flip(direction)
    if read_truth("unsharp", values.get("unsharp", "false")):
        yield ops.Sharpen()
    if "gaussblur" in values:
        radius_text, _, sigma_text = values["gaussblur"].partition("x")
        radius = read_int("gaussblur: radius", radius_text, 0, 50)
        sigma = read_decimal("gaussblur: sigma", sigma_text, 0.1, 1000)
        # Beyond 50 pixels, a kernel cut off at 50 is a box all the same.
        yield ops.Blur(min(sigma, 50.0), radius or None)


def _gradient(values: Mapping[str, str]) -> ops.Gradient:
    towards = _TOWARDS.get(values.get("gdori", "top,down").replace("-", ","))
    if towards is None:
        raise InvalidCommand(f"gdori must be {' or '.join(_TOWARDS)}, got {shown(values['gdori'], 20)}")
    if not values.keys() & {"gdstartcolor", "gdstopcolor"}:
        raise InvalidCommand("a gradient needs gdstartcolor or gdstopcolor")
    start, stop = 0, None
    if "gdpos" in values:
        found = _POSITIONS.fullmatch(values["gdpos"])
        if found is None:
            raise InvalidCommand(f"gdpos must be <start>,<stop>, got {shown(values['gdpos'], 20)}")
        start, stop = (read_int("gdpos", each, 0, MAX_SIDE) for each in found.groups())
    given = {name: read_colour(name, values[name]) for name in _GRADIENT[2:] if name in values}
    # What is not given is the other colour, unseen.
    unseen = replace(next(iter(given.values())), alpha=0)
    return ops.Gradient(towards, start, stop, given.get("gdstartcolor", unseen), given.get("gdstopcolor", unseen))


def _crop(name: str, words: Words) -> ops.Crop:
    width, height, right, down = _placed(name, words.values[name])
    gravity = read_gravity("gravity", words.gravities[name]) if name in words.gravities else Gravity.NORTHWEST
    return ops.Crop(width or None, height or None, gravity, *towards(gravity, right or 0, down or 0))


def _canvas(values: Mapping[str, str]) -> ops.Extent:
    width, height, right, down = _placed("canvas", values["canvas"])
    colour = read_colour("cvscolor", values.get("cvscolor", "FFFFFF00"))
    if not width or not height:
        raise InvalidCommand(f"canvas needs a width and a height, got {shown(values['canvas'], 40)}")
    if right is None or down is None:
        return ops.Extent(width, height, background=colour)
    return ops.Extent(width, height, Gravity.NORTHWEST, right, down, colour)


def _placed(name: str, value: str) -> tuple[int, int, int | None, int | None]:
    """A size, and how far it lies to the right and down, if that is said."""
    found = _PLACED.fullmatch(value)
    if found is None:
        raise InvalidCommand(f"{name} must be written 300x200 or 300x200a80s60, got {shown(value, 40)}")
    width, height = (read_int(name, side, 0, MAX_SIDE) for side in found.group(1, 2))
    if found[3] is None:
        return width, height, None, None
    right, down = read_int(name, found[4], 0, MAX_SIDE), read_int(name, found[6], 0, MAX_SIDE)
    return width, height, -right if found[3] == "s" else right, -down if found[5] == "s" else down


def read_box(name: str, value: str, low: int = 1) -> tuple[int, int]:
    """Read `300x200`."""
    found = _BOX.fullmatch(value)
    if found is None:
        raise InvalidCommand(f"{name} must be <number>x<number>, got {shown(value, 40)}")
    return read_int(name, found[1], low, MAX_SIDE), read_int(name, found[2], low, MAX_SIDE)


def read_colour(name: str, value: str) -> Colour:
    """Read `RRGGBBAA`, where AA 00 is opaque and FF is transparent."""
    found = _COLOUR.fullmatch(value)
    if found is None:
        raise InvalidCommand(f"{name} must be a colour written RRGGBBAA, got {shown(value, 20)}")
    red, green, blue = bytes.fromhex(found["rgb"])
    return Colour(red, green, blue, 255 - int(found["clear"] or "0", 16))


def read_truth(name: str, value: str) -> bool:
    """Read `true` or `false`."""
    if value not in ("true", "false"):
        raise InvalidCommand(f"{name} must be true or false, got {shown(value, 20)}")
    return value == "true"


def _side(name: str, value: str) -> int:
    return read_int(name, value, 1, MAX_SIDE)


def _percent(name: str, value: str) -> float:
    return float(read_int(name, value, 1, 1000))

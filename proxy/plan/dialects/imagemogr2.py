"""`imageMogr2`: a list of operations (https://developer.qiniu.com/dora/8255/the-zoom).

    imageMogr2[/auto-orient][/thumbnail/<geometry>][/gravity/<anchor>][/crop/<geometry>][/rotate/<degrees>]
              [/blur/<radius>x<sigma>][/sharpen/1][/extent/<geometry>][/border/<w>x<h>][/bordercolor/<colour>]
              [/background/<colour>][/format/<f>][/interlace/<0|1>][/quality/<q>[!]][/strip][/colors/<n>]
              [/density/<n>][/size-limit/<n>[k|m][!]][/ignore-error/1]

Rules:

1. What touches pixels happens in the order written. `gravity` anchors the crops after it, north-west before it is set.
2. What is said of the file, and the colours `background` and `bordercolor`, hold for the whole command wherever they
   stand; colours are base64 of a name or `#rrggbb`.
3. The EXIF orientation is only applied by `auto-orient`; without it, it stays in the file, unless `strip` removes it.
4. `crop` clips its box to the picture, `extent` puts the picture on a canvas of exactly the size: in its middle, or,
   with offsets, with the canvas' corner at this place of the picture.
5. `size-limit/200k` lowers the quality of a JPEG until it fits; with `!` every format must fit, or the original is the
   answer. `$(fsize)` stands for the original's bytes.
"""

from __future__ import annotations

import re
from typing import Any

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.dialects.arguments import read_colour64, read_decimal, read_gravity, read_int, read_switch
from proxy.plan.dialects.geometry_text import read_box, read_thumbnail
from proxy.plan.dialects.imageview2 import read_output, read_quality
from proxy.plan.dialects.stage import Stage, read_pairs
from proxy.plan.geometry import Gravity
from proxy.plan.keys import shown
from proxy.plan.operations import AutoOrient, Blur, Border, Crop, Extent, Operation, Rotate, Sharpen
from proxy.plan.output import SOURCE_BYTES, Orientation, OverLimit

FLAGS = frozenset({"auto-orient", "strip"})
PIXELS = frozenset({"thumbnail", "gravity", "crop", "rotate", "blur", "sharpen", "extent", "border"})
COLOURS = frozenset({"background", "bordercolor"})
FILE = frozenset({"format", "interlace", "quality", "colors", "density", "size-limit", "ignore-error"})
_SIZE_LIMIT = re.compile(r"(?:(?P<number>[0-9]{1,10})(?P<unit>[kKmM]?)|(?P<source>\$\(fsize\)))(?P<hard>!?)")
_UNITS = {"": 1, "k": 1024, "m": 1 << 20}


def compile_mogr(tokens: list[str]) -> Stage:
    """Compile `imageMogr2`, as Qiniu has it."""
    pairs = list(read_pairs("imageMogr2", tokens, PIXELS | COLOURS | FILE, FLAGS))
    colours = read_colours(pairs)
    output: dict[str, Any] = {"orientation": Orientation.KEEP}
    if "background" in colours:
        output["background"] = colours["background"]
    operations: list[Operation] = []
    gravity = Gravity.NORTHWEST
    for name, value in pairs:
        if name == "gravity":
            gravity = read_gravity("imageMogr2: gravity", value)
        elif name in PIXELS or name == "auto-orient":
            operations += read_operation(name, value, gravity, colours)
        elif name not in COLOURS:
            output |= read_file_setting(name, value)
    return Stage(tuple(operations), output)


def compile_first_mogr(tokens: list[str]) -> Stage:
    """Compile the obsolete `imageMogr`, whose second version is written `imageMogr/v2/…`."""
    return compile_mogr(tokens[1:] if tokens and tokens[0] == "v2" else tokens)


def read_colours(pairs: list[tuple[str, str]]) -> dict[str, Colour]:
    """The colours of the whole command; the last of a name counts."""
    return {name: read_colour64(f"imageMogr2: {name}", value) for name, value in pairs if name in COLOURS}


def read_operation(name: str, value: str, gravity: Gravity, colours: dict[str, Colour]) -> tuple[Operation, ...]:
    """The operations that a parameter means."""
    what = f"imageMogr2: {name}"
    background = colours.get("background", Colour.WHITE)
    match name:
        case "auto-orient":
            return (AutoOrient(),)
        case "thumbnail":
            return (read_thumbnail(what, value),)
        case "crop":
            return (read_crop(what, value, gravity),)
        case "rotate":
            return (Rotate(float(read_int(what, value, 0, 360)), background),)
        case "blur":
            return read_blur(what, value)
        case "sharpen":
            return (Sharpen(),) if read_switch(what, value) else ()
        case "extent":
            return (read_extent(what, value, background),)
        case _:
            return (_read_border(what, value, colours.get("bordercolor", Colour.WHITE)),)


def read_crop(what: str, value: str, gravity: Gravity) -> Crop:
    """Read `300x300` or `!300x300a30a100`."""
    box = read_box(what, value)
    return Crop(box.width, box.height, gravity, *(box.offsets or (0, 0)))


def read_extent(what: str, value: str, background: Colour) -> Extent:
    """Read `!642x429`, `!642x492-10-10` or `!-3a0`."""
    box = read_box(what, value)
    if box.offsets is None:
        return Extent(box.width, box.height, background=background)
    dx, dy = box.offsets
    return Extent(box.width, box.height, Gravity.NORTHWEST, -dx, -dy, background)


def read_blur(what: str, value: str, least: float = 0.001) -> tuple[Operation, ...]:
    """Read `<radius>x<sigma>`; a sigma of 0, where it is allowed, blurs nothing."""
    radius_text, by, sigma_text = value.partition("x")
    if not by:
        raise InvalidCommand(f"{what} must be <radius>x<sigma>, got {shown(value, 20)}")
    radius = read_int(f"{what}: radius", radius_text, 1, 50)
    sigma = read_decimal(f"{what}: sigma", sigma_text, least, 1000)
    # Beyond 50 pixels, a kernel cut off at 50 is a box all the same.
    return (Blur(min(sigma, 50.0), radius),) if sigma else ()


def _read_border(what: str, value: str, colour: Colour) -> Border:
    width, by, height = value.partition("x")
    if not by:
        raise InvalidCommand(f"{what} must be <width>x<height>, got {shown(value, 20)}")
    return Border(read_int(f"{what}: width", width, 0, 10_000), read_int(f"{what}: height", height, 0, 10_000), colour)


def read_file_setting(name: str, value: str, hard: OverLimit = OverLimit.OR_ORIGINAL) -> dict[str, Any]:
    """The change to the output that a parameter means; `hard` is what a size limit with `!` does."""
    what = f"imageMogr2: {name}"
    match name:
        case "strip":
            return {"orientation": Orientation.DROP}
        case "quality":
            return read_quality(what, value)
        case "density":
            return {"density": read_int(what, value, 1, 1200)}
        case "size-limit":
            return read_size_limit(what, value, hard)
        case _:
            return read_output("imageMogr2", name, value)


def read_size_limit(what: str, value: str, hard: OverLimit) -> dict[str, Any]:
    """Read `200k`, `1m!` or `$(fsize)!`."""
    match = _SIZE_LIMIT.fullmatch(value)
    if match is None or (match["number"] and not int(match["number"])):
        raise InvalidCommand(f"{what} must be a number of bytes like 200k, 1m! or $(fsize), got {shown(value, 20)}")
    limit = SOURCE_BYTES if match["source"] else min(int(match["number"]) * _UNITS[match["unit"].lower()], 1 << 32)
    return {"max_bytes": limit, "over_limit": hard if match["hard"] else OverLimit.LOWER_QUALITY}

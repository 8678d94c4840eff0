"""Tencent COS (Cloud Infinite): Qiniu's grammar, with differences (https://cloud.tencent.com/document/product/460/6924).

`imageView2`, `imageMogr2`, `watermark`, `imageInfo`, `exif`, `imageAve`, `roundPic` and `imageslim` as in `qiniu`, but:

1. `crop/<w>x<h>` scales the picture until it covers the box, and cuts there; `crop/<w>x` and `crop/x<h>` cut one side
   only; with offsets (`crop/!<w>x<h>a<dx>a<dy>`) it is the plain crop. `cut/<w>x<h>x<dx>x<dy>` is the plain crop from
   the top left corner. `scrop/<w>x<h>` covers the box and is cut around the faces, in the middle where there are none;
   a `crop` beside it is not looked at.
2. `gravity` holds for the whole command, wherever it stands, and is the centre by default. In the middle of an axis,
   offsets along it are ignored.
3. `thumbnail/<w>x<h>/pad/1[/color/<b64>]` puts the result on a canvas of that size, #3D3D3D by default.
4. `iradius/<r>` cuts out the circle in the middle, `rradius/<r>` makes the corners round.
5. Quality is at most the original's: `q`, `quality`. `rq`, `rquality`: percent of the original's. `lq`, `lquality`: at
   least so much. A `!` takes the number as it is.
6. `size-limit/<n>!` answers the smaller one of result and original.
7. Also `flip/vertical|horizontal`, `bright`, `contrast`, `grayscale/1`, `cgif/<n>` (1: the first 30 frames of an
   animation; from 2 to 100: so many, spread over its whole time), sharpening from 10 to 300.
8. Watermarks stand in the very corner, 90 % opaque; `fontsize` counts points, 13 by default, in #3D3D3D.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from proxy.errors import InvalidCommand
from proxy.plan.animation import OverBudget
from proxy.plan.colour import Colour
from proxy.plan.dialects.arguments import read_colour64, read_gravity, read_int, read_switch
from proxy.plan.dialects.dialect import Context, Dialect
from proxy.plan.dialects.geometry_text import read_box, read_thumbnail
from proxy.plan.dialects.imagemogr2 import (
    COLOURS,
    FILE,
    FLAGS,
    PIXELS,
    read_blur,
    read_colours,
    read_file_setting,
    read_operation,
)
from proxy.plan.dialects.imageview2 import box_operations, read_output, read_quality
from proxy.plan.dialects.qiniu import COMPILERS, report
from proxy.plan.dialects.stage import Compiler, Stage, compile_pipeline, read_pairs
from proxy.plan.dialects.tencent_text import write_tencent
from proxy.plan.dialects.tencent_watermark import compile_watermark
from proxy.plan.dialects.writing import says
from proxy.plan.geometry import Gravity
from proxy.plan.keys import shown
from proxy.plan.operations import (
    AutoOrient,
    Brightness,
    Circle,
    Contrast,
    Crop,
    Extent,
    FirstFrames,
    Fit,
    Flip,
    Grayscale,
    How,
    Operation,
    Reframe,
    Resize,
    RoundCorners,
    Sharpen,
    Small,
)
from proxy.plan.output import Answer, Orientation, Output, OverLimit, QualityRule, Target
from proxy.plan.request import AskAdhoc

MAX_SIDE = 30_000
_PAD_COLOUR = Colour.parse("#3d3d3d")
_QUALITIES = {
    "q": QualityRule.AT_MOST, "quality": QualityRule.AT_MOST, "rq": QualityRule.RELATIVE,
    "rquality": QualityRule.RELATIVE, "lq": QualityRule.AT_LEAST, "lquality": QualityRule.AT_LEAST,
}  # fmt: skip
_PIXELS = (PIXELS - {"gravity"}) | {
    "cut", "scrop", "iradius", "rradius", "flip", "bright", "contrast", "grayscale",
}  # fmt: skip
_ASIDE = frozenset({"gravity", "pad", "color", "cgif"})
_MIDDLE_COLUMN = (Gravity.NORTH, Gravity.CENTRE, Gravity.SOUTH)
_MIDDLE_ROW = (Gravity.WEST, Gravity.CENTRE, Gravity.EAST)


def compile_view(tokens: list[str]) -> Stage:
    """Compile `imageView2`."""
    if not tokens or tokens[0] not in tuple("012345"):
        raise InvalidCommand(f"imageView2 needs a mode from 0 to 5, got {shown(tokens[0] if tokens else '', 20)}")
    sides: dict[str, int] = {}
    output: dict[str, Any] = {}
    names = frozenset({"w", "h", "format", "interlace", "ignore-error", "q", "rq", "lq"})
    for name, value in read_pairs("imageView2", tokens[1:], names):
        if name in ("w", "h"):
            sides[name] = read_int(f"imageView2: {name}", value, 1, MAX_SIDE)
        else:
            output |= _read_file("imageView2", name, value)
    return Stage((AutoOrient(), *box_operations(tokens[0], sides.get("w"), sides.get("h"))), output)


def _read_file(command: str, name: str, value: str) -> dict[str, Any]:
    what = f"{command}: {name}"
    if name in _QUALITIES:
        return read_quality(what, value, _QUALITIES[name], low=0)
    if name == "format" and value.lower() == "yjpeg":
        return {"target": Target.JPEG}
    return read_output(command, name, value)


def compile_mogr(tokens: list[str]) -> Stage:
    """Compile `imageMogr2`."""
    file = FILE | _QUALITIES.keys()
    pairs = list(read_pairs("imageMogr2", tokens, _PIXELS | _ASIDE | COLOURS | file, FLAGS))
    fields = dict(pairs)
    colours = read_colours(pairs)
    output: dict[str, Any] = {"orientation": Orientation.KEEP}
    if "background" in colours:
        output["background"] = colours["background"]
    gravity = read_gravity("imageMogr2: gravity", fields["gravity"]) if "gravity" in fields else None
    operations: list[Operation] = []
    for name, value in pairs:
        if name in _PIXELS or name == "auto-orient":
            operations += _read_operation(name, value, gravity, colours, fields)
        elif name in ("strip", "density", "size-limit"):
            output |= read_file_setting(name, value, OverLimit.SMALLER)
        elif name in file:
            output |= _read_file("imageMogr2", name, value)
    if "cgif" in fields:
        count = read_int("imageMogr2: cgif", fields["cgif"], 1, 100)
        if count == 1:
            operations.append(FirstFrames(30))
        else:
            output |= {"max_frames": count, "over_budget": OverBudget.FEWER}
    return Stage(tuple(operations), output)


def _read_operation(
    name: str, value: str, gravity: Gravity | None, colours: dict[str, Colour], fields: Mapping[str, str]
) -> tuple[Operation, ...]:
    what = f"imageMogr2: {name}"
    match name:
        case "thumbnail":
            return _read_thumbnail(what, value, fields)
        case "cut":
            return (_read_cut(what, value),)
        case "crop":
            return () if "scrop" in fields else _read_crop(what, value, gravity)
        case "scrop":
            return _read_smart_crop(what, value)
        case "iradius":
            return (Circle(read_int(what, value, 1, MAX_SIDE)),)
        case "rradius":
            radius = float(read_int(what, value, 1, MAX_SIDE))
            return (RoundCorners(radius, radius, even=True),)
        case "blur":
            return read_blur(what, value, least=0)
        case _:
            return _read_effect(what, name, value) or read_operation(name, value, gravity or Gravity.CENTRE, colours)


def _read_effect(what: str, name: str, value: str) -> tuple[Operation, ...]:
    match name:
        case "flip":
            return (Flip(value.lower()),)
        case "bright":
            amount = read_int(what, value, -100, 100)
            return (Brightness(amount),)
        case "contrast":
            return (Contrast(read_int(what, value, -100, 100)),)
        case "sharpen":
            return (Sharpen(amount=read_int(what, value, 10, 300) / 100),)
        case "grayscale" if read_switch(what, value):
            return (Grayscale(),)
        case _:
            return ()


def _read_thumbnail(what: str, value: str, fields: Mapping[str, str]) -> tuple[Operation, ...]:
    scaled = read_thumbnail(what, value)
    if not read_switch("imageMogr2: pad", fields.get("pad", "0")):
        return (scaled,)
    if not isinstance(scaled, Resize) or scaled.width is None or scaled.height is None:
        raise InvalidCommand("imageMogr2: pad needs a thumbnail with a width and a height")
    colour = read_colour64("imageMogr2: color", fields["color"]) if "color" in fields else _PAD_COLOUR
    return (replace(scaled, fit=Fit.INSIDE), Extent(scaled.width, scaled.height, background=colour))


def _read_crop(what: str, value: str, placed: Gravity | None) -> tuple[Operation, ...]:
    """A box that the picture is scaled to cover; the plain crop with offsets or one side."""
    box = read_box(what, value)
    gravity = placed or Gravity.CENTRE
    if box.offsets is not None:
        dx, dy = box.offsets
        if placed is None:  # then offsets count from the corner
            return (Crop(box.width, box.height, Gravity.NORTHWEST, dx, dy),)
        dx, dy = (0 if gravity in _MIDDLE_COLUMN else dx), (0 if gravity in _MIDDLE_ROW else dy)
        return (Crop(box.width, box.height, gravity, dx, dy),)
    if box.width is None or box.height is None:
        return (Crop(box.width, box.height, gravity),)
    if gravity is Gravity.CENTRE:
        return (Reframe(box.width, box.height, How.CUT, Small.ENLARGE),)
    return (Resize(box.width, box.height, Fit.COVER, enlarge=True), Crop(box.width, box.height, gravity))


def _read_smart_crop(what: str, value: str) -> tuple[Operation, ...]:
    box = read_box(what, value)
    if box.width is None or box.height is None or box.offsets is not None:
        raise InvalidCommand(f"{what} must be <width>x<height>, got {shown(value, 40)}")
    return (Resize(box.width, box.height, Fit.COVER, enlarge=True), Crop(box.width, box.height, Gravity.FACE))


def _read_cut(what: str, value: str) -> Crop:
    parts = value.split("x")
    if len(parts) != 4:
        raise InvalidCommand(f"{what} must be <width>x<height>x<dx>x<dy>, got {shown(value, 40)}")
    width, height = (read_int(what, part, 1, MAX_SIDE) for part in parts[:2])
    dx, dy = (read_int(what, part, 0, MAX_SIDE) for part in parts[2:])
    return Crop(width, height, Gravity.NORTHWEST, dx, dy)


TENCENT_COMPILERS: Mapping[str, Compiler] = {
    **COMPILERS,
    "imageView2": compile_view,
    "imageMogr2": compile_mogr,
    "watermark": compile_watermark,
    "imageInfo": report(Answer.TENCENT_INFO),
}


def compile_tencent(text: str, _: Context) -> AskAdhoc:
    """Compile a pipeline of Tencent's commands."""
    return compile_pipeline(text, TENCENT_COMPILERS)


def write(operations: tuple[Operation, ...], output: Output) -> str | None:
    """A plan as a command that compiles back to it; None where there is none."""
    text = write_tencent(operations, output)
    return text if text is not None and says(compile_tencent, text, operations, output) else None


TENCENT = Dialect("tencent", compile_tencent, commands=frozenset(TENCENT_COMPILERS), write=write)

"""A plan in Upyun's words. Whether it compiles back to the same plan is for the caller to try: the order is theirs."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from itertools import pairwise

from proxy.plan import operations as ops
from proxy.plan.colour import Colour
from proxy.plan.dialects.oss_actions import towards
from proxy.plan.dialects.writing import ANCHORS, Wordless, anchored, cut_box, offsets, whole
from proxy.plan.geometry import Gravity
from proxy.plan.operations import Axes, Fit, How, Operation, ScaleBy, Small, Towards
from proxy.plan.output import Animation, Answer, OnError, Orientation, Output, QualityRule, Target

_ANCHORS = {gravity: name.lower() for gravity, name in ANCHORS.items()}
_TOWARDS = {
    Towards.BOTTOM: "top,down", Towards.TOP: "bottom,up", Towards.RIGHT: "left,right", Towards.LEFT: "right,left",
}  # fmt: skip
_FLIPS = {"horizontal": "left,right", "vertical": "top,down"}
_FORMATS: Mapping[Target, str] = {
    Target.JPEG: "jpg", Target.PNG: "png", Target.WEBP: "webp", Target.GIF: "gif",
}  # fmt: skip


def words_of(operations: tuple[Operation, ...], output: Output) -> str | None:
    """The command for these operations and output; None if there are no words for one of them."""
    try:
        # Metadata is never kept: to strip it is what remains to be said where there is nothing to say.
        return "/" + ("/".join([*_operations(operations), *_output(output)]) or "strip/true")
    except Wordless:
        return None


def _operations(operations: tuple[Operation, ...]) -> Iterator[str]:
    rest, scaled = list(operations), False
    if any(isinstance(each, ops.Resize | ops.Area) and each.enlarge for each in rest) and not _is_exact(rest):
        yield "force/true"
    while rest:
        operation = rest.pop(0)
        if box := cut_box(operation, rest[0] if rest else None):
            del rest[0]
            yield f"both/{box[0]}x{box[1]}"
            scaled = True
            continue
        yield from _words(operation, "clip" if scaled else "crop")
        scaled = scaled or isinstance(operation, ops.Resize | ops.Reframe | ops.Scale | ops.Area | ops.Crop)


def _is_exact(operations: list[Operation]) -> bool:
    return any(cut_box(one, other) for one, other in pairwise(operations))


def _words(operation: Operation, crop: str) -> Iterator[str]:
    match operation:
        case ops.AutoOrient():
            yield "rotate/auto"
        case ops.Resize(shrink=True):
            yield _resize(operation)
        case ops.Reframe(width=w, height=h, how=How.CUT, small=Small.STRETCH):
            yield f"both/{w}x{h}/force/true"
        case ops.Scale(horizontal=x, vertical=y):
            yield from [f"scale/{x:.0f}"] if x == y else _stretch(x, y)
        case ops.Area(pixels=pixels):
            yield f"fp/{pixels}"
        case ops.Crop(gravity=gravity):
            box = f"{operation.width or 0}x{operation.height or 0}"
            anchor = "" if gravity is Gravity.NORTHWEST else f"/gravity/{anchored(gravity, _ANCHORS)}"
            yield f"{crop}/{box}{_offsets(*towards(gravity, operation.dx, operation.dy))}{anchor}"
        case ops.Rotate(degrees=degrees):
            yield f"rotate/{degrees:.0f}"
        case ops.Watermark() | ops.Text():
            yield "/".join(["watermark", *_mark(operation)])
        case _:
            yield _effect(operation)


def _stretch(horizontal: float, vertical: float) -> Iterator[str]:
    for name, percent in (("wscale", horizontal), ("hscale", vertical)):
        if percent != 100:
            yield f"{name}/{percent:.0f}"


def _resize(operation: ops.Resize) -> str:
    width, height, second = operation.width, operation.height, "2" if operation.fit is Fit.COVER else ""
    if operation.fit is Fit.FILL:
        raise Wordless
    if width is None or height is None:
        return f"fh/{height}" if width is None else f"fw/{width}"
    return f"{'fxfn' if operation.axes is Axes.LONG_SHORT else 'fwfh'}{second}/{width}x{height}"


def _effect(operation: Operation) -> str:
    match operation:
        case ops.Flip(direction=direction):
            return f"flip/{_FLIPS[direction]}"
        case ops.Sharpen():
            return "unsharp/true"
        case ops.Blur(sigma=sigma, radius=radius):
            return f"gaussblur/{radius or 0}x{sigma:g}"
        case ops.Gradient(towards=towards, start=start, stop=stop):
            place = "" if (start, stop) == (0, None) else f"/gdpos/{start},{stop}"
            colours = f"/gdstartcolor/{_hex(operation.start_colour)}/gdstopcolor/{_hex(operation.stop_colour)}"
            return f"gdori/{_TOWARDS[towards]}{place}{colours}"
        case ops.RoundCorners(x=x):
            return f"roundrect/{x:.0f}"
        case ops.Border(width=width, height=height, colour=colour):
            return f"border/{width}x{height}{_coloured('brdcolor', colour)}"
        case ops.Extent(width=int(w), height=int(h), gravity=gravity, background=colour):
            offsets = _offsets(operation.dx, operation.dy) if gravity is not Gravity.CENTRE else ""
            placed = offsets or ("" if gravity is Gravity.CENTRE else "a0a0")
            return f"canvas/{w}x{h}{placed}{_coloured('cvscolor', colour)}"
        case _:
            raise Wordless


def _offsets(right: int, down: int) -> str:
    return offsets(right, down, "s") if right or down else ""


def _mark(mark: ops.Watermark | ops.Text) -> Iterator[str]:
    if isinstance(mark, ops.Watermark):
        yield f"url/{_encoded(mark.image)}"
        if mark.scale_by is ScaleBy.SHORT:
            yield f"percent/{whole(mark.scale * 100)}"
    else:
        yield f"text/{_encoded(mark.text)}/size/{whole(mark.size_px)}/font/{mark.font}"
        if mark.colour != Colour.BLACK:
            yield f"color/{_hex(mark.colour)}"
        if mark.outline.alpha:
            yield f"border/{_hex(mark.outline)}"
    if mark.tile:
        yield "repeat/true"
    elif mark.gravity is not Gravity.NORTHWEST:
        yield f"align/{anchored(mark.gravity, _ANCHORS)}"
    if (mark.dx, mark.dy) != (20, 20):
        if min(mark.dx, mark.dy) < 0:
            raise Wordless
        yield f"margin/{mark.dx}x{mark.dy}"
    if mark.opacity != 100:
        yield f"opacity/{mark.opacity}"


def _encoded(text: str) -> str:
    """Text in standard base64, with a bar in place of each slash."""
    return base64.b64encode(text.encode()).decode().replace("/", "|")


def _coloured(name: str, colour: Colour) -> str:
    return "" if colour == Colour.WHITE else f"/{name}/{_hex(colour)}"


def _hex(colour: Colour) -> str:
    return f"{colour.red:02X}{colour.green:02X}{colour.blue:02X}{255 - colour.alpha:02X}"


def _output(output: Output) -> Iterator[str]:
    if output.target in _FORMATS:
        yield f"format/{_FORMATS[output.target]}"
    if output.quality is not None:
        if output.quality_rule is not QualityRule.EXACT:
            raise Wordless
        yield f"quality/{output.quality}"
    for word, holds in (
        ("lossless", output.lossless),
        ("compress", output.effort is not None),
        ("progressive", output.progressive),
        ("gifto", output.animation is Animation.FIRST),
        ("exifswitch", output.orientation is Orientation.KEEP),
        ("ignore-error", output.on_error is OnError.ORIGINAL),
    ):
        if holds:
            yield f"{word}/true"
    if output.answer is Answer.UPYUN_INFO:
        yield "info"
    elif output.answer is Answer.UPYUN_META:
        yield "meta"
    elif output.answer is Answer.UPYUN_COLOURS:
        yield f"excolor/{output.entries}"
    elif output.answer is Answer.UPYUN_COLOURS_DECIMAL:
        yield f"excolor/{output.entries}/exformat/dec"
    elif output.answer is not Answer.PICTURE:
        raise Wordless

"""A plan in Qiniu's words: what `/-/explain` shows, and how a preset is carried to a console.

What is written is the shortest run of imageMogr2 that says it, with imageView2 where only that never enlarges. Whether
it compiles back to the same plan is for the caller to try: `qiniu.write` does.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.operations import (
    MAX_SIDE,
    Area,
    AutoOrient,
    Axes,
    Blur,
    Border,
    Crop,
    Extent,
    Fit,
    How,
    Operation,
    Reframe,
    Resize,
    Rotate,
    RoundCorners,
    Scale,
    Sharpen,
    Small,
    Unit,
)
from proxy.plan.output import Animation, Answer, Format, OnError, Orientation, Output, QualityRule, Target

_GRAVITIES = {
    Gravity.NORTHWEST: "NorthWest", Gravity.NORTH: "North", Gravity.NORTHEAST: "NorthEast", Gravity.WEST: "West",
    Gravity.CENTRE: "Center", Gravity.EAST: "East", Gravity.SOUTHWEST: "SouthWest", Gravity.SOUTH: "South",
    Gravity.SOUTHEAST: "SouthEast",
}  # fmt: skip
_REPORTS = {Answer.QINIU_INFO: "imageInfo", Answer.EXIF: "exif", Answer.AVERAGE: "imageAve"}


class _Wordless(Exception):
    """Qiniu cannot say this."""


def write_qiniu(operations: tuple[Operation, ...], output: Output) -> str | None:
    """The command for these operations and output; None if there is none."""
    try:
        fops = list(_fops(operations, output))
    except _Wordless:
        return None
    return "|".join(fops) or "imageMogr2"


def _fops(operations: tuple[Operation, ...], output: Output) -> Iterator[str]:
    """Runs of what imageMogr2 says, between what has a command of its own."""
    background = _one_background(operations, output)
    run: list[str] = []
    rest = list(operations)
    while rest:
        operation = rest.pop(0)
        command = _own_command(operation, rest[0] if rest else None)
        if command is None:
            run += _words(operation)
            continue
        if command.startswith("imageView2/1/"):
            del rest[0]
        if run and not (run == ["auto-orient"] and command.startswith("imageView2")):  # which does it anyway
            yield _mogr([*run, *background])
        run = []
        yield command
    said = list(_output_words(output))
    alone = output.answer is not Answer.PICTURE and not operations
    if output.orientation is Orientation.DROP and AutoOrient() not in operations and not alone:
        said.append("strip")
    if run or said or background:
        yield _mogr([*run, *background, *said])
    if output.answer is not Answer.PICTURE:
        if output.answer not in _REPORTS:
            raise _Wordless
        yield _REPORTS[output.answer]


def _mogr(words: list[str]) -> str:
    return "imageMogr2/" + "/".join(words)


def _one_background(operations: tuple[Operation, ...], output: Output) -> list[str]:
    """The word for the background, which is one for the whole command."""
    used = {operation.background for operation in operations if isinstance(operation, Extent)}
    used |= {
        operation.background for operation in operations if isinstance(operation, Rotate) and operation.degrees % 90
    }
    if used - {output.background}:
        raise _Wordless
    return [] if output.background == Colour.WHITE else [_coloured("background", output.background)]


def _own_command(operation: Operation, following: Operation | None) -> str | None:
    """The command for an operation that imageMogr2 has no words for, perhaps together with the one that follows."""
    match operation:
        case Resize(fit=Fit.INSIDE, enlarge=False, shrink=True, axes=Axes.LONG_SHORT):
            return _view(0, operation.width, operation.height)
        case Resize(fit=Fit.COVER, enlarge=False, shrink=True, width=width, height=height) if width and height:
            if operation.axes is Axes.LONG_SHORT:
                return _view(4, width, height)
            return _view(1 if following == Crop(width, height, Gravity.CENTRE) else 3, width, height)
        case Resize(axes=Axes.LONG_SHORT) | Reframe(axes=Axes.WIDTH_HEIGHT):
            raise _Wordless
        case Reframe(how=How.CUT, small=Small.CLIP, axes=Axes.LONG_SHORT):
            return _view(5, operation.width, operation.height)
        case RoundCorners(even=False, x=x, y=y) if x.is_integer() and y.is_integer() and x and y:
            a, b = ("!", "p") if operation.unit is Unit.PERCENT else ("", "")
            return f"roundPic/radiusx/{a}{x:.0f}{b}/radiusy/{a}{y:.0f}{b}"
        case Reframe() | RoundCorners():
            raise _Wordless
        case _:
            return None


def _view(mode: int, width: int | None, height: int | None) -> str:
    if max(width or 0, height or 0) > 9999:
        raise _Wordless
    sides = (f"/w/{width}" if width else "") + (f"/h/{height}" if height else "")
    return f"imageView2/{mode}{sides}"


def _words(operation: Operation) -> list[str]:
    """The words of imageMogr2 for an operation."""
    match operation:
        case AutoOrient():
            return ["auto-orient"]
        case Resize() | Scale() | Area():
            return [f"thumbnail/{_thumbnail(operation)}"]
        case Crop(gravity=gravity) if gravity in _GRAVITIES:
            return [f"gravity/{_GRAVITIES[gravity]}", f"crop/!{_box(operation)}{_offsets(operation.dx, operation.dy)}"]
        case Rotate(degrees=degrees) if degrees.is_integer() and 0 < degrees <= 360:
            return [f"rotate/{degrees:.0f}"]
        case Blur(radius=radius) if radius is not None and operation.sigma >= 0.001:
            return [f"blur/{radius}x{operation.sigma:.9f}"]
        case Sharpen(sigma=0.8, amount=1.0):
            return ["sharpen/1"]
        case Extent(gravity=Gravity.CENTRE, dx=0, dy=0) if operation.width or operation.height:
            return [f"extent/!{_box(operation)}"]
        case Extent(gravity=Gravity.NORTHWEST):
            return [f"extent/!{_box(operation)}{_offsets(-operation.dx, -operation.dy)}"]
        case Border(width=width, height=height, colour=colour) if max(width, height) <= 10_000:
            return [f"border/{width}x{height}", *([] if colour == Colour.WHITE else [_coloured("bordercolor", colour)])]
        case _:
            raise _Wordless


def _thumbnail(operation: Resize | Scale | Area) -> str:
    match operation:
        case Scale(horizontal=x, vertical=y):
            if not (x.is_integer() and y.is_integer() and x <= 1000 and y <= 1000):
                raise _Wordless
            return f"!{x:.0f}p" if x == y else f"!{x:.0f}px{y:.0f}p"
        case Area(pixels=pixels, enlarge=enlarge):
            if enlarge != (pixels <= 25_000_000):
                raise _Wordless
            return f"{pixels}@"
        case Resize():
            return _resize(operation)


def _resize(operation: Resize) -> str:
    box = _box(operation)
    large = max(operation.width or 0, operation.height or 0) > 10_000
    match operation:
        case Resize(fit=Fit.INSIDE, enlarge=False, shrink=True):
            return box if large else f"{box}>"
        case _ if (
            large or operation.enlarge is False or (operation.shrink is False and operation.fit is not Fit.INSIDE)
        ):
            raise _Wordless
        case Resize(fit=Fit.INSIDE, shrink=False):
            return f"{box}<"
        case Resize(fit=Fit.COVER):
            return f"!{box}r"
        case Resize(fit=Fit.FILL):
            return f"{box}!"
        case _:
            return box


def _box(operation: Resize | Crop | Extent) -> str:
    if operation.width is None and operation.height is None:
        return ""
    if max(operation.width or 0, operation.height or 0) > MAX_SIDE:
        raise _Wordless
    return f"{operation.width or ''}x{operation.height or ''}"


def _offsets(dx: int, dy: int) -> str:
    if max(abs(dx), abs(dy)) > 10_000:
        raise _Wordless
    return "".join(f"{'a' if value >= 0 else '-'}{abs(value)}" for value in (dx, dy))


def _coloured(name: str, colour: Colour) -> str:
    return f"{name}/{base64.urlsafe_b64encode(str(colour).encode()).decode()}"


def _output_words(output: Output) -> Iterator[str]:
    known = output.target.known_format
    if known is Format.ICO or output.target is Target.PLAIN or output.max_bytes is not None or output.slim:
        raise _Wordless
    if output.quality_rule not in (QualityRule.EXACT, QualityRule.CORRECTED) or output.effort is not None:
        raise _Wordless
    if output.lossless or output.animation is not Animation.KEEP or output.animated is not None:
        raise _Wordless
    if known is not None:
        yield f"format/{known.extension}"
    if output.progressive:
        yield "interlace/1"
    if output.quality is not None:
        yield f"quality/{output.quality}{'!' if output.quality_rule is QualityRule.EXACT else ''}"
    if output.palette is not None:
        yield f"colors/{output.palette}"
    if output.density is not None:
        yield f"density/{output.density}"
    if output.on_error is OnError.ORIGINAL:
        yield "ignore-error/1"

"""A plan in Upyun's words. Whether it compiles back to the same plan is for the caller to try: the order is theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from proxy.plan.colour import Colour
from proxy.plan.dialects.oss_actions import towards
from proxy.plan.geometry import Gravity
from proxy.plan.operations import (
    Area,
    AutoOrient,
    Axes,
    Blur,
    Border,
    Crop,
    Extent,
    Fit,
    Flip,
    How,
    Operation,
    Reframe,
    Resize,
    Rotate,
    RoundCorners,
    Scale,
    Sharpen,
    Small,
)
from proxy.plan.output import Animation, Answer, OnError, Orientation, Output, QualityRule, Target

_GRAVITIES = {
    gravity: "center" if gravity is Gravity.CENTRE else gravity.value
    for gravity in Gravity
    if not gravity.looks_at_pixels
}
_FLIPS = {"horizontal": "left,right", "vertical": "top,down"}
_FORMATS: Mapping[Target, str] = {
    Target.JPEG: "jpg", Target.PNG: "png", Target.WEBP: "webp", Target.GIF: "gif",
}  # fmt: skip


class _Wordless(Exception):
    """Upyun cannot say this."""


def words_of(operations: tuple[Operation, ...], output: Output) -> str | None:
    """The command for these operations and output; None if there are no words for one of them."""
    try:
        # Metadata is never kept: to strip it is what remains to be said where there is nothing to say.
        return "/" + ("/".join([*_operations(operations), *_output(output)]) or "strip/true")
    except _Wordless:
        return None


def _operations(operations: tuple[Operation, ...]) -> Iterator[str]:
    rest, scaled = list(operations), False
    if any(isinstance(each, Resize | Area) and each.enlarge for each in rest) and not _is_exact(rest):
        yield "force/true"
    while rest:
        operation = rest.pop(0)
        if rest and _exact(operation, rest[0]):
            yield _exact(operation, rest.pop(0))
            scaled = True
            continue
        yield from _words(operation, "clip" if scaled else "crop")
        scaled = scaled or isinstance(operation, Resize | Reframe | Scale | Area | Crop)


def _is_exact(operations: list[Operation]) -> bool:
    return any(_exact(one, other) for one, other in pairwise(operations))


def _exact(operation: Operation, following: Operation) -> str:
    """`both` for the two operations it consists of; empty for any others."""
    match operation:
        case Resize(width=int(w), height=int(h), fit=Fit.COVER, enlarge=True) if following == Crop(
            w, h, Gravity.CENTRE
        ):
            return f"both/{w}x{h}"
        case _:
            return ""


def _words(operation: Operation, crop: str) -> Iterator[str]:
    match operation:
        case AutoOrient():
            yield "rotate/auto"
        case Resize(shrink=True):
            yield _resize(operation)
        case Reframe(width=w, height=h, how=How.CUT, small=Small.STRETCH):
            yield f"both/{w}x{h}/force/true"
        case Scale(horizontal=x, vertical=y):
            yield from [f"scale/{x:.0f}"] if x == y else _stretch(x, y)
        case Area(pixels=pixels):
            yield f"fp/{pixels}"
        case Crop(gravity=gravity) if gravity in _GRAVITIES:
            box = f"{operation.width or 0}x{operation.height or 0}"
            anchor = "" if gravity is Gravity.NORTHWEST else f"/gravity/{_GRAVITIES[gravity]}"
            yield f"{crop}/{box}{_offsets(*towards(gravity, operation.dx, operation.dy))}{anchor}"
        case Rotate(degrees=degrees):
            yield f"rotate/{degrees:.0f}"
        case _:
            yield _effect(operation)


def _stretch(horizontal: float, vertical: float) -> Iterator[str]:
    for name, percent in (("wscale", horizontal), ("hscale", vertical)):
        if percent != 100:
            yield f"{name}/{percent:.0f}"


def _resize(operation: Resize) -> str:
    width, height, second = operation.width, operation.height, "2" if operation.fit is Fit.COVER else ""
    if operation.fit is Fit.FILL:
        raise _Wordless
    if width is None or height is None:
        return f"fh/{height}" if width is None else f"fw/{width}"
    return f"{'fxfn' if operation.axes is Axes.LONG_SHORT else 'fwfh'}{second}/{width}x{height}"


def _effect(operation: Operation) -> str:
    match operation:
        case Flip(direction=direction):
            return f"flip/{_FLIPS[direction]}"
        case Sharpen():
            return "unsharp/true"
        case Blur(sigma=sigma, radius=radius):
            return f"gaussblur/{radius or 0}x{sigma:g}"
        case RoundCorners(x=x):
            return f"roundrect/{x:.0f}"
        case Border(width=width, height=height, colour=colour):
            return f"border/{width}x{height}{_coloured('brdcolor', colour)}"
        case Extent(width=int(w), height=int(h), gravity=gravity, background=colour):
            offsets = _offsets(operation.dx, operation.dy) if gravity is not Gravity.CENTRE else ""
            placed = offsets or ("" if gravity is Gravity.CENTRE else "a0a0")
            return f"canvas/{w}x{h}{placed}{_coloured('cvscolor', colour)}"
        case _:
            raise _Wordless


def _offsets(right: int, down: int) -> str:
    if not right and not down:
        return ""
    return "".join(f"{'s' if value < 0 else 'a'}{abs(value)}" for value in (right, down))


def _coloured(name: str, colour: Colour) -> str:
    if colour == Colour.WHITE:
        return ""
    return f"/{name}/{colour.red:02X}{colour.green:02X}{colour.blue:02X}{255 - colour.alpha:02X}"


def _output(output: Output) -> Iterator[str]:
    if output.target in _FORMATS:
        yield f"format/{_FORMATS[output.target]}"
    if output.quality is not None:
        if output.quality_rule is not QualityRule.EXACT:
            raise _Wordless
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
    elif output.answer is not Answer.PICTURE:
        raise _Wordless

"""One spelling for each meaning: equal pictures must come from equal operations, or they are rendered twice.

Compilers write what their vendor's words say; `tidy` rewrites it where two ways of saying it make the same pixels.
Every rule here keeps the result of every picture, to the pixel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.operations import (
    Area,
    AutoOrient,
    Axes,
    Blur,
    Border,
    Crop,
    Extent,
    FirstFrames,
    Fit,
    Flatten,
    Flip,
    Gradient,
    Grayscale,
    How,
    Operation,
    Reframe,
    Resize,
    Rotate,
    Scale,
    Sharpen,
    Slice,
    Small,
    Text,
    Watermark,
)


def tidy(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """The operations in their one spelling."""
    tidied: list[Operation] = []
    upright = opaque = False
    for operation in operations:
        if isinstance(operation, AutoOrient):
            if not upright:  # a second one finds nothing left to do
                tidied.append(operation)
            upright = True
        elif isinstance(operation, Flatten):
            if not opaque:  # nor does this one
                tidied.append(operation)
            opaque = True
        else:
            opaque = opaque and _stays_opaque(operation)
            tidied += _tidied(operation)
    return tuple(tidied)


def _stays_opaque(operation: Operation) -> bool:
    """Whether an opaque picture is certainly opaque after it."""
    match operation:
        case Rotate(background=colour) | Extent(background=colour) | Reframe(background=colour) | Border(colour=colour):
            return colour.alpha == 255
        case _:
            return isinstance(operation, _OPAQUE)


_OPAQUE = (Resize, Scale, Area, Crop, Slice, Flip, Blur, Sharpen, Grayscale, FirstFrames, Gradient, Watermark, Text)


def _tidied(operation: Operation) -> Iterator[Operation]:
    match operation:
        case Rotate():
            yield from _rotate(operation)
        case Resize():
            yield _resize(operation)
        case Reframe():
            yield from _reframe(operation)
        case Scale(horizontal=100.0, vertical=100.0) | Border(width=0, height=0):
            pass
        case Crop(width=None, height=None, dx=0, dy=0) | Extent(width=None, height=None, dx=0, dy=0):
            pass
        case Blur(radius=radius) if radius is not None and radius >= 4 * operation.sigma:
            yield replace(operation, radius=None)  # nothing is left to cut off
        case _:
            yield operation


def _rotate(operation: Rotate) -> Iterator[Operation]:
    """0 to 360 degrees, nothing for no rotation, no background where no corner opens."""
    if degrees := operation.degrees % 360:
        background = operation.background if degrees % 90 else Colour.WHITE
        yield Rotate(float(degrees), background)


def _resize(operation: Resize) -> Resize:
    """Boxes of long and short sides that are the same for every picture, as boxes of width and height."""
    if operation.axes is Axes.WIDTH_HEIGHT or operation.fit is Fit.FILL:
        return operation
    long, short = operation.width, operation.height
    if long == short:
        return replace(operation, axes=Axes.WIDTH_HEIGHT)
    if short is None:  # the long side fits exactly where both sides fit
        return replace(operation, height=long, fit=Fit.INSIDE, axes=Axes.WIDTH_HEIGHT)
    if long is None:  # the short side fits exactly where both sides are covered
        return replace(operation, width=short, fit=Fit.COVER, axes=Axes.WIDTH_HEIGHT)
    return operation


def _reframe(operation: Reframe) -> Iterator[Operation]:
    """The cases without a rule of their own for small pictures, as the two operations they consist of."""
    width, height = operation.width, operation.height
    if width == height:
        operation = replace(operation, axes=Axes.WIDTH_HEIGHT)
    if operation.how is not How.PAD:
        operation = replace(operation, background=Colour.WHITE)
    if operation.small in (Small.KEEP, Small.STRETCH) or operation.axes is Axes.LONG_SHORT:
        yield operation
        return
    enlarge = operation.small is Small.ENLARGE
    match operation.how:
        case How.CUT:
            yield Resize(width, height, Fit.COVER, enlarge)
            yield Crop(width, height, Gravity.CENTRE)
        case How.PAD:
            yield Resize(width, height, Fit.INSIDE, enlarge)
            yield Extent(width, height, background=operation.background)
        case How.DISTORT:
            yield Resize(width, height, Fit.FILL, enlarge)

"""A plan in the words of the object stores. Whether it compiles back to the same plan is for the caller to try."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from proxy.plan.colour import Colour
from proxy.plan.dialects.oss_actions import towards
from proxy.plan.dialects.oss_arguments import OssRules
from proxy.plan.geometry import Gravity
from proxy.plan.operations import (
    Along,
    AutoOrient,
    Axes,
    Blur,
    Brightness,
    Circle,
    Contrast,
    Crop,
    CutTo,
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
    Slice,
    Small,
)
from proxy.plan.output import Answer, Output, QualityRule, Target

_MODES = {How.CUT: "fill", How.PAD: "pad", How.DISTORT: "fixed"}
_FITS = {Fit.INSIDE: "", Fit.COVER: ",m_mfit", Fit.FILL: ",m_fixed"}
_FORMATS: Mapping[Target, str] = {
    Target.JPEG: "jpg", Target.PNG: "png", Target.WEBP: "webp", Target.BMP: "bmp", Target.GIF: "gif",
    Target.TIFF: "tiff", Target.AVIF: "avif",
}  # fmt: skip
_RULES = {QualityRule.AT_MOST: "Q", QualityRule.RELATIVE: "q"}


class _Wordless(Exception):
    """The language cannot say this."""


def actions_of(operations: tuple[Operation, ...], output: Output, rules: OssRules) -> str | None:
    """The process for these operations and output; None if there are no words for one of them."""
    try:
        actions = [*_actions(operations, output, rules), *_settings(output, rules)]
    except _Wordless:
        return None
    return "image/" + ("/".join(actions) or "auto-orient,1")


def _actions(operations: tuple[Operation, ...], output: Output, rules: OssRules) -> Iterator[str]:
    rest = list(operations)
    if AutoOrient() in rest[:1]:
        del rest[0]
    elif operations or output.answer is Answer.PICTURE:
        yield "auto-orient,0"
    while rest:
        operation = rest.pop(0)
        exact = _exact(operation, rest[0]) if rest else None
        if exact is not None:
            del rest[0]
        yield exact or _action(operation, rules)


def _exact(operation: Operation, following: Operation) -> str | None:
    """The mode for an enlarging resize and the crop or canvas that makes it exact."""
    match operation, following:
        case Resize(width=int(w), height=int(h), fit=Fit.COVER, enlarge=True), Crop() if following == Crop(
            w, h, Gravity.CENTRE
        ):
            return f"resize,m_fill,w_{w},h_{h},limit_0"
        case Resize(width=int(w), height=int(h), fit=Fit.INSIDE, enlarge=True), Extent(background=colour) if (
            following == Extent(w, h, background=colour)
        ):
            return f"resize,m_pad,w_{w},h_{h}{_coloured(colour)},limit_0"
        case _:
            return None


def _action(operation: Operation, rules: OssRules) -> str:
    match operation:
        case Resize(shrink=True):
            limit = ",limit_0" if operation.enlarge else ""
            return f"resize{_FITS[operation.fit]}{_sides(operation)}{limit}"
        case Reframe(small=Small.KEEP | Small.ENLARGE):
            limit = ",limit_0" if operation.small is Small.ENLARGE else ""
            return f"resize,m_{_MODES[operation.how]}{_sides(operation)}{_coloured(operation.background)}{limit}"
        case Scale(horizontal=x, vertical=y) if x == y and x.is_integer():
            limit = ",limit_0" if x > 100 and rules.percent_is_limited else ""
            return f"resize,p_{x:.0f}{limit}"
        case CutTo(gravity=Gravity.CENTRE) if rules.ratios:
            return f"resize,m_ratio,w_{operation.across},h_{operation.down}"
        case Crop():
            return _crop(operation, rules)
        case Slice(length=length, index=index):
            return f"indexcrop,{'x' if operation.along is Along.WIDTH else 'y'}_{length},i_{index}"
        case Circle(radius=radius):
            return f"circle,r_{radius}"
        case RoundCorners(x=x, even=True):
            return f"rounded-corners,r_{x:.0f}"
        case _:
            return _effect(operation, rules)


def _effect(operation: Operation, rules: OssRules) -> str:
    match operation:
        case Rotate(degrees=degrees):
            return f"rotate,{degrees:.0f}"
        case Blur(sigma=sigma, radius=radius):
            return f"blur,r_{radius or min(50, math.ceil(4 * sigma))},s_{sigma:.0f}"
        case Sharpen(amount=amount):
            return f"sharpen,{amount * 100:.0f}"
        case Brightness(amount=level):
            return f"bright,{level}"
        case Contrast(amount=level):
            return f"contrast,{level}"
        case Flip(direction=direction) if rules.flips:
            return f"flip,{direction}"
        case _:
            raise _Wordless


def _sides(operation: Resize | Reframe) -> str:
    names = "ls" if operation.axes is Axes.LONG_SHORT else "wh"
    pair = zip(names, (operation.width, operation.height), strict=True)
    return "".join(f",{name}_{side}" for name, side in pair if side is not None)


def _coloured(colour: Colour) -> str:
    return "" if colour == Colour.WHITE else f",color_{str(colour)[1:].upper()}"


def _crop(operation: Crop, rules: OssRules) -> str:
    names = {gravity: name for name, gravity in rules.anchors.items()}
    if operation.gravity not in names:
        raise _Wordless
    x, y = towards(operation.gravity, operation.dx, operation.dy)
    given = {"w": operation.width, "h": operation.height, "x": x or None, "y": y or None}
    words = "".join(f",{name}_{value}" for name, value in given.items() if value is not None)
    return f"crop{words}" + ("" if operation.gravity is Gravity.NORTHWEST else f",g_{names[operation.gravity]}")


def _settings(output: Output, rules: OssRules) -> Iterator[str]:
    if output.target in _FORMATS:
        yield f"format,{_FORMATS[output.target]}"
    if output.quality is not None:
        if output.quality_rule not in _RULES:
            raise _Wordless
        yield f"quality,{_RULES[output.quality_rule]}_{output.quality}"
    if output.progressive:
        yield "interlace,1"
    if output.answer is rules.info:
        yield "info"
    elif output.answer is Answer.AVERAGE:
        yield "average-hue"

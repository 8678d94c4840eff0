"""A plan in the words of the object stores. Whether it compiles back to the same plan is for the caller to try."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from proxy.plan import operations as ops
from proxy.plan.colour import Colour
from proxy.plan.dialects.oss_actions import towards
from proxy.plan.dialects.oss_arguments import OssRules
from proxy.plan.dialects.oss_marks_text import mark_action
from proxy.plan.dialects.writing import Wordless, anchored, cut_box, padded_box
from proxy.plan.geometry import Gravity
from proxy.plan.operations import Along, AutoOrient, Axes, Fit, How, Operation, Small
from proxy.plan.output import Answer, Output, QualityRule, Target

_MODES = {How.CUT: "fill", How.PAD: "pad", How.DISTORT: "fixed"}
_FITS = {Fit.INSIDE: "", Fit.COVER: ",m_mfit", Fit.FILL: ",m_fixed"}
_FORMATS: Mapping[Target, str] = {
    Target.JPEG: "jpg", Target.PNG: "png", Target.WEBP: "webp", Target.BMP: "bmp", Target.GIF: "gif",
    Target.TIFF: "tiff", Target.AVIF: "avif",
}  # fmt: skip
_RULES = {QualityRule.AT_MOST: "Q", QualityRule.RELATIVE: "q"}


def actions_of(operations: tuple[Operation, ...], output: Output, rules: OssRules) -> str | None:
    """The process for these operations and output; None if there are no words for one of them."""
    try:
        actions = [*_actions(operations, output, rules), *_settings(output, rules)]
    except Wordless:
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
    if box := cut_box(operation, following):
        return f"resize,m_fill,w_{box[0]},h_{box[1]},limit_0"
    if padded := padded_box(operation, following):
        width, height, colour = padded
        return f"resize,m_pad,w_{width},h_{height}{_coloured(colour)},limit_0"
    return None


def _action(operation: Operation, rules: OssRules) -> str:
    match operation:
        case ops.Resize(shrink=True):
            limit = ",limit_0" if operation.enlarge else ""
            return f"resize{_FITS[operation.fit]}{_sides(operation)}{limit}"
        case ops.Reframe(small=Small.KEEP | Small.ENLARGE):
            limit = ",limit_0" if operation.small is Small.ENLARGE else ""
            return f"resize,m_{_MODES[operation.how]}{_sides(operation)}{_coloured(operation.background)}{limit}"
        case ops.Scale(horizontal=x, vertical=y) if x == y and x.is_integer():
            limit = ",limit_0" if x > 100 and rules.percent_is_limited else ""
            return f"resize,p_{x:.0f}{limit}"
        case ops.CutTo(gravity=Gravity.CENTRE) if rules.ratios:
            return f"resize,m_ratio,w_{operation.across},h_{operation.down}"
        case ops.Crop():
            return _crop(operation, rules)
        case ops.Slice(length=length, index=index):
            return f"indexcrop,{'x' if operation.along is Along.WIDTH else 'y'}_{length},i_{index}"
        case ops.Circle(radius=radius):
            return f"circle,r_{radius}"
        case ops.RoundCorners(x=x, even=True):
            return f"rounded-corners,r_{x:.0f}"
        case ops.Watermark() | ops.Text() | ops.MarkRow():
            return mark_action(operation, rules, lambda each: _action(each, rules))
        case _:
            return _effect(operation, rules)


def _effect(operation: Operation, rules: OssRules) -> str:
    match operation:
        case ops.Rotate(degrees=degrees):
            return f"rotate,{degrees:.0f}"
        case ops.Blur(sigma=sigma, radius=radius):
            return f"blur,r_{radius or min(50, math.ceil(4 * sigma))},s_{sigma:.0f}"
        case ops.Sharpen(amount=amount):
            return f"sharpen,{amount * 100:.0f}"
        case ops.Brightness(amount=level):
            return f"bright,{level}"
        case ops.Contrast(amount=level):
            return f"contrast,{level}"
        case ops.Flip(direction=direction) if rules.flips:
            return f"flip,{direction}"
        case _:
            raise Wordless


def _sides(operation: ops.Resize | ops.Reframe) -> str:
    names = "ls" if operation.axes is Axes.LONG_SHORT else "wh"
    pair = zip(names, (operation.width, operation.height), strict=True)
    return "".join(f",{name}_{side}" for name, side in pair if side is not None)


def _coloured(colour: Colour) -> str:
    return "" if colour == Colour.WHITE else f",color_{str(colour)[1:].upper()}"


def _crop(operation: ops.Crop, rules: OssRules) -> str:
    anchor = anchored(operation.gravity, {gravity: name for name, gravity in rules.anchors.items()})
    x, y = towards(operation.gravity, operation.dx, operation.dy)
    given = {"w": operation.width, "h": operation.height, "x": x or None, "y": y or None}
    words = "".join(f",{name}_{value}" for name, value in given.items() if value is not None)
    return f"crop{words}" + ("" if operation.gravity is Gravity.NORTHWEST else f",g_{anchor}")


def _settings(output: Output, rules: OssRules) -> Iterator[str]:
    if output.target in _FORMATS:
        yield f"format,{_FORMATS[output.target]}"
    if output.quality is not None:
        if output.quality_rule not in _RULES:
            raise Wordless
        yield f"quality,{_RULES[output.quality_rule]}_{output.quality}"
    if output.progressive:
        yield "interlace,1"
    if output.answer is rules.info:
        yield "info"
    elif output.answer is Answer.AVERAGE:
        yield "average-hue"

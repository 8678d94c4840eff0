"""The actions of the object stores that change pixels, but for `resize` and `watermark`.

    crop,w_<n>,h_<n>,x_<n>,y_<n>,g_<anchor>     a box, clipped to the picture; a missing side reaches to the border
    indexcrop,x_<n>,i_<n>  or  y_<n>            slice i of slices n pixels long; a slice that does not exist: all of it
    circle,r_<n>                                the circle in the middle, on its square
    rounded-corners,r_<n>                       round corners
    rotate,<0-360>    blur,r_<1-50>,s_<1-50>    sharpen,<50-399>    bright,<n>    contrast,<n>    from -100 to 100
    flip,<vertical|horizontal>                  at Huawei

`x` and `y` of a crop count to the right and down from where `g` puts the box, in the south-east too: a box there sticks
out and is clipped (https://www.alibabacloud.com/help/zh/doc-detail/44693.htm).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from proxy.errors import InvalidCommand
from proxy.plan.dialects.arguments import read_gravity, read_int
from proxy.plan.dialects.oss_arguments import BOTTOM, RIGHT, OssRules, read_fields, read_single
from proxy.plan.dialects.oss_resize import compile_resize
from proxy.plan.geometry import Gravity
from proxy.plan.keys import shown
from proxy.plan.operations import (
    MAX_SIDE,
    Along,
    Blur,
    Brightness,
    Circle,
    Contrast,
    Crop,
    Flip,
    Operation,
    Rotate,
    RoundCorners,
    Sharpen,
    Slice,
)

MAX_RADIUS = 4096
Compiler = Callable[[Sequence[str], OssRules], tuple[Operation, ...]]


def _resize(tokens: Sequence[str], rules: OssRules) -> tuple[Operation, ...]:
    return compile_resize(read_fields("resize", tokens), rules)


def _crop(tokens: Sequence[str], rules: OssRules) -> tuple[Operation, ...]:
    fields = read_fields("crop", tokens)
    numbers = {name: read_int(f"crop: {name}", fields.get(name, "0"), 0, MAX_SIDE) for name in ("w", "h", "x", "y")}
    gravity = read_gravity("crop: g", fields["g"], rules.anchors) if "g" in fields else Gravity.NORTHWEST
    dx, dy = towards(gravity, numbers["x"], numbers["y"])
    return (Crop(numbers["w"] or None, numbers["h"] or None, gravity, dx, dy),)


def towards(gravity: Gravity, right: int, down: int) -> tuple[int, int]:
    """Offsets to the right and down as offsets inwards from the anchored edge."""
    return -right if gravity in RIGHT else right, -down if gravity in BOTTOM else down


def _index_crop(tokens: Sequence[str], _: OssRules) -> tuple[Operation, ...]:
    fields = read_fields("indexcrop", tokens)
    index = read_int("indexcrop: i", fields.get("i", "0"), 0, 10**9)
    for name, along in (("y", Along.HEIGHT), ("x", Along.WIDTH)):
        if name in fields:
            return (Slice(along, read_int(f"indexcrop: {name}", fields[name], 1, MAX_SIDE), index),)
    raise InvalidCommand("indexcrop needs the length of a slice, x or y")


def _radius(action: str, tokens: Sequence[str]) -> int:
    fields = read_fields(action, tokens)
    if "r" not in fields:
        raise InvalidCommand(f"{action} needs a radius, r")
    return read_int(f"{action}: r", fields["r"], 1, MAX_RADIUS)


def _circle(tokens: Sequence[str], _: OssRules) -> tuple[Operation, ...]:
    return (Circle(_radius("circle", tokens)),)


def _rounded_corners(tokens: Sequence[str], _: OssRules) -> tuple[Operation, ...]:
    radius = float(_radius("rounded-corners", tokens))
    return (RoundCorners(radius, radius, even=True),)


def _rotate(tokens: Sequence[str], _: OssRules) -> tuple[Operation, ...]:
    return (Rotate(float(read_int("rotate", read_single("rotate", tokens), 0, 360))),)


def _blur(tokens: Sequence[str], _: OssRules) -> tuple[Operation, ...]:
    fields = read_fields("blur", tokens)
    if not {"r", "s"} <= fields.keys():
        raise InvalidCommand("blur needs a radius r and a sigma s")
    return (Blur(float(read_int("blur: s", fields["s"], 1, 50)), read_int("blur: r", fields["r"], 1, 50)),)


def _sharpen(tokens: Sequence[str], _: OssRules) -> tuple[Operation, ...]:
    return (Sharpen(amount=read_int("sharpen", read_single("sharpen", tokens), 50, 399) / 100),)


def _bright(tokens: Sequence[str], _: OssRules) -> tuple[Operation, ...]:
    amount = read_int("bright", read_single("bright", tokens), -100, 100)
    return (Brightness(amount),) if amount else ()


def _contrast(tokens: Sequence[str], _: OssRules) -> tuple[Operation, ...]:
    amount = read_int("contrast", read_single("contrast", tokens), -100, 100)
    return (Contrast(amount),) if amount else ()


def _flip(tokens: Sequence[str], rules: OssRules) -> tuple[Operation, ...]:
    if not rules.flips:
        raise InvalidCommand(f"{rules.vendor} has no action flip")
    direction = read_single("flip", tokens)
    if direction not in ("vertical", "horizontal"):
        raise InvalidCommand(f"flip must be vertical or horizontal, got {shown(direction, 20)}")
    return (Flip(direction),)


ACTIONS: Mapping[str, Compiler] = {
    "resize": _resize,
    "crop": _crop,
    "indexcrop": _index_crop,
    "circle": _circle,
    "rounded-corners": _rounded_corners,
    "rotate": _rotate,
    "blur": _blur,
    "sharpen": _sharpen,
    "bright": _bright,
    "contrast": _contrast,
    "flip": _flip,
}
"""What each action means."""

"""Upyun's watermarks.

    /watermark/url/<b64>[/percent/<n>][/repeat/true]               an image: a path in the same service
    /watermark/text/<b64>[/size/<n>][/font/<name>][/color/<RRGGBB>][/border/<RRGGBBAA>][/repeat/true]
    both: [/align/<anchor>][/margin/<x>x<y>][/opacity/<0-100>][/animate/true]

A mark stands 20 pixels from the north-west corner, opaque. Text is black, 32 pixels high, in simsun; `border` is the
colour of a line around its characters, AA 00 opaque. `percent` makes the mark's shorter side that share of the
picture's shorter side; `repeat` sets marks all over the picture, a margin apart. Base64 is the standard one with `|` in
place of `/`. Marks are drawn on all frames of an animation, whether `animate` says so or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.errors import InvalidCommand
from proxy.plan.dialects.arguments import read_base64, read_gravity, read_int
from proxy.plan.dialects.upyun_pixels import read_box, read_colour, read_truth
from proxy.plan.geometry import Gravity
from proxy.plan.keys import check_key, shown
from proxy.plan.operations import Operation, ScaleBy, Text, Watermark

MAX_MARKS = 10
_TEXT_ONLY = frozenset({"size", "font", "color", "border"})


def mark_operations(marks: list[dict[str, str]]) -> tuple[Operation, ...]:
    """The marks in the order in which they are written."""
    if len(marks) > MAX_MARKS:
        raise InvalidCommand(f"a picture takes {MAX_MARKS} watermarks at most, got {len(marks)}")
    return tuple(_mark(mark) for mark in marks)


def _mark(mark: Mapping[str, str]) -> Operation:
    image = mark.get("url", mark.get("image"))
    if (image is None) == ("text" not in mark):
        raise InvalidCommand("a watermark needs a url or a text, and not both")
    tile = read_truth("repeat", mark.get("repeat", "false"))
    read_truth("animate", mark.get("animate", "false"))
    margin = read_box("margin", mark.get("margin", "20x20"), low=0)
    placing: dict[str, Any] = {
        "gravity": read_gravity("align", mark.get("align", "northwest")),
        "dx": margin[0],
        "dy": margin[1],
        "opacity": read_int("opacity", mark.get("opacity", "100"), 0, 100),
        "tile": tile,
    }
    if tile:
        placing["gravity"] = Gravity.SOUTHEAST  # it has no meaning then, and should have one spelling
    return _image(image, mark, placing) if image is not None else _text(mark, placing)


def _image(value: str, mark: Mapping[str, str], placing: dict[str, Any]) -> Watermark:
    if misplaced := sorted(_TEXT_ONLY & mark.keys()):
        raise InvalidCommand(f"watermark: an image has no {misplaced[0]}")
    path = _decoded("url", value)
    if "://" in path:
        raise InvalidCommand(f"watermark: url must be a path in the same service, got {shown(path, 60)}")
    scale: dict[str, Any] = {}
    if "percent" in mark:
        scale = {"scale": read_int("percent", mark["percent"], 1, 100) / 100, "scale_by": ScaleBy.SHORT}
    return Watermark(check_key(path.removeprefix("/")), **scale, **placing)


def _text(mark: Mapping[str, str], placing: dict[str, Any]) -> Text:
    if "percent" in mark:
        raise InvalidCommand("watermark: percent is for images; a text has a size")
    more: dict[str, Any] = {"font": mark.get("font", "simsun")}
    if "color" in mark:
        more["colour"] = read_colour("color", mark["color"])
    if "border" in mark:
        more["outline"] = read_colour("border", mark["border"])
    size = read_int("size", mark.get("size", "32"), 1, 1000)
    return Text(_decoded("text", mark["text"]), size_px=float(size), **more, **placing)


def _decoded(name: str, value: str) -> str:
    return read_base64(f"watermark: {name}", value.replace("|", "/"))

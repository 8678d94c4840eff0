"""`watermark` of the object stores (https://help.aliyun.com/document_detail/44957.htm).

    watermark,image_<b64>[,P_<1-100>]                     an image: a key of the same store
    watermark,text_<b64>[,type_<b64>][,color_<RRGGBB>][,size_<1-1000>][,shadow_<0-100>][,rotate_<0-360>]
    watermark,image_<b64>,text_<b64>,…[,order_<0|1>][,align_<0-2>][,interval_<0-1000>]      both, in a row
    all:  t_<0-100>  g_<anchor>  x_<0-4096>  y_<0-4096>  voffset_<-1000-1000>  fill_<0|1>  padx_<n>  pady_<n>

Rules:

1. A mark stands 10 pixels from the south-east corner, opaque. `x` counts in the left and right column, `y` in the top
   and bottom row; in the middle row `voffset` moves down (negative: up), in the middle column nothing moves sideways.
2. Text is black, 40 pixels high, in wqy-zenhei. A row has the image first (`order_0`) and stands on one bottom line
   (`align_2`). `fill_1` repeats a mark all over the picture, `padx` and `pady` apart.
3. The key of an image may carry a process of its own, `logo.png?x-oss-process=image/resize,P_30/rotate,90`: resize,
   crop, indexcrop, rounded-corners, rotate. `P` is a percentage of the picture: the mark fits inside that share of it,
   wherever in its process the `P` stands.
4. Huawei's keys begin with the name of the bucket; it is not looked at, as nothing is ever read but our own store.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from proxy.errors import InvalidCommand
from proxy.plan.dialects.arguments import read_base64, read_gravity, read_int, read_switch
from proxy.plan.dialects.oss_actions import ACTIONS
from proxy.plan.dialects.oss_arguments import (
    MIDDLE_COLUMN,
    MIDDLE_ROW,
    Fields,
    OssRules,
    read_fields,
    read_hex_colour,
)
from proxy.plan.geometry import Gravity
from proxy.plan.keys import check_key, shown
from proxy.plan.operations import Align, MarkRow, Operation, ScaleBy, Text, Watermark
from proxy.plan.tidying import tidy

MAX_IMAGES = 3
_MARK_ACTIONS = ("resize", "crop", "indexcrop", "rounded-corners", "rotate")
_PROCESS = re.compile(r"(?P<key>.+?)\?x-(?:oss|tos|image)-process=image/(?P<actions>.*)", re.DOTALL)
_ALIGN = {"0": Align.TOP, "1": Align.MIDDLE, "2": Align.BOTTOM}


@dataclass(frozen=True, slots=True)
class _MarkImage:
    """An image: its key, what is done to it, and the share of the picture it fits into, in percent; 0: as it is."""

    key: str
    operations: tuple[Operation, ...] = ()
    percent: int = 0


def compile_watermark(tokens: Sequence[str], rules: OssRules) -> tuple[Operation, ...]:
    """Compile `watermark`."""
    fields = read_fields("watermark", tokens)
    if not fields.keys() & {"image", "text"}:
        raise InvalidCommand("watermark needs an image or a text")
    fill = read_switch("watermark: fill", fields.get("fill", "0"))
    placing = _tiling(fields) if fill else _placing(fields, rules)
    if "text" not in fields:
        return (_image(fields, rules, placing),)
    if "image" not in fields:
        return (_text(fields, placing),)
    if fill:
        raise InvalidCommand("watermark: fill_1 takes an image or a text, not both")
    return (_row(fields, rules, placing),)


def _row(fields: Fields, rules: OssRules, placing: dict[str, Any]) -> MarkRow:
    parts: list[Watermark | Text] = [_image(fields, rules, {}), _text(fields, {})]
    if read_switch("watermark: order", fields.get("order", "0")):
        parts.reverse()
    align = rules.mark_align if "align" not in fields else _ALIGN.get(fields["align"])
    if align is None:
        raise InvalidCommand(f"watermark: align must be 0, 1 or 2, got {shown(fields['align'], 20)}")
    interval = read_int("watermark: interval", fields.get("interval", "0"), 0, 1000)
    return MarkRow(tuple(parts), interval, align, **placing)


def _placing(fields: Fields, rules: OssRules) -> dict[str, Any]:
    gravity = read_gravity("watermark: g", fields["g"], rules.anchors) if "g" in fields else rules.mark_anchor
    x, y = (read_int(f"watermark: {name}", fields.get(name, "10"), 0, 4096) for name in ("x", "y"))
    voffset = read_int("watermark: voffset", fields.get("voffset", "0"), -1000, 1000)
    dx = 0 if gravity in MIDDLE_COLUMN else x
    dy = voffset if gravity in MIDDLE_ROW else y
    return {"gravity": gravity, "dx": dx, "dy": dy, "opacity": _opacity(fields)}


def _tiling(fields: Fields) -> dict[str, Any]:
    dx, dy = (read_int(f"watermark: {name}", fields.get(name, "0"), 0, 4096) for name in ("padx", "pady"))
    return {"gravity": Gravity.SOUTHEAST, "dx": dx, "dy": dy, "opacity": _opacity(fields), "tile": True}


def _opacity(fields: Fields) -> int:
    return read_int("watermark: t", fields.get("t", "100"), 0, 100)


def _text(fields: Fields, placing: dict[str, Any]) -> Text:
    text = read_base64("watermark: text", fields["text"])
    more: dict[str, Any] = {}
    if "type" in fields:
        more["font"] = read_base64("watermark: type", fields["type"])
    if "color" in fields:
        more["colour"] = read_hex_colour("watermark: color", fields["color"])
    size = read_int("watermark: size", fields.get("size", "40"), 1, 1000)
    shadow = read_int("watermark: shadow", fields.get("shadow", "0"), 0, 100)
    degrees = read_int("watermark: rotate", fields.get("rotate", "0"), 0, 360) % 360
    return Text(text, size_px=float(size), shadow=shadow, degrees=float(degrees), **more, **placing)


def _image(fields: Fields, rules: OssRules, placing: dict[str, Any]) -> Watermark:
    image = _read_image(fields["image"], rules)
    percent = read_int("watermark: P", fields["P"], 1, 100) if "P" in fields else image.percent
    scale: dict[str, Any] = {"scale": percent / 100, "scale_by": ScaleBy.BOX} if percent else {}
    return Watermark(image.key, operations=image.operations, **scale, **placing)


def _read_image(value: str, rules: OssRules) -> _MarkImage:
    text = read_base64("watermark: image", value).removeprefix("/")
    found = _PROCESS.fullmatch(text)
    key = found["key"] if found else text
    if rules.mark_key_has_bucket:
        key = key.partition("/")[2] or key
    if found is None:
        return _MarkImage(check_key(key))
    operations: list[Operation] = []
    percent = 0
    for action in filter(None, found["actions"].split("/")):
        name, *tokens = action.split(",")
        if name not in _MARK_ACTIONS:
            raise InvalidCommand(f"watermark: an image takes {', '.join(_MARK_ACTIONS)}, got {shown(name, 30)}")
        share = next((token for token in tokens if token.startswith("P_")), "")
        if name == "resize" and share:
            percent = read_int("watermark: P", share[2:], 1, 100)
            tokens = [token for token in tokens if token.partition("_")[0] in ("w", "h", "l", "s")]
        if tokens or not share:
            operations += ACTIONS[name](tokens, rules)
    return _MarkImage(check_key(key), tidy(operations), percent)

"""Tencent's `watermark` (https://www.tencentcloud.com/document/product/436/36373).

    watermark/1/image/<b64 URL>[/gravity/…][/dx/…][/dy/…][/dissolve/<1-100>][/blogo/<1|2>][/scatype/<1-3>/spcent/<n>]
               [/batch/1][/spacing/<0-100>][/degree/<0-360>]
    watermark/2/text/<b64>[/font/<b64>][/fontsize/<n>][/fill/<b64>][/shadow/<0-100>]…      and the same placing
    watermark/3/image/…/text/…                                                             several marks

The image is the URL of an object of the same bucket: of a host that the operator lists, or a plain key. `spcent` counts
thousandths of the picture's width (`scatype` 1), height (2) or area (3) that the mark, image or text, is to take.
`blogo/1` shrinks a mark that is larger than the picture, `blogo/2` cuts it. `batch/1` repeats the mark, `spacing`
percent of its size apart. Blind marks (`watermark/3/type/…`) are refused, as at Qiniu.
"""

from __future__ import annotations

from typing import Any

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.dialects.arguments import read_base64, read_colour64, read_int, read_switch
from proxy.plan.dialects.mark_words import PLACING, Fields, MarkGrammar, compile_marks, read_image, read_placing
from proxy.plan.dialects.stage import Stage
from proxy.plan.keys import shown
from proxy.plan.operations import Operation, ScaleBy, Text, TooLarge, Watermark

_PLACING = PLACING | {"batch", "spacing", "degree", "scatype", "spcent"}
_IMAGE = frozenset({"image", "blogo"}) | _PLACING
_TEXT = frozenset({"text", "font", "fontsize", "fill", "shadow"}) | _PLACING
_SCALES = {"1": ScaleBy.WIDTH, "2": ScaleBy.HEIGHT, "3": ScaleBy.AREA}
_GREY = Colour.parse("#3d3d3d")


def compile_watermark(tokens: list[str]) -> Stage:
    """Compile `watermark/1` to `/3`."""
    mode = tokens[0] if tokens else ""
    match mode:
        case "1":
            return compile_marks(tokens[1:], _GRAMMAR, "image")
        case "2":
            return compile_marks(tokens[1:], _GRAMMAR, "text")
        case "3" if "type" in tokens[1::2]:
            raise InvalidCommand("blind watermarks (watermark/3/type) are not supported: only their vendor reads them")
        case "3":
            return compile_marks(tokens[1:], _GRAMMAR)
        case _:
            raise InvalidCommand(f"watermark needs a mode from 1 to 3, got {shown(mode, 20)}")


def _image(fields: Fields) -> Operation:
    blogo = fields.get("blogo", "2")
    if blogo not in ("1", "2"):
        raise InvalidCommand(f"watermark: blogo must be 1 or 2, got {shown(blogo, 20)}")
    too_large = TooLarge.SHRINK if blogo == "1" else TooLarge.CLIP
    return Watermark(read_image("watermark: image", fields["image"]), too_large=too_large, **_placing(fields))


def _text(fields: Fields) -> Operation:
    more = _placing(fields)
    more["font"] = read_base64("watermark: font", fields["font"]) if "font" in fields else "tahoma.ttf"
    more["colour"] = read_colour64("watermark: fill", fields["fill"]) if "fill" in fields else _GREY
    more["shadow"] = read_int("watermark: shadow", fields.get("shadow", "0"), 0, 100)
    # Points at 96 dots per inch, as browsers and most systems count them, are 4/3 pixels.
    points = read_int("watermark: fontsize", fields.get("fontsize", "13"), 1, 750)
    return Text(read_base64("watermark: text", fields["text"]), size_px=points * 4 / 3, **more)


def _placing(fields: Fields) -> dict[str, Any]:
    placing = {"dx": 0, "dy": 0, "opacity": 90} | read_placing(fields) | _share(fields)
    placing["tile"] = read_switch("watermark: batch", fields.get("batch", "0"))
    degrees = float(read_int("watermark: degree", fields.get("degree", "0"), 0, 360))
    spacing = read_int("watermark: spacing", fields.get("spacing", "10"), 0, 100)
    return placing | ({"degrees": degrees, "spacing": spacing} if placing["tile"] else {})


def _share(fields: Fields) -> dict[str, Any]:
    """The share of the picture that a mark is to take, if one is said."""
    if not fields.keys() & {"scatype", "spcent"}:
        return {}
    by = _SCALES.get(fields.get("scatype", ""))
    if by is None:
        raise InvalidCommand(f"watermark: scatype must be 1 to 3, got {shown(fields.get('scatype', ''), 20)}")
    most = 250 if by is ScaleBy.AREA else 1000
    return {"scale": read_int("watermark: spcent", fields.get("spcent", ""), 1, most) / 1000, "scale_by": by}


_GRAMMAR = MarkGrammar(_IMAGE, _TEXT, _image, _text)

"""Tencent's `watermark` (https://www.tencentcloud.com/document/product/436/36373).

    watermark/1/image/<b64 URL>[/gravity/…][/dx/…][/dy/…][/dissolve/<1-100>][/blogo/<1|2>][/scatype/<1-3>/spcent/<n>]
               [/batch/1][/spacing/<0-100>][/degree/<0-360>]
    watermark/2/text/<b64>[/font/<b64>][/fontsize/<n>][/fill/<b64>][/shadow/<0-100>]…      and the same placing
    watermark/3/image/…/text/…                                                             several marks

The image is the URL of an object of the same bucket: of a host that the operator lists, or a plain key. `spcent` counts
thousandths of the picture's width (`scatype` 1), height (2) or area (3). `blogo/1` shrinks a mark that is larger than
the picture, `blogo/2` cuts it. `batch/1` repeats the mark, `spacing` percent of its size apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.dialects.arguments import read_base64, read_colour64, read_gravity, read_int, read_switch
from proxy.plan.dialects.imageview2 import read_output
from proxy.plan.dialects.stage import Stage, read_pairs
from proxy.plan.dialects.watermark import MAX_MARKS, read_image
from proxy.plan.keys import shown
from proxy.plan.operations import Operation, ScaleBy, Text, TooLarge, Watermark
from proxy.plan.output import Orientation

_PLACING = frozenset({"gravity", "dx", "dy", "dissolve", "batch", "spacing", "degree", "scatype", "spcent"})
_IMAGE = frozenset({"image", "blogo"}) | _PLACING
_TEXT = frozenset({"text", "font", "fontsize", "fill", "shadow"}) | _PLACING
_FILE = frozenset({"format", "interlace", "ignore-error"})
_SCALES = {"1": ScaleBy.WIDTH, "2": ScaleBy.HEIGHT, "3": ScaleBy.AREA}
_GREY = Colour.parse("#3d3d3d")
Fields = dict[str, str]


def compile_watermark(tokens: list[str]) -> Stage:
    """Compile `watermark/1` to `/3`."""
    mode = tokens[0] if tokens else ""
    match mode:
        case "1":
            return _stage(tokens[1:], _IMAGE | _FILE, "image")
        case "2":
            return _stage(tokens[1:], _TEXT | _FILE, "text")
        case "3":
            return _stage(tokens[1:], _IMAGE | _TEXT | _FILE, "")
        case _:
            raise InvalidCommand(f"watermark needs a mode from 1 to 3, got {shown(mode, 20)}")


def _stage(tokens: Sequence[str], names: frozenset[str], only: str) -> Stage:
    output: dict[str, Any] = {"orientation": Orientation.KEEP}
    marks: list[Fields] = [{}] if only else []
    for name, value in read_pairs("watermark", tokens, names):
        if name in _FILE:
            output |= read_output("watermark", name, value)
        elif not only and name in ("image", "text"):
            marks.append({name: value})
        elif not marks:
            raise InvalidCommand(f"watermark/3: {name} stands before the first image or text")
        else:
            marks[-1][name] = value
    if not marks or len(marks) > MAX_MARKS:
        raise InvalidCommand(f"watermark takes 1 to {MAX_MARKS} marks, got {len(marks)}")
    if only and only not in marks[0]:
        raise InvalidCommand(f"watermark needs the parameter {only}")
    return Stage(tuple(_text(mark) if "text" in mark else _image(mark) for mark in marks), output)


def _placing(fields: Fields) -> dict[str, Any]:
    placing: dict[str, Any] = {"dx": 0, "dy": 0, "opacity": 90}
    if "gravity" in fields:
        placing["gravity"] = read_gravity("watermark: gravity", fields["gravity"])
    if "dissolve" in fields:
        placing["opacity"] = read_int("watermark: dissolve", fields["dissolve"], 1, 100)
    for name in ("dx", "dy"):
        if name in fields:
            placing[name] = read_int(f"watermark: {name}", fields[name], -10_000, 10_000)
    placing["tile"] = read_switch("watermark: batch", fields.get("batch", "0"))
    if placing["tile"]:
        placing["degrees"] = float(read_int("watermark: degree", fields.get("degree", "0"), 0, 360))
        placing["spacing"] = read_int("watermark: spacing", fields.get("spacing", "10"), 0, 100)
    return placing


def _image(fields: Fields) -> Operation:
    more = _placing(fields)
    blogo = fields.get("blogo", "2")
    if blogo not in ("1", "2"):
        raise InvalidCommand(f"watermark: blogo must be 1 or 2, got {shown(blogo, 20)}")
    more["too_large"] = TooLarge.SHRINK if blogo == "1" else TooLarge.CLIP
    if "scatype" in fields or "spcent" in fields:
        by = _SCALES.get(fields.get("scatype", ""))
        if by is None:
            raise InvalidCommand(f"watermark: scatype must be 1 to 3, got {shown(fields.get('scatype', ''), 20)}")
        most = 250 if by is ScaleBy.AREA else 1000
        more["scale"] = read_int("watermark: spcent", fields.get("spcent", ""), 1, most) / 1000
        more["scale_by"] = by
    return Watermark(read_image("watermark: image", fields["image"]), **more)


def _text(fields: Fields) -> Operation:
    more = _placing(fields)
    if "blogo" in fields:
        raise InvalidCommand("watermark: a text has no blogo")
    more["font"] = read_base64("watermark: font", fields["font"]) if "font" in fields else "tahoma.ttf"
    more["colour"] = read_colour64("watermark: fill", fields["fill"]) if "fill" in fields else _GREY
    more["shadow"] = read_int("watermark: shadow", fields.get("shadow", "0"), 0, 100)
    # Points at 96 dots per inch, as browsers and most systems count them, are 4/3 pixels.
    points = read_int("watermark: fontsize", fields.get("fontsize", "13"), 1, 750)
    return Text(read_base64("watermark: text", fields["text"]), size_px=points * 4 / 3, **more)

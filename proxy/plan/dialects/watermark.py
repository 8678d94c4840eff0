"""`watermark`: marks on a picture (https://developer.qiniu.com/dora/1316/image-watermarking-processing-watermark).

    watermark/1/image/<b64>[/dissolve/<1-100>][/gravity/<anchor>][/dx/<n>][/dy/<n>][/ws/<0-1>][/wst/<0-3>][/tile/<0|1>]
    watermark/2/text/<b64>[/font/<b64>][/fontsize/<n>][/fill/<b64 colour>][/dissolve/…][/gravity/…][/dx/…][/dy/…]
    watermark/3/image/<b64>/…/text/<b64>/…      any number of marks, each followed by its parameters
    watermark/4/text/<b64>/…[/rotate/<-180-180>][/uw/<n>][/uh/<n>][/resize/<0.1-10>]      a text all over the picture

Marks stand 10 pixels from the south-east corner, opaque, unless told otherwise. `fontsize` counts twentieths of a
pixel, 240 by default. `ws` is the share of the picture's side that the same side of the mark takes: of the shorter one
(`wst` 0), the longer one (1), the width (2) or the height (3). Without it a mark larger than the picture is left out.

An image is a key of the same store: plain, as `kodo://bucket/key`, or as the URL of a host that the operator allows.
The name of the bucket is not looked at: nothing is ever read but our own store, whatever it was called elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from proxy.errors import InvalidCommand
from proxy.plan.dialects.arguments import (
    read_base64,
    read_colour64,
    read_decimal,
    read_gravity,
    read_int,
    read_switch,
)
from proxy.plan.dialects.imageview2 import read_output
from proxy.plan.dialects.stage import Stage, read_pairs
from proxy.plan.keys import check_key, shown
from proxy.plan.operations import Operation, ScaleBy, Text, TooLarge, Watermark
from proxy.plan.output import Orientation

MAX_MARKS = 10
_PLACING = frozenset({"dissolve", "gravity", "dx", "dy"})
_IMAGE = frozenset({"image", "ws", "wst", "tile", "uws", "uhs"}) | _PLACING
_TEXT = frozenset({"text", "font", "fontsize", "fill"}) | _PLACING
_TILES = frozenset({"rotate", "uw", "uh", "resize"})
_FILE = frozenset({"format", "interlace", "ignore-error"})
_SCALES = {"0": ScaleBy.SHORT, "1": ScaleBy.LONG, "2": ScaleBy.WIDTH, "3": ScaleBy.HEIGHT}
_KODO = re.compile(r"(?:kodo|qiniu)://[^/]+/(?P<key>.+)", re.DOTALL)
_URL = re.compile(r"https?://[^/?#@\s]+/[^\s#]+")
Fields = dict[str, str]


def compile_watermark(tokens: list[str]) -> Stage:
    """Compile `watermark/1` to `/4`."""
    mode = tokens[0] if tokens else ""
    match mode:
        case "1":
            return _stage(tokens[1:], _IMAGE | _FILE, "image")
        case "2":
            return _stage(tokens[1:], _TEXT | _FILE, "text")
        case "3":
            return _stage(tokens[1:], _IMAGE | _TEXT | _FILE, "")
        case "4":
            return _stage(tokens[1:], _TEXT | _TILES | _FILE, "text", tiled=True)
        case "5" | "6":
            raise InvalidCommand("blind watermarks (watermark/5 and /6) are not supported")
        case _:
            raise InvalidCommand(f"watermark needs a mode from 1 to 4, got {shown(mode, 20)}")


def _stage(tokens: Sequence[str], names: frozenset[str], only: str, *, tiled: bool = False) -> Stage:
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
    return Stage(tuple(_mark(mark, only, tiled=tiled) for mark in marks), output)


def _mark(fields: Fields, only: str, *, tiled: bool) -> Operation:
    if only and only not in fields:
        raise InvalidCommand(f"watermark needs the parameter {only}")
    return _text(fields, tiled=tiled) if "text" in fields else _image(fields)


def _placing(fields: Fields) -> dict[str, Any]:
    placing: dict[str, Any] = {}
    if "gravity" in fields:
        placing["gravity"] = read_gravity("watermark: gravity", fields["gravity"])
    if "dissolve" in fields:
        placing["opacity"] = read_int("watermark: dissolve", fields["dissolve"], 1, 100)
    for name in ("dx", "dy"):
        if name in fields:
            placing[name] = read_int(f"watermark: {name}", fields[name], -10_000, 10_000)
    return placing


def _image(fields: Fields) -> Watermark:
    if misplaced := [name for name in fields if name not in _IMAGE]:
        raise InvalidCommand(f"watermark: an image has no {misplaced[0]}")
    image = read_image("watermark: image", fields["image"])
    by = _SCALES.get(fields.get("wst", "0"))
    if by is None:
        raise InvalidCommand(f"watermark: wst must be 0 to 3, got {shown(fields['wst'], 20)}")
    scale = read_decimal("watermark: ws", fields["ws"], 0, 1) if "ws" in fields else 0.0
    for name in ("uws", "uhs"):  # known by name only; no documentation says what they scale
        if name in fields:
            read_decimal(f"watermark: {name}", fields[name], 0, 100)
    tile = read_switch("watermark: tile", fields.get("tile", "0"))
    placing = _placing(fields)
    if not scale:
        return Watermark(image, **placing, too_large=TooLarge.SKIP, tile=tile)
    return Watermark(image, **placing, scale=scale, scale_by=by, tile=tile)


def _text(fields: Fields, *, tiled: bool) -> Text:
    if misplaced := [name for name in fields if name not in _TEXT | _TILES]:
        raise InvalidCommand(f"watermark: a text has no {misplaced[0]}")
    more = _placing(fields)
    if "font" in fields:
        more["font"] = read_base64("watermark: font", fields["font"])
    if "fill" in fields:
        more["colour"] = read_colour64("watermark: fill", fields["fill"])
    twips = read_int("watermark: fontsize", fields.get("fontsize", "0"), 0, 9999) or 240
    size = twips / 20
    if tiled:
        size *= read_decimal("watermark: resize", fields.get("resize", "1"), 0.1, 10)
        more["tile"] = True
        more["degrees"] = float(read_int("watermark: rotate", fields.get("rotate", "0"), -180, 180))
        more["cell_width"] = read_int("watermark: uw", fields.get("uw", "100"), 1, 10_000)
        more["cell_height"] = read_int("watermark: uh", fields.get("uh", "100"), 1, 10_000)
    text = read_base64("watermark: text", fields["text"])
    return Text(text, size_px=min(1000.0, max(1.0, size)), **more)


def read_image(what: str, value: str) -> str:
    """Read the image of a mark: a key of the same store, or a URL, which the operator must have allowed."""
    text = read_base64(what, value)
    if found := _KODO.fullmatch(text):
        return check_key(found["key"])
    if "://" not in text:
        return check_key(text.removeprefix("/"))
    if not _URL.fullmatch(text):
        raise InvalidCommand(f"{what} must be a key, kodo://bucket/key or a URL, got {shown(text, 60)}")
    return text

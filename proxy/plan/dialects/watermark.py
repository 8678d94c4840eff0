"""`watermark`: marks on a picture (https://developer.qiniu.com/dora/1316/image-watermarking-processing-watermark).

    watermark/1/image/<b64>[/dissolve/<1-100>][/gravity/<anchor>][/dx/<n>][/dy/<n>][/ws/<0-1>][/wst/<0-3>][/tile/<0|1>]
    watermark/2/text/<b64>[/font/<b64>][/fontsize/<n>][/fill/<b64 colour>][/dissolve/…][/gravity/…][/dx/…][/dy/…]
    watermark/3/image/<b64>/…/text/<b64>/…      any number of marks, each followed by its parameters
    watermark/4/text/<b64>/…[/rotate/<-180-180>][/uw/<n>][/uh/<n>][/resize/<0.1-10>]      a text all over the picture

Marks stand 10 pixels from the south-east corner, opaque, unless told otherwise. `fontsize` counts twentieths of a
pixel, 240 by default. `ws` is the share of the picture's side that the same side of the mark takes: of the shorter one
(`wst` 0), the longer one (1), the width (2) or the height (3). Without it a mark larger than the picture is left out.
Blind marks (5 and 6) are refused: how the vendor hides them is a secret, so nothing could read them again. What they
share with Tencent's marks is in `mark_words`.
"""

from __future__ import annotations

from typing import Any

from proxy.errors import InvalidCommand
from proxy.plan.dialects.arguments import read_base64, read_colour64, read_decimal, read_int, read_switch
from proxy.plan.dialects.mark_words import PLACING, Fields, MarkGrammar, compile_marks, read_image, read_placing
from proxy.plan.dialects.stage import Stage
from proxy.plan.keys import shown
from proxy.plan.operations import ScaleBy, Text, TooLarge, Watermark

_IMAGE = frozenset({"image", "ws", "wst", "tile", "uws", "uhs"}) | PLACING
_TEXT = frozenset({"text", "font", "fontsize", "fill"}) | PLACING
_TILES = frozenset({"rotate", "uw", "uh", "resize"})
_SCALES = {"0": ScaleBy.SHORT, "1": ScaleBy.LONG, "2": ScaleBy.WIDTH, "3": ScaleBy.HEIGHT}


def compile_watermark(tokens: list[str]) -> Stage:
    """Compile `watermark/1` to `/4`."""
    mode = tokens[0] if tokens else ""
    match mode:
        case "1":
            return compile_marks(tokens[1:], _GRAMMAR, "image")
        case "2":
            return compile_marks(tokens[1:], _GRAMMAR, "text")
        case "3":
            return compile_marks(tokens[1:], _GRAMMAR)
        case "4":
            return compile_marks(tokens[1:], _TILED, "text")
        case "5" | "6":
            raise InvalidCommand(
                "blind watermarks (watermark/5 and /6) are not supported: only their vendor reads them"
            )
        case _:
            raise InvalidCommand(f"watermark needs a mode from 1 to 4, got {shown(mode, 20)}")


def _image(fields: Fields) -> Watermark:
    image = read_image("watermark: image", fields["image"])
    by = _SCALES.get(fields.get("wst", "0"))
    if by is None:
        raise InvalidCommand(f"watermark: wst must be 0 to 3, got {shown(fields['wst'], 20)}")
    scale = read_decimal("watermark: ws", fields["ws"], 0, 1) if "ws" in fields else 0.0
    for name in ("uws", "uhs"):  # known by name only; no documentation says what they scale
        if name in fields:
            read_decimal(f"watermark: {name}", fields[name], 0, 100)
    tile = read_switch("watermark: tile", fields.get("tile", "0"))
    placing = read_placing(fields)
    if not scale:
        return Watermark(image, **placing, too_large=TooLarge.SKIP, tile=tile)
    return Watermark(image, **placing, scale=scale, scale_by=by, tile=tile)


def _text(fields: Fields) -> Text:
    return _drawn(fields, _pixels(fields), {})


def _tiled_text(fields: Fields) -> Text:
    size = _pixels(fields) * read_decimal("watermark: resize", fields.get("resize", "1"), 0.1, 10)
    tiling = {
        "tile": True,
        "degrees": float(read_int("watermark: rotate", fields.get("rotate", "0"), -180, 180)),
        "cell_width": read_int("watermark: uw", fields.get("uw", "100"), 1, 10_000),
        "cell_height": read_int("watermark: uh", fields.get("uh", "100"), 1, 10_000),
    }
    return _drawn(fields, size, tiling)


def _pixels(fields: Fields) -> float:
    """The size of the font: 240 twentieths of a pixel by default, which is also what 0 means."""
    return (read_int("watermark: fontsize", fields.get("fontsize", "0"), 0, 9999) or 240) / 20


def _drawn(fields: Fields, size: float, more: dict[str, Any]) -> Text:
    more |= read_placing(fields)
    if "font" in fields:
        more["font"] = read_base64("watermark: font", fields["font"])
    if "fill" in fields:
        more["colour"] = read_colour64("watermark: fill", fields["fill"])
    text = read_base64("watermark: text", fields["text"])
    return Text(text, size_px=min(1000.0, max(1.0, size)), **more)


_GRAMMAR = MarkGrammar(_IMAGE, _TEXT, _image, _text)
_TILED = MarkGrammar(_IMAGE, _TEXT | _TILES, _image, _tiled_text)

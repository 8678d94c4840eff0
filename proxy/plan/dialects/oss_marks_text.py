"""Marks in the words of the object stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from proxy.plan import operations as ops
from proxy.plan.colour import Colour
from proxy.plan.dialects.oss_arguments import MIDDLE_COLUMN, MIDDLE_ROW, OssRules
from proxy.plan.dialects.writing import Wordless, anchored, base64_of, whole
from proxy.plan.operations import Align, Operation, ScaleBy

_ALIGN: Mapping[Align, int] = {Align.TOP: 0, Align.MIDDLE: 1, Align.BOTTOM: 2}
_BUCKET = "bucket/"
"""What stands for the name of the bucket where keys begin with it; it is not looked at."""


def mark_action(mark: ops.Watermark | ops.Text | ops.MarkRow, rules: OssRules, act: Callable[[Operation], str]) -> str:
    """The action that draws a mark; `act` writes what is done to the mark's image before."""
    if isinstance(mark, ops.MarkRow):
        parts = [_mark(part, rules, act) for part in mark.parts]
        names = [part.name for part in mark.parts]
        if sorted(names) != [ops.Text.name, ops.Watermark.name]:
            raise Wordless
        order = 0 if names[0] == ops.Watermark.name else 1
        words = [*parts, f"order_{order}", f"align_{_ALIGN[mark.align]}", f"interval_{mark.interval}"]
    else:
        words = [_mark(mark, rules, act)]
    return ",".join(["watermark", *words, *_placing(mark, rules)])


def _mark(mark: ops.Watermark | ops.Text, rules: OssRules, act: Callable[[Operation], str]) -> str:
    return ",".join(_text(mark) if isinstance(mark, ops.Text) else _image(mark, rules, act))


def _image(mark: ops.Watermark, rules: OssRules, act: Callable[[Operation], str]) -> Iterator[str]:
    key = mark.image
    if rules.mark_key_has_bucket and "/" in key:
        key = _BUCKET + key
    if mark.operations:
        key += "?x-oss-process=image/" + "/".join(act(operation) for operation in mark.operations)
    yield f"image_{base64_of(key, padded=False)}"
    if mark.scale_by is ScaleBy.BOX:
        yield f"P_{whole(mark.scale * 100)}"
    elif mark.scale_by is not ScaleBy.NONE:
        raise Wordless


def _text(mark: ops.Text) -> Iterator[str]:
    yield f"text_{base64_of(mark.text, padded=False)}"
    if mark.font:
        yield f"type_{base64_of(mark.font, padded=False)}"
    if mark.colour != Colour.BLACK:
        yield f"color_{str(mark.colour)[1:].upper()}"
    yield f"size_{whole(mark.size_px)}"
    if mark.shadow:
        yield f"shadow_{mark.shadow}"
    if mark.degrees:
        yield f"rotate_{whole(mark.degrees)}"


def _placing(mark: ops.Watermark | ops.Text | ops.MarkRow, rules: OssRules) -> Iterator[str]:
    if mark.opacity != 100:
        yield f"t_{mark.opacity}"
    if not isinstance(mark, ops.MarkRow) and mark.tile:
        yield f"fill_1,padx_{mark.dx},pady_{mark.dy}"
        return
    yield f"g_{anchored(mark.gravity, {gravity: name for name, gravity in rules.anchors.items()})}"
    if mark.gravity not in MIDDLE_COLUMN:
        yield f"x_{mark.dx}"
    yield f"voffset_{mark.dy}" if mark.gravity in MIDDLE_ROW else f"y_{mark.dy}"

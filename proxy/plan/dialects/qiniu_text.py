"""A plan in Qiniu's words. Whether they compile back to the same plan is for the caller to try."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.plan import operations as ops
from proxy.plan.colour import Colour
from proxy.plan.dialects.mogr_text import (
    Command,
    Vocabulary,
    animate_command,
    box_text,
    coloured,
    common_words,
    far_offsets,
    round_command,
    view_command,
    write_pipeline,
)
from proxy.plan.dialects.writing import ANCHORS, Wordless, anchored, base64_of, number, whole
from proxy.plan.geometry import Gravity
from proxy.plan.operations import Operation, ScaleBy
from proxy.plan.output import Answer, Output, OverLimit, QualityRule

_SCALES: Mapping[ScaleBy, int] = {ScaleBy.SHORT: 0, ScaleBy.LONG: 1, ScaleBy.WIDTH: 2, ScaleBy.HEIGHT: 3}


def write_qiniu(operations: tuple[Operation, ...], output: Output) -> str | None:
    """The pipeline for these operations and output; None if there is none."""
    return write_pipeline(operations, output, _VOCABULARY)


def _command(operation: Operation, following: Operation | None) -> Command | None:
    match operation:
        case ops.Watermark():
            return _image_mark(operation), 1
        case ops.Text():
            return _text_mark(operation), 1
        case _:
            return view_command(operation, following) or round_command(operation) or animate_command(operation)


def _words(operation: Operation) -> list[str]:
    match operation:
        case ops.Crop(gravity=gravity) if gravity in ANCHORS:
            return [
                f"gravity/{ANCHORS[gravity]}",
                f"crop/!{box_text(operation)}{far_offsets(operation.dx, operation.dy)}",
            ]
        case ops.Sharpen(sigma=0.8, amount=1.0):
            return ["sharpen/1"]
        case _:
            return common_words(operation)


def _image_mark(mark: ops.Watermark) -> str:
    words = [f"watermark/1/image/{base64_of(mark.image)}", *_placing(mark)]
    if mark.scale_by is not ScaleBy.NONE:
        if mark.scale_by not in _SCALES:
            raise Wordless
        words += [f"ws/{number(mark.scale)}", f"wst/{_SCALES[mark.scale_by]}"]
    return "/".join([*words, *(["tile/1"] if mark.tile else [])])


def _text_mark(mark: ops.Text) -> str:
    words = [f"text/{base64_of(mark.text)}"]
    if mark.font:
        words.append(f"font/{base64_of(mark.font)}")
    words.append(f"fontsize/{whole(mark.size_px * 20)}")
    if mark.colour != Colour.BLACK:
        words.append(coloured("fill", mark.colour))
    words += _placing(mark)
    if mark.tile:
        words += [f"rotate/{whole(mark.degrees)}", f"uw/{mark.cell_width}", f"uh/{mark.cell_height}"]
    return "/".join([f"watermark/{4 if mark.tile else 2}", *words])


def _placing(mark: ops.Watermark | ops.Text) -> list[str]:
    """Opacity, anchor and offsets, as far as they are not the usual ones."""
    words = [] if mark.opacity == 100 else [f"dissolve/{mark.opacity}"]
    if mark.gravity is not Gravity.SOUTHEAST:
        words.append(f"gravity/{anchored(mark.gravity)}")
    return [*words, *(f"{name}/{value}" for name, value in (("dx", mark.dx), ("dy", mark.dy)) if value != 10)]


_VOCABULARY = Vocabulary(
    command=_command,
    words=_words,
    qualities={QualityRule.CORRECTED: "quality"},
    hard_limit=OverLimit.OR_ORIGINAL,
    fewer_frames="",
    reports={Answer.QINIU_INFO: "imageInfo", Answer.EXIF: "exif", Answer.AVERAGE: "imageAve"},
)

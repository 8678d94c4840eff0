"""A plan in Tencent's words. Whether they compile back to the same plan is for the caller to try.

`gravity`, `pad` and `color` hold for a whole command, so what needs them is a command of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.plan import operations as ops
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
from proxy.plan.dialects.writing import Wordless, anchored, base64_of, cut_box, padded_box, whole
from proxy.plan.geometry import Gravity
from proxy.plan.operations import Operation, ScaleBy, TooLarge
from proxy.plan.output import Answer, Output, OverLimit, QualityRule

_SCALES: Mapping[ScaleBy, int] = {ScaleBy.WIDTH: 1, ScaleBy.HEIGHT: 2, ScaleBy.AREA: 3}


def write_tencent(operations: tuple[Operation, ...], output: Output) -> str | None:
    """The pipeline for these operations and output; None if there is none."""
    return write_pipeline(operations, output, _VOCABULARY)


def _command(operation: Operation, following: Operation | None) -> Command | None:
    if box := cut_box(operation, following):
        return f"imageMogr2/crop/{box[0]}x{box[1]}", 2
    if padded := padded_box(operation, following):
        width, height, colour = padded
        return f"imageMogr2/thumbnail/{width}x{height}/pad/1/{coloured('color', colour)}", 2
    match operation:
        case ops.Resize(width=int(w), height=int(h), fit=ops.Fit.COVER, enlarge=True) if isinstance(
            following, ops.Crop
        ) and following == ops.Crop(w, h, following.gravity):
            if following.gravity is Gravity.FACE:
                return f"imageMogr2/scrop/{w}x{h}", 2
            return f"imageMogr2/crop/{w}x{h}/gravity/{anchored(following.gravity)}", 2
        case ops.Watermark():
            return _image_mark(operation), 1
        case ops.Text():
            return _text_mark(operation), 1
        case ops.Crop(gravity=gravity) if gravity is not Gravity.NORTHWEST:
            moved = far_offsets(operation.dx, operation.dy)
            return f"imageMogr2/gravity/{anchored(gravity)}/crop/!{box_text(operation)}{moved}", 1
        case ops.RoundCorners(even=True):
            return None
        case _:
            return view_command(operation, following) or round_command(operation) or animate_command(operation)


def _words(operation: Operation) -> list[str]:
    match operation:
        case ops.Crop():
            return [_plain_crop(operation)]
        case ops.FirstFrames(count=30):
            return ["cgif/1"]
        case ops.Circle(radius=radius):
            return [f"iradius/{radius}"]
        case ops.RoundCorners(x=x):
            return [f"rradius/{whole(x)}"]
        case ops.Flip(direction=direction):
            return [f"flip/{direction}"]
        case ops.Brightness(amount=amount):
            return [f"bright/{amount}"]
        case ops.Contrast(amount=amount):
            return [f"contrast/{amount}"]
        case ops.Grayscale():
            return ["grayscale/1"]
        case ops.Sharpen(amount=sharpness):
            return [f"sharpen/{whole(sharpness * 100)}"]
        case _:
            return common_words(operation)


def _plain_crop(operation: ops.Crop) -> str:
    if operation.width and operation.height and min(operation.dx, operation.dy) >= 0:
        return f"cut/{operation.width}x{operation.height}x{operation.dx}x{operation.dy}"
    return f"crop/!{box_text(operation)}{far_offsets(operation.dx, operation.dy)}"


def _image_mark(mark: ops.Watermark) -> str:
    words = [f"watermark/1/image/{base64_of(mark.image)}", *_placing(mark)]
    if mark.too_large is TooLarge.SHRINK:
        words.append("blogo/1")
    return "/".join([*words, *_scaling(mark.scale, mark.scale_by)])


def _scaling(scale: float, scale_by: ScaleBy) -> list[str]:
    if scale_by is ScaleBy.NONE:
        return []
    if scale_by not in _SCALES:
        raise Wordless
    return [f"scatype/{_SCALES[scale_by]}", f"spcent/{whole(scale * 1000)}"]


def _text_mark(mark: ops.Text) -> str:
    words = [f"watermark/2/text/{base64_of(mark.text)}"]
    if mark.font:
        words.append(f"font/{base64_of(mark.font)}")
    words += [f"fontsize/{whole(mark.size_px * 3 / 4)}", coloured("fill", mark.colour), *_placing(mark)]
    words += _scaling(mark.scale, mark.scale_by)
    return "/".join([*words, *([f"shadow/{mark.shadow}"] if mark.shadow else [])])


def _placing(mark: ops.Watermark | ops.Text) -> list[str]:
    """Opacity, anchor, offsets and repetition, as far as they are not the usual ones."""
    words = [] if mark.opacity == 90 else [f"dissolve/{mark.opacity}"]
    if mark.gravity is not Gravity.SOUTHEAST:
        words.append(f"gravity/{anchored(mark.gravity)}")
    words += [f"{name}/{value}" for name, value in (("dx", mark.dx), ("dy", mark.dy)) if value]
    if not mark.tile:
        return words
    return [*words, "batch/1", f"spacing/{mark.spacing}", f"degree/{whole(mark.degrees)}"]


_VOCABULARY = Vocabulary(
    command=_command,
    words=_words,
    qualities={
        QualityRule.AT_MOST: "quality",
        QualityRule.RELATIVE: "rquality",
        QualityRule.AT_LEAST: "lquality",
    },
    hard_limit=OverLimit.SMALLER,
    fewer_frames="cgif",
    reports={Answer.TENCENT_INFO: "imageInfo", Answer.EXIF: "exif", Answer.AVERAGE: "imageAve"},
)

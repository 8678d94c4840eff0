"""The operations: each is a frozen value that says one change to the picture.

`operation` says what they have in common; `scaling`, `cropping`, `canvas`, `effects`, `tones`, `hiding`, `marks`,
`gradient` and `frames` hold them by subject.
`OPERATIONS` is the whole vocabulary. Every vendor's command compiles to it, and where two vendors mean the same thing,
to the same operation: that is how they come to share one stored result.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, cast

from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity, Size, round_side
from proxy.plan.operations.canvas import Backdrop, Border, Extent, Flatten
from proxy.plan.operations.cropping import Along, Circle, Crop, RoundCorners, Slice, Trim, Unit
from proxy.plan.operations.effects import AutoOrient, Blur, Brightness, Contrast, Flip, Grayscale, Rotate, Sharpen
from proxy.plan.operations.frames import Animate, FirstFrames
from proxy.plan.operations.gradient import Gradient, Towards
from proxy.plan.operations.hiding import AreaUnit, HideBy, Pixelate, Redact
from proxy.plan.operations.marks import Align, MarkRow, ScaleBy, Text, TooLarge, Watermark
from proxy.plan.operations.operation import MAX_SIDE, Operation, canonical_value, check_offset, check_side
from proxy.plan.operations.proportions import CutTo
from proxy.plan.operations.scaling import Area, Axes, Fit, How, Reframe, Resize, Scale, Small
from proxy.plan.operations.tones import Duotone, Gamma, Hue, Invert, Normalise, Saturation, Sepia, Tint

OPERATIONS: dict[str, type[Operation]] = {
    operation.name: operation
    for operation in (
        AutoOrient, Resize, Scale, Area, Reframe, Crop, Slice, Circle, RoundCorners, Extent, Border, Rotate, Flip, Blur,
        Sharpen, Grayscale, Brightness, Contrast, Flatten, Watermark, Text, MarkRow, CutTo, FirstFrames, Animate,
        Gradient,
        Trim, Backdrop, Saturation, Hue, Gamma, Normalise, Invert, Sepia, Tint, Duotone, Pixelate, Redact,
    )
}  # fmt: skip
"""Every operation by its name."""

WRITTEN: dict[str, type[Operation]] = {
    name: operation
    for name, operation in OPERATIONS.items()
    if all(
        field.metadata.get("written", True) or field.default is not MISSING for field in fields(cast(Any, operation))
    )
}
"""Those that presets.toml can write in an `operations` list: all but those that consist of others."""


def final_size(operations: tuple[Operation, ...], picture: Size) -> Size:
    """The size the whole list makes of a picture of size `picture`."""
    for operation in operations:
        picture = operation.size(picture)
    return picture


__all__ = [
    "MAX_SIDE", "OPERATIONS", "WRITTEN", "Align", "Along", "Animate", "Area", "AreaUnit", "AutoOrient", "Axes",
    "Backdrop", "Blur", "Border", "Brightness", "Circle", "Colour", "Contrast", "Crop", "CutTo", "Duotone", "Extent",
    "FirstFrames", "Fit", "Flatten", "Flip", "Gamma", "Gradient", "Gravity", "Grayscale", "HideBy", "How", "Hue",
    "Invert", "MarkRow", "Normalise", "Operation", "Pixelate", "Redact", "Reframe", "Resize", "Rotate",
    "RoundCorners", "Saturation", "Scale", "ScaleBy", "Sepia", "Sharpen", "Size", "Slice", "Small", "Text", "Tint",
    "TooLarge", "Towards", "Trim", "Unit", "Watermark", "canonical_value", "check_offset", "check_side", "final_size",
    "round_side",
]  # fmt: skip

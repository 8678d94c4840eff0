"""What the writers of all dialects share.

A writer puts a plan into its vendor's words: `/-/explain` shows them, and a preset is carried to a console with them.
It says what it can and raises `Wordless` for the rest; `says` tries whether its text compiles back to exactly the plan.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace

from proxy.errors import InvalidCommand, UnknownPreset
from proxy.plan import operations as ops
from proxy.plan.colour import Colour
from proxy.plan.dialects.dialect import Context
from proxy.plan.geometry import Gravity
from proxy.plan.operations import Operation
from proxy.plan.output import Output, Target
from proxy.plan.request import AskAdhoc, AskPreset

ANCHORS: Mapping[Gravity, str] = {
    Gravity.NORTHWEST: "NorthWest", Gravity.NORTH: "North", Gravity.NORTHEAST: "NorthEast", Gravity.WEST: "West",
    Gravity.CENTRE: "Center", Gravity.EAST: "East", Gravity.SOUTHWEST: "SouthWest", Gravity.SOUTH: "South",
    Gravity.SOUTHEAST: "SouthEast",
}  # fmt: skip
"""The nine anchors as Qiniu, Tencent and Upyun write them; Upyun in lower case."""


class Wordless(Exception):
    """The language cannot say this."""


def says(
    compiler: Callable[[str, Context], AskAdhoc | AskPreset],
    text: str,
    operations: tuple[Operation, ...],
    output: Output,
) -> bool:
    """Whether a command compiles to this plan. The original's own format is what no command says in words."""
    if output.target is Target.SOURCE:
        output = replace(output, target=Target.FAMILIAR)
    try:
        asked = compiler(text, Context())
    except (InvalidCommand, UnknownPreset):
        return False
    return isinstance(asked, AskAdhoc) and (asked.operations, asked.output) == (operations, output)


def cut_box(operation: Operation, following: Operation | None) -> tuple[int, int] | None:
    """The box that an enlarging resize and the crop after it make exactly; None for other operations."""
    match operation:
        case ops.Resize(width=int(w), height=int(h), fit=ops.Fit.COVER, enlarge=True, shrink=True) if (
            operation.axes is ops.Axes.WIDTH_HEIGHT and following == ops.Crop(w, h, Gravity.CENTRE)
        ):
            return w, h
        case _:
            return None


def padded_box(operation: Operation, following: Operation | None) -> tuple[int, int, Colour] | None:
    """The box and colour that an enlarging resize and the canvas after it make exactly; None for other operations."""
    match operation, following:
        case ops.Resize(width=int(w), height=int(h), fit=ops.Fit.INSIDE, enlarge=True, shrink=True), ops.Extent(
            background=colour
        ) if operation.axes is ops.Axes.WIDTH_HEIGHT and following == ops.Extent(w, h, background=colour):
            return w, h, colour
        case _:
            return None


def anchored(gravity: Gravity, names: Mapping[Gravity, str] = ANCHORS) -> str:
    """The name of an anchor."""
    if gravity not in names:
        raise Wordless
    return names[gravity]


def offsets(right: int, down: int, minus: str = "-") -> str:
    """Offsets as `a3-10`."""
    return "".join(f"{'a' if value >= 0 else minus}{abs(value)}" for value in (right, down))


def number(value: float) -> str:
    """A decimal number as short as it can be written in nine places."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def whole(value: float) -> int:
    """A number that has to be a whole one."""
    if abs(value - round(value)) > 1e-9:
        raise Wordless
    return round(value)


def base64_of(text: str, *, padded: bool = True) -> str:
    """Text in URL-safe base64."""
    encoded = base64.urlsafe_b64encode(text.encode()).decode()
    return encoded if padded else encoded.rstrip("=")

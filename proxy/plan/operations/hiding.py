"""Operations that hide detail: everywhere, or where something must not be recognised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.geometry import Box, Size
from proxy.plan.operations.operation import MAX_SIDE, Operation, check_between

MOST_AREAS = 64


@dataclass(frozen=True, slots=True)
class Pixelate(Operation):
    """Draw the picture in squares of `size` pixels, each in its average colour."""

    name: ClassVar[str] = "pixelate"
    size_px: int

    def __post_init__(self) -> None:
        check_between("pixelate's size", self.size_px, 2, 1000)


class HideBy(StrEnum):
    """How a part of the picture is made unrecognisable."""

    PIXELATE = "pixelate"
    """Six squares across the shorter side of the box, each in its average colour."""
    BLUR = "blur"
    """A mosaic of the same squares, drawn smoothly: it looks like a blur and holds no more than the squares do."""
    FILL = "fill"
    """One colour; nothing is left."""


class AreaUnit(StrEnum):
    """What areas are counted in."""

    FRACTION = "fraction"
    """Of the picture's sides, 0 to 1."""
    PIXELS = "pixels"


@dataclass(frozen=True, slots=True)
class Redact(Operation):
    """Make faces, or areas of the picture, unrecognisable. An area is `[left, top, width, height]`."""

    name: ClassVar[str] = "redact"
    holds_picture: ClassVar[bool] = True
    faces: bool = False
    """Whether every face that is found is hidden. Needs the extra `vision`; no detector finds all faces. Of an
    animation, eight frames are searched, and what is found in one is hidden in all."""
    areas: tuple[tuple[float, float, float, float], ...] = ()
    unit: AreaUnit = AreaUnit.FRACTION
    by: HideBy = HideBy.PIXELATE
    colour: Colour = Colour.BLACK
    """Of `by = "fill"`."""

    def __post_init__(self) -> None:
        if not self.faces and not self.areas:
            raise InvalidCommand("redact needs faces = true, areas, or both")
        if len(self.areas) > MOST_AREAS:
            raise InvalidCommand(f"redact takes up to {MOST_AREAS} areas, got {len(self.areas)}")
        if self.colour.alpha != 255:
            raise InvalidCommand(f"redact fills with an opaque colour, got {self.colour}")
        most = 1 if self.unit is AreaUnit.FRACTION else MAX_SIDE
        for left, top, width, height in self.areas:
            check_between("an area's left edge", left, 0, most)
            check_between("an area's top edge", top, 0, most)
            check_between("an area's width", width, 0, most)
            check_between("an area's height", height, 0, most)
            if not width or not height:
                raise InvalidCommand("an area to redact has a width and a height above 0")

    def placed(self, picture: Size) -> tuple[Box, ...]:
        """The areas as boxes of this picture, rounded outwards; what lies outside of it is left out."""
        across, down = (picture.width, picture.height) if self.unit is AreaUnit.FRACTION else (1, 1)
        placed = [
            outward(left * across, top * down, (left + width) * across, (top + height) * down).within(picture)
            for left, top, width, height in self.areas
        ]
        return tuple(box for box in placed if box is not None)


def hides(operations: tuple[Operation, ...]) -> bool:
    """Whether anything is hidden: then the original must never stand in for the result, however large or broken."""
    return any(isinstance(operation, Redact) for operation in operations)


def outward(left: float, top: float, right: float, bottom: float) -> Box:
    """The smallest box of whole pixels around these edges."""
    x, y = math.floor(left + 1e-9), math.floor(top + 1e-9)
    return Box(x, y, math.ceil(right - 1e-9) - x, math.ceil(bottom - 1e-9) - y)

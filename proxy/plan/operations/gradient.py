"""The operation that lays a colour gradient over the picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.operations.operation import MAX_SIDE, Operation, check_between


class Towards(StrEnum):
    """The edge that a gradient runs to."""

    BOTTOM = "bottom"
    TOP = "top"
    RIGHT = "right"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Gradient(Operation):
    """Draw bars from one colour to another over the picture, from `start` to `stop` pixels off the opposite edge."""

    name: ClassVar[str] = "gradient"
    towards: Towards = Towards.BOTTOM
    start: int = 0
    stop: int | None = None
    """Without it, the edge."""
    start_colour: Colour = Colour.TRANSPARENT
    stop_colour: Colour = Colour.BLACK

    def __post_init__(self) -> None:
        check_between("the gradient's start", self.start, 0, MAX_SIDE)
        if self.stop is not None:
            check_between("the gradient's stop", self.stop, 1, MAX_SIDE)
            if self.stop <= self.start:
                raise InvalidCommand(f"a gradient stops behind its start, got {self.start} to {self.stop}")

"""The operation that cuts a picture to proportions without naming a size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from proxy.errors import InvalidCommand
from proxy.plan.geometry import Gravity, Size, round_side
from proxy.plan.operations.operation import Operation, check_between


@dataclass(frozen=True, slots=True)
class CutTo(Operation):
    """Cut as little as possible off such that the sides stand to one another as `across` to `down`."""

    name: ClassVar[str] = "cut-to"
    across: int
    down: int
    gravity: Gravity = Gravity.CENTRE

    def __post_init__(self) -> None:
        check_between("across", self.across, 1, 10_000)
        check_between("down", self.down, 1, 10_000)
        if self.gravity.looks_at_pixels:
            raise InvalidCommand(f"cut-to takes one of the nine anchors as gravity, got {self.gravity.value}")

    def size(self, picture: Size) -> Size:
        """The whole picture on one side."""
        if picture.width * self.down > picture.height * self.across:
            return Size(min(picture.width, round_side(picture.height * self.across / self.down)), picture.height)
        return Size(picture.width, min(picture.height, round_side(picture.width * self.down / self.across)))

    @property
    def boxes(self) -> tuple[str, ...]:
        """A size without a box."""
        return (f"{self.across}:{self.down}",)

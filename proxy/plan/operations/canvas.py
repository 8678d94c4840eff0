"""Operations that put the picture on something larger, or on something at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity, Size
from proxy.plan.operations.operation import MAX_SIDE, Operation, box_text, check_between, check_offset, check_side


@dataclass(frozen=True, slots=True)
class Extent(Operation):
    """Put the picture on a canvas of exactly this size: pads where it is smaller, cuts where it is larger.

    A missing side is the picture's own; offsets shift the picture inwards from the anchored edge of the canvas.
    """

    name: ClassVar[str] = "extent"
    width: int | None = None
    height: int | None = None
    gravity: Gravity = Gravity.CENTRE
    dx: int = 0
    dy: int = 0
    background: Colour = Colour.WHITE

    def __post_init__(self) -> None:
        check_side("width", self.width)
        check_side("height", self.height)
        check_offset("dx", self.dx)
        check_offset("dy", self.dy)
        if self.gravity.looks_at_pixels:
            raise InvalidCommand(f"extent takes one of the nine anchors as gravity, got {self.gravity.value}")

    def size(self, picture: Size) -> Size:
        """The canvas."""
        return Size(self.width or picture.width, self.height or picture.height)

    @property
    def boxes(self) -> tuple[str, ...]:
        """The canvas."""
        return box_text(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Backdrop(Operation):
    """Put the whole picture in the middle of a box that is filled with a blurred enlargement of itself."""

    name: ClassVar[str] = "backdrop"
    width: int
    height: int
    sigma: float = 20.0
    """Of the blur, in pixels of the box."""
    enlarge: bool = False
    """Whether a small picture is scaled up to fit the box."""

    def __post_init__(self) -> None:
        check_side("width", self.width)
        check_side("height", self.height)
        check_between("sigma", self.sigma, 1, 50)

    def size(self, picture: Size) -> Size:
        """The box."""
        del picture
        return Size(self.width, self.height)

    @property
    def boxes(self) -> tuple[str, ...]:
        """The box."""
        return box_text(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Border(Operation):
    """Put bars of this width on the left and right, and of this height on the top and bottom."""

    name: ClassVar[str] = "border"
    width: int
    height: int
    colour: Colour = Colour.WHITE

    def __post_init__(self) -> None:
        check_between("the border's width", self.width, 0, MAX_SIDE)
        check_between("the border's height", self.height, 0, MAX_SIDE)

    def size(self, picture: Size) -> Size:
        """Twice the bars larger."""
        return Size(picture.width + 2 * self.width, picture.height + 2 * self.height)

    @property
    def boxes(self) -> tuple[str, ...]:
        """A size without a box."""
        return (f"a border of {self.width}x{self.height}",)


@dataclass(frozen=True, slots=True)
class Flatten(Operation):
    """Put the picture on an opaque background; alpha is gone afterwards."""

    name: ClassVar[str] = "flatten"
    background: Colour = Colour.WHITE

"""Operations that take a part of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.geometry import Box, Gravity, Size, place
from proxy.plan.operations.operation import Operation, box_text, check_between, check_offset, check_side
from proxy.plan.region import Region

MAX_RADIUS = 10**12
"""Radii are clamped to the picture, so large ones are a way to say "as round as it goes"."""


@dataclass(frozen=True, slots=True)
class Crop(Operation):
    """Cut a box out. A missing side is the whole side; the box is clipped to the picture, never padded."""

    name: ClassVar[str] = "crop"
    width: int | None = None
    height: int | None = None
    gravity: Gravity = Gravity.NORTHWEST
    dx: int = 0
    dy: int = 0
    seek: tuple[Gravity | Region, ...] = ()
    """What is looked for before the gravity counts, in this order: attention, entropy, face, focal, or a point or box
    in fractions of the upright original."""
    focal: bool = True
    """Whether a focal point that is stored with the original comes first, where the gravity is the middle or looks at
    the picture."""

    def __post_init__(self) -> None:
        check_side("width", self.width)
        check_side("height", self.height)
        check_offset("dx", self.dx)
        check_offset("dy", self.dy)
        if self.seek and (self.dx or self.dy):
            raise InvalidCommand("offsets shift a crop from an anchor: they do not go with what is looked for")
        if any(isinstance(aim, Gravity) and not aim.looks_at_pixels for aim in self.seek):
            raise InvalidCommand("seek takes attention, entropy, face, focal or a point; an anchor is the gravity")

    @property
    def aims(self) -> tuple[Gravity | Region, ...]:
        """What the crop is placed by: the first of these that the picture has."""
        aims = (*self.seek, self.gravity)
        middle = self.gravity is Gravity.CENTRE and not (self.dx or self.dy)
        looks = self.gravity.looks_at_pixels or any(isinstance(aim, Gravity) for aim in self.seek)
        if self.focal and Gravity.FOCAL not in aims and (middle or looks):
            return (Gravity.FOCAL, *aims)
        return aims

    def size(self, picture: Size) -> Size:
        """The part of the box inside the picture; refused when the two do not meet."""
        wanted = Size(self.width or picture.width, self.height or picture.height)
        if self.gravity.looks_at_pixels or self.seek:
            return Size(min(wanted.width, picture.width), min(wanted.height, picture.height))
        box = place(wanted, picture, self.gravity, self.dx, self.dy).within(picture)
        if box is None:
            raise InvalidCommand(f"the crop box lies outside of the picture, which is {picture} here")
        return Size(box.width, box.height)

    @property
    def boxes(self) -> tuple[str, ...]:
        """The box."""
        return box_text(self.width, self.height)


class Along(StrEnum):
    """Which way a picture is cut into slices."""

    WIDTH = "width"
    HEIGHT = "height"


@dataclass(frozen=True, slots=True)
class Slice(Operation):
    """Cut the picture into slices of one length and keep one; a slice that does not exist leaves the picture whole."""

    name: ClassVar[str] = "slice"
    along: Along
    length: int
    index: int = 0

    def __post_init__(self) -> None:
        check_side("length", self.length)
        check_between("index", self.index, 0, MAX_RADIUS)

    def box(self, picture: Size) -> Box:
        """Where the slice lies; the last one is what remains."""
        whole = Box(0, 0, picture.width, picture.height)
        start = self.index * self.length
        if self.along is Along.WIDTH:
            return Box(start, 0, self.length, picture.height).within(picture) or whole
        return Box(0, start, picture.width, self.length).within(picture) or whole

    def size(self, picture: Size) -> Size:
        """The slice."""
        box = self.box(picture)
        return Size(box.width, box.height)

    @property
    def boxes(self) -> tuple[str, ...]:
        """The slice as a box."""
        return box_text(self.length, None) if self.along is Along.WIDTH else box_text(None, self.length)


@dataclass(frozen=True, slots=True)
class Circle(Operation):
    """Cut the circle of this radius out of the middle; what lies around it is transparent."""

    name: ClassVar[str] = "circle"
    radius: int

    def __post_init__(self) -> None:
        check_between("radius", self.radius, 1, MAX_RADIUS)

    def size(self, picture: Size) -> Size:
        """The square around the circle, which is never wider than the picture's shorter side."""
        side = min(2 * self.radius, picture.width, picture.height)
        return Size(side, side)

    @property
    def boxes(self) -> tuple[str, ...]:
        """The square around the circle."""
        return box_text(2 * self.radius, 2 * self.radius)


class Unit(StrEnum):
    """What a length is counted in."""

    PIXELS = "pixels"
    PERCENT = "percent"
    """Of the picture's width or height."""


@dataclass(frozen=True, slots=True)
class RoundCorners(Operation):
    """Make the corners round and transparent. Radii reach to the middle at most."""

    name: ClassVar[str] = "round-corners"
    x: float
    y: float
    unit: Unit = Unit.PIXELS
    even: bool = False
    """Whether both radii are bounded by half the shorter side, so that corners stay quarters of a circle."""

    def __post_init__(self) -> None:
        check_between("the radius", self.x, 0, MAX_RADIUS)
        check_between("the radius", self.y, 0, MAX_RADIUS)

    def radii(self, picture: Size) -> tuple[float, float]:
        """Both radii in pixels of this picture."""
        x, y = self.x, self.y
        if self.unit is Unit.PERCENT:
            x, y = picture.width * x / 100, picture.height * y / 100
        across, down = picture.width / 2, picture.height / 2
        if self.even:
            across = down = min(across, down)
        return min(x, across), min(y, down)


@dataclass(frozen=True, slots=True)
class Trim(Operation):
    """Cut off margins of one colour: that of the top left corner, or `background`."""

    name: ClassVar[str] = "trim"
    settles_size: ClassVar[bool] = True
    holds_picture: ClassVar[bool] = True
    threshold: int = 10
    """How far a colour may be from the margin's, of 255, and still belong to it."""
    background: Colour | None = None

    def __post_init__(self) -> None:
        check_between("the threshold", self.threshold, 1, 255)

    @property
    def boxes(self) -> tuple[str, ...]:
        """A size without a box."""
        return ("trimmed",)

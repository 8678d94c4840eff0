"""Operations that scale the whole picture.

What the vendors call modes, flags and forms comes down to four questions: which box (`Axes`), how the picture meets it
(`Fit`), whether it may grow or shrink, and what follows when it is too small (`Small`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.geometry import Size
from proxy.plan.operations.operation import Operation, box_text, check_between, check_side

MAX_AREA = 900_000_000
MAX_PERCENT = 10_000


class Fit(StrEnum):
    """How a picture meets a box. None of these cuts anything off."""

    INSIDE = "inside"
    """The largest scale at which the picture fits into the box."""
    COVER = "cover"
    """The smallest scale at which the picture covers the box."""
    FILL = "fill"
    """Exactly the box, without regard to proportions."""


class Axes(StrEnum):
    """What the two sides of a box stand for."""

    WIDTH_HEIGHT = "width-height"
    LONG_SHORT = "long-short"
    """`width` is for the longer side of the picture, `height` for the shorter one; a square counts as upright."""

    def turn(self, width: int | None, height: int | None, picture: Size) -> tuple[int | None, int | None]:
        """The box as width and height of this picture."""
        if self is Axes.LONG_SHORT and picture.height >= picture.width:
            return height, width
        return width, height


@dataclass(frozen=True, slots=True)
class Resize(Operation):
    """Scale to a box. A missing side follows from the other; never enlarges unless told to."""

    name: ClassVar[str] = "resize"
    width: int | None = None
    height: int | None = None
    fit: Fit = Fit.INSIDE
    enlarge: bool = False
    shrink: bool = True
    axes: Axes = Axes.WIDTH_HEIGHT

    def __post_init__(self) -> None:
        if self.width is None and self.height is None:
            raise InvalidCommand("resize needs a width, a height or both")
        check_side("width", self.width)
        check_side("height", self.height)

    def size(self, picture: Size) -> Size:
        """Scale by the smaller (inside) or larger (cover) ratio; the side that decides comes out exactly as asked."""
        width, height = self.axes.turn(self.width, self.height, picture)
        if self.fit is Fit.FILL:
            return Size(
                self._bounded(width or picture.width, picture.width),
                self._bounded(height or picture.height, picture.height),
            )
        ratios = [
            asked / side for asked, side in ((width, picture.width), (height, picture.height)) if asked is not None
        ]
        scale = max(ratios) if self.fit is Fit.COVER else min(ratios)
        if (scale >= 1 and not self.enlarge) or (scale <= 1 and not self.shrink):
            return picture
        return picture.scaled(scale)

    def _bounded(self, asked: int, side: int) -> int:
        asked = asked if self.enlarge else min(asked, side)
        return asked if self.shrink else max(asked, side)

    @property
    def boxes(self) -> tuple[str, ...]:
        """The box."""
        return box_text(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Scale(Operation):
    """Scale each side by a percentage of itself."""

    name: ClassVar[str] = "scale"
    horizontal: float = 100.0
    vertical: float = 100.0

    def __post_init__(self) -> None:
        for value in (self.horizontal, self.vertical):
            if not 0 < value <= MAX_PERCENT:
                raise InvalidCommand(f"scale takes percentages above 0 and up to {MAX_PERCENT}, got {str(value)[:20]}")

    def size(self, picture: Size) -> Size:
        """Both sides rounded half up."""
        # Multiplied first: 29 % of 50 is 14.5 exactly, 50 * 0.29 is not.
        return Size(
            max(1, math.floor(picture.width * self.horizontal / 100 + 0.5)),
            max(1, math.floor(picture.height * self.vertical / 100 + 0.5)),
        )

    @property
    def boxes(self) -> tuple[str, ...]:
        """A size without a box."""
        return (f"{self.horizontal:g}% x {self.vertical:g}%",)


@dataclass(frozen=True, slots=True)
class Area(Operation):
    """Scale to at most so many pixels in all, keeping proportions."""

    name: ClassVar[str] = "area"
    pixels: int
    enlarge: bool = False

    def __post_init__(self) -> None:
        check_between("the number of pixels", self.pixels, 1, MAX_AREA)

    def size(self, picture: Size) -> Size:
        """Both sides rounded down, so that the product never exceeds the number."""
        if not self.enlarge and picture.pixels <= self.pixels:
            return picture
        scale = math.sqrt(self.pixels / picture.pixels)
        return Size(max(1, math.floor(picture.width * scale)), max(1, math.floor(picture.height * scale)))

    @property
    def boxes(self) -> tuple[str, ...]:
        """A size without a box."""
        return (f"{self.pixels} pixels",)


class How(StrEnum):
    """How a picture is made exactly as large as a box."""

    CUT = "cut"
    """It covers the box, and what sticks out is cut off evenly."""
    PAD = "pad"
    """It fits inside the box, in the middle of a background."""
    DISTORT = "distort"
    """It is stretched."""


class Small(StrEnum):
    """What happens to a picture that is smaller than the box on either side."""

    KEEP = "keep"
    """It stays as it is."""
    CLIP = "clip"
    """It is not enlarged; the box is cut to what there is."""
    ENLARGE = "enlarge"
    STRETCH = "stretch"
    """It is stretched to the box, where a larger one would be cut."""


@dataclass(frozen=True, slots=True)
class Reframe(Operation):
    """Make the picture exactly as large as a box, with a rule for pictures that are too small."""

    name: ClassVar[str] = "reframe"
    width: int
    height: int
    how: How = How.CUT
    small: Small = Small.KEEP
    axes: Axes = Axes.WIDTH_HEIGHT
    background: Colour = Colour.WHITE

    def __post_init__(self) -> None:
        check_side("width", self.width)
        check_side("height", self.height)
        if self.how is not How.CUT and self.small in (Small.CLIP, Small.STRETCH):
            raise InvalidCommand(f'reframe takes small = "{self.small.value}" only with how = "cut"')

    def box(self, picture: Size) -> Size:
        """The box for this picture."""
        width, height = self.axes.turn(self.width, self.height, picture)
        return Size(width or self.width, height or self.height)

    def scaled(self, picture: Size) -> Size:
        """The size the picture is scaled to before it is cut or padded."""
        box = self.box(picture)
        if self.small is Small.KEEP and self._is_small(picture):
            return picture
        if self.how is How.DISTORT or (self.small is Small.STRETCH and self._is_small(picture)):
            return box
        fit = Fit.COVER if self.how is How.CUT else Fit.INSIDE
        return Resize(box.width, box.height, fit, enlarge=self.small is Small.ENLARGE).size(picture)

    def size(self, picture: Size) -> Size:
        """The box, or what the rule for small pictures makes of it."""
        box = self.box(picture)
        if self.small in (Small.ENLARGE, Small.STRETCH):
            return box
        if self.small is Small.CLIP:
            scaled = self.scaled(picture)
            return Size(min(box.width, scaled.width), min(box.height, scaled.height))
        return picture if self._is_small(picture) else box

    def _is_small(self, picture: Size) -> bool:
        box = self.box(picture)
        return box.width > picture.width or box.height > picture.height

    @property
    def boxes(self) -> tuple[str, ...]:
        """The box."""
        return box_text(self.width, self.height)

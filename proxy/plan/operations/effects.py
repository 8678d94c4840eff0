"""Operations that turn, mirror, blur, sharpen or recolour the whole picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.geometry import Size
from proxy.plan.operations.operation import Operation, check_between


@dataclass(frozen=True, slots=True)
class AutoOrient(Operation):
    """Turn the picture as its EXIF orientation says, and forget the orientation."""

    name: ClassVar[str] = "auto-orient"


@dataclass(frozen=True, slots=True)
class Rotate(Operation):
    """Rotate clockwise by `degrees`; corners that open up are filled with the background."""

    name: ClassVar[str] = "rotate"
    degrees: float
    background: Colour = Colour.WHITE

    def __post_init__(self) -> None:
        if not -360 <= self.degrees <= 360:
            raise InvalidCommand(f"rotate takes -360 to 360 degrees, got {self.degrees:g}")

    def size(self, picture: Size) -> Size:
        """Exact for multiples of 90 degrees, else the rounded-down bounding box of the turned picture."""
        angle = self.degrees % 360
        if angle in (0, 180):
            return picture
        if angle in (90, 270):
            return picture.turned()
        cosine, sine = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        return Size(
            max(1, math.floor(picture.width * cosine + picture.height * sine)),
            max(1, math.floor(picture.width * sine + picture.height * cosine)),
        )


@dataclass(frozen=True, slots=True)
class Flip(Operation):
    """Mirror the picture: top to bottom (`vertical`) or left to right (`horizontal`)."""

    name: ClassVar[str] = "flip"
    direction: str = "vertical"

    def __post_init__(self) -> None:
        if self.direction not in ("vertical", "horizontal"):
            raise InvalidCommand(f"flip takes vertical or horizontal, got {self.direction[:20]!r}")


@dataclass(frozen=True, slots=True)
class Blur(Operation):
    """Gaussian blur; `sigma` in pixels of the picture at this point, `radius` cuts it off at so many pixels."""

    name: ClassVar[str] = "blur"
    sigma: float
    radius: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.sigma <= 50:
            raise InvalidCommand(f"blur takes a sigma above 0 and up to 50, got {self.sigma:g}")
        if self.radius is not None:
            check_between("the blur's radius", self.radius, 1, 50)


@dataclass(frozen=True, slots=True)
class Sharpen(Operation):
    """Unsharp mask on lightness; `sigma` in pixels, `amount` 1 is a light touch, 10 is harsh."""

    name: ClassVar[str] = "sharpen"
    sigma: float = 0.8
    amount: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma <= 10:
            raise InvalidCommand(f"sharpen takes a sigma above 0 and up to 10, got {self.sigma:g}")
        if not 0 < self.amount <= 10:
            raise InvalidCommand(f"sharpen takes an amount above 0 and up to 10, got {self.amount:g}")


@dataclass(frozen=True, slots=True)
class Grayscale(Operation):
    """Take the colour out; alpha stays."""

    name: ClassVar[str] = "grayscale"


@dataclass(frozen=True, slots=True)
class Brightness(Operation):
    """Make the picture brighter (up to 100) or darker (down to -100)."""

    name: ClassVar[str] = "brightness"
    amount: int

    def __post_init__(self) -> None:
        check_between("brightness", self.amount, -100, 100)


@dataclass(frozen=True, slots=True)
class Contrast(Operation):
    """Spread the tones away from the middle (up to 100) or draw them to it (down to -100)."""

    name: ClassVar[str] = "contrast"
    amount: int

    def __post_init__(self) -> None:
        check_between("contrast", self.amount, -100, 100)

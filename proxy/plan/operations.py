"""The operations: each is a frozen value that says one change to the picture.

An operation knows its checks, its canonical text and the size it makes of a size; it does not know pixels. The step
that performs it lives in `proxy/imaging/steps.py`; a test asserts that every operation has one. The canonical text of
a list of operations is its identity: it is what the fingerprint of a plan is made of.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields
from enum import Enum, StrEnum
from typing import ClassVar

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity, Size, place, round_side

MAX_SIDE = 30_000
"""No operation may name a side above this many pixels; what may be *rendered* is bounded by the settings."""


class Operation:
    """The base of all operations: canonical text from the dataclass fields, in their order."""

    __slots__ = ()
    name: ClassVar[str]

    def canonical(self) -> str:
        """The one spelling of this operation, `name(field=value,…)`, without fields that stand at their default."""
        parts = []
        for field in fields(self):  # type: ignore[arg-type]  # every operation is a dataclass
            value = getattr(self, field.name)
            if field.default is not MISSING and value == field.default:
                continue
            parts.append(f"{field.name}={canonical_value(value)}")
        return f"{self.name}({','.join(parts)})"

    def size(self, picture: Size) -> Size:
        """The size this operation makes of a picture of size `picture`."""
        return picture


def canonical_value(value: object) -> str:
    """One spelling for each value: enums by value, integral floats without a fraction, floats with up to 6 digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return str(value)


class Fit(StrEnum):
    """How a picture meets a box. None of these cuts anything off."""

    INSIDE = "inside"
    """The largest scale at which the picture fits into the box."""
    COVER = "cover"
    """The smallest scale at which the picture covers the box."""
    FILL = "fill"
    """Exactly the box, without regard to proportions."""


@dataclass(frozen=True, slots=True)
class AutoOrient(Operation):
    """Turn the picture as its EXIF orientation says, and forget the orientation."""

    name: ClassVar[str] = "auto-orient"


@dataclass(frozen=True, slots=True)
class Resize(Operation):
    """Scale to a box. A missing side follows from the other; never enlarges unless told to."""

    name: ClassVar[str] = "resize"
    width: int | None = None
    height: int | None = None
    fit: Fit = Fit.INSIDE
    enlarge: bool = False

    def __post_init__(self) -> None:
        if self.width is None and self.height is None:
            raise InvalidCommand("resize needs a width, a height or both")
        check_side("width", self.width)
        check_side("height", self.height)

    def size(self, picture: Size) -> Size:
        """Scale by the smaller (inside) or larger (cover) ratio; the side that decides comes out exactly as asked."""
        if self.fit is Fit.FILL:
            width, height = self.width or picture.width, self.height or picture.height
            if not self.enlarge:
                width, height = min(width, picture.width), min(height, picture.height)
            return Size(width, height)
        ratios = [
            asked / side
            for asked, side in ((self.width, picture.width), (self.height, picture.height))
            if asked is not None
        ]
        scale = max(ratios) if self.fit is Fit.COVER else min(ratios)
        if scale >= 1 and not self.enlarge:
            return picture
        return picture.scaled(scale)


@dataclass(frozen=True, slots=True)
class Crop(Operation):
    """Cut a box out. A missing side is the whole side; the box is clipped to the picture, never padded."""

    name: ClassVar[str] = "crop"
    width: int | None = None
    height: int | None = None
    gravity: Gravity = Gravity.NORTHWEST
    dx: int = 0
    dy: int = 0

    def __post_init__(self) -> None:
        check_side("width", self.width)
        check_side("height", self.height)
        check_offset("dx", self.dx)
        check_offset("dy", self.dy)

    def size(self, picture: Size) -> Size:
        """The part of the box inside the picture; refused when the two do not meet."""
        wanted = Size(self.width or picture.width, self.height or picture.height)
        if self.gravity.looks_at_pixels:
            return Size(min(wanted.width, picture.width), min(wanted.height, picture.height))
        box = place(wanted, picture, self.gravity, self.dx, self.dy).within(picture)
        if box is None:
            raise InvalidCommand(f"the crop box lies outside of the picture, which is {picture} here")
        return Size(box.width, box.height)


@dataclass(frozen=True, slots=True)
class Extent(Operation):
    """Put the picture on a canvas of exactly this size: pads where it is smaller, cuts where it is larger."""

    name: ClassVar[str] = "extent"
    width: int
    height: int
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

    def size(self, picture: Size) -> Size:  # noqa: ARG002 -- the canvas does not depend on the picture
        """The canvas, whatever the picture."""
        return Size(self.width, self.height)


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
    """Gaussian blur; `sigma` in pixels of the picture at this point."""

    name: ClassVar[str] = "blur"
    sigma: float

    def __post_init__(self) -> None:
        if not 0 < self.sigma <= 50:
            raise InvalidCommand(f"blur takes a sigma above 0 and up to 50, got {self.sigma:g}")


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
class Flatten(Operation):
    """Put the picture on an opaque background; alpha is gone afterwards."""

    name: ClassVar[str] = "flatten"
    background: Colour = Colour.WHITE


OPERATIONS: dict[str, type[Operation]] = {
    operation.name: operation
    for operation in (AutoOrient, Resize, Crop, Extent, Rotate, Flip, Blur, Sharpen, Grayscale, Flatten)
}
"""Every operation by its name; `presets.toml` writes them so in an `operations` list."""


def check_side(name: str, value: int | None) -> None:
    """Refuse a side that no picture can have."""
    if value is not None and not 1 <= value <= MAX_SIDE:
        raise InvalidCommand(f"{name} must be 1 to {MAX_SIDE} pixels, got {str(value)[:20]}")


def check_offset(name: str, value: int) -> None:
    """Refuse an offset further out than any picture reaches."""
    if not -MAX_SIDE <= value <= MAX_SIDE:
        raise InvalidCommand(f"{name} must be -{MAX_SIDE} to {MAX_SIDE} pixels, got {str(value)[:20]}")


def final_size(operations: tuple[Operation, ...], picture: Size) -> Size:
    """The size the whole list makes of a picture of size `picture`."""
    for operation in operations:
        picture = operation.size(picture)
    return picture


__all__ = [
    "MAX_SIDE", "OPERATIONS", "AutoOrient", "Blur", "Colour", "Crop", "Extent", "Fit", "Flatten", "Flip", "Gravity",
    "Grayscale", "Operation", "Resize", "Rotate", "Sharpen", "Size", "final_size", "round_side",
]  # fmt: skip

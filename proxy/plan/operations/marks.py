"""Operations that draw a mark on the picture: another image, a text, or both beside one another.

A mark never changes the picture's size. Its own size is decided by the picture where the vendor's rule says so; the
arithmetic is here, the drawing in `proxy/imaging/marks.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity, Size
from proxy.plan.operations.operation import Operation, check_between, check_offset

MAX_TEXT = 512


class ScaleBy(StrEnum):
    """Which side of the mark follows which side of the picture."""

    NONE = "none"
    """The mark keeps its size."""
    SHORT = "short"
    LONG = "long"
    WIDTH = "width"
    HEIGHT = "height"
    AREA = "area"
    BOX = "box"
    """The mark fits inside this share of the picture."""


class TooLarge(StrEnum):
    """What happens to a mark that is larger than the picture."""

    SKIP = "skip"
    """It is not drawn."""
    SHRINK = "shrink"
    CLIP = "clip"


def check_mark(mark: Watermark | Text | MarkRow) -> None:
    """Refuse what no mark can be."""
    if mark.gravity.looks_at_pixels:
        raise InvalidCommand(f"a mark takes one of the nine anchors as gravity, got {mark.gravity.value}")
    check_offset("dx", mark.dx)
    check_offset("dy", mark.dy)
    check_between("opacity", mark.opacity, 0, 100)


@dataclass(frozen=True, slots=True)
class Watermark(Operation):
    """Draw another image on the picture; `image` is its key, or the URL of an allowed host."""

    name: ClassVar[str] = "watermark"
    image: str
    gravity: Gravity = Gravity.SOUTHEAST
    dx: int = 10
    dy: int = 10
    opacity: int = 100
    scale: float = 1.0
    scale_by: ScaleBy = ScaleBy.NONE
    too_large: TooLarge = TooLarge.CLIP
    tile: bool = False
    """Whether the mark is repeated all over the picture, `dx` and `dy` apart; gravity has no meaning then."""
    spacing: int = 0
    """More distance between repetitions, in percent of the mark's size."""
    degrees: float = 0.0
    """Clockwise."""
    operations: tuple[Operation, ...] = field(default=(), metadata={"written": False})
    """What is done to the mark before."""

    def __post_init__(self) -> None:
        check_mark(self)
        check_between("degrees", self.degrees, -360, 360)
        check_between("spacing", self.spacing, 0, 1000)
        if not self.image:
            raise InvalidCommand("a watermark needs an image")
        if not 0 < self.scale <= 100:
            raise InvalidCommand(f"a watermark's scale must be above 0 and up to 100, got {self.scale:g}")

    @property
    def overlays(self) -> tuple[str, ...]:
        """The mark."""
        return (self.image,)

    def mark_size(self, mark: Size, picture: Size) -> Size:
        """How large a mark is drawn on this picture. Truncated, never below 1, as the vendors have it."""
        factor = share_factor(self.scale, self.scale_by, mark, picture)
        if factor is not None:
            mark = truncated(mark, factor)
        if self.too_large is TooLarge.SHRINK and (mark.width > picture.width or mark.height > picture.height):
            mark = truncated(mark, min(picture.width / mark.width, picture.height / mark.height))
        return mark


def share_factor(scale: float, scale_by: ScaleBy, mark: Size, picture: Size) -> float | None:
    """What a mark is scaled by to take its share of the picture; None where it keeps its size."""
    match scale_by:
        case ScaleBy.NONE:
            return None
        case ScaleBy.WIDTH:
            factor = picture.width / mark.width
        case ScaleBy.HEIGHT:
            factor = picture.height / mark.height
        case ScaleBy.SHORT:
            factor = min(picture.width, picture.height) / min(mark.width, mark.height)
        case ScaleBy.LONG:
            factor = max(picture.width, picture.height) / max(mark.width, mark.height)
        case ScaleBy.AREA:
            return math.sqrt(scale * picture.pixels / mark.pixels)
        case ScaleBy.BOX:
            factor = min(picture.width / mark.width, picture.height / mark.height)
    return factor * scale


def truncated(size: Size, factor: float) -> Size:
    """Both sides times a factor, rounded down; what is a whole number but for the last bit of a double, is one."""
    return Size(max(1, math.floor(size.width * factor + 1e-9)), max(1, math.floor(size.height * factor + 1e-9)))


@dataclass(frozen=True, slots=True)
class Text(Operation):
    """Draw a text on the picture. `size` is in pixels; without a font, one that has the characters is used."""

    name: ClassVar[str] = "text"
    text: str
    font: str = ""
    size_px: float = 32.0
    colour: Colour = Colour.BLACK
    gravity: Gravity = Gravity.SOUTHEAST
    dx: int = 10
    dy: int = 10
    opacity: int = 100
    degrees: float = 0.0
    """Clockwise."""
    shadow: int = 0
    """Opacity of a shadow below and to the right, 0 to 100."""
    outline: Colour = Colour.TRANSPARENT
    """Of a line around the characters."""
    tile: bool = False
    """Whether the text is repeated all over the picture."""
    spacing: int = 0
    """More distance between repetitions, in percent of the text's size."""
    cell_width: int = 0
    """Of each repetition; 0: the text's own width and `dx`."""
    cell_height: int = 0
    """Of each repetition; 0: the text's own height and `dy`."""
    scale: float = 1.0
    scale_by: ScaleBy = ScaleBy.NONE
    """Which share of the picture the text is to take; its size follows then."""

    def __post_init__(self) -> None:
        check_mark(self)
        check_between("degrees", self.degrees, -360, 360)
        check_between("shadow", self.shadow, 0, 100)
        check_between("spacing", self.spacing, 0, 1000)
        check_between("cell_width", self.cell_width, 0, 10_000)
        check_between("cell_height", self.cell_height, 0, 10_000)
        if not self.text or len(self.text) > MAX_TEXT:
            raise InvalidCommand(f"a text mark has 1 to {MAX_TEXT} characters, got {len(self.text)}")
        if "\0" in self.text or len(self.font) > 100 or not self.font.isprintable():
            raise InvalidCommand("a text mark and its font must be printable text")
        if not 1 <= self.size_px <= 1000:
            raise InvalidCommand(f"a text mark is 1 to 1000 pixels high, got {self.size_px:g}")
        if not 0 < self.scale <= 100:
            raise InvalidCommand(f"a text mark's scale must be above 0 and up to 100, got {self.scale:g}")


class Align(StrEnum):
    """How the parts of a row stand to one another."""

    TOP = "top"
    MIDDLE = "middle"
    BOTTOM = "bottom"


@dataclass(frozen=True, slots=True)
class MarkRow(Operation):
    """Draw several marks beside one another, as one mark; the parts' own placing has no meaning."""

    name: ClassVar[str] = "mark-row"
    parts: tuple[Watermark | Text, ...] = field(metadata={"written": False})
    interval: int = 0
    align: Align = Align.BOTTOM
    gravity: Gravity = Gravity.SOUTHEAST
    dx: int = 10
    dy: int = 10
    opacity: int = 100

    def __post_init__(self) -> None:
        check_mark(self)
        check_between("interval", self.interval, 0, 1000)
        if not self.parts:
            raise InvalidCommand("a row of marks needs a mark")

    @property
    def overlays(self) -> tuple[str, ...]:
        """The images in the row."""
        return tuple(key for part in self.parts for key in part.overlays)

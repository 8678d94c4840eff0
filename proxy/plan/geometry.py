"""Sizes and boxes: the arithmetic every dialect shares.

Pure integer and double arithmetic on values; no pixels. The rounding rules are those that the vendors document: round
half up and never below one pixel (`round_side`), and boxes are placed with floor division as ImageMagick does it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels, both at least 1."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        """The area in pixels."""
        return self.width * self.height

    def scaled(self, factor: float) -> Size:
        """Both sides times `factor`, rounded half up."""
        return Size(round_side(self.width * factor), round_side(self.height * factor))

    def turned(self) -> Size:
        """The size after a quarter turn."""
        return Size(self.height, self.width)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a picture: its left and top edge, width and height, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def within(self, size: Size) -> Box | None:
        """The part of this box that lies inside a picture of `size`; None when they do not meet."""
        left, top = max(0, self.left), max(0, self.top)
        right = min(size.width, self.left + self.width)
        bottom = min(size.height, self.top + self.height)
        if right <= left or bottom <= top:
            return None
        return Box(left, top, right - left, bottom - top)


class Gravity(StrEnum):
    """Which part of a picture matters: nine anchors, or what an analysis of the picture finds."""

    NORTHWEST = "northwest"
    NORTH = "north"
    NORTHEAST = "northeast"
    WEST = "west"
    CENTRE = "centre"
    EAST = "east"
    SOUTHWEST = "southwest"
    SOUTH = "south"
    SOUTHEAST = "southeast"
    ATTENTION = "attention"
    """What draws the eye: skin, strong colours, edges."""
    ENTROPY = "entropy"
    """Where most is going on."""
    FACE = "face"
    """The faces; the middle where there is none. Needs the extra `vision`."""
    FOCAL = "focal"
    """The focal point that is stored with the original; the middle where there is none."""

    @property
    def looks_at_pixels(self) -> bool:
        """Whether the position depends on what the picture shows: it is no anchor."""
        return self in (Gravity.ATTENTION, Gravity.ENTROPY, Gravity.FACE, Gravity.FOCAL)


_LEFT = (Gravity.NORTHWEST, Gravity.WEST, Gravity.SOUTHWEST)
_RIGHT = (Gravity.NORTHEAST, Gravity.EAST, Gravity.SOUTHEAST)
_TOP = (Gravity.NORTHWEST, Gravity.NORTH, Gravity.NORTHEAST)
_BOTTOM = (Gravity.SOUTHWEST, Gravity.SOUTH, Gravity.SOUTHEAST)


def round_side(value: float) -> int:
    """Round half up, never below 1."""
    return max(1, math.floor(value + 0.5))


def place(box: Size, picture: Size, gravity: Gravity, dx: int = 0, dy: int = 0) -> Box:
    """Place a box of size `box` in (or around) `picture` at an anchor; offsets move inwards from the anchored edge.

    The middle is floor(W/2) - floor(w/2), not floor((W-w)/2), as ImageMagick (and so the vendors) compute it. Gravities
    that look at pixels are placed in the centre; their analysis happens where the pixels are.
    """
    if gravity in _LEFT:
        left = dx
    elif gravity in _RIGHT:
        left = picture.width - box.width - dx
    else:
        left = picture.width // 2 - box.width // 2 + dx
    if gravity in _TOP:
        top = dy
    elif gravity in _BOTTOM:
        top = picture.height - box.height - dy
    else:
        top = picture.height // 2 - box.height // 2 + dy
    return Box(left, top, box.width, box.height)

"""The vendors' arithmetic, restated from their documentation: nothing here knows the code that it is held against.

`restated_mogr`, `restated_stores` and `restated_paths` hold the vendors; here is what they share. Each function draws a command at random, and says what it makes of a picture: a size, the place of the result's corner
in the picture where the command cuts, or None where it must be refused. Sides are rounded half up and never below 1,
but for areas, which are cut off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

Pair = tuple[int, int]
NAMES = ("NorthWest", "North", "NorthEast", "West", "Center", "East", "SouthWest", "South", "SouthEast")
COMPASS = ("nw", "north", "ne", "west", "center", "east", "sw", "south", "se")
CORNERS = ("tl", "top", "tr", "left", "center", "right", "bl", "bottom", "br")


@dataclass(frozen=True)
class Outcome:
    """What a command comes to."""

    text: str
    size: Pair | None
    """None: refused."""
    loose: bool = False
    """Whether turning by an odd angle makes it a matter of three pixels."""
    corner: Pair | None = None
    """The place of its first pixel in the picture, while nothing but cutting has happened."""


def r(value: float) -> int:
    """Round half up, never below 1."""
    return max(1, math.floor(value + 0.5))


def scaled(size: Pair, factor: float) -> Pair:
    """Both sides times a factor."""
    return r(size[0] * factor), r(size[1] * factor)


def a_side(random: Random) -> int:
    """Small sides as well as large ones."""
    return random.choice((1, 2, 3, random.randint(1, 50), random.randint(1, 1500), random.randint(1, 9999)))


def a_size(random: Random) -> Pair:
    """Of a picture."""
    side = random.choice((random.randint(1, 5), random.randint(1, 300), random.randint(1, 4000)))
    return (
        (side, side)
        if random.random() < 0.1
        else (side, random.choice((1, random.randint(1, 300), random.randint(1, 4000))))
    )


Draw = Callable[[Random, Pair], Outcome]


def placed(box: Pair, size: Pair, anchor: int, dx: int, dy: int) -> tuple[Pair, Pair] | None:
    """Size and corner of a box at one of nine anchors, moved inwards, where it lies in the picture."""
    column, row = anchor % 3, anchor // 3
    left = (dx, size[0] // 2 - box[0] // 2 + dx, size[0] - box[0] - dx)[column]
    top = (dy, size[1] // 2 - box[1] // 2 + dy, size[1] - box[1] - dy)[row]
    right, bottom = min(size[0], left + box[0]), min(size[1], top + box[1])
    left, top = max(0, left), max(0, top)
    return ((right - left, bottom - top), (left, top)) if right > left and bottom > top else None


def turned(random: Random, size: Pair) -> Outcome:
    """`rotate`: exact for quarters."""
    degrees = random.choice((90, 180, 270, 360, random.randint(1, 359)))
    if degrees % 90 == 0:
        return Outcome(f"rotate/{degrees}", size[::-1] if degrees in (90, 270) else size)
    c, s = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    return Outcome(f"rotate/{degrees}", (r(size[0] * c + size[1] * s), r(size[0] * s + size[1] * c)), loose=True)


def chain(random: Random, size: Pair, draws: tuple[Draw, ...], join: str) -> Outcome:
    """One to four of these after one another."""
    texts: list[str] = []
    loose = False
    result: Pair | None = size
    for _ in range(random.randint(1, 4)):
        assert result is not None
        step = random.choice(draws)(random, result)
        texts.append(step.text)
        result = step.size
        if result is None or max(result) > 30_000:
            break
        loose = loose or step.loose
        if loose:  # what follows would only spread the three pixels
            break
    return Outcome(join.join(texts), result, loose)


def chain_of(prefix: str, random: Random, size: Pair, draws: tuple[Draw, ...], join: str) -> Outcome:
    """A chain behind a prefix."""
    found = chain(random, size, draws, join)
    return Outcome(prefix + found.text, found.size, found.loose)

"""Where the parts of the upright original lie in the picture that the steps have made of it so far.

What is known of an original (a stored focal point, the faces in it) is known in fractions of the upright picture. Each
step that cuts, turns, mirrors or frames tells the view, so that a crop at the end still finds the face; scaling changes
no fraction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from proxy.plan.geometry import Box, Size


@dataclass(frozen=True, slots=True)
class View:
    """An affine map of fractions: x' = xx·x + xy·y + x0, y' = yx·x + yy·y + y0."""

    xx: float = 1.0
    xy: float = 0.0
    x0: float = 0.0
    yx: float = 0.0
    yy: float = 1.0
    y0: float = 0.0

    def then(self, after: View) -> View:
        """This map, followed by another."""
        return View(
            after.xx * self.xx + after.xy * self.yx,
            after.xx * self.xy + after.xy * self.yy,
            after.xx * self.x0 + after.xy * self.y0 + after.x0,
            after.yx * self.xx + after.yy * self.yx,
            after.yx * self.xy + after.yy * self.yy,
            after.yx * self.x0 + after.yy * self.y0 + after.y0,
        )

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where a point went."""
        return self.xx * x + self.xy * y + self.x0, self.yx * x + self.yy * y + self.y0

    def box(self, left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        """The upright box around where a box went: left, top, right, bottom."""
        corners = [self.point(x, y) for x in (left, right) for y in (top, bottom)]
        across, down = [x for x, _ in corners], [y for _, y in corners]
        return min(across), min(down), max(across), max(down)


MIRRORED = View(xx=-1.0, x0=1.0)
FLIPPED = View(yy=-1.0, y0=1.0)
QUARTER = View(0.0, -1.0, 1.0, 1.0, 0.0, 0.0)
"""A quarter turn clockwise."""
HALF = View(xx=-1.0, x0=1.0, yy=-1.0, y0=1.0)
THREE_QUARTERS = View(0.0, 1.0, 0.0, -1.0, 0.0, 1.0)
TURNS = {90: QUARTER, 180: HALF, 270: THREE_QUARTERS}
"""By degrees clockwise."""

UPRIGHT: dict[int, View] = {
    1: View(), 2: MIRRORED, 3: HALF, 4: FLIPPED, 5: QUARTER.then(MIRRORED), 6: QUARTER,
    7: THREE_QUARTERS.then(MIRRORED), 8: THREE_QUARTERS,
}  # fmt: skip
"""What turning upright does, by EXIF orientation."""
STORED: dict[int, View] = {**UPRIGHT, 6: THREE_QUARTERS, 8: QUARTER}
"""The way back: the others undo themselves."""


def framed(box: Box, frame: Size) -> View:
    """What happens when a picture is put at `box` of a frame: an extent, a border."""
    return View(
        xx=box.width / frame.width, x0=box.left / frame.width, yy=box.height / frame.height, y0=box.top / frame.height
    )


def cut(box: Box, picture: Size) -> View:
    """What happens when `box` is cut out of a picture."""
    return View(
        xx=picture.width / box.width, x0=-box.left / box.width, yy=picture.height / box.height, y0=-box.top / box.height
    )


def rotated(degrees: float, before: Size, after: Size) -> View:
    """What turning clockwise about the middle does."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    to_pixels = View(xx=before.width, x0=-before.width / 2, yy=before.height, y0=-before.height / 2)
    turn = View(cosine, -sine, 0.0, sine, cosine, 0.0)
    return to_pixels.then(turn).then(View(xx=1 / after.width, x0=0.5, yy=1 / after.height, y0=0.5))

"""Find faces, with OpenCV's cascades from its own wheel (the extra `vision`); imported when a picture first needs it.

Rules:

1. Faces are looked for once for each render, on a small grey copy of the upright original and not on the picture as it
   has become: a thumbnail of 50 pixels is cut around the same face as one of 500.
2. Two sensitivities. A crop must not follow a face that is none, so it takes what the frontal detector is sure of. What
   hides faces rather hides too much: frontal and profile, with fewer doubts.
3. Nothing here is random, and nothing depends on the number of cores: equal versions find equal boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import pyvips

from proxy.imaging.colours import settle_colours
from proxy.imaging.job import RenderLimits, SourceInfo
from proxy.imaging.loading import load
from proxy.imaging.scaling import scaled
from proxy.imaging.steps import flattened, upright
from proxy.machine import vision_version
from proxy.plan.colour import Colour
from proxy.plan.geometry import Size
from proxy.plan.output import ColourPolicy, Output
from proxy.plan.region import Region

MOST_FRAMES = 8
"""Frames of an animation that are looked at, evenly spread."""


@dataclass(frozen=True, slots=True)
class Search:
    """How to search. CPU for a photo, decoding included, measured on 21: 0.25 s for a crop, 0.8 s to hide."""

    cascades: tuple[str, ...]
    long_side: int
    """Pixels of the copy's longer side."""
    step: float
    """From one size of face to the next."""
    neighbours: int
    """Hits around a face that make it one: fewer find more faces, and more that are none."""
    smallest: int
    """The smallest face, as a part of the copy's shorter side: 12 is a twelfth."""


SURE = Search(("frontalface_alt2",), 640, 1.1, 5, 16)
SENSITIVE = Search(("frontalface_alt2", "profileface"), 640, 1.1, 3, 32)


def searched(frames: tuple[int, ...]) -> tuple[int, ...]:
    """Those of so many frames that are looked at."""
    return frames[:: -(-len(frames) // MOST_FRAMES)]


class FoundFaces:
    """The faces in one original, found when first asked for; None without the extra."""

    def __init__(
        self, path: str, info: SourceInfo, limits: RenderLimits, output: Output, kept: tuple[int, ...]
    ) -> None:
        self._path = path
        self._info = info
        self._limits = limits
        self._output = output
        self._kept = kept

    def sure(self) -> tuple[Region, ...] | None:
        """What surely is a face in the first frame, the largest first."""
        return self._sure

    def all(self) -> tuple[Region, ...] | None:
        """What may be a face in any frame."""
        return self._all

    @cached_property
    def _sure(self) -> tuple[Region, ...] | None:
        if vision_version() is None:
            return None
        found = _detect(self._copies(self._kept[:1], SURE.long_side)[0], SURE)
        return tuple(sorted(found, key=lambda face: -face.width * face.height))

    @cached_property
    def _all(self) -> tuple[Region, ...] | None:
        if vision_version() is None:
            return None
        copies = self._copies(searched(self._kept), SENSITIVE.long_side)
        return tuple(dict.fromkeys(face for copy in copies for face in _detect(copy, SENSITIVE)))

    def _copies(self, kept: tuple[int, ...], long_side: int) -> list[pyvips.Image]:
        """The frames as they are searched: small, upright, one band."""
        info = self._info
        stored = Size(info.width, info.height)
        target = stored.scaled(min(1.0, long_side / max(stored.width, stored.height)))
        picture = load(self._path, info, self._output, self._limits, target=target, kept=kept)
        picture = settle_colours(picture, ColourPolicy.SRGB)
        return [_copy(frame, target, info.orientation) for frame in picture.frames]


def _copy(frame: pyvips.Image, target: Size, orientation: int) -> pyvips.Image:
    grey = flattened(scaled(frame, target), Colour.WHITE).colourspace("b-w")[0]
    return upright(grey.copy_memory(), orientation)


def _detect(image: pyvips.Image, search: Search) -> list[Region]:
    import cv2  # noqa: PLC0415 -- 60 MB that most workers never need
    import numpy as np  # noqa: PLC0415 -- comes with it

    cv2.setNumThreads(1)  # one slot is one core
    # Not equalised: the tones of a wall around a face would take the contrast from the face.
    grey = np.frombuffer(image.write_to_memory(), np.uint8).reshape(image.height, image.width)
    side = max(20, round(min(grey.shape) / search.smallest))
    found = []
    for name in search.cascades:
        mirrors = (False, True) if name == "profileface" else (False,)  # it knows faces that look to the left only
        for mirrored in mirrors:
            seen = cv2.flip(grey, 1) if mirrored else grey
            boxes = _cascade(name).detectMultiScale(seen, search.step, search.neighbours, minSize=(side, side))
            for x, y, width, height in (map(int, box) for box in boxes):
                left = image.width - x - width if mirrored else x
                found.append(Region(left / image.width, y / image.height, width / image.width, height / image.height))
    return found


@cache
def _cascade(name: str) -> Any:
    import cv2.data  # noqa: PLC0415 -- see above

    return cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_{name}.xml")

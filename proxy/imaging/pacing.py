"""Write an animation in the time there is: watch the encoder, and where it will not be ready, go on with fewer frames.

How long an encoder takes depends on the pictures (one frame like the one before costs next to nothing) and on the
machine, so it is measured, not estimated: once a good part is written, the rest can be told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pyvips

from proxy.errors import ResultTooLarge
from proxy.imaging.picture import Picture
from proxy.plan.animation import OverBudget, evenly, merged

_TELLING = 0.15
"""Of the time there is: after so much of it, what is written tells how long the rest will take."""
_SAFE = 0.75
"""Of the frames that a second attempt could write at the measured pace."""

Write = Callable[[Picture, "Watch"], None]
"""Encodes a picture, and shows the image that it is about to encode to the watch."""


class Watch:
    """Looks on while an image is written, and stops what will not be ready in `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.perf_counter()
        self.stopped = False
        self.done = 0.0
        """How much was written when it was stopped, 0 to 1."""

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._began

    def over(self, image: pyvips.Image) -> None:
        """Look on at the writing of this image."""
        self._began = time.perf_counter()
        image.set_progress(True)
        image.signal_connect("eval", self._look)

    def _look(self, image: pyvips.Image, progress: object) -> None:
        elapsed = self.elapsed
        if self.stopped or elapsed < _TELLING * self._seconds:
            return
        done = max(getattr(progress, "percent", 0), 1) / 100
        if elapsed / done > self._seconds:
            self.stopped, self.done = True, done
            image.set_kill(True)


def write_in_time(picture: Picture, write: Write, *, seconds: float, policy: OverBudget) -> Picture:
    """Write a picture; the one that is returned is what was written, with a note if it has fewer frames."""
    count = len(picture.frames)
    if count == 1:
        write(picture, Watch(seconds))
        return picture
    watch = Watch(seconds)
    try:
        write(picture, watch)
    except pyvips.Error:
        if not watch.stopped:
            raise
    else:
        return picture
    if policy is OverBudget.REFUSE:
        raise ResultTooLarge(f"writing {picture.size} in {count} frames takes longer than an animation may take here")
    took = watch.elapsed
    most = int(_SAFE * count * watch.done / took * max(0.0, seconds - took))
    if policy is OverBudget.FIRST or most < 2:
        first = replace(picture, frames=picture.frames[:1], delays=())
        write(first, Watch(seconds))
        return first.noting(f"first of {count} frames: writing all takes longer than an animation may take here")
    kept = evenly(count, min(most, count - 1))
    fewer = replace(picture, frames=tuple(picture.frames[index] for index in kept), delays=merged(picture.delays, kept))
    write(fewer, Watch(seconds))
    note = f"{len(kept)} of {count} frames: writing all takes longer than an animation may take here"
    return fewer.noting(note)

"""Write an animation in the time there is: try some frames first, and go on with fewer where all would not be ready.

How long an encoder takes depends on the pictures (a frame like the one before costs next to nothing) and on the
machine, so it is measured, not estimated. libvips' own progress does not tell: for a WebP it speaks of pixels that are
handed over, not of frames that are encoded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from proxy.errors import ResultTooLarge
from proxy.imaging.picture import Picture
from proxy.plan.animation import OverBudget, evenly, merged

_SURE_PER_SECOND = 300_000
"""Pixels that any encoder writes in a second: so much needs no trial. 600,000 of GIF were measured under load."""
_TRIED = 3
"""Frames in a row that are tried, at two places of the animation."""
_LARGE = 1_000_000
"""Pixels of a frame of which two are tried, and no six."""
_SAFE = 1.1
"""Frames that lie further apart have less in common; but a third of those tried began anew, and took longer, too."""

Write = Callable[[Picture], None]


def write_in_time(picture: Picture, write: Write, *, seconds: float, policy: OverBudget) -> Picture:
    """Write a picture; the one that is returned is what was written, with a note if it has fewer frames."""
    count = len(picture.frames)
    if count == 1 or count * picture.size.pixels <= _SURE_PER_SECOND * seconds:
        write(picture)
        return picture
    began = time.perf_counter()
    pace = _pace(picture, write)
    left = seconds - (time.perf_counter() - began)
    most = int(max(0.0, left) / (_SAFE * pace))
    if most < count:
        picture = _less(picture, most, policy)
    write(picture)
    return picture


def _pace(picture: Picture, write: Write) -> float:
    """Seconds for each frame, by a few of them."""
    count = len(picture.frames)
    run = 1 if picture.size.pixels > _LARGE else _TRIED
    tried = sorted({min(count - 1, count * quarter // 4 + step) for quarter in (1, 3) for step in range(run)})
    began = time.perf_counter()
    write(_only(picture, tuple(tried)))
    return (time.perf_counter() - began) / len(tried)


def _less(picture: Picture, most: int, policy: OverBudget) -> Picture:
    count = len(picture.frames)
    if policy is OverBudget.REFUSE:
        raise ResultTooLarge(f"writing {picture.size} in {count} frames takes longer than an animation may take here")
    why = "writing all takes longer than an animation may take here"
    if policy is OverBudget.FIRST or most < 2:
        return _only(picture, (0,)).noting(f"first of {count} frames: {why}")
    return _only(picture, evenly(count, most)).noting(f"{most} of {count} frames: {why}")


def _only(picture: Picture, kept: tuple[int, ...]) -> Picture:
    """Some of the frames, with the time of all from the first of them on."""
    only = picture.with_frames(tuple(picture.frames[index] for index in kept))
    return replace(only, delays=merged(picture.delays, kept) if len(kept) > 1 else ())

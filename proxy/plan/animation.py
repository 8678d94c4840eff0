"""Budgets and timing of animations: what happens to one that is too much, and how long a frame is shown."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class OverBudget(StrEnum):
    """What happens to an animation with more frames, pixels or work than the limits allow. Never silently."""

    FEWER = "fewer"
    """Frames are left out evenly, and those that stay are shown for longer: the whole lasts as long as before."""
    FIRST = "first"
    """The first frame only."""
    REFUSE = "refuse"
    """An error."""


FASTEST_MS = 20
"""The shortest delay that browsers honour. Chromium, Firefox and WebKit show a frame of 0 to 10 ms for 100 ms: the
GIFs of the nineties, made for slow machines, say 0."""
SLOWED_MS = 100


def evenly(count: int, most: int) -> tuple[int, ...]:
    """The numbers of at most `most` frames out of `count`, the first among them, evenly spread."""
    kept = max(1, min(count, most))
    return tuple(index * count // kept for index in range(kept))


def shown(delays: Sequence[int]) -> tuple[int, ...]:
    """How long browsers show each frame, in milliseconds, whatever the file says."""
    return tuple(delay if delay > 10 else SLOWED_MS for delay in delays)


def merged(delays: Sequence[int], kept: Sequence[int]) -> tuple[int, ...]:
    """The delays of the frames that are kept: each also has the time of those left out behind it."""
    ends = (*kept[1:], len(delays))
    return tuple(sum(delays[start:end]) for start, end in zip(kept, ends, strict=True))


def in_hundredths(delays: Sequence[int]) -> tuple[int, ...]:
    """The delays in steps of 10 ms, which is all that a GIF can say, with the rounding made up for by the next frames.

    None is so short that browsers would slow it down.
    """
    rounded: list[int] = []
    due = 0
    for delay in delays:
        due += delay
        rounded.append(max(FASTEST_MS, round((due - sum(rounded)) / 10) * 10))
    return tuple(rounded)

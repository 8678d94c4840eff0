"""Find the quality at which an encoder meets a target: a score, a number of bytes, or both.

Rules:

1. What is found does not depend on where the search starts, only how soon: a score is met by the lowest rung of
   `RUNGS` that reaches it, a limit by the highest quality that keeps below it. (Encoders are not always monotonous;
   where one is not, a neighbour may be found. So may one when the time runs out, and the notes say that.)
2. A search is bounded in tries and in time. The limit of bytes goes before the score.
3. An encode that was tried is kept, so that none is done twice.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pyvips

from proxy.imaging.equal_quality import growth, score_of
from proxy.imaging.task_files import read_file, write_file
from proxy.plan.output import Format

RUNGS: tuple[int, ...] = (*range(10, 88, 2), *range(88, 99))
"""The qualities that are tried for a score: about a point apart, in all three formats."""
MOST_TRIES = 8
"""Halving a hundred qualities takes seven; guided by what was measured, three or four are usual."""
USUAL_TRIES = 4
"""What a search usually takes."""
SMALLEST_SIDE = 8
"""Pixels: below, SSIMULACRA2 is not defined."""
_KEPT_BYTES = 32 << 20
"""Of encodes that may yet be chosen."""
_SURE_POINTS = 0.3
"""So close above the target, the rung below would miss it."""
_SURE_GROWTH = 0.002
"""The same of a limit, as a logarithm."""


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """A point in time by which a search is to be over."""

    ends: float
    clock: Callable[[], float] = time.perf_counter

    @property
    def left(self) -> float:
        """Seconds; never negative."""
        return max(0.0, self.ends - self.clock())


@dataclass(frozen=True, slots=True)
class Found:
    """Where an increasing function crosses zero among whole numbers."""

    below: int | None
    """The highest that is known to lie below zero."""
    above: int | None
    """The lowest that is known to lie at zero or above."""
    tries: int
    whole: bool
    """Whether the search was over before its time was."""


def find_crossing(
    measure: Callable[[int], float],
    *,
    low: int,
    high: int,
    start: int,
    usual: Callable[[int], float],
    sure: tuple[float, float],
    limit: TimeLimit,
) -> Found:
    """Search from `start`, up or down, between `low` and `high`.

    `usual` is how such a function usually runs, wherever it crosses zero: what was measured tells how much higher or
    lower this one runs. A value inside `sure` ends the search: it lies so close to zero that its neighbour lies on the
    other side.
    """
    below = above = None
    values = [0.0, 0.0]  # at both; the one that stays put is halved each time, or the line would always miss
    at, longest, tries = max(low, min(high, start)), 0.0, 0
    while True:
        since = limit.clock()
        value = measure(at)
        tries += 1
        longest = max(longest, limit.clock() - since)
        if value < 0:
            values = [value, values[1] / 2 if below is not None else values[1]]
            below = at
        else:
            values = [values[0] / 2 if above is not None else values[0], value]
            above = at
        over = (
            sure[0] <= value <= sure[1]
            or (below is not None and above is not None and above - below <= 1)
            or (below == high)
            or (above == low)
        )
        if over or tries >= MOST_TRIES or limit.left < longest:
            return Found(below, above, tries, over)
        if below is not None and above is not None:
            share = values[0] / (values[0] - values[1])
            wanted = usual(below) + share * (usual(above) - usual(below))
            at = min(range(below + 1, above), key=lambda number: abs(usual(number) - wanted))
        else:
            at = _beyond(at, value, low, high, usual)


def _beyond(at: int, value: float, low: int, high: int, usual: Callable[[int], float]) -> int:
    """Where a function with this value at `at` crosses zero if it runs as usual: the first place on the other side."""
    if value < 0:
        return next((number for number in range(at + 1, high) if usual(number) - usual(at) >= -value), high)
    return next((number for number in range(at - 1, low, -1) if usual(at) - usual(number) > value), low)


@dataclass(slots=True)
class Encodes:
    """What one picture comes to at each quality: bytes, and the score when it is asked for."""

    format: Format
    write: Callable[[int], None]
    """Encode at a quality, to `path`."""
    read: Callable[[], pyvips.Image]
    """Open what was encoded."""
    path: str
    picture: pyvips.Image
    bodies: dict[int, bytes] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    tries: int = 0
    _compare: Callable[[pyvips.Image], float] | None = field(default=None, init=False)

    def size(self, quality: int) -> int:
        """Bytes at a quality."""
        if quality not in self.bodies:
            self.write(quality)
            self.tries += 1
            body = read_file(self.path)
            while self.bodies and sum(map(len, self.bodies.values())) + len(body) > _KEPT_BYTES:
                self.bodies.pop(next(iter(self.bodies)))
            self.bodies[quality] = body
        return len(self.bodies[quality])

    def score(self, quality: int) -> float:
        """SSIMULACRA2 at a quality."""
        if quality not in self.scores:
            self.size(quality)
            if self._compare is None:
                from proxy.imaging.ssimulacra2 import Reference  # noqa: PLC0415 -- numpy is for those who search

                self._compare = Reference(self.picture).score
            write_file(self.path, self.bodies[quality])
            self.scores[quality] = self._compare(self.read())
        return self.scores[quality]

    def choose(self, quality: int) -> None:
        """Make the encode at a quality the one that stays at `path`."""
        self.size(quality)
        write_file(self.path, self.bodies[quality])


@dataclass(frozen=True, slots=True)
class Aim:
    """What is wanted of one encode."""

    score: int | None
    most_bytes: int | None
    highest: int
    """The quality where a limit of bytes starts from: that asked for, or the format's default."""
    start: int
    """Where to look first."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The quality that was chosen, and why."""

    quality: int
    learnt: int
    """Where the next search may begin: what was found for the score, before a limit lowered it."""
    notes: tuple[str, ...]


def settle(encodes: Encodes, aim: Aim, limit: TimeLimit) -> Settled:
    """Find the quality that meets the aim, and leave its encode at the encodes' path."""
    notes: list[str] = []
    quality = aim.highest
    if aim.score is not None and min(encodes.picture.width, encodes.picture.height) >= SMALLEST_SIDE:
        quality, remarks = _meet_score(encodes, aim.score, aim.start, limit)
        notes += remarks
    elif aim.score is not None:
        notes.append("too small for SSIMULACRA2: the usual quality for the score")
    learnt = quality
    if aim.most_bytes is not None:
        lowered = replace(aim, highest=quality, start=aim.start if aim.score is None else quality)
        quality, remarks = _meet_bytes(encodes, aim.most_bytes, lowered, limit)
        notes += remarks
    learnt = quality if aim.score is None else learnt
    encodes.choose(quality)
    score = f", SSIMULACRA2 {encodes.scores[quality]:.1f}" if quality in encodes.scores else ""
    return Settled(quality, learnt, (f"quality {quality}{score} after {_counted(encodes.tries)}", *notes))


def _meet_score(encodes: Encodes, score: int, start: int, limit: TimeLimit) -> tuple[int, list[str]]:
    found = find_crossing(
        lambda rung: encodes.score(RUNGS[rung]) - score,
        low=0,
        high=len(RUNGS) - 1,
        start=min(bisect_left(RUNGS, start), len(RUNGS) - 1),
        usual=lambda rung: score_of(RUNGS[rung], encodes.format),
        sure=(0.0, _SURE_POINTS),
        limit=limit,
    )
    notes = [] if found.whole else ["the search for the score ran out of time"]
    if found.above is not None:
        return RUNGS[found.above], notes
    assert found.below is not None  # one of the two is always known
    return RUNGS[found.below], [*notes, f"SSIMULACRA2 {score} is not reached"]


def _meet_bytes(encodes: Encodes, most: int, aim: Aim, limit: TimeLimit) -> tuple[int, list[str]]:
    found = find_crossing(
        lambda quality: math.log(encodes.size(quality) / (most + 0.5)),
        low=1,
        high=aim.highest,
        start=aim.start,
        usual=lambda quality: growth(quality, encodes.format),
        sure=(-_SURE_GROWTH, 0.0),
        limit=limit,
    )
    notes = [] if found.whole else ["the search for the size ran out of time"]
    # Without one that fits, the lowest: the limit is a promise, whatever the time says.
    quality = found.below or 1
    if quality < aim.highest:
        notes.append(f"quality lowered from {aim.highest} for at most {most} bytes")
    if encodes.size(quality) > most:
        notes.append(f"not below {most} bytes even at the lowest quality")
    return quality, notes


def _counted(tries: int) -> str:
    return "1 encode" if tries == 1 else f"{tries} encodes"

"""By when the parts of a render must be over, and what of that one encode may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from proxy.imaging.job import RenderJob
from proxy.imaging.searching import TimeLimit

ENCODING = 0.5
"""Of what is left when a picture is to be written, the estimate of its encode may take so much: the slowest photos take
twice as long as usual ones."""
MOVING = 0.7
"""Of a render's time, an animation may take so much: what is not ready then is lost altogether."""
SEARCHING = 0.5
"""Of the same: what a search for a quality or a format may take, the decoding included."""
LONGEST_SEARCH = 6.0
"""Seconds, whatever the deadline."""


@dataclass(frozen=True, slots=True)
class Times:
    """The ends of a render's parts; all count from its beginning."""

    whole: TimeLimit
    """Then the worker is killed, or has used up its CPU time."""
    searching: TimeLimit
    moving: TimeLimit

    @classmethod
    def of(cls, job: RenderJob, clock: Callable[[], float] = time.perf_counter) -> Self:
        """Those of a job that begins now."""
        now = clock()
        return cls(
            TimeLimit(now + min(job.seconds, job.limits.cpu_seconds), clock),
            TimeLimit(now + min(SEARCHING * job.seconds, LONGEST_SEARCH), clock),
            TimeLimit(now + min(MOVING * job.seconds, job.limits.animation_seconds), clock),
        )

    @property
    def for_encode(self) -> float:
        """Seconds that one encode may be estimated to take, as things are now."""
        return ENCODING * self.whole.left

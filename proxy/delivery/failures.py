"""What failed a moment ago, so that a broken original is not tried again by everybody who asks for it."""

from __future__ import annotations

import copy
import time
from collections import OrderedDict
from collections.abc import Callable

from proxy.errors import ProxyError
from proxy.plan.plan import Plan

MOST_FAILURES = 20_000
"""Failed variants remembered; the oldest are forgotten."""


class RecentFailures:
    """Errors by variant, each for a short time."""

    def __init__(self, *, lifetime: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], tuple[float, ProxyError]] = OrderedDict()

    def raise_for(self, plan: Plan) -> None:
        """Raise what this plan failed with lately, if it did."""
        error = self._recall(plan)
        if error is not None:
            raise copy.copy(error)

    def has(self, plan: Plan) -> bool:
        """Whether this plan failed lately."""
        return self._recall(plan) is not None

    def _recall(self, plan: Plan) -> ProxyError | None:
        place = (plan.key, plan.fingerprint)
        failure = self._failures.get(place)
        if failure is None:
            return None
        until, error = failure
        if self._clock() >= until:
            del self._failures[place]
            return None
        return error

    def remember(self, plan: Plan, error: ProxyError, *, lifetime: float | None = None) -> None:
        """Take note of a failure that asking again would not change at once; for less than usual where it is old."""
        seconds = self._lifetime if lifetime is None else min(lifetime, self._lifetime)
        place = (plan.key, plan.fingerprint)
        # A copy has neither traceback nor cause: those would keep the frames of the failed render, and all in them.
        self._failures[place] = (self._clock() + seconds, copy.copy(error))
        self._failures.move_to_end(place)
        while len(self._failures) > MOST_FAILURES:
            self._failures.popitem(last=False)

    def forget_where(self, wanted: Callable[[str], bool]) -> None:
        """Try the variants of the wanted keys again at the next request."""
        for place in [place for place in self._failures if wanted(place[0])]:
            del self._failures[place]

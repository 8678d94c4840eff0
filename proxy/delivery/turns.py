"""Let one replica render what several are asked for at the same time; the others take its result from the store.

Rules:
- It is a flight that waits here, not a request, and outside of every gate: nobody's slot is held.
- Waiting is bounded by a share of the flight's time. Who has waited so long renders, whatever others do; who has
  nothing else to do waits even less for one holder, which may stand in its own queue.
- What another replica saved counts as a stored result does: of the version that is known or, where none is, made of
  what was seen within the freshness window before the flight began. Where it was seen earlier, nobody waits again.
- Whoever could not save frees all others at once: there is nothing to wait for.
- A failure that lies in the picture is everybody's failure, as long as it is worth remembering.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from proxy.delivery.answer import Stages
from proxy.delivery.deadline import Deadline
from proxy.delivery.failures import RecentFailures
from proxy.delivery.freshness import Freshness
from proxy.delivery.result import Result, result_name
from proxy.delivery.results import Results
from proxy.errors import OriginalNotFound
from proxy.fleet.base import Alone, Claim, Fleet, Standing, Turn
from proxy.metrics import Metrics
from proxy.plan.plan import Plan

PATIENCE = 1 / 3
"""Of a flight's time: so much may be spent on waiting for others."""
IDLE_PATIENCE = 3.0
"""Seconds that a replica with a free worker waits for one holder."""
FIRST_PAUSE, LONGEST_PAUSE = 0.03, 0.25
"""Seconds between two questions whether another replica is done."""
MOST_WAITING = 256
"""Flights that wait for others; further ones render, and are refused by the gates where that is too much."""


class Turns:
    """Asks for turns, and waits for those of others."""

    def __init__(
        self,
        fleet: Fleet,
        results: Results,
        freshness: Freshness,
        failures: RecentFailures,
        *,
        window: float,
        idle: Callable[[], bool],
        metrics: Metrics,
    ) -> None:
        # Without a store nobody could take over what another made.
        self._fleet: Fleet = fleet if results.shared else Alone()
        self._results = results
        self._freshness = freshness
        self._failures = failures
        self._window = window
        self._idle = idle
        self._metrics = metrics
        self._waiting = 0

    @property
    def alone(self) -> bool:
        """Whether there are no other replicas whose result could be waited for."""
        return isinstance(self._fleet, Alone)

    async def take(self, plan: Plan, deadline: Deadline, stages: Stages) -> Turn | Result:
        """The turn to render `plan`, or the result that another replica has just made."""
        name = result_name(plan)
        wait, past, since = _Wait(deadline.remaining * PATIENCE), "", time.time()
        while True:
            claim = await self._fleet.claim(plan.key, name, past=past)
            if claim.known is not None:
                self._freshness.note(plan.key, claim.known)
            match claim.standing:
                case Standing.OURS:
                    return self._turn(plan, name, claim, "ours" if claim.token else "alone")
                case Standing.SAVED:
                    result = await self._saved_elsewhere(plan, deadline)
                    if result is not None and self._counts(plan, result, since):
                        self._metrics.turns.labels("found").inc()
                        return result
                    if wait.is_over or (result is not None and self._freshness.of(plan.key) is None):
                        return self._turn(plan, name, Claim(claim.standing), "old")
                    past = claim.token
                case Standing.FAILED if claim.error is not None:
                    self._metrics.turns.labels("failed").inc()
                    self._failures.remember(plan, claim.error, lifetime=claim.lifetime)
                    raise claim.error
                case Standing.THEIRS if wait.goes_on(claim.token, idle=self._idle()) and self._waiting < MOST_WAITING:
                    await self._pause(wait.next_pause(), stages)
                case Standing.THEIRS:
                    return self._turn(plan, name, Claim(claim.standing), "impatient")
                case _:
                    return self._turn(plan, name, Claim(claim.standing), "unsaved")

    def _turn(self, plan: Plan, name: str, claim: Claim, outcome: str) -> Turn:
        self._metrics.turns.labels(outcome).inc()
        turn = Turn(self._fleet, plan.key, name, claim.token)
        known = self._freshness.of(plan.key)
        if known is not None and known.version is None:
            turn.end(Standing.OURS)
            raise OriginalNotFound(f"no original {plan.key!r}")
        return turn

    async def _pause(self, seconds: float, stages: Stages) -> None:
        since = time.perf_counter()
        self._waiting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting -= 1
            stages.add("turn", since)

    async def _saved_elsewhere(self, plan: Plan, deadline: Deadline) -> Result | None:
        """What lies in the store now; None also if it was purged while it was read."""
        with self._freshness.asking(plan.key) as question:
            found = await self._results.find(plan, deadline)
        return None if found is None or question.outdated else found.result

    def _counts(self, plan: Plan, result: Result, since: float) -> bool:
        age = max(0.0, time.time() - result.seen)
        if age < self._window:
            self._freshness.trust(plan.key, result.version, result.modified, age=age)
        known = self._freshness.of(plan.key)
        if known is not None:
            return known.is_of(result.version)
        return result.seen >= since or since - result.seen < self._window


class _Wait:
    """How long one flight waits for others, and how often it asks."""

    def __init__(self, seconds: float) -> None:
        self._all = Deadline.after(seconds)
        # Mutable state: whom it waits for, until when if there is a free worker here, and the pause.
        self._holder = ""
        self._of_holder = self._all
        self._pause = FIRST_PAUSE

    @property
    def is_over(self) -> bool:
        """Whether it has waited as long as anybody may."""
        return not self._all.remaining

    def goes_on(self, holder: str, *, idle: bool) -> bool:
        """Whether to wait for this holder."""
        if holder != self._holder:
            self._holder, self._of_holder = holder, Deadline.after(IDLE_PATIENCE)
        return not self.is_over and not (idle and not self._of_holder.remaining)

    def next_pause(self) -> float:
        """Seconds until the next question: more and more."""
        pause, self._pause = self._pause, min(self._pause * 1.5, LONGEST_PAUSE)
        return min(pause, self._all.remaining)

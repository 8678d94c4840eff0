"""Who may work now, who waits, and who is refused at once.

A gate has so many slots, so many places to wait, and a longest wait. Refusing is cheap and says honestly when to come
back. Weights are for work whose cost differs by orders of magnitude: decoding is admitted by estimated bytes.
All changes of state happen in synchronous code; awaiting happens around them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from proxy.delivery.deadline import Deadline
from proxy.errors import DeadlinePassed, Overloaded

LONGEST_RETRY = 30
"""Seconds: nobody is told to come back later than this."""


@dataclass(frozen=True, slots=True)
class GateStatistics:
    """What a gate looks like now, in units of its weights (slots, or bytes)."""

    inside: int
    waiting: int
    limit: int
    refused: int


class Gate:
    """A limit with a bounded queue, first come first served."""

    def __init__(self, name: str, *, slots: int, queue: int, longest_wait: float) -> None:
        self._name = name
        self._slots = slots
        self._queue = queue
        self._longest_wait = longest_wait
        # Mutable state: how much is inside and by how many, who waits with which weight, how many are on the way, how
        # long work takes on average.
        self._inside = 0
        self._holders = 0
        self._waiters: deque[tuple[asyncio.Future[None], int]] = deque()
        self._coming = 0
        self._refused = 0
        self._mean_seconds = 0.05

    @property
    def statistics(self) -> GateStatistics:
        """A snapshot for metrics."""
        return GateStatistics(self._inside, len(self._waiters), self._slots, self._refused)

    @asynccontextmanager
    async def slot(self, deadline: Deadline, *, weight: int = 1) -> AsyncIterator[None]:
        """Hold a place in the gate for the block; Overloaded when the queue is full or the wait too long.

        A weight above the whole limit is taken as the whole limit: such work runs alone.
        """
        weight = min(weight, self._slots)
        await self._enter(deadline, weight)
        with self._held(weight):
            yield

    @contextmanager
    def at_once(self, weight: int) -> Iterator[bool]:
        """Hold a place for the block if there is one now and nobody waits for it; whether there was."""
        if self._waiters or self._inside + weight > self._slots:
            yield False
            return
        self._inside += weight
        with self._held(weight):
            yield True

    @contextmanager
    def _held(self, weight: int) -> Iterator[None]:
        self._holders += 1
        started = time.monotonic()
        try:
            yield
        finally:
            # An average over roughly the last ten: enough to tell clients honestly when to come back.
            self._mean_seconds += (time.monotonic() - started - self._mean_seconds) / 10
            self._holders -= 1
            self._inside -= weight
            self._admit_waiters()

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Announce work for `slot` that has something to do before: the block.

        Raises Overloaded now if it would be refused later, and that something be done in vain. As soon as anybody
        waits, those who are coming count as waiting, too: one place that becomes free is not promised to several.
        """
        refusal = self.refusal()
        if refusal is not None:
            raise refusal
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    def refusal(self, *, behind: int = 0) -> Overloaded | None:
        """What `coming` would raise after so many more had come; it counts as refused."""
        return self._refusal_behind(self._ahead(behind))

    def refuses(self, *, behind: int) -> bool:
        """Whether there would be a `refusal`. Asking is not counted as one."""
        return self._objection(self._ahead(behind)) is not None

    def _ahead(self, more: int) -> int:
        """How many would be before who comes now, with `more` who are not known here; see `coming`."""
        return len(self._waiters) + self._coming + more if self._waiters else 0

    def _refusal_behind(self, waiting: int) -> Overloaded | None:
        objection = self._objection(waiting)
        return None if objection is None else self._refusal(objection)

    def _objection(self, waiting: int) -> str | None:
        """Refused is also who would wait in vain: longer than anybody may, as far as can be told."""
        if self._inside < self._slots and not self._waiters:
            return None
        if waiting >= self._queue:
            return "full"
        return "too slow" if self._expected_wait(waiting) > self._longest_wait else None

    async def _enter(self, deadline: Deadline, weight: int) -> None:
        if not self._waiters and self._inside + weight <= self._slots:
            self._inside += weight
            return
        refusal = self._refusal_behind(len(self._waiters))
        if refusal is not None:
            raise refusal
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((place, weight))
        patience = min(self._longest_wait, deadline.remaining)
        try:
            async with asyncio.timeout(patience):
                await place
        except BaseException as error:
            self._leave_queue(place, weight)
            if not isinstance(error, TimeoutError):
                raise
            if patience < self._longest_wait:
                raise DeadlinePassed(f"not ready in time: waited too long to {self._name}") from error
            raise self._refusal("too slow") from error

    def _leave_queue(self, place: asyncio.Future[None], weight: int) -> None:
        if place.done() and not place.cancelled():
            # Admitted in the same moment in which the caller gave up: hand the place on.
            self._inside -= weight
        else:
            self._waiters = deque(waiter for waiter in self._waiters if waiter[0] is not place)
        self._admit_waiters()

    def _admit_waiters(self) -> None:
        while self._waiters and self._inside + self._waiters[0][1] <= self._slots:
            place, weight = self._waiters.popleft()
            if not place.done():
                self._inside += weight
                place.set_result(None)

    def _refusal(self, why: str) -> Overloaded:
        self._refused += 1
        retry_after = min(LONGEST_RETRY, max(1, math.ceil(self._expected_wait(len(self._waiters)))))
        return Overloaded(f"too busy: the queue to {self._name} is {why}; try again in {retry_after} s", retry_after)

    def _expected_wait(self, waiting: int) -> float:
        """Seconds until somebody who came behind so many would be inside."""
        # By how many work at once, not by the limit: that of a weighted gate is bytes.
        return self._mean_seconds * (waiting + 1) / max(1, self._holders)

"""Equal work under way at the same time is done once, and everybody who asked gets its outcome.

Rules:
- A flight belongs to nobody: it has its own deadline, and one caller leaving does not disturb the others.
- When the last caller has left, the flight is cancelled.
- A flight that failed is gone before its callers wake: the next request starts a new one.
- Every caller raises a copy of the error of its own, because a shared exception grows a traceback with each raise.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Flight(Generic[T]):
    __slots__ = ("callers", "task")

    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.callers = 0


class SingleFlight(Generic[T]):
    """The table of flights of one kind of work."""

    def __init__(self, *, on_join: Callable[[], None] = lambda: None) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}
        self._on_join = on_join

    def __len__(self) -> int:
        return len(self._flights)

    async def run(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Join the flight `key`, or start it with `work`, and return what it returns."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.ensure_future(_call(work)))
            flight.task.add_done_callback(lambda task: self._land(key, flight, task))
        else:
            self._on_join()
        flight.callers += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if flight.callers == 1 and not flight.task.done():
                # The last one to leave: nobody wants the outcome any more. Forgotten now, so that a request that
                # comes before the cancellation has run starts afresh.
                self._forget(key, flight)
                flight.task.cancel()
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, every caller gets it
            raise copy.copy(error).with_traceback(None) from error.__cause__
        finally:
            flight.callers -= 1

    def _land(self, key: Hashable, flight: _Flight[T], task: asyncio.Task[T]) -> None:
        self._forget(key, flight)
        if not task.cancelled():
            task.exception()  # seen: a flight that everybody left must not be reported as never awaited

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def close(self) -> None:
        """Cancel every flight and wait for its end."""
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _call(work: Callable[[], Awaitable[T]]) -> T:
    return await work()

"""Equal work under way at the same time is done once, and everybody who asked gets its outcome.

Rules:
- A flight belongs to nobody: it has its own deadline, and one caller leaving does not disturb the others.
- When the last caller has left, the flight is cancelled.
- A flight that failed is gone before its callers wake: the next request starts a new one.
- Every caller raises a copy of the error of its own, because a shared exception grows a traceback with each raise.
- A caller is cancelled only by its own task: a flight that is cancelled under its callers is an answer to them.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from proxy.delivery.deadline import Deadline
from proxy.errors import Overloaded

T = TypeVar("T")


class _Flight(Generic[T]):
    __slots__ = ("callers", "task")

    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        # Mutable state: what each caller waits for, to be told that it has ended.
        self.callers: set[asyncio.Future[None]] = set()


class SingleFlight(Generic[T]):
    """The table of flights of one kind of work."""

    def __init__(self, *, on_join: Callable[[], None] = lambda: None) -> None:
        self._on_join = on_join
        # Mutable state: the flights that can be joined, and every task that has not ended: one that everybody left
        # cannot be joined, but still cleans up.
        self._flights: dict[Hashable, _Flight[T]] = {}
        self._tasks: set[asyncio.Task[T]] = set()

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._flights

    async def run(
        self, key: Hashable, work: Callable[[], Awaitable[T]], *, deadline: Deadline | None = None, stage: str = "work"
    ) -> T:
        """Join the flight `key`, or start it with `work`, and return what it returns.

        DeadlinePassed, which names the stage, when the caller's own time is over; the flight has another.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._start(key, work)
        else:
            self._on_join()
        # Unlike awaiting the task, this neither passes our cancellation on nor raises the shared exception here.
        caller = asyncio.get_running_loop().create_future()
        flight.callers.add(caller)
        try:
            await (caller if deadline is None else deadline.wait_for(caller, stage))
        finally:
            flight.callers.discard(caller)
            if not flight.callers and not flight.task.done():
                # The last one to leave: nobody wants the outcome any more. Forgotten now, so that a request that
                # comes before the cancellation has run starts afresh.
                self._forget(key, flight)
                flight.task.cancel()
        return _outcome(flight.task)

    async def close(self) -> None:
        """Cancel every flight and wait for its end."""
        tasks = tuple(self._tasks)
        for task in tasks:
            if not task.cancelling():  # one that everybody left is cleaning up already
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> _Flight[T]:
        task = asyncio.ensure_future(_call(work))
        flight = self._flights[key] = _Flight(task)
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._land(key, flight))
        return flight

    def _land(self, key: Hashable, flight: _Flight[T]) -> None:
        self._tasks.discard(flight.task)
        self._forget(key, flight)
        if not flight.task.cancelled():
            flight.task.exception()  # seen: a flight that everybody left must not be reported as never awaited
        for caller in flight.callers:
            if not caller.done():
                caller.set_result(None)

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


async def _call(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


def _outcome(task: asyncio.Task[T]) -> T:
    if task.cancelled():
        raise Overloaded("the service is shutting down")
    error = task.exception()
    if error is None:
        return task.result()
    raise copy.copy(error).with_traceback(None) from error.__cause__

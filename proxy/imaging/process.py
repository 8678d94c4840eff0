"""One render worker, seen from the front: a pebble pool of a single process, watched until it dies.

Why a pool per worker: pebble declares a whole pool broken when one idle worker dies, and a worker that is killed while
it holds the pool's channel lock blocks the others. With one process per pool the lock is private, and a pool that is
in any doubt is thrown away.

Rules:

1. A worker does one task at a time; the caller sees to that.
2. It is ended in one way: SIGKILL. A worker owns nothing, and a signal that asks waits for a decoder that may hang.
3. Its death is seen at once, through a pidfd, and not by pebble's next look.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import forkserver
from typing import TypeVar

import pebble

from proxy.errors import DeadlinePassed
from proxy.imaging.fences import Fences
from proxy.imaging.nursery import nursery
from proxy.imaging.tasks import Greeting, Tasks

T = TypeVar("T")

START_SECONDS = 30.0
"""For a worker to be born, load libvips and render its first picture; 0.3 on an idle machine."""

_WATCHDOG_SECONDS = 0.5
"""How long after a task's time is up pebble kills its worker, should this loop be too busy to do so."""
_END_SECONDS = 5.0
"""How long a killed process may take to be gone."""
_POLL_SECONDS = 0.25
"""How often a worker is looked at where the system has no pidfd."""

# pebble asks first (SIGTERM) and waits this long before it kills; our workers ignore the question.
pebble.CONSTS.term_timeout = 0.05


class WorkerLost(Exception):
    """The worker died during a task, or could not be given it. Never leaves this package."""


class WorkerSpent(WorkerLost):
    """The worker died of a task after all the CPU time that a task may have."""


class RenderProcess:
    """A worker that is ready for tasks."""

    def __init__(self, pool: pebble.ProcessPool, greeting: Greeting, cpu_seconds: float = math.inf) -> None:
        self.pid = greeting.pid
        self.versions = greeting.versions
        self.resident_bytes = greeting.resident_bytes
        self.fences = greeting.fences
        self.tasks = 0
        self._cpu_seconds = cpu_seconds
        self._pool = pool
        self._ended = False
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stop_watching = self._watch()

    @property
    def alive(self) -> bool:
        """Whether the process still runs, as far as we have seen."""
        return not self._gone.done()

    def on_death(self, notify: Callable[[], None]) -> None:
        """Call `notify` when the process is gone, however that comes about."""
        self._gone.add_done_callback(lambda _: notify())

    async def run(self, task: Callable[..., T], *args: object, seconds: float) -> T:
        """Do a task; DeadlinePassed when it takes too long, WorkerLost when the worker dies of it, or its own error.

        After either of the first two the process is of no more use. Not to be cancelled: kill the process instead.
        """
        self.tasks += 1
        started = time.monotonic()
        try:
            return await self._run(task, *args, seconds=seconds)
        except WorkerLost as error:
            # A task's CPU time cannot be up before as much time has passed, and few tasks live to see that.
            if time.monotonic() - started >= self._cpu_seconds:
                raise WorkerSpent("the task's CPU time was up") from error
            raise

    async def _run(self, task: Callable[..., T], *args: object, seconds: float) -> T:
        try:
            answer = asyncio.wrap_future(self._pool.schedule(task, args=args, timeout=seconds + _WATCHDOG_SECONDS))
        except RuntimeError as error:  # pebble has noticed its worker's death before we have
            raise WorkerLost("the worker's pool is closed") from error
        await asyncio.wait((answer, self._gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return _result(answer)
        answer.add_done_callback(_ignore)
        if self.alive:
            raise DeadlinePassed("the picture was not ready within the time allowed")
        raise WorkerLost("the worker died")

    def kill(self) -> None:
        """End the process now."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def die(self) -> None:
        """Kill the process and wait until it is gone: from then on it writes nothing."""
        self.kill()
        await asyncio.wait((self._gone,), timeout=_END_SECONDS)

    async def end(self) -> None:
        """Kill the process and clear away its pool; once is enough."""
        if self._ended:
            return
        self._ended = True
        await self.die()
        self._stop_watching()
        self._pool.stop()  # type: ignore[no-untyped-call]
        await asyncio.to_thread(self._pool.join)

    def _watch(self) -> Callable[[], None]:
        loop = asyncio.get_running_loop()
        if sys.platform != "linux":
            return _poll(self.pid, self._notice_death)
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self._notice_death()
            return lambda: None

        def stop() -> None:
            loop.remove_reader(pidfd)
            os.close(pidfd)

        def notice() -> None:
            loop.remove_reader(pidfd)
            self._notice_death()

        loop.add_reader(pidfd, notice)
        return stop

    def _notice_death(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)


async def start_process(tasks: Tasks, *, svg: bool, fences: Fences) -> RenderProcess:
    """Start a worker and see it render its first picture."""
    pool = pebble.ProcessPool(max_workers=1, context=nursery(), initializer=tasks.start, initargs=(svg, fences))
    # From this thread, which lives as long as the front does: the fork server is told to die with its parent thread.
    forkserver.ensure_running()
    try:
        # In a thread: the fork server may be busy for a tenth of a second.
        scheduled = await asyncio.to_thread(pool.schedule, tasks.warm_up, timeout=START_SECONDS)
        greeting = await asyncio.wait_for(asyncio.wrap_future(scheduled), START_SECONDS + _WATCHDOG_SECONDS)
        return RenderProcess(pool, greeting, fences.cpu_seconds or math.inf)
    except BaseException:
        pool.stop()  # type: ignore[no-untyped-call]
        # Not awaited when we are cancelled; the thread ends by itself within pebble's own timeouts.
        await asyncio.shield(asyncio.to_thread(pool.join))
        raise


def _result(answer: asyncio.Future[T]) -> T:
    try:
        return answer.result()
    except TimeoutError as error:
        raise DeadlinePassed("the picture was not ready within the time allowed") from error
    except (pebble.ProcessExpired, BrokenProcessPool, asyncio.CancelledError) as error:
        raise WorkerLost("the worker died") from error


def _ignore(answer: asyncio.Future[T]) -> None:
    """Fetch a result nobody waits for, so that asyncio does not report it as forgotten."""
    if not answer.cancelled():
        answer.exception()


def _poll(pid: int, notice: Callable[[], None]) -> Callable[[], None]:
    """Watch a process where there is no pidfd."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal timer
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            notice()
        else:
            timer = loop.call_later(_POLL_SECONDS, look)

    timer = loop.call_later(_POLL_SECONDS, look)
    return lambda: timer.cancel()  # noqa: PLW0108 -- the timer changes

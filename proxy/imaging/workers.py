"""The render workers: as many slots as cores, in each slot a disposable process, and every picture through a slot.

Rules:

1. A slot is given to the next task only when its process is idle and alive; a process that was killed, crashed or timed
   out is replaced first. Nothing waits without a deadline.
2. A crash is retried once, in a fresh process and in what is left of the time: workers die of other causes, too. A
   picture that crashes two is refused.
3. A caller that leaves has its task ended: shortly after, so that a task that is nearly done does not cost a process.
4. A worker that has done its share or grown too large goes on serving until its successor is warm.
5. What a failed task left at `result_path` is removed when its process can no longer write there.

All state changes happen in synchronous methods, on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from proxy.errors import DeadlinePassed, Overloaded, ProxyError, RenderCrashed, TooCostly
from proxy.imaging.allocator import LEAST_KEPT
from proxy.imaging.fences import Fences
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport, SourceInfo
from proxy.imaging.process import RenderProcess, WorkerLost, WorkerSpent, start_process
from proxy.imaging.slot import Slot, WorkerStatistics
from proxy.imaging.tasks import Inspected, Setup, Tasks, Together

if TYPE_CHECKING:
    from _typeshed import HasFileno

__all__ = ["RenderWorkers", "WorkerStatistics"]

T = TypeVar("T", Inspected, RenderReport, Together)
R = TypeVar("R")

log = logging.getLogger(__name__)

LEAVING_SECONDS = 0.1
"""How long a task may go on after its caller has left; a new process costs about three times as much."""
_RETRY_SECONDS = 1.0
"""Between attempts to start a worker that does not come up."""


class RenderWorkers:
    """The front's only way to pixels."""

    def __init__(
        self,
        count: int,
        *,
        limits: RenderLimits,
        max_tasks: int = 2000,
        max_memory_bytes: int = 512 << 20,
        fences: Fences | None = None,
        kept_bytes: int = LEAST_KEPT,
        tasks: Tasks | None = None,
    ) -> None:
        self.versions = ""
        """The libraries that make the pixels, once started."""
        self.fences: tuple[str, ...] = ()
        """The names of the fences that hold around the workers, once started."""
        self._limits = limits
        self._max_tasks = max_tasks
        self._max_memory_bytes = max_memory_bytes
        self._setup = Setup(limits.svg, fences or Fences(), kept_bytes)
        self._tasks = tasks or Tasks()
        self._slots = [Slot(number) for number in range(count)]
        # Mutable state: a slot is busy, idle (in this list, the latest used last) or being given a new process.
        self._idle: list[Slot] = []
        self._waiting: deque[asyncio.Future[Slot]] = deque()
        self._owned: set[asyncio.Task[object]] = set()
        self._closing = False
        self._restarts = self._crashes = self._timeouts = self._recycled = 0

    async def start(self) -> None:
        """Start every worker; done when each has rendered a picture."""
        processes = await asyncio.gather(*(self._start_process() for _ in self._slots))
        for slot, process in zip(self._slots, processes, strict=True):
            self._settle(slot, process)
        self.versions = processes[0].versions
        self.fences = processes[0].fences

    async def close(self) -> None:
        """End every worker; tasks under way fail."""
        self._closing = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(Overloaded("the service is shutting down"))
        processes = [process for slot in self._slots for process in (slot.process, slot.successor) if process]
        for process in processes:
            process.kill()
        for task in self._owned:
            task.cancel()
        await asyncio.gather(*self._owned, *(process.end() for process in processes), return_exceptions=True)

    async def inspect(
        self,
        path: str,
        *,
        timeout: float,  # noqa: ASYNC109 -- the time for all of it
        lent: Sequence[HasFileno] = (),
    ) -> SourceInfo:
        """Read the header of the original at `path`, which may be that of a file in `lent` (`job.lent_path`)."""
        inspected = await self._do(self._tasks.inspect, path, self._limits, seconds=timeout, lent=lent)
        return inspected.info

    async def run(
        self,
        job: RenderJob,
        *,
        timeout: float,  # noqa: ASYNC109 -- the time for all of it
        lent: Sequence[HasFileno] = (),
    ) -> RenderReport:
        """Render; the result is in the report or at the job's `result_path`, where on any failure nothing is."""

        def discard() -> None:
            Path(job.result_path).unlink(missing_ok=True)

        return await self._do(self._tasks.render, job, seconds=timeout, discard=discard, lent=lent)

    async def run_together(
        self,
        jobs: tuple[RenderJob, ...],
        *,
        timeout: float,  # noqa: ASYNC109 -- the time for all of it
        lent: Sequence[HasFileno] = (),
    ) -> tuple[RenderReport | ProxyError, ...]:
        """Render several pictures of one original; what came of each. Raises where the worker is lost or too late."""

        def discard() -> None:
            for job in jobs:
                Path(job.result_path).unlink(missing_ok=True)

        done = await self._do(self._tasks.together, jobs, seconds=timeout, discard=discard, lent=lent)
        return done.outcomes

    @property
    def statistics(self) -> WorkerStatistics:
        """How the workers are now."""
        living = [slot.process for slot in self._slots if slot.process is not None and slot.process.alive]
        return WorkerStatistics(
            workers=len(living),
            busy=sum(slot.busy for slot in self._slots),
            waiting=sum(not waiter.done() for waiter in self._waiting),
            restarts=self._restarts,
            crashes=self._crashes,
            timeouts=self._timeouts,
            recycled=self._recycled,
            resident_bytes=tuple(process.resident_bytes for process in living),
        )

    def pids(self) -> tuple[int, ...]:
        """The process ids of the living workers."""
        return tuple(slot.process.pid for slot in self._slots if slot.process is not None and slot.process.alive)

    async def _do(
        self,
        task: Callable[..., T],
        *args: object,
        seconds: float,
        discard: Callable[[], None] = lambda: None,
        lent: Sequence[HasFileno] = (),
    ) -> T:
        deadline = asyncio.get_running_loop().time() + seconds
        for last in (False, True):
            slot = await self._take(deadline)
            work = self._own(self._work(slot, task, args, deadline, discard, lent=lent))
            try:
                # Shielded: the slot follows the process, not this coroutine.
                return await asyncio.shield(work)
            except WorkerSpent as error:
                raise TooCostly("rendering this original takes more time than this server allows") from error
            except WorkerLost as error:
                if last:
                    raise RenderCrashed("rendering this original crashed twice") from error
            except asyncio.CancelledError:
                self._leave(slot, work, discard)
                raise
        raise AssertionError("unreachable")

    async def _work(
        self,
        slot: Slot,
        task: Callable[..., T],
        args: tuple[object, ...],
        deadline: float,
        discard: Callable[[], None],
        *,
        lent: Sequence[HasFileno],
    ) -> T:
        process = slot.process
        assert process is not None  # `_take` gives living slots only
        try:
            seconds = deadline - asyncio.get_running_loop().time()
            answer = await process.run(task, *args, seconds=seconds, lent=lent)
            process.resident_bytes = answer.resident_bytes
        except (WorkerLost, DeadlinePassed) as error:
            await process.die()
            discard()
            self._crashes += isinstance(error, WorkerLost)
            self._timeouts += isinstance(error, DeadlinePassed)
            raise
        else:
            return answer
        finally:
            self._release(slot)

    def _leave(self, slot: Slot, work: asyncio.Task[T], discard: Callable[[], None]) -> None:
        """End a task whose caller is gone."""
        process = slot.process
        assert process is not None
        timer = asyncio.get_running_loop().call_later(LEAVING_SECONDS, process.kill)

        def done(_: object) -> None:
            timer.cancel()
            discard()

        work.add_done_callback(done)

    async def _take(self, deadline: float) -> Slot:
        """An idle, living slot; those who wait get one in the order they came."""
        if self._closing:
            raise Overloaded("the service is shutting down")
        if asyncio.get_running_loop().time() >= deadline:
            raise DeadlinePassed("no time was left to render the picture")
        if self._idle:
            # The latest used: its memory is warm. A dead process is not in this list, see `_lost`.
            slot = self._idle.pop()
            slot.busy = True
            return slot
        waiter: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._release(waiter.result())  # handed over in the very moment we gave up
            if isinstance(error, TimeoutError):
                raise DeadlinePassed("no render worker was free within the time allowed") from error
            raise
        finally:
            with suppress(ValueError):
                self._waiting.remove(waiter)

    def _release(self, slot: Slot) -> None:
        """Give the slot to the next in line, or lay it aside; first see to its process."""
        slot.busy = False
        if self._closing:
            return
        if slot.successor is not None:
            self._succeed(slot)
        if not slot.alive:
            self._own(self._replace(slot))
            return
        if self._is_due(slot):
            slot.recycling = True
            self._own(self._raise_successor(slot))
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                slot.busy = True
                waiter.set_result(slot)
                return
        self._idle.append(slot)

    def _is_due(self, slot: Slot) -> bool:
        process = slot.process
        return (
            process is not None
            and not slot.recycling
            and (process.tasks >= self._max_tasks or process.resident_bytes > self._max_memory_bytes)
        )

    def _settle(self, slot: Slot, process: RenderProcess) -> None:
        """Put a fresh process into a slot that has none, and the slot to work."""
        slot.process = process
        process.on_death(lambda: self._lost(slot, process))
        self._release(slot)

    def _lost(self, slot: Slot, process: RenderProcess) -> None:
        """A process is gone. A busy one's task notices by itself; an idle one is replaced before anybody asks."""
        if slot.process is process and slot in self._idle and not self._closing:
            self._idle.remove(slot)
            self._own(self._replace(slot))

    async def _replace(self, slot: Slot) -> None:
        if slot.process is not None:
            await slot.process.end()
            slot.process = None
        while True:
            try:
                process = await self._start_process()
            except Exception:  # whatever it is, the slot must not be lost to it
                log.exception("a render worker does not start")
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._restarts += 1
                self._settle(slot, process)
                return

    async def _raise_successor(self, slot: Slot) -> None:
        try:
            slot.successor = await self._start_process()
        except Exception:
            log.exception("a render worker does not start")
            slot.recycling = False
            return
        if slot in self._idle:
            self._idle.remove(slot)
            self._release(slot)

    def _succeed(self, slot: Slot) -> None:
        """Swap the worker for its successor, which is warm."""
        retired, successor = slot.process, slot.successor
        slot.process, slot.successor, slot.recycling = successor, None, False
        self._recycled += 1
        if successor is not None:
            successor.on_death(lambda: self._lost(slot, successor))
        if retired is not None:
            self._own(retired.end())

    async def _start_process(self) -> RenderProcess:
        return await start_process(self._tasks, self._setup)

    def _own(self, work: Coroutine[object, object, R]) -> asyncio.Task[R]:
        """Run in the background, to be waited for at the end."""
        task = asyncio.ensure_future(work)
        self._owned.add(task)
        task.add_done_callback(self._owned.discard)
        return task

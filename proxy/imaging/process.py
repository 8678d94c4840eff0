"""One render worker, seen from the front: a process with a line to it, watched until it dies.

Rules:

1. A worker does one task at a time; the caller sees to that.
2. It is ended in one way: SIGKILL. A worker owns nothing, and a signal that asks waits for a decoder that may hang.
3. Its death is seen at once, through a pidfd.
4. It is asked and heard on the event loop, without a thread between: each hop to one would cost more than the message.
"""

from __future__ import annotations

import asyncio
import atexit
import math
import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import active_children, forkserver
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, TypeVar, cast

from proxy.errors import DeadlinePassed
from proxy.imaging.answers import LONGEST, StrangeAnswer, enclosed_bytes, read_answer
from proxy.imaging.nursery import BareProcess, nursery
from proxy.imaging.serving import serve
from proxy.imaging.tasks import Greeting, Setup, Tasks

if TYPE_CHECKING:
    from _typeshed import HasFileno

T = TypeVar("T")
_Birth = tuple[BareProcess, Connection, Connection, socket.socket]
"""A new worker, where its answers come, where its tasks go, and where open files go with them."""

START_SECONDS = 30.0
"""For a worker to be born, load libvips and render its first picture; 0.3 on an idle machine."""

_END_SECONDS = 5.0
"""How long a killed process may take to be gone."""
_POLL_SECONDS = 0.25
"""How often a worker is looked at where the system has no pidfd."""


class WorkerLost(Exception):
    """The worker died during a task, or could not be given it. Never leaves this package."""


class WorkerSpent(WorkerLost):
    """The worker died of a task after all the CPU time that a task may have."""


class Line:
    """The line to a worker: a task goes there, an answer comes back, in turns."""

    def __init__(
        self,
        answers: asyncio.StreamReader,
        hearing: asyncio.ReadTransport,
        speaking: asyncio.WriteTransport,
        lending: socket.socket,
    ) -> None:
        self._answers = answers
        self._hearing = hearing
        self._speaking = speaking
        self._lending = lending

    async def ask(self, task: Callable[..., T], *args: object, lent: Sequence[HasFileno] = ()) -> T:
        """What the task returns or raises; WorkerLost if no answer comes, or a strange one.

        `lent` are open files that go with the task (`job.lent_path`); ValueError if one of them is closed by now.
        """
        # First: a file that was sent and is not taken would be the next task's.
        message = pickle.dumps((task, args, len(lent)))
        try:
            if lent:
                # There is room: what was sent before was taken before its task was answered.
                socket.send_fds(self._lending, [b"\0"], [file.fileno() for file in lent])
            self._speaking.write(message)
            line = await self._answers.readuntil()
            enclosed = await self._answers.readexactly(enclosed_bytes(line))
            return cast("T", read_answer(line, enclosed))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise WorkerLost("the worker died") from error
        except (StrangeAnswer, asyncio.LimitOverrunError) as error:
            raise WorkerLost("the worker does not make sense") from error

    def close(self) -> None:
        """Hang up; the worker ends when it next looks."""
        self._hearing.close()
        self._speaking.close()
        self._lending.close()


class RenderProcess:
    """A worker; ready for tasks once it has been greeted."""

    versions = ""
    """The libraries that make the pixels."""
    fences: tuple[str, ...] = ()
    """The names of the fences that hold around it."""
    resident_bytes = 0
    """The memory that it held after its last task."""

    def __init__(self, process: BareProcess, line: Line, cpu_seconds: float = math.inf) -> None:
        assert process.pid is not None
        self.pid = process.pid
        self.tasks = 0
        self._cpu_seconds = cpu_seconds
        self._process = process
        self._line = line
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

    async def greet(self, warm_up: Callable[[], Greeting]) -> None:
        """See it render its first picture, and hear what it is."""
        greeting = await self.run(warm_up, seconds=START_SECONDS)
        self.versions, self.fences, self.resident_bytes = greeting.versions, greeting.fences, greeting.resident_bytes
        self.tasks = 0

    async def run(self, task: Callable[..., T], *args: object, seconds: float, lent: Sequence[HasFileno] = ()) -> T:
        """Do a task; DeadlinePassed when it takes too long, WorkerLost when the worker dies of it, or its own error.

        `lent`: see `Line.ask`.
        After either of the first two the process is of no more use. Not to be cancelled: kill the process instead.
        """
        self.tasks += 1
        started = time.monotonic()
        try:
            return await self._run(task, *args, seconds=seconds, lent=lent)
        except WorkerLost as error:
            # A task's CPU time cannot be up before as much time has passed, and few tasks live to see that.
            if time.monotonic() - started >= self._cpu_seconds:
                raise WorkerSpent("the task's CPU time was up") from error
            raise

    async def _run(self, task: Callable[..., T], *args: object, seconds: float, lent: Sequence[HasFileno]) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await self._line.ask(task, *args, lent=lent)
        except TimeoutError as error:
            raise DeadlinePassed("the picture was not ready within the time allowed") from error

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
        """Kill the process and clear away what is left of it; once is enough."""
        if self._ended:
            return
        self._ended = True
        try:
            await self.die()
        finally:
            self._stop_watching()
            self._line.close()
        await asyncio.to_thread(_bury, self._process)

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


async def start_process(tasks: Tasks, setup: Setup) -> RenderProcess:
    """Start a worker and see it render its first picture."""
    context = nursery()
    # From this thread, which lives as long as the front does: the fork server is told to die with its parent thread.
    forkserver.ensure_running()

    def bear() -> _Birth:
        answers, to_answer = context.Pipe(duplex=False)
        to_hear, tasks_go = context.Pipe(duplex=False)
        lending, to_borrow = socket.socketpair()
        to_borrow.shutdown(socket.SHUT_WR)  # nothing comes back this way
        lending.settimeout(0)
        process = context.Process(target=serve, args=(to_hear, to_answer, to_borrow, tasks.start, setup), daemon=True)
        try:
            process.start()
        except BaseException:
            for end in (answers, tasks_go, lending):
                end.close()
            raise
        finally:
            for end in (to_answer, to_hear, to_borrow):
                end.close()
        return process, answers, tasks_go, lending

    # In a thread: the fork server may be busy for a tenth of a second.
    birth = asyncio.ensure_future(asyncio.to_thread(bear))
    try:
        process, answers, tasks_go, lending = await asyncio.shield(birth)
        line = await _connect(answers, tasks_go, lending)
        worker = RenderProcess(process, line, setup.fences.cpu_seconds or math.inf)
    except BaseException:
        birth.add_done_callback(_kill_unseen)
        raise
    try:
        await worker.greet(tasks.warm_up)
    except BaseException:
        await asyncio.shield(worker.end())
        raise
    return worker


async def _connect(answers: Connection, tasks: Connection, lending: socket.socket) -> Line:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST)
    hearing, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), answers)
    try:
        speaking, _ = await loop.connect_write_pipe(asyncio.Protocol, tasks)
    except BaseException:
        hearing.close()
        raise
    return Line(reader, hearing, speaking, lending)


def _kill_unseen(birth: asyncio.Future[_Birth]) -> None:
    """End a worker that nobody waits for any more, born or not."""
    if not birth.cancelled() and birth.exception() is None:
        process, answers, tasks_go, lending = birth.result()
        process.kill()
        for end in (answers, tasks_go, lending):
            end.close()
        birth.get_loop().run_in_executor(None, _bury, process)


def _bury(process: BareProcess) -> None:
    process.join(_END_SECONDS)
    with suppress(ValueError):  # it is still there
        process.close()


@atexit.register
def _kill_the_rest() -> None:
    # multiprocessing would ask each to end, which they do not hear, and wait for it.
    for process in active_children():
        if isinstance(process, BareProcess):
            process.kill()


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

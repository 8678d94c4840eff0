"""Render workers: they may die at any moment, and nobody notices but the statistics."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from proxy.errors import DeadlinePassed, NotAnImage, Overloaded, RenderCrashed
from proxy.imaging.answers import TaskFailed
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport
from proxy.imaging.library import PIXELS_REVISION
from proxy.imaging.process import start_process
from proxy.imaging.tasks import Setup, Tasks
from proxy.imaging.workers import RenderWorkers
from proxy.plan.operations import AutoOrient, Resize
from proxy.plan.output import Output, Target
from tests.imaging import stunts
from tests.imaging.stunts import result_of
from tests.pictures import coordinates, decoded, encoded

pytestmark = pytest.mark.integration

LIMITS = RenderLimits()


@contextlib.asynccontextmanager
async def running(
    count: int = 1, task: Callable[[RenderJob], RenderReport] | None = None, **settings: int
) -> AsyncIterator[RenderWorkers]:
    """Workers, rendering or performing a stunt instead."""
    tasks = Tasks() if task is None else Tasks(render=task)
    workers = RenderWorkers(count, limits=LIMITS, tasks=tasks, **settings)
    await workers.start()
    try:
        yield workers
    finally:
        await workers.close()


@pytest.fixture(name="job")
def _job(tmp_path: Path) -> RenderJob:
    original = tmp_path / "original"
    original.write_bytes(encoded(coordinates(300, 200), "PNG"))
    return RenderJob(
        str(original), str(tmp_path / "result"), (AutoOrient(), Resize(30, 30)), Output(Target.JPEG), LIMITS
    )


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def open_files() -> int:
    """How many files this process has open."""
    return psutil.Process().num_fds()


def another(job: RenderJob, name: str) -> RenderJob:
    """The same job with a result of its own."""
    result = str(Path(job.result_path).with_name(name))
    return RenderJob(job.path, result, job.operations, job.output, job.limits)


async def test_inspect_and_render(job: RenderJob) -> None:
    """Started workers inspect and render at once, know their versions and count nothing amiss."""
    async with running(2) as workers:
        info = await workers.inspect(job.path, timeout=5)
        report = await workers.run(job, timeout=5)

        assert (info.width, info.height) == (300, 200)
        assert decoded(result_of(report, job)).size == (report.width, report.height) == (30, 20)
        assert report.resident_bytes > 10 << 20
        assert "libvips-8" in workers.versions
        assert f"pixels-{PIXELS_REVISION} " in workers.versions
        assert len(set(workers.pids())) == 2
        statistics = workers.statistics
        assert (statistics.workers, statistics.busy, statistics.waiting) == (2, 0, 0)
        assert (statistics.restarts, statistics.crashes, statistics.timeouts, statistics.recycled) == (0, 0, 0, 0)


async def test_errors_come_through(tmp_path: Path, job: RenderJob) -> None:
    """A refusal in the worker is the same refusal in the front, and costs no worker."""
    page = tmp_path / "page.jpg"
    page.write_bytes(b"<!doctype html>")
    async with running() as workers:
        before = workers.pids()

        with pytest.raises(NotAnImage, match="HTML page"):
            await workers.inspect(str(page), timeout=5)

        await workers.run(job, timeout=5)
        assert workers.pids() == before


async def test_mistakes_come_through(job: RenderJob) -> None:
    """A mistake in a worker's code is told with where it was made, for the log, and costs no worker."""
    async with running(task=stunts.blunder) as workers:
        before = workers.pids()

        with pytest.raises(TaskFailed, match=r"(?s)stunts\.py.*KeyError: 'resident'"):
            await workers.run(job, timeout=5)

        assert (await workers.inspect(job.path, timeout=5)).width == 300
        assert workers.pids() == before


async def test_what_cannot_be_asked_costs_no_worker(job: RenderJob) -> None:
    """A task that cannot travel fails where it was asked for."""
    async with running(task=lambda job: stunts.report(job)) as workers:  # noqa: PLW0108 -- a lambda has no name
        before = workers.pids()

        with pytest.raises((pickle.PicklingError, AttributeError)):
            await workers.run(job, timeout=5)

        assert (await workers.inspect(job.path, timeout=5)).width == 300
        assert workers.pids() == before


async def test_a_large_job_travels_whole(job: RenderJob) -> None:
    """More than a pipe holds at once reaches the worker, which reads it in pieces."""
    path = "/".join(["x" * 255] * 2000)
    async with running() as workers:
        report = await workers.run(replace(job, overlays=(("mark", path),)), timeout=5)

        assert decoded(result_of(report, job)).size == (30, 20)


async def test_a_start_that_nobody_waits_for() -> None:
    """A worker whose start is given up at any moment is not left behind, nor are its pipes."""
    async with running():  # a fork server, and whatever else the first start leaves
        pass
    before, descriptors = set(psutil.Process().children(recursive=True)), open_files()

    for seconds in (0, 0.001, 0.01, 0.03, 0.1):
        start = asyncio.create_task(start_process(Tasks(), Setup()))
        await asyncio.sleep(seconds)
        start.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await start).end()  # it was quicker

    await until(lambda: set(psutil.Process().children(recursive=True)) <= before)
    await until(lambda: open_files() <= descriptors)


async def test_a_start_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that cannot be connected is not left behind, nor are its pipes."""
    async with running():
        pass
    before, descriptors = set(psutil.Process().children(recursive=True)), open_files()

    async def fail(*_: object) -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(asyncio.get_running_loop(), "connect_write_pipe", fail)
    with pytest.raises(OSError, match="too many"):
        await start_process(Tasks(), Setup())

    await until(lambda: set(psutil.Process().children(recursive=True)) <= before)
    await until(lambda: open_files() <= descriptors)


async def test_dead_workers_leave_nothing(job: RenderJob) -> None:
    """No descriptor, no thread and no zombie of twenty workers that were killed."""
    async with running(task=stunts.nap) as workers:
        await workers.run(job, timeout=5)
        descriptors, threads = open_files(), threading.active_count()
        processes = len(psutil.Process().children(recursive=True))
        for number in range(20):
            os.kill(workers.pids()[0], signal.SIGKILL)
            await until(lambda: workers.statistics.restarts > number, 10)  # noqa: B023 -- awaited here

        assert open_files() <= descriptors
        assert threading.active_count() <= threads + 1
        assert len(psutil.Process().children(recursive=True)) <= processes


async def test_crash_is_retried_once(job: RenderJob) -> None:
    """A task whose worker dies is done by a fresh one; the caller sees only the picture."""
    async with running(task=stunts.crash_once) as workers:
        before = workers.pids()

        report = await workers.run(job, timeout=10)

        assert decoded(result_of(report, job)).size == (30, 20)
        assert workers.pids() != before
        assert (workers.statistics.crashes, workers.statistics.restarts) == (1, 1)


async def test_second_crash_is_final(job: RenderJob) -> None:
    """A task that kills two workers is refused; no half result is left, and the next task finds a worker."""
    async with running(task=stunts.crash) as workers:
        with pytest.raises(RenderCrashed):
            await workers.run(job, timeout=10)

        assert not Path(job.result_path).exists()
        assert (await workers.inspect(job.path, timeout=5)).width == 300
        assert workers.statistics.crashes == 2


async def test_worker_killed_in_the_middle(job: RenderJob) -> None:
    """A worker killed from outside during a render is noticed at once, and the render is done again."""
    async with running(task=stunts.hang) as workers:
        render = asyncio.create_task(workers.run(job, timeout=2))
        await until(Path(f"{job.path}.hanging").exists)
        first = workers.pids()

        os.kill(first[0], signal.SIGKILL)
        await until(lambda: workers.statistics.crashes == 1, 0.5)

        with pytest.raises(DeadlinePassed):  # it hangs the second time, too
            await render
        assert workers.statistics.timeouts == 1


async def test_deadline_kills(job: RenderJob) -> None:
    """A decode that hangs is killed at its deadline, deaf or not, and leaves neither file nor process."""
    async with running(task=stunts.hang) as workers:
        (pid,) = workers.pids()
        started = time.monotonic()

        with pytest.raises(DeadlinePassed):
            await workers.run(job, timeout=0.4)

        assert time.monotonic() - started < 1.5
        await until(lambda: not psutil.pid_exists(pid))  # dead already; reaped in a moment
        assert not Path(job.result_path).exists()
        assert (await workers.inspect(job.path, timeout=5)).width == 300
        assert (workers.statistics.timeouts, workers.statistics.restarts) == (1, 1)


async def test_waiting_has_a_deadline(job: RenderJob) -> None:
    """Who waits for a worker does not wait past the deadline, and does not disturb the one before."""
    async with running(task=stunts.hang) as workers:
        first = asyncio.create_task(workers.run(job, timeout=5))
        await until(Path(f"{job.path}.hanging").exists)

        with pytest.raises(DeadlinePassed, match="no render worker was free"):
            await workers.inspect(job.path, timeout=0.1)

        assert not first.done()
        assert workers.statistics.busy == 1
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_cancelling_kills_the_task(job: RenderJob) -> None:
    """When the caller leaves, its task is killed, its file removed, and the slot is given on when it is free."""
    async with running(task=stunts.hang) as workers:
        (pid,) = workers.pids()
        render = asyncio.create_task(workers.run(job, timeout=30))
        await until(Path(f"{job.path}.hanging").exists)

        render.cancel()
        with pytest.raises(asyncio.CancelledError):
            await render

        assert (await workers.inspect(job.path, timeout=5)).width == 300
        assert not psutil.pid_exists(pid)
        assert not Path(job.result_path).exists()


async def test_cancelling_a_short_task_costs_no_worker(job: RenderJob) -> None:
    """A task that is nearly done is let finish; its result is removed and its worker stays."""
    async with running(task=stunts.nap) as workers:
        before = workers.pids()
        render = asyncio.create_task(workers.run(job, timeout=5))
        await asyncio.sleep(0.01)

        render.cancel()
        with pytest.raises(asyncio.CancelledError):
            await render
        await until(lambda: workers.statistics.busy == 0)

        assert workers.pids() == before
        await until(lambda: not Path(job.result_path).exists())


async def test_cancelled_while_waiting(job: RenderJob) -> None:
    """Those who give up in the queue are forgotten; the rest are served in the order they came."""
    order: list[int] = []

    async def render(number: int) -> None:
        await workers.run(another(job, f"result-{number}"), timeout=10)
        order.append(number)

    async with running(task=stunts.nap) as workers:
        waiting = [asyncio.create_task(render(number)) for number in range(8)]
        await asyncio.sleep(0.01)
        for number in (3, 5):
            waiting[number].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

        assert order == [0, 1, 2, 4, 6, 7]
        assert workers.statistics.busy == workers.statistics.waiting == 0


async def test_idle_worker_killed(job: RenderJob) -> None:
    """An idle worker's death is noticed and made good before anybody asks; the next requests do not notice."""
    async with running(2) as workers:
        victim, survivor = workers.pids()

        os.kill(victim, signal.SIGKILL)
        started = time.monotonic()
        await asyncio.gather(*(workers.inspect(job.path, timeout=5) for _ in range(10)))

        assert time.monotonic() - started < 0.5
        await until(lambda: workers.statistics.workers == 2)
        assert survivor in workers.pids()
        assert victim not in workers.pids()
        assert workers.statistics.restarts == 1


async def test_signals_to_workers_are_ignored(job: RenderJob) -> None:
    """A stop signal to the whole process group is for the front: workers go on."""
    async with running(task=stunts.nap) as workers:
        (pid,) = workers.pids()
        render = asyncio.create_task(workers.run(job, timeout=5))
        await asyncio.sleep(0.01)

        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
            os.kill(psutil.Process(pid).ppid(), number)

        await render
        assert workers.pids() == (pid,)


@pytest.mark.parametrize(
    ("task", "settings"), [(stunts.nap, {"max_tasks": 20}), (stunts.grow, {"max_memory_bytes": 1 << 29})]
)
async def test_recycling_is_not_felt(
    job: RenderJob, task: Callable[[RenderJob], RenderReport], settings: dict[str, int]
) -> None:
    """A worker that is due is replaced by a warm one, while it goes on serving: no task waits for a start."""
    slowest = 0.0
    async with running(task=task, **settings) as workers:
        (before,) = workers.pids()
        while workers.statistics.recycled == 0:
            started = time.monotonic()
            await workers.run(job, timeout=5)
            slowest = max(slowest, time.monotonic() - started)
            await asyncio.sleep(0)
        await workers.run(job, timeout=5)

        assert before not in workers.pids()
        assert slowest < 0.25  # a start takes longer, on a machine as busy
        assert (workers.statistics.restarts, workers.statistics.crashes) == (0, 0)
        await until(lambda: not psutil.pid_exists(before))


async def test_many_deaths_under_load(job: RenderJob) -> None:
    """Forty renders by two workers that are killed every 60 ms all come out right, or say that they crashed."""
    async with running(2, task=stunts.nap) as workers:
        jobs = [another(job, f"result-{number}") for number in range(40)]
        renders = [asyncio.create_task(workers.run(each, timeout=20)) for each in jobs]

        for _ in range(4):
            await asyncio.sleep(0.06)
            for pid in workers.pids()[:1]:
                os.kill(pid, signal.SIGKILL)
        results = await asyncio.gather(*renders, return_exceptions=True)

        assert all(isinstance(result, RenderReport | RenderCrashed) for result in results)
        for each, result in zip(jobs, results, strict=True):
            assert Path(each.result_path).exists() == isinstance(result, RenderReport)
        assert workers.statistics.busy == 0
        await until(lambda: workers.statistics.workers == 2)


async def test_close_ends_everything(job: RenderJob) -> None:
    """Closing fails what is under way and what waits, soon, and leaves no worker."""
    async with running(task=stunts.hang) as workers:
        pids = workers.pids()
        first = asyncio.create_task(workers.run(job, timeout=30))
        await until(Path(f"{job.path}.hanging").exists)
        second = asyncio.create_task(workers.run(another(job, "second"), timeout=30))
        await asyncio.sleep(0.01)

        started = time.monotonic()
        await workers.close()

        assert time.monotonic() - started < 2
        assert not any(psutil.pid_exists(pid) for pid in pids)
        for task in (first, second):
            with pytest.raises((Overloaded, RenderCrashed, asyncio.CancelledError)):
                await task
        with pytest.raises(Overloaded):
            await workers.inspect(job.path, timeout=1)


async def test_the_front_goes_first() -> None:
    """Where there is no processor to spare, a hit does not wait for renders."""
    async with running() as workers:
        (pid,) = workers.pids()
        assert psutil.Process(pid).nice() == min(19, psutil.Process().nice() + 10)


async def test_workers_do_not_load_the_front(job: RenderJob) -> None:
    """A worker imports what makes pixels, and neither the web server nor the main program."""
    async with running(task=stunts.tell_modules) as workers:
        await workers.run(job, timeout=5)

    modules = set(Path(job.result_path).read_text().split())
    assert "pyvips" in modules
    assert modules & {"aiohttp", "pytest", "pydantic", "typer", "proxy.cli", "proxy.web"} == set()


def test_the_front_does_not_load_libvips() -> None:
    """Importing the workers' front side brings neither libvips nor Pillow into the process."""
    code = "import sys, proxy.imaging.workers; print({'pyvips', 'PIL'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


FRONT = """
import asyncio, sys
from proxy.imaging.job import RenderJob, RenderLimits
from proxy.imaging.tasks import Tasks
from proxy.imaging.workers import RenderWorkers
from proxy.plan.output import Output
from tests.imaging import stunts
from tests.imaging.stunts import result_of

async def main() -> None:
    workers = RenderWorkers(2, limits=RenderLimits(), tasks=Tasks(render=stunts.hang))
    await workers.start()
    job = RenderJob(sys.argv[1], sys.argv[1] + ".result", (), Output(), RenderLimits())
    asyncio.create_task(workers.run(job, timeout=60))
    await asyncio.sleep(0.3)
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_no_orphans(tmp_path: Path) -> None:
    """When the front is killed with SIGKILL, a busy worker, an idle one, the fork server and the tracker all go."""
    front = subprocess.Popen(
        [sys.executable, "-c", FRONT, str(tmp_path / "original")], stdout=subprocess.PIPE, text=True
    )
    assert front.stdout is not None
    assert front.stdout.readline() == "ready\n"
    children = psutil.Process(front.pid).children(recursive=True)
    assert len(children) == 4

    front.kill()
    front.wait()
    front.stdout.close()

    _, alive = psutil.wait_procs(children, timeout=3)
    assert alive == []


ABANDONING = FRONT.replace("    await asyncio.sleep(60)\n", "    sys.exit(3)\n")


def test_a_front_that_gives_up(tmp_path: Path) -> None:
    """A front that ends without closing its workers does not wait for them, and takes them with it."""
    front = subprocess.Popen(
        [sys.executable, "-c", ABANDONING, str(tmp_path / "original")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert front.stdout is not None
    assert front.stdout.readline() == "ready\n"
    children = psutil.Process(front.pid).children(recursive=True)
    front.stdout.close()

    assert front.wait(timeout=10) == 3
    _, alive = psutil.wait_procs(children, timeout=3)
    assert alive == []

"""Fences around render workers: each attack is performed, and fails; and pictures are rendered all the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from PIL import Image

from proxy.errors import CannotRender, OriginalTooLarge, RenderCrashed, TooCostly
from proxy.imaging.fences import NAMES, Fences
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport
from proxy.imaging.tasks import Tasks
from proxy.imaging.workers import RenderWorkers
from proxy.plan.operations import AutoOrient, Resize, Text
from proxy.plan.output import Output, Target
from tests.imaging import attacks
from tests.imaging.stunts import result_of
from tests.pictures import coordinates, decoded, encoded

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="fences are Linux's"),
]

MIB = 1 << 20


@contextlib.asynccontextmanager
async def fenced(
    folder: Path, task: Callable[[RenderJob], RenderReport], **fences: int
) -> AsyncIterator[RenderWorkers]:
    """A worker in all its fences, performing an attack."""
    limits = {"memory_bytes": 700 * MIB, "cpu_seconds": 20, "file_bytes": 64 * MIB, **fences}
    workers = RenderWorkers(
        1, limits=RenderLimits(), fences=Fences(**limits, directory=str(folder)), tasks=Tasks(render=task)
    )
    await workers.start()
    try:
        yield workers
    finally:
        await workers.close()


@pytest.fixture(name="job")
def _job(tmp_path: Path) -> RenderJob:
    (tmp_path / "secret").write_bytes(b"customers")
    folder = tmp_path / "staging"
    folder.mkdir()
    original = folder / "original"
    original.write_bytes(encoded(coordinates(300, 200), "PNG"))
    operations = (AutoOrient(), Resize(30, 30))
    return RenderJob(str(original), str(folder / "result"), operations, Output(Target.JPEG), RenderLimits())


def folder_of(job: RenderJob) -> Path:
    return Path(job.path).parent


async def outcome(job: RenderJob, attack: Callable[[RenderJob], RenderReport], needs: str) -> str:
    """What an attack wrote down; skips where the kernel cannot raise the fence."""
    async with fenced(folder_of(job), attack) as workers:
        if needs not in workers.fences:
            pytest.skip(f"this kernel cannot raise the fence {needs!r}")
        await workers.run(job, timeout=10)
    return Path(job.result_path).read_text()


async def test_all_fences_hold_here(job: RenderJob) -> None:
    """On this machine, every fence can be raised."""
    if platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip("seccomp is written for two architectures")
    async with fenced(folder_of(job), attacks.render) as workers:
        assert set(NAMES) - set(workers.fences) <= {"filesystem"}  # Landlock is a choice of who built the kernel


@pytest.mark.parametrize("target", [Target.JPEG, Target.PNG, Target.WEBP, Target.AVIF, Target.GIF, Target.TIFF])
async def test_rendering_goes_on(job: RenderJob, target: Target) -> None:
    """Inside the fences pictures are read and written in every format, with text on them."""
    job = RenderJob(job.path, job.result_path, (*job.operations, Text("text 字")), Output(target), job.limits)
    async with fenced(folder_of(job), attacks.render) as workers:
        await workers.inspect(job.path, timeout=10)
        report = await workers.run(job, timeout=10)

    assert decoded(result_of(report, job)).size == (30, 20)
    assert [path.name for path in folder_of(job).iterdir()] == ["original"]  # the result came with the report


@pytest.mark.parametrize("attack", [attacks.connect, attacks.talk_locally, attacks.run_a_program])
async def test_no_network_and_no_programs(job: RenderJob, attack: Callable[[RenderJob], RenderReport]) -> None:
    """A worker can open no socket of any kind, and start no program."""
    assert await outcome(job, attack, "network") == "refused: PermissionError"


@pytest.mark.parametrize(
    "attack",
    [
        attacks.read_secrets, attacks.read_passwords, attacks.write_elsewhere, attacks.write_a_module,
        attacks.kill_the_front,
    ],
)  # fmt: skip
async def test_no_other_files(job: RenderJob, attack: Callable[[RenderJob], RenderReport]) -> None:
    """A worker reads and writes nothing outside of the staging directory but programs and fonts, read only."""
    assert await outcome(job, attack, "filesystem") == "refused: PermissionError"
    assert folder_of(job).with_name("secret").read_bytes() == b"customers"


async def test_no_credentials(job: RenderJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the front's environment is left in a worker but what libraries need."""
    from multiprocessing import forkserver

    forkserver._forkserver._stop()  # the next worker's fork server starts in this environment
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "swordfish")
    monkeypatch.setenv("IMGBANG_ADMIN_TOKEN", "swordfish")

    async with fenced(folder_of(job), attacks.tell_environment) as workers:
        await workers.run(job, timeout=10)
        (pid,) = workers.pids()
        with contextlib.suppress(PermissionError):
            assert b"swordfish" not in Path(f"/proc/{pid}/environ").read_bytes()
    forkserver._forkserver._stop()

    said = Path(job.result_path).read_text()
    assert "swordfish" not in said
    assert "AWS_" not in said
    assert "PATH=" in said


@pytest.mark.parametrize("own", ["", "glibc.malloc.tcache_count=5"])
async def test_large_pages(job: RenderJob, monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    """Workers are started with large pages for large buffers, unless the operator has said how memory is to be had."""
    from multiprocessing import forkserver

    forkserver._forkserver._stop()
    if own:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    else:
        monkeypatch.delenv("GLIBC_TUNABLES", raising=False)

    async with fenced(folder_of(job), attacks.tell_environment) as workers:
        await workers.run(job, timeout=10)
    forkserver._forkserver._stop()

    assert f"GLIBC_TUNABLES={own or 'glibc.malloc.hugetlb=1'}" in Path(job.result_path).read_text()


async def test_no_inherited_files(job: RenderJob) -> None:
    """A worker holds no file of the front's: what it has open are pipes, and the socket by which it is lent originals."""
    with (folder_of(job) / "original").open("rb") as held:
        os.set_inheritable(held.fileno(), True)
        async with fenced(folder_of(job), attacks.tell_files) as workers:
            await workers.run(job, timeout=10)

    kinds = dict(line.split() for line in Path(job.result_path).read_text().splitlines())
    pipe, device, socket = "10000", "20000", "140000"
    own = [kind for number, kind in kinds.items() if int(number) > 2]
    assert set(own) <= {pipe, device, socket}  # /dev/urandom, /dev/null
    assert own.count(socket) == 1


async def test_the_socket_leads_one_way(job: RenderJob) -> None:
    """Through the socket by which originals come, nothing goes back."""
    async with fenced(folder_of(job), attacks.write_to_sockets) as workers:
        await workers.run(job, timeout=10)

    assert Path(job.result_path).read_text() == "refused: BrokenPipeError"


async def test_one_pipe_leads_out(job: RenderJob) -> None:
    """A worker can write to the front, and neither to its fork server nor to the tracker of shared memory."""
    async with fenced(folder_of(job), attacks.tell_pipes) as workers:
        await workers.run(job, timeout=10)

    assert Path(job.result_path).read_text() == "1"


@pytest.mark.parametrize(
    "attack", [attacks.order_the_front, attacks.name_a_class, attacks.never_end, attacks.promise_too_much]
)
async def test_the_front_takes_no_orders(job: RenderJob, attack: Callable[[RenderJob], RenderReport]) -> None:
    """What a worker answers is no code and no endless line: the worker is replaced, the picture refused."""
    async with fenced(folder_of(job), attack) as workers:
        before = workers.pids()
        with pytest.raises(RenderCrashed):
            await workers.run(job, timeout=20)

        assert not Path(f"{job.path}.ordered").exists()
        assert (await workers.inspect(job.path, timeout=10)).width == 300
        assert workers.pids() != before


@pytest.mark.parametrize("attack", [attacks.allocate, attacks.allocate_in_libvips])
async def test_memory_is_limited(job: RenderJob, attack: Callable[[RenderJob], RenderReport]) -> None:
    """Two gigabytes are refused as an original that is too large (413 or 422), and the next picture is rendered."""
    async with fenced(folder_of(job), attack) as workers:
        with pytest.raises((OriginalTooLarge, CannotRender)):
            await workers.run(job, timeout=10)

        assert (await workers.inspect(job.path, timeout=10)).width == 300
    assert not Path(job.result_path).exists()


async def test_a_picture_that_takes_too_much_memory(job: RenderJob) -> None:
    """A progressive JPEG whose coefficients need 400 MB is refused as too large, by the limit alone."""
    Path(job.path).write_bytes(encoded(Image.new("RGB", (8000, 8000)), "JPEG", progressive=True, subsampling=0))
    async with fenced(folder_of(job), attacks.render, memory_bytes=250 * MIB) as workers:
        with pytest.raises(OriginalTooLarge):
            await workers.run(job, timeout=20)


async def test_cpu_is_limited(job: RenderJob) -> None:
    """A task that computes for ever ends with its CPU time, is not tried again, and its worker is replaced."""
    async with fenced(folder_of(job), attacks.spin, cpu_seconds=1) as workers:
        before = workers.pids()
        started = time.monotonic()
        with pytest.raises(TooCostly):
            await workers.run(job, timeout=60)

        assert time.monotonic() - started < 40
        assert (await workers.inspect(job.path, timeout=10)).width == 300
        assert workers.pids() != before


async def test_cpu_time_is_each_tasks_own(job: RenderJob) -> None:
    """Many tasks that together take more than one may are all done."""
    async with fenced(folder_of(job), attacks.render, cpu_seconds=1) as workers:
        before = workers.pids()
        large = RenderJob(job.path, job.result_path, (Resize(3000, 3000),), Output(Target.AVIF), job.limits)
        for _ in range(4):
            await workers.run(large, timeout=30)

        assert workers.pids() == before


async def test_files_are_limited(job: RenderJob) -> None:
    """A worker cannot fill the disk."""
    assert await outcome(job, attacks.fill_the_disk, "files") == "refused: OSError"


async def test_limits_are_for_good(job: RenderJob) -> None:
    """Nobody but root can raise a limit again."""
    if os.getuid() != 0:
        pytest.skip("the attack begins as root and becomes nobody")
    assert await outcome(job, attacks.raise_the_limits, "memory") == "refused"


async def test_killed_in_the_middle(job: RenderJob) -> None:
    """Workers that are killed while they write leave nothing but what the front knows of."""
    async with fenced(folder_of(job), attacks.render) as workers:
        large = RenderJob(job.path, job.result_path, (Resize(3000, 3000),), Output(Target.PNG), job.limits)
        render = asyncio.create_task(workers.run(large, timeout=30))
        for _ in range(2):
            await asyncio.sleep(0.3)
            for pid in workers.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
        await asyncio.gather(render, return_exceptions=True)

    assert [path.name for path in folder_of(job).iterdir()] == ["original"]  # the result came with the report

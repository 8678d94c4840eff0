"""Originals that come to a worker as open files: every format is read as from its path, and nothing else is gained."""

from __future__ import annotations

import asyncio
import os
import pickle
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from proxy.errors import NotAnImage, OriginalTooLarge, OriginUnavailable, ProxyError
from proxy.imaging import library
from proxy.imaging.answers import TaskFailed
from proxy.imaging.fences import Fences
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport, lent_path
from proxy.imaging.task_files import lent, open_file, read_file, read_lent, size_of_file
from proxy.imaging.tasks import Tasks, render_job
from proxy.imaging.transform import render
from proxy.imaging.worker import render_together
from proxy.imaging.workers import RenderWorkers
from proxy.plan.operations import AutoOrient, Resize, Watermark
from proxy.plan.output import Answer, Metadata, Output, Target
from tests.corpus import corpus_files, require_corpus
from tests.imaging import attacks
from tests.imaging.conftest import Studio
from tests.imaging.stunts import crash, result_of
from tests.pictures import coordinates, decoded, encoded, make_samples

MIB = 1 << 20
LIMITS = RenderLimits(svg=True, pdf=True)
OUTPUTS = {
    "picture": Output(Target.JPEG),
    "own format": Output(Target.SOURCE),
    "slim": Output(slim=True),
    "credit": Output(Target.JPEG, metadata=Metadata.COPYRIGHT),
    "few bytes": Output(Target.WEBP, max_bytes=3000),
    **{answer.value: Output(answer=answer) for answer in Answer if answer is not Answer.PICTURE},
}


def told(outcome: RenderReport | ProxyError) -> object:
    """What can be compared of two renders."""
    if isinstance(outcome, ProxyError):
        return type(outcome), str(outcome)
    return replace(outcome, decode_seconds=0.0, encode_seconds=0.0, resident_bytes=0)


def rendered(job: RenderJob) -> tuple[object, bytes]:
    """What comes of a job, and the result."""
    Path(job.result_path).unlink(missing_ok=True)
    try:
        report = render(job)
    except ProxyError as error:
        return told(error), b""
    return told(report), Path(job.result_path).read_bytes()


def compare(path: Path, folder: Path, output: Output) -> None:
    """Render an original from its path and from memory."""
    job = RenderJob(str(path), str(folder / "result"), (AutoOrient(), Resize(60, 60)), output, LIMITS)
    if output.slim:
        job = replace(job, operations=())
    usual = rendered(job)
    with lent([path.read_bytes()]):
        assert rendered(replace(job, path=lent_path(0))) == usual
        assert size_of_file(lent_path(0)) == path.stat().st_size


@pytest.fixture(autouse=True)
def _svg() -> object:
    library.start(svg=True)
    yield
    library.start()


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_every_format(tmp_path: Path, output: Output) -> None:
    """Of each sample the same bytes, the same notes, the same failure."""
    make_samples(tmp_path / "samples")
    for kind in ("TIFF", "BMP", "ICO", "AVIF"):
        (tmp_path / "samples" / f"a.{kind.lower()}").write_bytes(encoded(coordinates(120, 90), kind))
    (tmp_path / "samples" / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60"/>')
    for path in sorted(path for path in (tmp_path / "samples").rglob("*") if path.is_file()):
        compare(path, tmp_path, output)


@pytest.mark.parametrize("folder", ["animated", "broken", "color", "formats", "orientation", "photos"])
def test_real_pictures(tmp_path: Path, folder: str) -> None:
    """So it is with real ones, sound and broken."""
    require_corpus()
    for path in corpus_files(folder):
        if path.stat().st_size < MIB:
            compare(path, tmp_path, OUTPUTS["picture"])


def test_a_name_of_a_moment(tmp_path: Path) -> None:
    """After the task there is nothing at the path, and what one reads does not move another."""
    (tmp_path / "file").write_bytes(b"from a path")
    with lent([b"first", b"second"]):
        with open_file(lent_path(0)) as one, open_file(lent_path(0)) as two:
            assert (one.read(2), two.read(), one.read()) == (b"fi", b"first", b"rst")
        assert (read_file(lent_path(1)), read_file(str(tmp_path / "file"))) == (b"second", b"from a path")

    with pytest.raises(FileNotFoundError):
        read_file(lent_path(0))
    with pytest.raises(FileNotFoundError):
        open_file(lent_path(1))


def test_reading_what_was_lent(tmp_path: Path) -> None:
    """All of it from its beginning, wherever others are in the file; what cannot be read is the store's failure."""
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb") as file:
        file.seek(5)
        assert read_lent(file.fileno()) == b"0123456789"
        assert file.tell() == 5
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OriginUnavailable):
            read_lent(folder)
    finally:
        os.close(folder)


def test_what_was_lent_and_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no room for it: 413, as for a picture that needs too much."""

    def no_room(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(os, "pread", no_room)
    (tmp_path / "file").write_bytes(b"pixels")
    with (tmp_path / "file").open("rb") as file, pytest.raises(OriginalTooLarge):
        read_lent(file.fileno())


def test_the_last_of_two_tasks(studio: Studio) -> None:
    """A path that was used before means the new original: nothing of the last task is remembered by it."""
    jobs = [
        RenderJob(lent_path(0), f"{studio.folder}/{n}", (Resize(30, 30),), Output(Target.PNG), LIMITS) for n in "ab"
    ]
    bodies = [encoded(coordinates(300, 200), "JPEG"), encoded(coordinates(200, 400), "JPEG")]
    sizes = []
    for job, body in zip(jobs, bodies, strict=True):
        with lent([body]):
            info = inspect(job.path, LIMITS)
            report = render(job)
        sizes.append((info.width, info.height, report.width, report.height))

    assert sizes == [(300, 200, 30, 20), (200, 400, 15, 30)]


def test_a_page_of_one_that_was_lent(studio: Studio) -> None:
    """Several pictures from one decode are those of a file."""
    path = studio.store(encoded(coordinates(800, 600), "JPEG"))

    def page(source: str) -> list[object]:
        jobs = tuple(
            RenderJob(source, f"{studio.folder}/{n}", (Resize(n, n),), Output(Target.JPEG), LIMITS, allowance=1 << 30)
            for n in (200, 100, 50)
        )
        return [told(one) for one in render_together(jobs).outcomes]

    usual = page(str(path))
    with lent([path.read_bytes()]):
        assert page(lent_path(0)) == usual


@asynccontextmanager
async def running(folder: Path, tasks: Tasks | None = None) -> AsyncIterator[RenderWorkers]:
    """One worker that may reach nothing but `folder`."""
    workers = RenderWorkers(1, limits=RenderLimits(), fences=Fences(directory=str(folder)), tasks=tasks)
    await workers.start()
    try:
        yield workers
    finally:
        await workers.close()


@pytest.fixture(name="original")
def _original(tmp_path: Path) -> Path:
    """An original where no worker can reach it."""
    (tmp_path / "originals").mkdir()
    path = tmp_path / "originals" / "a.jpg"
    path.write_bytes(encoded(coordinates(300, 200), "JPEG"))
    return path


@pytest.fixture(name="job")
def _job(tmp_path: Path) -> RenderJob:
    (tmp_path / "staging").mkdir()
    result = str(tmp_path / "staging" / "result")
    return RenderJob(lent_path(0), result, (AutoOrient(), Resize(30, 30)), Output(Target.PNG), RenderLimits())


def staging_of(job: RenderJob) -> Path:
    return Path(job.result_path).parent


@pytest.mark.integration
async def test_a_worker_reads_what_it_is_lent(job: RenderJob, original: Path) -> None:
    """Inspect, render, and render several; without the file there is nothing to read, and the worker goes on."""
    usual = rendered(replace(job, path=str(original)))[1]
    async with running(staging_of(job)) as workers:
        with original.open("rb") as file:
            info = await workers.inspect(job.path, timeout=10, lent=[file])
            report = await workers.run(job, timeout=10, lent=[file])
            both = await workers.run_together((replace(job, allowance=1 << 30),) * 2, timeout=10, lent=[file])
        pids = workers.pids()

        assert (info.width, info.height) == (300, 200)
        assert [result_of(one, job) for one in (report, *both)] == [usual] * 3
        with pytest.raises(TaskFailed, match="FileNotFoundError"):
            await workers.run(job, timeout=10)
        assert workers.pids() == pids


@pytest.mark.integration
async def test_marks_are_lent_too(job: RenderJob, original: Path, tmp_path: Path) -> None:
    """The original and what is drawn on it, each by its own path."""
    mark = tmp_path / "originals" / "mark.png"
    mark.write_bytes(encoded(coordinates(10, 10), "PNG"))
    operations = (*job.operations, Watermark(image="mark.png"))
    usual = rendered(replace(job, path=str(original), operations=operations, overlays=(("mark.png", str(mark)),)))[1]

    async with running(staging_of(job)) as workers:
        with original.open("rb") as first, mark.open("rb") as second:
            drawn = replace(job, operations=operations, overlays=(("mark.png", lent_path(1)),))
            report = await workers.run(drawn, timeout=10, lent=[first, second])

    assert result_of(report, job) == usual
    assert usual != rendered(replace(job, path=str(original)))[1]


@pytest.mark.integration
async def test_lent_again_after_a_crash(job: RenderJob, original: Path) -> None:
    """The worker that takes over is lent the same file."""
    async with running(staging_of(job), Tasks(render=crash_at_first)) as workers:
        with original.open("rb") as file:
            report = await workers.run(job, timeout=20, lent=[file])
        assert workers.statistics.crashes == 1

    assert decoded(result_of(report, job)).size == (30, 20)


def crash_at_first(job: RenderJob) -> RenderReport:
    """Die the first time; render the second."""
    marker = Path(f"{job.result_path}.crashed")
    if marker.exists():
        return render_job(job)
    marker.touch()
    return crash(job)


class Closed:
    """A file that was closed before it could be sent."""

    def fileno(self) -> int:
        raise ValueError("the file is closed")


@pytest.mark.integration
async def test_a_file_that_is_closed_by_then(job: RenderJob, original: Path) -> None:
    """Nobody waits any more, or this would not have happened: nothing is sent, and the worker is as it was."""
    async with running(staging_of(job)) as workers:
        pids = workers.pids()
        with pytest.raises(ValueError, match="closed"):
            await workers.run(job, timeout=10, lent=[Closed()])
        with original.open("rb") as file:
            assert (await workers.run(job, timeout=10, lent=[file])).width == 30
        assert workers.pids() == pids


@pytest.mark.integration
async def test_a_task_that_cannot_be_sent(job: RenderJob, original: Path) -> None:
    """Its file is not sent either: the next task would take it for its own."""
    other = original.with_name("other.jpg")
    other.write_bytes(encoded(coordinates(300, 100), "JPEG"))
    async with running(staging_of(job)) as workers:
        with original.open("rb") as file, pytest.raises((pickle.PicklingError, AttributeError)):
            await workers.run(replace(job, overlays=lambda: None), timeout=10, lent=[file])
        with other.open("rb") as file:
            assert (await workers.run(job, timeout=10, lent=[file])).height == 10


@pytest.mark.integration
async def test_no_descriptor_is_left(job: RenderJob, original: Path) -> None:
    """Neither here nor in the worker, where none is open while a picture is decoded."""
    async with running(staging_of(job), Tasks(render=attacks.tell_files)) as workers:
        kinds = []
        before = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
        for _ in range(3):
            with original.open("rb") as file:
                await workers.run(job, timeout=10, lent=[file, file])
            kinds.append(Path(job.result_path).read_text())
        if sys.platform == "linux":
            assert len(list(Path("/proc/self/fd").iterdir())) == before

    own = [line.split() for line in kinds[0].splitlines()]
    assert [number for number, kind in own if kind == f"{stat.S_IFREG:o}" and int(number) > 2] == []
    assert len(set(kinds)) == 1


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="fences are Linux's")
@pytest.mark.parametrize("attack", attacks.ON_A_FILE, ids=lambda attack: attack.__name__)
async def test_lent_for_reading_only(job: RenderJob, original: Path, attack: attacks.Attack) -> None:
    """A worker that was taken over, and keeps the file that it is lent, can change nothing of it."""
    before, status = original.read_bytes(), original.stat()
    async with running(staging_of(job), Tasks(render=attacks.keep_what_is_lent)) as workers:
        if not {"network", "filesystem"} <= set(workers.fences):
            pytest.skip("this kernel cannot raise the fences")
        with original.open("rb") as file:
            await workers.run(job, timeout=10, lent=[file])
            (staging_of(job) / "attack").write_text(attack.__name__)
            await workers.run(job, timeout=10, lent=[file])

    assert Path(job.result_path).read_text().startswith("refused")
    now = original.stat()
    assert original.read_bytes() == before
    assert (now.st_mode, now.st_mtime_ns, now.st_uid, now.st_nlink) == (
        status.st_mode, status.st_mtime_ns, status.st_uid, status.st_nlink,
    )  # fmt: skip


@pytest.mark.integration
async def test_many_at_once(job: RenderJob, original: Path) -> None:
    """Tasks that wait for the worker each get their own file."""
    others = []
    for number in range(12):
        path = original.with_name(f"{number}.jpg")
        path.write_bytes(encoded(coordinates(300, 100 + 10 * number), "JPEG"))
        others.append(path)

    async def size(path: Path, workers: RenderWorkers, file: BinaryIO) -> int:
        jobs = replace(job, result_path=f"{job.result_path}-{path.name}")
        return (await workers.run(jobs, timeout=20, lent=[file])).height

    async with running(staging_of(job)) as workers:
        files = [path.open("rb") for path in others]
        try:
            heights = await asyncio.gather(*map(size, others, [workers] * 12, files))
        finally:
            for file in files:
                file.close()

    assert heights == [round((100 + 10 * number) / 10) for number in range(12)]


def test_what_is_no_image(studio: Studio) -> None:
    """The same refusal as for a file."""
    with lent([b"<!doctype html>"]), pytest.raises(NotAnImage):
        studio.render(Path(lent_path(0)), Resize(10, 10))

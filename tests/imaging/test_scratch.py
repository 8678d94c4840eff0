"""Results are written in a worker's memory first: small ones go with the answer, large ones to their file."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from proxy.errors import CannotRender, ProxyError
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport
from proxy.imaging.scratch import LARGEST, Scratch, handed_over, remove
from proxy.imaging.task_files import body_in_memory, size_of_file
from proxy.imaging.transform import render
from proxy.imaging.workers import RenderWorkers
from proxy.plan.operations import Resize
from proxy.plan.output import Answer, Output, OverLimit, Target
from tests.imaging.stunts import result_of
from tests.pictures import coordinates, decoded, encoded

LIMITS = RenderLimits()
SMALL, LARGE = 30, 800
"""Sides of a picture of noise: as a PNG of 3 bytes a pixel, the one is small, the other is not."""


@pytest.fixture(name="original")
def _original(tmp_path: Path) -> Path:
    noise = np.random.default_rng(1).integers(0, 256, (LARGE, LARGE, 3), np.uint8)
    path = tmp_path / "original"
    path.write_bytes(encoded(Image.fromarray(noise), "PNG"))
    assert path.stat().st_size > LARGEST
    return path


def job_of(original: Path, name: str, side: int, target: Target = Target.PNG) -> RenderJob:
    """A render of a side, to a file beside the original."""
    return RenderJob(str(original), str(original.parent / name), (Resize(side, side),), Output(target), LIMITS)


@pytest.fixture(name="scratch")
def _scratch() -> Iterator[Scratch]:
    scratch = Scratch()
    yield scratch
    for file in scratch._files:
        os.close(file)


def test_a_small_result_goes_with_the_report(original: Path, scratch: Scratch) -> None:
    """No file is made; the memory is empty afterwards."""
    job = job_of(original, "result", SMALL)

    with scratch.of((job,)) as (here,):
        report = handed_over(render(here), here, job)

    assert report.body is not None
    assert len(report.body) == report.size
    assert decoded(report.body).size == (SMALL, SMALL)
    assert not Path(job.result_path).exists()
    assert Path(here.result_path).stat().st_size == 0


def test_a_large_result_lies_in_its_file(original: Path, scratch: Scratch) -> None:
    """Whole; the memory is empty afterwards."""
    job = job_of(original, "result", LARGE)

    with scratch.of((job,)) as (here,):
        report = handed_over(render(here), here, job)

    assert report.body is None
    assert Path(job.result_path).stat().st_size == report.size > LARGEST
    assert decoded(Path(job.result_path).read_bytes()).size == (LARGE, LARGE)
    assert Path(here.result_path).stat().st_size == 0


def test_a_result_that_cannot_lie_there(original: Path, scratch: Scratch) -> None:
    """It is refused as one that cannot be written, and nothing is half there."""
    job = job_of(original, "no-such-folder/result", LARGE)

    with scratch.of((job,)) as (here,), pytest.raises(CannotRender):
        handed_over(render(here), here, job)

    assert [path.name for path in original.parent.iterdir()] == ["original"]


def test_a_failed_render_leaves_nothing(original: Path, scratch: Scratch) -> None:
    """Neither in memory, where a file has no name to be deleted, nor in a directory."""
    original.write_bytes(original.read_bytes()[:1000])
    job = job_of(original, "result", SMALL)

    with scratch.of((job,)) as (here,):
        Path(here.result_path).write_bytes(b"half")
        with pytest.raises(ProxyError):
            render(here)
        assert Path(here.result_path).stat().st_size == 0

    lying = original.with_name("lying")
    lying.write_bytes(b"half")
    remove(str(lying))
    remove(str(lying))
    assert not lying.exists()


def test_memory_is_used_again(original: Path, scratch: Scratch) -> None:
    """One task after the other takes the same files; more than there may be go to their own at once."""
    jobs = [job_of(original, f"result-{number}", SMALL) for number in range(9)]
    with scratch.of(jobs) as here:
        first = [job.result_path for job in here]
    with scratch.of(jobs[:2]) as here:
        second = [job.result_path for job in here]

    assert len(set(first)) == 9
    assert first[8] == jobs[8].result_path
    assert second == first[:2]


@pytest.mark.parametrize("missing", ["call", "permission", "proc"])
def test_without_files_in_memory(original: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """On another system, in a sandbox, without /proc: the result is written to its file at once."""

    def refuse(_name: str) -> int:
        raise PermissionError

    match missing:
        case "call":
            monkeypatch.delattr(os, "memfd_create")
        case "permission":
            monkeypatch.setattr(os, "memfd_create", refuse)
        case _:
            monkeypatch.setattr("proxy.imaging.scratch._path_of", "/no-such-proc/{}".format)
    job = job_of(original, "result", SMALL)

    with Scratch().of((job,)) as (here,):
        report = handed_over(render(here), here, job)

    assert (here, report.body) == (job, None)
    assert decoded(Path(job.result_path).read_bytes()).size == (SMALL, SMALL)


@pytest_asyncio.fixture(name="workers")
async def _workers() -> AsyncIterator[RenderWorkers]:
    workers = RenderWorkers(1, limits=LIMITS)
    await workers.start()
    yield workers
    await workers.close()


@pytest.mark.integration
async def test_through_a_worker(original: Path, workers: RenderWorkers) -> None:
    """Alone and together with others, more than a pipe holds: each result comes from where it is."""
    sides = {"small": SMALL, "middle": 400, "large": LARGE, "again": 400}
    jobs = tuple(job_of(original, name, side) for name, side in sides.items())

    alone = [await workers.run(job, timeout=20) for job in jobs]
    bodies = [result_of(report, job) for report, job in zip(alone, jobs, strict=True)]
    for job in jobs:
        remove(job.result_path)
    together = await workers.run_together(jobs, timeout=20)

    assert [decoded(body).size[0] for body in bodies] == list(sides.values())
    for job, report in zip(jobs, together, strict=True):
        assert isinstance(report, RenderReport)
        body = result_of(report, job)
        assert (decoded(body).size[0], len(body)) == (report.width, report.size)
        assert Path(job.result_path).exists() == (report.body is None) == (report.size > LARGEST)
    assert len(bodies[1]) > 1 << 16


def test_what_we_encode_is_not_written(original: Path, scratch: Scratch) -> None:
    """A plain JPEG is in memory when it is made; it is read from there, and forgotten with its task."""
    job = job_of(original, "result", SMALL, Target.JPEG)

    with scratch.of((job,)) as (here,):
        report = render(here)
        assert Path(here.result_path).stat().st_size == 0
        assert size_of_file(here.result_path) == report.size > 0
        body = handed_over(report, here, job).body
    assert body is not None
    assert decoded(body).format == "JPEG"
    assert body_in_memory(here.result_path) is None


def test_a_large_one_of_ours_lies_in_its_file(original: Path, scratch: Scratch) -> None:
    """Written once, from where it was made."""
    job = job_of(original, "result", LARGE, Target.JPEG)
    job = replace(job, output=replace(job.output, quality=100))

    with scratch.of((job,)) as (here,):
        report = handed_over(render(here), here, job)

    assert report.body is None
    assert Path(job.result_path).stat().st_size == report.size > LARGEST


OUTPUTS = {
    "best of three": Output(Target.JPEG, candidates=(Target.JPEG, Target.WEBP, Target.PNG)),
    "few bytes": Output(Target.JPEG, max_bytes=9000),
    "few bytes, progressive": Output(Target.JPEG, max_bytes=9000, progressive=True),
    "a score": Output(Target.JPEG, ssimulacra2=60),
    "a score as WebP": Output(Target.WEBP, ssimulacra2=60),
    "dots per inch": Output(Target.JPEG, density=300),
    "dots per inch, progressive": Output(Target.JPEG, density=300, progressive=True),
    "an icon": Output(Target.ICO),
    "a report": Output(Target.JPEG, answer=Answer.INFO),
    "or the original": Output(Target.JPEG, quality=95, max_bytes=1000, over_limit=OverLimit.OR_ORIGINAL),
}


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_kept_or_written(original: Path, scratch: Scratch, output: Output) -> None:
    """However a result is looked for, the same comes out as in a file."""
    original.write_bytes(encoded(coordinates(300, 200), "JPEG", quality=90))
    job = replace(job_of(original, "result", 120), output=output)
    usual = render(job)
    written = Path(job.result_path).read_bytes()

    with scratch.of((job,)) as (here,):
        report = handed_over(render(here), here, job)

    assert report.body == written
    assert (report.format, report.size, report.notes) == (usual.format, len(written), usual.notes)


def test_one_after_the_other_at_the_same_path(original: Path, scratch: Scratch) -> None:
    """The last is what lies there, whoever wrote it: it is neither hidden by what was kept nor does it hide that."""
    job = job_of(original, "result", SMALL)
    said = []
    with scratch.of((job,)) as (here,):
        for target in (Target.JPEG, Target.WEBP, Target.JPEG, Target.PNG, Target.ICO, Target.GIF):
            report = handed_over(render(replace(here, output=Output(target))), here, job)
            assert report.body is not None
            said.append((target.value, decoded(report.body).format, len(report.body) == report.size))

    assert said == [(kind, kind.upper(), True) for kind, _, _ in said]


def test_a_failure_forgets_what_was_kept(original: Path, scratch: Scratch) -> None:
    """As it deletes a file."""
    job = job_of(original, "result", SMALL, Target.JPEG)
    with scratch.of((job,)) as (here,):
        render(here)
        original.write_bytes(b"GIF89a")
        with pytest.raises(ProxyError):
            render(here)
        assert size_of_file(here.result_path) == 0

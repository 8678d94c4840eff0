"""Several pictures from one decode are the pictures that each of them would be alone."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proxy.errors import (
    CannotRender,
    DeadlinePassed,
    NotAnImage,
    ProxyError,
    RenderCrashed,
    ResultTooLarge,
    TruncatedImage,
)
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport
from proxy.imaging.ssimulacra2 import Reference
from proxy.imaging.tasks import Tasks, Together
from proxy.imaging.together import Decoded, render_each
from proxy.imaging.transform import render
from proxy.imaging.workers import RenderWorkers
from proxy.plan.geometry import Size
from proxy.plan.operations import AutoOrient, Crop, Fit, Operation, Resize
from proxy.plan.output import Output, Target, Truncated
from tests.pictures import coordinates, decoded, encoded

PAGE = (800, 500, 400, 200, 50)


class Page:
    """Jobs for one original, in a folder."""

    def __init__(self, folder: Path, body: bytes) -> None:
        self.folder = folder
        self.original = folder / "original"
        self.original.write_bytes(body)

    def job(self, name: str, *operations: Operation, output: Output | None = None) -> RenderJob:
        result = str(self.folder / name)
        return RenderJob(str(self.original), result, operations, output or Output(Target.PNG), RenderLimits())

    def jobs(self, *sides: int) -> tuple[RenderJob, ...]:
        return tuple(self.job(str(side), AutoOrient(), Resize(side, side)) for side in sides)


def photo(width: int = 1239, height: int = 827, mode: str = "RGB") -> Image.Image:
    """Shapes of every size on a gradient."""
    at = np.mgrid[0:height, 0:width]
    waves = sum(np.sin((at[1] * (i + 1) + at[0] * (3 - i)) / 2.0 ** (i + 2)) for i in range(6))
    grey = np.clip(waves * 20 + 128, 0, 255).astype(np.uint8)
    blended = Image.blend(coordinates(width, height).convert("RGB"), Image.fromarray(grey).convert("RGB"), 0.5)
    return blended.convert(mode)


@pytest.mark.parametrize("size", [(1239, 827), (1280, 960)], ids=str)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_pictures_are_those_of_each_alone(tmp_path: Path, kind: str, size: tuple[int, int]) -> None:
    """Sizes to the pixel, and as near to a full decode and Lanczos."""
    page = Page(tmp_path, encoded(photo(*size), kind, **({"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {})))
    jobs = page.jobs(50, 800, 200, 400, 500)  # in any order

    outcomes = render_each(jobs, lambda: None)

    for side, job, outcome in zip((50, 800, 200, 400, 500), jobs, outcomes, strict=True):
        assert isinstance(outcome, RenderReport)
        together = Path(job.result_path).read_bytes()
        render(job)
        assert (outcome.width, decoded(together).size) == (side, decoded(Path(job.result_path).read_bytes()).size)
        assert worse(page, job, together) < 3


def worse(page: Page, job: RenderJob, together: bytes) -> float:
    """By how much less than the picture rendered alone this one is like a full decode and Lanczos; in points."""
    whole = page.job("whole", AutoOrient())
    render(whole)
    size = decoded(together).size
    ideal = encoded(decoded(Path(whole.result_path).read_bytes()).resize(size, Image.Resampling.LANCZOS), "PNG")
    return score(ideal, Path(job.result_path).read_bytes()) - score(ideal, together)


def score(one: bytes, other: bytes) -> float:
    """SSIMULACRA2 between two files."""
    import pyvips

    return Reference(pyvips.Image.new_from_buffer(one, "").copy_memory()).score(pyvips.Image.new_from_buffer(other, ""))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(tmp_path: Path, orientation: int) -> None:
    """Pixels that were scaled before are still to be turned."""
    picture = photo(640, 400)
    exif = picture.getexif()
    exif[0x0112] = orientation
    page = Page(tmp_path, encoded(picture, "JPEG", exif=exif.tobytes(), quality=95))
    jobs = page.jobs(300, 30)

    render_each(jobs, lambda: None)

    for job in jobs:
        together = np.asarray(decoded(Path(job.result_path).read_bytes()), int)
        render(job)
        assert np.abs(together - np.asarray(decoded(Path(job.result_path).read_bytes()), int)).mean() < 2


def test_transparent_pixels_do_not_bleed(tmp_path: Path) -> None:
    """Each scaling weighs colours by their alpha."""
    picture = Image.new("RGBA", (512, 512), (0, 255, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 255, 512))
    page = Page(tmp_path, encoded(picture, "PNG"))

    render_each(page.jobs(500, 20), lambda: None)

    small = np.asarray(decoded((tmp_path / "20").read_bytes()))
    assert small[small[..., 3] > 8][:, 1].max() < 8


def test_what_is_the_same_is_made_once(tmp_path: Path) -> None:
    """A picture that is smaller than what is asked for is itself in every such size; other outputs stay their own."""
    page = Page(tmp_path, encoded(photo(300, 200), "JPEG"))
    jobs = (*page.jobs(1200, 800), page.job("webp", AutoOrient(), Resize(800, 800), output=Output(Target.WEBP)))

    outcomes = render_each(jobs, lambda: None)

    reports = [outcome for outcome in outcomes if isinstance(outcome, RenderReport)]
    assert [(report.width, report.height, report.format.value) for report in reports] == [
        (300, 200, "png"),
        (300, 200, "png"),
        (300, 200, "webp"),
    ]
    assert (tmp_path / "1200").read_bytes() == (tmp_path / "800").read_bytes() != (tmp_path / "webp").read_bytes()
    assert not (tmp_path / "1200").samefile(tmp_path / "800")
    assert sorted(report.encode_seconds > 0 for report in reports) == [False, True, True]


def test_what_cannot_be_made_again_fails_by_itself(tmp_path: Path) -> None:
    """The copy of a result that finds no room is an error of its own, and leaves no part."""
    page = Page(tmp_path, encoded(photo(300, 200), "JPEG"))
    first, second = page.jobs(1200, 800)
    nowhere = replace(second, result_path=str(tmp_path / "no-such-folder" / "result"))

    outcomes = render_each((first, nowhere), lambda: None)

    assert isinstance(outcomes[0], RenderReport)
    assert isinstance(outcomes[1], CannotRender)


def test_memory_of_many_sizes_is_bounded(tmp_path: Path) -> None:
    """However many sizes: what is kept for the next is no more than what was decoded, once more."""
    page = Page(tmp_path, encoded(photo(1200, 900), "JPEG"))
    info, shared = inspect(str(page.original), RenderLimits()), Decoded()

    for side in range(1200, 30, -30):
        picture = shared.load(str(page.original), info, Output(), RenderLimits(), target=Size(side, side * 3 // 4))
        assert picture.size == Size(side, side * 3 // 4)

    kept = [picture.size.pixels for made in shared._made.values() for picture in made]
    assert kept[0] == 1200 * 900
    assert len(kept) > 3
    assert sum(kept[1:]) <= kept[0]


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk(tmp_path: Path, mode: str) -> None:
    """Pixels that do not come from the fast decoder, or have one channel, are shared just so."""
    page = Page(tmp_path, encoded(photo(mode=mode), "JPEG", quality=95))
    jobs = page.jobs(600, 60)

    render_each(jobs, lambda: None)

    for job in jobs:
        together = Path(job.result_path).read_bytes()
        render(job)
        assert worse(page, job, together) < 3


def test_a_failure_is_its_own(tmp_path: Path) -> None:
    """One that cannot be made leaves no file, and the others whole."""
    page = Page(tmp_path, encoded(photo(), "JPEG"))
    limits = RenderLimits(max_result_side=700)
    large, small = (RenderJob(*fields(job), limits) for job in page.jobs(800, 50))
    off = page.job("off", AutoOrient(), Resize(100, 100), Crop(10, 10, dx=5000))
    cover = page.job("cover", Resize(60, 60, Fit.COVER), Crop(60, 60))

    outcomes = render_each((large, off, small, cover), lambda: None)

    assert isinstance(outcomes[0], ResultTooLarge)
    assert isinstance(outcomes[1], ProxyError)
    assert isinstance(outcomes[2], RenderReport)
    assert isinstance(outcomes[3], RenderReport)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["50", "cover", "original"]


def fields(job: RenderJob) -> tuple[str, str, tuple[Operation, ...], Output]:
    return job.path, job.result_path, job.operations, job.output


@pytest.mark.parametrize(
    ("damage", "error"),
    [(lambda body: b"<html>", NotAnImage), (lambda body: body[:2000], TruncatedImage), (lambda body: b"", NotAnImage)],
    ids=["page", "cut", "empty"],
)
def test_a_broken_original_fails_all(tmp_path: Path, damage: Callable[[bytes], bytes], error: type[ProxyError]) -> None:
    """Each is told, and no file is left."""
    page = Page(tmp_path, damage(encoded(photo(), "JPEG")))

    outcomes = render_each(page.jobs(*PAGE), lambda: None)

    assert {type(outcome) for outcome in outcomes} == {error}
    assert [path.name for path in tmp_path.iterdir()] == ["original"]


def test_who_takes_what_there_is_does_not_change_the_others(tmp_path: Path) -> None:
    """A cut-off original: one asks for what there is of it, the other for all or nothing."""
    page = Page(tmp_path, encoded(photo(), "JPEG")[:20_000])
    lenient, again = (
        page.job(name, Resize(100), output=Output(Target.PNG, truncated=Truncated.RENDER)) for name in ("one", "two")
    )

    outcomes = render_each((lenient, page.job("strict", Resize(200)), again), lambda: None)

    assert [type(outcome) for outcome in outcomes] == [RenderReport, TruncatedImage, RenderReport]


async def test_a_worker_renders_them(tmp_path: Path) -> None:
    """Through a real process; failures come back as what they are."""
    page = Page(tmp_path, encoded(photo(), "JPEG"))
    workers = RenderWorkers(1, limits=RenderLimits())
    await workers.start()
    try:
        jobs = (*page.jobs(300, 30), page.job("off", Resize(100, 100), Crop(10, 10, dx=5000)))
        outcomes = await workers.run_together(jobs, timeout=20)
    finally:
        await workers.close()

    assert [type(outcome) for outcome in outcomes[:2]] == [RenderReport, RenderReport]
    assert isinstance(outcomes[2], ProxyError)
    assert not isinstance(outcomes[2], CannotRender) or outcomes[2].message
    bodies = [outcome.body for outcome in outcomes if isinstance(outcome, RenderReport)]
    assert [decoded(body or b"").size[0] for body in bodies] == [300, 30]


def crash_together(jobs: tuple[RenderJob, ...]) -> Together:
    """Die when one picture is written and the next is half."""
    render(jobs[0])
    Path(jobs[1].result_path).write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError("unreachable")


def hang_together(jobs: tuple[RenderJob, ...]) -> Together:
    """Never be ready with the second."""
    render(jobs[0])
    ctypes.PyDLL(None).sleep(60)
    raise AssertionError("unreachable")


@pytest.mark.parametrize(
    ("task", "seconds", "error"), [(crash_together, 20, RenderCrashed), (hang_together, 1, DeadlinePassed)]
)
async def test_a_worker_that_is_lost_leaves_no_file(
    tmp_path: Path, task: Callable[[tuple[RenderJob, ...]], Together], seconds: float, error: type[ProxyError]
) -> None:
    """A crash or a deadline in the middle of several pictures: none is half there, and the next are made."""
    page = Page(tmp_path, encoded(photo(), "JPEG"))
    workers = RenderWorkers(1, limits=RenderLimits(), tasks=Tasks(together=task))
    await workers.start()
    try:
        with pytest.raises(error):
            await workers.run_together(page.jobs(300, 30), timeout=seconds)
        assert [path.name for path in tmp_path.iterdir()] == ["original"]
        (job,) = page.jobs(40)
        assert (await workers.run(job, timeout=20)).width == 40
    finally:
        await workers.close()

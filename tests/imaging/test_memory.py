"""The memory of a render, told by the header."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proxy.imaging.job import NotAdmitted, RenderJob, RenderLimits, SourceInfo
from proxy.imaging.memory import needed_bytes, pixel_bytes
from proxy.imaging.workers import RenderWorkers
from proxy.plan.operations import AutoOrient, Crop, Resize
from proxy.plan.output import Format, Output, Target
from proxy.plan.plan import Plan
from tests.pictures import coordinates, encoded

HEADER = SourceInfo(Format.JPEG, 100, 50, 1, 3, has_alpha=False, orientation=6, interlaced=False, estimated_bytes=1)


def test_memory_of_the_finished_picture() -> None:
    """A small original that is to become a large picture is admitted by what the large one needs."""
    enlarged = Plan("a", (AutoOrient(), Resize(1000, 2000, enlarge=True)), Output())
    larger = Plan("a", (AutoOrient(), Resize(2000, 4000, enlarge=True)), Output())
    moving = replace(HEADER, format=Format.GIF, frames=500)
    still = Plan("a", (Resize(10, 10),), Output(Target.JPEG))
    impossible = Plan("a", (Crop(10, 10, dx=5000),), Output())

    assert pixel_bytes(enlarged, HEADER, RenderLimits()) == 3 * 100 * 50 + (4 + 12) * 1000 * 2000
    assert pixel_bytes(larger, HEADER, RenderLimits()) == 3 * 100 * 50 + 4 * 2000 * 4000  # encoded line by line
    assert pixel_bytes(replace(still, output=Output()), moving, RenderLimits()) == 4 * 10 * 5 * 300
    assert pixel_bytes(still, moving, RenderLimits()) == (4 + 12) * 10 * 5
    assert pixel_bytes(impossible, HEADER, RenderLimits()) == 0


def test_memory_of_several() -> None:
    """The decoder's, the largest picture's, and that of the pixels they share."""
    small, large = (Plan("a", (Resize(side, side),), Output(Target.JPEG)) for side in (10, 40))
    alone = [needed_bytes([plan], HEADER, RenderLimits()) for plan in (small, large)]

    assert alone == [1 + pixel_bytes(plan, HEADER, RenderLimits()) for plan in (small, large)]
    assert needed_bytes([small, large], HEADER, RenderLimits()) == alone[1] + 2 * 100 * 50 * 3


async def test_a_worker_asks_before_it_decodes(tmp_path: Path) -> None:
    """A header that tells of more than the allowance comes back, and nothing is written; known, it is not asked about."""
    original, result = tmp_path / "original", tmp_path / "result"
    original.write_bytes(encoded(coordinates(200, 100), "PNG"))
    job = RenderJob(str(original), str(result), (Resize(50),), Output(Target.JPEG), RenderLimits(), allowance=1000)
    workers = RenderWorkers(1, limits=RenderLimits())
    await workers.start()
    try:
        with pytest.raises(NotAdmitted) as caught:
            await workers.run(job, timeout=20)
        assert (caught.value.header.width, result.exists()) == (200, False)
        assert (await workers.run(replace(job, header=caught.value.header), timeout=20)).header is None
        assert (await workers.run(replace(job, allowance=1 << 30), timeout=20)).header == caught.value.header
    finally:
        await workers.close()


async def test_a_worker_does_not_begin_an_animation_for_several(tmp_path: Path) -> None:
    """Pictures of an animation are made each alone; of one picture nobody has to ask."""
    original = tmp_path / "original"
    first, *others = (coordinates(60 + number, 40).resize((60, 40)) for number in range(3))
    original.write_bytes(encoded(first, "GIF", save_all=True, append_images=others))
    jobs = tuple(
        RenderJob(str(original), str(tmp_path / f"{side}"), (Resize(side),), Output(Target.GIF), RenderLimits())
        for side in (10, 20)
    )
    workers = RenderWorkers(1, limits=RenderLimits())
    await workers.start()
    try:
        with pytest.raises(NotAdmitted) as caught:
            await workers.run_together(jobs, timeout=20)
        assert caught.value.header.frames == 3
        assert (await workers.run(jobs[0], timeout=20)).frames == 3
    finally:
        await workers.close()

"""Freed memory is kept for the next picture while a worker is busy, and given back when it is not."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from proxy.imaging.allocator import LEAST_KEPT, MOST_KEPT, kept_bytes
from proxy.imaging.job import RenderJob, RenderLimits
from proxy.imaging.workers import RenderWorkers
from proxy.plan.operations import Resize
from proxy.plan.output import Output, Target
from tests.pictures import coordinates, encoded

MIB = 1 << 20


@pytest.mark.parametrize(
    ("budget", "workers", "kept"),
    [(64, 2, 16), (614, 2, 76), (1024, 2, 128), (9600, 2, 128), (9600, 64, 37), (64, 64, 16)],
)
def test_a_quarter_of_the_budget_is_kept(budget: int, workers: int, kept: int) -> None:
    """By all workers together, within bounds for each; in MiB."""
    assert kept_bytes(budget * MIB, workers) // MIB == kept


@contextlib.asynccontextmanager
async def a_worker(kept: int) -> AsyncIterator[RenderWorkers]:
    """One that may keep so much."""
    workers = RenderWorkers(1, limits=RenderLimits(), kept_bytes=kept)
    await workers.start()
    try:
        yield workers
    finally:
        await workers.close()


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="of the GNU C library: not proven that memory is given back")
async def test_memory_is_kept_and_given_back(tmp_path: Path) -> None:
    """After a picture a worker has what it may keep, and without another no more than what is always kept."""
    original = tmp_path / "original"
    # As a progressive JPEG: its coefficients are 36 MB, in pieces of 24, 6 and 6.
    original.write_bytes(encoded(coordinates(4000, 3000), "JPEG", progressive=True))
    job = RenderJob(str(original), str(tmp_path / "result"), (Resize(1200),), Output(Target.JPEG), RenderLimits())

    async with a_worker(LEAST_KEPT) as workers:
        least = [(await workers.run(job, timeout=20)).resident_bytes for _ in range(3)][-1]
    async with a_worker(MOST_KEPT) as workers:
        most = [(await workers.run(job, timeout=20)).resident_bytes for _ in range(3)][-1]
        worker = psutil.Process(*workers.pids())
        async with asyncio.timeout(20):
            while worker.memory_info().rss > most - LEAST_KEPT:
                await asyncio.sleep(0.02)
        assert (await workers.run(job, timeout=20)).width == 1200

    assert most - least > LEAST_KEPT

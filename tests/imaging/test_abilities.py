"""The table of what can be read and written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from proxy.imaging.abilities import HEADINGS, cells, try_formats
from proxy.imaging.extras import missing_extra
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport
from proxy.imaging.tasks import Tasks, render_job
from proxy.imaging.workers import RenderWorkers
from proxy.plan.output import Format


def refusing(job: RenderJob) -> RenderReport:
    """A worker that cannot write WebP."""
    from proxy.errors import CannotRender
    from proxy.plan.output import Target

    if job.output.target is Target.WEBP:
        raise CannotRender("no WebP today")
    return render_job(job)


async def tried(directory: Path, limits: RenderLimits, tasks: Tasks | None = None) -> dict[Format, tuple[str, ...]]:
    workers = RenderWorkers(1, limits=limits, tasks=tasks)
    try:
        await workers.start()
        return {ability.format: cells(ability) for ability in await try_formats(workers, limits, directory)}
    finally:
        await workers.close()


async def test_the_table_is_true(tmp_path: Path) -> None:
    """What is switched off or broken is not claimed; what is claimed was done."""
    found = await tried(tmp_path, RenderLimits(), replace(Tasks(), render=refusing))

    assert list(found) == list(Format)
    assert all(len(row) == len(HEADINGS) for row in found.values())
    assert found[Format.JPEG] == ("jpeg", "yes", "–", "yes", "–", "–", "in, out", "")
    # Without WebP, nothing moving can be seen to have been read; GIF is still written.
    assert found[Format.GIF][1:5] == ("yes", "–", "yes", "yes")
    assert found[Format.WEBP][1:5] == ("no", "–", "no", "–")
    assert "SVG is switched off" in found[Format.SVG][-1] or missing_extra(Format.SVG)
    assert "PDF is switched off" in found[Format.PDF][-1] or missing_extra(Format.PDF)

"""What the fences around render workers cost: a worker's start and a small render, with and without, in turns."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from PIL import Image

from bench.figures import middle, paired_ratio, turns
from bench.report import Report
from proxy.imaging.fences import Fences
from proxy.imaging.job import RenderJob, RenderLimits
from proxy.imaging.process import start_process
from proxy.imaging.tasks import Setup, Tasks
from proxy.plan.operations import AutoOrient, Resize
from proxy.plan.output import Output, Target

_SECONDS = 60.0


def fences(repeats: int, renders: int) -> Report:
    """Measure both in turns."""
    report = Report("fences", {"repeats": repeats, "renders": renders})
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder, "original")
        Image.effect_noise((1600, 1200), 60).convert("RGB").save(original, "JPEG")
        kinds = {
            "open": Fences(confined=False),
            "fenced in": Fences(1 << 30, 20, 1 << 30, folder),
        }
        starts: dict[str, list[float]] = {name: [] for name in kinds}
        each: dict[str, list[float]] = {name: [] for name in kinds}
        held = ""
        for order in turns(list(kinds), repeats):
            for name in order:
                start, render, names = asyncio.run(_measure(kinds[name], original, renders))
                starts[name].append(start * 1000)
                each[name].append(render * 1000)
                held = ", ".join(names) if name != "open" else held
    rows = [
        (
            what,
            middle(values["open"]),
            middle(values["fenced in"]),
            str(paired_ratio(values["fenced in"], values["open"])),
        )
        for what, values in (("start of a worker, ms", starts), ("render to 50 px, ms", each))
    ]
    report.table("Fences around render workers", ("", "open", "fenced in", "ratio"), rows, note=f"Held here: {held}.")
    return report


async def _measure(kind: Fences, original: Path, renders: int) -> tuple[float, float, tuple[str, ...]]:
    """Seconds for a start, seconds for a render, and the fences that held."""
    started = time.perf_counter()
    process = await start_process(Tasks(), Setup(fences=kind))
    start = time.perf_counter() - started
    job = RenderJob(
        str(original),
        str(original.with_name("result")),
        (AutoOrient(), Resize(50, 50)),
        Output(Target.JPEG),
        RenderLimits(),
    )
    started = time.perf_counter()
    for _ in range(renders):
        await process.run(Tasks().render, job, seconds=_SECONDS)
    render = (time.perf_counter() - started) / renders
    await process.end()
    return start, render, process.fences

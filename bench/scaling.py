"""How good the scaling is: SSIMULACRA2 of each size of each photo, without what encoders lose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import pyvips
from PIL import Image

from bench.report import Report
from bench.workload import JPEG, Box, Photos
from proxy.imaging import library
from proxy.imaging.job import RenderJob, RenderLimits
from proxy.imaging.ssimulacra2 import Reference
from proxy.imaging.together import render_each
from proxy.imaging.transform import render
from proxy.plan.operations import Resize
from proxy.plan.output import ColourPolicy, Output, Target

Scores = dict[Box, tuple[list[float], ...]]


def scores_of(home: Path, photos: Photos, boxes: Sequence[Box]) -> Scores:
    """For each size: of libvips, alone, from one decode, and of the last two of each other; one for each photo."""
    library.start()
    scores: Scores = {box: ([], [], [], []) for box in boxes}
    for name in photos.only(JPEG):
        path = photos.root / "c0" / name
        results = {box: home / f"result-{box.width}.png" for box in boxes}
        # Colours as they are: what is compared is the scaling.
        jobs = [_job(path, box, results[box]) for box in boxes]
        render_each(tuple(jobs), lambda: None)
        with Image.open(path) as image:
            image.load()
            for box, job in zip(boxes, jobs, strict=True):
                together = _opened(results[box])
                render(job)
                alone = _opened(results[box])
                size = (alone.width, alone.height)
                reference = Reference(_in_memory(image.resize(size, Image.Resampling.LANCZOS)))
                theirs = pyvips.Image.thumbnail(str(path), size[0], height=size[1], size="force", no_rotate=True)
                compared = (reference.score(theirs), reference.score(alone), reference.score(together))
                for column, score in zip(scores[box], (*compared, Reference(alone).score(together)), strict=True):
                    column.append(score)
    return scores


def add_scores(report: Report, title: str, scores: Scores) -> None:
    """A table of them."""
    report.table(
        f"{title}: SSIMULACRA2 of the scaling of JPEG photos, mean (lowest)",
        ["longer side", "libvips", "imgbang, alone", "imgbang, from one decode", "from one decode, of alone"],
        [
            [box.width, *(f"{mean(column):.1f} ({min(column):.1f})" for column in found)]
            for box, found in scores.items()
        ],
        note="Of a full decode and Lanczos (Pillow); the last column is of the picture rendered alone. Without losses of "
        "an encoder, and without conversion of colours.",
    )


def _job(path: Path, box: Box, result: Path) -> RenderJob:
    operations = (Resize(box.width, box.height),)
    return RenderJob(
        str(path), str(result), operations, Output(Target.PNG, effort=0, colour=ColourPolicy.KEEP), RenderLimits()
    )


def _opened(path: Path) -> pyvips.Image:
    return pyvips.Image.pngload(str(path)).copy_memory()


def _in_memory(image: Image.Image) -> pyvips.Image:
    rgb = image.convert("RGB")
    pixels = pyvips.Image.new_from_memory(rgb.tobytes(), rgb.width, rgb.height, 3, "uchar")
    return pixels.copy(interpretation="srgb")

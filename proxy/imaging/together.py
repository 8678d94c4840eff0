"""Render several pictures of one original from one decode: a page asks for five sizes of each of its photos.

The original is decoded once, as far as the largest needs. Each picture is scaled from the smallest so far that is at
least one and a half times its size: a good scaling of a good scaling is better than one of pixels that a decoder or an
average has shrunk in blocks, and less work. SSIMULACRA2 against a full decode and Lanczos, means of 14 photos, for
1200, 800, 400, 200 and 50 px: 96.2, 96.4, 96.3, 96.5, 97.9. From averages of four pixels, again and again, of which
each picture took one at least twice its size: 97.1, 96.8, 95.7, 94.7, 95.1, and of large photos one and a half to two
and a half times as long to scale. `make bench ARGS=page` measures both. What comes out the same, because no picture is
enlarged, is made once.

Everything else belongs to each picture by itself: its operations, its file, its failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pyvips

from proxy.errors import CannotRender, ProxyError
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport, SourceInfo
from proxy.imaging.library import translated
from proxy.imaging.loading import load, load_jpeg
from proxy.imaging.picture import Picture
from proxy.imaging.scaling import scale_to
from proxy.imaging.scratch import remove
from proxy.imaging.sizes import MOST_DECODED, begin
from proxy.imaging.task_files import copy_file
from proxy.imaging.transform import render
from proxy.plan.geometry import Size
from proxy.plan.output import Output, Truncated

_LEAST_FACTOR = 1.5
"""By how much a picture is larger at least than one that is scaled from it, if that is not scaled from the decode."""


def render_each(
    jobs: tuple[RenderJob, ...],
    note: Callable[[], None],
    clock: Callable[[], float] = time.perf_counter,
    *,
    opened: pyvips.Image | None = None,
) -> tuple[RenderReport | ProxyError, ...]:
    """Render jobs of one original; what comes of each, in their order. `note` is called before each of them.

    `opened` is from `inspect_opened`, if that was asked.
    """
    try:
        info = jobs[0].header or inspect(jobs[0].path, jobs[0].limits)
    except ProxyError as error:
        return (error,) * len(jobs)
    decoded, began = Decoded(opened), clock()
    outcomes: dict[int, RenderReport | ProxyError] = {}
    made: dict[object, tuple[RenderReport, str]] = {}
    for index in sorted(range(len(jobs)), key=lambda index: -_pixels(jobs[index], info)):
        note()
        job = jobs[index]
        try:
            same = _what_is_made(job, info)
            if same in made:
                outcomes[index] = _again(*made[same], job)
                continue
            left = max(0.0, job.seconds - (clock() - began))  # those before have taken the rest
            report = render(replace(job, seconds=left), info, decoded.load)
        except ProxyError as error:
            outcomes[index] = error
        else:
            outcomes[index], made[same] = report, (report, job.result_path)
    return tuple(outcomes[index] for index in range(len(jobs)))


def _pixels(job: RenderJob, info: SourceInfo) -> int:
    """How many pixels a picture is first scaled to; one that cannot be made comes last."""
    try:
        target = begin(job.operations, info).target
    except ProxyError:
        return 0
    return target.pixels if target is not None else 0


def _what_is_made(job: RenderJob, info: SourceInfo) -> object:
    """Equal for jobs with the same result: of a picture of 800 px, 1200 px without enlarging are those 800."""
    return begin(job.operations, info), replace(job, operations=(), result_path="", seconds=0.0, allowance=0.0)


def _again(report: RenderReport, path: str, job: RenderJob) -> RenderReport:
    """The result of another job as that of this one."""
    with translated(lambda _: CannotRender("the picture cannot be written")):
        try:
            copy_file(path, job.result_path)
        except BaseException:
            remove(job.result_path)
            raise
    return replace(report, decode_seconds=0.0, encode_seconds=0.0)


class Decoded:
    """The pixels of one original, decoded for the largest picture, which is asked for first."""

    def __init__(self, opened: pyvips.Image | None = None) -> None:
        self._opened = opened
        # Mutable state: for each policy on what ends early, what was decoded, then what was scaled, less and less.
        self._made: dict[Truncated, list[Picture]] = {}

    def load(
        self,
        path: str,
        info: SourceInfo,
        output: Output,
        limits: RenderLimits,
        *,
        target: Size | None,
        kept: tuple[int, ...] = (0,),
    ) -> Picture:
        """As `loading.load`, from the same pixels each time; what can be shared is scaled to `target` already."""
        if target is None or len(kept) > 1 or info.width * info.height * info.bands > MOST_DECODED:
            return load(path, info, output, limits, target=target, kept=kept)
        made = self._made.setdefault(output.truncated, [])
        if not made:
            made.append(
                load_jpeg(path, info, limits, target, self._opened)
                or load(path, info, output, limits, target=target, kept=kept).in_memory()
            )
        source = next((picture for picture in reversed(made) if _is_enough(picture.size, target)), made[0])
        if source.size == target:
            return source
        scaled = scale_to(source, target).in_memory()
        if 2 * target.pixels <= made[-1].size.pixels:  # so all of them take as much as what was decoded, at most
            made.append(scaled)
        return scaled


def _is_enough(size: Size, target: Size) -> bool:
    """Whether a picture of the size `target` can be scaled from one of this size, and look good."""
    return size == target or min(size.width / target.width, size.height / target.height) >= _LEAST_FACTOR

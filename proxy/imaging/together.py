"""Render several pictures of one original from one decode: a page asks for five sizes of each of its photos.

The original is decoded once, as far as the largest needs. For smaller ones the pixels are halved, as often as they can
be to the pixel, and each picture is scaled from the smallest of these that is at least twice its size: the rule of a
decoder that shrinks (`sizes.shrink_of`). So a picture looks the same whether it was asked for alone or with others;
`make bench ARGS=page` measures it.

Everything else belongs to each picture by itself: its operations, its file, its failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from proxy.errors import ProxyError
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport, SourceInfo
from proxy.imaging.loading import load, load_jpeg
from proxy.imaging.picture import Picture
from proxy.imaging.sizes import MOST_DECODED, begin
from proxy.imaging.steps import premultiplied
from proxy.imaging.transform import render
from proxy.plan.geometry import Size
from proxy.plan.output import Output, Truncated


def render_each(
    jobs: tuple[RenderJob, ...], note: Callable[[], None], clock: Callable[[], float] = time.perf_counter
) -> tuple[RenderReport | ProxyError, ...]:
    """Render jobs of one original; what comes of each, in their order. `note` is called before each of them."""
    try:
        info = jobs[0].header or inspect(jobs[0].path, jobs[0].limits)
    except ProxyError as error:
        return (error,) * len(jobs)
    decoded, began = Decoded(), clock()
    outcomes: dict[int, RenderReport | ProxyError] = {}
    for index in sorted(range(len(jobs)), key=lambda index: -_pixels(jobs[index], info)):
        note()
        try:
            left = max(0.0, jobs[index].seconds - (clock() - began))  # those before have taken the rest
            outcomes[index] = render(replace(jobs[index], seconds=left), info, decoded.load)
        except ProxyError as error:
            outcomes[index] = error
    return tuple(outcomes[index] for index in range(len(jobs)))


def _pixels(job: RenderJob, info: SourceInfo) -> int:
    """How many pixels a picture is first scaled to; one that cannot be made comes last."""
    try:
        target = begin(job.operations, info).target
    except ProxyError:
        return 0
    return target.pixels if target is not None else 0


class Decoded:
    """The pixels of one original, decoded for the largest picture, which is asked for first."""

    def __init__(self) -> None:
        # Mutable state: for each policy on what ends early, the pixels, their half, and so on.
        self._levels: dict[Truncated, list[Picture]] = {}

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
        """As `loading.load`, and from the same pixels each time."""
        if target is None or len(kept) > 1 or info.width * info.height * info.bands > MOST_DECODED:
            return load(path, info, output, limits, target=target, kept=kept)
        levels = self._levels.setdefault(output.truncated, [])
        if not levels:
            levels.append(
                load_jpeg(path, info, limits, target)
                or load(path, info, output, limits, target=target, kept=kept).in_memory()
            )
        at = 0
        while _factor(levels[at], target) >= 4 and _is_even(levels[at].size):
            at += 1
            if at == len(levels):
                levels.append(_halved(levels[-1]))
        return levels[at]


def _is_even(size: Size) -> bool:
    """Whether it can be halved to the pixel: half a column more or less would move what is at the other side."""
    return size.width % 2 == 0 and size.height % 2 == 0


def _factor(picture: Picture, target: Size) -> float:
    return min(picture.size.width / target.width, picture.size.height / target.height)


def _halved(picture: Picture) -> Picture:
    """Each four pixels as their mean."""
    return picture.each(lambda frame: premultiplied(frame, lambda flat: flat.shrink(2, 2))).in_memory()

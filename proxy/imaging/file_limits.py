"""When the answer is the original after all, and how a result is brought to what is asked of its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pyvips

from proxy.imaging.equal_quality import quality_for
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderJob, SourceInfo
from proxy.imaging.loading import load
from proxy.imaging.picture import Picture
from proxy.imaging.saving import QUALITY
from proxy.imaging.searching import Aim, Encodes, TimeLimit, settle
from proxy.imaging.task_files import copy_file, size_of_file
from proxy.plan.output import SOURCE_BYTES, Format, Output, OverLimit

_EVERY_FORMAT = (OverLimit.OR_ORIGINAL, OverLimit.FIT)
"""Where a limit lowers the quality of every lossy format, and not of JPEG alone."""


@dataclass(frozen=True, slots=True)
class Written:
    """How a picture became a file."""

    kept: bool
    """Whether it is the result; False if the original must be."""
    picture: Picture
    """As it was written: an animation may have lost frames on the way."""
    learnt: int | None = None
    """The quality that was searched for."""
    notes: tuple[str, ...] = ()


def passes(job: RenderJob, info: SourceInfo) -> bool:
    """Whether the original is to be answered as it is: what cannot be slimmed, by a command that does nothing else."""
    return job.output.slim and not job.operations and info.format not in (Format.JPEG, Format.PNG)


def copy_original(job: RenderJob) -> None:
    """Make the original the result."""
    copy_file(job.path, job.result_path)


def write_within(
    job: RenderJob, target: Format, picture: Picture, write: Callable[[Output], Picture], limit: TimeLimit
) -> Written:
    """Write the result with the quality that the output asks for, or that its score and its limit of bytes come to."""
    output, path = job.output, job.result_path
    most = _limit_of(job)
    limited, scored = _is_limited(output, target), _is_lossy(output, target) and output.ssimulacra2 is not None
    usual = quality_for(output.ssimulacra2 or 0, target) if scored else QUALITY.get(target, 100)
    highest = output.quality or usual
    score = output.ssimulacra2 if len(picture.frames) == 1 else None
    if not is_searched(output, target, len(picture.frames)):
        written = write(replace(output, quality=usual) if scored else output)
        size = size_of_file(path)
        return Written(_is_kept(job, size, most), written, notes=_unmet(output, target, most, size))

    def attempt(quality: int) -> None:
        nonlocal picture
        picture = write(replace(output, quality=quality))

    encodes = Encodes(target, attempt, lambda: _opened(job), path, picture.first)
    start = dict(job.starts).get(target, highest)
    settled = settle(encodes, Aim(score, most if limited else None, highest, start), limit)
    return Written(_is_kept(job, size_of_file(path), most), picture, settled.learnt, settled.notes)


def is_searched(output: Output, target: Format, frames: int) -> bool:
    """Whether the quality takes several encodes to find; an animation is not searched for a score."""
    scored = _is_lossy(output, target) and output.ssimulacra2 is not None and frames == 1
    return scored or _is_limited(output, target)


def _is_limited(output: Output, target: Format) -> bool:
    """Whether a limit of bytes lowers the quality."""
    every = target is Format.JPEG or output.over_limit in _EVERY_FORMAT
    return output.max_bytes is not None and _is_lossy(output, target) and every


def _is_lossy(output: Output, target: Format) -> bool:
    return target in QUALITY and not output.lossless


def _opened(job: RenderJob) -> pyvips.Image:
    """What has just been written, as a browser would see it."""
    info = inspect(job.result_path, job.limits)
    return load(job.result_path, info, Output(), job.limits, target=None).first


def _limit_of(job: RenderJob) -> int | None:
    """The most bytes that the result may have."""
    limit = job.output.max_bytes
    return size_of_file(job.path) if limit == SOURCE_BYTES else limit


def _unmet(output: Output, target: Format, most: int | None, size: int) -> tuple[str, ...]:
    """What was asked for and cannot be had."""
    notes = []
    if output.ssimulacra2 is not None:
        lossy = _is_lossy(output, target)
        notes.append("an animation: the usual quality for the score" if lossy else "without loss, whatever the score")
    if most is not None and size > most and output.over_limit is OverLimit.FIT:
        notes.append(f"not below {most} bytes: this {target.value} has no quality to lower")
    return tuple(notes)


def _is_kept(job: RenderJob, size: int, most: int | None) -> bool:
    if most is None:
        return True
    match job.output.over_limit:
        case OverLimit.LOWER_QUALITY | OverLimit.FIT:
            return True
        case OverLimit.OR_ORIGINAL:
            return size <= most
        case OverLimit.SMALLER:
            return size <= size_of_file(job.path)

"""When the answer is the original after all, and how a result is brought below a limit of bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from proxy.imaging.job import RenderJob, SourceInfo
from proxy.plan.output import SOURCE_BYTES, Format, Output, OverLimit

_LOSSY = (Format.JPEG, Format.WEBP, Format.AVIF)
_MOST_TRIES = 7
"""Halving 100 qualities takes no more."""


def passes(job: RenderJob, info: SourceInfo) -> bool:
    """Whether the original is to be answered as it is: what cannot be slimmed, by a command that does nothing else."""
    return job.output.slim and not job.operations and info.format not in (Format.JPEG, Format.PNG)


def copy_original(job: RenderJob) -> None:
    """Make the original the result."""
    shutil.copyfile(job.path, job.result_path)


def write_within(job: RenderJob, output: Output, target: Format, write: Callable[[Output], None]) -> bool:
    """Write the result with `write`, below the output's limit if there is one; False if it must be the original."""
    write(output)
    if output.max_bytes is None:
        return True
    source = Path(job.path).stat().st_size
    limit = source if output.max_bytes == SOURCE_BYTES else output.max_bytes
    if _size(job) <= limit:
        return output.over_limit is not OverLimit.SMALLER or _size(job) <= source
    if target is Format.JPEG or (target in _LOSSY and output.over_limit is OverLimit.OR_ORIGINAL):
        _lower_quality(job, output, limit, write)
    match output.over_limit:
        case OverLimit.LOWER_QUALITY:
            return True
        case OverLimit.OR_ORIGINAL:
            return _size(job) <= limit
        case OverLimit.SMALLER:
            return _size(job) <= source


def _lower_quality(job: RenderJob, output: Output, limit: int, write: Callable[[Output], None]) -> None:
    """Find the highest quality that fits; the lowest of all if none does."""
    low, high = 1, (output.quality or 75) - 1
    best = written = 0
    for _ in range(_MOST_TRIES):
        if low > high:
            break
        written = (low + high) // 2
        write(replace(output, quality=written))
        if _size(job) <= limit:
            best, low = written, written + 1
        else:
            high = written - 1
    if written != max(best, 1):
        write(replace(output, quality=max(best, 1)))


def _size(job: RenderJob) -> int:
    return Path(job.result_path).stat().st_size

"""Where a render worker writes first: files in its own memory, of which small ones go to the front with the answer.

A thumbnail of some kilobytes that goes through the staging directory is a file made, written, read and deleted, by two
processes; and a directory on a disk costs what the disk costs. In memory nothing is left behind by a worker that dies.

`memfd_create(2)` makes a file without a name; `/proc/self/fd/<number>` names it all the same, so whatever writes to a
path writes there. The fences let it: Landlock does not rule over files of no mounted file system.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from proxy.errors import CannotRender
from proxy.imaging.job import RenderJob, RenderReport
from proxy.imaging.library import translated

MOST_ENCLOSED = 1 << 20
"""Bytes of a result that goes with the answer. A larger one goes through its file: more is not to be held in pipes."""
_MOST_FILES = 8
"""Results in memory at the same time; what is rendered together beyond that goes to its file at once."""


class Scratch:
    """The files in memory of one worker, which are empty between its tasks."""

    def __init__(self) -> None:
        # Mutable state: descriptors, as many as were needed at a time so far.
        self._files: list[int] = []

    @contextmanager
    def of(self, jobs: Sequence[RenderJob]) -> Iterator[tuple[RenderJob, ...]]:
        """The jobs, writing to memory; as they are, where the system has no such files."""
        count = min(len(jobs), _MOST_FILES) if hasattr(os, "memfd_create") else 0
        while len(self._files) < count:
            self._files.append(os.memfd_create("result"))
        paths = [f"/proc/self/fd/{file}" for file in self._files[:count]]
        here = [replace(job, result_path=path) for job, path in zip(jobs, paths, strict=False)]
        try:
            yield (*here, *jobs[count:])
        finally:
            for file in self._files[:count]:
                os.ftruncate(file, 0)


def handed_over(report: RenderReport, written: RenderJob, job: RenderJob) -> RenderReport:
    """The report with what was written, if that is small; otherwise it lies at the `result_path` of `job` now."""
    if written.result_path == job.result_path:
        return report
    if report.size <= MOST_ENCLOSED:
        return replace(report, body=Path(written.result_path).read_bytes())
    with translated(lambda _: CannotRender("the picture cannot be written")):
        try:
            shutil.copyfile(written.result_path, job.result_path)
        except BaseException:
            remove(job.result_path)
            raise
    return report


def remove(path: str) -> None:
    """Leave nothing at `path`, which may name a file in memory."""
    try:
        Path(path).unlink(missing_ok=True)
    except PermissionError:  # it has no name of its own
        os.truncate(path, 0)

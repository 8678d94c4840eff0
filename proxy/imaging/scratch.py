"""Where a render worker writes first: files in its own memory, of which small ones go to the front with the answer.

A thumbnail of some kilobytes that goes through the staging directory is a file made, written, read and deleted, by two
processes; and a directory on a disk costs what the disk costs. In memory nothing is left behind by a worker that dies.

What our own code encodes is in memory anyway, and is not written anywhere (`task_files.py`). Others write to a path:
`memfd_create(2)` makes a file without a name; `/proc/self/fd/<number>` names it all the same, so whatever writes to a
path writes there. The fences let it: Landlock does not rule over files of no mounted file system. Where either is not
to be had, results are written to their files at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from proxy.errors import CannotRender
from proxy.imaging.answers import MOST_ENCLOSED
from proxy.imaging.job import RenderJob, RenderReport
from proxy.imaging.library import translated
from proxy.imaging.task_files import copy_file, forget, kept, read_file

LARGEST = 1 << 20
"""Bytes of a result that goes with the answer. A larger one is copied to its file, to be read in a thread."""
_MOST_FILES = MOST_ENCLOSED // LARGEST
"""Results in memory at the same time; what is rendered together beyond that goes to its file at once."""


class Scratch:
    """The files in memory of one worker, which are empty between its tasks."""

    def __init__(self) -> None:
        # Mutable state: descriptors, as many as were needed at a time so far.
        self._files: list[int] = []

    @contextmanager
    def of(self, jobs: Sequence[RenderJob]) -> Iterator[tuple[RenderJob, ...]]:
        """The jobs, writing to memory; as they are, where the system has no such files."""
        wanted = min(len(jobs), _MOST_FILES)
        while len(self._files) < wanted and (file := _new_file()) is not None:
            self._files.append(file)
        files = self._files[:wanted]
        here = [replace(job, result_path=_path_of(file)) for job, file in zip(jobs, files, strict=False)]
        try:
            with kept(job.result_path for job in here):
                yield (*here, *jobs[len(here) :])
        finally:
            for file in files:
                os.ftruncate(file, 0)


def _new_file() -> int | None:
    """A file in memory that has a path; None where there is no such thing."""
    with suppress(AttributeError, OSError):  # another system; a sandbox that forbids it
        file = os.memfd_create("result")
        if Path(_path_of(file)).exists():
            return file
        os.close(file)
    return None


def _path_of(file: int) -> str:
    return f"/proc/self/fd/{file}"


def handed_over(report: RenderReport, written: RenderJob, job: RenderJob) -> RenderReport:
    """The report with what was written, if that is small; otherwise it lies at the `result_path` of `job` now."""
    if written.result_path == job.result_path:
        return report
    if report.size <= LARGEST:
        return replace(report, body=read_file(written.result_path))
    with translated(lambda _: CannotRender("the picture cannot be written")):
        try:
            copy_file(written.result_path, job.result_path)
        except BaseException:
            remove(job.result_path)
            raise
    return report


def remove(path: str) -> None:
    """Leave nothing at `path`, which may name a file in memory."""
    forget(path)
    try:
        Path(path).unlink(missing_ok=True)
    except PermissionError:  # it has no name of its own
        os.truncate(path, 0)

"""What runs inside a render worker: it starts the libraries, does one task at a time, and dies with the front.

A worker owns nothing: it reads a staged file, writes a result file and says how it went in a few plain values. So it
may be killed at any moment.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyvips

from proxy.errors import OriginalTooLarge, ProxyError
from proxy.imaging import allocator, library
from proxy.imaging.death import die_with_parent
from proxy.imaging.fences import Fences, new_task, raise_fences
from proxy.imaging.inspect import inspect, inspect_opened
from proxy.imaging.job import NotAdmitted, RenderJob, RenderLimits, RenderReport, SourceInfo
from proxy.imaging.loading import load
from proxy.imaging.memory import needed_bytes
from proxy.imaging.scratch import Scratch, handed_over
from proxy.imaging.tasks import Greeting, Inspected, Setup, Together
from proxy.imaging.together import render_each
from proxy.imaging.transform import render
from proxy.plan.operations import AutoOrient, Resize
from proxy.plan.output import Output, Target

_NICENESS = 10


def start(setup: Setup) -> None:
    """Make this process a render worker."""
    # The front decides when a worker ends; a signal to the whole group (a terminal's Ctrl-C, an init system's stop)
    # must not tear renders that the front still wants to deliver.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent()
    # Where there is no processor to spare, the front goes first: hits and refusals must not wait for renders.
    os.nice(_NICENESS)
    allocator.keep(setup.kept_bytes)
    library.start(svg=setup.svg)
    _Worker.fences, _Worker.held = setup.fences, raise_fences(setup.fences)


class _Worker:
    """What this process is: set once, at its start."""

    fences = Fences()
    held: tuple[str, ...] = ()
    scratch = Scratch()


def warm_up() -> Greeting:
    """Render a small picture from file to file, so that the first real task finds everything loaded."""
    with tempfile.TemporaryDirectory(prefix="imgbang-warm-") as folder:
        original = Path(folder, "original.jpg")
        pyvips.Image.black(64, 48, bands=3).copy(interpretation="srgb").jpegsave(str(original))
        operations = (AutoOrient(), Resize(width=32))
        job = RenderJob(str(original), f"{folder}/result", operations, Output(Target.WEBP), RenderLimits())
        render(job)
    return Greeting(library.versions(), resident_bytes(), _Worker.held)


def inspect_original(path: str, limits: RenderLimits) -> Inspected:
    """Inspect, as a task."""
    with _task():
        return Inspected(inspect(path, limits), resident_bytes())


def render_job(job: RenderJob) -> RenderReport:
    """Render, as a task."""
    with _task():
        header, opened = _header((job,))
        with _Worker.scratch.of((job,)) as (here,):
            report = render(replace(here, header=header), pixels=partial(load, opened=opened))
            report = handed_over(report, here, job)
        return replace(report, resident_bytes=resident_bytes(), header=None if job.header else header)


def render_together(jobs: tuple[RenderJob, ...]) -> Together:
    """Render several pictures of one original, as a task; each may take as much CPU as one alone."""
    with _task():
        header, opened = _header(jobs)
        with _Worker.scratch.of(jobs) as here:
            reports = render_each(tuple(replace(job, header=header) for job in here), _new_share, opened=opened)
            outcomes = tuple(map(_handed_over, reports, here, jobs))
        if jobs[0].header is None:
            outcomes = tuple(replace(one, header=header) if isinstance(one, RenderReport) else one for one in outcomes)
        return Together(outcomes, resident_bytes())


def _handed_over(outcome: RenderReport | ProxyError, written: RenderJob, job: RenderJob) -> RenderReport | ProxyError:
    """One of several; what cannot be handed over is that one's failure."""
    if isinstance(outcome, ProxyError):
        return outcome
    try:
        return handed_over(outcome, written, job)
    except ProxyError as error:
        return error


def _header(jobs: tuple[RenderJob, ...]) -> tuple[SourceInfo, pyvips.Image | None]:
    """The header of the original, and what it was read from if it was read now.

    NotAdmitted if it tells of more than these jobs may do without asking.
    """
    job = jobs[0]
    if job.header is not None:
        return job.header, None
    header, opened = inspect_opened(job.path, job.limits)
    if (len(jobs) > 1 and header.frames > 1) or needed_bytes(jobs, header, job.limits) > job.allowance:
        raise NotAdmitted(header)
    return header, opened


def _new_share() -> None:
    new_task(_Worker.fences)


@contextmanager
def _task() -> Iterator[None]:
    new_task(_Worker.fences)
    try:
        yield
    except MemoryError as error:
        raise OriginalTooLarge("the picture needs more memory than a render worker has") from error


def resident_bytes() -> int:
    """The memory this process holds now; 0 where the system does not say."""
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0

"""Tasks for render workers that do what pictures must never achieve: crash, hang, grow."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from proxy.imaging.job import RenderJob, RenderReport
from proxy.imaging.tasks import render_job
from proxy.plan.output import Format


def report(job: RenderJob, resident_bytes: int = 0) -> RenderReport:
    """A finished render, whatever it was."""
    size = Path(job.result_path).stat().st_size if Path(job.result_path).exists() else 0
    return RenderReport(Format.PNG, size, 1, 1, 1, 0.0, 0.0, resident_bytes, notes=(str(os.getpid()),))


def result_of(report: RenderReport, job: RenderJob) -> bytes:
    """What a worker made, from wherever it is."""
    return report.body if report.body is not None else Path(job.result_path).read_bytes()


def crash(job: RenderJob) -> RenderReport:
    """Die of a segmentation fault in the middle of writing."""
    Path(job.result_path).write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGSEGV)
    return report(job)


def crash_once(job: RenderJob) -> RenderReport:
    """Die the first time; render the second."""
    marker = Path(f"{job.path}.crashed")
    if not marker.exists():
        marker.touch()
        return crash(job)
    return render_job(job)


def hang(job: RenderJob) -> RenderReport:
    """Write a little, then sleep as a decoder does: in C, deaf to signals that Python would handle."""
    Path(job.result_path).write_bytes(b"half")
    Path(f"{job.path}.hanging").write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(60)
    return report(job)


def nap(job: RenderJob) -> RenderReport:
    """Take a while, and say by whom."""
    time.sleep(0.03)
    Path(job.result_path).write_bytes(b"whole")
    return report(job)


def grow(job: RenderJob) -> RenderReport:
    """Claim a gigabyte."""
    return report(job, 1 << 30)


def blunder(job: RenderJob) -> RenderReport:
    """Make a mistake of a programmer's."""
    return report(job, {"bytes": 1}["resident"])


def tell_modules(job: RenderJob) -> RenderReport:
    """Write down what this worker has imported."""
    Path(job.result_path).write_text("\n".join(sys.modules))
    return report(job)

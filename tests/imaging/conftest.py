"""libvips as a render worker starts it, and a short way to render."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.imaging import library
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport
from proxy.imaging.transform import render
from proxy.plan.operations import Operation
from proxy.plan.output import Output, Target


@pytest.fixture(scope="session", autouse=True)
def _libvips() -> None:
    library.start()


@pytest.fixture(name="svg")
def _svg() -> Iterator[RenderLimits]:
    """SVG switched on for one test."""
    library.start(svg=True)
    yield RenderLimits(svg=True)
    library.start()


@pytest.fixture(name="pdf")
def _pdf() -> RenderLimits:
    """PDF switched on for one test."""
    return RenderLimits(pdf=True)


class Studio:
    """Renders into a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.original = folder / "original"
        self.result = folder / "result"

    def store(self, body: bytes) -> Path:
        """Keep an original."""
        self.original.write_bytes(body)
        return self.original

    def render(
        self,
        original: Path | bytes,
        *operations: Operation,
        output: Output | None = None,
        target: Target | None = None,
        limits: RenderLimits | None = None,
    ) -> RenderReport:
        """Render an original; the bytes are then at `result`."""
        path = self.store(original) if isinstance(original, bytes) else original
        output = output or Output()
        if target is not None:
            output = replace(output, target=target)
        return render(RenderJob(str(path), str(self.result), operations, output, limits or RenderLimits()))


@pytest.fixture(name="studio")
def _studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)

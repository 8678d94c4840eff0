"""Damaged files against the render workers; `python -m bench fuzz` tries twenty thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.fuzz import fuzz, load_bodies, mutant
from bench.workload import CORPUS
from tests.pictures import make_samples

pytestmark = pytest.mark.integration


def _files(tmp_path: Path) -> Path:
    """The corpus, or pictures made by code where there is none."""
    if CORPUS.is_dir():
        return CORPUS.parent
    make_samples(tmp_path / "samples")
    return tmp_path / "samples"


def test_every_damaged_file_is_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture or one of our errors for each, and no worker is lost to any."""
    report = fuzz(_files(tmp_path), count=400, first=1_000_000, workers=2)

    numbers = dict(row for row in report.tables[1]["rows"])
    assert numbers["answered"] == 400
    assert numbers["rendered"] > 20
    assert numbers["errors that were none of ours"] == 0, capsys.readouterr().out
    assert numbers["inputs that crash a worker twice"] == 0, capsys.readouterr().out
    assert numbers["inputs that take longer than 10 s"] == 0, capsys.readouterr().out


def test_a_number_is_an_input(tmp_path: Path) -> None:
    """What was found can be made again from its number; another number is another input."""
    bodies = load_bodies(_files(tmp_path))

    assert mutant(bodies, 7) == mutant(bodies, 7)
    assert len({mutant(bodies, number)[1] for number in range(50)}) > 45

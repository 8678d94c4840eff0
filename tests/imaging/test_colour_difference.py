"""Our colours beside LittleCMS's on every file of the corpus; and that the ruler is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.colour import colour, compare
from bench.difference import ciede2000, lab_of
from proxy.plan.output import ColourPolicy
from tests.corpus import corpus_files

# Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula" (2005), table 1: the cases that catch wrong hues.
PUBLISHED = (
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
    ((50, 2.8361, -74.0200), (50, 0, -82.7485), 3.4412),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, 2.4900, -0.0010), (50, -2.4900, 0.0009), 7.1792),
    ((50, 2.4900, -0.0010), (50, -2.4900, 0.0011), 7.2195),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (61, -5, 29), 22.8977),
    ((50, 2.5, 0), (56, -27, -3), 31.9030),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
)


def test_published_differences() -> None:
    """The published pairs have the published differences, in both directions."""
    one, two, expected = (np.array(column) for column in zip(*PUBLISHED, strict=True))

    assert ciede2000(one, two) == pytest.approx(expected, abs=1e-4)
    assert ciede2000(two, one) == pytest.approx(expected, abs=1e-4)


def test_lab_of_known_colours() -> None:
    """White, and the red of sRGB."""
    assert lab_of(np.array([[255, 255, 255], [255, 0, 0]])) == pytest.approx(
        np.array([[100, 0, 0], [53.24, 80.09, 67.20]]), abs=0.02
    )


@pytest.mark.parametrize("path", corpus_files("color"), ids=lambda path: path.name)
def test_every_file_has_its_colours(path: Path) -> None:
    """In sRGB, no file is on average 1 from what LittleCMS makes of it (2 was asked), nor anywhere much further."""
    match = compare(path)

    assert match.mean < 1
    assert match.p95 < 2
    assert match.alpha <= 1


@pytest.mark.parametrize("path", corpus_files("color"), ids=lambda path: path.name)
def test_every_file_has_its_colours_in_p3(path: Path) -> None:
    """In Display P3, read by the profile that is attached, it is the same."""
    match = compare(path, ColourPolicy.P3)

    assert match.mean < 1
    assert match.p95 < 2


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`make bench ARGS=colour` prints a row for each file."""
    from tests.pictures import coordinates, encoded

    (tmp_path / "one.png").write_bytes(encoded(coordinates(8, 8), "PNG"))

    report = colour(tmp_path)

    assert report.tables[0]["rows"] == [["one.png", "RGB", 0.0, 0.0, 0.0, 0, ""]]
    assert "| one.png" in capsys.readouterr().out

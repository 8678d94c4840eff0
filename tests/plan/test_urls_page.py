"""The tables of docs/urls.md, run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.errors import InvalidKey
from proxy.plan.dialects import parse
from proxy.plan.preset_file import read_presets
from proxy.plan.presets import PresetSnapshot
from proxy.plan.request import AskAdhoc, AskPreset, ImageRequest

PAGE = (Path(__file__).parents[2] / "docs" / "urls.md").read_text()
TABLE = re.compile(r"<!-- cases: (.+?) -->\n\n\|.+\n\| ---.+\n((?:\|.+\n)+)")


def rows() -> Iterator[tuple[PresetSnapshot, list[str]]]:
    """The settings above each table, and its rows."""
    for match in TABLE.finditer(PAGE):
        snapshot = read_presets(match[1].replace("; ", "\n"))
        for line in match[2].splitlines():
            yield snapshot, [cell.strip() for cell in line.strip("|").split("|")]


def told(reading: ImageRequest) -> str:
    """A reading in the page's words."""
    match reading.asked:
        case AskPreset(preset):
            return f"preset `{preset.name}` of `{reading.key}`"
        case AskAdhoc(label=label):
            return f"box `{label}` of `{reading.key}`"
    return f"original `{reading.key}`"


ROWS = list(rows())
MEANT = [row for row in ROWS if re.match(r"(preset|box|original) `", row[1][1])]
REFUSED = [row for row in ROWS if row not in MEANT]


def test_page_has_tables() -> None:
    """The tables are found: a page without them would pass every test."""
    assert len(MEANT) > 12
    assert len(REFUSED) > 7


@pytest.mark.parametrize(("snapshot", "row"), MEANT, ids=[row[0] for _, row in MEANT])
def test_url_means_what_the_page_says(snapshot: PresetSnapshot, row: list[str]) -> None:
    """Each URL of a table has the readings that stand beside it."""
    readings = [told(reading) for reading in parse(row[0].strip("`"), snapshot)]

    claimed = [cell for cell in row[1:] if re.match(r"(preset|box|original) `", cell)]
    assert readings[: len(claimed)] == claimed


@pytest.mark.parametrize(("snapshot", "row"), REFUSED, ids=[row[0] for _, row in REFUSED])
def test_url_is_refused_as_the_page_says(snapshot: PresetSnapshot, row: list[str]) -> None:
    """Each refused URL is refused for the reason that stands beside it."""
    with pytest.raises(InvalidKey) as caught:
        parse(row[0].strip("`"), snapshot)

    assert row[1] in caught.value.message

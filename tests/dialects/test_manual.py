"""The examples of docs/vendors.md, read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.errors import ProxyError
from proxy.plan.dialects import DIALECTS, parse
from proxy.plan.preset_file import read_presets
from proxy.plan.presets import PresetSnapshot
from proxy.plan.request import AskAdhoc, AskOriginal, AskPreset

PAGE = (Path(__file__).parents[2] / "docs" / "vendors.md").read_text(encoding="utf-8")
SECTIONS = {
    heading.lower(): text
    for heading, text in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}


def examples(kind: str) -> list[tuple[str, str]]:
    """The dialect and the URL of each line in the fenced blocks of this kind."""
    return [
        (dialect, line.split()[0])
        for dialect, text in SECTIONS.items()
        for block in re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]


def snapshot(first: str) -> PresetSnapshot:
    """The settings that the page promises: all dialects, this one first."""
    order = list(dict.fromkeys([first, *DIALECTS]))
    presets = '[presets.thumb]\nwidth = 50\n[presets.small]\ncommand = "/fw/200/quality/80"'
    return read_presets(f'adhoc = "any"\ndialects = {order}\n{presets}')


def test_every_dialect_has_its_section() -> None:
    """None of them is forgotten, and each has examples of both kinds."""
    assert set(SECTIONS) == set(DIALECTS)
    for kind in ("urls", "refused"):
        assert {dialect for dialect, _ in examples(kind)} == set(DIALECTS)


@pytest.mark.parametrize(("dialect", "url"), examples("urls"))
def test_example_is_read(dialect: str, url: str) -> None:
    """Each example is a picture or a report of the original before it."""
    reading = parse(url, snapshot(dialect))[0]

    assert isinstance(reading.asked, AskAdhoc | AskPreset)
    assert reading.key == "cat.jpg"


@pytest.mark.parametrize(("dialect", "url"), examples("refused"))
def test_example_is_refused(dialect: str, url: str) -> None:
    """Each refused example is refused, unless an original has the very name of what stands in the path."""
    try:
        reading = parse(url, snapshot(dialect))[0]
    except ProxyError:
        return
    assert isinstance(reading.asked, AskOriginal)
    assert reading.missing is not None
    assert isinstance(reading.missing(), ProxyError)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_operation_has_an_example(dialect: str) -> None:
    """What the first column of a dialect's table names stands in one of its examples."""
    shown = "\n".join(url for section, url in examples("urls") if section == dialect)
    cells = re.findall(r"^\| ([^|]*`[^|]*) \|", SECTIONS[dialect], re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]

    assert named
    assert [name for name in named if not re.search(rf"(?<![\w-]){name}(?![\w-])|-{name}[.:]", shown)] == []


def test_presets_are_read() -> None:
    """The presets.toml of the page is one, and each of its commands is in the dialect that it claims."""
    (text,) = re.findall(r"^ *```toml\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)

    presets = read_presets(text).presets

    assert presets["square"].operations[0].name == "resize"  # Qiniu would crop
    assert presets["banner"].operations[-1].name == "cut-to"
    assert {"small", "old"} <= presets.keys()

"""What must stay in step with the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate import WRITERS
from proxy.cli.commands import app
from proxy.config import PREFIX, Settings
from proxy.imaging.extras import missing_extra
from proxy.plan.output import Format

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("path", list(WRITERS), ids=lambda path: path.name)
def test_generated_files_are_up_to_date(path: Path) -> None:
    """`make docs` would change nothing."""
    if path.name == "formats.md" and any(map(missing_extra, Format)):
        pytest.skip("an extra is not installed: the table of formats was not tried")
    assert path.read_text(encoding="utf-8") == WRITERS[path]()


def test_readme_names_real_settings() -> None:
    """Every variable that the README or a guide names exists."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md"), ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"]:
        named = set(re.findall(r"\bIMGBANG_[A-Z0-9_]+\b", path.read_text(encoding="utf-8")))
        assert named <= known, path


def test_readme_names_every_command() -> None:
    """Every command is named in the README or the changelog."""
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CHANGELOG.md"))
    for command in app.registered_commands:
        assert f"`{command.name}`" in text or f"imgbang {command.name}" in text, command.name


def test_every_plot_is_shown() -> None:
    """What was drawn of the measurements stands beside their tables."""
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for path in ROOT.glob("docs/performance/*.svg"):
        assert f"](performance/{path.name})" in text, path.name


def test_links_lead_somewhere() -> None:
    """Every relative link in the documentation leads to a file."""
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"

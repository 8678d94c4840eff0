"""`make lock`: pin what the container image installs, with hashes, for every platform that has wheels."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Made by `make lock` from pyproject.toml.\n"
PYTHON = "3.11"
"""That of the image's base."""
PYVIPS = ("setuptools>=61", "cffi>=1.0.0", "pkgconfig>=1.5")
"""The build requirements in pyvips' own pyproject.toml."""


def requirements() -> list[str]:
    """What pyproject.toml asks for, all extras included: the image has them all."""
    project = read_project()["project"]
    return [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]


def build_requirements() -> list[str]:
    """What builds our wheel, and that of pyvips, which comes as source."""
    return [*read_project()["build-system"]["requires"], *PYVIPS]


def read_project() -> dict[str, dict[str, object]]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def lock(wanted: Sequence[str], path: Path) -> None:
    """Resolve anew and write; pip checks the hashes when it installs."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--upgrade", "--generate-hashes"]
    command += ["--no-header", "--python-version", PYTHON, "-"]
    made = subprocess.run(command, input="\n".join(wanted), check=True, capture_output=True, text=True)
    path.write_text(HEADER + made.stdout, encoding="utf-8")


if __name__ == "__main__":
    lock(requirements(), ROOT / "container/requirements.lock")
    lock(build_requirements(), ROOT / "container/build.lock")

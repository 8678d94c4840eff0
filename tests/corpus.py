"""The corpus of real images, where it lies beside the checkout; tests that need it skip where it does not."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("IMGBANG_CORPUS", Path(__file__).resolve().parents[2] / "shared" / "corpus"))


def corpus_files(folder: str) -> list[Path]:
    """The files of one folder of the corpus, sorted; an empty list where there is no corpus."""
    return sorted(path for path in (ROOT / folder).glob("*") if path.is_file()) if ROOT.is_dir() else []


def require_corpus() -> None:
    """Skip the test where there is no corpus, and say what was not proven."""
    if not (ROOT / "MANIFEST.tsv").is_file():
        pytest.skip(f"no corpus at {ROOT}: real images were not tried (set IMGBANG_CORPUS)")


def manifest() -> dict[str, dict[str, str]]:
    """The rows of the manifest by path."""
    with (ROOT / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}

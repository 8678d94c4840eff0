"""What a run leaves behind: Markdown tables on stdout, and everything measured in one JSON file under bench/out/."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import markdown, shown
from proxy.machine import usable_cpus

OUT = Path(__file__).resolve().parent / "out"


@dataclass
class Report:
    """One command's results."""

    name: str
    parameters: dict[str, object]
    started: float = field(default_factory=time.time)
    tables: list[dict[str, object]] = field(default_factory=list)
    raw: dict[str, object] = field(default_factory=dict)
    """Every measurement before medians are taken, by contender."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, note: str = "") -> None:
        """Print a table and keep it."""
        print(f"\n### {title}\n\n{markdown(columns, rows)}")
        if note:
            print(f"\n{note}")
        cells = [[cell if isinstance(cell, int | float | str) else shown(cell) for cell in row] for row in rows]
        self.tables.append({"title": title, "columns": list(columns), "rows": cells, "note": note})

    def save(self) -> Path:
        """Write the JSON file and say where it is."""
        OUT.mkdir(exist_ok=True)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(self.started))
        path = OUT / f"{self.name}-{stamp}.json"
        content = {
            "name": self.name,
            "started": self.started,
            "seconds": time.time() - self.started,
            "machine": machine(),
            "parameters": self.parameters,
            "tables": self.tables,
            "raw": self.raw,
        }
        path.write_text(json.dumps(content, indent=1, default=str), encoding="utf-8")
        print(f"\n{path.name}: {time.time() - self.started:.0f} s; load average {machine()['load']}")
        return path


def machine() -> dict[str, object]:
    """What the figures depend on beside the code."""
    return {
        "cpus": usable_cpus(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "load": [round(load, 1) for load in os.getloadavg()],
    }

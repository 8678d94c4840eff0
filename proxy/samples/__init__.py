"""Sample pictures, made by code: something to serve on a machine that has no pictures and no network.

Only Pillow is used, and a slow core needs seconds. `python -m proxy.samples DIRECTORY` writes them and prints all their
names; what is there already is left alone.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path

from proxy.samples.places import bay, lake, night, valley
from proxy.samples.spheres import marble, moon, still_life

Draw = Callable[[io.BytesIO], None]

SAMPLES: dict[str, Draw] = {
    "mountain-lake.jpg": lake,
    "evening-valley.jpg": valley,
    "bahía al amanecer.jpg": bay,
    "still-life.jpg": still_life,
    "moonlit-lake.webp": night,
    "glass-marble.png": marble,
    "moon-phases.gif": moon,
}


def generate(directory: Path) -> list[Path]:
    """Write the samples that `directory` lacks; return the files written. A file that exists is left alone."""
    directory.mkdir(parents=True, exist_ok=True)
    return [write(directory / name, draw) for name, draw in SAMPLES.items() if not (directory / name).exists()]


def write(path: Path, draw: Draw) -> Path:
    """Write a sample under a hidden name first: a run that is killed leaves no half picture to be served."""
    for leftover in path.parent.glob(f".{path.name}.*.part"):
        # Writing takes milliseconds: what is a minute old belongs to a run that was killed, not to a parallel one.
        if time.time() - leftover.stat().st_mtime > 60:
            leftover.unlink(missing_ok=True)
    content = io.BytesIO()
    draw(content)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content.getbuffer())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path

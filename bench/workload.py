"""What is asked for, as data: sizes, photos, and as many distinct names for each photo as a run needs.

A cold request needs an original that nobody has asked for yet. Hard links give each photo any number of names at no
cost: to the server, they are different originals.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "photos"
"""Where the photos lie when nobody says otherwise; the generated samples stand in where there are none."""
JPEG = (".jpg", ".jpeg")
OTHERS = (".png", ".webp", ".avif", ".gif", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Box:
    """A size to ask for: a preset here, a box for peers."""

    preset: str
    width: int
    height: int
    cover: bool = False

    def __str__(self) -> str:
        return f"{self.width} px" + (" cover" if self.cover else " inside")


BOXES = (Box("thumb", 50, 50, cover=True), Box("small", 400, 400), Box("large", 1200, 1200))

PAGE = tuple(Box(f"w{side}", side, side) for side in (1200, 800, 400, 200, 50))
"""What a browser picks from a `srcset`, if it were to pick all."""

PRESETS = "\n".join(
    f'[presets.{box.preset}]\nwidth = {box.width}\nheight = {box.height}\nformat = "jpeg"\n'
    f'fit = "{"cover" if box.cover else "inside"}"\n'
    for box in (*BOXES, *PAGE)
)
"""The same boxes for imgbang. JPEG always, so that other formats cost their decoding and not their encoding."""


@dataclass(frozen=True, slots=True)
class Request:
    """One GET. `kind` groups the answers in the report."""

    kind: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Photos:
    """The originals of a run, in a directory of their own."""

    root: Path
    names: tuple[str, ...]
    """The files of copy 0."""
    copies: int = 1

    def only(self, suffixes: tuple[str, ...]) -> list[str]:
        """The names with one of these suffixes."""
        return [name for name in self.names if Path(name).suffix.lower() in suffixes]

    def add_copies(self, count: int) -> list[str]:
        """Give each photo `count` more names; returns the folders they are in."""
        folders = [f"c{number}" for number in range(self.copies, self.copies + count)]
        for folder in folders:
            (self.root / folder).mkdir()
            for name in self.names:
                os.link(self.root / "c0" / name, self.root / folder / name)
        self.copies += count
        return folders


def gather_photos(source: Path | None, root: Path) -> Photos:
    """Copy the photos of `source` (or the corpus, or generated samples) to `root`/c0."""
    first = root / "c0"
    first.mkdir(parents=True)
    if source is None and not CORPUS.is_dir():
        subprocess.run([sys.executable, "-m", "proxy.samples", str(first)], check=True, stdout=subprocess.DEVNULL)
    else:
        for path in sorted((source or CORPUS).iterdir()):
            if path.suffix.lower() in JPEG + OTHERS:
                shutil.copyfile(path, first / path.name)
    names = tuple(sorted(path.name for path in first.iterdir()))
    if not any(Path(name).suffix.lower() in JPEG for name in names):
        raise SystemExit(f"no JPEG photo in {source}: there is nothing to compare with the decode floor")
    return Photos(root, names)


class ColdNames:
    """Names that were never asked for, handed out in order; each round is every photo once, in a seeded order."""

    def __init__(self, photos: Photos, names: list[str], *, seed: int = 1) -> None:
        self._photos = photos
        self._names = names
        self._random = random.Random(seed)

    def rounds(self, count: int) -> list[str]:
        """`count` rounds of keys."""
        keys = []
        for folder in self._photos.add_copies(count):
            keys += [f"{folder}/{name}" for name in self._random.sample(self._names, len(self._names))]
        return keys

    def at_least(self, count: int) -> list[str]:
        """Rounds enough for `count` keys, cut to that many."""
        return self.rounds(-(-count // len(self._names)))[:count]


def image_path(key: str, box: Box) -> str:
    """The URL path of a preset of `key`."""
    return f"/{quote(key)}!{box.preset}"


def peer_paths(template: str, keys: list[str], box: Box) -> Iterator[str]:
    """What to ask a peer for: {w}, {h}, {file} (the photo's name in its own directory) and {n} (a unique number)."""
    for number, key in enumerate(keys):
        name = quote(key.partition("/")[2])
        yield template.format(w=box.width, h=box.height, file=name, n=number)

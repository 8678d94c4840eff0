"""Every file of a directory of real images in ten presets: what came of it, and what must never happen.

What is counted as wrong is judged by others than us: Pillow says which way is up, exiftool (or Pillow, where there is
none) whether a position is left, the kernel how much memory a render worker held at most.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import time
import tomllib
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bench.figures import counted
from bench.report import Report
from bench.servers import MIB, Imgbang
from bench.workload import CORPUS

PRESETS = """
[presets.thumb]
width = 50
height = 50
fit = "cover"
[presets.small]
width = 400
height = 400
[presets.large]
width = 1200
height = 1200
format = "jpeg"
[presets.webp]
width = 400
format = "webp"
[presets.avif]
width = 400
format = "avif"
[presets.gif]
width = 200
format = "gif"
[presets.face]
width = 300
height = 300
fit = "cover"
gravity = ["face", "attention"]
format = "png"
[presets.credit]
format = "jpeg"
width = 2000
metadata = "copyright"
[presets.effects]
command = "imageMogr2/auto-orient/thumbnail/300x300/rotate/30/blur/3x2|roundPic/radius/20"
[presets.info]
answer = "info"
"""
NAMES = tuple(tomllib.loads(PRESETS)["presets"])
UPRIGHT = ("small", "large", "webp", "avif")
"""The presets that show the whole picture as it is, in which the way up can be judged."""
DEADLINE = 15.0
WORKER_MEMORY = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Outcome:
    """One file in one preset."""

    name: str
    """The file, with its folder."""
    preset: str
    status: int
    code: str
    """`ok`, or the code of the problem."""
    seconds: float
    peak: int
    """Bytes that the render worker held at most meanwhile."""
    turned: bool | None
    """Whether another of the eight orientations fits better; None where it could not be judged."""

    @property
    def folder(self) -> str:
        """The class of the file."""
        return self.name.partition("/")[0] if "/" in self.name else "."


def corpus(source: Path | None, *, rest: float = 20.0) -> Report:
    """Ask for everything, one after the other, and print what came of it; `rest` seconds may pass until files are gone."""
    root = source or CORPUS.parent
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    names = [name for name in names if name not in ("MANIFEST.tsv", "README.md")]
    if not names:
        raise SystemExit(f"no files in {root}")
    report = Report("corpus", {"files": len(names), "presets": NAMES})
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        shutil.copytree(root, home / "images")
        server = stack.enter_context(_server(home))
        answers = home / "answers"
        answers.mkdir()
        outcomes = list(_ask(server, root, names, answers))
        leaks = positions(answers)
        staged = len(_settled(server, rest))
        events = {
            event: int(server.metric("imgbang_worker_events", event=event))
            for event in ("crash", "timeout", "recycled")
        }
    _print(report, outcomes, leaks, staged, events)
    report.raw = {"outcomes": [[one.name, one.preset, one.status, one.code, one.seconds, one.peak] for one in outcomes]}
    return report


def _server(home: Path) -> Imgbang:
    env = {
        "IMGBANG_RENDER_WORKERS": "1",  # so that the memory seen belongs to the file asked for
        "IMGBANG_WORKER_MEMORY": str(WORKER_MEMORY),
        "IMGBANG_DEADLINE": f"{DEADLINE:g}",
        "IMGBANG_SVG": "true",
        "IMGBANG_PDF": "true",
    }
    server_home = home / "imgbang"
    server_home.mkdir()
    return Imgbang(server_home, env={"IMGBANG_ORIGINALS": (home / "images").as_uri(), **env}, presets=PRESETS)


def _ask(server: Imgbang, root: Path, names: Sequence[str], answers: Path) -> Iterator[Outcome]:
    for number, name in enumerate(names):
        reference = upright(root / name)
        for preset in NAMES:
            meters = _reset_peaks(server)
            began = time.monotonic()
            reply = server.get(f"/{quote(name)}!{preset}", {"Accept": "image/avif,image/webp,*/*"})
            seconds = time.monotonic() - began
            picture = reply.status == 200 and reply.headers["content-type"].startswith("image/")
            if picture:
                (answers / f"{number}-{preset}").write_bytes(reply.body)
            turned = (
                is_turned(reply.body, reference) if picture and preset in UPRIGHT and reference is not None else None
            )
            code = "ok" if reply.status == 200 else str(reply.json.get("code"))
            yield Outcome(name, preset, reply.status, code, seconds, max(map(_peak, meters), default=0), turned)


def _reset_peaks(server: Imgbang) -> list[Path]:
    """Start the kernel's high-water marks of the workers anew (proc(5), clear_refs); where they can be read."""
    meters = []
    for pid in server.worker_pids():
        try:
            Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            continue
        meters.append(Path(f"/proc/{pid}/status"))
    return meters


def _peak(meter: Path) -> int:
    try:
        lines = meter.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:  # killed meanwhile
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def upright(path: Path) -> NDArray[np.float64] | None:
    """The file as Pillow shows it the right way up, as a small grey picture; None where Pillow does not know."""
    try:
        with _silence(), Image.open(path) as image:
            if image.width * image.height > 100_000_000:
                return None
            image.draft("RGB", (256, 256))
            return _small(ImageOps.exif_transpose(image))
    except Exception:  # noqa: BLE001 -- Pillow lets a dozen kinds escape on broken files
        return None


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what Pillow and its C libraries say of broken files off the terminal."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _small(image: Image.Image) -> NDArray[np.float64]:
    flat = Image.new("RGBA", image.size, "white")
    flat.alpha_composite(image.convert("RGBA"))
    return np.asarray(flat.convert("L").resize((32, 32), Image.Resampling.BOX), dtype=np.float64)


def is_turned(body: bytes, reference: NDArray[np.float64]) -> bool | None:
    """Whether the picture is turned or mirrored against the reference; None where it looks alike in several ways."""
    try:
        with Image.open(io.BytesIO(body)) as image:
            ours = _small(image)
    except Exception:  # noqa: BLE001 -- a format that this Pillow lacks
        return None
    errors = [float(np.abs(ours - way).mean()) for way in _ways(reference)]
    best, second = sorted(errors)[:2]
    return None if second - best < 0.5 else errors[0] > best


def _ways(square: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The eight orientations of a square, as it is first."""
    return [np.rot90(side, turn) for side in (square, square[:, ::-1]) for turn in range(4)]


def positions(folder: Path) -> list[str]:
    """The files below `folder` in which a GPS position is left."""
    files = [path for path in folder.iterdir() if path.is_file()]
    if shutil.which("exiftool"):
        command = ["exiftool", "-json", "-GPS:all", "-XMP:GPS*", "-Composite:GPSPosition", "-r", str(folder)]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        rows = json.loads(found) if found.strip() else []
        return sorted(Path(row["SourceFile"]).name for row in rows if set(row) - {"SourceFile"})
    return sorted(path.name for path in files if _has_position(path))


def _has_position(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return bool(image.getexif().get_ifd(0x8825)) or b"GPSLatitude" in path.read_bytes()
    except OSError:
        return b"GPSLatitude" in path.read_bytes()


def _settled(server: Imgbang, rest: float) -> list[Path]:
    """The staged files that are left once nothing is under way and nothing lingers."""
    server.wait_quiet()
    until = time.monotonic() + rest
    while (left := server.staged_files()) and time.monotonic() < until:
        time.sleep(0.5)
    return left


def _print(
    report: Report, outcomes: Sequence[Outcome], leaks: Sequence[str], staged: int, events: dict[str, int]
) -> None:
    report.table(
        "Corpus: outcomes by class of file",
        ["folder", "requests", "statuses", "refusals", "longest s", "highest MiB", "file with the highest"],
        [_class(folder, outcomes) for folder in sorted({one.folder for one in outcomes})],
        note=f"{len(NAMES)} presets: {', '.join(NAMES)}. MiB: what the one render worker held at most during a request.",
    )
    report.table(
        "Corpus: outcomes by preset",
        ["preset", "requests", "statuses", "longest s"],
        [
            [preset, len(rows), counted(Counter(one.status for one in rows)), max(one.seconds for one in rows)]
            for preset in NAMES
            if (rows := [one for one in outcomes if one.preset == preset])
        ],
    )
    judged = [one for one in outcomes if one.turned is not None]
    failed = [one for one in outcomes if one.status >= 500]
    report.table(
        "Corpus: what must not happen",
        ["fact", "count", "which"],
        [
            ["answers with 5xx", len(failed), _listed(failed)],
            [f"answers later than {DEADLINE:g} s", *_counted([one for one in outcomes if one.seconds > DEADLINE])],
            [f"wrong way up, of {len(judged)} judged", *_counted([one for one in judged if one.turned])],
            ["positions (GPS) in answers", len(leaks), " ".join(leaks[:5])],
            [
                f"above IMGBANG_WORKER_MEMORY, {WORKER_MEMORY // MIB} MiB",
                *_counted([one for one in outcomes if one.peak > WORKER_MEMORY]),
            ],
            ["staged files left", staged, ""],
            ["workers lost", events["crash"] + events["timeout"], counted(events)],
        ],
    )


def _class(folder: str, outcomes: Sequence[Outcome]) -> list[object]:
    rows = [one for one in outcomes if one.folder == folder]
    refusals = Counter(one.code for one in rows if one.code != "ok")
    highest = max(rows, key=lambda one: one.peak)
    statuses = counted(Counter(one.status for one in rows))
    return [
        folder, len(rows), statuses, counted(refusals), max(one.seconds for one in rows), highest.peak / MIB,
        f"{Path(highest.name).name} {highest.preset}",
    ]  # fmt: skip


def _counted(rows: Sequence[Outcome]) -> tuple[int, str]:
    return len(rows), _listed(rows)


def _listed(rows: Sequence[Outcome]) -> str:
    shown = " ".join(f"{one.name}!{one.preset}" for one in rows[:5])
    return shown + (" …" if len(rows) > 5 else "")

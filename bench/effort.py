"""What effort costs and saves: time, bytes and SSIMULACRA2 of every effort that an encoder has, beside our default.

Each photo is scaled once and written once with each effort, at our default quality, as the render workers write it. An
effort changes bytes and score together, so the bytes are also given at the score that our default effort has: moved
along that effort's own curve between two qualities, which is all but the same for its neighbours. Times are CPU time of
one thread; the nanoseconds of a pixel are what `proxy/imaging/effort.py` estimates with.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import pyvips

from bench.quality import scaled
from bench.report import Report
from bench.workload import gather_photos
from proxy.imaging.effort import codec_effort, effort_of
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderLimits
from proxy.imaging.jxl import JXL_VERSION
from proxy.imaging.library import start
from proxy.imaging.loading import load
from proxy.imaging.saving import QUALITY, save
from proxy.imaging.ssimulacra2 import Reference
from proxy.plan.output import Format, Output, OverLimit, Target

FORMATS = (Format.AVIF, Format.WEBP, *((Format.JXL,) if JXL_VERSION else ()))
_APART = 6
"""Steps of quality between the two points of a curve."""
_COLUMNS = (
    "effort", "in presets", "CPU ms", "time", "ns a pixel", "slowest", "bytes", "SSIMULACRA2", "bytes at equal score",
)  # fmt: skip
_NOTE = (
    "Time and bytes are of the default's, photo by photo (geometric mean); ns a pixel: geometric mean, and that of the "
    "slowest photo."
)


@dataclass(frozen=True, slots=True)
class Encode:
    """What one effort made of one picture."""

    seconds: float
    bytes: int
    score: float
    pixels: int

    @property
    def nanoseconds(self) -> float:
        """For each pixel."""
        return self.seconds / self.pixels * 1e9


class Bench:
    """Pictures, and what was made of them."""

    def __init__(self, pictures: Mapping[str, pyvips.Image], path: Path) -> None:
        self.pictures = pictures
        self._path = path
        self._references = {name: Reference(image) for name, image in pictures.items()}

    def encode(self, target: Format, output: Output) -> dict[str, Encode]:
        """Write each picture as `output` says."""
        return {name: self._encode(name, target, output) for name in self.pictures}

    def _encode(self, name: str, target: Format, output: Output) -> Encode:
        image = self.pictures[name]
        since = time.process_time()
        save(image, target, output, str(self._path), keep="none")
        seconds = time.process_time() - since
        limits, path = RenderLimits(), str(self._path)
        seen = load(path, inspect(path, limits), Output(), limits, target=None).first
        size = self._path.stat().st_size
        score = self._references[name].score(seen) if target in QUALITY and not output.lossless else 100.0
        return Encode(seconds, size, score, image.width * image.height)


def effort(photos: Path | None, *, sizes: Sequence[int], most: int, highest: int, others: bool) -> Report:
    """Measure and print; `highest` is the most effort that is tried."""
    start()
    report = Report("effort", {"sizes": list(sizes), "photos": str(photos), "most": most, "highest": highest})
    with TemporaryDirectory(prefix="imgbang-bench-") as home:
        folder = Path(home)
        gathered = gather_photos(photos, folder / "images")
        for size in sizes:
            bench = Bench(scaled(gathered, size, most), folder / "written")
            if others:
                _show_others(report, bench, size, highest)
                continue
            for target in FORMATS:
                _show(report, bench, size, target, highest)
    return report


def _show(report: Report, bench: Bench, size: int, target: Format, highest: int) -> None:
    """The table of one format at one size."""
    # As where the quality is ours to choose, not asked for by number.
    plain = replace(Output(Target(target.value)), quality=QUALITY[target], over_limit=OverLimit.FIT)
    default = effort_of(plain, target)
    usual = codec_effort(default, target)
    # Presets count from 0 to 9; encoders with fewer efforts have several of those for one of theirs.
    efforts = {codec_effort(each, target): each for each in range(max(highest, default), -1, -1)}
    made: dict[int, dict[str, Encode]] = {}
    for own, each in sorted(efforts.items()):
        made[own] = bench.encode(target, replace(plain, effort=each))
        print(f"{target} {size} px, effort {own}: {sum(one.seconds for one in made[own].values()):.1f} s", flush=True)
    base, better = made[usual], bench.encode(target, replace(plain, quality=QUALITY[target] + _APART))
    slopes = {
        name: math.log(better[name].bytes / one.bytes) / max(0.1, better[name].score - one.score)
        for name, one in base.items()
    }
    rows = []
    for own, mine in sorted(made.items()):
        equal = [
            math.log(one.bytes / base[name].bytes) + slopes[name] * (base[name].score - one.score)
            for name, one in mine.items()
        ]
        rows.append(
            [
                f"{own} (default)" if own == usual else own,
                _presets(own, target),
                fmean(one.seconds * 1000 for one in mine.values()),
                _geometric([one.seconds / base[name].seconds for name, one in mine.items()]),
                _geometric([one.nanoseconds for one in mine.values()]),
                max(one.nanoseconds for one in mine.values()),
                _geometric([one.bytes / base[name].bytes for name, one in mine.items()]),
                fmean(one.score for one in mine.values()),
                math.exp(fmean(equal)),
            ]
        )
    title = f"{size} px: {target} of quality {QUALITY[target]} by effort, {len(base)} photos"
    report.table(title, _COLUMNS, rows, note=_NOTE)
    report.raw[f"{target} {size}"] = {f"{own} {name}": one for own, mine in made.items() for name, one in mine.items()}


def _show_others(report: Report, bench: Bench, size: int, highest: int) -> None:
    """What a pixel takes where effort is of less interest, but an estimate is needed."""
    kinds = [(Format.JPEG, False), (Format.PNG, False), *((target, True) for target in FORMATS)]
    rows = []
    for target, lossless in kinds:
        known: dict[int, float] = {}
        for each in range(highest + 1):
            own = codec_effort(each, target)
            if own not in known:
                made = bench.encode(target, Output(Target(target.value), effort=each, lossless=lossless))
                known[own] = _geometric([one.nanoseconds for one in made.values()])
        times = [known[codec_effort(each, target)] for each in range(highest + 1)]
        rows.append([f"{target}, lossless" if lossless else target.value, *times])
    title = f"{size} px: ns a pixel by effort in presets, {len(bench.pictures)} photos"
    report.table(title, ["format", *map(str, range(highest + 1))], rows, note="Geometric mean.")


def _presets(own: int, target: Format) -> str:
    """The efforts that presets have for one of the encoder's."""
    efforts = [each for each in range(10) if codec_effort(each, target) == own]
    return f"{efforts[0]}" if len(efforts) == 1 else f"{efforts[0]}–{efforts[-1]}"


def _geometric(values: Sequence[float]) -> float:
    return math.exp(fmean(math.log(value) for value in values))

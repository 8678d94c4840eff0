"""Bytes at equal SSIMULACRA2: JPEG, WebP and AVIF with the defaults of libvips, of sharp, and ours.

Each photo is scaled once; what encoders make of that picture is compared with it. A curve through several qualities
tells how many bytes a score costs; the ratios are taken photo by photo, and their geometric mean is shown. Times are CPU
time of one thread.
"""

from __future__ import annotations

import base64
import json
import math
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import pyvips

from bench.figures import middle, thinned
from bench.report import Report
from bench.workload import Photos, gather_photos
from proxy.imaging.library import start
from proxy.imaging.saving import QUALITY, save
from proxy.imaging.ssimulacra2 import Reference
from proxy.plan.output import Format, Output, OverLimit, Target

SCORES = (30, 40, 50, 60, 70, 80, 90)
SHOWN = (60, 70, 80, 90)
QUALITIES = {
    "jpeg": (10, 20, 35, 50, 65, 75, 82, 88, 93, 97),
    "webp": (5, 20, 35, 50, 65, 75, 82, 88, 93, 98),
    "avif": (15, 25, 35, 45, 55, 65, 75, 85, 93),
}
LOADERS = {
    "jpeg": pyvips.Image.jpegload_buffer, "webp": pyvips.Image.webpload_buffer, "avif": pyvips.Image.heifload_buffer,
}  # fmt: skip
SHARP = """
const sharp = require('sharp'); sharp.concurrency(1); sharp.cache(false);
require('readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  const { path, format, quality } = JSON.parse(line), out = [];
  for (const q of quality) {
    const body = await sharp(path).toFormat(format, q ? { quality: q } : {}).toBuffer();
    out.push(body.toString('base64'));
  }
  console.log(JSON.stringify(out));
});
"""


@dataclass(frozen=True, slots=True)
class Encoder:
    """One way to encode: a format, a name, and what makes the bytes of a quality (None: its default)."""

    format: str
    name: str
    encode: Callable[[pyvips.Image, int | None], bytes]
    quality: int | None = None
    """The default, where it is known."""


@dataclass
class Curve:
    """What one encoder made of one picture."""

    points: list[tuple[int, float, int, float]] = field(default_factory=list)
    """Quality, score, bytes, CPU milliseconds."""

    def at(self, score: float, column: int) -> float:
        """Quality (0) or bytes (2) at a score, on the line through the neighbours; nan outside of the curve."""
        points = sorted(self.points, key=lambda point: point[1])
        for low, high in pairwise(points):
            if low[1] <= score <= high[1] and high[1] > low[1]:
                share = (score - low[1]) / (high[1] - low[1])
                if column == 2:
                    return math.exp(math.log(low[2]) + share * math.log(high[2] / low[2]))
                return low[column] + share * (high[column] - low[column])
        return math.nan

    def score_at(self, quality: int) -> float:
        """The score at a quality."""
        return next((score for asked, score, _, _ in self.points if asked == quality), math.nan)


def libvips(fmt: str, name: str, quality: int | None, **options: object) -> Encoder:
    """A saver of libvips with these options."""
    saver = {"jpeg": "jpegsave_buffer", "webp": "webpsave_buffer", "avif": "heifsave_buffer"}[fmt]
    fixed: dict[str, object] = {"compression": "av1"} if fmt == "avif" else {}

    def encode(image: pyvips.Image, asked: int | None) -> bytes:
        given = {} if asked is None else {"Q": asked}
        return bytes(getattr(image, saver)(keep="none", **fixed, **options, **given))

    return Encoder(fmt, name, encode, quality)


def ours(fmt: str, folder: Path, name: str = "imgbang", **changes: object) -> Encoder:
    """What the render workers write."""
    path = folder / f"ours.{fmt}"
    output = replace(Output(Target(fmt)), **changes)  # type: ignore[arg-type]

    def encode(image: pyvips.Image, asked: int | None) -> bytes:
        # As where the quality is ours to choose, not asked for by number.
        free = replace(output, quality=asked, over_limit=OverLimit.FIT)
        save(image, Format(fmt), free, str(path), keep="none")
        return path.read_bytes()

    return Encoder(fmt, name, encode, QUALITY[Format(fmt)])


def sharp(fmt: str, folder: Path, modules: Path) -> Encoder:
    """The sharp that is installed in `modules`."""
    process = subprocess.Popen(
        ["node", "-e", SHARP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=modules
    )
    path = folder / "sharp.png"
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def encode(image: pyvips.Image, asked: int | None) -> bytes:
        image.pngsave(str(path), compression=0, keep="none")
        stdin.write(json.dumps({"path": str(path), "format": fmt, "quality": [asked or 0]}) + "\n")
        stdin.flush()
        return base64.b64decode(json.loads(stdout.readline())[0])

    return Encoder(fmt, "sharp", encode, {"jpeg": 80, "webp": 80, "avif": 50}[fmt])


def contenders(folder: Path, modules: Path | None) -> list[Encoder]:
    """The defaults of each, in each format; libvips first."""
    found = []
    for fmt, quality in (("jpeg", 75), ("webp", 75), ("avif", 50)):
        found.append(libvips(fmt, "libvips", quality))
        if modules is not None:
            found.append(sharp(fmt, folder, modules))
        else:
            options = {"optimize_coding": True} if fmt == "jpeg" else {"effort": 4}
            options |= {"subsample_mode": "off"} if fmt == "avif" else {}
            found.append(libvips(fmt, "sharp's settings", {"jpeg": 80, "webp": 80, "avif": 50}[fmt], **options))
        found.append(ours(fmt, folder))
    return found


def options() -> list[Encoder]:
    """What could be chosen, each format's plainest first."""
    mozjpeg = {"trellis_quant": True, "overshoot_deringing": True, "optimize_scans": True, "interlace": True}
    return [
        libvips("jpeg", "plain", None),
        libvips("jpeg", "coding", None, optimize_coding=True),
        libvips("jpeg", "coding, tables 3", None, optimize_coding=True, quant_table=3),
        libvips("jpeg", "coding, 4:4:4", None, optimize_coding=True, subsample_mode="off"),
        libvips("jpeg", "coding, trellis", None, optimize_coding=True, trellis_quant=True),
        libvips("jpeg", "progressive", None, optimize_coding=True, interlace=True),
        libvips("jpeg", "trellis, tables 3", None, optimize_coding=True, trellis_quant=True, quant_table=3),
        libvips("jpeg", "all of mozjpeg", None, **mozjpeg, quant_table=3),
        *(libvips("webp", f"effort {effort}", None, effort=effort) for effort in (4, 0, 2, 5, 6)),
        libvips("webp", "effort 4, smart subsampling", None, effort=4, smart_subsample=True),
        libvips("webp", "effort 4, preset photo", None, effort=4, preset="photo"),
        *(libvips("avif", f"effort {effort}", None, effort=effort, bitdepth=8) for effort in (4, 0, 1, 2, 3, 5)),
        libvips("avif", "effort 1, 4:4:4", None, effort=1, bitdepth=8, subsample_mode="off"),
        libvips("avif", "effort 2, 4:4:4", None, effort=2, bitdepth=8, subsample_mode="off"),
        libvips("avif", "effort 2, 10 bits", None, effort=2, bitdepth=10),
        libvips("avif", "effort 2, tune ssim", None, effort=2, bitdepth=8, tune="ssim"),
    ]


def measure(encoders: Sequence[Encoder], pictures: Mapping[str, pyvips.Image]) -> dict[tuple[str, str, str], Curve]:
    """The curve of each encoder for each picture."""
    curves: dict[tuple[str, str, str], Curve] = {}
    for number, (name, image) in enumerate(pictures.items(), 1):
        print(f"{number} of {len(pictures)}: {name}", flush=True)
        reference = Reference(image)
        for encoder in encoders:
            curve = curves[encoder.format, encoder.name, name] = Curve()
            for quality in sorted({*QUALITIES[encoder.format], *([encoder.quality] if encoder.quality else [])}):
                since = time.process_time()
                body = encoder.encode(image, quality)
                seconds = time.process_time() - since
                decoded = LOADERS[encoder.format](body)
                curve.points.append((quality, reference.score(decoded), len(body), seconds * 1000))
    return curves


def quality(photos: Path | None, *, sizes: Sequence[int], modules: Path | None, most: int, efforts: bool) -> Report:
    """Measure and print."""
    start()
    report = Report("quality", {"sizes": list(sizes), "photos": str(photos), "sharp": modules is not None})
    with TemporaryDirectory(prefix="imgbang-bench-") as home:
        folder = Path(home)
        gathered = gather_photos(photos, folder / "images")
        for size in sizes:
            pictures = scaled(gathered, size, most)
            if efforts:
                show_options(report, size, options(), pictures)
            else:
                show_defaults(report, size, contenders(folder, modules), pictures)
    return report


def scaled(photos: Photos, size: int, most: int) -> dict[str, pyvips.Image]:
    """At most so many of the photos, in sRGB, with a longer side of `size`, by name."""
    pictures = {}
    for name in thinned(photos.names, most):
        image = pyvips.Image.thumbnail(str(photos.root / "c0" / name), size, height=size, size="down")
        pictures[name] = image.colourspace("srgb").cast("uchar")[:3].copy_memory()
    return pictures


def show_defaults(report: Report, size: int, encoders: list[Encoder], pictures: Mapping[str, pyvips.Image]) -> None:
    """The three contenders at their defaults and at equal scores."""
    curves = measure(encoders, pictures)
    rows = []
    for encoder in encoders:
        mine = [curves[encoder.format, encoder.name, name] for name in pictures]
        at = [next(point for point in curve.points if point[0] == encoder.quality) for curve in mine]
        scores = [point[1] for point in at]
        milliseconds = math.nan if encoder.name == "sharp" else middle([point[3] for point in at])
        rows.append(
            [encoder.format, encoder.name, encoder.quality, fmean(scores), min(scores), max(scores),
             round(math.exp(fmean(math.log(point[2]) for point in at))), milliseconds]
        )  # fmt: skip
    columns = ["format", "defaults of", "quality", "SSIMULACRA2", "lowest", "highest", "bytes", "CPU ms"]
    report.table(f"{size} px: the defaults, {len(pictures)} photos", columns, rows, note="Bytes: geometric mean.")
    base = {name: curves["jpeg", "libvips", name] for name in pictures}
    rows = [
        [encoder.format, encoder.name, *(_ratio(curves, encoder, base, pictures, score) for score in SHOWN)]
        for encoder in encoders
    ]
    title = f"{size} px: bytes at equal SSIMULACRA2, of libvips' JPEG"
    report.table(title, ["format", "defaults of", *map(str, SHOWN)], rows)
    rows = [
        [
            fmt,
            *(
                round(fmean(_known([curves[fmt, "imgbang", name].at(score, 0) for name in pictures])))
                for score in SCORES
            ),
        ]
        for fmt in QUALITIES
    ]
    report.table(f"{size} px: our quality that reaches a score", ["format", *map(str, SCORES)], rows)
    report.raw[str(size)] = {" ".join(key): curve.points for key, curve in curves.items()}


def show_options(report: Report, size: int, encoders: list[Encoder], pictures: Mapping[str, pyvips.Image]) -> None:
    """What each option costs and saves."""
    curves = measure(encoders, pictures)
    plain: dict[str, str] = {}
    rows = []
    for encoder in encoders:
        first = plain.setdefault(encoder.format, encoder.name)
        base = {name: curves[encoder.format, first, name] for name in pictures}
        times = [point[3] for name in pictures for point in curves[encoder.format, encoder.name, name].points]
        ratios = [_ratio(curves, encoder, base, pictures, score) for score in SHOWN]
        rows.append([encoder.format, encoder.name, *ratios, middle(times)])
    columns = ["format", "options", *(f"bytes at {score}" for score in SHOWN), "CPU ms"]
    report.table(f"{size} px: options, bytes of each format's first, {len(pictures)} photos", columns, rows)
    report.raw[f"options {size}"] = {" ".join(key): curve.points for key, curve in curves.items()}


def _ratio(
    curves: Mapping[tuple[str, str, str], Curve],
    encoder: Encoder,
    base: Mapping[str, Curve],
    pictures: Mapping[str, pyvips.Image],
    score: int,
) -> float:
    """The geometric mean over the photos whose curves both reach the score."""
    logs = _known(
        [
            math.log(curves[encoder.format, encoder.name, name].at(score, 2) / base[name].at(score, 2))
            for name in pictures
        ]
    )
    return round(math.exp(fmean(logs)), 3) if logs else math.nan


def _known(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]

"""Throughput, memory and cost by the original's size, and by the number of render workers.

One photo is scaled to each size, so that nothing but its size differs. Every request is for a new original; the results
are not kept. Memory is the highest that a worker ever was (VmHWM), at each size in fresh workers.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from bench.figures import middle
from bench.load import Generator
from bench.plot import line_plot
from bench.report import OUT, Report
from bench.servers import NO_CACHES, Imgbang, start_imgbang
from bench.workload import BOXES, JPEG, Box, ColdNames, Photos, Request, gather_photos, image_path

MEGAPIXELS = (0.3, 1.0, 3.0, 8.0, 12.0, 24.0, 50.0, 100.0)
WORKERS = (1, 2, 3, 4)
CORE_HOUR = 0.04
"""Dollars, an example."""
AT_ONCE = 3
"""Connections for each worker."""


def curve(
    photos: Path | None,
    *,
    repeats: int,
    sizes: tuple[float, ...] = MEGAPIXELS,
    workers: tuple[int, ...] = WORKERS,
    seconds: float = 2.0,
) -> Report:
    """Measure and print."""
    report = Report("curve", {"repeats": repeats, "sizes": sizes, "seconds": seconds})
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        source = gather_photos(photos, home / "source")
        largest = max(source.only(JPEG), key=lambda name: (source.root / "c0" / name).stat().st_size)
        generator = stack.enter_context(Generator())
        by_size = {megapixels: _scaled(source.root / "c0" / largest, home, megapixels) for megapixels in sizes}
        rates: dict[str, list[tuple[float, float]]] = {str(box): [] for box in BOXES}
        memory: list[tuple[float, float]] = []
        rows = []
        for number, (megapixels, names) in enumerate(by_size.items()):
            with start_imgbang(home / f"size-{number}", names.root, NO_CACHES) as server:
                cells: list[object] = [f"{megapixels:g}"]
                for box in BOXES:
                    rate, cpu = _measure(server, generator, names, box, repeats=repeats, seconds=seconds)
                    rates[str(box)].append((megapixels, rate))
                    cells += [rate, cpu * 1e6 / 3600, cpu * 1e6 / 3600 * CORE_HOUR]
                highest = max(_highest(pid) for pid in server.worker_pids())
            memory.append((megapixels, highest))
            rows.append([*cells, highest])
        columns = [f"{box}: {what}" for box in BOXES for what in ("images/s", "core hours/million", "dollars/million")]
        report.table(
            "Curve: by the original's size, two workers",
            ["megapixels", *columns, "highest MiB of a worker"],
            rows,
            note=f"A core hour at {CORE_HOUR:g} dollars. CPU of all processes of imgbang, at full load.",
        )
        middling = min(by_size.items(), key=lambda one: abs(one[0] - 8.0))[1]
        by_workers = [
            [count, _with_workers(count, home, generator, middling, repeats=repeats, seconds=seconds)]
            for count in workers
        ]
        report.table(f"Curve: by the number of workers, {BOXES[1]}", ["workers", "images/s"], by_workers)
        report.raw.update(rates=rates, memory=memory, workers=by_workers)
        OUT.mkdir(exist_ok=True)
        plots = {
            "curve-rate": line_plot(
                "Cold renders by the original's size", "megapixels", "images/s, two workers", rates
            ),
            "curve-memory": line_plot(
                "Memory by the original's size", "megapixels", "highest MiB", {"a worker": memory}
            ),
        }
        for name, svg in plots.items():
            (OUT / f"{name}.svg").write_text(svg, encoding="utf-8")
    return report


def _scaled(photo: Path, home: Path, megapixels: float) -> Photos:
    folder = home / f"{megapixels:g}"
    (folder / "c0").mkdir(parents=True)
    with Image.open(photo) as opened:
        factor = (megapixels * 1e6 / (opened.width * opened.height)) ** 0.5
        # Multiples of 16, as cameras have them: what a decoder may skip depends on it.
        size = (round(opened.width * factor / 16) * 16, round(opened.height * factor / 16) * 16)
        scaled = opened.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    scaled.save(folder / "c0" / "photo.jpg", quality=85, subsampling="4:2:0")
    return Photos(folder, ("photo.jpg",))


def _measure(
    server: Imgbang, generator: Generator, photos: Photos, box: Box, *, repeats: int, seconds: float
) -> tuple[float, float]:
    """Images a second, and CPU seconds for each, of about so many seconds of work."""
    names = ColdNames(photos, list(photos.names))

    def run(count: int) -> tuple[float, float]:
        requests = [Request("cold", image_path(key, box)) for key in names.at_least(count)]
        before = sum(server.cpu_seconds())
        done = generator.closed(server.url, requests, AT_ONCE * 2)
        if set(done.statuses) != {200}:
            raise SystemExit(f"answers other than expected: {dict(done.statuses)}")
        return done.rate, (sum(server.cpu_seconds()) - before) / count

    first, _ = run(4)
    runs = [run(max(4, round(first * seconds))) for _ in range(repeats)]
    return middle([rate for rate, _ in runs]), middle([cpu for _, cpu in runs])


def _with_workers(
    count: int, home: Path, generator: Generator, photos: Photos, *, repeats: int, seconds: float
) -> float:
    env = {**NO_CACHES, "IMGBANG_RENDER_WORKERS": str(count)}
    with start_imgbang(home / f"workers-{count}", photos.root, env) as server:
        return _measure(server, generator, photos, BOXES[1], repeats=repeats, seconds=seconds)[0]


def _highest(pid: int) -> float:
    """The most memory that a process ever had, in MiB."""
    found = re.search(r"VmHWM:\s+([0-9]+) kB", Path(f"/proc/{pid}/status").read_text("ascii"))
    return int(found[1]) / 1024 if found else 0.0

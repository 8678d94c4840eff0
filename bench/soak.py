"""A long mixed load, and what memory, files and descriptors do meanwhile.

Results expire by purges: every second one of the copies of all photos is purged, so that hits and misses keep a steady
proportion however long it runs, and the store does not grow.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import psutil

from bench.figures import counted, last_half, slope, sparkline, thinned
from bench.load import Generator, Run, milliseconds
from bench.plot import line_plot
from bench.report import OUT, Report
from bench.servers import MIB, Imgbang, start_imgbang
from bench.workload import BOXES, Photos, Request, gather_photos, image_path

COPIES = 20
TOKEN = "a token of the benchmark"
SHARES = {"picture": 70, "conditional": 10, "original": 6, "missing": 6, "broken": 8}
"""Of 100 requests; `broken` only with a directory of broken files."""
_LIST = 20_000


class Curve:
    """What was seen over time. `look` is called from a thread."""

    def __init__(self, server: Imgbang) -> None:
        self._server = server
        self._began = time.monotonic()
        self.lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.staged: list[int] = []
        self.descriptors: list[int] = []

    def look(self) -> None:
        """Take one sample."""
        now = time.monotonic() - self._began
        for name, size in self._server.resident().items():
            self.lines[name].append((now, size / MIB))
        self.staged.append(len(self._server.staged_files()))
        self.descriptors.append(self._server.front.num_fds())

    @property
    def total(self) -> list[tuple[float, float]]:
        """Front and workers together, successors of workers that are being replaced included."""
        sums: dict[float, float] = defaultdict(float)
        for points in self.lines.values():
            for at, size in points:
                sums[at] += size
        return sorted(sums.items())


def soak(
    photos: Path | None, broken: Path | None, *, minutes: float, connections: int, interval: float, rest: float = 12.0
) -> Report:
    """Run, then print the curve."""
    report = Report("soak", {"minutes": minutes, "connections": connections, "interval": interval})
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        gathered = gather_photos(photos, home / "images")
        gathered.add_copies(COPIES - 1)
        broken_names = _add_broken(broken, gathered.root)
        env = {"IMGBANG_RESULTS": (home / "results").as_uri(), "IMGBANG_ADMIN_TOKEN": TOKEN}
        server = stack.enter_context(start_imgbang(home / "imgbang", gathered.root, env))
        generator = stack.enter_context(Generator())
        requests = mixed_requests(gathered, broken_names, _tags(server, gathered))
        curve = Curve(server)
        run = _watch(
            server,
            curve,
            interval,
            lambda: generator.closed(server.url, requests, connections, seconds=minutes * 60),
        )
        server.wait_quiet(seconds=30)
        time.sleep(rest)  # by default longer than a staged original lingers after its last user
        staged_after = len(server.staged_files())
        at_rest = sum(server.resident().values()) / MIB
        events = {
            event: int(server.metric("imgbang_worker_events", event=event))
            for event in ("crash", "timeout", "recycled")
        }
    _print_answers(report, run, broken_names)
    _print_curve(report, curve)
    growth = slope(last_half(curve.total))
    per_thousand = growth * run.seconds / (len(run.samples) / 1000)
    settled = [size for _, size in last_half(curve.total)]
    report.table(
        "Soak: in numbers",
        ["figure", "value"],
        [
            ["slope of the sum over the last half, MiB/min", growth * 60],
            ["the same per 1000 requests, MiB", per_thousand],
            ["highest sum / mean of the last half", max(y for _, y in curve.total) / (sum(settled) / len(settled))],
            [f"sum after {rest:g} s of rest, MiB", at_rest],
            ["descriptors of the front: first, highest, last", f"{curve.descriptors[0]}, {max(curve.descriptors)}, {curve.descriptors[-1]}"],
            [f"staged files: highest, after {rest:g} s of rest", f"{max(curve.staged)}, {staged_after}"],
            ["workers", counted(events)],
        ],
    )  # fmt: skip
    report.raw = {"resident_mib": curve.lines, "staged": curve.staged, "descriptors": curve.descriptors}
    return report


def mixed_requests(photos: Photos, broken: Sequence[str], tags: dict[str, str], *, count: int = _LIST) -> list[Request]:
    """A seeded mixture after `SHARES`; the generator goes through it over and over."""
    chance = random.Random(4)
    shares = {kind: share for kind, share in SHARES.items() if kind != "broken" or broken}
    requests = []
    for kind in chance.choices(list(shares), list(shares.values()), k=count):
        # Copy 0 is never purged: its entity tags stay in memory, and conditions on them are hits.
        copy = 0 if kind == "conditional" else chance.randrange(COPIES)
        key = f"c{copy}/{chance.choice(photos.names)}"
        path = image_path(key, chance.choice(BOXES))
        if kind == "conditional":
            path = chance.choice(list(tags))
            requests.append(Request(kind, path, (("If-None-Match", tags[path]),)))
        elif kind == "original":
            requests.append(Request(kind, f"/{quote(key)}"))
        elif kind == "missing":
            requests.append(Request(kind, image_path(f"no-such-{chance.randrange(1000)}.jpg", BOXES[0])))
        elif kind == "broken":
            requests.append(Request(kind, image_path(f"broken/{chance.choice(broken)}", chance.choice(BOXES))))
        else:
            requests.append(Request(kind, path))
    return requests


def _tags(server: Imgbang, photos: Photos) -> dict[str, str]:
    """The entity tags of all pictures of copy 0; asking for them warms everything up."""
    paths = [image_path(f"c0/{name}", box) for name in photos.names for box in BOXES]
    with ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(server.get, paths))
    return {path: reply.headers["etag"] for path, reply in zip(paths, replies, strict=True) if reply.status == 200}


def _add_broken(broken: Path | None, root: Path) -> list[str]:
    folder = root / "broken"
    folder.mkdir()
    for path in sorted(broken.iterdir()) if broken else []:
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    return [path.name for path in folder.iterdir()]


def _watch(server: Imgbang, curve: Curve, interval: float, load: Callable[[], Run]) -> Run:
    """Load and purge, looking meanwhile."""
    stop = threading.Event()

    def purge() -> None:
        number = 0
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        while not stop.wait(1.0):
            number = number % (COPIES - 1) + 1
            server.get("/-/api/purge", headers, method="POST", body=b'{"prefixes": ["c%d/"]}' % number)

    def look() -> None:
        while not stop.is_set():
            try:
                curve.look()
            except psutil.NoSuchProcess:
                return  # the front has gone: the generator will say so
            stop.wait(interval)

    threads = [threading.Thread(target=purge), threading.Thread(target=look)]
    for thread in threads:
        thread.start()
    try:
        return load()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _print_answers(report: Report, run: Run, broken: Sequence[str]) -> None:
    rows = []
    for kind in SHARES:
        if samples := run.of(kind):
            statuses: Counter[object] = Counter(one.status for one in samples)
            times = [milliseconds(samples, share) for share in (0.5, 0.99, 1.0)]
            rows.append([kind, len(samples), counted(statuses), *times])
    rate = f"{run.rate:.0f} requests/s over {run.seconds:.0f} s; {len(broken)} broken files"
    report.table("Soak: answers", ["kind", "requests", "statuses", "p50 ms", "p99 ms", "longest ms"], rows, note=rate)


def _print_curve(report: Report, curve: Curve) -> None:
    rows = []
    for name, points in {**curve.lines, "sum": curve.total}.items():
        sizes = [size for _, size in points]
        picked = [f"{size:.0f}" for size in thinned(sizes, 8)]
        rows.append([name, sparkline(thinned(sizes, 40)), " ".join(picked), max(sizes), slope(last_half(points)) * 60])
    columns = ["process", "curve", "MiB at even times", "highest MiB", "MiB/min, last half"]
    report.table("Soak: resident memory", columns, rows)
    OUT.mkdir(exist_ok=True)
    plot = line_plot("Resident memory under mixed load", "seconds", "MiB", {**curve.lines, "sum": curve.total})
    (OUT / "soak.svg").write_text(plot, encoding="utf-8")

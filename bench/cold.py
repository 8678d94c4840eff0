"""Cold requests: imgbang with nothing stored, beside the decode floor, plain libvips, and any peer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from bench.figures import Ratio, counted, middle, paired_ratio, turns
from bench.floor import DECODER, Work, Workers, decode, thumbnail
from bench.load import Generator
from bench.report import Report
from bench.scaling import add_scores, scores_of
from bench.servers import NO_CACHES, Imgbang, start_imgbang
from bench.workload import (
    BOXES,
    JPEG,
    OTHERS,
    Box,
    ColdNames,
    Request,
    gather_photos,
    image_path,
    peer_paths,
)

FLOOR, LIBVIPS, IMGBANG = f"decode floor ({DECODER})", "libvips, no HTTP", "imgbang over HTTP"
WORKERS = 2
_WARM_ROUNDS = 3
"""Of all JPEGs, before anything is measured: the first takes half as long again."""
_OTHER_ROUNDS = 10
"""Few photos, of which one takes as long as ten: a short run would measure who happens to have it last, and who has not
yet loaded the decoder."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What runs the contenders."""

    generator: Generator
    workers: Workers
    server: Imgbang


class Cold:
    """The contenders of one run, and what each of them did."""

    def __init__(self, home: Path, photos: Path | None, peers: Mapping[str, str], connections: int) -> None:
        self._home = home
        self.photos = gather_photos(photos, home / "images")
        self._peers = peers
        self._connections = connections
        self._jpegs = ColdNames(self.photos, self.photos.only(JPEG))
        self.others = self.photos.only(OTHERS)
        self._other_names = ColdNames(self.photos, self.others, seed=2) if self.others else None
        self.images = len(self.photos.only(JPEG))
        self.works: dict[tuple[str, str], list[Work]] = defaultdict(list)
        """By contender and size, one for each repeat."""
        self.front_cpu: dict[str, list[float]] = defaultdict(list)
        self.failures: dict[str, int] = defaultdict(int)

    def measure(self, repeats: int, rounds: int) -> None:
        """All contenders live through all repeats; their order changes with each."""
        names = [FLOOR, LIBVIPS, IMGBANG, *self._peers]
        env = {**NO_CACHES, "IMGBANG_RENDER_WORKERS": str(WORKERS)}
        with (
            Generator() as generator,
            Workers(WORKERS) as workers,
            start_imgbang(self._home / "imgbang", self.photos.root, env) as server,
        ):
            tools = Tools(generator, workers, server)
            self._warm_up(tools)
            for order in turns(names, repeats):
                for box in BOXES:
                    keys = self._jpegs.rounds(rounds)
                    for name in order:
                        self._once(name, box, keys, tools)
                self._once_others(order, tools)

    def _warm_up(self, tools: Tools) -> None:
        keys = self._jpegs.rounds(_WARM_ROUNDS)
        paths = [self.photos.root / key for key in keys]
        tools.workers.run(decode, paths, BOXES[1])
        tools.workers.run(thumbnail, paths, BOXES[1])
        tools.generator.closed(
            tools.server.url, [Request("warm", image_path(key, BOXES[1])) for key in keys], self._connections
        )

    def _once(self, name: str, box: Box, keys: list[str], tools: Tools) -> None:
        paths = [self.photos.root / key for key in keys]
        if name == FLOOR:
            work = tools.workers.run(decode, paths, box)
        elif name == LIBVIPS:
            work = tools.workers.run(thumbnail, paths, box)
        elif name == IMGBANG:
            work = self._ask(tools, keys, box)
        else:
            work = self._ask_peer(name, keys, box, tools.generator)
        self.works[name, str(box)].append(work)

    def _once_others(self, order: list[str], tools: Tools) -> None:
        """The other formats at 400 px; neither the floor nor every peer can read them."""
        if self._other_names is None:
            return
        keys = self._other_names.rounds(_OTHER_ROUNDS)
        for name in order:
            if name == LIBVIPS:
                work = tools.workers.run(thumbnail, [self.photos.root / key for key in keys], BOXES[1])
            elif name == IMGBANG:
                work = self._ask(tools, keys, BOXES[1], note="others")
            else:
                continue
            self.works[name, "others"].append(work)

    def _ask(self, tools: Tools, keys: list[str], box: Box, *, note: str = "") -> Work:
        requests = [Request("cold", image_path(key, box)) for key in keys]
        server = tools.server
        before = server.cpu_seconds()
        run = tools.generator.closed(server.url, requests, self._connections)
        front, children = (after - earlier for after, earlier in zip(server.cpu_seconds(), before, strict=True))
        self.front_cpu[note or str(box)].append(front / len(keys) * 1000)
        if set(run.statuses) != {200}:
            raise SystemExit(f"imgbang answers {counted(run.statuses)} at {box}: there is nothing to compare")
        return Work(len(keys), run.seconds, front + children)

    def _ask_peer(self, name: str, keys: list[str], box: Box, generator: Generator) -> Work:
        parts = urlsplit(self._peers[name])
        requests = [Request("cold", path) for path in peer_paths(_path_of(self._peers[name]), keys, box)]
        run = generator.closed(f"http://{parts.netloc}", requests, self._connections)
        self.failures[name] += sum(count for status, count in run.statuses.items() if status != 200)
        return Work(len(keys), run.seconds, float("nan"))


def _path_of(template: str) -> str:
    """The path of a URL template; urlsplit would stumble over nothing in it, but {n} may stand in the query."""
    return "/" + template.split("://", 1)[-1].partition("/")[2]


def cold(photos: Path | None, *, repeats: int, rounds: int, connections: int, peers: Mapping[str, str]) -> Report:
    """Measure and print; the figures are medians over the repeats."""
    parameters = {"repeats": repeats, "rounds": rounds, "connections": connections, "workers": WORKERS, "peers": peers}
    report = Report("cold", parameters)
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        run = Cold(home, photos, peers, connections)
        run.measure(repeats, rounds)
        scores = scores_of(home, run.photos, BOXES)
    rows = [_row(run, str(box), name) for box in BOXES for name in (FLOOR, LIBVIPS, IMGBANG, *peers)]
    report.table(
        f"Cold: {run.images} JPEG photos, two worker processes, nothing stored",
        [
            "box",
            "contender",
            "images/s",
            "of libvips",
            "of the floor",
            "CPU ms/image",
            "of it front",
            "of libvips, by CPU",
        ],
        rows,
        note=f"Medians of {repeats} repeats of {rounds} rounds; ratios are of pairs: median (lowest–highest). "
        f"Failed answers of peers: {counted(run.failures) or 'none'}.",
    )
    add_scores(report, "Cold", scores)
    if run.others:
        other_rows = [
            [
                name,
                len(run.others),
                middle([work.rate for work in run.works[name, "others"]]),
                _ratio(run, "others", name),
                middle([work.cpu_ms for work in run.works[name, "others"]]),
            ]
            for name in (LIBVIPS, IMGBANG)
        ]
        title = "Cold: the photos in other formats, as JPEG of 400 px"
        report.table(title, ["contender", "photos", "images/s", "of libvips", "CPU ms/image"], other_rows)
    report.raw = {
        f"{name}, {box}": [{"rate": work.rate, "cpu_ms": work.cpu_ms} for work in works]
        for (name, box), works in run.works.items()
    }
    return report


def _row(run: Cold, box: str, name: str) -> list[object]:
    works = run.works[name, box]
    front = middle(run.front_cpu[box]) if name == IMGBANG else float("nan")
    rate, cpu = middle([work.rate for work in works]), middle([work.cpu_ms for work in works])
    floor = paired_ratio(_rates(run, box, name), _rates(run, box, FLOOR))
    libvips = [work.cpu_ms for work in run.works[LIBVIPS, box]]
    by_cpu = paired_ratio(libvips, [work.cpu_ms for work in run.works[name, box]])
    return [box, name, rate, _ratio(run, box, name), f"{floor.median:.2f}", cpu, front, _of_libvips(by_cpu)]


def _of_libvips(by_cpu: Ratio) -> str:
    """As a cell; of a peer, no CPU is known."""
    return "–" if math.isnan(by_cpu.median) else f"{by_cpu.median:.2f}"


def _rates(run: Cold, box: str, name: str) -> list[float]:
    return [work.rate for work in run.works[name, box]]


def _ratio(run: Cold, box: str, name: str) -> str:
    return str(paired_ratio(_rates(run, box, name), _rates(run, box, LIBVIPS)))

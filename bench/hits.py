"""Hits: from memory, from the results' directory, and 304, each beside a bare aiohttp handler on uvloop.

Server and generator have a processor each where there are two: the figures are those of one core of a front.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import counted, middle, paired_ratio, turns
from bench.load import Generator, milliseconds
from bench.report import Report
from bench.servers import Bare, Imgbang, start_imgbang
from bench.workload import JPEG, Box, Photos, Request, gather_photos, image_path
from proxy.machine import usable_cpus

MEMORY, DIRECTORY, UNCHANGED = "memory", "directory", "304"
BARE, BARE_UNCHANGED = "bare aiohttp", "bare aiohttp, 304"
REFERENCE = {MEMORY: BARE, DIRECTORY: BARE, UNCHANGED: BARE_UNCHANGED}
EXPECTED = {UNCHANGED: 304, BARE_UNCHANGED: 304}


@dataclass(frozen=True, slots=True)
class Contender:
    """A server and what to ask it."""

    server: Imgbang | Bare
    requests: Sequence[Request]


@dataclass(frozen=True, slots=True)
class Shot:
    """One measurement."""

    rate: float
    cpu_us: float
    """CPU microseconds of the server per request."""
    p50: float
    p99: float
    generator_busy: float


def hits(photos: Path | None, *, repeats: int, seconds: float, connections: int, boxes: Sequence[Box]) -> Report:
    """Measure and print; the figures are medians over the repeats."""
    report = Report("hits", {"repeats": repeats, "seconds": seconds, "connections": connections})
    server_cpu, generator_cpu = (0, 1) if usable_cpus() > 1 else (None, None)
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        gathered = gather_photos(photos, home / "images")
        generator = stack.enter_context(Generator(cpu=generator_cpu))
        rendering = {"IMGBANG_RESULTS": (home / "results").as_uri(), "IMGBANG_FRESHNESS": "1h"}
        with_memory = stack.enter_context(start_imgbang(home / "memory", gathered.root, rendering))
        without = {**rendering, "IMGBANG_CACHE_BYTES": "0"}
        no_memory = stack.enter_context(start_imgbang(home / "directory", gathered.root, without))
        for box in boxes:
            with ExitStack() as inner:
                contenders = _contenders(inner, gathered, box, with_memory=with_memory, no_memory=no_memory)
                for contender in contenders.values():
                    contender.server.pin(server_cpu)
                shots, odd = _measure(contenders, generator, repeats, seconds, connections)
            _print(report, box, shots, odd)
    return report


def _contenders(
    stack: ExitStack, photos: Photos, box: Box, *, with_memory: Imgbang, no_memory: Imgbang
) -> dict[str, Contender]:
    """Render everything once, and give the bare server the very bytes that came."""
    paths = [image_path(f"c0/{name}", box) for name in photos.only(JPEG)]
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
    tags, files = [], []
    for number, path in enumerate(paths):
        reply = with_memory.get(path)
        if reply.status != 200:
            raise SystemExit(f"{path} answers {reply.status}: {reply.body[:200]!r}")
        tags.append(reply.headers["etag"])
        files.append(folder / str(number))
        files[-1].write_bytes(reply.body)
    with_memory.wait_quiet()
    bare = stack.enter_context(Bare(files))
    conditions = [(("If-None-Match", tag),) for tag in tags]
    return {
        BARE: Contender(bare, [Request(BARE, f"/{number}") for number in range(len(files))]),
        MEMORY: Contender(with_memory, [Request(MEMORY, path) for path in paths]),
        DIRECTORY: Contender(no_memory, [Request(DIRECTORY, path) for path in paths]),
        BARE_UNCHANGED: Contender(bare, [Request(BARE_UNCHANGED, "/0", headers) for headers in conditions[:1]]),
        UNCHANGED: Contender(
            with_memory, [Request(UNCHANGED, path, headers) for path, headers in zip(paths, conditions, strict=True)]
        ),
    }


def _measure(
    contenders: dict[str, Contender], generator: Generator, repeats: int, seconds: float, connections: int
) -> tuple[dict[str, list[Shot]], dict[str, int]]:
    shots: dict[str, list[Shot]] = defaultdict(list)
    odd: dict[str, int] = defaultdict(int)
    for contender in contenders.values():
        generator.closed(contender.server.url, contender.requests, connections, seconds=min(0.5, seconds))
    for order in turns(list(contenders), repeats):
        for name in order:
            contender = contenders[name]
            before = sum(contender.server.cpu_seconds())
            run = generator.closed(contender.server.url, contender.requests, connections, seconds=seconds)
            cpu = sum(contender.server.cpu_seconds()) - before
            count = len(run.samples)
            p50, p99 = milliseconds(run.samples, 0.5), milliseconds(run.samples, 0.99)
            shots[name].append(Shot(run.rate, cpu / count * 1e6, p50, p99, run.generator_cpu / run.seconds))
            if unexpected := count - run.statuses[EXPECTED.get(name, 200)]:
                odd[name] += unexpected
    return shots, odd


def _print(report: Report, box: Box, shots: dict[str, list[Shot]], odd: dict[str, int]) -> None:
    rows = []
    for name, own in shots.items():
        reference = shots[REFERENCE.get(name, name)]
        rate = paired_ratio([shot.rate for shot in own], [shot.rate for shot in reference])
        cpu = paired_ratio([shot.cpu_us for shot in reference], [shot.cpu_us for shot in own])
        columns = ("rate", "cpu_us", "p50", "p99", "generator_busy")
        rows.append(
            [name, *(middle([getattr(shot, column) for shot in own]) for column in columns), rate, f"{cpu.median:.2f}"]
        )
    report.table(
        f"Hits: results of {box}, one core",
        ["answer", "requests/s", "CPU µs", "p50 ms", "p99 ms", "generator busy", "of bare", "of bare, by CPU"],
        rows,
        note=f"Answers other than expected: {counted(odd) or 'none'}.",
    )
    report.raw[str(box)] = {name: [[shot.rate, shot.cpu_us] for shot in own] for name, own in shots.items()}

"""Hits in a bucket (`rclone serve s3`): CPU of the front, calls, and what the client library would take for each read.

The front is measured whole, over HTTP, with its memory off. The two ways to read are measured beside each other in this
process: reads of our own (`proxy/stores/s3_reads.py`) and the library's, in turns.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import uvloop

from bench.figures import middle, paired_ratio, turns
from bench.load import Generator, milliseconds
from bench.report import Report
from bench.servers import Imgbang, start_imgbang
from bench.workload import BOXES, JPEG, Request, gather_photos, image_path
from proxy.config import StoreSettings
from proxy.machine import usable_cpus
from proxy.stores.s3 import S3Store
from tests.servers.rclone import RcloneServer, find_rclone

RESULTS = "results"
OWN, LIBRARY = "reads of our own", "the client library"
AT_ONCE = 8


def bucket(photos: Path | None, *, repeats: int, seconds: float, connections: int) -> Report:
    """Measure and print."""
    report = Report("bucket", {"repeats": repeats, "seconds": seconds, "connections": connections})
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        gathered = gather_photos(photos, home / "images")
        server = RcloneServer(find_rclone(), home / "s3").start()
        stack.callback(server.stop)
        server.make_bucket(RESULTS)
        env = {**server.environment, "IMGBANG_RESULTS": f"s3://{RESULTS}", "IMGBANG_FRESHNESS": "1h"}
        generator = stack.enter_context(Generator(cpu=1 if usable_cpus() > 1 else None))
        paths = [image_path(f"c0/{name}", BOXES[1]) for name in gathered.only(JPEG)]
        with start_imgbang(home / "imgbang", gathered.root, {**env, "IMGBANG_CACHE_BYTES": "0"}) as imgbang:
            loads = [(connections, seconds)] * repeats
            row = _measure_front(imgbang, generator, paths, loads)
        report.table(
            f"Bucket: hits of {BOXES[1]}, memory off",
            ["hits/s", "front, CPU µs", "p50 ms", "p99 ms", "calls of a hit", "calls of a miss"],
            [row],
            note="Calls to the bucket of results; the originals of this run lie in a directory.",
        )
        names = [path.relative_to(server.directory / RESULTS).as_posix() for path in _objects(server)]
        samples = uvloop.run(_measure_reads(server.environment, names, repeats, seconds))
        own = paired_ratio(samples[OWN], samples[LIBRARY])
        report.table(
            "Bucket: one read, beside the library's",
            ["who reads", "CPU µs", "of the library's"],
            [[OWN, middle(samples[OWN]), str(own)], [LIBRARY, middle(samples[LIBRARY]), "1.00"]],
        )
        report.raw["reads"] = samples
    return report


def _objects(server: RcloneServer) -> list[Path]:
    return [path for path in (server.directory / RESULTS).rglob("*") if path.is_file()]


def _measure_front(
    imgbang: Imgbang, generator: Generator, paths: list[str], loads: list[tuple[int, float]]
) -> list[float]:
    def calls() -> float:
        return imgbang.metric("imgbang_store_calls_total", store="results")

    before = calls()
    for path in paths:
        if imgbang.get(path).status != 200:
            raise SystemExit(f"{path} is not answered")
    imgbang.wait_quiet()
    of_a_miss = (calls() - before) / len(paths)
    time.sleep(2.5)  # what was made a moment ago is held for look-ups under way
    requests = [Request("hit", path) for path in paths]
    generator.closed(imgbang.url, requests, AT_ONCE, seconds=0.5)
    figures = []
    for connections, seconds in loads:
        cpu, asked = imgbang.cpu_seconds()[0], calls()
        run = generator.closed(imgbang.url, requests, connections, seconds=seconds)
        count = len(run.samples)
        used = (imgbang.cpu_seconds()[0] - cpu) / count * 1e6
        made = (calls() - asked) / count
        figures.append([run.rate, used, milliseconds(run.samples, 0.5), milliseconds(run.samples, 0.99), made])
    return [*(middle(values) for values in zip(*figures, strict=True)), of_a_miss]


async def _measure_reads(
    environment: Mapping[str, str], names: list[str], repeats: int, seconds: float
) -> dict[str, list[float]]:
    """CPU µs of one read of each kind, one value for each repeat."""
    samples: dict[str, list[float]] = {OWN: [], LIBRARY: []}

    async def no_reads(*_: object, **__: object) -> None:
        return None

    with mock.patch.dict(os.environ, environment):
        async with S3Store(RESULTS, "", StoreSettings()) as own:
            with mock.patch("proxy.stores.s3.reads_of", no_reads):
                async with S3Store(RESULTS, "", StoreSettings()) as library:
                    stores = {OWN: own, LIBRARY: library}
                    for store in stores.values():
                        await _read_for(store, names, 0.3)
                    for order in turns(list(stores), repeats):
                        for name in order:
                            samples[name].append(await _read_for(stores[name], names, seconds))
    return samples


async def _read_for(store: S3Store, names: list[str], seconds: float) -> float:
    """Read for so long, several at once; the CPU µs of one."""
    ends, count, cpu = time.monotonic() + seconds, 0, time.process_time()

    async def reader(first: int) -> None:
        nonlocal count
        index = first
        while time.monotonic() < ends:
            async with store.open(names[index % len(names)]) as opened:
                async for _ in opened.chunks:
                    pass
            index += 1
            count += 1

    await asyncio.gather(*(reader(number) for number in range(AT_ONCE)))
    return (time.process_time() - cpu) / count * 1e6

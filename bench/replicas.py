"""What Redis costs and saves: hits with it and without it, and calls to bucket and Redis for each kind of request."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import middle, paired_ratio, turns
from bench.load import Generator, milliseconds
from bench.report import Report
from bench.servers import Imgbang, start_imgbang
from bench.workload import BOXES, JPEG, Photos, Request, gather_photos, image_path
from proxy.machine import usable_cpus
from tests.servers.redis import RedisServer

THUMB = BOXES[0]


def replicas(photos: Path | None, *, repeats: int, seconds: float, connections: int) -> Report:
    """Measure and print."""
    report = Report("replicas", {"repeats": repeats, "seconds": seconds, "connections": connections})
    server_cpu, generator_cpu = (0, 1) if usable_cpus() > 1 else (None, None)
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        gathered = gather_photos(photos, home / "images")
        redis = stack.enter_context(RedisServer(home / "redis"))
        generator = stack.enter_context(Generator(cpu=generator_cpu))
        shared = {"IMGBANG_RESULTS": (home / "results").as_uri(), "IMGBANG_FRESHNESS": "1h"}
        kinds = {
            "memory": {},
            "memory, with Redis": {"IMGBANG_REDIS": redis.url},
            "store": {"IMGBANG_CACHE_BYTES": "0"},
            "store, with Redis": {"IMGBANG_CACHE_BYTES": "0", "IMGBANG_REDIS": redis.url},
        }
        servers = {
            name: stack.enter_context(start_imgbang(home / str(number), gathered.root, {**shared, **env}))
            for number, (name, env) in enumerate(kinds.items())
        }
        paths = [image_path(f"c0/{name}", THUMB) for name in gathered.only(JPEG)]
        for server in servers.values():
            server.pin(server_cpu)
            for path in paths:
                server.get(path)
            server.wait_quiet()
        _measure_hits(
            report, generator, redis, servers, paths, repeats=repeats, seconds=seconds, connections=connections
        )
        a, b = servers["memory, with Redis"], servers["store, with Redis"]
        _count_calls(report, redis, gathered, a, b)
    return report


def _measure_hits(
    report: Report,
    generator: Generator,
    redis: RedisServer,
    servers: dict[str, Imgbang],
    paths: Sequence[str],
    *,
    repeats: int,
    seconds: float,
    connections: int,
) -> None:
    requests = [Request("hit", path) for path in paths]
    shots: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    calls: dict[str, int] = defaultdict(int)
    for order in turns(list(servers), repeats):
        for name in order:
            server = servers[name]
            cpu, asked = server.cpu_seconds()[0], redis.calls()
            run = generator.closed(server.url, requests, connections, seconds=seconds)
            used = (server.cpu_seconds()[0] - cpu) / len(run.samples) * 1e6
            calls[name] += redis.calls() - asked
            shots[name].append((run.rate, used, milliseconds(run.samples, 0.99)))
    rows = []
    for name, own in shots.items():
        without = shots[name.removesuffix(", with Redis")]
        ratio = paired_ratio([shot[1] for shot in own], [shot[1] for shot in without])
        rows.append([name, *(middle([shot[column] for shot in own]) for column in range(3)), ratio, calls[name]])
    report.table(
        f"Hits of {THUMB}, one core of the front",
        ["answer", "requests/s", "CPU µs", "p99 ms", "CPU of that without", "calls to Redis"],
        rows,
        note="Calls to Redis are those of all repeats together.",
    )
    report.raw.update(shots)


def _count_calls(report: Report, redis: RedisServer, photos: Photos, a: Imgbang, b: Imgbang) -> None:
    """Ask for one picture in each way, and count."""
    name = photos.only(JPEG)[0]
    # Other boxes than before: nothing of them is there yet. The first makes Redis load its scripts.
    for server in (a, b):
        server.get(image_path(f"c0/{photos.only(JPEG)[1]}", BOXES[2]))
        server.get("/nowhere.jpg!thumb")
    target = image_path(f"c0/{name}", BOXES[1])
    cases: list[tuple[str, Imgbang, Callable[[], object]]] = [
        ("miss", a, lambda: a.get(target)),
        ("hit in memory", a, lambda: a.get(target)),
        ("hit in the store", b, lambda: b.get(target)),
        ("missing", a, lambda: a.get("/nothing.jpg!thumb")),
        ("missing, at another replica", b, lambda: b.get("/nothing.jpg!thumb")),
    ]
    rows = []
    for title, server, act in cases:
        before = (_calls(server), redis.calls())
        since = time.perf_counter()
        act()
        took = (time.perf_counter() - since) * 1000
        server.wait_quiet()
        time.sleep(0.1)  # what is told in the background
        rows.append([title, _calls(server) - before[0], redis.calls() - before[1], took])
    report.table("Calls for each request", ["request", "to the bucket", "to Redis", "ms"], rows)


def _calls(server: Imgbang) -> int:
    return int(server.metric("imgbang_store_calls_total"))

"""Measure the costs: one imgbang on S3 with memory, one without, and nginx in front."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from PIL import Image

from bench.figures import middle
from bench.load import Generator
from bench.report import Report
from bench.scale.costs import Costs, RenderCost
from bench.servers import Imgbang, start_imgbang
from bench.workload import BOXES, JPEG, Request, gather_photos, image_path
from tests.servers.nginx import NginxServer, free_ports
from tests.servers.rclone import RcloneServer, find_rclone

MEGAPIXELS = (0.5, 2.0, 6.0, 12.0, 24.0, 48.0)


def measure_costs(photos: Path | None, *, repeats: int, seconds: float, connections: int) -> Report:
    """Measure and print."""
    report = Report("costs", {"repeats": repeats, "seconds": seconds, "connections": connections})
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        bucket = RcloneServer(find_rclone(), home / "s3").start()
        stack.callback(bucket.stop)
        originals = bucket.make_bucket("originals")
        bucket.make_bucket("results")
        gathered = gather_photos(photos, home / "images")
        largest = max(gathered.only(JPEG), key=lambda one: (gathered.root / "c0" / one).stat().st_size)
        _write_sizes(gathered.root / "c0" / largest, originals, repeats)
        port, *_ = free_ports(1)
        env = {**bucket.environment, "IMGBANG_ORIGINALS": "s3://originals", "IMGBANG_RESULTS": "s3://results"}
        env["IMGBANG_FRESHNESS"] = "1h"
        server = stack.enter_context(start_imgbang(home / "memory", originals, {**env, "IMGBANG_PORT": str(port)}))
        without = {**env, "IMGBANG_CACHE_BYTES": "0"}
        no_memory = stack.enter_context(start_imgbang(home / "bucket", originals, without))
        nginx = stack.enter_context(NginxServer(home / "nginx", [port]))
        renders, cold_front = _measure_renders(server, repeats)
        costs = _measure_hits(
            server,
            no_memory,
            nginx,
            renders=renders,
            cold_front=cold_front,
            seconds=seconds,
            connections=connections,
        )
    report.raw = costs.values
    _print(report, costs)
    return report


def _write_sizes(photo: Path, folder: Path, repeats: int) -> None:
    with Image.open(photo) as opened:
        whole = opened.convert("RGB")
    for megapixels in MEGAPIXELS:
        factor = (megapixels * 1e6 / (whole.width * whole.height)) ** 0.5
        size = (round(whole.width * factor), round(whole.height * factor))
        path = folder / f"{megapixels:g}-0.jpg"
        whole.resize(size, Image.Resampling.LANCZOS).save(path, quality=85, subsampling="4:2:0")
        for number in range(1, _own(len(BOXES) - 1, megapixels, repeats).stop):
            (folder / f"{megapixels:g}-{number}.jpg").hardlink_to(path)


def _measure_renders(server: Imgbang, repeats: int) -> tuple[dict[str, RenderCost], float]:
    renders, fronts = {}, []
    for index, box in enumerate(BOXES):
        times, sizes = [], []
        for megapixels in MEGAPIXELS:
            paths = [image_path(f"{megapixels:g}-{number}.jpg", box) for number in _own(index, megapixels, repeats)]
            server.get(paths.pop())
            server.wait_quiet()
            # Together: a process's CPU time is told in steps of 10 ms.
            front, workers = server.cpu_seconds()
            replies = [server.get(path) for path in paths]
            time.sleep(0.1)  # the last save
            after_front, after_workers = server.cpu_seconds()
            assert {reply.status for reply in replies} == {200}, replies
            fronts.append((after_front - front) / len(paths) * 1e6)
            times.append((after_workers - workers) / len(paths) * 1000)
            sizes.append(float(len(replies[0].body)))
        renders[box.preset] = RenderCost(MEGAPIXELS, times, sizes)
    return renders, middle(fronts)


def _own(index: int, megapixels: float, repeats: int) -> range:
    """The numbers of a preset's own copies: one to warm up, and more of the small ones."""
    count = 1 + repeats * (4 if megapixels < 10 else 1)
    return range(index * count, (index + 1) * count)


def _measure_hits(
    server: Imgbang,
    no_memory: Imgbang,
    nginx: NginxServer,
    *,
    renders: dict[str, RenderCost],
    cold_front: float,
    seconds: float,
    connections: int,
) -> Costs:
    paths = [image_path(f"{megapixels:g}-{index * 2}.jpg", BOXES[1]) for megapixels in MEGAPIXELS for index in range(2)]
    tags = {path: server.get(path).headers["etag"] for path in paths}
    for path in paths:
        no_memory.get(path)
    server.wait_quiet()
    plain = [Request("hit", path) for path in paths]
    conditional = [Request("304", path, (("If-None-Match", tag),)) for path, tag in tags.items()]
    with Generator() as generator:

        def front(target: Imgbang, requests: Sequence[Request]) -> float:
            generator.closed(target.url, requests, connections, seconds=0.3)
            before = target.cpu_seconds()[0]
            run = generator.closed(target.url, requests, connections, seconds=seconds)
            return (target.cpu_seconds()[0] - before) / len(run.samples) * 1e6

        url = f"http://127.0.0.1:{nginx.port}"
        # Copies stay good for a second: asked for more slowly than that, and as fast as it goes.
        slow, fast = [], []
        for path in paths:
            nginx.get(path)
        for _ in range(3):
            time.sleep(1.1)
            before = _cpu_of(nginx)
            generator.closed(url, plain, 1)
            slow.append((_cpu_of(nginx) - before) / len(plain) * 1e6)
        before = _cpu_of(nginx)
        run = generator.closed(url, plain, connections, seconds=seconds)
        fast.append((_cpu_of(nginx) - before) / len(run.samples) * 1e6)
        return Costs(
            measured=time.strftime("%Y-%m-%d"),
            renders=renders,
            cold_front=cold_front,
            known=front(server, conditional),
            memory=front(server, plain),
            bucket=front(no_memory, plain),
            nginx_hit=middle(fast),
            nginx_pass=middle(slow),
        )


def _cpu_of(nginx: NginxServer) -> float:
    """CPU seconds of its workers, to the nanosecond: each has one thread."""
    assert nginx.process is not None
    workers = psutil.Process(nginx.process.pid).children()
    return sum(int(Path(f"/proc/{one.pid}/schedstat").read_text("ascii").split()[0]) for one in workers) / 1e9


def _print(report: Report, costs: Costs) -> None:
    rows = [
        [f"{megapixels:g}", *(one.worker_ms[number] for one in costs.renders.values())]
        + [one.size[number] / 1000 for one in costs.renders.values()]
        for number, megapixels in enumerate(MEGAPIXELS)
    ]
    names = [f"{box}" for box in BOXES]
    columns = ["megapixels", *(f"{name}: worker CPU ms" for name in names), *(f"{name}: kB" for name in names)]
    report.table("Costs: cold, by the original's size", columns, rows)
    labels = {
        "cold, the front's part": costs.cold_front,
        "304 to nginx from what is known": costs.known,
        "hit from memory": costs.memory,
        "hit from the bucket": costs.bucket,
        "nginx, its copy": costs.nginx_hit,
        "nginx, asking a replica": costs.nginx_pass,
    }
    report.table("Costs: CPU µs of one answer", ["answer", "CPU µs"], [[name, value] for name, value in labels.items()])

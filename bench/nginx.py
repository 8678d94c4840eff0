"""Hits through nginx, beside the same files served by the same nginx from a directory; and what asking again costs.

nginx has a processor to itself where there are two. Its copies expire while it is measured, as in real life: once a
second one request for each URL waits until imgbang has said that the copy is right.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from bench.figures import middle, paired_ratio, turns
from bench.load import Generator, milliseconds
from bench.report import Report
from bench.servers import Imgbang, pin, start_imgbang
from bench.workload import BOXES, JPEG, ColdNames, Request, gather_photos, image_path
from proxy.machine import usable_cpus
from tests.servers.nginx import NginxServer

STATIC, HIT = "a file in a directory", "a hit of imgbang's result"
PLAIN = "a hit of a cache that does nothing else"
PLAIN_CACHE = """
location ^~ /plain/ {
    proxy_pass http://imgbang/;
    proxy_cache imgbang;
    proxy_cache_key $request_uri;
    proxy_buffer_size 16k;
    proxy_buffers 16 32k;
    proxy_ignore_headers X-Accel-Expires;
}
"""
"""What nginx's cache costs by itself, beside a file: no configuration can be cheaper."""
EXPIRED = 2.2
AGAIN = 200
WRK = shutil.which("wrk")


def nginx(photos: Path | None, *, repeats: int, seconds: float, connections: int) -> Report:
    """Measure and print."""
    report = Report("nginx", {"repeats": repeats, "seconds": seconds, "connections": connections})
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        home.chmod(0o755)
        photos_here = gather_photos(photos, home / "images")
        imgbang = stack.enter_context(start_imgbang(home / "imgbang", photos_here.root, {}))
        (home / "static").mkdir()
        extra = f"location ^~ /static/ {{ root {home}; }}\n{PLAIN_CACHE}"
        server = stack.enter_context(NginxServer(home / "nginx", [imgbang.port], extra=extra))
        _pin(server)
        generator = stack.enter_context(Generator(cpu=1 if usable_cpus() > 1 else None))
        client = Client(server, generator, seconds, connections)
        rows = []
        for box in BOXES:
            path = image_path(f"c0/{photos_here.only(JPEG)[0]}", box)
            rates = _hits(client, path, home / "static" / box.preset, repeats)
            size = (home / "static" / box.preset).stat().st_size
            ratios = [str(paired_ratio(rates[name], rates[STATIC])) for name in (HIT, PLAIN)]
            rows.append([str(box), size, *(middle(rates[name]) for name in (STATIC, HIT, PLAIN)), *ratios])
            report.raw[str(box)] = rates
        report.table(
            "nginx: hits, and the same bytes as a file",
            ["box", "bytes", "file/s", "hit/s", "plain cache/s", "hit of file", "plain cache of file"],
            rows,
            note=f"Medians; the ratio is taken within each repeat. Client: {'wrk' if WRK else 'our own, the slower side'}.",
        )
        keys = ColdNames(photos_here, photos_here.only(JPEG)).at_least(AGAIN)
        samples = _again(client, imgbang, [Request("again", image_path(key, BOXES[0])) for key in keys], repeats)
        title = f"nginx: {AGAIN} pictures one after the other, in milliseconds"
        report.table(title, list(samples), [[middle(values) for values in samples.values()]])
        report.raw["again"] = samples
    return report


@dataclass(frozen=True)
class Client:
    """Who asks nginx, and how."""

    server: NginxServer
    generator: Generator
    seconds: float
    connections: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def rate(self, path: str) -> float:
        """Requests per second: by wrk, which outruns nginx, or else by our own generator, which does not."""
        if WRK is None:
            requests = [Request("hit", path)]
            return self.generator.closed(self.url, requests, self.connections, seconds=self.seconds).rate
        command = [WRK, "-t1", f"-c{self.connections}", f"-d{max(1, round(self.seconds))}s", self.url + path]
        pinned = ["taskset", "-c", "1", *command] if usable_cpus() > 1 else command
        said = subprocess.run(pinned, capture_output=True, text=True, check=True).stdout
        found = re.search(r"Requests/sec:\s+([0-9.]+)", said)
        if found is None or "Non-2xx" in said:
            raise SystemExit(f"{path}: {said}")
        return float(found[1])


def _pin(server: NginxServer) -> None:
    """All of nginx on one processor, so that the figure is that of a core."""
    if usable_cpus() > 1 and server.process is not None:
        for child in psutil.Process(server.process.pid).children():
            pin(child.pid, 0)


def _hits(client: Client, path: str, static: Path, repeats: int) -> dict[str, list[float]]:
    """Requests per second of each contender, one for each repeat."""
    reply = client.server.get(path)
    if reply.status != 200:
        raise SystemExit(f"{path} answers {reply.status}")
    static.write_bytes(reply.body)
    contenders = {STATIC: f"/static/{static.name}", HIT: path, PLAIN: f"/plain{path}"}
    if client.server.get(contenders[PLAIN]).status != 200:
        raise SystemExit(f"{contenders[PLAIN]} is not answered")
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for order in turns(list(contenders), repeats):
        for name in order:
            rates[name].append(client.rate(contenders[name]))
    return rates


def _again(client: Client, imgbang: Imgbang, requests: Sequence[Request], repeats: int) -> dict[str, list[float]]:
    """Pictures that nobody asked for in the last second: nginx asks imgbang, which knows that they are right."""
    client.generator.closed(client.url, requests, 4)
    imgbang.wait_quiet()
    samples: dict[str, list[float]] = defaultdict(list)
    for _ in range(repeats):
        time.sleep(EXPIRED)
        for kind in ("asked again", "hit"):
            run = client.generator.closed(client.url, requests, 1)
            samples[f"{kind} p50"].append(milliseconds(run.samples, 0.5))
            samples[f"{kind} p99"].append(milliseconds(run.samples, 0.99))
    return dict(samples)

"""What a fleet promises: one render for a herd, nothing lost at a restart, an edit that is everywhere at once."""

from __future__ import annotations

import io
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from bench.figures import constant_schedule, counted
from bench.load import Generator, Run, milliseconds
from bench.report import Report
from bench.scale.fleet_servers import Servers
from bench.workload import BOXES, PRESETS, Request

_RATE = 30.0
_LENGTH = 30.0


def measure_herds(report: Report, servers: Servers, photo: Path, connections: int) -> None:
    """One cold URL: through nginx, and past it on every replica."""
    rows = []
    for number, (name, urls) in enumerate(
        (
            ("through nginx", [servers.url]),
            ("on all replicas, past nginx", [f"http://{address}" for address in servers.addresses]),
        )
    ):
        shutil.copyfile(photo, servers.originals / f"herd-{number}.jpg")
        servers.wait_quiet()
        time.sleep(1.5)  # the bucket's directory cache
        renders, fetches = servers.metric("imgbang_renders_total"), servers.metric("imgbang_fetches_total")
        request = Request("herd", f"/herd-{number}.jpg!{BOXES[1].preset}")
        runs = _herd(urls, request, connections)
        servers.wait_quiet()
        statuses: Counter[int] = sum((run.statuses for run in runs), Counter())
        renders = servers.metric("imgbang_renders_total") - renders
        fetches = servers.metric("imgbang_fetches_total") - fetches
        rows.append([name, renders, fetches, max(run.seconds for run in runs) * 1000, counted(statuses)])
    columns = ["herd", "renders", "originals fetched", "last answer, ms", "answers"]
    report.table(f"Fleet: a herd of {connections} on one cold URL ({photo.name})", columns, rows)


def _herd(urls: list[str], request: Request, connections: int) -> list[Run]:
    def run(url: str) -> Run:
        with Generator() as generator:
            generator.herd(url, Request("awake", "/-/live"), 1)
            return generator.herd(url, request, connections // len(urls))

    with ThreadPoolExecutor(len(urls)) as threads:
        return list(threads.map(run, urls))


def measure_losses(report: Report, servers: Servers, generator: Generator) -> None:
    """Constant load, every other request for a picture that nobody asked for yet, while replicas go and come."""

    def roll() -> None:
        for replica in servers.replicas:
            replica.stop()
            replica.start()

    def kill() -> None:
        servers.replicas[0].stop(signal.SIGKILL)
        time.sleep(3)
        servers.replicas[0].start()

    rows = []
    for number, (name, happens) in enumerate((("rolling restart of all", roll), ("one killed with SIGKILL", kill))):
        run, seconds = _under_load(servers, generator, number, happens)
        failed = sum(count for status, count in run.statuses.items() if status != 200)
        p99 = milliseconds(run.samples, 0.99)
        rows.append([name, seconds, len(run.samples), failed, counted(run.statuses), p99])
    columns = ["what happens", "for s", "requests", "failed", "answers", "p99 ms"]
    report.table(f"Fleet: {_RATE:g} requests/s through nginx meanwhile", columns, rows)


def _under_load(servers: Servers, generator: Generator, number: int, happens: Callable[[], None]) -> tuple[Run, float]:
    originals = sorted(int(path.stem) for path in servers.originals.glob("[0-9]*.jpg"))
    requests = []
    for index, due in enumerate(constant_schedule(_RATE, _LENGTH)):
        picture = originals[index % 40] if index % 2 else originals[-1 - index % len(originals)]
        new = "" if index % 2 else f"?v={number}-{index}"  # another URL for nginx
        requests.append((due, Request("picture", f"/{picture}.jpg!{BOXES[0].preset}{new}")))
    took = []

    def later() -> None:
        time.sleep(2)
        began = time.monotonic()
        happens()
        took.append(time.monotonic() - began)

    thread = threading.Thread(target=later)
    thread.start()
    run = generator.constant(servers.url, requests)
    thread.join()
    return run, took[0]


def measure_edit(report: Report, servers: Servers) -> None:
    """A preset is edited; hot URLs are asked for through nginx until all of them show it."""
    urls = [f"/{number}.jpg!{BOXES[0].preset}" for number in range(20)]
    for url in urls:
        servers.nginx.get(url)
    before = BOXES[0].width
    after = before + 10
    text = PRESETS.replace(f"width = {before}\nheight = {before}", f"width = {after}\nheight = {after}")
    servers.presets.write_text(text, "utf-8")
    edited = time.monotonic()
    first_new, last_old = None, 0.0
    while (now := time.monotonic() - edited) < 6:
        for url in urls:
            asked = time.monotonic() - edited
            with Image.open(io.BytesIO(servers.nginx.get(url).body)) as picture:
                if picture.width == after:
                    first_new = first_new or asked
                else:
                    last_old = asked
        time.sleep(max(0.0, 0.1 - (time.monotonic() - edited - now)))
    servers.presets.write_text(PRESETS, "utf-8")
    row = [first_new if first_new is not None else float("nan"), last_old]
    report.table(
        "Fleet: an edited preset through nginx",
        ["first new answer, s", "last old answer, s"],
        [row],
        note=f"{len(urls)} hot URLs, each asked for about ten times a second; seconds after presets.toml was written.",
    )

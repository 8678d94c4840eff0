"""From nothing to the first picture, and what an idle server holds in memory; peers beside it where they are installed.

Peers are started by this command when their programs are on the path: `thumbor` and `ipx`. Memory is counted as PSS: what
processes share is divided among them, so that the sum is what the machine really gives.
"""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import psutil

from bench.figures import middle
from bench.report import Report
from bench.servers import MIB, start_imgbang
from bench.workload import BOXES, JPEG, gather_photos, image_path
from tests.servers.nginx import free_ports

BOX = BOXES[0]
PATIENCE = 60.0
REST = 2.0
"""Seconds after the first answer until memory is counted."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another server: how it is started, and where it has the picture."""

    program: str
    command: Callable[[Path, int], list[str]]
    path: Callable[[str], str]


def _thumbor(folder: Path, port: int) -> list[str]:
    settings = folder.parent / "thumbor.conf"
    settings.write_text(
        f"LOADER = 'thumbor.loaders.file_loader'\nFILE_LOADER_ROOT_PATH = {str(folder)!r}\nALLOW_UNSAFE_URL = True\n"
    )
    return ["thumbor", "--port", str(port), "--conf", str(settings)]


PEERS = (
    Peer("thumbor", _thumbor, lambda name: f"/unsafe/{BOX.width}x{BOX.height}/{name}"),
    Peer(
        "ipx",
        lambda folder, port: ["ipx", "serve", "--dir", str(folder), "--port", str(port)],
        lambda name: f"/s_{BOX.width}x{BOX.height}/{name}",
    ),
)


def start(photos: Path | None, *, repeats: int) -> Report:
    """Measure and print."""
    report = Report("start", {"repeats": repeats})
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        gathered = gather_photos(photos, home / "images")
        name = min(gathered.only(JPEG), key=lambda one: (gathered.root / "c0" / one).stat().st_size)
        rows = [
            _row(
                "imgbang, 2 workers",
                [_start_imgbang(home / f"imgbang-{n}", gathered.root, name) for n in range(repeats)],
            )
        ]
        for peer in PEERS:
            if shutil.which(peer.program):
                runs = [_start_peer(peer, gathered.root / "c0", name) for _ in range(repeats)]
                rows.append(_row(peer.program, runs))
            else:
                rows.append([f"{peer.program}: not installed", "", "", "", ""])
        report.table(
            f"Start: until the first picture of {BOX} is there, and idle memory",
            ["server", "seconds", "slowest", "processes", "idle MiB (PSS)"],
            rows,
            note=f"Medians of {repeats}. The photo is {name}. Memory {REST:g} s after the first answer, all processes together.",
        )
        report.raw["rows"] = rows
    return report


def _row(name: str, runs: list[tuple[float, int, float]]) -> list[object]:
    seconds, processes, memory = zip(*runs, strict=True)
    return [name, middle(seconds), max(seconds), round(middle(processes)), middle(memory)]


def _start_imgbang(home: Path, originals: Path, name: str) -> tuple[float, int, float]:
    server = start_imgbang(home, originals, {"IMGBANG_RENDER_WORKERS": "2"})
    began = time.perf_counter()
    with server:
        if server.get(image_path(f"c0/{name}", BOX)).status != 200:
            raise SystemExit(f"{name} is not answered")
        seconds = time.perf_counter() - began
        time.sleep(REST)
        return seconds, *_memory(server.front)


def _start_peer(peer: Peer, folder: Path, name: str) -> tuple[float, int, float]:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}{peer.path(quote(name))}"
    began = time.perf_counter()
    process = subprocess.Popen(peer.command(folder, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            with suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(url, timeout=5) as reply:
                reply.read()
                break
            if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                raise SystemExit(f"{peer.program} does not answer {url}")
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        time.sleep(REST)
        return seconds, *_memory(psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(10)


def _memory(process: psutil.Process) -> tuple[int, float]:
    """How many processes there are, and their memory in MiB."""
    family = [process, *process.children(recursive=True)]
    return len(family), sum(one.memory_full_info().pss for one in family) / MIB

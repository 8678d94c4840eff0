"""What is measured over HTTP: a whole imgbang in a process of its own, and the least that aiohttp can do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from bench.workload import PRESETS
from tests.servers.imgbang import ImgbangServer

MIB = 1024 * 1024
NO_CACHES = {"IMGBANG_RESULTS": "none", "IMGBANG_CACHE_BYTES": "0"}
"""Every request is a render."""


class Imgbang(ImgbangServer):
    """imgbang as the tests start it, with a look at what its processes cost."""

    def __enter__(self) -> Self:
        self.start()
        return self

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def front(self) -> psutil.Process:
        """The process that talks HTTP."""
        assert self.process is not None
        return psutil.Process(self.process.pid)

    def pin(self, cpu: int | None) -> None:
        """Keep the front on one processor."""
        if cpu is not None:
            pin(self.front.pid, cpu)

    def cpu_seconds(self) -> tuple[float, float]:
        """CPU so far of the front, and of all its children together."""
        children = 0.0
        for child in self.front.children(recursive=True):
            with suppress(psutil.Error):
                children += cpu_seconds(child)
        return cpu_seconds(self.front), children

    def resident(self) -> dict[str, int]:
        """Resident bytes of the front, and of each render worker in the order of their process ids."""
        sizes = {"front": self.front.memory_info().rss}
        for number, pid in enumerate(sorted(self.worker_pids())):
            with suppress(psutil.Error):
                sizes[f"worker {number}"] = psutil.Process(pid).memory_info().rss
        return sizes


def start_imgbang(home: Path, originals: Path, env: Mapping[str, str]) -> Imgbang:
    """Make an imgbang in `home` that serves `originals`; enter it to start it."""
    home.mkdir(parents=True)
    return Imgbang(home, env={"IMGBANG_ORIGINALS": originals.as_uri(), **env}, presets=PRESETS)


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def pin(pid: int, cpu: int) -> None:
    """Keep every thread of a process on one processor."""
    for thread in psutil.Process(pid).threads():
        with suppress(psutil.Error, ProcessLookupError):
            psutil.Process(thread.id).cpu_affinity([cpu])


@dataclass
class Bare:
    """aiohttp on uvloop with a handler that does nothing but return bytes (see `bench.bare`)."""

    bodies: Sequence[Path]
    process: subprocess.Popen[str] | None = None
    port: int = 0

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.bare", *map(str, self.bodies)]
        root = Path(__file__).resolve().parents[1]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    @property
    def url(self) -> str:
        """Where it serves; body number n is at /n."""
        return f"http://127.0.0.1:{self.port}"

    def pin(self, cpu: int | None) -> None:
        """Keep it on one processor."""
        if cpu is not None and self.process is not None:
            pin(self.process.pid, cpu)

    def cpu_seconds(self) -> tuple[float, float]:
        """CPU so far; it has no children."""
        assert self.process is not None
        return cpu_seconds(psutil.Process(self.process.pid)), 0.0

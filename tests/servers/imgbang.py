"""A whole imgbang in a process of its own, as an operator runs it, on a free port of this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

PRESETS = """
adhoc = { sizes = ["50x50", "100x"] }
[presets.thumb]
width = 50
height = 50
fit = "cover"
[presets.small]
width = 400
height = 400
[presets.large]
width = 1200
height = 1200
[presets.auto]
width = 100
format = "auto"
"""

START_SECONDS = 30.0


@dataclass(frozen=True)
class Reply:
    """An answer: status, headers (names in lower case), body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        """The body, read as JSON."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


def ask(
    port: int,
    target: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    body: bytes | None = None,
) -> Reply:
    """Send one request with exactly this target to a port of this machine and read the answer."""
    headers = headers or {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        reply = connection.getresponse()
        content = reply.read()
        return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, content)


@dataclass
class ImgbangServer:
    """Start it, ask it, look into it, stop it. Directories lie below `home`; `env` adds or overrides settings."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)
    presets: str = PRESETS
    arguments: tuple[str, ...] = ()
    wrapper: tuple[str, ...] = ()
    """A program that runs it."""
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    @property
    def originals(self) -> Path:
        """The directory of originals, unless `env` says otherwise."""
        return self.home / "images"

    @property
    def results(self) -> Path:
        """The directory of results, unless `env` says otherwise."""
        return self.home / "results"

    @property
    def staging(self) -> Path:
        """The staging directory."""
        return self.home / "staging"

    @property
    def log_path(self) -> Path:
        """Where its log goes."""
        return self.home / "log"

    def start(self) -> Self:
        """Start it and wait until it serves."""
        self.originals.mkdir(parents=True, exist_ok=True)
        presets = self.home / "presets.toml"
        if not presets.exists():
            presets.write_text(self.presets, encoding="utf-8")
        with self.log_path.open("ab") as log:
            offset = log.tell()
            self.process = subprocess.Popen(
                [*self.wrapper, sys.executable, "-m", "proxy.cli", "serve", *self.arguments],
                cwd=self.home,
                env=self._environment(),
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            said = self.log_path.read_bytes()[offset:].decode(errors="replace")
            match = re.search(r'"url": ?"http://127\.0\.0\.1:(\d+)/"', said)
            if match:
                self.port = int(match[1])
                return self
            if self.process.poll() is not None:
                raise AssertionError(f"imgbang ended with {self.process.returncode}:\n{said}")
            time.sleep(0.02)
        self.stop()
        raise AssertionError(f"imgbang did not start within {START_SECONDS} s:\n{said}")

    def stop(self, number: signal.Signals = signal.SIGTERM, *, timeout: float = 30.0) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def get(
        self, target: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: bytes | None = None
    ) -> Reply:
        """Send one request with exactly this target and read the answer."""
        return ask(self.port, target, headers, method=method, body=body)

    def raw(self, data: bytes, *, seconds: float = 10.0) -> bytes:
        """Send bytes as they are and return everything that comes back until the other side closes."""
        received = bytearray()
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
            while select.select([connection], [], [], seconds)[0]:
                try:
                    chunk = connection.recv(65536)
                except OSError:
                    break
                if not chunk:
                    break
                received += chunk
        return bytes(received)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        total = 0.0
        for line in self.get("/-/metrics").body.decode().splitlines():
            match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if match and all(f'{label}="{value}"' in (match[1] or "") for label, value in labels.items()):
                total += float(match[2])
        return total

    def worker_pids(self) -> list[int]:
        """The processes that render: descendants that have libvips mapped."""
        assert self.process is not None
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error, OSError):
                if "libvips" in Path(f"/proc/{child.pid}/maps").read_text(encoding="ascii", errors="replace"):
                    found.append(child.pid)
        return found

    def wait_quiet(self, *, seconds: float = 15.0) -> None:
        """Wait until nothing is under way: no flights, no slots taken, no saves pending."""
        deadline = time.monotonic() + seconds
        busy = 1.0
        while busy and time.monotonic() < deadline:
            busy = (
                self.metric("imgbang_flights")
                + self.metric("imgbang_gate_inside")
                + self.metric("imgbang_pending_saves")
            )
            if busy:
                time.sleep(0.05)
        assert not busy, "still busy: flights, slots or saves did not come to an end"

    def wait_for(self, target: str, wanted: Callable[[Reply], bool], *, seconds: float = 10.0) -> Reply:
        """Ask again and again until the answer is as wanted."""
        deadline = time.monotonic() + seconds
        while not wanted(reply := self.get(target)):
            assert time.monotonic() < deadline, f"{target} never answered as wanted; the last was {reply.status}"
            time.sleep(0.05)
        return reply

    def staged_files(self) -> list[Path]:
        """Every file in the staging directory but the locks."""
        return [path for path in self.staging.rglob("*") if path.is_file() and path.name != ".lock"]

    def log_lines(self) -> list[dict[str, object]]:
        """The log, one object for each line that is one."""
        lines = []
        for line in self.log_path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
        return lines

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("IMGBANG_", "AWS_"))}
        return {
            **inherited,
            "IMGBANG_PORT": "0",
            "IMGBANG_ORIGINALS": self.originals.as_uri(),
            "IMGBANG_RESULTS": self.results.as_uri(),
            "IMGBANG_STAGING_DIR": str(self.staging),
            "IMGBANG_RENDER_WORKERS": "2",
            **self.env,
        }

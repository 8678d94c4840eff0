"""A real nginx on this machine with the configuration of `nginx/`: only its ports and directories are other ones.

Where nginx is not installed, tests are skipped and say what was not proven; with `CI` set they fail. The variable
`NGINX` names another program than the one on the path, to try another version.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from tests.servers.imgbang import Reply, ask

CONFIGURATION = Path(__file__).resolve().parents[2] / "nginx"


@dataclass
class NginxServer:
    """Start it before replicas at these ports; its files lie below `home`."""

    home: Path
    replicas: Sequence[int]
    classes: bool = False
    """Whether `accept.conf` is included."""
    extra: str = ""
    """Directives added to the public server."""
    port: int = 0
    status_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Write the configuration, start, and wait until it answers."""
        program = find_nginx()
        self._write()
        command = [program, "-e", str(self.home / "log/error.log"), "-p", str(self.home), "-c"]
        command += [str(self.home / "etc/nginx.conf"), "-g", "daemon off;"]
        subprocess.run([*command, "-t", "-q"], check=True)
        self.process = subprocess.Popen(command)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                if ask(self.status_port, "/live").status == 200:
                    return self
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise AssertionError(f"nginx did not start:\n{self.error_log}")

    def stop(self) -> None:
        """Stop at once."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def get(self, target: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Reply:
        """Send one request with exactly this target and read the answer."""
        return ask(self.port, target, headers, method=method)

    def log_lines(self) -> list[dict[str, object]]:
        """The access log."""
        return [json.loads(line) for line in (self.home / "log/access.log").read_text("utf-8").splitlines()]

    def cached_files(self) -> int:
        """How many copies it keeps."""
        return sum(path.is_file() for path in (self.home / "cache/imgbang").rglob("*"))

    @property
    def error_log(self) -> str:
        """What it complained about."""
        return (self.home / "log/error.log").read_text("utf-8", errors="replace")

    def _write(self) -> None:
        self.port, self.status_port = free_ports(2)
        for name in ("etc", "cache", "log", "run"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        for path in CONFIGURATION.glob("*.conf"):
            text = path.read_text("utf-8")
            for there, here in (
                ("/var/cache/nginx", "cache"),
                ("/var/log/nginx", "log"),
                ("/run/nginx.pid", "run/pid"),
            ):
                text = text.replace(there, str(self.home / here))
            (self.home / "etc" / path.name).write_text(text, "utf-8")
        etc = self.home / "etc"
        if os.geteuid() == 0:  # its workers would be "nobody", who cannot enter the directories of tests
            _edit(etc / "nginx.conf", "worker_processes auto;", "user root;\nworker_processes auto;")
        _edit(etc / "status.conf", "127.0.0.1:8081", f"127.0.0.1:{self.status_port}")
        (etc / "listen.conf").write_text(f"listen 127.0.0.1:{self.port} default_server backlog=1024;\nserver_name _;\n")
        servers = (f"server 127.0.0.1:{port} max_fails=3 fail_timeout=2s;" for port in self.replicas)
        (etc / "replicas.conf").write_text("\n".join(servers))
        extra = "include accept.conf;\n" * self.classes + self.extra
        _edit(etc / "imgbang.conf", "    include listen.conf;", f"    include listen.conf;\n{extra}")


def find_nginx() -> str:
    """The program; skips (or, in CI, fails) the test without it."""
    program = os.environ.get("NGINX") or shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        reason = "nginx is not installed: nothing about nginx in front was proven (apt-get install nginx-light)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text, f"{path.name} has no {old!r}"
    path.write_text(text.replace(old, new, 1), "utf-8")

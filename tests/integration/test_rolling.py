"""Three replicas behind nginx: restarted one after the other, and killed, under constant load."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.pictures import coordinates, encoded
from tests.servers.imgbang import ImgbangServer
from tests.servers.nginx import NginxServer, free_ports

pytestmark = pytest.mark.integration

RATE = 25.0
"""Requests a second: every other one for a URL that nginx has never seen."""
FAIL_TIMEOUT = 2.0
"""Seconds for which nginx leaves a replica alone that has failed."""


class Fleet:
    """Replicas with one directory of originals and one of results, and nginx in front."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.home = home
        shared = {
            "IMGBANG_ORIGINALS": (home / "images").as_uri(),
            "IMGBANG_RESULTS": (home / "results").as_uri(),
            "IMGBANG_RENDER_WORKERS": "1",
        }
        (home / "images").mkdir()
        for number in range(40):
            (home / "images" / f"{number}.jpg").write_bytes(encoded(coordinates(400 + number, 300), "JPEG"))
        self.replicas = []
        for number, port in enumerate(free_ports(3)):
            replica = ImgbangServer(home / f"replica-{number}", env={**shared, "IMGBANG_PORT": str(port)})
            self.replicas.append(stack.enter_context(replica))
        self.nginx = stack.enter_context(NginxServer(home / "nginx", [replica.port for replica in self.replicas]))

    def under_load(self, happens: Callable[[], None]) -> Counter[str]:
        """Ask at a constant rate while something happens, and a second before and after; count the outcomes."""
        outcomes: Counter[str] = Counter()
        over = threading.Event()

        def load() -> None:
            began = time.monotonic()
            with ThreadPoolExecutor(32) as pool:
                number = 0
                while not over.is_set():
                    pool.submit(self._ask, number, outcomes)
                    number += 1
                    time.sleep(max(0.0, began + number / RATE - time.monotonic()))

        thread = threading.Thread(target=load)
        thread.start()
        try:
            time.sleep(1)
            happens()
            time.sleep(1)
        finally:
            over.set()
            thread.join(60)
        return outcomes

    def _ask(self, number: int, outcomes: Counter[str]) -> None:
        size = "thumb" if number % 2 else f"100x?v={number}"  # another URL for nginx each time
        try:
            reply = self.nginx.get(f"/{number % 40}.jpg!{size}")
            whole = len(reply.body) == int(reply.headers.get("content-length", -1))
            outcomes[str(reply.status) if whole else "cut"] += 1
        except (OSError, http.client.HTTPException) as error:
            outcomes[type(error).__name__] += 1


@pytest.fixture(name="fleet", scope="module")
def _fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(tmp_path_factory.mktemp("fleet"), stack)


def test_a_rolling_restart_loses_nothing(fleet: Fleet) -> None:
    """Each replica is stopped and started under load: every request is answered, and each ends with status 0."""
    ends = []

    def restart() -> None:
        for replica in fleet.replicas:
            ends.append(replica.stop())
            replica.start()
            time.sleep(FAIL_TIMEOUT + 0.5)  # as nginx/replicas.conf asks for

    outcomes = fleet.under_load(restart)

    assert ends == [0, 0, 0]
    assert outcomes.keys() == {"200"}, outcomes
    assert outcomes["200"] > 3 * RATE


def test_a_killed_replica_loses_nothing_that_may_be_repeated(fleet: Fleet) -> None:
    """A replica is killed under load: what it was answering is asked of another, so nobody notices."""

    def kill() -> None:
        fleet.replicas[1].stop(signal.SIGKILL)
        time.sleep(2)
        fleet.replicas[1].start()

    outcomes = fleet.under_load(kill)

    assert outcomes.keys() == {"200"}, outcomes


def test_the_last_answer_says_so(tmp_path: Path) -> None:
    """Once it has been asked to stop, an answer under way on a kept-alive connection ends with `Connection: close`."""
    with ImgbangServer(tmp_path, env={"IMGBANG_RENDER_WORKERS": "1"}) as server:
        (server.originals / "big.jpg").write_bytes(encoded(coordinates(9000, 7000), "JPEG"))
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/big.jpg!100x")
        deadline = time.monotonic() + 10
        while not server.metric("imgbang_flights"):
            assert time.monotonic() < deadline
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        body = answer.read()

        assert (answer.status, answer.getheader("Connection")) == (200, "close")
        assert len(body) == int(answer.getheader("Content-Length") or -1)
        assert server.process.wait(20) == 0

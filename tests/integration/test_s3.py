"""On a real S3 server: originals and results in one bucket, and what happens when the server goes away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pictures import coordinates, decoded, encoded
from tests.servers.imgbang import ImgbangServer
from tests.servers.rclone import RcloneServer, find_rclone

pytestmark = pytest.mark.integration


@pytest.fixture(name="s3")
def _s3(tmp_path: Path) -> Iterator[RcloneServer]:
    server = RcloneServer(find_rclone(), tmp_path / "s3").start()
    bucket = server.make_bucket("photos")
    photo = encoded(coordinates(1200, 900), "JPEG", quality=90)
    for number in range(60):
        (bucket / f"{number}.jpg").write_bytes(photo)
    (bucket / "bahía !thumb+%.jpg").write_bytes(photo)
    yield server
    server.stop()


@pytest.fixture(name="on_s3")
def _on_s3(s3: RcloneServer, tmp_path: Path) -> Iterator[ImgbangServer]:
    environment = {
        **s3.environment,
        "IMGBANG_ORIGINALS": "s3://photos",
        "IMGBANG_RESULTS": "s3://photos/.results",
        "IMGBANG_FRESHNESS": "1s",
        "IMGBANG_CONNECT_TIMEOUT": "1s",
        "IMGBANG_READ_TIMEOUT": "2s",
        "IMGBANG_NEGATIVE_TTL": "1s",
    }
    with ImgbangServer(tmp_path / "imgbang", env=environment) as server:
        yield server


def test_results_lie_in_the_bucket(on_s3: ImgbangServer, s3: RcloneServer) -> None:
    """A result is saved beside its original with its type, is found by the next process, and is no original itself."""
    first = on_s3.get("/0.jpg!thumb")
    on_s3.wait_quiet()
    stored = [path.name for path in (s3.directory / "photos" / ".results").iterdir()]
    on_s3.stop()
    on_s3.start()
    again = on_s3.get("/0.jpg!thumb")

    assert decoded(first.body).size == (50, 50)
    assert len(stored) == 1
    assert stored[0].startswith("0.jpg!")
    assert stored[0].endswith(".jpg")
    assert again.headers["cache-status"].startswith("imgbang; hit; detail=store")
    assert again.headers["etag"] == first.headers["etag"]
    assert on_s3.metric("imgbang_renders_total") == 0
    assert on_s3.metric("imgbang_fetches_total") == 0
    assert on_s3.get(f"/.results/{stored[0].replace('!', '%21')}").status == 404


def test_few_calls(on_s3: ImgbangServer) -> None:
    """A cold picture costs three calls to the bucket (look, fetch, save); a hit in the bucket costs one."""
    on_s3.get("/1.jpg!thumb")
    on_s3.wait_quiet()

    assert on_s3.metric("imgbang_store_calls_total") == 3

    on_s3.stop()
    on_s3.start()
    on_s3.get("/1.jpg!thumb")

    assert on_s3.metric("imgbang_store_calls_total", verb="open") == 1


def test_any_key(on_s3: ImgbangServer) -> None:
    """Blanks, plus signs, percent signs, other letters and separators in a key change nothing."""
    path = "/bah%C3%ADa%20%21thumb%2B%25.jpg"

    assert on_s3.get(path).status == 200
    assert decoded(on_s3.get(f"{path}!small").body).size == (400, 300)


def test_an_outage(on_s3: ImgbangServer, s3: RcloneServer) -> None:
    """While the bucket is away, hits go on and misses fail at once, not to be stored; then all recovers by itself."""
    for number in range(5):
        assert on_s3.get(f"/{number}.jpg!thumb").status == 200
    on_s3.wait_quiet()
    stop = threading.Event()
    hits: list[int] = []
    misses: list[tuple[int, str, float]] = []

    def ask_hits() -> None:
        while not stop.is_set():
            hits.extend(on_s3.get(f"/{number}.jpg!thumb").status for number in range(5))
            time.sleep(0.02)

    def ask_misses() -> None:
        number = 5
        while not stop.is_set():
            since = time.monotonic()
            reply = on_s3.get(f"/{5 + number % 50}.jpg!small?{number}")
            misses.append((reply.status, reply.headers.get("cache-control", ""), time.monotonic() - since))
            number += 1
            time.sleep(0.02)

    threads = [threading.Thread(target=ask_hits), threading.Thread(target=ask_misses)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    s3.stop()
    time.sleep(0.3)
    before = len(misses)
    time.sleep(3)
    during = misses[before:]
    s3.start()
    time.sleep(7)
    stop.set()
    for thread in threads:
        thread.join()

    assert set(hits) == {200}
    assert len(hits) > 100
    assert len(during) > 10
    failed = [miss for miss in during if miss[0] != 200]
    assert failed
    assert {status for status, _, _ in failed} <= {502, 503}
    assert {caching for _, caching, _ in failed} == {"no-store"}
    assert sorted(seconds for _, _, seconds in failed)[len(failed) // 2] < 0.2
    assert [status for status, _, _ in misses[-10:]] == [200] * 10
    assert on_s3.get("/-/ready").status == 200


def test_a_slow_start(tmp_path: Path) -> None:
    """A bucket that is away at start does not keep the server from starting: it answers 502 until the bucket is there."""
    environment = {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "nobody-nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing-nothing",
        "IMGBANG_ORIGINALS": "s3://photos",
        "IMGBANG_RESULTS": "s3://results",
        "IMGBANG_CONNECT_TIMEOUT": "1s",
    }
    with ImgbangServer(tmp_path / "imgbang", env=environment) as server:
        reply = server.get("/cat.jpg!thumb")

        assert reply.status == 502
        assert reply.headers["cache-control"] == "no-store"
        assert "127.0.0.1" not in reply.body.decode()
        assert server.get("/-/live").status == 200

"""Three replicas on one real bucket and a real Redis work as one; without Redis they go on as three."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.pictures import coordinates, decoded, encoded
from tests.servers.imgbang import PRESETS, ImgbangServer, Reply
from tests.servers.rclone import RcloneServer, find_rclone
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.integration

TOKEN = "a token of tests, 32 characters.."
FRESHNESS = 2.0
PHOTO = encoded(coordinates(3000, 2000), "JPEG", quality=95)


@dataclass
class Fleet:
    """The replicas, their bucket and their Redis."""

    replicas: list[ImgbangServer]
    s3: RcloneServer
    bucket: Path
    redis: RedisServer

    def add(self, key: str, body: bytes = PHOTO) -> None:
        """Put an object into the bucket."""
        self.s3.put(self.bucket.name, key, body)

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric over all replicas."""
        return sum(replica.metric(name, **labels) for replica in self.replicas)

    def wait_quiet(self) -> None:
        for replica in self.replicas:
            replica.wait_quiet()

    def wait_away(self, count: int) -> None:
        """Wait until so many replicas go on without Redis."""
        deadline = time.monotonic() + 15
        while (away := self.total("imgbang_redis_away")) != count:
            assert time.monotonic() < deadline, f"{away} replicas of {count} go on without Redis"
            time.sleep(0.05)

    def herd(self, target: str, size: int) -> list[Reply]:
        """Ask so many times at the same moment, each replica for its share."""
        barrier = threading.Barrier(size)

        def ask(number: int) -> Reply:
            barrier.wait()
            return self.replicas[number % len(self.replicas)].get(target)

        with ThreadPoolExecutor(size) as threads:
            return list(threads.map(ask, range(size)))

    def purge(self, replica: int, **wanted: list[str]) -> Reply:
        return self.replicas[replica].get(
            "/-/api/purge", {"Authorization": f"Bearer {TOKEN}"}, method="POST", body=json.dumps(wanted).encode()
        )


def start_fleet(stack: ExitStack, home: Path) -> Fleet:
    s3 = RcloneServer(find_rclone(), home / "s3").start()
    stack.callback(s3.stop)
    bucket = s3.make_bucket("photos")
    (bucket / "presets.toml").write_text(PRESETS)
    redis = stack.enter_context(RedisServer(home / "redis"))
    environment = {
        **s3.environment,
        "IMGBANG_ORIGINALS": "s3://photos",
        "IMGBANG_RESULTS": "s3://photos/.results",
        "IMGBANG_PRESETS": "s3://photos/presets.toml",
        "IMGBANG_ADMIN_TOKEN": TOKEN,
        "IMGBANG_RENDER_WORKERS": "1",
        "IMGBANG_REDIS": redis.url,
        "IMGBANG_FRESHNESS": str(FRESHNESS),
    }
    with ThreadPoolExecutor(3) as threads:
        servers = [ImgbangServer(home / str(number), env=environment) for number in range(3)]
        for replica in servers:
            stack.callback(lambda replica=replica: replica.process and replica.stop(signal.SIGKILL))
        replicas = list(threads.map(ImgbangServer.start, servers))
    fleet = Fleet(replicas, s3, bucket, redis)
    fleet.wait_away(0)
    return fleet


@pytest.fixture(name="fleet", scope="module")
def _fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield start_fleet(stack, tmp_path_factory.mktemp("fleet"))


def test_a_herd_makes_one_render(fleet: Fleet) -> None:
    """Three hundred requests for one new picture, spread over three replicas, make one fetch, one render and one save."""
    fleet.add("herd.jpg")
    calls = store_calls(fleet)

    replies = fleet.herd("/herd.jpg!large", 300)
    fleet.wait_quiet()

    assert {reply.status for reply in replies} == {200}
    assert len({reply.body for reply in replies}) == 1
    assert len({reply.headers["etag"] for reply in replies}) == 1
    assert decoded(replies[0].body).size == (1200, 800)
    assert fleet.total("imgbang_renders_total") == fleet.total("imgbang_renders_total", outcome="ok") == 1
    assert fleet.total("imgbang_fetches_total") == 1
    assert fleet.total("imgbang_turns_total", outcome="found") <= 2
    made = {call: count - calls[call] for call, count in store_calls(fleet).items()}
    looked = made.pop(("results", "open"))
    assert made == {("originals", "open"): 1, ("originals", "stat"): 0, ("results", "put"): 1}
    # Each replica looks, and those that waited look again when it is there. Who comes in the very moment of an answer looks once more.
    assert 3 <= looked <= 10


def store_calls(fleet: Fleet) -> dict[tuple[str, str], float]:
    """Calls to the bucket by store and verb."""
    calls = (("originals", "open"), ("originals", "stat"), ("results", "open"), ("results", "put"))
    return {call: fleet.total("imgbang_store_calls_total", store=call[0], verb=call[1]) for call in calls}


def calls_to_redis(replica: ImgbangServer) -> dict[str, float]:
    """Calls by script; without those that renew a lease, of which there are more the longer a render takes."""
    names = ("claim", "tell", "end", "recall", "say")
    return {name: replica.metric("imgbang_redis_calls_total", call=name) for name in names}


def test_hits_leave_redis_alone(fleet: Fleet) -> None:
    """A hit in memory or in the store asks Redis nothing; a miss asks it for a turn, and tells what it saw and did."""
    first, second, _ = fleet.replicas
    fleet.add("hit.jpg", encoded(coordinates(90, 60), "JPEG"))
    before = calls_to_redis(first)
    first.get("/hit.jpg!small")
    first.wait_quiet()
    time.sleep(0.1)
    made = {call: count - before[call] for call, count in calls_to_redis(first).items()}
    after_miss = fleet.redis.calls()
    since = time.monotonic()
    replies = [first.get("/hit.jpg!small") for _ in range(50)]
    replies.append(second.get("/hit.jpg!small"))
    assert time.monotonic() - since < FRESHNESS / 2, "too slow a machine: it was looked at again meanwhile"

    assert made == {"claim": 1, "tell": 1, "end": 1, "recall": 0, "say": 0}
    assert {reply.headers["cache-status"] for reply in replies[:-1]} == {"imgbang; hit; detail=memory"}
    assert replies[-1].headers["cache-status"] == "imgbang; hit; detail=store"
    assert fleet.redis.calls() == after_miss


def test_a_purge_is_everybodys(fleet: Fleet) -> None:
    """What is purged through one replica is gone at all of them, though each had it in memory, and is made once more."""
    fleet.add("purged.jpg")
    for replica in fleet.replicas:
        replica.get("/purged.jpg!small")
        replica.wait_quiet()
        assert replica.get("/purged.jpg!small").headers["cache-status"].startswith("imgbang; hit; detail=memory")
    rendered = fleet.total("imgbang_renders_total", outcome="ok")
    fleet.add("purged.jpg", encoded(coordinates(1000, 1000), "JPEG"))

    reply = fleet.purge(1, keys=["purged.jpg"])
    time.sleep(0.2)
    sizes = [decoded(replica.get("/purged.jpg!small").body).size for replica in fleet.replicas]
    fleet.wait_quiet()

    assert reply.json["purged"] == 1
    assert sizes == [(400, 400)] * 3
    assert fleet.total("imgbang_renders_total", outcome="ok") - rendered == 1


def test_a_purge_from_the_command_line(fleet: Fleet) -> None:
    """`imgbang purge` with the same settings reaches what the replicas hold in memory."""
    fleet.add("cli.jpg", encoded(coordinates(90, 60), "JPEG"))
    for replica in fleet.replicas:
        replica.get("/cli.jpg!small")
    fleet.wait_quiet()

    done = subprocess.run(
        [sys.executable, "-m", "proxy.cli", "purge", "--key", "cli.jpg"],
        cwd=fleet.replicas[0].home,
        env=fleet.replicas[0]._environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    details = [replica.get("/cli.jpg!small").headers["cache-status"] for replica in fleet.replicas]

    assert done.stdout == "purged 1 results from the store; servers were told through Redis\n", done.stderr
    assert "hit" not in details[0]
    assert not [detail for detail in details if "memory" in detail]


def test_missing_and_broken_originals_are_everybodys(fleet: Fleet) -> None:
    """An original that one replica found missing or broken is not fetched by the next one."""
    fleet.add("broken.jpg", b"\xff\xd8\xff\xe0" + b"nonsense" * 100)
    fetched = fleet.total("imgbang_fetches_total")

    missing = [replica.get("/missing.jpg!small") for replica in fleet.replicas]
    broken = [replica.get("/broken.jpg!small") for replica in fleet.replicas]

    assert [reply.status for reply in missing] == [404] * 3
    assert {reply.status for reply in broken} == {415} or {reply.status for reply in broken} == {422}
    assert len({reply.json["detail"] for reply in broken}) == 1
    assert fleet.total("imgbang_fetches_total") - fetched == 2


def test_a_preset_edit_reaches_all(fleet: Fleet) -> None:
    """An edit of the presets in the bucket is in use everywhere in less than two seconds."""
    fleet.add("edited.jpg")
    wide = PRESETS.replace("width = 400\nheight = 400", "width = 300\nheight = 300")
    since = time.monotonic()

    fleet.add("presets.toml", wide.encode())
    for replica in fleet.replicas:
        replica.wait_for("/edited.jpg!small", lambda reply: decoded(reply.body).size == (300, 200), seconds=2)

    assert time.monotonic() - since < 2 + 1  # the last ones are asked after the others answered
    generations = {replica.metric("imgbang_presets_generation") for replica in fleet.replicas}
    assert len(generations) == 1


def test_an_overwritten_original(fleet: Fleet) -> None:
    """A new picture under an old key is shown everywhere within the freshness window, and is made once."""
    fleet.add("changing.jpg")
    for replica in fleet.replicas:
        replica.get("/changing.jpg!thumb")
    fleet.wait_quiet()
    rendered = fleet.total("imgbang_renders_total", outcome="ok")
    fleet.add("changing.jpg", encoded(Image.new("RGB", (200, 200), (200, 0, 0)), "PNG"))
    since = time.monotonic()

    shown = [replica.wait_for("/changing.jpg!thumb", is_red, seconds=FRESHNESS + 3) for replica in fleet.replicas]
    seconds = time.monotonic() - since
    later = [is_red(replica.get("/changing.jpg!thumb")) for replica in fleet.replicas * 5]
    fleet.wait_quiet()

    assert len({reply.headers["etag"] for reply in shown}) == 1
    assert seconds < FRESHNESS + 3
    assert all(later)
    assert fleet.total("imgbang_renders_total", outcome="ok") - rendered == 1


def is_red(reply: Reply) -> bool:
    pixel = decoded(reply.body).convert("RGB").getpixel((25, 25))
    return isinstance(pixel, tuple) and pixel[0] > 150 and pixel[1] < 60


def test_one_look_for_all(fleet: Fleet) -> None:
    """A picture that is asked for at every replica all the time costs the bucket one look in a freshness window."""
    fleet.add("popular.jpg")
    for replica in fleet.replicas:
        replica.get("/popular.jpg!thumb")
    fleet.wait_quiet()
    looks = fleet.total("imgbang_store_calls_total", verb="stat", store="originals")
    since = time.monotonic()
    while time.monotonic() - since < 3 * FRESHNESS:
        for replica in fleet.replicas:
            replica.get("/popular.jpg!thumb")
        time.sleep(0.02)
    seconds = time.monotonic() - since

    made = fleet.total("imgbang_store_calls_total", verb="stat", store="originals") - looks
    assert 2 <= made <= seconds / FRESHNESS + 1
    assert fleet.total("imgbang_revalidations_total", outcome="heard") >= made


def test_redis_hurt_under_load(fleet: Fleet) -> None:
    """Redis freezes, goes on, is killed and comes back, empty: no request fails, and few wait noticeably for it."""
    for number in range(20):
        fleet.add(f"{number}.jpg", encoded(coordinates(300, 200), "JPEG"))
    fleet.wait_away(0)
    presets = ("thumb", "small", "100x")
    for number in range(60):
        # All is made once before anything is measured: what a render takes says nothing of Redis.
        assert fleet.replicas[number % 3].get(f"/{number % 20}.jpg!{presets[number // 20]}").status == 200
    stop = threading.Event()
    phase = "calm"
    answers: dict[str, list[tuple[int, float]]] = {name: [] for name in ("calm", "frozen", "thawed", "dead", "back")}

    def ask(number: int) -> None:
        while not stop.is_set():
            since = time.monotonic()
            # Hits, looks and, of what is purged below, misses, mixed.
            reply = fleet.replicas[number % 3].get(f"/{number % 20}.jpg!{presets[number % 7 % 3]}")
            answers[phase].append((reply.status, time.monotonic() - since))
            number += 7
            time.sleep(0.01)

    logged = [len(replica.log_lines()) for replica in fleet.replicas]
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    try:
        for name, hurt, away in (
            ("frozen", fleet.redis.freeze, 3),
            ("thawed", fleet.redis.thaw, 0),
            ("dead", fleet.redis.kill, 3),
            ("back", fleet.redis.start, 0),
        ):
            phase = name
            hurt()
            for _ in range(10):
                fleet.purge(0, keys=["19.jpg"])  # more to render, and calls that find out
            fleet.wait_away(away)
            time.sleep(0.7)
            assert [replica.get("/-/ready").status for replica in fleet.replicas] == [200] * 3
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert {status for all_of in answers.values() for status, _ in all_of} == {200}
    for name, all_of in answers.items():
        seconds = sorted(seconds for _, seconds in all_of)
        figures = (
            f"{name}: {len(seconds)} answers, p50 {seconds[len(seconds) // 2]}, p99 {seconds[len(seconds) * 99 // 100]}"
        )
        assert seconds[len(seconds) // 2] < 0.1, figures
        assert seconds[len(seconds) * 9 // 10] < 0.5, figures
    for replica, before in zip(fleet.replicas, logged, strict=True):
        said = [line["event"] for line in replica.log_lines()[before:] if str(line.get("event")).startswith("redis_a")]
        assert said == ["redis_away"] * 2


def test_a_herd_without_redis(fleet: Fleet) -> None:
    """Without Redis each replica renders once at most."""
    fleet.add("herd without redis.jpg")
    fleet.wait_quiet()
    fleet.redis.kill()
    fleet.wait_away(3)
    before = [replica.metric("imgbang_renders_total") for replica in fleet.replicas]

    replies = fleet.herd("/herd%20without%20redis.jpg!large", 300)
    made = [replica.metric("imgbang_renders_total") for replica in fleet.replicas]
    fleet.redis.start()

    assert {reply.status for reply in replies} == {200}
    assert len({reply.body for reply in replies}) == 1
    assert max(now - then for then, now in zip(before, made, strict=True)) <= 1
    assert sum(made) > sum(before)


def test_a_dead_holder_holds_nobody_up(fleet: Fleet) -> None:
    """A replica that is killed while it renders for all leaves its turn to exactly one other, within some seconds."""
    fleet.add("big.jpg", encoded(Image.effect_noise((7000, 5000), 80), "JPEG", quality=95))
    fleet.wait_away(0)
    first, *others = fleet.replicas
    rendered = sum(replica.metric("imgbang_renders_total") for replica in others)
    turns = first.metric("imgbang_turns_total", outcome="ours")
    with ThreadPoolExecutor(3) as threads:
        dying = threads.submit(first.get, "/big.jpg!large")
        deadline = time.monotonic() + 10
        while first.metric("imgbang_turns_total", outcome="ours") == turns:
            assert time.monotonic() < deadline
        since = time.monotonic()
        waiting = [threads.submit(replica.get, "/big.jpg!large") for replica in others]
        time.sleep(0.1)
        assert first.process is not None
        first.process.kill()
        first.process.wait()
        replies = [each.result() for each in waiting]
        seconds = time.monotonic() - since
    fleet.replicas.remove(first)  # this is the last test

    assert dying.exception() is not None
    assert [reply.status for reply in replies] == [200, 200]
    assert replies[0].body == replies[1].body
    assert seconds < 15
    assert fleet.total("imgbang_renders_total") - rendered == 1

"""What replicas know of originals together, on a real Redis."""

from __future__ import annotations

import asyncio
import time

from proxy.fleet.base import Known, Purge
from tests.fleet.conftest import Join, Replica, until
from tests.servers.redis import RedisServer


def seen(version: str | None, *, ago: float = 0.0) -> Known:
    return Known(version, 1_700_000_000.0, time.monotonic() - ago)


async def told(replica: Replica, key: str, known: Known) -> None:
    """Tell, and wait until it was sent."""
    replica.tell(key, known)
    await until(lambda: not replica._notes)
    await replica.recall("whatever")  # what was sent before has arrived by then


async def version_of(replica: Replica, key: str) -> str | None:
    known = (await replica.recall(key)).known
    return "nothing" if known is None else known.version


async def test_one_looks_for_all(redis: RedisServer, join: Join) -> None:
    """What one replica saw another knows, no younger than it is."""
    a, b = await join(redis), await join(redis)
    sight = seen("v1", ago=20)

    await told(a, "a.jpg", sight)
    known = (await b.recall("a.jpg")).known

    assert known is not None
    assert (known.version, known.modified) == ("v1", 1_700_000_000.0)
    assert sight.seen - 0.3 < known.seen <= sight.seen + 0.001
    assert await version_of(b, "b.jpg") == "nothing"


async def test_a_missing_original_is_known_for_a_short_time(redis: RedisServer, join: Join) -> None:
    """That there is no such original is known, too, and for as long as the setting says."""
    a, b = await join(redis), await join(redis)

    await told(a, "a.jpg", seen(None, ago=1))
    await told(a, "b.jpg", seen(None, ago=11))

    assert await version_of(b, "a.jpg") is None
    assert await version_of(b, "b.jpg") == "nothing"


async def test_nothing_is_known_beyond_the_window(redis: RedisServer, join: Join) -> None:
    """A sight is gone when the freshness window has passed since the original was asked for, not since it was told."""
    a, b = await join(redis, window=1.0), await join(redis, window=1.0)

    await told(a, "a.jpg", seen("v1", ago=0.6))
    before = await version_of(b, "a.jpg")
    await asyncio.sleep(0.5)

    assert (before, await version_of(b, "a.jpg")) == ("v1", "nothing")


async def test_the_later_sight_counts(redis: RedisServer, join: Join) -> None:
    """Whoever tells last does not win, but whoever saw it last."""
    a, b = await join(redis), await join(redis)

    await told(a, "a.jpg", seen("new", ago=1))
    await told(b, "a.jpg", seen("old", ago=2))

    assert await version_of(b, "a.jpg") == "new"


async def test_a_change_is_told_at_once(redis: RedisServer, join: Join) -> None:
    """A replica that sees another version tells those that hold the one before; the same version again is no news."""
    a, b = await join(redis), await join(redis)

    await told(a, "a.jpg", seen("v1", ago=30))
    await told(a, "a.jpg", seen("v1"))
    await told(a, "a.jpg", seen("v2"))
    await told(a, "a.jpg", seen(None))
    await until(lambda: len(b.heard.sights) == 2)

    assert [(key, known.version) for key, known in b.heard.sights] == [("a.jpg", "v2"), ("a.jpg", None)]
    assert all(time.monotonic() - 1 < known.seen <= time.monotonic() for _, known in b.heard.sights)
    assert a.heard.sights == []


async def test_what_was_purged_is_not_learnt_back(redis: RedisServer, join: Join) -> None:
    """What was seen before a purge is forgotten, and is not believed when it is told after it."""
    a, b = await join(redis), await join(redis)
    early = seen("v1")
    await told(a, "a.jpg", early)
    await told(a, "b.jpg", early)

    await b.purge(Purge(keys=("a.jpg",)))
    gone = await version_of(b, "a.jpg")
    a._told.clear()
    await told(a, "a.jpg", early)
    late = await version_of(b, "a.jpg")
    await told(a, "a.jpg", seen("v2"))

    assert (gone, late, await version_of(b, "a.jpg")) == ("nothing", "nothing", "v2")
    assert await version_of(b, "b.jpg") == "v1"
    await until(lambda: a.heard.purges)
    assert a.heard.purges == [Purge(keys=("a.jpg",))]
    assert b.heard.purges == []


async def test_a_purge_of_many_forgets_everything_seen_before(redis: RedisServer, join: Join) -> None:
    """A purge by prefix or plan is told as it is, and no earlier sight of anything counts any more."""
    a, b = await join(redis), await join(redis)
    await told(a, "x/a.jpg", seen("v1"))
    await told(a, "y/a.jpg", seen("v1"))
    await told(a, "gone.jpg", seen(None))

    await b.purge(Purge(prefixes=("x/é!",), fingerprints=("abc",)))

    assert [await version_of(a, key) for key in ("x/a.jpg", "y/a.jpg", "gone.jpg")] == ["nothing"] * 3
    await until(lambda: a.heard.purges)
    assert a.heard.purges == [Purge(prefixes=("x/é!",), fingerprints=("abc",))]


async def test_a_clock_that_was_set_back(redis: RedisServer, join: Join) -> None:
    """A sight from the future, as another server's clock may leave behind, is not believed."""
    a, b = await join(redis), await join(redis)
    await told(a, "a.jpg", seen("v1"))
    future = int((time.time() + 3600) * 1000)

    redis.ask("SET", b._of("v", "a.jpg"), f"{future}|0|v|1.0|v0", "PX", "60000")
    believed = await version_of(b, "a.jpg")
    redis.ask("DEL", b._of("v", "a.jpg"))
    a._told.clear()
    await told(a, "a.jpg", seen("v2"))

    assert believed == "nothing"
    assert await version_of(b, "a.jpg") == "v2"


async def test_one_is_chosen_to_look(redis: RedisServer, join: Join) -> None:
    """Of those who would look at the same time one does; when it is slow, the next one does."""
    replicas = [await join(redis) for _ in range(3)]

    chosen = [(await replica.recall("a.jpg", elect=True)).ours for replica in replicas]
    other = (await replicas[0].recall("b.jpg", elect=True)).ours
    await asyncio.sleep(1.1)
    again = (await replicas[2].recall("a.jpg", elect=True)).ours

    assert (chosen, other, again) == ([True, False, False], True, True)


async def test_deployments_do_not_meet(redis: RedisServer, join: Join) -> None:
    """Other stores on the same Redis are another fleet."""
    a = await join(redis)
    stranger = Replica(redis, "another deployment")
    await stranger.follow(stranger.heard.ears)
    try:
        await told(a, "a.jpg", seen("v1"))
        await a.purge(Purge(prefixes=("x",)))
        await told(a, "a.jpg", seen("v1"))

        assert await version_of(stranger, "a.jpg") == "nothing"
        assert stranger.heard.purges == []
    finally:
        await stranger.close()


async def test_an_original_that_is_seen_all_the_time_is_told_now_and_then(redis: RedisServer, join: Join) -> None:
    """A hundred sights of the same version cost one note, and the fleet never forgets it meanwhile."""
    a = await join(redis)

    for number in range(100):
        a.tell("a.jpg", seen("v1", ago=50 - number / 2))
    sent = len(a._notes)

    assert 3 <= sent <= 5


async def test_presets(redis: RedisServer, join: Join) -> None:
    """An edit that one replica found makes the others look, not itself."""
    a, b, c = await join(redis), await join(redis), await join(redis)

    a.change_presets()
    await until(lambda: b.heard.presets and c.heard.presets)

    assert (a.heard.presets, b.heard.presets, c.heard.presets) == (0, 1, 1)

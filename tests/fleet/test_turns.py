"""Turns: the lease of one render among replicas, on a real Redis, with delivery over fakes on two of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.delivery.answer import Outcome
from proxy.delivery.turns import IDLE_PATIENCE
from proxy.errors import CannotRender, NotAnImage, OriginalNotFound, OriginUnavailable, TruncatedImage
from proxy.fleet.base import Known, Purge, Standing
from proxy.fleet.redis import OUTCOME
from tests.delivery.kitchen import Kitchen, plan_of
from tests.fakes import MemoryStore
from tests.fleet.conftest import LEASE, Join, Replica, until
from tests.servers.redis import RedisServer


async def standing(replica: Replica, name: str = "a", *, past: str = "") -> Standing:
    return (await replica.claim("a.jpg", name, past=past)).standing


async def test_one_at_a_time(redis: RedisServer, join: Join) -> None:
    """A turn is one replica's until it ends; other results have turns of their own."""
    a, b = await join(redis), await join(redis)

    first = await a.claim("a.jpg", "a", past="")
    others = [await standing(b), await standing(b, "b"), await standing(a)]
    a.end("a", first.token, Standing.OURS)
    await until(lambda: not a._notes)
    await a.recall("x")

    assert first.standing is Standing.OURS
    assert others == [Standing.THEIRS, Standing.OURS, Standing.THEIRS]
    assert await standing(b) is Standing.OURS


async def test_a_turn_is_renewed_as_long_as_its_holder_lives(redis: RedisServer, join: Join) -> None:
    """A render may take longer than a lease; when its holder is gone, exactly one of those who wait takes over."""
    a, b, c = await join(redis), await join(redis), await join(redis)
    await a.claim("a.jpg", "a", past="")
    await asyncio.sleep(LEASE + 0.5)
    alive = await standing(b)

    for task in a._tasks:
        task.cancel()  # as if it was killed: nothing is renewed, nothing is ended
    await asyncio.sleep(LEASE + 0.2)
    taken = [await standing(b), await standing(c)]

    assert alive is Standing.THEIRS
    assert taken == [Standing.OURS, Standing.THEIRS]


async def test_a_lost_turn_cannot_end_another(redis: RedisServer, join: Join) -> None:
    """Who lost a turn without knowing ends nothing with its token, whatever it says."""
    a, b, c = await join(redis), await join(redis), await join(redis)
    late = await a.claim("a.jpg", "a", past="")
    a._held.clear()  # it stalls: its lease is not renewed
    await asyncio.sleep(LEASE + 0.2)
    assert await standing(b) is Standing.OURS

    a.end("a", late.token, Standing.OURS)
    a.end("a", late.token, Standing.FAILED, NotAnImage("not an image"))
    await a.saved("a.jpg", "a", late.token, version="v1", age=1)
    await until(lambda: not a._notes)
    await a.recall("x")

    assert await standing(c) is Standing.THEIRS


async def test_the_end_can_be_read_for_a_moment(redis: RedisServer, join: Join) -> None:
    """Who asks after the end is told how it ended, once: with its token it can ask for a turn of its own."""
    a, b = await join(redis), await join(redis)
    first = await a.claim("a.jpg", "a", past="")
    assert await a.saved("a.jpg", "a", first.token, version="v1", age=1)

    told = await b.claim("a.jpg", "a", past="")

    assert (told.standing, told.token) == (Standing.SAVED, first.token)
    assert await standing(b, past=told.token) is Standing.OURS
    assert OUTCOME < 10


async def test_a_failure_is_told(redis: RedisServer, join: Join) -> None:
    """What lies in the picture is told with its class, its message and how long that counts; all else frees the turn."""
    a, b = await join(redis), await join(redis)
    for name, error in (
        ("a", TruncatedImage("ends after 10 rows")),
        ("b", OriginUnavailable("down")),
        ("c", OriginalNotFound("no")),
    ):
        claim = await a.claim("a.jpg", name, past="")
        a.end(name, claim.token, Standing.FAILED, error)
    await until(lambda: not a._notes)
    await a.recall("x")

    told = await b.claim("a.jpg", "a", past="")
    others = [await standing(b, "b"), await standing(b, "c")]

    assert told.standing is Standing.FAILED
    assert type(told.error) is TruncatedImage
    assert told.error.message == "ends after 10 rows"
    assert 9 < told.lifetime <= 10
    assert others == [Standing.OURS, Standing.OURS]


async def test_a_failure_before_a_purge_counts_no_more(redis: RedisServer, join: Join) -> None:
    """After a purge everything is tried again, also where a newer version has been seen since."""
    a, b = await join(redis), await join(redis)
    claim = await a.claim("a.jpg", "a", past="")
    a.end("a", claim.token, Standing.FAILED, NotAnImage("not an image"))
    await until(lambda: not a._notes)

    await b.purge(Purge(keys=("a.jpg",)))
    b.tell("a.jpg", Known("v2", 1.0, time.monotonic()))
    await until(lambda: not b._notes)

    assert await standing(b) is Standing.OURS


@pytest.fixture(name="kitchens")
async def _kitchens(redis: RedisServer, join: Join, tmp_path: Path) -> AsyncIterator[tuple[Kitchen, Kitchen]]:
    """Two replicas with one bucket of originals and one of results."""
    source, store = MemoryStore(), MemoryStore()
    async with AsyncExitStack() as stack:
        both = []
        for name in "ab":
            fleet = await join(redis)
            kitchen = Kitchen(
                tmp_path / name, source=source, store=store, fleet=fleet, clock=time.monotonic, deadline=6.0
            )
            both.append(await stack.enter_async_context(kitchen))
        a, b = both
        source.add("a.jpg", b"cat", version="v1")
        yield a, b


async def settle(*kitchens: Kitchen) -> None:
    """Wait until everything is saved and told."""
    for kitchen in kitchens:
        await kitchen.settle()
        await until(lambda kitchen=kitchen: not kitchen.fleet._notes)
        await kitchen.fleet.recall("x")


def heed(kitchen: Kitchen) -> None:
    """Let a replica hear purges, as services do."""
    kitchen.fleet.heard.heed = kitchen.purger.heed


async def test_two_replicas_make_one_render(kitchens: tuple[Kitchen, Kitchen]) -> None:
    """The second replica waits for the first, and answers with what it saved."""
    a, b = kitchens
    a.workers.barrier.close()
    first = asyncio.create_task(a.answer())
    await a.workers.barrier.reached()
    second = asyncio.create_task(b.answer())
    await asyncio.sleep(0.1)
    a.workers.barrier.open()

    made, taken = await first, await second

    assert (a.workers.rendered, b.workers.rendered) == (1, 0)
    assert (made.outcome, taken.outcome) == (Outcome.MISS, Outcome.JOINED)
    assert made.result is not None
    assert taken.result is not None
    assert taken.result.body == made.result.body
    assert "turn" in taken.stages.seconds
    assert "turn" not in made.stages.seconds
    assert a.source.calls == {"open": 1}


async def test_a_slow_holder_holds_nobody_up(kitchens: tuple[Kitchen, Kitchen]) -> None:
    """Who has waited for a share of its time renders itself, though the holder is alive."""
    a, b = kitchens
    a.workers.barrier.close()
    first = asyncio.create_task(a.answer())
    await a.workers.barrier.reached()
    since = time.monotonic()

    body = await b.serve()

    assert body == b"rendered cat"
    assert 1.9 < time.monotonic() - since < 4
    a.workers.barrier.open()
    await first
    assert b.metrics.value("imgbang_turns_total", {"outcome": "impatient"}) == 1


async def test_an_idle_replica_waits_less(kitchens: tuple[Kitchen, Kitchen]) -> None:
    """With a free worker nobody waits long for one holder, however much time there is; without one it does."""
    a, b = kitchens
    a.renderer._deadline = b.renderer._deadline = 60.0
    a.workers.barrier.close()
    first = asyncio.create_task(a.answer(deadline=60))
    await a.workers.barrier.reached()
    b.workers.barrier.close()
    keys = ("c.jpg", "d.jpg")  # sizes of one original might be rendered together, which keeps one worker busy only
    for key in keys:
        b.source.add(key, key.encode())
    others = [asyncio.create_task(b.answer(plan_of(key), deadline=60)) for key in keys]
    await b.workers.barrier.reached(2)
    busy = asyncio.create_task(b.answer(deadline=60))
    await asyncio.sleep(IDLE_PATIENCE + 0.5)
    waiting = not busy.done() and b.workers.rendered == 2

    b.workers.barrier.open()
    await asyncio.gather(*others)
    answer = await asyncio.wait_for(busy, 2)

    assert waiting
    assert answer.outcome is Outcome.MISS
    a.workers.barrier.open()
    await first


async def test_a_claim_that_is_given_up_holds_nobody_up(redis: RedisServer, join: Join) -> None:
    """A turn that was granted to who left while asking is free at once."""
    a, b = await join(redis), await join(redis)
    asking = asyncio.create_task(a.claim("a.jpg", "a", past=""))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    since = time.monotonic()
    while await standing(b) is not Standing.OURS:
        await asyncio.sleep(0.01)

    assert time.monotonic() - since < LEASE / 2
    assert a._held == {}


async def test_who_cannot_save_frees_the_others(kitchens: tuple[Kitchen, Kitchen]) -> None:
    """When the store takes no results, nobody waits for one after another: everybody renders."""
    a, b = kitchens
    a.store.fail("put")
    a.workers.barrier.close()
    first = asyncio.create_task(a.answer())
    await a.workers.barrier.reached()
    second = asyncio.create_task(b.serve())
    await asyncio.sleep(0.1)
    since = time.monotonic()
    a.workers.barrier.open()

    await asyncio.gather(first, second)

    assert time.monotonic() - since < 1
    assert b.metrics.value("imgbang_turns_total", {"outcome": "unsaved"}) == 1
    assert b.workers.rendered == 1


async def test_a_holder_whose_clients_left_frees_the_others(kitchens: tuple[Kitchen, Kitchen]) -> None:
    """A render that is given up is taken over at once, not after the lease."""
    a, b = kitchens
    a.workers.barrier.close()
    first = asyncio.create_task(a.answer())
    await a.workers.barrier.reached()
    second = asyncio.create_task(b.serve())
    await asyncio.sleep(0.1)
    since = time.monotonic()

    first.cancel()
    body = await second

    assert body == b"rendered cat"
    assert time.monotonic() - since < 1
    assert b.metrics.value("imgbang_turns_total", {"outcome": "ours"}) == 1


async def test_a_broken_original_is_tried_once(kitchens: tuple[Kitchen, Kitchen]) -> None:
    """The second replica says what the first found, without fetching anything, and remembers it."""
    a, b = kitchens
    a.workers.failure = CannotRender("it is broken")
    with pytest.raises(CannotRender, match="it is broken"):
        await a.answer()
    await settle(a)

    for _ in range(2):
        with pytest.raises(CannotRender, match="it is broken"):
            await b.answer()

    assert a.source.calls == {"open": 1}
    assert b.workers.inspected == 0
    assert b.metrics.value("imgbang_turns_total", {"outcome": "failed"}) == 1


async def test_a_missing_original_is_asked_for_once(kitchens: tuple[Kitchen, Kitchen]) -> None:
    """That it is missing the second replica hears; an upload shows when the short time has passed, or at a purge."""
    a, b = kitchens
    plan = plan_of("missing.jpg")
    with pytest.raises(OriginalNotFound):
        await a.answer(plan)
    await settle(a)
    with pytest.raises(OriginalNotFound):
        await b.answer(plan)
    asked = a.source.calls.total()
    a.source.add("missing.jpg", b"there now")
    heed(b)

    await a.purger.key("missing.jpg")
    await until(lambda: b.freshness.last_seen("missing.jpg") is None)

    assert asked == 1
    assert await b.serve(plan) == b"rendered there now"


async def test_a_late_save_of_an_older_version_does_not_stay(kitchens: tuple[Kitchen, Kitchen]) -> None:
    """A holder that stalls beyond its lease and saves what it made of the version before deletes it again."""
    a, b = kitchens
    a.store.barriers["put"].close()
    await a.serve()
    await a.store.barriers["put"].reached()
    a.fleet._held.clear()  # it stalls: its lease runs out, and others go on
    await asyncio.sleep(LEASE + 0.1)
    a.source.add("a.jpg", b"dog", version="v2")
    with b.freshness.asking("a.jpg") as question:
        question.learn("v2", 1.0)
    await until(lambda: not b.fleet._notes)
    await b.fleet.recall("x")

    a.store.barriers["put"].open()
    await settle(a)

    assert a.store.objects == {}
    assert a.metrics.value("imgbang_saves_total", {"outcome": "outdated"}) == 1
    assert await b.serve() == b"rendered dog"
    await settle(b)
    assert [held.info.metadata["version"] for held in b.store.objects.values()] == ["v2"]


async def test_a_purge_during_a_save_elsewhere(kitchens: tuple[Kitchen, Kitchen]) -> None:
    """What one replica is about to save while another purges is not there afterwards, although the purge did not see it.

    The saving replica hears nothing of the purge, as if its connection had broken.
    """
    a, b = kitchens
    a.store.barriers["put"].close()
    await a.serve()
    await a.store.barriers["put"].reached()

    purged = await b.purger.key("a.jpg")
    a.store.barriers["put"].open()
    await settle(a)

    assert purged == 0
    assert a.store.objects == {}


async def test_a_purge_forgets_what_others_hold(kitchens: tuple[Kitchen, Kitchen]) -> None:
    """Results in memory, versions and staged originals of a purged key are forgotten everywhere, and nothing else is."""
    a, b = kitchens
    a.source.add("b.jpg", b"bird")
    heed(b)
    for kitchen in (a, b):
        await kitchen.serve()
        await kitchen.serve(plan_of("b.jpg"))
        await settle(kitchen)
    assert b.memory.statistics.entries == 2
    calls = b.source.calls.total()
    a.source.add("a.jpg", b"dog")

    await a.purger.key("a.jpg")
    await until(lambda: b.memory.statistics.entries == 1)

    assert await b.serve() == b"rendered dog"
    assert await b.serve(plan_of("b.jpg")) == b"rendered bird"
    assert b.source.calls.total() == calls + 1


async def test_without_a_store_nobody_waits(redis: RedisServer, join: Join, tmp_path: Path) -> None:
    """Where no results are kept, nobody could take over what another made: no turn is asked for."""
    fleet = await join(redis)
    async with Kitchen(tmp_path / "a", with_store=False, fleet=fleet, clock=time.monotonic) as kitchen:
        kitchen.source.add("a.jpg", b"cat")
        await kitchen.serve()

        assert kitchen.metrics.value("imgbang_turns_total", {"outcome": "alone"}) == 1
        assert fleet.metrics.value("imgbang_redis_calls_total", {"call": "claim", "outcome": "ok"}) == 0

"""Results: found, kept, saved, purged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.delivery.deadline import Deadline
from proxy.delivery.memory import MemoryCache
from proxy.delivery.result import Result, result_name
from proxy.delivery.results import Found, Results, Where
from proxy.errors import DeadlinePassed, OriginUnavailable
from proxy.metrics import Metrics
from proxy.plan.output import Target
from proxy.plan.plan import Plan
from tests.delivery.kitchen import plan_of
from tests.delivery.test_result import result_of
from tests.fakes import Barrier, MemoryStore


def results_over(
    store: MemoryStore | None, metrics: Metrics, *, save_bytes: int = 1000, memory: int = 100_000
) -> Results:
    cache: MemoryCache[Result] = MemoryCache(limit=memory, entry_limit=memory)
    return Results(store, cache, save_slots=2, save_bytes=save_bytes, read_timeout=0.5, metrics=metrics)


@pytest.fixture
async def results(store: MemoryStore, metrics: Metrics) -> AsyncIterator[Results]:
    results = results_over(store, metrics)
    yield results
    for barrier in store.barriers.values():
        barrier.open()
    await results.drain(1.0)


@pytest.fixture
async def others(store: MemoryStore, metrics: Metrics) -> Results:
    """Another replica on the same store."""
    return results_over(store, metrics)


async def find(results: Results, plan: Plan | None = None) -> Found | None:
    return await results.find(plan or plan_of(), Deadline.after(5))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def keep_all(results: Results, *keys: str, width: int = 50) -> None:
    for key in keys:
        await results.keep(plan_of(key, width=width), result_of(plan=plan_of(key, width=width)))
    await results.drain(1.0)


async def test_found_in_memory_before_the_store(results: Results, store: MemoryStore) -> None:
    """What was just kept is found without a read."""
    await results.keep(plan_of(), result_of())
    found = await find(results)

    assert found == Found(result_of(), Where.MEMORY)
    assert store.calls["open"] == 0


class LackingStore(MemoryStore):
    """A store that tells for less what it has not."""

    async def lacks(self, key: str) -> bool:
        await self._call("lacks")
        return key not in self.objects

    def __init__(self) -> None:
        super().__init__()
        self.barriers["lacks"] = Barrier()


async def is_absent(results: Results, plan: Plan) -> bool:
    """What is found out by both looks."""
    now = results.is_absent_now(plan)
    return await results.is_absent(plan, Deadline.after(5)) if now is None else now


async def test_what_the_store_lacks_is_not_opened(metrics: Metrics) -> None:
    """What it may have is; one that fails or does not answer in time has nothing, and may have everything."""
    store = LackingStore()
    results = results_over(store, metrics, memory=0)
    assert await find(results) is None
    assert await is_absent(results, plan_of())
    assert (store.calls["lacks"], store.calls["open"]) == (2, 0)
    assert metrics.value("imgbang_results_found_total", {"where": "nowhere"}) == 1
    results.count_absent()
    assert metrics.value("imgbang_results_found_total", {"where": "nowhere"}) == 2

    await keep_all(results_over(store, metrics, memory=0), "a.jpg")
    found = await find(results, plan_of("a.jpg"))
    assert found is not None
    assert found.where is Where.STORE
    assert not await is_absent(results, plan_of("a.jpg"))
    assert store.calls["open"] == 1

    store.fail("lacks")
    assert await find(results, plan_of("b.jpg")) is None
    assert not await is_absent(results, plan_of("b.jpg"))
    store.recover()
    store.barriers["lacks"].close()
    assert await find(results, plan_of("b.jpg")) is None
    assert not await is_absent(results, plan_of("b.jpg"))


async def test_found_while_it_is_being_saved(store: MemoryStore, metrics: Metrics) -> None:
    """What is too large for memory is found while it is on its way to the store, and then there."""
    results = results_over(store, metrics, memory=0)
    store.barriers["put"].close()
    await results.keep(plan_of(), result_of())
    found = await find(results)
    assert found is not None
    assert found.where is Where.PENDING
    store.barriers["put"].open()
    await results.drain(1.0)
    assert list(store.objects) == [result_name(plan_of())]


async def test_found_in_the_store_by_another_replica(results: Results, others: Results, store: MemoryStore) -> None:
    """A saved result is read once, and from memory afterwards."""
    await keep_all(results, "a.jpg")
    assert [found.where for found in [await find(others), await find(others)] if found] == [Where.STORE, Where.MEMORY]
    assert store.calls["open"] == 1


async def test_crowd_reads_the_store_once(results: Results, others: Results, store: MemoryStore) -> None:
    """A hundred who look for the same result at the same time cost one read, hit or miss."""
    await keep_all(results, "a.jpg")
    found = await asyncio.gather(*(find(others) for _ in range(100)))
    missed = await asyncio.gather(*(find(others, plan_of("b.jpg")) for _ in range(100)))

    assert {one.where for one in found if one} == {Where.STORE}
    assert missed == [None] * 100
    assert store.calls["open"] == 2


async def test_nowhere(results: Results, metrics: Metrics) -> None:
    """What nobody made is not found, and that is counted."""
    assert await find(results) is None
    assert metrics.value("imgbang_results_found_total", {"where": "nowhere"}) == 1


@pytest.mark.parametrize("error", [OriginUnavailable("down"), DeadlinePassed("slow")])
async def test_store_that_fails_is_a_miss(
    results: Results, others: Results, store: MemoryStore, error: OriginUnavailable
) -> None:
    """Results are a cache: a store that is down costs a render, not an answer."""
    await keep_all(results, "a.jpg")
    store.fail("open", error=error)
    assert await find(others) is None
    store.recover()
    assert await find(others) is not None


async def test_store_that_hangs_costs_a_part_of_the_deadline(results: Results, store: MemoryStore) -> None:
    """A third of what is left is the most that a dead store may take."""
    store.add(result_name(plan_of()), b"x")
    store.barriers["open"].close()
    deadline = Deadline.after(0.03)
    assert await results.find(plan_of(), deadline) is None
    assert deadline.remaining > 0


@pytest.mark.parametrize("cut", [0, 3])
async def test_damaged_is_a_miss(
    results: Results, others: Results, store: MemoryStore, metrics: Metrics, cut: int
) -> None:
    """A truncated result is counted and rendered again."""
    await keep_all(results, "a.jpg")
    name = result_name(plan_of())
    held = store.objects[name]
    store.objects[name] = replace(held, body=held.body[:cut])

    assert await find(others) is None
    assert metrics.value("imgbang_results_found_total", {"where": "damaged"}) == 1


async def test_without_a_store(metrics: Metrics) -> None:
    """Results can live in memory alone."""
    results = results_over(None, metrics)
    assert await find(results) is None
    await results.keep(plan_of(), result_of())
    assert await find(results) == Found(result_of(), Where.MEMORY)
    assert await results.purge_key("a.jpg") == 0
    assert await find(results) is None
    assert await results.drain(1.0) == 0


async def test_save_beyond_the_budget_is_dropped(store: MemoryStore, metrics: Metrics) -> None:
    """A store that is slower than the renders does not fill memory: what does not fit is not saved."""
    results = results_over(store, metrics, save_bytes=15)
    store.barriers["put"].close()
    for key in "abc":
        await results.keep(plan_of(key), result_of(b"10 bytes.."))

    assert (results.statistics.pending, results.statistics.pending_bytes) == (1, 10)
    store.barriers["put"].open()
    await results.drain(1.0)
    assert metrics.value("imgbang_saves_total", {"outcome": "dropped"}) == 2
    assert metrics.value("imgbang_saves_total", {"outcome": "ok"}) == 1
    assert results.statistics.pending_bytes == 0


async def test_save_that_fails(results: Results, store: MemoryStore, metrics: Metrics) -> None:
    """A failed save is counted and given up; the result is still answered from memory."""
    store.fail("put")
    await keep_all(results, "a.jpg")

    assert metrics.value("imgbang_saves_total", {"outcome": "origin_unavailable"}) == 1
    assert results.statistics.pending_bytes == 0
    assert await find(results) is not None


async def test_newer_save_lands_last(results: Results, store: MemoryStore) -> None:
    """Two saves of one name happen in order, however slow the first is."""
    store.barriers["put"].close()
    await results.keep(plan_of(), result_of(b"old"))
    await store.barriers["put"].reached()
    await results.keep(plan_of(), result_of(b"new"))
    await settle()
    assert store.calls["put"] == 1
    store.barriers["put"].open()
    await results.drain(1.0)
    assert store.objects[result_name(plan_of())].body == b"new"
    assert results.statistics.pending_bytes == 0


async def test_save_slots(results: Results, store: MemoryStore) -> None:
    """Only so many results are saved at the same time."""
    store.barriers["put"].close()
    for key in "abcd":
        await results.keep(plan_of(key), result_of())
    await settle()
    assert store.calls["put"] == 2


async def test_slow_read_does_not_replace_a_newer_result(results: Results, others: Results, store: MemoryStore) -> None:
    """A read that began before a render ended answers with the render."""
    await keep_all(others, "a.jpg")
    store.barriers["read"].close()
    finding = asyncio.create_task(find(results))
    await store.barriers["read"].reached()
    await results.keep(plan_of(), result_of(b"new", version="v2"))
    store.barriers["read"].open()
    found = await finding

    assert found is not None
    assert found.result.body == b"new"
    again = await find(results)
    assert again is not None
    assert again.result.body == b"new"


async def test_forget_only_that_result(results: Results) -> None:
    """Dropping an outdated result does not drop the one that has replaced it meanwhile."""
    old, new = result_of(b"old"), result_of(b"new")
    await results.keep(plan_of(), new)
    await results.forget(plan_of(), old)
    assert await find(results) == Found(new, Where.MEMORY)
    await results.drain(1.0)
    await results.forget(plan_of(), new)
    assert results.recall(plan_of()) is None


async def test_recall_after_memory_and_save_are_over(metrics: Metrics) -> None:
    """A result too large for memory is held for a moment, for look-ups that began before; so many bytes at most."""
    results = results_over(None, metrics, memory=0)
    large = b"x" * (20 * 1024 * 1024)
    for key in ("a.jpg", "b.jpg"):
        await results.keep(plan_of(key), result_of(large))

    assert results.recall(plan_of("a.jpg")) is not None
    assert results.recall(plan_of("b.jpg")) is None


async def test_purge_by_key_never_touches_a_neighbour(results: Results, store: MemoryStore) -> None:
    """`a` is purged; `a!b`, `a.jpg`, and a key that looks like a result of `a` are not."""
    fingerprint = plan_of("a").fingerprint
    neighbours = ["a!b", "a.jpg", "ab", f"a!{fingerprint}.jpg", "b/a"]
    await keep_all(results, "a", *neighbours)
    await keep_all(results, "a", width=99)

    assert await results.purge_key("a") == 2
    assert {name.rpartition("!")[0] for name in store.objects} == set(neighbours)
    assert await find(results, plan_of("a")) is None
    assert await find(results, plan_of("a!b")) is not None


async def test_purge_of_a_long_key(results: Results, store: MemoryStore) -> None:
    """A key whose name is shortened is purged like any other."""
    await keep_all(results, "k" * 1000, "k" * 1001)
    assert await results.purge_key("k" * 1000) == 1
    assert await results.purge_prefix("k" * 5) == 1
    assert store.objects == {}


async def test_purge_by_a_prefix_longer_than_what_is_kept(results: Results, store: MemoryStore) -> None:
    """A prefix that reaches beyond the readable part of a shortened name still finds it."""
    await keep_all(results, "k" * 900 + "/a", "other")
    assert await results.purge_prefix("k" * 900) == 1
    assert len(store.objects) == 1


async def test_purge_by_prefix(results: Results, store: MemoryStore) -> None:
    """Keys that begin so; not results whose name begins so only with their fingerprint."""
    await keep_all(results, "dir/a", "dir/b!c", "direct", "x")
    first = plan_of("x").fingerprint[0]
    assert await results.purge_prefix("dir/") == 2
    assert await results.purge_prefix(f"x!{first}") == 0
    assert {name.rpartition("!")[0] for name in store.objects} == {"direct", "x"}


async def test_purge_by_fingerprint(results: Results, store: MemoryStore) -> None:
    """All results of one plan go, whatever the original; foreign objects stay."""
    await keep_all(results, "a", "b")
    await keep_all(results, "a", width=99)
    store.add("notes.txt", b"not ours")
    assert await results.purge_fingerprints([plan_of().fingerprint]) == 2
    assert set(store.objects) == {result_name(plan_of("a", width=99)), "notes.txt"}


async def test_purge_waits_for_the_saves_it_concerns(results: Results, store: MemoryStore) -> None:
    """A save under way cannot bring back what is purged; a stuck save of something else holds nobody up."""
    store.barriers["put"].close()
    await results.keep(plan_of("a"), result_of())
    await store.barriers["put"].reached()
    assert await results.purge_key("b") == 0
    purging = asyncio.create_task(results.purge_key("a"))
    await settle()
    assert not purging.done()
    store.barriers["put"].open()

    assert await purging == 1
    assert store.objects == {}


async def test_read_under_way_during_a_purge(results: Results, others: Results, store: MemoryStore) -> None:
    """What was read from the store before it was deleted there does not stay in memory."""
    await keep_all(others, "a.jpg")
    store.barriers["read"].close()
    finding = asyncio.create_task(find(results))
    await store.barriers["read"].reached()
    await results.purge_key("a.jpg")
    store.barriers["read"].open()
    await finding

    assert await find(results) is None


async def test_read_in_the_middle_of_a_purge(results: Results, others: Results, store: MemoryStore) -> None:
    """Neither does what was read between the beginning of the purge and the deletion."""
    await keep_all(others, "a.jpg")
    store.barriers["delete"].close()
    purging = asyncio.create_task(results.purge_key("a.jpg"))
    await store.barriers["delete"].reached()
    assert await find(results) is not None
    store.barriers["delete"].open()
    await purging

    assert await find(results) is None


async def test_purge_that_fails_forgets_all_the_same(results: Results, store: MemoryStore) -> None:
    """When the store cannot be listed, the caller is told, and memory is clean."""
    await keep_all(results, "a.jpg")
    store.fail("list", "open")
    with pytest.raises(OriginUnavailable):
        await results.purge_key("a.jpg")
    assert await find(results) is None


async def test_drain_waits_and_then_gives_up(results: Results, store: MemoryStore, metrics: Metrics) -> None:
    """At shutdown saves get their time; what is late is cancelled and counted, also what had not begun."""
    store.barriers["put"].close()
    for key in "abc":
        await results.keep(plan_of(key), result_of())
    assert await results.drain(0.005) == 3
    assert (results.statistics.pending, results.statistics.pending_bytes) == (0, 0)


async def test_names_of_targets_differ(results: Results, store: MemoryStore) -> None:
    """Two formats of one picture are two results."""
    for target in (Target.JPEG, Target.WEBP):
        await results.keep(plan_of(target=target), result_of())
    await results.drain(1.0)
    assert sorted(Path(name).suffix for name in store.objects) == [".jpg", ".webp"]

"""Originals on local disk: fetched once, shared, and gone when they are not needed."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from pathlib import Path

import pytest

from proxy.delivery import originals
from proxy.delivery.deadline import Deadline
from proxy.delivery.originals import LINGER, MOST_LENT
from proxy.errors import (
    DeadlinePassed,
    NotAnImage,
    OriginalChanged,
    OriginalNotFound,
    OriginalTooLarge,
    OriginUnavailable,
    Overloaded,
)
from tests.delivery.kitchen import WINDOW, Kitchen


def soon() -> Deadline:
    return Deadline.after(5.0)


async def read(kitchen: Kitchen, key: str = "a.jpg", *, deadline: Deadline | None = None) -> bytes:
    async with kitchen.originals.stage(key, deadline or soon()) as staged:
        return staged.read()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_variants_share_one_fetch(kitchen: Kitchen) -> None:
    """Ten who want the same original at the same time download it once."""
    kitchen.source.add("a.jpg", b"pixels" * 1000)
    bodies = await asyncio.gather(*(read(kitchen) for _ in range(10)))

    assert set(bodies) == {b"pixels" * 1000}
    assert kitchen.source.calls == {"open": 1}
    assert kitchen.metrics.value("imgbang_fetch_bytes_total") == 6000


async def test_reused_while_it_lingers(kitchen: Kitchen) -> None:
    """Who comes a moment later finds it; after a while it is deleted."""
    kitchen.source.add("a.jpg", b"pixels")
    await read(kitchen)
    kitchen.originals.sweep()
    await read(kitchen)
    assert kitchen.source.calls["open"] == 1
    async with kitchen.originals.stage("a.jpg", soon()) as staged:
        pass
    staged.idle_since -= LINGER
    kitchen.originals.sweep()

    assert kitchen.files() == []
    assert kitchen.staging.statistics.used_bytes == 0


async def test_sweep_spares_what_is_in_use(kitchen: Kitchen) -> None:
    """A long render keeps its original."""
    kitchen.source.add("a.jpg", b"pixels")
    async with kitchen.originals.stage("a.jpg", soon()) as staged:
        staged.idle_since -= LINGER
        kitchen.originals.sweep()
        assert staged.read() == b"pixels"


async def test_newer_version_replaces_it(kitchen: Kitchen) -> None:
    """As soon as another version is known, the staged one is not used any more."""
    kitchen.source.add("a.jpg", b"old")
    await read(kitchen)
    kitchen.source.add("a.jpg", b"new")
    await kitchen.freshness.look("a.jpg")

    assert await read(kitchen) == b"new"
    assert len(kitchen.files()) == 1


async def test_not_reused_after_the_window(kitchen: Kitchen) -> None:
    """A staged original is no fresher than what is known of it."""
    kitchen.source.add("a.jpg", b"old")
    await read(kitchen)
    kitchen.source.add("a.jpg", b"new")
    kitchen.clock.advance(WINDOW)
    assert await read(kitchen) == b"new"


async def test_budget_evicts_the_idle(kitchen: Kitchen) -> None:
    """Room for a new original is made by deleting idle ones, the least recently used first."""
    for key in "abcdef":
        kitchen.source.add(key, key.encode() * 19_000)
    for key in "abcde":
        await read(kitchen, key)
    await read(kitchen, "a")
    await read(kitchen, "f")
    await read(kitchen, "a")

    assert kitchen.source.calls["open"] == 6
    assert kitchen.staging.statistics.used_bytes == 95_000
    await read(kitchen, "b")
    assert kitchen.source.calls["open"] == 7


async def test_no_room_when_all_are_in_use(kitchen: Kitchen) -> None:
    """What is in use is never deleted: there is no room then, and the request is told to come back."""
    for key in "abcdef":
        kitchen.source.add(key, b"x" * 19_000)
    holders = [kitchen.originals.stage(key, soon()) for key in "abcde"]
    for holder in holders:
        await holder.__aenter__()
    with pytest.raises(Overloaded):
        await read(kitchen, "f")
    for holder in holders:
        await holder.__aexit__(None, None, None)

    assert await read(kitchen, "f")


async def test_fetched_is_not_evicted_before_its_caller_wakes(tmp_path: Path) -> None:
    """Under a budget for one, a download that has just ended is not deleted before anybody has read it."""
    async with Kitchen(tmp_path, fetch_slots=1, max_bytes=60_000) as kitchen:
        for key in "ab":
            kitchen.source.add(key, key.encode() * 60_000)
        # The second gets its turn in the very moment in which the first has ended.
        first, second = await asyncio.gather(read(kitchen, "a"), read(kitchen, "b"), return_exceptions=True)

        assert first == b"a" * 60_000
        assert isinstance(second, Overloaded)
        assert kitchen.source.calls["open"] == 2


async def test_declared_too_large(kitchen: Kitchen) -> None:
    """An original that says it is too large is refused before a byte is read."""
    kitchen.source.add("a.jpg", b"x" * 20_001)
    with pytest.raises(OriginalTooLarge, match="20000 bytes"):
        await read(kitchen)
    assert kitchen.source.barriers["read"].arrived == 0


async def test_undeclared_too_large(kitchen: Kitchen) -> None:
    """An original without a length is refused as soon as too much has arrived."""
    kitchen.source.add("a.jpg", b"x" * 90_000)
    kitchen.source.declare("a.jpg", size=0)
    with pytest.raises(OriginalTooLarge):
        await read(kitchen)
    assert kitchen.source.barriers["read"].arrived == 21


async def test_undeclared_length(kitchen: Kitchen) -> None:
    """An original without a length is accounted for as it arrives."""
    kitchen.source.add("a.jpg", b"x" * 15_500)
    kitchen.source.declare("a.jpg", size=0)
    async with kitchen.originals.stage("a.jpg", soon()) as staged:
        assert staged.info.size == 15_500
        assert kitchen.staging.statistics.used_bytes == 15_500
    assert kitchen.metrics.value("imgbang_fetch_bytes_total") == 15_500


@pytest.mark.parametrize("declared", [5_001, 4_999])
async def test_length_that_is_not_true(kitchen: Kitchen, declared: int) -> None:
    """A body that is shorter or longer than promised is no original."""
    kitchen.source.add("a.jpg", b"x" * 5_000)
    kitchen.source.declare("a.jpg", size=declared)
    with pytest.raises(OriginUnavailable):
        await read(kitchen)
    assert kitchen.files() == []


async def test_store_without_versions(kitchen: Kitchen) -> None:
    """Where the store gives no version, the bytes do."""
    kitchen.source.add("a.jpg", b"one", version="")
    async with kitchen.originals.stage("a.jpg", soon()) as staged:
        assert staged.info.version == f"crc32-{zlib.crc32(b'one'):08x}-3"
    await read(kitchen)
    assert kitchen.source.calls["open"] == 1
    kitchen.clock.advance(WINDOW)
    kitchen.source.add("a.jpg", b"two", version="")
    assert await read(kitchen) == b"two"


async def test_missing(kitchen: Kitchen) -> None:
    """That there is no such original is remembered."""
    with pytest.raises(OriginalNotFound):
        await read(kitchen)
    known = kitchen.freshness.of("a.jpg")
    assert known is not None
    assert known.version is None
    assert kitchen.metrics.value("imgbang_fetches_total", {"outcome": "original_not_found"}) == 1


async def test_unavailable(kitchen: Kitchen) -> None:
    """A bucket that fails is told to everybody, and tried again by the next."""
    kitchen.source.add("a.jpg", b"x")
    kitchen.source.fail("open")
    failures = await asyncio.gather(*(read(kitchen) for _ in range(3)), return_exceptions=True)
    kitchen.source.recover()

    assert [type(failure) for failure in failures] == [OriginUnavailable] * 3
    assert await read(kitchen) == b"x"


async def test_disk_that_cannot_be_written(kitchen: Kitchen) -> None:
    """A full or broken disk is our trouble, not an internal error."""
    kitchen.source.add("a.jpg", b"x")
    kitchen.directory.joinpath(next(kitchen.directory.glob("*-*"))).rename(kitchen.directory / "away")
    with pytest.raises(Overloaded):
        await read(kitchen)
    kitchen.directory.joinpath("away").rename(kitchen.staging.new_path().parent)


async def test_cancelled_in_the_middle(kitchen: Kitchen) -> None:
    """A download that nobody waits for any more ends at once, with its file and its bytes."""
    kitchen.source.add("a.jpg", b"x" * 10_000)
    kitchen.source.barriers["read"].close()
    reader = asyncio.create_task(read(kitchen))
    await kitchen.source.barriers["read"].reached()
    assert kitchen.staging.statistics.used_bytes == 10_000
    reader.cancel()
    await settle()

    assert reader.cancelled()
    assert kitchen.files() == []
    assert kitchen.staging.statistics.used_bytes == 0
    assert kitchen.gate.statistics.inside == 0
    assert kitchen.metrics.value("imgbang_fetches_total", {"outcome": "cancelled"}) == 1


async def test_cancelled_at_every_moment(kitchen: Kitchen) -> None:
    """Whenever a caller leaves, also while a thread works for it, nothing is left behind."""
    kitchen.source.add("a.jpg", b"x" * 5_000)
    for steps in range(60):
        reader = asyncio.create_task(read(kitchen))
        for _ in range(steps):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        kitchen.originals.discard("a.jpg")
    await kitchen.originals.close()
    await asyncio.sleep(0.01)

    assert kitchen.files() == []
    assert kitchen.staging.statistics.used_bytes == 0
    assert kitchen.gate.statistics.inside == 0


async def test_deadline_of_a_caller(kitchen: Kitchen) -> None:
    """A caller in a hurry leaves; the download goes on for the others."""
    kitchen.source.add("a.jpg", b"x")
    kitchen.source.barriers["open"].close()
    patient = asyncio.create_task(read(kitchen))
    with pytest.raises(DeadlinePassed):
        await read(kitchen, deadline=Deadline.after(0.005))
    kitchen.source.barriers["open"].open()

    assert await patient == b"x"
    assert kitchen.source.calls["open"] == 1


async def test_purge_while_in_use(kitchen: Kitchen) -> None:
    """A purged original stays for those who read it, and nobody else gets it."""
    kitchen.source.add("a.jpg", b"old")
    async with kitchen.originals.stage("a.jpg", soon()) as staged:
        kitchen.source.add("a.jpg", b"new")
        await kitchen.purger.key("a.jpg")
        assert staged.read() == b"old"
        assert await read(kitchen) == b"new"
        assert len(kitchen.files()) == 2
    assert len(kitchen.files()) == 1


async def test_purge_while_it_is_fetched(kitchen: Kitchen) -> None:
    """What began to arrive before a purge is thrown away, and fetched again for those who wait."""
    kitchen.source.add("a.jpg", b"old")
    kitchen.source.barriers["read"].close()
    reader = asyncio.create_task(read(kitchen))
    await kitchen.source.barriers["read"].reached()
    kitchen.source.add("a.jpg", b"new")
    await kitchen.purger.key("a.jpg")
    after = asyncio.create_task(read(kitchen))
    await settle()
    kitchen.source.barriers["read"].open()

    assert await reader == await after == b"new"
    assert kitchen.metrics.value("imgbang_fetches_total", {"outcome": "outdated"}) == 1


async def test_purge_by_prefix(kitchen: Kitchen) -> None:
    """A purge by prefix discards what begins so, and nothing else."""
    for key in ("dir/a", "dir/b", "other"):
        kitchen.source.add(key, b"x")
        await read(kitchen, key)
    await kitchen.purger.prefix("dir/")
    assert len(kitchen.files()) == 1


async def test_failure_of_a_user(kitchen: Kitchen) -> None:
    """A render that fails gives its original back."""
    kitchen.source.add("a.jpg", b"x")
    with pytest.raises(NotAnImage):
        async with kitchen.originals.stage("a.jpg", soon()) as staged:
            raise NotAnImage("not an image")
    assert staged.users == 0


async def test_fetch_gate_is_left_while_rendering(kitchen: Kitchen) -> None:
    """A staged original that is being rendered does not occupy a place in the fetch gate."""
    kitchen.source.add("a.jpg", b"x")
    async with kitchen.originals.stage("a.jpg", soon()):
        assert kitchen.gate.statistics.inside == 0


async def test_lent_instead_of_copied(lender: Kitchen) -> None:
    """A file that can be lent is not copied; it stays open as long as a copy would stay, and for all who read it."""
    lender.source.add("a.jpg", b"pixels")
    async with lender.originals.stage("a.jpg", soon()) as one, lender.originals.stage("a.jpg", soon()) as two:
        assert one is two
        assert (one.read(), lender.files(), lender.staging.statistics.used_bytes) == (b"pixels", [], 0)
    (lent,) = lender.source.lent
    lender.originals.sweep()
    assert not lent.closed
    one.idle_since -= LINGER
    lender.originals.sweep()

    assert lent.closed
    assert lender.metrics.value("imgbang_fetch_bytes_total") == 6


async def test_a_lent_file_that_is_written_over(lender: Kitchen) -> None:
    """It is not what was staged any more: the next one has the file as it is now, those who read it learn of it."""
    lender.source.add("a.jpg", b"old")
    async with lender.originals.stage("a.jpg", soon()) as staged:
        lender.source.lent[0].is_intact = False
        assert not staged.is_intact
        with pytest.raises(OriginalChanged):
            staged.read()
        lender.source.add("a.jpg", b"new")
        assert await read(lender) == b"new"
        assert not lender.source.lent[0].closed

    assert lender.source.lent[0].closed


async def test_a_lent_file_that_is_purged(lender: Kitchen) -> None:
    """As a copy: it stays for those who read it."""
    lender.source.add("a.jpg", b"old")
    async with lender.originals.stage("a.jpg", soon()) as staged:
        await lender.purger.key("a.jpg")
        assert staged.read() == b"old"
    assert lender.source.lent[0].closed


async def test_purged_while_it_is_lent(lender: Kitchen) -> None:
    """What was asked for before a purge is given back and asked for again."""
    lender.source.add("a.jpg", b"old")
    lender.source.barriers["leave"].close()
    reading = asyncio.create_task(read(lender))
    await lender.source.barriers["leave"].reached()
    lender.source.add("a.jpg", b"new")
    await lender.purger.key("a.jpg")
    lender.source.barriers["leave"].open()

    assert await reading == b"new"
    assert [one.closed for one in lender.source.lent] == [True, False]


async def test_lending_is_bounded(lender: Kitchen) -> None:
    """Descriptors are few: the one longest unused makes room, and while all are in use the next is copied."""
    keys = [f"{number}.jpg" for number in range(MOST_LENT + 2)]
    for key in keys:
        lender.source.add(key, b"pixels")
    for key in keys[: MOST_LENT + 1]:
        await read(lender, key)
    assert [one.closed for one in lender.source.lent] == [True, *[False] * MOST_LENT]
    async with contextlib.AsyncExitStack() as stack:
        for key in keys[1 : MOST_LENT + 1]:
            await stack.enter_async_context(lender.originals.stage(key, soon()))
        assert await read(lender, keys[-1]) == b"pixels"
        assert len(lender.files()) == 1
        assert len(lender.source.lent) == MOST_LENT + 1


async def test_what_is_too_large_to_lend_is_copied(lender: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker has all of it in memory."""
    monkeypatch.setattr(originals, "_MOST_LENT_BYTES", 5)
    lender.source.add("a.jpg", b"large!")
    lender.source.add("b.jpg", b"small")
    assert (await read(lender), await read(lender, "b.jpg")) == (b"large!", b"small")
    assert (len(lender.files()), len(lender.source.lent)) == (1, 1)


async def test_what_has_no_version_is_copied(lender: Kitchen) -> None:
    """Its bytes are its version, and have to be read for that."""
    lender.source.add("a.jpg", b"pixels", version="")
    async with lender.originals.stage("a.jpg", soon()) as staged:
        assert staged.info.version.startswith("crc32-")
    assert (len(lender.files()), lender.source.lent) == (1, [])


async def test_no_room_is_needed_for_what_is_lent(lender: Kitchen) -> None:
    """Copies make room for copies; what is lent takes none, and is left alone."""
    lender.source.add("lent.jpg", b"x" * 10)
    await read(lender, "lent.jpg")
    lender.source.lends = False
    for key in ("a.jpg", "b.jpg"):
        lender.source.add(key, b"x" * lender.max_bytes)
        lender.staging._limit = lender.max_bytes
        await read(lender, key)

    assert not lender.source.lent[0].closed
    assert len(lender.files()) == 1


async def test_lent_and_cancelled_at_every_moment(lender: Kitchen) -> None:
    """Whenever a caller leaves, the file is given back."""
    lender.source.add("a.jpg", b"pixels")
    for steps in range(40):
        reader = asyncio.create_task(read(lender))
        for _ in range(steps):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        await settle()
        lender.originals.discard("a.jpg")

    assert len(lender.source.lent) > 10
    assert all(one.closed for one in lender.source.lent)
    assert lender.originals._lent == 0

"""Whether a directory lacks a file: told by one look, which is shared, in time, and never wrong about what is there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.config import StoreSettings
from proxy.errors import DeadlinePassed, OriginalNotFound, OriginUnavailable
from proxy.metrics import Metrics
from proxy.stores import files
from proxy.stores.breaker import Breaker, GuardedStore, State
from proxy.stores.local import LocalStore
from proxy.stores.metered import MeteredStore
from tests.fakes import MemoryStore


@pytest.fixture
async def store(root: Path, settings: StoreSettings) -> AsyncIterator[LocalStore]:
    async with LocalStore(root, settings) as opened:
        await opened.put("d/a.jpg", b"x", content_type="image/jpeg", metadata={})
        yield opened


class Disk:
    """Looks that wait until they may go on."""

    def __init__(self) -> None:
        self.looks: list[str] = []
        self.working = threading.Event()
        self.working.set()

    def lacking(self, root: Path, paths: Iterable[str]) -> set[str]:
        self.looks += paths
        self.working.wait(10)
        return look(root, paths)


look = files.lacking


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(files, "lacking", disk.lacking)
    yield disk
    disk.working.set()


@pytest.mark.parametrize(
    "key", ["b.jpg", "d/b.jpg", "e/a.jpg", "d/a.jpg/b", "../canary", "d//a.jpg", ".meta/d/a.jpg", "n" * 1025]
)
async def test_what_is_lacking_is_told(store: LocalStore, key: str) -> None:
    """And opening it would tell the same."""
    assert await store.lacks(key)
    with pytest.raises(OriginalNotFound):
        await store.stat(key)


async def test_what_is_there_is_not_lacking(store: LocalStore, root: Path) -> None:
    """A file, and whatever else has the name: opening decides what that is. So does it where the root is gone."""
    (root / "link").symlink_to("nowhere")
    for key in ("d/a.jpg", "d", "link"):
        assert not await store.lacks(key), key
    long = f"{'n' * 300}/a.jpg"
    await store.put(long, b"x", content_type="image/jpeg", metadata={})
    assert not await store.lacks(long)

    root.rename(root.with_name("elsewhere"))
    assert not await store.lacks("b.jpg")


async def test_what_is_written_is_not_lacking_any_more(store: LocalStore) -> None:
    """Nothing is remembered."""
    assert await store.lacks("b.jpg")
    await store.put("b.jpg", b"x", content_type="image/jpeg", metadata={})
    assert not await store.lacks("b.jpg")


async def test_looks_are_gathered(store: LocalStore, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks while a look is under way shares the next one, and a name is looked up once for all."""
    hops = []
    submit = store._threads.submit
    monkeypatch.setattr(store._threads, "submit", lambda *work: (hops.append(work), submit(*work))[1])
    disk.working.clear()
    first = asyncio.create_task(store.lacks("b.jpg"))
    while not disk.looks:
        await asyncio.sleep(0)
    others = [asyncio.create_task(store.lacks(key)) for key in ("c.jpg", "d/a.jpg", "c.jpg", "e.jpg")]
    await asyncio.sleep(0)
    others[3].cancel()
    disk.working.set()

    assert await first
    assert await asyncio.gather(*others[:3]) == [True, False, True]
    assert others[3].cancelled()
    assert sorted(disk.looks) == ["b.jpg", "c.jpg", "d/a.jpg", "e.jpg"]
    assert len(hops) == 2
    assert await store.lacks("f.jpg")  # and it goes on


@pytest.mark.parametrize("broken", ["lacking", "learn_folders"])
async def test_a_look_that_fails_holds_up_nobody(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Those who wait are told what is known, and the next look begins."""

    def fail(*_: object) -> set[str]:
        raise ValueError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(files if broken == "lacking" else store._cached, broken, fail)
        lacks = await asyncio.wait_for(asyncio.gather(store.lacks("b.jpg"), store.lacks("d/a.jpg")), 5)
        assert lacks == [broken == "learn_folders", False]
    assert await asyncio.wait_for(store.lacks("b.jpg"), 5)


async def test_a_disk_that_stalls_is_given_up(root: Path, settings: StoreSettings, disk: Disk) -> None:
    """A look has the store's time, and one that fails counts for the breaker."""
    hasty = replace(settings, connect_timeout=0.01, read_timeout=0.01)
    async with LocalStore(root, hasty) as store:
        guarded = GuardedStore(store, Breaker())
        lacks = guarded.lacks
        assert lacks is not None
        disk.working.clear()
        for _ in range(10):
            with pytest.raises(DeadlinePassed):
                await lacks("b.jpg")

        assert guarded.state is State.OPEN
        with pytest.raises(OriginUnavailable):
            await lacks("b.jpg")
        disk.working.set()
        with suppress(DeadlinePassed):
            await store.lacks("b.jpg")  # the one that was held up comes first
        assert await store.lacks("c.jpg")


async def test_a_closed_store_is_not_sure(root: Path, settings: StoreSettings) -> None:
    """Nobody waits for a thread that does not come."""
    async with LocalStore(root, settings) as store:
        pass
    assert not await store.lacks("b.jpg")


async def test_what_is_lacking_counts_as_opened(store: LocalStore, metrics: Metrics) -> None:
    """What may be there counts when it is opened."""
    lacks = MeteredStore(store, "results", metrics).lacks
    assert lacks is not None
    assert await lacks("b.jpg")
    assert not await lacks("d/a.jpg")

    names = {"store": "results", "verb": "open"}
    outcomes = [metrics.value("imgbang_store_calls_total", {**names, "outcome": one}) for one in ("ok", "missing")]
    assert outcomes == [0, 1]


def test_a_store_that_cannot_be_asked_is_not(metrics: Metrics) -> None:
    """The ability is no part of the contract; above all, asking in vain must not tell a breaker that all is well."""
    assert GuardedStore(MeteredStore(MemoryStore(), "results", metrics)).lacks is None

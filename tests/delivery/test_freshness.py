"""What is known of originals, and since when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.delivery.freshness import MOST_BACKGROUND, MOST_KEYS, Freshness
from proxy.errors import OriginalNotFound, OriginUnavailable, Overloaded
from proxy.metrics import Metrics
from tests.fakes import MemoryStore, StillClock


class Gone:
    """Told of originals that are gone; can be slow or fail."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.failure: OriginUnavailable | None = None
        self.wait = asyncio.Event()
        self.wait.set()

    async def __call__(self, key: str) -> None:
        self.keys.append(key)
        await self.wait.wait()
        if self.failure:
            raise self.failure


@pytest.fixture
async def gone() -> Gone:
    return Gone()


@pytest.fixture
async def freshness(source: MemoryStore, clock: StillClock, metrics: Metrics, gone: Gone) -> AsyncIterator[Freshness]:
    freshness = Freshness(source, window=60, negative_ttl=10, metrics=metrics, on_gone=gone, clock=clock)
    yield freshness
    await freshness.close()


def saw(freshness: Freshness, version: str, key: str = "a") -> None:
    with freshness.asking(key) as question:
        question.learn(version, 1.0)


def missed(freshness: Freshness, key: str = "a") -> None:
    with freshness.asking(key) as question:
        question.learn_missing()


def version_of(freshness: Freshness, key: str = "a") -> str | None:
    known = freshness.of(key)
    assert known is not None
    return known.version


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_window(freshness: Freshness, clock: StillClock) -> None:
    """A version counts as known for the window, and as last seen after it."""
    saw(freshness, "v1")
    clock.advance(59.9)
    assert version_of(freshness) == "v1"
    clock.advance(0.1)
    assert freshness.of("a") is None
    last = freshness.last_seen("a")
    assert last is not None
    assert last.version == "v1"


async def test_missing_is_remembered_for_a_shorter_time(freshness: Freshness, clock: StillClock) -> None:
    """An upload shows up soon after a 404."""
    missed(freshness)
    clock.advance(9.9)
    assert version_of(freshness) is None
    clock.advance(0.1)
    assert freshness.of("a") is None


async def test_trust_fills_a_gap(freshness: Freshness, clock: StillClock) -> None:
    """What a stored result says counts from when its original was seen."""
    freshness.trust("a", "v1", 1.0, age=50)
    assert version_of(freshness) == "v1"
    clock.advance(10)
    assert freshness.of("a") is None


async def test_trust_never_overrules_what_was_seen_later(freshness: Freshness, clock: StillClock) -> None:
    """An older result does not bring an older version back."""
    saw(freshness, "v2")
    clock.advance(20)
    freshness.trust("a", "v1", 1.0, age=21)
    assert version_of(freshness) == "v2"
    freshness.trust("a", "v3", 1.0, age=19)
    assert version_of(freshness) == "v3"


async def test_late_answer_does_not_overrule_what_was_asked_later(freshness: Freshness, clock: StillClock) -> None:
    """A slow store's answer is as old as its question."""
    with freshness.asking("a") as slow:
        clock.advance(5)
        saw(freshness, "v2")
        slow.learn("v1", 1.0)
    assert version_of(freshness) == "v2"


async def test_look_asks_once_for_a_crowd(freshness: Freshness, source: MemoryStore) -> None:
    """Everybody who looks at the same moment shares one HEAD."""
    source.add("a", b"x", version="v1")
    looks = await asyncio.gather(*(freshness.look("a") for _ in range(100)))

    assert {known.version for known in looks} == {"v1"}
    assert source.calls["stat"] == 1
    assert version_of(freshness) == "v1"


async def test_look_at_what_is_missing(freshness: Freshness, gone: Gone, metrics: Metrics) -> None:
    """A missing original is a 404; nothing was made of what was never seen, so nothing is purged."""
    with pytest.raises(OriginalNotFound):
        await freshness.look("a")
    await settle()

    assert version_of(freshness) is None
    assert gone.keys == []
    assert metrics.value("imgbang_revalidations_total", {"outcome": "gone"}) == 1


async def test_original_that_goes_away_is_told_once(freshness: Freshness, gone: Gone, clock: StillClock) -> None:
    """Whoever finds out that an original is gone, its results are purged once."""
    saw(freshness, "v1")
    clock.advance(60)
    freshness.look_later("a")
    with pytest.raises(OriginalNotFound):
        await freshness.look("a")
    await settle()
    missed(freshness)
    await settle()

    assert gone.keys == ["a"]


async def test_fetch_that_misses_purges_too(freshness: Freshness, gone: Gone) -> None:
    """A download that finds nothing where something was is as good as a look."""
    saw(freshness, "v1")
    missed(freshness)
    await settle()
    assert gone.keys == ["a"]


async def test_result_of_what_is_known_to_be_missing_is_purged(
    freshness: Freshness, gone: Gone, clock: StillClock
) -> None:
    """That an original is missing was known, then a result of it turns up: that must go."""
    missed(freshness)
    clock.advance(10)
    freshness.look_later("a")
    await settle()
    assert gone.keys == ["a"]


async def test_purge_of_results_holds_nobody_up(freshness: Freshness, gone: Gone) -> None:
    """The 404 does not wait for the purge, and a purge that fails is not the client's problem."""
    gone.wait.clear()
    gone.failure = OriginUnavailable("the results' bucket is down")
    saw(freshness, "v1")
    with pytest.raises(OriginalNotFound):
        await freshness.look("a")

    assert version_of(freshness) is None
    gone.wait.set()
    await settle()


async def test_forgotten_while_missing(freshness: Freshness, source: MemoryStore, gone: Gone) -> None:
    """A purge while a look finds nothing does not break the look."""
    saw(freshness, "v1")
    source.barriers["stat"].close()
    looking = asyncio.create_task(freshness.look("a"))
    await source.barriers["stat"].reached()
    freshness.forget_where(lambda key: key == "a")
    source.barriers["stat"].open()

    with pytest.raises(OriginalNotFound):
        await looking


async def test_look_under_way_when_the_key_is_purged(freshness: Freshness, source: MemoryStore) -> None:
    """Who asks after a purge never gets an answer that the store gave before it."""
    source.add("a", b"x", version="v1")
    source.barriers["stat"].close()
    before = asyncio.create_task(freshness.look("a"))
    await source.barriers["stat"].reached()
    source.add("a", b"y", version="v2")
    freshness.forget_where(lambda key: key == "a")
    after = asyncio.create_task(freshness.look("a"))
    await settle()
    source.barriers["stat"].open()

    assert (await before).version == (await after).version == "v2"
    assert version_of(freshness) == "v2"


async def test_question_under_way_when_the_key_is_purged(freshness: Freshness) -> None:
    """What a download learns that began before a purge is not noted."""
    with freshness.asking("a") as question, freshness.asking("b") as other:
        freshness.forget_where(lambda key: key == "a")
        question.learn("v1", 1.0)
        other.learn("v1", 1.0)

    assert question.outdated
    assert freshness.last_seen("a") is None
    assert version_of(freshness, "b") == "v1"


async def test_look_later_looks_once(freshness: Freshness, source: MemoryStore) -> None:
    """A crowd of stale hits costs one HEAD for each key, and the next one only after that has ended."""
    source.add("a", b"x")
    source.add("b", b"x")
    source.barriers["stat"].close()
    for _ in range(100):
        freshness.look_later("a")
        freshness.look_later("b")
    await settle()
    assert source.calls["stat"] == 2
    source.barriers["stat"].open()
    await settle()
    freshness.look_later("a")
    await settle()
    assert source.calls["stat"] == 3


async def test_background_is_bounded(freshness: Freshness, source: MemoryStore) -> None:
    """A slow bucket under a storm of stale hits collects a limited number of looks."""
    source.barriers["stat"].close()
    for number in range(MOST_BACKGROUND + 100):
        freshness.look_later(str(number))
    await settle()
    assert source.calls["stat"] == MOST_BACKGROUND


async def test_unavailable_source_changes_nothing(freshness: Freshness, source: MemoryStore, metrics: Metrics) -> None:
    """A bucket that fails says nothing about its originals."""
    saw(freshness, "v1")
    source.fail("stat")
    with pytest.raises(OriginUnavailable):
        await freshness.look("a")
    freshness.look_later("a")
    await settle()

    assert version_of(freshness) == "v1"
    assert metrics.value("imgbang_revalidations_total", {"outcome": "failed"}) == 2


async def test_store_without_versions(freshness: Freshness, source: MemoryStore, clock: StillClock) -> None:
    """An origin that cannot tell versions apart: a copy is good for the window, and equals nothing afterwards."""
    saw(freshness, "crc32-1234")
    with freshness.asking("a") as question:
        question.learn("", 1.0)
    assert version_of(freshness) == "crc32-1234"
    clock.advance(60)
    source.add("a", b"x", version="")
    known = await freshness.look("a")
    assert not known.is_of("crc32-1234")
    assert not known.is_of("")


async def test_number_of_keys_is_bounded(freshness: Freshness) -> None:
    """The least recently learnt are forgotten."""
    for number in range(MOST_KEYS + 2):
        freshness.trust(str(number), "v1", 1.0, age=0)
    assert [freshness.last_seen(key) is not None for key in "0123"] == [False, False, True, True]


async def test_close_ends_what_runs(freshness: Freshness, source: MemoryStore) -> None:
    """Closing cancels background looks, and answers those who wait for one."""
    source.barriers["stat"].close()
    freshness.look_later("a")
    waiting = asyncio.create_task(freshness.look("b"))
    await source.barriers["stat"].reached(2)
    await freshness.close()

    with pytest.raises(Overloaded):
        await waiting

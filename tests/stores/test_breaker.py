"""The breaker: when it opens, what it counts, and how it closes again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.config import StoreSettings
from proxy.errors import (
    DeadlinePassed,
    NotAnImage,
    OriginalNotFound,
    OriginRefused,
    OriginUnavailable,
    ProxyError,
    RangeRefused,
)
from proxy.stores.base import ByteRange, ObjectBody, ObjectInfo
from proxy.stores.breaker import Breaker, GuardedSource, GuardedStore, State
from proxy.stores.local import LocalStore
from tests.contracts.store import StoreContract


class TestContract(StoreContract):
    """The contract holds behind a breaker."""

    @pytest.fixture
    async def store(self, tmp_path: Path, settings: StoreSettings) -> AsyncIterator[GuardedStore]:
        async with LocalStore(tmp_path, settings) as opened:
            yield GuardedStore(opened)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Scripted:
    """A store whose every call ends as told."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.body_error: ProxyError | None = None
        self.calls = 0
        self.release: asyncio.Event | None = None

    async def _call(self) -> None:
        self.calls += 1
        if self.release is not None:
            await self.release.wait()
        if self.error is not None:
            raise self.error

    async def stat(self, key: str) -> ObjectInfo:
        await self._call()
        return ObjectInfo(key, 3, "v", 0.0)

    @asynccontextmanager
    async def open(self, key: str, *, span: ByteRange | None = None) -> AsyncIterator[ObjectBody]:
        await self._call()
        yield ObjectBody(ObjectInfo(key, 3, "v", 0.0), self._chunks())

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield b"abc"
        if self.body_error is not None:
            raise self.body_error

    async def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str]) -> None:
        await self._call()

    async def delete(self, key: str) -> None:
        await self._call()

    async def list(self, prefix: str) -> AsyncIterator[str]:
        await self._call()
        yield prefix


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inner() -> Scripted:
    return Scripted()


@pytest.fixture
def guarded(inner: Scripted, clock: Clock) -> GuardedSource:
    return GuardedSource(inner, Breaker(clock=clock, chance=lambda: 0.5))


async def calls(source: GuardedSource, inner: Scripted, count: int, error: BaseException | None = None) -> None:
    inner.error = error
    for _ in range(count):
        with contextlib.suppress(ProxyError):
            await source.stat("a")


async def test_opens_after_ten_calls_of_which_half_failed(guarded: GuardedSource, inner: Scripted) -> None:
    """Ten calls and half of them failed: not earlier, and then at once."""
    await calls(guarded, inner, 5)
    await calls(guarded, inner, 4, OriginUnavailable("x"))
    assert guarded.state is State.CLOSED
    await calls(guarded, inner, 1, DeadlinePassed("x"))

    assert guarded.state is State.OPEN
    with pytest.raises(OriginUnavailable, match="trying again soon"):
        await guarded.stat("a")
    assert inner.calls == 10


async def test_stays_closed_below_half(guarded: GuardedSource, inner: Scripted) -> None:
    """Many failures among more successes do not open it."""
    for _ in range(20):
        await calls(guarded, inner, 6)
        await calls(guarded, inner, 4, OriginUnavailable("x"))

    assert guarded.state is State.CLOSED


async def test_few_calls_do_not_open(guarded: GuardedSource, inner: Scripted) -> None:
    """Nine failures in a row are too few to judge."""
    await calls(guarded, inner, 9, OriginUnavailable("x"))

    assert guarded.state is State.CLOSED


async def test_old_calls_are_forgotten(guarded: GuardedSource, inner: Scripted, clock: Clock) -> None:
    """What happened more than ten seconds ago does not count."""
    await calls(guarded, inner, 9, OriginUnavailable("x"))
    clock.now += 11
    await calls(guarded, inner, 1, OriginUnavailable("x"))

    assert guarded.state is State.CLOSED


@pytest.mark.parametrize(
    "error", [OriginalNotFound("x"), OriginRefused("x"), RangeRefused("x", 3), NotAnImage("x")], ids=lambda e: e.code
)
async def test_answers_are_no_outages(guarded: GuardedSource, inner: Scripted, error: ProxyError) -> None:
    """Missing, refused, out of range or compressed: the store is well."""
    await calls(guarded, inner, 50, error)

    assert guarded.state is State.CLOSED


async def opened(guarded: GuardedSource, inner: Scripted, clock: Clock) -> None:
    await calls(guarded, inner, 10, OriginUnavailable("x"))
    assert guarded.state is State.OPEN
    inner.calls = 0


async def test_rests_five_seconds_then_probes_once(guarded: GuardedSource, inner: Scripted, clock: Clock) -> None:
    """After its rest one call goes through, others meanwhile are refused; when it works, all is well again."""
    await opened(guarded, inner, clock)
    clock.now += 4.9
    assert guarded.state is State.OPEN
    clock.now += 0.2
    assert guarded.state is State.HALF_OPEN

    inner.error, inner.release = None, asyncio.Event()
    probe = asyncio.create_task(guarded.stat("a"))
    await asyncio.sleep(0)
    with pytest.raises(OriginUnavailable):
        await guarded.stat("a")
    inner.release.set()
    await probe

    assert (guarded.state, inner.calls) == (State.CLOSED, 1)
    await calls(guarded, inner, 3)


async def test_a_failed_probe_rests_again(guarded: GuardedSource, inner: Scripted, clock: Clock) -> None:
    """When the probe fails, the rest begins anew."""
    await opened(guarded, inner, clock)
    clock.now += 5.1
    await calls(guarded, inner, 1, OriginUnavailable("x"))

    assert guarded.state is State.OPEN
    clock.now += 4.9
    assert guarded.state is State.OPEN


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ZeroDivisionError()])
async def test_a_probe_without_an_answer_makes_room(
    guarded: GuardedSource, inner: Scripted, clock: Clock, error: BaseException
) -> None:
    """A probe that is cancelled, or dies of something unforeseen, does not keep the door shut for ever."""
    await opened(guarded, inner, clock)
    clock.now += 5.1
    inner.error = error
    with pytest.raises(type(error)):
        await guarded.stat("a")
    assert guarded.state is State.HALF_OPEN

    await calls(guarded, inner, 1)
    assert guarded.state is State.CLOSED


async def test_cancelled_calls_do_not_count(guarded: GuardedSource, inner: Scripted) -> None:
    """Callers that give up say nothing about the store."""
    inner.error = asyncio.CancelledError()
    for _ in range(30):
        with pytest.raises(asyncio.CancelledError):
            await guarded.stat("a")

    assert guarded.state is State.CLOSED


async def test_calls_from_before_do_not_count(guarded: GuardedSource, inner: Scripted, clock: Clock) -> None:
    """A call that began before it opened, and ends well or badly after, changes nothing."""
    inner.release = asyncio.Event()
    early = [asyncio.create_task(guarded.stat("a")) for _ in range(20)]
    await asyncio.sleep(0)
    released, inner.release = inner.release, None
    await opened(guarded, inner, clock)
    inner.error = None
    released.set()
    await asyncio.gather(*early)

    assert guarded.state is State.OPEN


async def test_a_body_that_breaks_off_counts(guarded: GuardedSource, inner: Scripted) -> None:
    """Headers come and bodies break: that is an outage, too."""
    inner.body_error = OriginUnavailable("broke off")
    for _ in range(10):
        with pytest.raises(OriginUnavailable):
            async with guarded.open("a") as body:
                [chunk async for chunk in body.chunks]
        if guarded.state is State.OPEN:
            break

    assert guarded.state is State.OPEN


async def test_errors_of_the_reader_do_not_count(guarded: GuardedSource, inner: Scripted) -> None:
    """What the block raises for reasons of its own says nothing about the store."""
    for _ in range(30):
        with pytest.raises(DeadlinePassed):
            async with guarded.open("a"):
                raise DeadlinePassed("the client's own")

    assert guarded.state is State.CLOSED


async def test_a_slow_reader_is_no_probe(guarded: GuardedSource, inner: Scripted, clock: Clock) -> None:
    """Once the store has answered the probe, others may come in, however long its body is read."""
    await opened(guarded, inner, clock)
    clock.now += 5.1
    inner.error = None
    async with guarded.open("a"):
        assert guarded.state is State.CLOSED
        await guarded.stat("b")


async def test_writing_and_reading_are_apart(inner: Scripted, clock: Clock) -> None:
    """A store that cannot be written to can still be read, and the other way round."""
    store = GuardedStore(inner, Breaker(clock=clock), writing=Breaker(clock=clock))
    inner.error = OriginUnavailable("disk full")
    for _ in range(10):
        with pytest.raises(OriginUnavailable):
            await store.put("a", b"", content_type="a", metadata={})
    inner.error = None

    assert (store.state, store.writing_state) == (State.CLOSED, State.OPEN)
    await store.stat("a")
    assert [key async for key in store.list("p")] == ["p"]
    with pytest.raises(OriginUnavailable):
        await store.delete("a")


async def test_rests_differ(inner: Scripted) -> None:
    """The rest is varied by a fifth, so that replicas do not probe in step."""
    for chance, rest in ((0.0, 4.0), (1.0, 6.0)):
        clock = Clock()
        source = GuardedSource(inner, Breaker(clock=clock, chance=lambda chance=chance: chance))
        await calls(source, inner, 10, OriginUnavailable("x"))
        clock.now += rest - 0.01
        assert source.state is State.OPEN
        clock.now += 0.02
        assert source.state is State.HALF_OPEN

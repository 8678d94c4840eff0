"""Originals as they are."""

from __future__ import annotations

import asyncio

import pytest

from proxy.delivery.admission import Gate
from proxy.delivery.deadline import Deadline
from proxy.delivery.passthrough import Passthrough
from proxy.errors import DeadlinePassed, OriginalNotFound, OriginUnavailable, Overloaded
from proxy.plan.output import Format
from proxy.stores.base import ByteRange
from tests.delivery.kitchen import Kitchen

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 9_000


@pytest.fixture
def gate() -> Gate:
    return Gate("stream", slots=1, queue=0, longest_wait=1.0)


@pytest.fixture
def passthrough(kitchen: Kitchen, gate: Gate) -> Passthrough:
    return Passthrough(kitchen.source, gate, kitchen.freshness)


def soon() -> Deadline:
    return Deadline.after(5.0)


async def read(
    passthrough: Passthrough, key: str = "a", deadline: Deadline | None = None
) -> tuple[Format | None, bytes]:
    async with passthrough.open(key, deadline or soon()) as opened:
        return opened.format, b"".join([chunk async for chunk in opened.chunks])


async def test_whole_original(kitchen: Kitchen, passthrough: Passthrough) -> None:
    """All bytes in order; the kind follows from the first of them; one call to the store."""
    kitchen.source.add("a", PNG)
    assert await read(passthrough) == (Format.PNG, PNG)
    assert kitchen.source.calls == {"open": 1}


@pytest.mark.parametrize("body", [b"<html><script>", b"x" * 9_000, b""])
async def test_what_is_no_image(kitchen: Kitchen, passthrough: Passthrough, body: bytes) -> None:
    """Anything else has no kind, however it is named; nothing is lost of it, and no chunk is empty."""
    kitchen.source.add("a.png", body)
    async with passthrough.open("a.png", soon()) as opened:
        chunks = [chunk async for chunk in opened.chunks]
        assert opened.format is None
    assert b"".join(chunks) == body
    assert all(chunks)


async def test_original_is_learnt_of(kitchen: Kitchen, passthrough: Passthrough) -> None:
    """A client that reads an original tells the variants which version there is."""
    kitchen.source.add("a", PNG, version="v1")
    await read(passthrough)
    known = kitchen.freshness.of("a")
    assert known is not None
    assert known.version == "v1"


async def test_missing_is_remembered(kitchen: Kitchen, passthrough: Passthrough) -> None:
    """A missing original is asked for once in a while."""
    for _ in range(3):
        with pytest.raises(OriginalNotFound):
            await read(passthrough)
        with pytest.raises(OriginalNotFound):
            await passthrough.stat("a", soon())
    assert kitchen.source.calls == {"open": 1}


@pytest.mark.parametrize("verb", ["open", "read"])
async def test_store_that_hangs(kitchen: Kitchen, passthrough: Passthrough, gate: Gate, verb: str) -> None:
    """Until the first bytes are there, the deadline counts; the slot is given back."""
    kitchen.source.add("a", PNG)
    kitchen.source.barriers[verb].close()
    with pytest.raises(DeadlinePassed):
        await read(passthrough, deadline=Deadline.after(0.01))
    assert gate.statistics.inside == 0


async def test_range_of_a_store_that_hangs(kitchen: Kitchen, passthrough: Passthrough, gate: Gate) -> None:
    """A range has a deadline, too."""
    kitchen.source.add("a", PNG)
    info = await passthrough.stat("a", soon())
    await passthrough.kind(info, soon())
    kitchen.source.barriers["open"].close()
    with pytest.raises(DeadlinePassed):
        async with passthrough.open_range(info, ByteRange(0, 1), Deadline.after(0.01)):
            pass
    assert gate.statistics.inside == 0


async def test_slow_client_is_not_under_the_deadline(kitchen: Kitchen, passthrough: Passthrough) -> None:
    """How long the rest takes is up to the client."""
    kitchen.source.add("a", PNG)
    async with passthrough.open("a", Deadline.after(0.02)) as opened:
        await asyncio.sleep(0.03)
        assert b"".join([chunk async for chunk in opened.chunks]) == PNG


async def test_streams_are_limited(kitchen: Kitchen, passthrough: Passthrough) -> None:
    """So many clients read at a time."""
    kitchen.source.add("a", PNG)
    async with passthrough.open("a", soon()):
        with pytest.raises(Overloaded):
            await read(passthrough)
    assert await read(passthrough)


async def test_range(kitchen: Kitchen, passthrough: Passthrough) -> None:
    """A part of an original knows the kind of the whole, which is looked up once."""
    kitchen.source.add("a", PNG)
    info = await passthrough.stat("a", soon())
    for _ in range(2):
        async with passthrough.open_range(info, ByteRange(1, 3), soon()) as opened:
            assert opened.format is Format.PNG
            assert b"".join([chunk async for chunk in opened.chunks]) == b"PNG"
    assert kitchen.source.calls == {"stat": 1, "open": 3}


async def test_range_of_what_has_changed(kitchen: Kitchen, passthrough: Passthrough) -> None:
    """Parts of two versions never go out under one entity tag."""
    kitchen.source.add("a", PNG)
    info = await passthrough.stat("a", soon())
    await passthrough.kind(info, soon())
    kitchen.source.add("a", PNG)
    with pytest.raises(OriginUnavailable):
        async with passthrough.open_range(info, ByteRange(0, 1), soon()):
            pass


async def test_kind_without_a_length(kitchen: Kitchen, passthrough: Passthrough) -> None:
    """An origin that does not tell the size still has a kind; an empty file has none."""
    kitchen.source.add("a", PNG)
    kitchen.source.declare("a", size=0)
    kitchen.source.add("empty", b"")
    assert await passthrough.kind(await passthrough.stat("a", soon()), soon()) is Format.PNG
    assert await passthrough.kind(await passthrough.stat("empty", soon()), soon()) is None


async def test_kind_without_a_version(kitchen: Kitchen, passthrough: Passthrough) -> None:
    """Where versions cannot be told apart, the kind is looked up each time."""
    kitchen.source.add("a", PNG, version="")
    assert await passthrough.kind(await passthrough.stat("a", soon()), soon()) is Format.PNG
    kitchen.source.add("a", b"GIF89a" + b"x" * 100, version="")
    assert await passthrough.kind(await passthrough.stat("a", soon()), soon()) is Format.GIF

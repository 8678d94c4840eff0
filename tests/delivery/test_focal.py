"""Focal points: a part of the original's version, without a call more for a hit."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.delivery.focal import METADATA, FocalPoints, FocalSource
from proxy.errors import OriginUnavailable, ProxyError
from proxy.plan.region import Region
from tests.delivery.kitchen import WINDOW, Kitchen
from tests.fakes import Held, MemoryStore

POINT = Region(0.3, 0.6)
BOX = Region(0.1, 0.2, 0.25, 0.4)


def with_points(directory: Path, source: MemoryStore, results: MemoryStore, points: MemoryStore) -> Kitchen:
    """A replica whose originals have focal points."""
    kitchen = Kitchen(directory, store=results)
    kitchen.source = FocalSource(source, FocalPoints(points))  # type: ignore[assignment]  # the same two methods
    return kitchen


@pytest.fixture(name="source")
def _source() -> MemoryStore:
    source = MemoryStore()
    source.add("a.jpg", b"original")
    return source


async def test_a_point_is_a_part_of_the_version(source: MemoryStore) -> None:
    """Look and fetch tell the same version, which changes with the point and comes back without it."""
    points = FocalPoints(MemoryStore())
    focal = FocalSource(source, points)
    versions = [(await focal.stat("a.jpg")).version]
    for region in (POINT, BOX):
        await points.write("a.jpg", region)
        info = await focal.stat("a.jpg")
        async with focal.open("a.jpg") as opened:
            assert opened.info == info
        assert info.metadata[METADATA] == str(region)
        versions.append(info.version)
    await points.delete("a.jpg")

    assert len(set(versions)) == 3
    assert (await focal.stat("a.jpg")).version == versions[0] == (await source.stat("a.jpg")).version


async def test_metadata_of_the_original_counts_and_is_overruled(source: MemoryStore) -> None:
    """What the object says is used without a call of its own; what the API was told is stronger."""
    held = source.objects["a.jpg"]
    source.objects["a.jpg"] = Held(held.body, replace(held.info, metadata={METADATA: "0.3,0.6"}))
    plain = FocalSource(source, None)

    assert (await plain.stat("a.jpg")).version == f"{held.info.version}~focal-0.3,0.6"
    assert source.calls == {"stat": 1}

    points = FocalPoints(MemoryStore())
    await points.write("a.jpg", BOX)
    assert (await FocalSource(source, points).stat("a.jpg")).metadata[METADATA] == str(BOX)


@pytest.mark.parametrize("text", ["", "0.3", "2,3", "0.3,0.6,0.9", "nan,0", "0.9,0.9,0.5,0.5", "x,y", "1e-3,0"])
async def test_metadata_that_is_no_point_is_none(source: MemoryStore, text: str) -> None:
    """Nonsense in the metadata does no harm."""
    held = source.objects["a.jpg"]
    source.objects["a.jpg"] = Held(held.body, replace(held.info, metadata={METADATA: text}))

    assert (await FocalSource(source, None).stat("a.jpg")).version == held.info.version


async def test_keys_that_are_parts_of_one_another(source: MemoryStore) -> None:
    """`a`, `a/b` and the longest key there can be have points of their own."""
    store = MemoryStore()
    points = FocalPoints(store)
    keys = ("a", "a/b", "a/b/c.jpg", "k" * 1024)
    for number, key in enumerate(keys):
        await points.write(key, Region(number / 10, 0.5))

    assert [await points.read(key) for key in keys] == [Region(number / 10, 0.5) for number in range(4)]
    assert all(len(name) == 69 for name in store.objects)


async def test_a_damaged_point_is_none() -> None:
    """What lies there and is no point is not used."""
    store = MemoryStore()
    points = FocalPoints(store)
    await points.write("a.jpg", POINT)
    (name,) = store.objects
    for body in (b"", b"{}", b"[1]", b'{"focal": 3}', b'{"focal": {"x": 7, "y": 0}}', b"[" * 9999):
        store.add(name, body)
        assert await points.read("a.jpg") is None


async def test_a_hit_asks_nobody(tmp_path: Path, source: MemoryStore) -> None:
    """Within the freshness window, hits from memory and from the store touch neither original nor point."""
    points, results = MemoryStore(), MemoryStore()
    async with with_points(tmp_path / "one", source, results, points) as kitchen:
        await FocalPoints(points).write("a.jpg", POINT)
        body = await kitchen.serve()
        await kitchen.settle()
        assert (source.calls["open"], points.calls["open"]) == (1, 1)

        for _ in range(3):
            assert await kitchen.serve() == body
    async with with_points(tmp_path / "two", source, results, points) as replica:
        assert await replica.serve() == body

    assert (source.calls["open"], source.calls["stat"]) == (1, 0)
    assert (points.calls["open"], points.calls["stat"]) == (1, 0)
    assert results.calls["open"] == 2  # one miss, one hit


async def test_the_worker_is_told(tmp_path: Path, source: MemoryStore) -> None:
    """The point travels with the job."""
    points = MemoryStore()
    await FocalPoints(points).write("a.jpg", BOX)
    async with with_points(tmp_path, source, MemoryStore(), points) as kitchen:
        await kitchen.serve()

        assert [job.focus for job in kitchen.workers.jobs] == [BOX]


async def test_another_replica_learns_when_its_window_ends(tmp_path: Path, source: MemoryStore) -> None:
    """The replica that was told serves the new cut at once; another one goes on for the window and no longer."""
    points, results = MemoryStore(), MemoryStore()
    one = with_points(tmp_path / "one", source, results, points)
    other = with_points(tmp_path / "other", source, results, points)
    async with one, other:
        before = await one.answer()
        await one.settle()
        assert (await other.answer()).etag == before.etag

        await FocalPoints(points).write("a.jpg", POINT)
        await one.purger.key("a.jpg")
        after = await one.answer()
        await one.settle()
        assert after.etag != before.etag
        assert (await other.answer()).etag == before.etag

        other.clock.advance(WINDOW + 1)
        stale = await other.answer()  # the last one: it is looked at again meanwhile
        assert stale.etag == before.etag
        for _ in range(100):
            if (await other.answer()).etag == after.etag:
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("the other replica never learnt of the point")
        await other.settle()


async def test_points_that_cannot_be_read_are_no_answer(source: MemoryStore) -> None:
    """A picture that might be cut at the wrong place is not made."""
    points = MemoryStore()
    points.failing["open"] = OriginUnavailable("down")
    focal = FocalSource(source, FocalPoints(points))

    with pytest.raises(ProxyError):
        await focal.stat("a.jpg")
    with pytest.raises(ProxyError):
        async with focal.open("a.jpg"):
            pass


async def test_a_missing_original_is_missing(source: MemoryStore) -> None:
    """A point without an original is not an original."""
    points = FocalPoints(MemoryStore())
    await points.write("gone.jpg", POINT)

    with pytest.raises(ProxyError, match="gone"):
        await FocalSource(source, points).stat("gone.jpg")

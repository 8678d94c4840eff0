"""The memory cache: bounded by bytes."""

from __future__ import annotations

import random

from proxy.delivery.memory import MemoryCache


async def test_least_recently_used_goes_first() -> None:
    """When room is needed, what was not asked for the longest goes."""
    cache: MemoryCache[str] = MemoryCache(limit=300, entry_limit=100)
    for key in "abc":
        await cache.put(key, key.upper(), 100)
    cache.get("a")
    await cache.put("d", "D", 100)

    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    assert cache.statistics.used_bytes == 300


async def test_too_large_an_entry_is_not_kept() -> None:
    """One entry cannot take more than its share, and replaces nothing but its own older value."""
    cache: MemoryCache[str] = MemoryCache(limit=300, entry_limit=100)
    await cache.put("a", "A", 100)
    await cache.put("b", "B", 100)
    await cache.put("a", "larger", 101)

    assert [cache.get(key) for key in "ab"] == [None, "B"]
    assert (cache.statistics.entries, cache.statistics.used_bytes) == (1, 100)


async def test_entry_limit_is_within_the_limit() -> None:
    """An entry as large as its limit does not pass the limit of the whole."""
    cache: MemoryCache[str] = MemoryCache(limit=50, entry_limit=100)
    await cache.put("a", "A", 60)
    assert cache.statistics.used_bytes == 0


async def test_no_memory_at_all() -> None:
    """A limit of 0 switches the cache off."""
    cache: MemoryCache[str] = MemoryCache(limit=0, entry_limit=100)
    await cache.put("a", "A", 1)
    assert cache.get("a") is None


async def test_replacement_is_accounted() -> None:
    """A value that replaces another counts instead of it."""
    cache: MemoryCache[str] = MemoryCache(limit=300, entry_limit=300)
    await cache.put("a", "small", 10)
    await cache.put("a", "large", 200)

    assert cache.get("a") == "large"
    assert (cache.statistics.entries, cache.statistics.used_bytes) == (1, 200)


async def test_delete_where() -> None:
    """What is wanted goes, with its bytes."""
    cache: MemoryCache[str] = MemoryCache(limit=300, entry_limit=300)
    for key in ("a!1", "a!2", "b!1"):
        await cache.put(key, key, 10)

    assert await cache.delete_where(lambda key: key.startswith("a")) == 2
    assert [cache.get(key) for key in ("a!1", "a!2", "b!1")] == [None, None, "b!1"]
    assert cache.statistics.used_bytes == 10


async def test_accounts_stay_right() -> None:
    """After thousands of random calls the books agree with what is there, and the limit always held."""
    chance = random.Random(1)
    cache: MemoryCache[int] = MemoryCache(limit=1000, entry_limit=400)
    sizes: dict[str, int] = {}
    for _ in range(3000):
        key = f"k{chance.randrange(20)}"
        if chance.random() < 0.2:
            await cache.delete(key)
        else:
            size = chance.randrange(500)
            sizes[key] = size
            await cache.put(key, size, size)
        assert cache.statistics.used_bytes <= 1000

    present = [key for key in sizes if cache.get(key) is not None]
    assert cache.statistics.used_bytes == sum(sizes[key] for key in present)
    assert cache.statistics.entries == len(present)

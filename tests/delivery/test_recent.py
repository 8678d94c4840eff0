"""Results of the last moments: bounded in time and bytes."""

from __future__ import annotations

import asyncio

import pytest

from proxy.delivery import recent
from proxy.delivery.recent import RecentResults
from tests.delivery.test_result import result_of


async def test_each_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is gone; what took its place meanwhile has a moment of its own."""
    monkeypatch.setattr(recent, "_SECONDS", 0.01)
    results = RecentResults()
    first, second = result_of(b"first"), result_of(b"second")
    results.hold("a", first)
    monkeypatch.setattr(recent, "_SECONDS", 60)
    results.hold("b", first)
    results.hold("a", second)
    await asyncio.sleep(0.05)
    assert (results.get("a"), results.get("b")) == (second, first)

    monkeypatch.setattr(recent, "_SECONDS", 0.01)
    results.hold("a", first)
    async with asyncio.timeout(10):
        while results.get("a") is not None:
            await asyncio.sleep(0.01)
    assert results.get("b") is first


async def test_so_many_bytes_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is not held; there is room again for what was dropped."""
    monkeypatch.setattr(recent, "_MOST_BYTES", 10)
    results = RecentResults()
    six, four, more = result_of(b"6" * 6), result_of(b"4" * 4), result_of(b"5" * 5)
    results.hold("six", six)
    results.hold("more", more)
    results.hold("four", four)
    assert [results.get(name) for name in ("six", "more", "four")] == [six, None, four]

    results.drop("six", more)  # another of that name
    assert results.get("six") is six
    results.drop("six", six)
    results.hold("more", more)
    assert [results.get(name) for name in ("six", "more", "four")] == [None, more, four]

    results.drop_where(lambda name: name != "four")
    results.hold("six", six)
    assert [results.get(name) for name in ("six", "more", "four")] == [six, None, four]

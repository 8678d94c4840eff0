"""The ring: who has what, what moves, and that nginx agrees."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bench.scale.ring import Ring
from tests.servers.faults import ScriptedServer, reply
from tests.servers.nginx import NginxServer

KEYS = [f"/{number}.jpg" for number in range(20_000)]


def servers(count: int) -> list[str]:
    return [f"10.0.0.{number}:8080" for number in range(1, count + 1)]


def moved(before: Sequence[str], after: Sequence[str]) -> float:
    old, new = Ring(before), Ring(after)
    return sum(old.owner(key) != new.owner(key) for key in KEYS) / len(KEYS)


@pytest.mark.parametrize("count", [3, 10])
def test_one_more_takes_its_share_and_no_more(count: int) -> None:
    """From n to n + 1 replicas about 1/(n + 1) of the pictures move, all of them to the new one."""
    old, new = Ring(servers(count)), Ring(servers(count + 1))
    joined = servers(count + 1)[-1]

    assert moved(servers(count), servers(count + 1)) == pytest.approx(1 / (count + 1), rel=0.25)
    assert all(new.owner(key) in (old.owner(key), joined) for key in KEYS)


def test_one_less_moves_only_its_own() -> None:
    """What belonged to the others stays with them."""
    old, new = Ring(servers(5)), Ring(servers(4))
    gone = servers(5)[-1]

    assert all(new.owner(key) == old.owner(key) for key in KEYS if old.owner(key) != gone)
    assert moved(servers(5), servers(4)) == pytest.approx(1 / 5, rel=0.25)


def test_shares_are_about_even() -> None:
    """160 points each: no replica has half as much again as another should."""
    ring = Ring(servers(7))
    counts = Counter(ring.owner(key) for key in KEYS)

    assert len(counts) == 7
    assert max(counts.values()) < 1.3 * len(KEYS) / 7


@pytest.mark.integration
async def test_nginx_asks_whom_the_ring_says(tmp_path: Path) -> None:
    """Real nginx with our configuration sends 150 pictures to three replicas: each to the one that is expected."""
    async with AsyncExitStack() as stack:
        answer = reply(200, b"picture", Cache_Control="no-store")
        replicas = [await stack.enter_async_context(ScriptedServer(answer)) for _ in range(3)]
        ring = Ring([f"127.0.0.1:{replica.port}" for replica in replicas])
        with NginxServer(tmp_path, [replica.port for replica in replicas]) as nginx:
            for key in KEYS[:150]:
                await asyncio.to_thread(nginx.get, f"{key}!thumb")
        for replica in replicas:
            keys = {request.target.partition("!")[0] for request in replica.received}
            assert {ring.owner(key) for key in keys} == {f"127.0.0.1:{replica.port}"}

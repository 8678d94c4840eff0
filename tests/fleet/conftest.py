"""One Redis for the tests of this directory; each has a deployment of its own on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from proxy.fleet.base import Ears, Known, Purge
from proxy.fleet.redis import RedisFleet
from proxy.metrics import Metrics
from tests.servers.redis import RedisServer

_DEPLOYMENTS = count()


@dataclass
class Heard:
    """What one replica was told."""

    purges: list[Purge] = field(default_factory=list)
    sights: list[tuple[str, Known]] = field(default_factory=list)
    presets: int = 0
    missed: int = 0
    heed: Callable[[Purge], Awaitable[None]] | None = None

    async def purged(self, purge: Purge) -> None:
        self.purges.append(purge)
        if self.heed is not None:
            await self.heed(purge)

    def change(self) -> None:
        self.presets += 1

    def miss(self) -> None:
        self.missed += 1

    @property
    def ears(self) -> Ears:
        return Ears(self.purged, lambda key, known: self.sights.append((key, known)), self.change, self.miss)


LEASE = 0.8
"""Seconds: shorter than in use, so that tests need not wait long."""
REST = 0.5


class Replica(RedisFleet):
    """One replica's end, with what it heard."""

    def __init__(self, server: RedisServer, deployment: str, *, window: float = 60.0, url: str | None = None) -> None:
        self.metrics = Metrics()
        self.heard = Heard()
        super().__init__(
            url or server.url,
            deployment=deployment,
            window=window,
            negative_ttl=10.0,
            metrics=self.metrics,
            lease=LEASE,
            rest=REST,
        )


Join = Callable[..., Awaitable[Replica]]


@pytest.fixture(name="redis", scope="session")
def _redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(name="own_redis")
def _own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server for tests that hurt it."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture(name="join")
async def _join(request: pytest.FixtureRequest) -> AsyncIterator[Join]:
    """Make replicas of one deployment; they leave when the test ends."""
    replicas: list[Replica] = []
    deployment = str(next(_DEPLOYMENTS))

    async def join(server: RedisServer, **settings: object) -> Replica:
        replica = Replica(server, deployment, **settings)  # type: ignore[arg-type]
        replicas.append(replica)
        await replica.follow(replica.heard.ears)
        return replica

    yield join
    for replica in replicas:
        await replica.close()


async def until(fact: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it never became so"
        await asyncio.sleep(0.01)

"""What is simulated, as data: who asks for what, which layers stand in the way, and what happens meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self, TypeAlias

import numpy as np

from bench.scale.closed_forms import Floats

DAY = 86_400.0
MIB = 1024.0 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Preset:
    """One size that pages ask for."""

    name: str
    weight: float
    """Its share of all requests, in proportion to the others'."""
    size: float
    """Mean bytes of a result."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What browsers ask for after their own cache."""

    rate: float
    """Requests a second at the busiest hour."""
    pictures: int
    exponent: float = 0.9
    """Of Zipf's law over pictures; 0.7 to 1.1 in published traces of the web."""
    presets: Sequence[Preset] = (
        Preset("thumb", 0.50, 2_500),
        Preset("small", 0.35, 25_000),
        Preset("large", 0.15, 150_000),
    )
    revalidations: float = 0.15
    """The share of requests by browsers whose copy has grown old: 304 without a body."""
    uploads: float = 0.0
    """New pictures a second. Each takes the place of another in the order of popularity: mostly that of a popular one."""
    megapixels: tuple[float, float] = (8.0, 0.7)
    """Of originals: median, and sigma of the logarithm."""
    bytes_per_megapixel: float = 350_000

    @property
    def weights(self) -> Floats:
        """Each preset's share."""
        weights = np.array([preset.weight for preset in self.presets])
        return np.asarray(weights / weights.sum())


@dataclass(frozen=True, slots=True)
class Cdn:
    """Points of presence, each with its own copies for `ttl` seconds (IMGBANG_CDN_MAX_AGE); no limit to their number."""

    pops: int
    ttl: float = DAY
    shield: bool = False
    """Whether all of them ask one more cache instead of us."""


class Routing(StrEnum):
    """How the replica for a request is chosen."""

    HASH = "hash"
    """By the picture, consistently: our nginx."""
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Fleet:
    """What we run ourselves. The defaults are those of imgbang's settings and of nginx/imgbang.conf."""

    replicas: int
    nginx: int = 1
    nginx_bytes: float = 10 * GIB
    nginx_ttl: float = 1.0
    """IMGBANG_NGINX_MAX_AGE."""
    memory_bytes: float = 128 * MIB
    """Of each replica: IMGBANG_CACHE_BYTES."""
    freshness: float = 60.0
    linger: float = 10.0
    """Seconds a staged original stays."""
    results_kept: float = 90 * DAY
    """The bucket's lifecycle rule: a result is deleted so long after it was written."""
    routing: Routing = Routing.HASH
    leases: bool = False
    """Whether replicas wait for one another's renders (Redis)."""


@dataclass(frozen=True, slots=True)
class Restart:
    """A replica is away for a while and comes back with nothing in memory."""

    at: float
    replica: int
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Join:
    """One more replica."""

    at: float


@dataclass(frozen=True, slots=True)
class Leave:
    """A replica goes for good."""

    at: float
    replica: int


@dataclass(frozen=True, slots=True)
class Edit:
    """A preset is edited: none of its results is found again. With `purge`, the CDN is told to drop its URLs."""

    at: float
    preset: int
    purge: bool = True


@dataclass(frozen=True, slots=True)
class PurgeCdn:
    """The CDN forgets everything."""

    at: float


Change: TypeAlias = Restart | Join | Leave | Edit | PurgeCdn


@dataclass(frozen=True, slots=True)
class World:
    """One simulation."""

    traffic: Traffic
    fleet: Fleet
    cdn: Cdn | None = None
    changes: Sequence[Change] = ()
    warm: bool = True
    """Whether everything has run for weeks before; else every cache and the results' bucket are empty."""
    share: float = 1.0
    """How much of the world is simulated: so much of the requests, the pictures and the bytes of every cache.

    The hit ratios stay nearly the same, because Zipf's law looks alike at every size: the method of SHARDS (Waldspurger
    and others, FAST 2015). Points of presence, nginx and replicas keep their number.
    """
    names: str = "/{}.jpg"
    """The URL of a picture without its preset; what the ring hashes."""
    servers: Sequence[str] = field(default=())
    """The replicas' addresses, as in replicas.conf; made up if none are given."""

    def shrunk(self) -> Self:
        """The world that is simulated."""
        share = self.share
        traffic, fleet = self.traffic, self.fleet
        traffic = replace(
            traffic,
            rate=traffic.rate * share,
            pictures=max(1, round(traffic.pictures * share)),
            uploads=traffic.uploads * share,
        )
        fleet = replace(fleet, nginx_bytes=fleet.nginx_bytes * share, memory_bytes=fleet.memory_bytes * share)
        return replace(self, traffic=traffic, fleet=fleet, share=1.0)


def deploy(at: float, replicas: int, *, pause: float = 20.0, seconds: float = 5.0) -> list[Restart]:
    """Every replica restarted, one after the other."""
    return [Restart(at + number * pause, number, seconds) for number in range(replicas)]

"""What the layers hold after weeks of the same traffic, from closed forms: where a simulation begins."""

from __future__ import annotations

import random

import numpy as np

from bench.scale.closed_forms import Floats, after_ttl, characteristic_time, zipf
from bench.scale.world import Routing, World


class Steady:
    """The rates at which each picture in each preset is asked for, at every layer."""

    def __init__(self, world: World) -> None:
        traffic, fleet, cdn = world.traffic, world.fleet, world.cdn
        self._weights = traffic.weights
        self._picture = zipf(traffic.pictures, traffic.exponent) * traffic.rate
        asked = np.outer(self._picture, self._weights)
        if cdn is not None:
            asked = cdn.pops * after_ttl(asked / cdn.pops, cdn.ttl)
            if cdn.shield:
                asked = after_ttl(asked, cdn.ttl)
        # nginx asks again after its second, counted in whole ones: what reaches a replica.
        reaching = fleet.nginx * after_ttl(asked / fleet.nginx, fleet.nginx_ttl + 0.5)
        replicas = fleet.replicas if fleet.routing is Routing.RANDOM else 1
        self._seen = reaching.sum(axis=1) / replicas
        sizes = np.broadcast_to([preset.size for preset in traffic.presets], asked.shape)
        at_nginx = (asked / fleet.nginx).ravel()
        self._nginx_rate = at_nginx
        self._nginx_time = min(characteristic_time(at_nginx, sizes.ravel(), fleet.nginx_bytes), 7 * 86_400.0)
        has_copy = -np.expm1(-at_nginx * self._nginx_time)
        # Memory is filled with what nginx has no copy of; for the rest, knowing the original is enough.
        self._memory_rate = reaching.ravel() * (1 - has_copy) / replicas
        capacity = fleet.memory_bytes * (fleet.replicas if fleet.routing is Routing.HASH else 1)
        self._memory_time = characteristic_time(self._memory_rate, sizes.ravel(), capacity)
        kept = reaching * fleet.results_kept
        self._stored = kept / (1 + kept)

    @property
    def nginx_seconds(self) -> float:
        """How long nginx keeps what nobody asks for."""
        return self._nginx_time

    @property
    def memory_seconds(self) -> float:
        """The same of the replicas' memory."""
        return self._memory_time

    @property
    def results(self) -> float:
        """How many results the bucket holds."""
        return float(self._stored.sum())

    @property
    def result_counts(self) -> Floats:
        """The same by preset."""
        return np.asarray(self._stored.sum(axis=0))

    def rate(self, rank: int, preset: int) -> float:
        """Requests a second by browsers."""
        return float(self._picture[rank]) * float(self._weights[preset])

    def seen_rate(self, rank: int) -> float:
        """Requests a second for a picture that reach one replica."""
        return float(self._seen[rank])

    def stored(self, rank: int, preset: int) -> float:
        """The probability that the result is in the bucket."""
        return float(self._stored[rank, preset])

    def in_nginx(self, chance: random.Random) -> list[int]:
        """What one nginx holds, the longest unused first."""
        return _held(self._nginx_rate, self._nginx_time, chance)

    def in_memory(self, chance: random.Random) -> list[int]:
        """What the memory of all replicas holds (of each, where requests go to any), the longest unused first."""
        return _held(self._memory_rate, self._memory_time, chance)


def _held(rates: Floats, seconds: float, chance: random.Random) -> list[int]:
    draws = np.random.default_rng(chance.getrandbits(32))
    ages = draws.exponential(1.0, len(rates)) / np.maximum(rates, 1e-300)
    held = np.flatnonzero(ages < min(seconds, 1e12))
    return list(held[np.argsort(-ages[held])].tolist())

"""Requests, drawn from a seed: who asks for which picture in which preset, where, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.scale.closed_forms import zipf
from bench.scale.world import World


class Asked(NamedTuple):
    """One request after the browser's own cache."""

    at: float
    rank: int
    preset: int
    pop: int
    nginx: int
    revalidates: bool


@dataclass(frozen=True)
class Trace:
    """Requests in the order of time; columns rather than rows, because there are millions."""

    at: list[float]
    rank: list[int]
    preset: list[int]
    pop: list[int]
    nginx: list[int]
    revalidates: list[bool]

    def __iter__(self) -> Iterator[Asked]:
        columns = (self.at, self.rank, self.preset, self.pop, self.nginx, self.revalidates)
        return map(Asked._make, zip(*columns, strict=True))

    def __len__(self) -> int:
        return len(self.at)


def draw(world: World, count: int, seed: int = 1) -> Trace:
    """`count` requests of a Poisson process."""
    chance = np.random.default_rng(seed)
    traffic = world.traffic
    cumulated = np.cumsum(zipf(traffic.pictures, traffic.exponent))
    ranks = np.searchsorted(cumulated, chance.random(count) * cumulated[-1])
    return Trace(
        at=np.cumsum(chance.exponential(1 / traffic.rate, count)).tolist(),
        rank=ranks.tolist(),
        preset=chance.choice(len(traffic.presets), count, p=traffic.weights).tolist(),
        pop=chance.integers(world.cdn.pops if world.cdn else 1, size=count).tolist(),
        nginx=chance.integers(world.fleet.nginx, size=count).tolist(),
        revalidates=(chance.random(count) < traffic.revalidations).tolist(),
    )


def spread(count: int, sigma: float, seed: int) -> list[float]:
    """`count` factors with the mean 1 and a log-normal spread: sizes of pictures and of results."""
    factors = np.random.default_rng(seed).lognormal(-(sigma**2) / 2, sigma, count)
    return list((factors / factors.mean()).tolist())


def new_places(world: World, seconds: float, seed: int) -> list[tuple[float, int]]:
    """When a new picture comes, and whose place in the order it takes: ranks even in their logarithm."""
    if not world.traffic.uploads:
        return []
    chance = np.random.default_rng(seed)
    count = int(chance.poisson(world.traffic.uploads * seconds))
    times = np.sort(chance.random(count) * seconds).tolist()
    ranks = np.exp(chance.random(count) * np.log(world.traffic.pictures)).astype(int).tolist()
    return list(zip(times, (rank - 1 for rank in ranks), strict=True))

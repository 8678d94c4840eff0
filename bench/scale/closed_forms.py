"""What is known about caches and queues without simulating them. Each has its source and, in tests, its proof.

Two uses: the simulator's caches begin in the state that they would have after weeks, and sizes follow from the load.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


def zipf(count: int, exponent: float) -> Floats:
    """The share of each rank: rank r is asked for in proportion to r^-exponent."""
    shares = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    return np.asarray(shares / shares.sum())


def ttl_hit_ratio(rate: float, ttl: float) -> float:
    """Hits of a cache that keeps a copy for `ttl` seconds after it was fetched, under Poisson arrivals.

    Each fetch is followed by rate × ttl hits on average; also the probability that a copy is there at any moment.
    """
    return rate * ttl / (1 + rate * ttl)


def after_ttl(rates: Floats, ttl: float) -> Floats:
    """The rates at which such caches ask for what they miss."""
    return rates / (1 + rates * ttl)


def characteristic_time(rates: Floats, sizes: Floats, capacity: float) -> float:
    """The seconds for which an LRU cache of so many bytes keeps what nobody asks for; inf where everything fits.

    Che, Tung and Wang, "Hierarchical Web Caching Systems" (2002): the time T with Σ size (1 - e^(-rate T)) = capacity.
    An object is then found with probability 1 - e^(-rate T).
    """
    if capacity <= 0:
        return 0.0
    if float(sizes[rates > 0].sum()) <= capacity:
        return math.inf
    low, high = 0.0, 1.0
    while float((sizes * -np.expm1(-rates * high)).sum()) < capacity:
        high *= 2
        if high > 1e15:
            return math.inf
    for _ in range(60):
        middle = (low + high) / 2
        if float((sizes * -np.expm1(-rates * middle)).sum()) < capacity:
            low = middle
        else:
            high = middle
    return high


def erlang_c(servers: int, load: float) -> float:
    """The probability of having to wait before `servers`, offered `load` (arrivals × mean service time); 1 beyond."""
    if load >= servers:
        return 1.0
    blocked = 1.0  # Erlang B, by its recursion
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


def share_waiting_longer(seconds: float, servers: int, load: float, service: float, variation: float = 1.0) -> float:
    """The share of arrivals that wait longer than `seconds` for one of `servers`.

    Exact for exponential service times (variation 1). For others the mean wait is scaled by (1 + variation²) / 2, after
    Allen and Cunneen; `variation` is the standard deviation of the service time over its mean.
    """
    if load >= servers:
        return 1.0
    scale = (1 + variation**2) / 2
    return erlang_c(servers, load) * math.exp(-(servers - load) * seconds / (service * scale))


def servers_needed(load: float, service: float, *, utilisation: float, wait: float, variation: float = 1.0) -> int:
    """The fewest servers that are at most so busy, and before which at most 1 % wait longer than `wait` seconds."""
    servers = max(1, math.ceil(load / utilisation - 1e-9))
    while load and share_waiting_longer(wait, servers, load, service, variation) > 0.01:
        servers += 1
    return servers

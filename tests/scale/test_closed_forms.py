"""The closed forms against textbooks, and the simulator's caches against the closed forms."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from bench.scale.caches import ByteLru, TtlCache
from bench.scale.closed_forms import (
    after_ttl,
    characteristic_time,
    erlang_c,
    servers_needed,
    share_waiting_longer,
    ttl_hit_ratio,
    zipf,
)


def test_zipf() -> None:
    """Shares add up to one; the second is asked for 2^-s times as often as the first."""
    shares = zipf(1000, 0.8)

    assert shares.sum() == pytest.approx(1)
    assert shares[1] / shares[0] == pytest.approx(2**-0.8)


@pytest.mark.parametrize(("rate", "ttl"), [(0.01, 60), (1, 1), (5, 3)])
def test_a_cache_by_time_hits_as_the_formula_says(rate: float, ttl: float) -> None:
    """Poisson arrivals for one object, from an empty cache: rate × ttl hits for each fetch."""
    chance = random.Random(1)
    cache, now, hits = TtlCache(ttl), 0.0, 0
    for _ in range(40_000):
        now += chance.expovariate(rate)
        hits += cache.hit(0, now, rate)

    assert hits / 40_000 == pytest.approx(ttl_hit_ratio(rate, ttl), abs=0.01)
    assert after_ttl(np.array([rate]), ttl)[0] / rate == pytest.approx(1 - ttl_hit_ratio(rate, ttl))


def test_a_cache_that_began_long_ago_is_in_its_steady_state_at_once() -> None:
    """Many objects, each asked for over a time far shorter than the TTL: the hit ratio is that of weeks."""
    chance = random.Random(2)
    rate, ttl, length = 0.001, 1000.0, 200.0
    cache, hits, asked = TtlCache(ttl, chance), 0, 0
    for slot in range(40_000):
        now = chance.expovariate(rate)
        while now < length:
            hits += cache.hit(slot, now, rate)
            asked += 1
            now += chance.expovariate(rate)

    assert asked > 5000
    assert hits / asked == pytest.approx(ttl_hit_ratio(rate, ttl), abs=0.02)


def test_a_flushed_cache_is_empty() -> None:
    """Neither what was fetched nor what may have been there before is found."""
    cache = TtlCache(1e6, random.Random(3))
    cache.hit(1, 0.0, 1.0)
    cache.flush()

    assert not any(cache.hit(slot, 1.0, 1.0) for slot in range(100))
    assert all(cache.hit(slot, 2.0, 1.0) for slot in range(100))


@pytest.mark.parametrize("capacity", [20_000.0, 100_000.0, 400_000.0])
def test_lru_hits_as_che_says(capacity: float) -> None:
    """Zipf requests to objects of different sizes, bounded by bytes: within a point of Che's approximation."""
    chance = np.random.default_rng(4)
    rates = zipf(5000, 0.9)
    sizes = chance.choice([20.0, 100.0, 400.0], 5000)
    seconds = characteristic_time(rates, sizes, capacity)
    expected = float((rates * -np.expm1(-rates * seconds)).sum())
    cache: ByteLru[bool] = ByteLru(capacity)
    asked = chance.choice(5000, 200_000, p=rates).tolist()
    hits = 0
    for number, slot in enumerate(asked):
        if cache.get(slot):
            hits += number >= 50_000
        else:
            cache.put(slot, True, float(sizes[slot]))

    assert 0.1 < expected < 0.9
    assert hits / 150_000 == pytest.approx(expected, abs=0.01)


def test_everything_fits_and_nothing_fits() -> None:
    """A cache larger than everything keeps it for ever; one of no bytes keeps nothing."""
    rates, sizes = np.array([1.0, 2.0]), np.array([10.0, 10.0])

    assert math.isinf(characteristic_time(rates, sizes, 20.0))
    assert characteristic_time(rates, sizes, 0.0) == 0


def test_a_cache_by_bytes_never_holds_more() -> None:
    """A value that replaces another frees its bytes; what is larger than the cache is not kept and drops nothing."""
    cache: ByteLru[int] = ByteLru(100.0)
    cache.put(1, 1, 60.0)
    cache.put(1, 2, 40.0)
    cache.put(2, 3, 60.0)
    cache.put(3, 4, 101.0)

    assert (cache.get(1), cache.get(2), cache.get(3)) == (2, 3, None)
    cache.put(4, 5, 1.0)
    assert (cache.get(1), cache.get(2), cache.get(4)) == (None, 3, 5)


@pytest.mark.parametrize(
    ("servers", "load", "expected"), [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (10, 8.0, 0.409), (3, 3.0, 1)]
)
def test_erlang_c(servers: int, load: float, expected: float) -> None:
    """M/M/1: the load. M/M/2 at one: a third. Ten servers at eight: as the tables say. Overloaded: everybody waits."""
    assert erlang_c(servers, load) == pytest.approx(expected, abs=0.001)


def test_waits_are_those_of_a_simulated_queue() -> None:
    """Five servers 80 % busy: the share that waits longer than half a service time, beside 200,000 simulated arrivals."""
    chance = random.Random(5)
    servers, service, load = 5, 1.0, 4.0
    free, now, long = [0.0] * servers, 0.0, 0
    for _ in range(200_000):
        now += chance.expovariate(load / service)
        index = free.index(min(free))
        begins = max(now, free[index])
        long += begins - now > 0.5
        free[index] = begins + chance.expovariate(1 / service)

    assert share_waiting_longer(0.5, servers, load, service) == pytest.approx(long / 200_000, abs=0.02)


def test_few_servers_need_more_room_than_many() -> None:
    """The margin is what waiting asks for where there are few, and the utilisation where there are many."""
    few = servers_needed(0.5, 0.1, utilisation=0.9, wait=0.05)
    many = servers_needed(500, 0.1, utilisation=0.9, wait=0.05)

    assert few >= 2
    assert many == math.ceil(500 / 0.9)
    assert servers_needed(0.5, 0.1, utilisation=0.9, wait=0.05, variation=3.0) > few

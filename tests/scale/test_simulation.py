"""Whole simulations of small worlds, against what can be counted by hand or known otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.scale.closed_forms import after_ttl, zipf
from bench.scale.simulation import Simulation
from bench.scale.steady import Steady
from bench.scale.tally import (
    BUCKET,
    CDN,
    COLD,
    FETCH,
    JOINED,
    KNOWN,
    LOOK,
    MEMORY,
    MISSED,
    NGINX,
    READ,
    SHIELD,
    WRITE,
    Tally,
)
from bench.scale.traffic import Trace, draw
from bench.scale.world import MIB, Cdn, Change, Edit, Fleet, Join, Preset, PurgeCdn, Restart, Routing, Traffic, World

ONE = (Preset("thumb", 1.0, 1000.0),)
TWO = (Preset("thumb", 0.5, 1000.0), Preset("small", 0.5, 10_000.0))


def small(*, presets: Sequence[Preset] = ONE, changes: Sequence[Change] = (), **fleet: object) -> World:
    size = Fleet(replicas=2, **fleet)  # type: ignore[arg-type]
    return World(Traffic(1.0, 10, presets=presets, revalidations=0.0), size, changes=changes, warm=False)


def asked(world: World, *requests: tuple[float, int, int]) -> Tally:
    """Simulate requests given as time, picture and preset."""
    at, rank, preset = (list(column) for column in zip(*requests, strict=True))
    none = [0] * len(at)
    nginx = [number % world.fleet.nginx for number in range(len(at))]
    trace = Trace(at, rank, preset, none, nginx, [False] * len(at))  # type: ignore[arg-type]
    return Simulation(world, trace, bin_seconds=1.0).run()


def test_a_picture_through_its_life() -> None:
    """Rendered; nginx's copy; 304 from what is known; when that is old, one look; nothing else is ever called."""
    tally = asked(small(), (0.0, 1, 0), (0.9, 1, 0), (30.0, 1, 0), (100.0, 1, 0), (130.0, 1, 0))

    assert tally.layers == {COLD: 1, NGINX: 1, KNOWN: 2, MEMORY: 1}
    assert tally.calls == {MISSED: 1, FETCH: 1, WRITE: 1, LOOK: 1}


def test_another_size_of_a_staged_original_is_not_fetched_again() -> None:
    """Two sizes within seconds are one read of the original; a minute and a half later it is read again."""
    soon = asked(small(presets=TWO), (0.0, 1, 0), (2.0, 1, 1))
    late = asked(small(presets=TWO), (0.0, 1, 0), (90.0, 1, 1))

    assert (soon.calls[FETCH], late.calls[FETCH]) == (1, 2)


def test_requests_during_a_render_join_it() -> None:
    """Each through another nginx: one render, one that waits for it, one from the memory that it went to."""
    tally = asked(small(nginx=3), (0.0, 1, 0), (0.05, 1, 0), (0.2, 1, 0))

    assert tally.layers == {COLD: 1, JOINED: 1, MEMORY: 1}


def test_a_restarted_replica_finds_its_results_in_the_bucket() -> None:
    """Reads instead of renders, at its neighbour that stands in and at itself; where nginx has no copy to ask about."""
    world = small(changes=[Restart(100.0, 0, 10.0), Restart(200.0, 1, 10.0)], nginx_bytes=1.0)
    tally = asked(world, (0.0, 1, 0), (105.0, 1, 0), (150.0, 1, 0), (205.0, 1, 0), (250.0, 1, 0))

    assert tally.layers[COLD] == 1
    assert tally.layers[BUCKET] >= 2
    assert tally.calls[READ] == tally.layers[BUCKET]
    assert tally.calls[FETCH] == tally.calls[WRITE] == 1


def test_a_copy_in_nginx_is_confirmed_by_one_look() -> None:
    """A replica that has just come up knows nothing and holds nothing: it looks at the original, and reads no result."""
    tally = asked(small(changes=[Restart(100.0, 0, 1.0), Restart(100.0, 1, 1.0)]), (0.0, 1, 0), (110.0, 1, 0))

    assert tally.layers == {COLD: 1, KNOWN: 1}
    assert tally.calls == {MISSED: 1, FETCH: 1, WRITE: 1, LOOK: 1}


def test_an_edited_preset_is_rendered_again_once() -> None:
    """Its own results only: the other preset's copies go on being good."""
    world = small(presets=TWO, changes=[Edit(10.0, 0)])
    requests = [(0.0, 1, 0), (0.1, 1, 1), (20.0, 1, 0), (20.1, 1, 1), (25.0, 1, 0)]
    tally = asked(world, *requests)

    assert tally.renders == {0: 2, 1: 1}
    assert tally.layers[KNOWN] == 2


def test_a_cdn_keeps_the_old_until_it_is_purged() -> None:
    """Without a purge an edit reaches nobody behind the CDN; with it, everybody."""
    world = replace(small(changes=[Edit(10.0, 0, purge=False)]), cdn=Cdn(1))
    purged = replace(world, changes=[Edit(10.0, 0)])

    assert asked(world, (0.0, 1, 0), (20.0, 1, 0)).layers == {COLD: 1, CDN: 1}
    assert asked(purged, (0.0, 1, 0), (20.0, 1, 0)).layers == {COLD: 2}


def test_any_replica_renders_what_another_renders_unless_there_are_leases() -> None:
    """Twenty requests within a render, through as many nginx, to replicas at random: two renders, one with Redis."""
    requests = [(number / 1000, 1, 0) for number in range(20)]
    world = small(nginx=20, routing=Routing.RANDOM)
    alone = asked(world, *requests)
    leased = asked(replace(world, fleet=replace(world.fleet, leases=True)), *requests)

    assert (alone.layers[COLD], alone.duplicates) == (2, 1)
    assert (leased.layers[COLD], leased.duplicates) == (1, 0)


def test_a_cdn_hits_as_the_closed_form_says() -> None:
    """Zipf traffic over five points of presence that have run for weeks, within a point."""
    traffic = Traffic(200.0, 20_000, 0.9, ONE)
    world = World(traffic, Fleet(2), cdn=Cdn(5, ttl=3600.0))
    tally = Simulation(world, draw(world, 60_000)).run()
    rates = zipf(20_000, 0.9) * traffic.rate / 5
    expected = 1 - float(after_ttl(rates, 3600.0).sum() / rates.sum())

    assert tally.layers[CDN] / tally.requests == pytest.approx(expected, abs=0.01)


def test_a_shield_asks_once_for_all() -> None:
    """Every point of presence misses once; the shield asks us once."""
    world = replace(small(), cdn=Cdn(3, shield=True))
    trace = Trace([0.0, 1.0, 2.0], [1] * 3, [0] * 3, [0, 1, 2], [0] * 3, [False] * 3)
    tally = Simulation(world, trace).run()

    assert tally.layers == {COLD: 1, SHIELD: 2}


def test_a_purge_of_the_cdn_lets_everything_through_once() -> None:
    """The rate at nginx jumps, and falls again as the CDN fills."""
    traffic = Traffic(200.0, 2_000, 0.9, ONE)
    world = World(traffic, Fleet(2), cdn=Cdn(2), changes=[PurgeCdn(100.0)])
    tally = Simulation(world, draw(world, 60_000), bin_seconds=1.0).run()

    assert tally.rate("requests", 0, 100, 1.0) < 5
    assert tally.rate("requests", 100, 103, 1.0) > 80
    assert tally.rate("requests", 250, 300, 1.0) < 15


def test_a_simulation_begins_where_it_would_be_after_weeks() -> None:
    """The first and the second half of a warm world show the same: nothing is filled or emptied by the run."""
    world = World(Traffic(200.0, 20_000), Fleet(3, nginx_bytes=30 * MIB, memory_bytes=5 * MIB))
    trace = draw(world, 80_000)
    first = Simulation(world, Trace(*(column[:40_000] for column in vars(trace).values()))).run()
    second = Simulation(world, trace, warm_up=trace.at[40_000]).run()

    for layer in (NGINX, KNOWN, MEMORY, BUCKET):
        assert first.layers[layer] / 40_000 == pytest.approx(second.layers[layer] / 40_000, abs=0.025), layer


def test_a_tenth_of_a_world_looks_like_the_whole() -> None:
    """Hit ratios of a shrunk world are within two points of the whole one's."""
    world = World(
        Traffic(400.0, 400_000), Fleet(4, nginx_bytes=400 * MIB, memory_bytes=40 * MIB), cdn=Cdn(4, ttl=20_000.0)
    )
    part = replace(world, share=0.1).shrunk()
    whole = Simulation(world, draw(world, 60_000)).run()
    tenth = Simulation(part, draw(part, 60_000)).run()

    for layer in (CDN, BUCKET, KNOWN, COLD):
        assert whole.layers[layer] / 60_000 == pytest.approx(tenth.layers[layer] / 60_000, abs=0.02), layer


def test_new_pictures_are_rendered() -> None:
    """With everything else in the bucket for ever, renders follow from uploads alone, and there is one for each size."""
    traffic = Traffic(300.0, 1000, 0.9, TWO, uploads=0.5)
    world = World(traffic, Fleet(2, results_kept=1e12))
    tally = Simulation(world, draw(world, 60_000)).run()

    assert tally.layers[COLD] == pytest.approx(0.5 * 2 * 200, rel=0.35)
    assert not Simulation(replace(world, traffic=replace(traffic, uploads=0.0)), draw(world, 5000)).run().layers[COLD]


def test_a_new_replica_begins_cold() -> None:
    """Its pictures come from the bucket; nothing is rendered."""
    world = World(Traffic(200.0, 2000, presets=ONE), Fleet(3, nginx_bytes=0.0, memory_bytes=5 * MIB, results_kept=1e12))
    joined = replace(world, changes=[Join(20.0)])
    trace = draw(world, 8000)
    before, after = Simulation(world, trace).run(), Simulation(joined, trace).run()

    assert after.layers[BUCKET] > before.layers[BUCKET] + 100
    assert after.layers[COLD] == before.layers[COLD] == 0


def test_results_in_the_bucket_balance_writing_and_deleting() -> None:
    """Something asked for once in the life of a result is there half of the time."""
    world = World(Traffic(1.0, 1, presets=ONE), Fleet(1, results_kept=1.0, nginx_ttl=-0.5))

    assert Steady(world).results == pytest.approx(0.5)


def test_the_same_seed_is_the_same_run() -> None:
    """Reproducible to the last count."""
    world = World(Traffic(100.0, 5000, uploads=0.1), Fleet(3), cdn=Cdn(3))
    runs = [Simulation(world, draw(world, 5000, 7), seed=7).run() for _ in range(2)]

    assert runs[0] == runs[1]
    assert runs[0] != Simulation(world, draw(world, 5000, 8), seed=8).run()

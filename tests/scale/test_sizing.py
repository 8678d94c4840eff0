"""From counts to machines and money, and the measured costs behind them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from bench.figures import shown
from bench.scale.command import scale
from bench.scale.costs import COMMITTED, Costs, RenderCost
from bench.scale.sizing import Prices, Shape, Sizing, money
from bench.scale.tally import BUCKET, COLD, KNOWN, READ, WRITE, Tally
from bench.scale.world import Cdn, Fleet, Traffic, World

RENDER = RenderCost([1.0, 10.0], [10.0, 100.0], [1e3, 1e3])
COSTS = Costs("2026-01-01", {"thumb": RENDER}, 10_000.0, 200.0, 300.0, 3000.0, 30.0, 60.0)


def test_costs_between_and_beyond_what_was_measured() -> None:
    """Straight lines between, in proportion beyond, and never less than the least."""
    assert [RENDER.at(one) for one in (0.1, 1.0, 5.5, 10.0, 20.0)] == [10.0, 10.0, 55.0, 100.0, 200.0]


def test_a_preset_that_was_not_measured_costs_what_the_dearest_does() -> None:
    """Rather too much than too little."""
    costs = replace(COSTS, renders={"thumb": RENDER, "large": RenderCost([1.0], [50.0], [1.0])})

    assert costs.render_ms("other", 1.0) == 50.0


def test_the_mean_of_a_straight_line_is_at_the_mean() -> None:
    """10 ms for each megapixel, and a spread of sizes: the mean time is that of the mean size."""
    line = RenderCost([0.001, 1000.0], [0.01, 10_000.0], [1.0, 1.0])
    mean, variation = replace(COSTS, renders={"thumb": line}).mean_render_ms("thumb", 8.0, 0.7)

    assert mean == pytest.approx(80.0, rel=0.02)
    assert variation == pytest.approx(0.795, rel=0.1)  # sqrt(e^0.49 - 1)


def test_sizes_follow_from_counts() -> None:
    """1000 requests/s, 1 % rendered at 100 ms each: one core renders; 600 reads at 3 ms: about two fronts."""
    world = World(Traffic(1000.0, 100, megapixels=(10.0, 0.0)), Fleet(2))
    tally = Tally(requests=100, layers=Counter({KNOWN: 39, BUCKET: 60, COLD: 1}), renders=Counter({0: 1}))
    tally.calls = Counter({READ: 60, WRITE: 1})
    sizing = Sizing.of(tally, world, COSTS, Shape(cores=4, utilisation=0.5))

    assert sizing.render_cores == pytest.approx(1.0)
    assert sizing.workers >= 2
    assert sizing.front_cores == pytest.approx(0.39 * 0.2 + 0.6 * 3 + 0.01 * 10)
    assert (sizing.replicas, sizing.bound) == (5, "the front")
    assert sizing.calls == pytest.approx(610)


def test_money_is_for_a_million_pictures() -> None:
    """0.6 reads and 0.01 writes each, 10 kB to the browser."""
    world = World(Traffic(1000.0, 100), Fleet(1), cdn=Cdn(1))
    tally = Tally(requests=100, layers=Counter({BUCKET: 100}), edge_bytes=1e6, calls=Counter({READ: 60, WRITE: 1}))
    prices = Prices(million_reads=1.0, million_writes=10.0, gb_to_browsers=0.1, million_cdn_requests=0.5)
    sizing = Sizing.of(tally, world, COSTS, Shape())
    bill = money(tally, world, sizing, shape=Shape(peak=1.0), prices=prices)

    assert bill["bucket reads"] == pytest.approx(0.6)
    assert bill["bucket writes"] == pytest.approx(0.1)
    assert bill["bytes to browsers"] == pytest.approx(1.0)
    assert bill["CDN requests"] == 0.5
    # Three seconds of fronts in a second, at most 0.6 busy: five replicas with a front and a worker; a core of nginx.
    assert sizing.replicas == 5
    assert bill["machines"] == pytest.approx((5 * 2 + 1) * 0.04 / 3.6)


def test_costs_are_read_as_they_were_written() -> None:
    """JSON and back."""
    assert Costs.parse(json.dumps(COSTS.values)).values == COSTS.values


def test_the_documentation_shows_the_committed_costs() -> None:
    """docs/scale.md has each figure of docs/scale-costs.json, and its date."""
    costs = Costs.parse(COMMITTED.read_text("utf-8"))
    text = (COMMITTED.parent / "scale.md").read_text("utf-8")

    assert costs.measured in text
    for value in (costs.cold_front, costs.known, costs.memory, costs.bucket, costs.nginx_hit, costs.nginx_pass):
        assert f"| {shown(value)} " in text, value
    for render in costs.renders.values():
        for value in render.worker_ms:
            assert f"| {shown(value)} " in text, value


def test_a_whole_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Every step prints its tables."""
    report = scale(
        steps=["one box"], requests=4000, exponent=0.9, seed=1, trouble=False, shape=Shape(), prices=Prices()
    )
    out = capsys.readouterr().out

    assert [str(table["title"]).partition(":")[0] for table in report.tables] == ["Scale"] * 5
    assert "| CDN " in out
    assert "one box" in out

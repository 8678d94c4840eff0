"""Simulate the steps, print what each layer takes and what it costs; then what happens when something happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace

from bench.report import Report
from bench.scale.closed_forms import servers_needed
from bench.scale.costs import Costs, read_costs
from bench.scale.scenarios import AT, LENGTH, STEPS, knobs, troubles
from bench.scale.simulation import Simulation
from bench.scale.sizing import Prices, Shape, Sizing, money, storage_bytes
from bench.scale.steady import Steady
from bench.scale.tally import BUCKET, CALLS, CDN, COLD, JOINED, KNOWN, LAYERS, MEMORY, NGINX, SHIELD, Tally
from bench.scale.traffic import draw
from bench.scale.world import DAY, World

_WARM_UP = 0.2
_BIN = 5.0
_GROUPS = {
    "CDN": (CDN, SHIELD),
    "nginx alone": (NGINX,),
    "304": (KNOWN,),
    "memory": (MEMORY, JOINED),
    "bucket": (BUCKET,),
    "render": (COLD,),
}


def scale(
    *, steps: Sequence[str], requests: int, exponent: float, seed: int, trouble: bool, shape: Shape, prices: Prices
) -> Report:
    """Simulate and print."""
    costs = read_costs()
    parameters = {"steps": steps, "requests": requests, "exponent": exponent, "seed": seed, "costs": costs.measured}
    report = Report("scale", parameters)
    worlds = {name: _with_exponent(STEPS[name], exponent) for name in steps}
    tallies = {}
    for name, world in worlds.items():
        began = time.process_time()
        tallies[name] = _simulate(world, costs, requests, seed)
        print(f"{name}: {requests} requests simulated in {time.process_time() - began:.0f} s of CPU", flush=True)
    _print_layers(report, worlds, tallies)
    _print_sizes(report, worlds, tallies, costs, shape)
    _print_money(report, worlds, tallies, costs=costs, shape=shape, prices=prices)
    _print_capacity(report, costs, shape)
    if trouble:
        _print_knobs(report, exponent, costs, requests=requests // 4, seed=seed, shape=shape)
        _print_troubles(report, _with_exponent(STEPS["mid"], exponent), costs, requests // 5, seed)
    return report


def _with_exponent(world: World, exponent: float) -> World:
    return replace(world, traffic=replace(world.traffic, exponent=exponent))


def _render_seconds(world: World, costs: Costs) -> Callable[[int, float], float]:
    names = [preset.name for preset in world.traffic.presets]
    # As long again for fetching, saving and waiting.
    return lambda preset, megapixels: 2 * costs.render_ms(names[preset], megapixels) / 1000


def _simulate(world: World, costs: Costs, requests: int, seed: int) -> Tally:
    shrunk = world.shrunk()
    trace = draw(shrunk, requests, seed)
    warm_up = trace.at[round(_WARM_UP * (requests - 1))]
    return Simulation(shrunk, trace, render_seconds=_render_seconds(world, costs), seed=seed, warm_up=warm_up).run()


def _print_layers(report: Report, worlds: dict[str, World], tallies: dict[str, Tally]) -> None:
    rows: list[list[object]] = []
    for layer in LAYERS:
        row: list[object] = [layer]
        for name in worlds:
            tally, number = tallies[name], LAYERS.index(layer)
            reached = sum(tally.layers[one] for one in LAYERS[number:])
            share, own = tally.layers[layer] / tally.requests, tally.layers[layer]
            row.append(f"{share:.2%} ({own / reached:.0%})" if own else "–")
        rows.append(row)
    rows += [
        [f"calls: {call}", *(tallies[name].calls[call] / tallies[name].requests for name in worlds)] for call in CALLS
    ]
    rows.append(["calls for each request", *(tallies[name].stored / tallies[name].requests for name in worlds)])
    report.table(
        "Scale: where answers come from",
        ["layer", *worlds],
        rows,
        note="Share of all requests, and in brackets of those that came so far.",
    )


def _print_sizes(
    report: Report, worlds: dict[str, World], tallies: dict[str, Tally], costs: Costs, shape: Shape
) -> None:
    columns: list[list[object]] = []
    for name, world in worlds.items():
        tally = tallies[name]
        sizing = Sizing.of(tally, world, costs, shape)
        mean = world.traffic.rate / shape.peak
        steady = Steady(world.shrunk())
        columns.append([
            sizing.requests, sizing.renders, sizing.calls, sizing.render_cores, sizing.workers, sizing.front_cores,
            sizing.nginx_cores, f"{sizing.replicas} ({sizing.bound})", world.fleet.replicas,
            tally.origin_bytes / tally.requests * sizing.requests * 8 / 1e9,
            tally.edge_bytes / tally.requests * sizing.requests * 8 / 1e9,
            tally.original_bytes / tally.requests * sizing.requests * 8 / 1e9,
            tally.stored / tally.requests * mean * DAY / 1e6, steady.results / world.share / 1e6,
            storage_bytes(world, steady) / 1e9, steady.nginx_seconds, steady.memory_seconds,
        ])  # fmt: skip
    names = [
        "requests/s at the peak", "renders/s", "bucket calls/s", "cores that render", "workers with margin",
        "cores of fronts", "cores of nginx", f"replicas of at most {shape.cores} workers, one spare where there are several (bound by)",
        "replicas simulated", "Gbit/s out of nginx", "Gbit/s to browsers", "Gbit/s of originals",
        "million bucket calls a day", "million results stored", "GB of results stored",
        "nginx keeps the unused for, s", "memory keeps the unused for, s",
    ]  # fmt: skip
    rows = [[name, *values] for name, values in zip(names, zip(*columns, strict=True), strict=True)]
    note = f"Workers {shape.utilisation:.0%} busy at most, 1 % waits longer than {shape.wait:g} s; the busiest hour is "
    note += f"{shape.peak:g} times the mean. CPU as measured on {costs.measured}."
    report.table("Scale: sizes", ["figure", *worlds], rows, note=note)


def _print_money(
    report: Report, worlds: dict[str, World], tallies: dict[str, Tally], *, costs: Costs, shape: Shape, prices: Prices
) -> None:
    bills = {}
    for name, world in worlds.items():
        sizing = Sizing.of(tallies[name], world, costs, shape)
        bills[name] = money(tallies[name], world, sizing, shape=shape, prices=prices)
    kinds = next(iter(bills.values()))
    rows: list[list[object]] = [[kind, *(bill[kind] for bill in bills.values())] for kind in kinds]
    rows.append(["together", *(sum(bill.values()) for bill in bills.values())])
    rows.append(
        ["together, bytes to browsers aside", *(sum(b.values()) - b["bytes to browsers"] for b in bills.values())]
    )
    report.table(
        "Scale: dollars per million pictures, at example prices", ["for", *worlds], rows, note=_price_list(prices)
    )


def _price_list(prices: Prices) -> str:
    listed = (f"{field.name.replace('_', ' ')} {getattr(prices, field.name):g}" for field in fields(prices))
    return f"Example prices in dollars: {', '.join(listed)}."


def _print_capacity(report: Report, costs: Costs, shape: Shape) -> None:
    """What one core renders, and what a day of uploads needs where all presets are made at once."""
    sizes = (0.5, 2.0, 6.0, 12.0, 24.0, 48.0, 100.0)
    rows: list[list[object]] = [
        [f"{size:g}", *(f"{1000 / costs.render_ms(name, size):.0f}" for name in costs.renders)] for size in sizes
    ]
    columns = ["megapixels", *(f"{name}: renders/s of a core" for name in costs.renders)]
    report.table("Scale: capacity of one core, by the original", columns, rows, note="By CPU: at 60 % busy, 0.6 of it.")
    megapixels, sigma = STEPS["large"].traffic.megapixels
    rows = []
    for millions in (1.0, 10.0, 100.0):
        second = millions * 1e6 / DAY
        means = [costs.mean_render_ms(name, megapixels, sigma)[0] for name in costs.renders]
        load = second * shape.peak * sum(means) / 1000
        workers = servers_needed(
            load, sum(means) / len(means) / 1000, utilisation=shape.utilisation, wait=10.0, variation=1.5
        )
        calls = millions * (1 + 2 * len(means))
        gbit = second * shape.peak * megapixels * STEPS["large"].traffic.bytes_per_megapixel * 8 / 1e9
        rows.append([f"{millions:g}", second, second * shape.peak, load, workers, calls, gbit])
    columns = ["million pictures a day", "a second, mean", "at the peak", "cores that render", "workers"]
    columns += ["million calls a day", "Gbit/s of originals"]
    note = f"{', '.join(costs.renders)} of each; originals of {megapixels:g} megapixels on average. "
    note += f"Workers {shape.utilisation:.0%} busy; jobs may wait."
    report.table("Scale: ingestion with every preset made at once", columns, rows, note=note)


def _print_knobs(report: Report, exponent: float, costs: Costs, *, requests: int, seed: int, shape: Shape) -> None:
    rows: list[list[object]] = []
    for step, name, base in knobs():
        world = _with_exponent(base, exponent)
        tally = _simulate(world, costs, requests, seed)
        sizing = Sizing.of(tally, world, costs, shape)
        shares = [f"{sum(tally.layers[one] for one in group) / tally.requests:.1%}" for group in _GROUPS.values()]
        rows.append([step, name, *shares, tally.stored / tally.requests, sizing.front_cores, sizing.replicas])
    columns = ["step", "setting", *_GROUPS, "calls for each request", "cores of fronts", "replicas"]
    report.table("Scale: the knobs", columns, rows)


def _print_troubles(report: Report, base: World, costs: Costs, requests: int, seed: int) -> None:
    # As much of the world as can be simulated for the whole length.
    share = min(1.0, requests / LENGTH / base.traffic.rate)
    rows: list[list[object]] = []
    for one in troubles(replace(base, share=share)):
        shrunk = one.world.shrunk()
        trace = draw(shrunk, round(LENGTH * shrunk.traffic.rate), seed)
        render_seconds = _render_seconds(one.world, costs)
        simulation = Simulation(shrunk, trace, render_seconds=render_seconds, seed=seed, bin_seconds=_BIN)
        tally = simulation.run()
        row: list[object] = [one.name]
        for what in ("requests", "calls", "renders"):
            before = tally.rate(what, AT / 2, AT, _BIN) / share
            peak = max(tally.bins[what][number] for number in range(int(AT / _BIN), int(LENGTH / _BIN))) / _BIN / share
            after = tally.rate(what, LENGTH - 120, LENGTH, _BIN) / share
            row.append(" → ".join(f"{rate:.0f}" for rate in (before, peak, after)))
        rows.append([*row, tally.duplicates / share])
    columns = ["what happens", "requests/s to nginx", "bucket calls/s", "renders/s", "rendered twice"]
    note = f"Before → highest {_BIN:g} s → five minutes later. Simulated at {share:.2g} of the size, which the peaks "
    note += "carry the noise of: compare them with those of `nothing`."
    report.table(f"Scale: trouble at {base.traffic.rate:g} requests/s", columns, rows, note=note)

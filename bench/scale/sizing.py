"""From what a simulation counted to replicas, calls, bytes and money."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from bench.scale.closed_forms import servers_needed
from bench.scale.costs import Costs
from bench.scale.steady import Steady
from bench.scale.tally import BUCKET, JOINED, KNOWN, MEMORY, NGINX, WRITE, Tally
from bench.scale.world import DAY, World

MONTH = 30 * DAY


@dataclass(frozen=True, slots=True)
class Prices:
    """Example prices in dollars, round figures of the kind that large clouds ask; put in your own."""

    core_hour: float = 0.04
    million_reads: float = 0.4
    million_writes: float = 5.0
    gb_stored_month: float = 0.023
    gb_to_browsers: float = 0.05
    """Through a CDN; also used where there is none."""
    million_cdn_requests: float = 0.75


@dataclass(frozen=True, slots=True)
class Shape:
    """What one replica is, and how busy it may be."""

    cores: int = 4
    """For render workers; the front has a core of its own."""
    utilisation: float = 0.6
    wait: float = 0.5
    """Seconds: at most 1 % of renders wait longer for a worker."""
    peak: float = 2.5
    """The busiest hour's rate over the mean rate."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """What one second of the busiest hour needs."""

    requests: float
    renders: float
    calls: float
    workers: int
    render_cores: float
    front_cores: float
    nginx_cores: float
    replicas: int
    bound: str
    """What the number of replicas follows from."""

    @classmethod
    def of(cls, tally: Tally, world: World, costs: Costs, shape: Shape) -> Self:
        """At the full rate of `world`, from a tally of a share of it."""
        second = world.traffic.rate / tally.requests
        layers = tally.layers
        renders = sum(tally.renders.values()) * second
        load, squares, service = 0.0, 0.0, 0.0
        megapixels, sigma = world.traffic.megapixels
        for number, count in tally.renders.items():
            mean, variation = costs.mean_render_ms(world.traffic.presets[number].name, megapixels, sigma)
            load += count * second * mean / 1000
            squares += count * second * (mean / 1000) ** 2 * (1 + variation**2)
        if renders:
            service = load / renders
        variation = math.sqrt(max(0.0, squares / renders / service**2 - 1)) if renders else 0.0
        front = second * (
            layers[KNOWN] * costs.known
            + (layers[MEMORY] + layers[JOINED]) * costs.memory
            + layers[BUCKET] * costs.bucket
            + sum(tally.renders.values()) * costs.cold_front
        )
        asked = sum(layers[one] for one in (KNOWN, MEMORY, JOINED, BUCKET)) + sum(tally.renders.values())
        nginx = second * (layers[NGINX] * costs.nginx_hit + asked * costs.nginx_pass)
        workers = servers_needed(load, service, utilisation=shape.utilisation, wait=shape.wait, variation=variation)
        by_render, by_front = math.ceil(workers / shape.cores), math.ceil(front / 1e6 / shape.utilisation)
        replicas = max(by_render, by_front, 1) + (world.fleet.replicas > 1)
        return cls(
            requests=world.traffic.rate,
            renders=renders,
            calls=tally.stored * second,
            workers=workers,
            render_cores=load,
            front_cores=front / 1e6,
            nginx_cores=nginx / 1e6,
            replicas=replicas,
            bound="renders" if by_render >= by_front else "the front",
        )


def money(tally: Tally, world: World, sizing: Sizing, *, shape: Shape, prices: Prices) -> dict[str, float]:
    """Dollars per million pictures shown, by what they are paid for."""
    million = 1e6 / tally.requests
    month = world.traffic.rate / shape.peak * MONTH / 1e6  # millions of pictures
    calls = tally.calls
    writes = calls[WRITE]
    reads = tally.stored - writes
    stored = storage_bytes(world, Steady(world.shrunk()))
    # A replica has a core for its front, and no more workers than are needed.
    cores = sizing.replicas * (min(shape.cores, math.ceil(sizing.workers / sizing.replicas)) + 1) + math.ceil(
        sizing.nginx_cores / shape.utilisation
    )
    return {
        "machines": cores * prices.core_hour * MONTH / 3600 / month,
        "bucket reads": reads * million / 1e6 * prices.million_reads,
        "bucket writes": writes * million / 1e6 * prices.million_writes,
        "results stored": stored / 1e9 * prices.gb_stored_month / month,
        "CDN requests": prices.million_cdn_requests if world.cdn else 0.0,
        "bytes to browsers": tally.edge_bytes * million / 1e9 * prices.gb_to_browsers,
    }


def storage_bytes(world: World, steady: Steady) -> float:
    """Bytes of all results in the bucket once writing and the lifecycle rule are in balance."""
    sizes = [preset.size for preset in world.traffic.presets]
    return float(sum(count * size for count, size in zip(steady.result_counts, sizes, strict=True))) / world.share

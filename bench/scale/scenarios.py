"""The steps on the way from one box to internet scale, and what can go wrong at the middle one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.scale.world import (
    DAY,
    GIB,
    MIB,
    Cdn,
    Edit,
    Fleet,
    Join,
    Leave,
    PurgeCdn,
    Restart,
    Routing,
    Traffic,
    World,
    deploy,
)

STEPS: Mapping[str, World] = {
    "one box": World(Traffic(rate=50, pictures=200_000, uploads=0.05), Fleet(replicas=1)),
    "mid": World(Traffic(rate=2_000, pictures=5_000_000, uploads=2), Fleet(replicas=9, nginx=2), share=0.1),
    "mid, CDN": World(
        Traffic(rate=2_000, pictures=5_000_000, uploads=2), Fleet(replicas=4, nginx=2), cdn=Cdn(pops=8), share=0.1
    ),
    "large": World(
        Traffic(rate=100_000, pictures=300_000_000, uploads=100),
        Fleet(replicas=45, nginx=6, nginx_bytes=200 * GIB, memory_bytes=1024 * MIB),
        cdn=Cdn(pops=20, shield=True),
        share=0.01,
    ),
}


def knobs() -> Sequence[tuple[str, str, World]]:
    """Settings that matter: the step, what is turned, and the world with it."""
    mid, large = STEPS["mid"], STEPS["large"]

    def turned(world: World, **values: float) -> World:
        return replace(world, fleet=replace(world.fleet, **values))  # type: ignore[arg-type]  # each is a float

    far = replace(large.cdn or Cdn(1), ttl=7 * DAY)
    return [
        ("mid", "as it comes", mid),
        ("mid", "IMGBANG_NGINX_MAX_AGE=60", turned(mid, nginx_ttl=60)),
        ("mid", "IMGBANG_FRESHNESS=15m", turned(mid, freshness=900)),
        ("mid", "nginx's cache 200 GB instead of 10", turned(mid, nginx_bytes=200 * GIB)),
        ("mid", "both of these", turned(mid, freshness=900, nginx_bytes=200 * GIB)),
        ("mid", "IMGBANG_CACHE_BYTES=2GiB", turned(mid, memory_bytes=2 * GIB)),
        ("large", "as it comes", large),
        ("large", "IMGBANG_CDN_MAX_AGE=7d", replace(large, cdn=far)),
        ("large", "no shield", replace(large, cdn=replace(large.cdn or Cdn(1), shield=False))),
    ]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A world in which something changes at `AT`, beside the same world without."""

    name: str
    world: World


AT = 240.0
"""Seconds after the start."""
LENGTH = 600.0


def troubles(base: World) -> Sequence[Trouble]:
    """What happens to fleets, happening to `base`."""
    replicas = base.fleet.replicas
    cdn = replace(base, cdn=Cdn(pops=8))
    random = replace(base, fleet=replace(base.fleet, routing=Routing.RANDOM))
    return [
        Trouble("nothing", base),
        Trouble("one replica restarts", replace(base, changes=[Restart(AT, 0)])),
        Trouble("one replica joins", replace(base, changes=[Join(AT)])),
        Trouble("one replica leaves for good", replace(base, changes=[Leave(AT, 0)])),
        Trouble("deploy", replace(base, changes=deploy(AT, replicas, pause=15))),
        Trouble("the preset `small` is edited", replace(base, changes=[Edit(AT, 1)])),
        Trouble("nothing, behind a CDN", cdn),
        Trouble("the same edit, CDN purged with it", replace(cdn, changes=[Edit(AT, 1)])),
        Trouble("the same edit, CDN not purged", replace(cdn, changes=[Edit(AT, 1, purge=False)])),
        Trouble("the whole CDN is purged", replace(cdn, changes=[PurgeCdn(AT)])),
        Trouble("requests go to any replica", random),
        Trouble("any replica, and `small` is edited", replace(random, changes=[Edit(AT, 1)])),
        Trouble(
            "the same with Redis",
            replace(random, fleet=replace(random.fleet, leases=True), changes=[Edit(AT, 1)]),
        ),
    ]

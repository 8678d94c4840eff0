"""Three real replicas behind a real nginx on one S3 bucket: what the simulator says of them, and what they do."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from bench.load import Generator, Run
from bench.report import Report
from bench.scale.costs import read_costs
from bench.scale.fleet_figures import measure_edit, measure_herds, measure_losses
from bench.scale.fleet_servers import Servers
from bench.scale.simulation import Simulation
from bench.scale.tally import (
    BUCKET,
    CALLS,
    COLD,
    FETCH,
    JOINED,
    KNOWN,
    LAYERS,
    LOOK,
    MEMORY,
    MISSED,
    NGINX,
    READ,
    WRITE,
    Tally,
)
from bench.scale.traffic import Trace, draw
from bench.scale.world import MIB, Fleet, Preset, Restart, Traffic, World
from bench.servers import Imgbang
from bench.workload import BOXES, JPEG, Request, gather_photos

REPLICAS = 3
PICTURES = 1500
MEMORY_BYTES = 2 * MIB
"""Small, so that something is dropped within a minute."""
FRESHNESS = 12.0
SOURCE_PIXELS = 400_000
"""Of the originals: cheap to render, because the caches are what is compared."""
WEIGHTS = {"thumb": 0.50, "small": 0.35, "large": 0.15}


@dataclass
class Measured:
    """What the replicas and nginx counted."""

    layers: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)

    def add(self, replica: Imgbang, sign: int = 1) -> None:
        """Add the counters of a replica since its start (or take them away)."""

        def count(name: str, **labels: str) -> int:
            return sign * round(replica.metric(name, **labels))

        found = {where: count("imgbang_results_found_total", where=where) for where in ("memory", "pending", "store")}
        self.layers[MEMORY] += found["memory"] + found["pending"]
        self.layers[BUCKET] += found["store"]
        self.layers[COLD] += count("imgbang_renders_total", outcome="ok")
        self.layers[JOINED] += count("imgbang_joined_total")
        for call, (store, verb, outcome) in {
            READ: ("results", "open", "ok"),
            MISSED: ("results", "open", "missing"),
            WRITE: ("results", "put", "ok"),
            FETCH: ("originals", "open", "ok"),
            LOOK: ("originals", "stat", "ok"),
        }.items():
            self.calls[call] += count("imgbang_store_calls_total", store=store, verb=verb, outcome=outcome)


def fleet(
    photos: Path | None, *, rate: float, seconds: float, connections: int, exponent: float, redis: bool, seed: int = 1
) -> Report:
    """Run everything and print."""
    report = Report("fleet", {"rate": rate, "seconds": seconds, "exponent": exponent, "redis": redis})
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        gathered = gather_photos(photos, home / "photos")
        large = max(gathered.only(JPEG), key=lambda one: (gathered.root / "c0" / one).stat().st_size)
        env = {"IMGBANG_CACHE_BYTES": str(round(MEMORY_BYTES)), "IMGBANG_FRESHNESS": f"{FRESHNESS:g}s"}
        servers = stack.enter_context(Servers(home, REPLICAS, env, redis=redis))
        _write_originals([gathered.root / "c0" / name for name in gathered.only(JPEG)], servers.originals)
        generator = stack.enter_context(Generator())
        _compare(report, servers, generator, rate=rate, seconds=seconds, exponent=exponent, seed=seed)
        measure_losses(report, servers, generator)
        measure_edit(report, servers)
        measure_herds(report, servers, gathered.root / "c0" / large, connections)
    return report


def _write_originals(photos: Sequence[Path], folder: Path) -> None:
    for number, path in enumerate(photos[:PICTURES]):
        with Image.open(path) as opened:
            opened.draft("RGB", (1600, 1600))
            factor = (SOURCE_PIXELS / (opened.width * opened.height)) ** 0.5
            small = opened.convert("RGB").resize((round(opened.width * factor), round(opened.height * factor)))
        small.save(folder / f"{number}.jpg", quality=85)
    for number in range(len(photos), PICTURES):
        (folder / f"{number}.jpg").hardlink_to(folder / f"{number % len(photos)}.jpg")


def _compare(
    report: Report, servers: Servers, generator: Generator, *, rate: float, seconds: float, exponent: float, seed: int
) -> None:
    presets = tuple(Preset(box.preset, WEIGHTS[box.preset], 1.0) for box in BOXES)
    traffic = Traffic(rate, PICTURES, exponent, presets, revalidations=0.0)
    size = Fleet(REPLICAS, nginx=1, memory_bytes=MEMORY_BYTES, freshness=FRESHNESS)
    world = World(traffic, size, warm=False, servers=servers.addresses)
    trace = draw(world, round(rate * seconds), seed)
    restart, run, measured = _load(servers, generator, trace, seconds)
    sizes = servers.mean_sizes()
    presets = tuple(Preset(one.name, one.weight, sizes[one.name]) for one in presets)
    world = World(
        Traffic(rate, PICTURES, exponent, presets, revalidations=0.0), size, changes=[restart], warm=False,
        servers=servers.addresses,
    )  # fmt: skip
    same, other = _predict(world, trace), _predict(world, draw(world, len(trace), seed + 1))
    rows: list[list[object]] = []
    for what, predicted, others, real in (
        *((layer, same.layers[layer], other.layers[layer], measured.layers[layer]) for layer in LAYERS[2:]),
        *((f"calls: {call}", same.calls[call], other.calls[call], measured.calls[call]) for call in CALLS),
        ("calls together", same.stored, other.stored, sum(measured.calls.values())),
    ):
        count = len(trace)
        shares = [predicted / count, others / count, real / count]
        rows.append([what, predicted, others, real, *(f"{share:.1%}" for share in shares[:1] + shares[2:])])
        rows[-1].append(f"{(shares[0] - shares[2]) * 100:+.1f}")
    note = f"{len(trace)} requests in {seconds:g} s to {PICTURES} pictures in three presets, Zipf {exponent:g}; "
    note += f"everything cold at first; replica 1 away from {restart.at:.0f} s on, for {restart.seconds:.1f} s. "
    note += f"Answers: {dict(run.statuses)}. Predicted from the very requests, and from others drawn alike."
    columns = ["layer or call", "predicted", "others", "measured", "predicted share", "measured share", "points"]
    report.table("Fleet: predicted and measured", columns, rows, note=note)


def _load(servers: Servers, generator: Generator, trace: Trace, seconds: float) -> tuple[Restart, Run, Measured]:
    requests = [(asked.at, Request("picture", f"/{asked.rank}.jpg!{BOXES[asked.preset].preset}")) for asked in trace]
    measured = Measured()
    restarts: list[Restart] = []
    began = time.monotonic()

    def restart() -> None:
        time.sleep(seconds / 2)
        measured.add(servers.replicas[1])
        at = time.monotonic()
        servers.replicas[1].stop()
        servers.replicas[1].start()
        restarts.append(Restart(at - began, 1, time.monotonic() - at))

    thread = threading.Thread(target=restart)
    thread.start()
    run = generator.constant(servers.url, requests)
    thread.join()
    time.sleep(2)
    asked = Counter(str(line["cache"]) for line in servers.nginx.log_lines() if "!" in str(line["uri"]))
    for replica in servers.replicas:
        measured.add(replica)
    measured.layers[NGINX] = asked["HIT"] + asked["UPDATING"] + asked["STALE"]
    measured.layers[KNOWN] = len(trace) - sum(measured.layers.values())
    return restarts[0], run, measured


def _predict(world: World, trace: Trace) -> Tally:
    costs = read_costs()
    names = [preset.name for preset in world.traffic.presets]

    def render_seconds(preset: int, _megapixels: float) -> float:
        return 2 * costs.render_ms(names[preset], SOURCE_PIXELS / 1e6) / 1000

    simulation = Simulation(world, trace, render_seconds=render_seconds, factors=0.3)
    return simulation.run()

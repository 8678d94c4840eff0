"""The states that a scrape shows: slots, queues, bytes held. Read from their owners when somebody asks."""

from __future__ import annotations

from collections.abc import Callable

from proxy.imaging.fences import NAMES
from proxy.services import Services

Number = Callable[[], float]


def watch_states(services: Services) -> None:
    """Register every state of running services as a gauge."""
    watch = services.metrics.gauges.watch
    breakers, workers = services.breakers, services.workers
    for word, text in (
        ("inside", "In use, in slots (the gate 'memory': in estimated bytes)."),
        ("waiting", "Requests that wait."),
        ("limit", "Most that may be in use."),
        ("refused", "Requests refused so far."),
    ):
        watch(f"imgbang_gate_{word}", text, ("gate",), _of_gates(services, word))
    watch(
        "imgbang_breaker_open",
        "1 while calls to a store are refused at once, because it does not answer.",
        ("store",),
        lambda: {(name,): float(breaker.state != "closed") for name, breaker in breakers.items()},
    )
    watch(
        "imgbang_workers",
        "Render workers by state.",
        ("state",),
        lambda: {("all",): float(workers.statistics.workers), ("busy",): float(workers.statistics.busy)},
    )
    watch(
        "imgbang_worker_events",
        "What has happened to render workers so far.",
        ("event",),
        lambda: {
            ("crash",): float(workers.statistics.crashes),
            ("timeout",): float(workers.statistics.timeouts),
            ("recycled",): float(workers.statistics.recycled),
            ("restart",): float(workers.statistics.restarts),
        },
    )
    watch(
        "imgbang_worker_fence",
        "1 for each fence that holds around the render workers, 0 for each that this system cannot raise.",
        ("fence",),
        lambda: {(name,): float(name in workers.fences) for name in NAMES},
    )
    watch(
        "imgbang_worker_resident_bytes",
        "Resident memory of each render worker after its last task.",
        ("slot",),
        lambda: {(str(slot),): float(size) for slot, size in enumerate(workers.statistics.resident_bytes)},
    )
    if services.settings.redis is not None:
        watch(
            "imgbang_redis_away",
            "1 while Redis does not answer and this replica goes on alone.",
            (),
            _number(lambda: services.fleet.away),
        )
    for name, text, read in _numbers(services):
        watch(name, text, (), _number(read))


def _of_gates(services: Services, word: str) -> Callable[[], dict[tuple[str, ...], float]]:
    return lambda: {(name,): float(getattr(gate.statistics, word)) for name, gate in services.gates.items()}


def _number(read: Number) -> Callable[[], dict[tuple[str, ...], float]]:
    return lambda: {(): float(read())}


def _numbers(services: Services) -> list[tuple[str, str, Number]]:
    memory, staging, results, book = services.memory, services.staging, services.results, services.book
    return [
        ("imgbang_memory_cache_bytes", "Bytes of results in memory.", lambda: memory.statistics.used_bytes),
        ("imgbang_memory_cache_entries", "Results in memory.", lambda: memory.statistics.entries),
        ("imgbang_staging_bytes", "Bytes accounted in the staging directory.", lambda: staging.statistics.used_bytes),
        ("imgbang_staging_files", "Files accounted in the staging directory.", lambda: staging.statistics.files),
        ("imgbang_pending_saves", "Results waiting to be saved.", lambda: results.statistics.pending),
        ("imgbang_pending_save_bytes", "Bytes waiting to be saved.", lambda: results.statistics.pending_bytes),
        ("imgbang_flights", "Renders under way, queued ones included.", lambda: services.renderer.flights),
        ("imgbang_presets_generation", "Snapshots of presets.toml that differed.", lambda: book.generation),
        ("imgbang_presets_loaded_timestamp_seconds", "When the presets in use were loaded.", lambda: book.loaded_at),
        (
            "imgbang_presets_problem",
            "1 while the last edit of presets.toml is not in use.",
            lambda: book.problem is not None,
        ),
    ]

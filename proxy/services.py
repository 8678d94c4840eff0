"""The composition root: builds every object in start order, and undoes it in reverse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from proxy import logs
from proxy.config import Settings, store_settings
from proxy.delivery.admission import Gate
from proxy.delivery.failures import RecentFailures
from proxy.delivery.focal import FocalPoints
from proxy.delivery.freshness import Freshness
from proxy.delivery.making import Maker
from proxy.delivery.marks import Marks
from proxy.delivery.memory import MemoryCache
from proxy.delivery.originals import Originals
from proxy.delivery.passthrough import Passthrough
from proxy.delivery.purge import Purger
from proxy.delivery.render import Renderer
from proxy.delivery.result import Result
from proxy.delivery.results import Results
from proxy.delivery.saving import Saver
from proxy.delivery.staging import Staging
from proxy.delivery.turns import Turns
from proxy.fleet.base import Ears, Fleet
from proxy.imaging.allocator import kept_bytes
from proxy.imaging.workers import RenderWorkers
from proxy.metrics import Metrics
from proxy.places import connect_saver, connect_stores, fleet_of
from proxy.plan.planner import Planner, PresetBook
from proxy.reload import BUCKET_INTERVAL, FILE_INTERVAL, BucketLook, FileLook, PresetWatcher
from proxy.sections import auto_candidates, check_extras, gates, render_limits, worker_fences
from proxy.setting_values import host_names
from proxy.stores.breaker import GuardedSource
from proxy.stores.connect import connect_source

_log = logs.get("services")

SWEEP_INTERVAL = 2.0


SAVES_SECONDS = 2.0
"""Pending saves have so long even when requests have used up the grace."""


class Grace:
    """The time that is left once the process has been asked to stop: one budget, for requests and saves together."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end: float | None = None

    @property
    def begun(self) -> bool:
        """Whether the process has been asked to stop."""
        return self._end is not None

    def begin(self) -> None:
        """It has."""
        self._end = time.monotonic() + self._seconds

    def left(self) -> float:
        """Seconds for the saves."""
        return self._seconds if self._end is None else max(SAVES_SECONDS, self._end - time.monotonic())


@dataclass(slots=True)
class Services:
    """Everything that runs."""

    settings: Settings
    metrics: Metrics
    book: PresetBook
    planner: Planner
    renderer: Renderer
    passthrough: Passthrough
    purger: Purger
    saver: Saver | None
    focal_points: FocalPoints | None
    workers: RenderWorkers
    results: Results
    memory: MemoryCache[Result]
    staging: Staging
    breakers: dict[str, GuardedSource]
    grace: Grace
    fleet: Fleet
    gates: dict[str, Gate] = field(default_factory=dict)


@asynccontextmanager
async def services(settings: Settings) -> AsyncIterator[Services]:
    """Start everything, in order; stop everything in reverse when the block ends."""
    async with AsyncExitStack() as stack:
        check_extras(settings)
        metrics = Metrics()
        book = PresetBook()
        watcher = await _watch_presets(stack, settings, book, metrics)
        fleet = fleet_of(settings, metrics)
        stack.push_async_callback(fleet.close)
        stores = await connect_stores(stack, settings, metrics)
        staging = _start_staging(stack, settings)
        limits = render_limits(settings)
        workers = RenderWorkers(
            settings.render_workers,
            limits=limits,
            max_tasks=settings.worker_max_tasks,
            max_memory_bytes=settings.worker_max_memory,
            fences=worker_fences(settings, staging.directory),
            kept_bytes=kept_bytes(settings.memory_budget, settings.render_workers),
        )
        # First the way back: a start that fails half-way must not leave processes behind.
        stack.push_async_callback(workers.close)
        await workers.start()
        limited = gates(settings)
        memory: MemoryCache[Result] = MemoryCache(limit=settings.cache_bytes, entry_limit=settings.cache_entry_bytes)
        results = Results(
            stores.results,
            memory,
            save_slots=settings.save_slots,
            save_bytes=settings.save_bytes,
            read_timeout=settings.read_timeout,
            metrics=metrics,
        )
        grace = Grace(settings.shutdown_grace)
        stack.push_async_callback(_drain, results, grace)
        freshness = Freshness(
            stores.originals,
            window=settings.freshness,
            negative_ttl=settings.negative_ttl,
            metrics=metrics,
            on_gone=results.purge_key,
            fleet=fleet,
        )
        stack.push_async_callback(freshness.close)
        originals = Originals(
            stores.originals,
            staging,
            limited["fetch"],
            freshness,
            max_bytes=settings.max_source_bytes,
            fetch_timeout=settings.fetch_timeout,
            queue_wait=settings.queue_wait,
            metrics=metrics,
        )
        stack.push_async_callback(originals.close)
        failures = RecentFailures(lifetime=settings.negative_ttl)
        maker = Maker(
            workers=workers,
            render_gate=limited["render"],
            memory_gate=limited["memory"],
            staging=staging,
            limits=limits,
            deadline=settings.deadline,
            render_timeout=settings.render_timeout,
            failures=failures,
            metrics=metrics,
        )
        turns = Turns(
            fleet, results, freshness, failures, window=settings.freshness, idle=lambda: maker.idle, metrics=metrics
        )
        renderer = Renderer(
            results=results,
            originals=originals,
            freshness=freshness,
            maker=maker,
            deadline=settings.deadline,
            freshness_window=settings.freshness,
            failures=failures,
            metrics=metrics,
            turns=turns,
            marks=Marks(
                originals, freshness, hosts=host_names(settings.mark_hosts), origins=host_names(settings.mark_origins)
            ),
        )
        stack.push_async_callback(renderer.close)
        _run_for_ever(stack, _sweep(originals), "sweep")
        purger = Purger(results, originals, freshness, failures, fleet)
        watcher.on_change = fleet.change_presets
        await fleet.follow(Ears(purger.heed, freshness.note, watcher.hurry, purger.forget_all))
        yield Services(
            settings=settings,
            metrics=metrics,
            book=book,
            planner=Planner(book, candidates=auto_candidates(settings)),
            renderer=renderer,
            passthrough=Passthrough(stores.originals, limited["stream"], freshness),
            purger=purger,
            saver=await connect_saver(stack, settings, purger),
            focal_points=stores.focal_points,
            workers=workers,
            results=results,
            memory=memory,
            staging=staging,
            breakers=stores.breakers,
            grace=grace,
            fleet=fleet,
            gates=limited,
        )


async def _watch_presets(
    stack: AsyncExitStack, settings: Settings, book: PresetBook, metrics: Metrics
) -> PresetWatcher:
    name = settings.presets.rpartition("/")[2]
    if settings.presets.startswith("s3://"):
        bucket_url, _, key = settings.presets.rpartition("/")
        source = await stack.enter_async_context(connect_source(bucket_url, store_settings(settings)))
        watcher = PresetWatcher(BucketLook(source, key), book, metrics, name=name, interval=BUCKET_INTERVAL)
    else:
        watcher = PresetWatcher(FileLook(Path(settings.presets)), book, metrics, name=name, interval=FILE_INTERVAL)
    await watcher.start()
    stack.push_async_callback(watcher.close)
    return watcher


def _start_staging(stack: AsyncExitStack, settings: Settings) -> Staging:
    staging = Staging(settings.staging_dir, limit=settings.staging_bytes)
    swept = staging.start()
    if swept:
        _log.info("staging_swept", dead_processes=swept)
    stack.callback(staging.close)
    return staging


async def _drain(results: Results, grace: Grace) -> None:
    late = await results.drain(grace.left())
    if late:
        _log.warning("saves_cancelled", count=late)


async def _sweep(originals: Originals) -> None:
    while True:
        await asyncio.sleep(SWEEP_INTERVAL)
        originals.sweep()


def _run_for_ever(stack: AsyncExitStack, work: Coroutine[None, None, None], name: str) -> None:
    task = asyncio.create_task(work, name=name)

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(stop)

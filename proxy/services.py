"""The composition root: builds every object in start order, and undoes it in reverse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from proxy import logs
from proxy.config import Settings, SettingsProblems, store_settings
from proxy.delivery.admission import Gate
from proxy.delivery.failures import RecentFailures
from proxy.delivery.focal import FOLDER, FocalPoints, FocalSource
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
from proxy.fleet.connect import EXTRA, connect_fleet, has_client
from proxy.imaging.extras import missing_extra
from proxy.imaging.fences import Fences
from proxy.imaging.job import RenderLimits
from proxy.imaging.workers import RenderWorkers
from proxy.metrics import Metrics
from proxy.plan.animation import OverBudget
from proxy.plan.output import Format, Target
from proxy.plan.planner import Planner, PresetBook
from proxy.reload import BUCKET_INTERVAL, FILE_INTERVAL, BucketLook, FileLook, PresetWatcher
from proxy.setting_values import MIB, host_names, words_of
from proxy.stores.base import Source, Store
from proxy.stores.breaker import GuardedSource, GuardedStore
from proxy.stores.connect import connect, connect_source, file_path
from proxy.stores.hidden import HidingSource
from proxy.stores.metered import MeteredSource, MeteredStore
from proxy.stores.routed import RoutedSource

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
        breakers: dict[str, GuardedSource] = {}
        focal_points = await _connect_focal_points(stack, settings, metrics)
        source, store = await _connect(stack, settings, metrics, breakers, focal_points)
        staging = _start_staging(stack, settings)
        limits = render_limits(settings)
        workers = RenderWorkers(
            settings.render_workers,
            limits=limits,
            max_tasks=settings.worker_max_tasks,
            max_memory_bytes=settings.worker_max_memory,
            fences=worker_fences(settings, staging.directory),
        )
        # First the way back: a start that fails half-way must not leave processes behind.
        stack.push_async_callback(workers.close)
        await workers.start()
        gates = _gates(settings)
        memory: MemoryCache[Result] = MemoryCache(limit=settings.cache_bytes, entry_limit=settings.cache_entry_bytes)
        results = Results(
            store,
            memory,
            save_slots=settings.save_slots,
            save_bytes=settings.save_bytes,
            read_timeout=settings.read_timeout,
            metrics=metrics,
        )
        grace = Grace(settings.shutdown_grace)
        stack.push_async_callback(_drain, results, grace)
        freshness = Freshness(
            source,
            window=settings.freshness,
            negative_ttl=settings.negative_ttl,
            metrics=metrics,
            on_gone=results.purge_key,
            fleet=fleet,
        )
        stack.push_async_callback(freshness.close)
        originals = Originals(
            source,
            staging,
            gates["fetch"],
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
            render_gate=gates["render"],
            memory_gate=gates["memory"],
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
            passthrough=Passthrough(source, gates["stream"], freshness),
            purger=purger,
            saver=await _saver(stack, settings, purger),
            focal_points=focal_points,
            workers=workers,
            results=results,
            memory=memory,
            staging=staging,
            breakers=breakers,
            grace=grace,
            fleet=fleet,
            gates=gates,
        )


def auto_candidates(settings: Settings) -> tuple[Target, ...]:
    """What `format = "auto"` chooses from, the preferred one first."""
    return tuple(Target(name) for name in words_of(settings.auto_formats))


def check_extras(settings: Settings) -> None:
    """Raise SettingsProblems where a setting asks for what is not installed."""
    wanted = {
        f"IMGBANG_AUTO_FORMATS={settings.auto_formats}": Format.JXL
        if "jxl" in words_of(settings.auto_formats)
        else None,
        "IMGBANG_SVG=true": Format.SVG if settings.svg else None,
        "IMGBANG_PDF=true": Format.PDF if settings.pdf else None,
    }
    missing = {setting: missing_extra(known) for setting, known in wanted.items() if known is not None}
    missing["IMGBANG_REDIS"] = EXTRA if settings.redis is not None and not has_client() else None
    if problems := tuple(f"{setting}: needs the extra imgbang[{extra}]" for setting, extra in missing.items() if extra):
        raise SettingsProblems(problems)


def render_limits(settings: Settings) -> RenderLimits:
    """What render workers refuse."""
    return RenderLimits(
        max_pixels=settings.max_source_pixels,
        max_frames=settings.max_frames,
        max_result_side=settings.max_result_side,
        max_result_pixels=settings.max_result_pixels,
        svg=settings.svg,
        exif_gps=settings.exif_gps,
        max_svg_bytes=settings.max_svg_bytes,
        pdf=settings.pdf,
        over_budget=OverBudget(settings.over_budget),
        animation_seconds=settings.animation_seconds,
    )


def worker_fences(settings: Settings, directory: Path) -> Fences:
    """How render workers are fenced in; `directory` is where they find originals and leave results."""
    return Fences(
        memory_bytes=settings.worker_memory or settings.memory_budget + 256 * MIB,
        cpu_seconds=settings.render_cpu,
        file_bytes=settings.staging_bytes,
        directory=str(directory),
        confined=settings.sandbox,
    )


def place_of(url: str) -> str:
    """One text for one place: a resolved directory, or a bucket with its prefix; no slash at the end."""
    if url.startswith("file:"):
        return str(directory_of(url))
    return url.rstrip("/")


def directory_of(url: str) -> Path:
    """The directory that a `file://` URL names, resolved."""
    return file_path(url).resolve()


def hidden_prefix(originals: str, results: str, *, name: str = "IMGBANG_RESULTS") -> str | None:
    """The prefix of what is ours (results) as seen from the originals; None when it does not live among them.

    Raises SettingsProblems when both are the very same place: what is ours would be originals.
    """
    if results == "none":
        return None
    outer, inner = place_of(originals), place_of(results)
    if outer == inner:
        raise SettingsProblems(
            (f"{name}={results!r}: the same place as the originals; expected a prefix of its own in it",)
        )
    return inner[len(outer) + 1 :] if inner.startswith(f"{outer}/") else None


def fleet_of(settings: Settings, metrics: Metrics) -> Fleet:
    """The replicas with the same stores, as soon as it is followed."""
    return connect_fleet(
        settings.redis,
        deployment=place_of(settings.originals if settings.results == "none" else settings.results),
        window=settings.freshness,
        negative_ttl=settings.negative_ttl,
        metrics=metrics,
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


async def _saver(stack: AsyncExitStack, settings: Settings, purger: Purger) -> Saver | None:
    """What stores results as originals, where somebody could sign for that and the originals can be written."""
    if settings.signing_keys is None or settings.originals.startswith(("http://", "https://")):
        return None
    store = await stack.enter_async_context(connect(settings.originals, store_settings(settings)))
    return Saver(store, purger, hidden=hidden_prefix(settings.originals, settings.results))


def focal_place(settings: Settings) -> str:
    """The URL of the store of focal points; `none` where there is none."""
    if settings.focal_points:
        return settings.focal_points
    if settings.admin_token is None or settings.originals.startswith(("http://", "https://")):
        return "none"
    return f"{settings.originals.rstrip('/')}/{FOLDER}"


async def _connect_focal_points(stack: AsyncExitStack, settings: Settings, metrics: Metrics) -> FocalPoints | None:
    place = focal_place(settings)
    if place == "none":
        return None
    raw_store = await stack.enter_async_context(connect(place, store_settings(settings)))
    return FocalPoints(GuardedStore(MeteredStore(raw_store, "focal", metrics)))


async def _connect(
    stack: AsyncExitStack,
    settings: Settings,
    metrics: Metrics,
    breakers: dict[str, GuardedSource],
    focal_points: FocalPoints | None,
) -> tuple[Source, Store | None]:
    """Originals and results, each counted and behind a breaker of its own."""
    section = store_settings(settings)
    hidden = hidden_prefix(settings.originals, settings.results)
    raw_source = await stack.enter_async_context(connect_source(settings.originals, section))
    breakers["originals"] = GuardedSource(MeteredSource(raw_source, "originals", metrics))
    source: Source = breakers["originals"] if hidden is None else HidingSource(breakers["originals"], hidden)
    hidden_points = hidden_prefix(settings.originals, focal_place(settings), name="IMGBANG_FOCAL_POINTS")
    source = FocalSource(source if hidden_points is None else HidingSource(source, hidden_points), focal_points)
    if settings.mark_origins:
        source = RoutedSource(source, await _connect_mark_origins(stack, settings, metrics))
    if settings.results == "none":
        return source, None
    raw_store = await stack.enter_async_context(connect(settings.results, section))
    store = breakers["results"] = GuardedStore(MeteredStore(raw_store, "results", metrics))
    return source, store


async def _connect_mark_origins(stack: AsyncExitStack, settings: Settings, metrics: Metrics) -> dict[str, Source]:
    """Where the images of watermarks are fetched from, by what their URLs begin with."""
    origins: dict[str, Source] = {}
    for host in sorted(host_names(settings.mark_origins)):
        for scheme in ("http", "https"):
            url = f"{scheme}://{host}/"
            origin = await stack.enter_async_context(connect_source(url, store_settings(settings)))
            origins[url] = GuardedSource(MeteredSource(origin, "marks", metrics))
    return origins


def _start_staging(stack: AsyncExitStack, settings: Settings) -> Staging:
    staging = Staging(settings.staging_dir, limit=settings.staging_bytes)
    swept = staging.start()
    if swept:
        _log.info("staging_swept", dead_processes=swept)
    stack.callback(staging.close)
    return staging


def _gates(settings: Settings) -> dict[str, Gate]:
    wait = settings.queue_wait
    return {
        "fetch": Gate("fetch", slots=settings.fetch_slots, queue=settings.fetch_queue, longest_wait=wait),
        "stream": Gate("stream", slots=settings.stream_slots, queue=settings.fetch_queue, longest_wait=wait),
        "render": Gate("render", slots=settings.render_workers, queue=settings.render_queue, longest_wait=wait),
        "memory": Gate("decode", slots=settings.memory_budget, queue=settings.render_workers, longest_wait=wait),
    }


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

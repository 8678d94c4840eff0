"""Where the bytes of one deployment live: originals, results, focal points, the images of marks."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from proxy.config import Settings, SettingsProblems, store_settings
from proxy.delivery.focal import FOLDER, FocalPoints, FocalSource
from proxy.delivery.purge import Purger
from proxy.delivery.saving import Saver
from proxy.fleet.base import Fleet
from proxy.fleet.connect import connect_fleet
from proxy.metrics import Metrics
from proxy.setting_values import host_names
from proxy.stores.base import Source, Store
from proxy.stores.breaker import GuardedSource, GuardedStore
from proxy.stores.connect import connect, connect_source, file_path
from proxy.stores.hidden import HidingSource
from proxy.stores.metered import MeteredSource, MeteredStore
from proxy.stores.routed import RoutedSource


@dataclass(frozen=True, slots=True)
class Stores:
    """What is connected: each store is counted, and behind a breaker of its own."""

    originals: Source
    results: Store | None
    focal_points: FocalPoints | None
    breakers: dict[str, GuardedSource]


async def connect_stores(stack: AsyncExitStack, settings: Settings, metrics: Metrics) -> Stores:
    """Connect what the settings name; what `stack` closes is closed in reverse order."""
    section = store_settings(settings)
    breakers: dict[str, GuardedSource] = {}
    focal_points = await _connect_focal_points(stack, settings, metrics)
    hidden = hidden_prefix(settings.originals, settings.results)
    raw_source = await stack.enter_async_context(connect_source(settings.originals, section))
    breakers["originals"] = GuardedSource(MeteredSource(raw_source, "originals", metrics))
    source: Source = breakers["originals"] if hidden is None else HidingSource(breakers["originals"], hidden)
    hidden_points = hidden_prefix(settings.originals, focal_place(settings), name="IMGBANG_FOCAL_POINTS")
    source = FocalSource(source if hidden_points is None else HidingSource(source, hidden_points), focal_points)
    if settings.mark_origins:
        source = RoutedSource(source, await _connect_mark_origins(stack, settings, metrics))
    if settings.results == "none":
        return Stores(source, None, focal_points, breakers)
    raw_store = await stack.enter_async_context(connect(settings.results, section))
    store = breakers["results"] = GuardedStore(MeteredStore(raw_store, "results", metrics))
    return Stores(source, store, focal_points, breakers)


async def _connect_focal_points(stack: AsyncExitStack, settings: Settings, metrics: Metrics) -> FocalPoints | None:
    place = focal_place(settings)
    if place == "none":
        return None
    raw_store = await stack.enter_async_context(connect(place, store_settings(settings)))
    return FocalPoints(GuardedStore(MeteredStore(raw_store, "focal", metrics)))


async def _connect_mark_origins(stack: AsyncExitStack, settings: Settings, metrics: Metrics) -> dict[str, Source]:
    """Where the images of watermarks are fetched from, by what their URLs begin with."""
    origins: dict[str, Source] = {}
    for host in sorted(host_names(settings.mark_origins)):
        for scheme in ("http", "https"):
            url = f"{scheme}://{host}/"
            origin = await stack.enter_async_context(connect_source(url, store_settings(settings)))
            origins[url] = GuardedSource(MeteredSource(origin, "marks", metrics))
    return origins


async def connect_saver(stack: AsyncExitStack, settings: Settings, purger: Purger) -> Saver | None:
    """What stores results as originals, where somebody could sign for that and the originals can be written."""
    if settings.signing_keys is None or settings.originals.startswith(("http://", "https://")):
        return None
    store = await stack.enter_async_context(connect(settings.originals, store_settings(settings)))
    return Saver(store, purger, hidden=hidden_prefix(settings.originals, settings.results))


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


def focal_place(settings: Settings) -> str:
    """The URL of the store of focal points; `none` where there is none."""
    if settings.focal_points:
        return settings.focal_points
    if settings.admin_token is None or settings.originals.startswith(("http://", "https://")):
        return "none"
    return f"{settings.originals.rstrip('/')}/{FOLDER}"


def fleet_of(settings: Settings, metrics: Metrics) -> Fleet:
    """The replicas with the same stores, as soon as it is followed."""
    return connect_fleet(
        settings.redis,
        deployment=place_of(settings.originals if settings.results == "none" else settings.results),
        window=settings.freshness,
        negative_ttl=settings.negative_ttl,
        metrics=metrics,
    )

"""Every metric, declared once: base units, bounded labels, never a key or a URL.

Counters and histograms are written by the code that does the work. What is a state rather than an event (slots, queues,
bytes held) is read at scrape time from the `statistics` of its owner: `Gauges.watch` registers how.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Self, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)

T = TypeVar("T")

Reading = Mapping[tuple[str, ...], float]
"""Label values → value."""


class Gauges(Collector):
    """States that are read when somebody scrapes."""

    def __init__(self) -> None:
        self._watched: list[tuple[str, str, tuple[str, ...], Callable[[], Reading]]] = []

    def watch(self, name: str, text: str, labels: tuple[str, ...], read: Callable[[], Reading]) -> None:
        """Show what `read` returns as the gauge `name`."""
        self._watched.append((name, text, labels, read))

    def collect(self) -> Iterator[Metric]:
        """Called by the registry at each scrape."""
        for name, text, labels, read in self._watched:
            family = GaugeMetricFamily(name, text, labels=labels)
            for values, value in read().items():
                family.add_metric(values, value)
            yield family


class Answers(Collector):
    """How many answers there were, and how long they took. For the event loop's thread alone, hence without locks.

    The library's own counter and histogram took eight of the sixty microseconds of a hit.
    """

    def __init__(self) -> None:
        # Mutable state: answers by status and outcome; by outcome, how many took up to each bound and the sum of all.
        self._counts: dict[tuple[int, str], int] = defaultdict(int)
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_SECONDS) + 1))
        self._sums: dict[str, float] = defaultdict(float)

    def count(self, status: int, outcome: str, seconds: float) -> None:
        """One more answer."""
        self._counts[status, outcome] += 1
        self._buckets[outcome][bisect_left(_SECONDS, seconds)] += 1
        self._sums[outcome] += seconds

    def collect(self) -> Iterator[Metric]:
        """Called by the registry at each scrape."""
        counts = CounterMetricFamily(
            "imgbang_requests", "Answers by status and by how they came about.", labels=["status", "outcome"]
        )
        for (status, outcome), count in self._counts.items():
            counts.add_metric((str(status), outcome), count)
        yield counts
        times = HistogramMetricFamily(
            "imgbang_request_seconds", "Time to answer, by how it came about.", labels=["outcome"]
        )
        for outcome, buckets in self._buckets.items():
            bounds = zip((*map(floatToGoString, _SECONDS), "+Inf"), accumulate(buckets), strict=True)
            times.add_metric((outcome,), list(bounds), self._sums[outcome])
        yield times


class Counter(prometheus_client.Counter):
    """A counter whose children are found again without the library's checks: 0.2 µs instead of 4, at every hit."""

    def labels(self, *values: Any, **named: Any) -> Self:
        """The child with these label values."""
        return _child(self.__dict__, values, lambda: super(Counter, self).labels(*values, **named))


class Histogram(prometheus_client.Histogram):
    """A histogram whose children are found quickly, likewise."""

    def labels(self, *values: Any, **named: Any) -> Self:
        """The child with these label values."""
        return _child(self.__dict__, values, lambda: super(Histogram, self).labels(*values, **named))


def _child(owner: dict[str, Any], values: tuple[Any, ...], find: Callable[[], T]) -> T:
    """The child remembered by its owner, found once; children named by keyword (no values) are not remembered."""
    known: dict[tuple[Any, ...], T] = owner.setdefault("_quick", {})
    child = known.get(values)
    if child is None:
        child = find()
        if values:
            known[values] = child
    return child


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.gauges = Gauges()
        registry.register(self.gauges)
        self.answers = Answers()
        registry.register(self.answers)
        self.found = Counter(
            "imgbang_results_found_total", "Look-ups of results by where they were found.", ["where"], registry=registry
        )
        self.fetches = Counter(
            "imgbang_fetches_total", "Originals fetched, by outcome.", ["outcome"], registry=registry
        )
        self.fetch_bytes = Counter("imgbang_fetch_bytes_total", "Bytes of originals fetched.", registry=registry)
        self.renders = Counter("imgbang_renders_total", "Renders by outcome.", ["outcome"], registry=registry)
        self.render_seconds = Histogram(
            "imgbang_render_seconds", "Time of one render in a worker.", buckets=_SECONDS, registry=registry
        )
        self.joined = Counter(
            "imgbang_joined_total", "Requests that joined a render already under way.", registry=registry
        )
        self.saves = Counter(
            "imgbang_saves_total", "Results written to the store, by outcome.", ["outcome"], registry=registry
        )
        self.revalidations = Counter(
            "imgbang_revalidations_total", "Originals looked at again, by outcome.", ["outcome"], registry=registry
        )
        self.store_calls = Counter(
            "imgbang_store_calls_total",
            "Calls to a store by verb and outcome.",
            ["store", "verb", "outcome"],
            registry=registry,
        )
        self.presets_reloads = Counter(
            "imgbang_presets_reloads_total", "Attempts to load presets, by outcome.", ["outcome"], registry=registry
        )
        self.turns = Counter(
            "imgbang_turns_total",
            "Renders about to begin, by what other replicas had to say: `ours`, `found` (one had just saved it), "
            "`failed`, `unsaved`, `old`, `impatient`; `alone` where none could be asked.",
            ["outcome"],
            registry=registry,
        )
        self.fleet_calls = Counter(
            "imgbang_redis_calls_total",
            "Calls to Redis, by script and outcome.",
            ["call", "outcome"],
            registry=registry,
        )
        self.purged = Counter("imgbang_purged_total", "Results deleted by purges.", registry=registry)

    def exposition(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self._registry)

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float:
        """The current value of one sample; 0 when it never happened."""
        return self._registry.get_sample_value(name, dict(labels or {})) or 0.0

"""The story of a request from plan to answer: find → stage → admit → render → save.

This is the only module that knows the whole order. Rules:
- A hit never waits behind renders, and never touches the original or a worker.
- A conditional request whose entity tag is current is answered before anything is rendered or fetched.
- Equal plans under way are rendered once. A failure is remembered for a short time, so that a broken original or a
  missing one is not tried again by everybody who asks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from proxy.delivery.admission import Gate
from proxy.delivery.deadline import Deadline
from proxy.delivery.failures import RecentFailures
from proxy.delivery.fallback import original_as_result
from proxy.delivery.freshness import Freshness, Known
from proxy.delivery.marks import Marks
from proxy.delivery.originals import Originals, Staged
from proxy.delivery.result import Result, etag_of
from proxy.delivery.results import Found, Results, Where
from proxy.delivery.singleflight import SingleFlight
from proxy.delivery.staging import Staging
from proxy.errors import (
    CannotRender,
    DeadlinePassed,
    InvalidCommand,
    NotAnImage,
    OriginalNotFound,
    OriginalTooLarge,
    Overloaded,
    ProxyError,
)
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport, SourceInfo
from proxy.metrics import Metrics
from proxy.plan.output import OnError
from proxy.plan.plan import Plan

_REMEMBERED = (NotAnImage, OriginalTooLarge, CannotRender)
"""What asking again would not change at once: it lies in the picture itself."""
_FAIR_SHARE = 0.8
"""Of the longest time a worker may ever take: what is not done in so much of it never will be."""
_MOST_ATTEMPTS = 2
"""Renders of one flight, when the original is purged under the first."""

Overlays = tuple[tuple[str, str], ...]


class Outcome(StrEnum):
    """How an answer came about; a label of the metrics and a part of Cache-Status."""

    HIT = "hit"
    STALE = "stale"
    MISS = "miss"
    JOINED = "joined"
    NOT_MODIFIED = "not-modified"


@dataclass(slots=True)
class Stages:
    """Where the time went, in seconds by stage; for Server-Timing and the explain page."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, since: float) -> None:
        """Add the time since `since` (of `time.perf_counter`) to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - since


@dataclass(frozen=True, slots=True)
class Answer:
    """What a plan comes to. `result` None: the client has the current representation already."""

    result: Result | None
    etag: str
    modified: float
    outcome: Outcome
    detail: str
    stages: Stages


class Conditions(Protocol):
    """What a client already has (RFC 9110 section 13)."""

    @property
    def present(self) -> bool:
        """Whether the request has any condition that could make the answer a 304."""
        ...

    def is_current(self, etag: str, modified: float) -> bool:
        """Whether the client's copy is the representation with this entity tag and modification time."""
        ...


class Workers(Protocol):
    """Who makes the pixels; see `proxy/imaging/workers.py`."""

    @property
    def versions(self) -> str:
        """The libraries that make the pixels: a part of every entity tag."""
        ...

    async def inspect(self, path: str, *, timeout: float) -> SourceInfo:  # noqa: ASYNC109 -- the time for all of it
        """Read the header of the original at `path`; DeadlinePassed after `timeout` seconds."""
        ...

    async def run(self, job: RenderJob, *, timeout: float) -> RenderReport:  # noqa: ASYNC109 -- likewise
        """Render; the bytes are then at the job's `result_path`. DeadlinePassed after `timeout` seconds."""
        ...


class Renderer:
    """Turns plans into answers."""

    def __init__(
        self,
        *,
        results: Results,
        originals: Originals,
        freshness: Freshness,
        workers: Workers,
        render_gate: Gate,
        memory_gate: Gate,
        staging: Staging,
        limits: RenderLimits,
        deadline: float,
        render_timeout: float,
        freshness_window: float,
        failures: RecentFailures,
        metrics: Metrics,
        marks: Marks | None = None,
    ) -> None:
        self._results = results
        self._originals = originals
        self._freshness = freshness
        self._workers = workers
        self._render_gate = render_gate
        self._memory_gate = memory_gate
        self._staging = staging
        self._limits = limits
        self._deadline = deadline
        self._render_timeout = render_timeout
        self._window = freshness_window
        self._failures = failures
        self._metrics = metrics
        self._marks = marks or Marks(originals, freshness)
        self._flights: SingleFlight[tuple[Result, Stages]] = SingleFlight(on_join=metrics.joined.inc)

    @property
    def flights(self) -> int:
        """Renders under way, queued ones included."""
        return len(self._flights)

    async def answer(self, plan: Plan, deadline: Deadline, conditions: Conditions) -> Answer:
        """Find or make the result of `plan` within the deadline."""
        stages = Stages()
        if plan.overlays:
            plan = await self._marks.settle(plan, deadline)
        known = self._freshness.of(plan.key)
        if known is not None:
            current = self._answer_from_knowledge(plan, known, conditions, stages)
            if current is not None:
                return current
        since = time.perf_counter()
        found = await self._results.find(plan, deadline)
        stages.add("find", since)
        if found is not None:
            answer = await self._answer_from_found(plan, found, conditions, stages, deadline)
            if answer is not None:
                return answer
        elif conditions.present and known is None:
            since = time.perf_counter()
            async with deadline.bound("original's store"):
                known = await self._freshness.look(plan.key)
            stages.add("look", since)
            current = self._answer_from_knowledge(plan, known, conditions, stages)
            if current is not None:
                return current
        return await self._answer_from_flight(plan, deadline, conditions, stages)

    async def close(self) -> None:
        """Cancel what is under way."""
        await self._flights.close()

    def _answer_from_knowledge(self, plan: Plan, known: Known, conditions: Conditions, stages: Stages) -> Answer | None:
        """304 if the client has what would be rendered now; OriginalNotFound if there is nothing to render."""
        if known.version is None:
            raise OriginalNotFound(f"no original {plan.key!r}")
        etag = etag_of(known.version, plan, self._workers.versions)
        if not known.version or not conditions.is_current(etag, known.modified):
            return None  # a store that cannot tell versions apart tells nothing here
        return Answer(None, etag, known.modified, Outcome.NOT_MODIFIED, "known", stages)

    async def _answer_from_found(
        self, plan: Plan, found: Found, conditions: Conditions, stages: Stages, deadline: Deadline
    ) -> Answer | None:
        """Answer with a stored result, unless its original has changed."""
        result = found.result
        age = max(0.0, time.time() - result.seen)
        if age < self._window and found.where is Where.STORE:
            # Made a moment ago by another replica: as good as having looked at the original when that one did.
            self._freshness.trust(plan.key, result.version, result.modified, age=age)
        outcome = Outcome.HIT
        known = self._freshness.of(plan.key)
        if known is None:
            outcome = Outcome.STALE
            last = self._freshness.last_seen(plan.key)
            if last is not None and not last.is_of(result.version):
                # Stored and remembered versions differ and neither is fresh: ask who is right before answering.
                known = await self._look_or_none(plan.key, deadline)
            else:
                self._freshness.look_later(plan.key)
        if known is not None:
            if known.version is None:
                raise OriginalNotFound(f"no original {plan.key!r}")
            if not known.is_of(result.version):
                await self._results.forget(plan, result)
                return None
            outcome = Outcome.HIT
        if conditions.is_current(result.etag, result.modified):
            return Answer(None, result.etag, result.modified, Outcome.NOT_MODIFIED, found.where.value, stages)
        return Answer(result, result.etag, result.modified, outcome, found.where.value, stages)

    async def _look_or_none(self, key: str, deadline: Deadline) -> Known | None:
        """Look at the original of a stored result; None when its store does not tell: stale is better than nothing."""
        try:
            async with deadline.bound("original's store", at_most=deadline.remaining / 2):
                return await self._freshness.look_for_result(key)
        except OriginalNotFound:
            raise
        except ProxyError:
            return None

    async def _answer_from_flight(
        self, plan: Plan, deadline: Deadline, conditions: Conditions, stages: Stages
    ) -> Answer:
        self._failures.raise_for(plan)
        flight_stages: list[Stages] = []

        async def work() -> tuple[Result, Stages]:
            own = Stages()
            flight_stages.append(own)
            return await self._make(plan, own), own

        since = time.perf_counter()
        async with deadline.bound("render"):
            result, of_flight = await self._flights.run((plan.key, plan.fingerprint), work)
        started_here = bool(flight_stages)
        if started_here:
            stages.seconds.update(of_flight.seconds)
        else:
            stages.add("join", since)
        outcome = Outcome.MISS if started_here else Outcome.JOINED
        if conditions.is_current(result.etag, result.modified):
            return Answer(None, result.etag, result.modified, Outcome.NOT_MODIFIED, "rendered", stages)
        return Answer(result, result.etag, result.modified, outcome, "rendered", stages)

    async def _make(self, plan: Plan, stages: Stages) -> Result:
        """Render `plan`, keep the result, and remember a failure. Runs as a flight, under a deadline of its own."""
        recent = await self._results.recall(plan)
        known = self._freshness.of(plan.key)
        if recent is not None and known is not None and known.is_of(recent.version):
            return recent
        outcome = "cancelled"
        try:
            # Before the original is fetched for nothing.
            self._render_gate.refuse_when_full()
            result = await self._make_anew(plan, Deadline.after(self._deadline), stages)
            outcome = "ok"
        except ProxyError as error:
            outcome = error.code
            if isinstance(error, _REMEMBERED):
                self._failures.remember(plan, error)
            raise
        finally:
            self._metrics.renders.labels(outcome).inc()
        return result

    async def _make_anew(self, plan: Plan, deadline: Deadline, stages: Stages) -> Result:
        for _ in range(_MOST_ATTEMPTS):
            with self._freshness.asking(plan.key) as question:
                since = time.perf_counter()
                async with (
                    self._originals.stage(plan.key, deadline) as staged,
                    self._marks.stage(plan, deadline) as overlays,
                ):
                    stages.add("fetch", since)
                    try:
                        result = await self._render(plan, staged, overlays, deadline, stages)
                    except (*_REMEMBERED, InvalidCommand):
                        if plan.output.on_error is not OnError.ORIGINAL:
                            raise
                        result = await original_as_result(plan, staged, self._workers.versions)
            if not question.outdated:
                if self._marks.are_of(plan):
                    await self._results.keep(plan, result)
                break
            # Purged meanwhile: it may show what the purge was for, and whoever asks after a purge may have joined us.
        return result

    async def _render(
        self, plan: Plan, staged: Staged, overlays: Overlays, deadline: Deadline, stages: Stages
    ) -> Result:
        since = time.perf_counter()
        async with self._render_gate.slot(deadline):
            stages.add("queue", since)
            header = await self._inspect(plan, staged, deadline, stages)
            if header.estimated_bytes > self._memory_gate.statistics.limit:
                raise OriginalTooLarge("decoding the original needs more memory than this server allows")
            async with self._memory_gate.slot(deadline, weight=header.estimated_bytes):
                since = time.perf_counter()
                report, body = await self._run(plan, staged, overlays, deadline)
                self._metrics.render_seconds.observe(time.perf_counter() - since)
                stages.add("render", since)
        version = staged.info.version
        return Result(
            body=body,
            media_type=report.media_type or report.format.media_type,
            width=report.width,
            height=report.height,
            frames=report.frames,
            version=version,
            modified=staged.info.modified,
            created=time.time(),
            seen=staged.seen,
            renderer=self._workers.versions,
            etag=etag_of(version, plan, self._workers.versions),
        )

    async def _inspect(self, plan: Plan, staged: Staged, deadline: Deadline, stages: Stages) -> SourceInfo:
        """The header of the original: read once for all variants, before any pixel."""
        since = time.perf_counter()
        async with deadline.bound("render"), staged.lock:
            if staged.inspected is None:
                with self._timed(plan, deadline) as seconds:
                    staged.inspected = await self._workers.inspect(str(staged.path), timeout=seconds)
                stages.add("inspect", since)
            return staged.inspected

    async def _run(
        self, plan: Plan, staged: Staged, overlays: Overlays, deadline: Deadline
    ) -> tuple[RenderReport, bytes]:
        path = self._staging.new_path()
        job = RenderJob(str(staged.path), str(path), plan.operations, plan.output, self._limits, overlays)
        try:
            with self._timed(plan, deadline) as seconds:
                report = await self._workers.run(job, timeout=seconds)
            return report, await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise Overloaded("too busy: the result could not be read back; try again in 1 s") from error
        finally:
            self._staging.discard(path)

    @contextmanager
    def _timed(self, plan: Plan, deadline: Deadline) -> Iterator[float]:
        """Give a worker the seconds that are left; remember the picture that took about all there can be."""
        seconds = min(self._render_timeout, deadline.remaining)
        try:
            yield seconds
        except DeadlinePassed as error:
            if seconds >= _FAIR_SHARE * min(self._render_timeout, self._deadline):
                # The picture is to blame, not the queue before it.
                self._failures.remember(plan, error)
            raise

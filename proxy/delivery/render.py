"""The story of a request from plan to answer: find → stage → admit → render → save.

This is the only module that knows the whole order; `making` knows what happens between admission and bytes. Rules:
- A hit never waits behind renders, and never touches the original or a worker.
- A conditional request whose entity tag is current is answered before anything is rendered or fetched.
- Equal plans under way are rendered once, by the replica whose turn it is. A failure is remembered for a short time, so
  that a broken original or a missing one is not tried again by everybody who asks.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from proxy.delivery.answer import KNOWN, Answer, Conditions, Outcome, Stages
from proxy.delivery.deadline import Deadline
from proxy.delivery.failures import RecentFailures
from proxy.delivery.fallback import original_as_result
from proxy.delivery.freshness import Freshness
from proxy.delivery.making import Maker
from proxy.delivery.marks import Marks
from proxy.delivery.originals import Originals
from proxy.delivery.result import Result, etag_of
from proxy.delivery.results import Found, Results, Stored, Where
from proxy.delivery.singleflight import SingleFlight
from proxy.delivery.turns import Turns
from proxy.errors import (
    CannotRender,
    InvalidCommand,
    NotAnImage,
    OriginalChanged,
    OriginalNotFound,
    OriginalTooLarge,
    Overloaded,
    ProxyError,
)
from proxy.fleet.base import Known, Standing, Turn
from proxy.metrics import Metrics
from proxy.plan.operations.hiding import hides
from proxy.plan.output import OnError
from proxy.plan.plan import Plan

_REMEMBERED = (NotAnImage, OriginalTooLarge, CannotRender)
"""What asking again would not change at once: it lies in the picture itself."""
_MOST_ATTEMPTS = 2
"""Renders of one flight, when the original is purged or written over under the first."""
_SOON = 16
"""Requests that may come while one is looked for. With fewer places than these, it may find none afterwards."""


class Renderer:
    """Turns plans into answers."""

    def __init__(
        self,
        *,
        results: Results,
        originals: Originals,
        freshness: Freshness,
        maker: Maker,
        deadline: float,
        freshness_window: float,
        failures: RecentFailures,
        metrics: Metrics,
        turns: Turns,
        marks: Marks | None = None,
    ) -> None:
        self._results = results
        self._originals = originals
        self._freshness = freshness
        self._maker = maker
        self._deadline = deadline
        self._window = freshness_window
        self._failures = failures
        self._metrics = metrics
        self._turns = turns
        self._marks = marks or Marks(originals, freshness)
        self._flights: SingleFlight[tuple[Result, Stages, bool]] = SingleFlight(on_join=metrics.joined.inc)
        # Mutable state: the flights whose work has not begun, so that it could not announce itself.
        self._starting: set[tuple[str, str]] = set()

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
        if (plan.key, plan.fingerprint) in self._flights and self._results.recall(plan) is None:
            # It was looked for a moment ago: a herd must not ask the store again and again while one of it renders.
            return await self._answer_from_flight(plan, deadline, conditions, stages)
        if known is None and conditions.present and self._results.recall(plan) is None:
            # One look, which is due anyway, may answer. The result would be a second call, and read for nothing.
            since = time.perf_counter()
            known = await self._known_or_none(self._freshness.look, plan.key, deadline)
            stages.add("look", since)
            current = None if known is None else self._answer_from_knowledge(plan, known, conditions, stages)
            if current is not None:
                return current
        since = time.perf_counter()
        found = await self._results.find(plan, deadline)
        stages.add("find", since)
        if found is not None:
            answer = await self._answer_from_found(plan, found, conditions, stages, deadline)
            if answer is not None:
                return answer
        return await self._answer_from_flight(plan, deadline, conditions, stages)

    def holds(self, plan: Plan, result: Result) -> bool:
        """Whether a hit of `plan` in memory would be answered with `result`, now and without looking anything up.

        Not for plans with overlays, whose versions count, too. It is then counted as found, and as recently used.
        """
        known = self._freshness.of(plan.key)
        return known is not None and known.is_of(result.version) and self._results.holds(plan, result)

    def is_only_stored(self, plan: Plan) -> bool:
        """Whether hits of `plan` come from the store, the next one as the last."""
        return self._results.is_only_stored(plan)

    def find_again(self, plan: Plan, stored: Stored) -> bytes | None:
        """The bytes that a hit of `plan` would be answered with, now and without waiting, if they are this result's.

        Not for plans with overlays, as above.
        """
        known = self._freshness.of(plan.key)
        if known is None or not known.is_of(stored.outline.version):
            return None
        return self._results.find_again(plan, stored)

    def is_current(self, plan: Plan, etag: str) -> bool:
        """Whether a result of `plan` that was rendered now would have this entity tag, as far as is known."""
        known = self._freshness.of(plan.key)
        if known is None or not known.version:
            return False
        return etag_of(known.version, plan, self._maker.versions) == etag

    @property
    def is_nearly_full(self) -> bool:
        """Whether a render that begins a moment later may be refused, and by nobody but this process."""
        return self._turns.alone and self._maker.refuses(behind=len(self._starting) + _SOON)

    async def refusal(self, plan: Plan, soon: float) -> Overloaded | None:
        """What `answer` would raise because there is no place left to render, if a cheap look at the store tells.

        `soon`: seconds, of which the look may take a third. Not for plans with overlays. The plan then counts as looked
        for and as refused.
        """
        if not self._would_render(plan):
            return None
        absent = self._results.is_absent_now(plan)
        if absent is None:
            absent = await self._results.is_absent(plan, Deadline.after(soon)) and self._would_render(plan)
        error = self._refusal() if absent else None
        if error is not None:
            self._results.count_absent()
        return error

    def _would_render(self, plan: Plan) -> bool:
        """Whether a render of this plan would begin, if nothing is stored: neither under way nor known to fail."""
        if (plan.key, plan.fingerprint) in self._flights or self._failures.has(plan):
            return False
        known = self._freshness.of(plan.key)
        return known is None or known.version is not None

    async def close(self) -> None:
        """Cancel what is under way."""
        await self._flights.close()

    def _answer_from_knowledge(self, plan: Plan, known: Known, conditions: Conditions, stages: Stages) -> Answer | None:
        """304 if the client has what would be rendered now; OriginalNotFound if there is nothing to render."""
        if known.version is None:
            raise OriginalNotFound(f"no original {plan.key!r}")
        etag = etag_of(known.version, plan, self._maker.versions)
        if not known.version or not conditions.is_current(etag, known.modified):
            return None  # a store that cannot tell versions apart tells nothing here
        return Answer(None, etag, known.modified, Outcome.NOT_MODIFIED, KNOWN, stages)

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
                known = await self._known_or_none(self._freshness.look_for_result, plan.key, deadline)
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

    async def _known_or_none(
        self, look: Callable[[str], Awaitable[Known]], key: str, deadline: Deadline
    ) -> Known | None:
        """What a look at the original tells; None when its store does not: stale is better than nothing."""
        try:
            async with deadline.bound("original's store", at_most=deadline.remaining / 2):
                return await look(key)
        except OriginalNotFound:
            raise
        except ProxyError:
            return None

    async def _answer_from_flight(
        self, plan: Plan, deadline: Deadline, conditions: Conditions, stages: Stages
    ) -> Answer:
        self._failures.raise_for(plan)
        place = (plan.key, plan.fingerprint)
        if place not in self._flights:
            refusal = self._refusal()
            if refusal is not None:
                raise refusal
            self._starting.add(place)
        flight_stages: list[Stages] = []

        async def work() -> tuple[Result, Stages, bool]:
            self._starting.discard(place)  # from here to where it is announced nothing waits, where there are no others
            own = Stages()
            flight_stages.append(own)
            result, made = await self._make(plan, own)
            return result, own, made

        since = time.perf_counter()
        try:
            result, of_flight, made = await self._flights.run(place, work, deadline=deadline, stage="render")
        finally:
            self._starting.discard(place)
        started_here = bool(flight_stages)
        if started_here:
            stages.seconds.update(of_flight.seconds)
        else:
            stages.add("join", since)
        outcome = Outcome.MISS if started_here and made else Outcome.JOINED
        if conditions.is_current(result.etag, result.modified):
            return Answer(None, result.etag, result.modified, Outcome.NOT_MODIFIED, "rendered", stages)
        return Answer(result, result.etag, result.modified, outcome, "rendered", stages)

    def _refusal(self) -> Overloaded | None:
        """The refusal of a render before it is a flight, which would come to the same for a multiple of the price.

        Where there are others, one of them may have what is asked for: then the flight has to find out.
        """
        if not self._turns.alone:
            return None
        refusal = self._maker.refusal(behind=len(self._starting))
        if refusal is not None:
            self._metrics.renders.labels(refusal.code).inc()
        return refusal

    async def _make(self, plan: Plan, stages: Stages) -> tuple[Result, bool]:
        """The result of `plan`, and whether it was made here. Runs as a flight, under a deadline of its own."""
        recent = self._results.recall(plan)
        known = self._freshness.of(plan.key)
        if recent is not None and known is not None and known.is_of(recent.version):
            return recent, True
        deadline = Deadline.after(self._deadline)
        turn = await self._turns.take(plan, deadline, stages)
        if isinstance(turn, Result):
            return turn, False
        return await self._make_in_turn(plan, turn, deadline, stages), True

    async def _make_in_turn(self, plan: Plan, turn: Turn, deadline: Deadline, stages: Stages) -> Result:
        """Render `plan`, keep the result, and remember a failure; the turn ends in any case."""
        outcome = "cancelled"
        try:
            result = await self._make_anew(plan, turn, deadline, stages)
            outcome = "ok"
        except ProxyError as error:
            outcome = error.code
            if isinstance(error, _REMEMBERED):
                self._failures.remember(plan, error)
            turn.end(Standing.FAILED, error)
            raise
        finally:
            self._metrics.renders.labels(outcome).inc()
            if outcome != "ok":
                turn.end(Standing.OURS)
        return result

    async def _make_anew(self, plan: Plan, turn: Turn, deadline: Deadline, stages: Stages) -> Result:
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            with self._freshness.asking(plan.key) as question:
                try:
                    result = await self._stage_and_make(plan, deadline, stages)
                except OriginalChanged:
                    if attempt == _MOST_ATTEMPTS:
                        raise
                    continue
            if not question.outdated:
                if self._marks.are_of(plan):
                    await self._results.keep(plan, result, turn)
                    return result
                break
            # Purged meanwhile: it may show what the purge was for, and whoever asks after a purge may have joined us.
        turn.end(Standing.UNSAVED)
        return result

    async def _stage_and_make(self, plan: Plan, deadline: Deadline, stages: Stages) -> Result:
        async with AsyncExitStack() as stack:
            with self._maker.coming():
                since = time.perf_counter()
                staged = await stack.enter_async_context(self._originals.stage(plan.key, deadline))
                overlays = await stack.enter_async_context(self._marks.stage(plan, deadline))
                stages.add("fetch", since)
            try:
                return await self._maker.make(plan, staged, overlays, deadline, stages)
            except (*_REMEMBERED, InvalidCommand):
                if plan.output.on_error is not OnError.ORIGINAL or hides(plan.operations):
                    raise
                await self._maker.look(plan, staged, deadline, stages)
                return await original_as_result(plan, staged, self._maker.versions)

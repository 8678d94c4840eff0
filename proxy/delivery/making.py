"""The half of the story where pixels are made: admit → render.

Two gates stand before a worker. The first has a slot for each worker; the second admits by the memory that the header
says the decoder will need, so that a few huge originals do not meet. Each waits with a bound, and refuses the rest.

Only a worker can read a header. Most pictures need little, so a render begins with a share of the memory, if that is
at hand, and the worker stops at a header that tells of more: then the render waits for as much and begins again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from proxy.delivery.admission import Gate
from proxy.delivery.answer import Stages
from proxy.delivery.batches import Batch, Batches, Made, Order, Overlays, can_share
from proxy.delivery.deadline import Deadline
from proxy.delivery.failures import RecentFailures
from proxy.delivery.focal import focus_of
from proxy.delivery.learning import Learnt
from proxy.delivery.lending import lending
from proxy.delivery.originals import Staged
from proxy.delivery.result import Result, tag_of_made
from proxy.delivery.staging import Staging
from proxy.errors import DeadlinePassed, OriginalTooLarge, Overloaded, ProxyError, RenderCrashed, TooCostly
from proxy.imaging.job import NotAdmitted, RenderJob, RenderLimits, RenderReport, SourceInfo
from proxy.imaging.memory import needed_bytes
from proxy.metrics import Metrics
from proxy.plan.plan import Plan

if TYPE_CHECKING:
    from _typeshed import HasFileno

_FAIR_SHARE = 0.8
"""Of the longest time a worker may ever take: what is not done in so much of it never will be."""


class Workers(Protocol):
    """Who makes the pixels; see `proxy/imaging/workers.py`."""

    @property
    def versions(self) -> str:
        """The libraries that make the pixels: a part of every entity tag."""
        ...

    async def inspect(
        self,
        path: str,
        *,
        timeout: float,  # noqa: ASYNC109 -- the time for all of it
        lent: Sequence[HasFileno] = (),
    ) -> SourceInfo:
        """Read the header of the original at `path`; DeadlinePassed after `timeout` seconds.

        What is in `lent` has the paths that `job.lent_path` gives; here and below.
        """
        ...

    async def run(
        self,
        job: RenderJob,
        *,
        timeout: float,  # noqa: ASYNC109 -- likewise
        lent: Sequence[HasFileno] = (),
    ) -> RenderReport:
        """Render; small results are in the report, others at the job's `result_path`. DeadlinePassed after `timeout` s.

        NotAdmitted where the job does not know the header, and that tells of more memory than its allowance.
        """
        ...

    async def run_together(
        self,
        jobs: tuple[RenderJob, ...],
        *,
        timeout: float,  # noqa: ASYNC109 -- likewise
        lent: Sequence[HasFileno] = (),
    ) -> tuple[RenderReport | ProxyError, ...]:
        """Render several pictures of one original; what came of each, in their order.

        NotAdmitted as above, and where the header tells of several frames.
        """
        ...


class Maker:
    """Makes results of staged originals."""

    def __init__(
        self,
        *,
        workers: Workers,
        render_gate: Gate,
        memory_gate: Gate,
        staging: Staging,
        limits: RenderLimits,
        deadline: float,
        render_timeout: float,
        failures: RecentFailures,
        metrics: Metrics,
    ) -> None:
        self._workers = workers
        self._render_gate = render_gate
        self._memory_gate = memory_gate
        self._staging = staging
        self._limits = limits
        self._deadline = deadline
        self._render_timeout = render_timeout
        self._failures = failures
        self._metrics = metrics
        # With every slot taken, half of the memory is left to those who need more.
        self._share = memory_gate.statistics.limit // (2 * render_gate.statistics.limit)
        self._learnt = Learnt()
        self._batches = Batches(self._make_together)

    @property
    def versions(self) -> str:
        """The libraries that make the pixels: a part of every entity tag."""
        return self._workers.versions

    @property
    def idle(self) -> bool:
        """Whether a render could begin at once."""
        gate = self._render_gate.statistics
        return gate.inside < gate.limit and not gate.waiting

    def refusal(self, *, behind: int) -> Overloaded | None:
        """What a `make` would raise that is announced after so many more; see `Gate.refusal`."""
        return self._render_gate.refusal(behind=behind)

    def refuses(self, *, behind: int) -> bool:
        """Whether it would be refused; see `Gate.refuses`."""
        return self._render_gate.refuses(behind=behind)

    def coming(self) -> AbstractContextManager[None]:
        """Announce a `make` whose original is to be fetched before; see `Gate.coming`."""
        return self._render_gate.coming()

    async def make(self, plan: Plan, staged: Staged, overlays: Overlays, deadline: Deadline, stages: Stages) -> Result:
        """Render `plan` from its staged original; every ProxyError of gates and workers may come out."""
        order = Order(plan, overlays, deadline, stages)
        made = await self._batches.join(staged, order) if can_share(plan) and not _moves(staged) else None
        report, body = made or await self._make_alone(order, staged)
        version, versions = staged.info.version, self._workers.versions
        media_type = report.media_type or report.format.media_type
        return Result(
            body=body,
            media_type=media_type,
            width=report.width,
            height=report.height,
            frames=report.frames,
            version=version,
            modified=staged.info.modified,
            created=time.time(),
            seen=staged.seen,
            renderer=versions,
            notes=report.notes,
            etag=tag_of_made(version, plan, versions, media_type=media_type, frames=report.frames),
        )

    async def look(self, plan: Plan, staged: Staged, deadline: Deadline, stages: Stages) -> None:
        """Read the header of an original that was not rendered, if nobody has and it can be read."""
        with suppress(ProxyError):
            await self._inspect([Order(plan, (), deadline, stages)], staged)

    async def _make_alone(self, order: Order, staged: Staged) -> Made:
        since = time.perf_counter()
        async with self._render_gate.slot(order.deadline):
            order.stages.add("queue", since)
            (outcome,) = await self._render([order], staged)
        if isinstance(outcome, ProxyError):
            raise outcome
        assert outcome is not None  # what is alone is made alone
        return outcome

    async def _make_together(self, batch: Batch) -> None:
        since, staged = time.perf_counter(), batch.staged
        async with self._render_gate.slot(batch.deadline):
            self._batches.close(batch)
            orders = batch.wanted
            for order in orders:
                order.stages.add("queue", since)
            outcomes: Sequence[Made | ProxyError | None]
            try:
                outcomes = await self._render(orders, staged)
            except (RenderCrashed, TooCostly):
                if len(orders) == 1:
                    raise
                await self._inspect(orders, staged)  # a header that is to blame fails them all
                outcomes = [None] * len(orders)  # one of them is to blame: each is tried alone
        for order, outcome in zip(orders, outcomes, strict=True):
            if order.answer.done():
                continue
            if isinstance(outcome, ProxyError):
                order.answer.set_exception(outcome)
            else:
                order.answer.set_result(outcome)

    async def _render(self, orders: list[Order], staged: Staged) -> Sequence[Made | ProxyError | None]:
        """What a worker makes of the orders, which have a slot; None for what must be made alone."""
        if staged.inspected is None:
            with self._memory_gate.at_once(self._share) as admitted:
                if admitted:
                    try:
                        return await self._run(orders, staged)
                    except NotAdmitted as asked:
                        staged.inspected = asked.header
        header = await self._inspect(orders, staged)
        if len(orders) > 1 and _moves(staged):
            return [None] * len(orders)
        needed = needed_bytes([order.plan for order in orders], header, self._limits)
        async with self._admitted(needed, _longest(orders).deadline):
            return await self._run(orders, staged)

    @asynccontextmanager
    async def _admitted(self, needed: int, deadline: Deadline) -> AsyncIterator[None]:
        """Hold the memory that a decoder and its pixels need."""
        if needed > self._memory_gate.statistics.limit:
            raise OriginalTooLarge("decoding the original needs more memory than this server allows")
        async with self._memory_gate.slot(deadline, weight=needed):
            yield

    async def _inspect(self, orders: list[Order], staged: Staged) -> SourceInfo:
        """The header of the original."""
        since, order = time.perf_counter(), _longest(orders)
        async with order.deadline.bound("render"), staged.lock:
            if staged.inspected is None:
                with self._timed([order]) as seconds, lending(staged) as lent:
                    path = lent.path_of(staged)
                    staged.inspected = await self._workers.inspect(path, timeout=seconds, lent=lent.files)
                order.stages.add("inspect", since)
            return staged.inspected

    async def _run(self, orders: list[Order], staged: Staged) -> list[Made | ProxyError]:
        """What a worker makes of the orders; where it is one, its failure is raised."""
        since = time.perf_counter()
        paths = [self._staging.new_path() for _ in orders]
        written = paths
        try:
            with self._timed(orders) as seconds, lending(staged, *_drawn(orders)) as lent:
                jobs = tuple(
                    RenderJob(
                        lent.path_of(staged),
                        str(path),
                        order.plan.operations,
                        order.plan.output,
                        self._limits,
                        tuple((name, lent.path_of(image)) for name, image in order.overlays),
                        min(seconds, order.deadline.remaining),
                        focus_of(staged.info),
                        starts=self._learnt.starts(order.plan),
                        header=staged.inspected,
                        allowance=self._share,
                    )
                    for order, path in zip(orders, paths, strict=True)
                )
                outcomes = await self._hand_over(jobs, seconds, lent.files)
            written = [path for path, outcome in zip(paths, outcomes, strict=True) if not _came_along(outcome)]
            staged.inspected = staged.inspected or _told(outcomes)
            taken = time.perf_counter() - since
            for order in orders:
                self._metrics.render_seconds.observe(taken / len(orders))
                order.stages.add("render", since)
            return [
                outcome if isinstance(outcome, ProxyError) else await self._read_back(order, outcome, path)
                for order, outcome, path in zip(orders, outcomes, paths, strict=True)
            ]
        except OSError as error:
            raise Overloaded("too busy: the result could not be read back; try again in 1 s") from error
        finally:
            for path in written:
                self._staging.discard(path)

    async def _hand_over(
        self, jobs: tuple[RenderJob, ...], seconds: float, lent: Sequence[HasFileno]
    ) -> tuple[RenderReport | ProxyError, ...]:
        if len(jobs) == 1:
            return (await self._workers.run(jobs[0], timeout=seconds, lent=lent),)
        return await self._workers.run_together(jobs, timeout=seconds, lent=lent)

    async def _read_back(self, order: Order, report: RenderReport, path: Path) -> Made:
        self._learnt.learn(order.plan, report.found)
        body = report.body if report.body is not None else await asyncio.to_thread(path.read_bytes)
        return report, body

    @contextmanager
    def _timed(self, orders: list[Order]) -> Iterator[float]:
        """Give a worker the seconds that are left; remember the picture that took about all there can be."""
        seconds = min(self._render_timeout, max(order.deadline.remaining for order in orders))
        try:
            yield seconds
        except DeadlinePassed as error:
            if seconds >= _FAIR_SHARE * min(self._render_timeout, self._deadline):
                # The picture is to blame, not the queue before it.
                for order in orders:
                    self._failures.remember(order.plan, error)
            raise


def _moves(staged: Staged) -> bool:
    """Whether the original is known to have several frames."""
    return staged.inspected is not None and staged.inspected.frames > 1


def _drawn(orders: list[Order]) -> Iterator[Staged]:
    """The images of all marks."""
    return (image for order in orders for _, image in order.overlays)


def _came_along(outcome: RenderReport | ProxyError) -> bool:
    """Whether the result is in the report, and no file was written."""
    return isinstance(outcome, RenderReport) and outcome.body is not None


def _longest(orders: list[Order]) -> Order:
    """The one that waits longest."""
    return max(orders, key=lambda order: order.deadline.at)


def _told(outcomes: Sequence[RenderReport | ProxyError]) -> SourceInfo | None:
    """The header, if one of the reports tells it."""
    return next((one.header for one in outcomes if isinstance(one, RenderReport) and one.header is not None), None)

"""The half of the story where pixels are made: admit → inspect → render.

Two gates stand before a worker. The first has a slot for each worker; the second admits by the memory that the header
says the decoder will need, so that a few huge originals do not meet. Each waits with a bound, and refuses the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from proxy.delivery.admission import Gate
from proxy.delivery.answer import Stages
from proxy.delivery.deadline import Deadline
from proxy.delivery.failures import RecentFailures
from proxy.delivery.focal import focus_of
from proxy.delivery.learning import Learnt
from proxy.delivery.originals import Staged
from proxy.delivery.result import Result, etag_of
from proxy.delivery.staging import Staging
from proxy.errors import DeadlinePassed, OriginalTooLarge, Overloaded, ProxyError
from proxy.imaging.budget import choose_frames
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport, SourceInfo
from proxy.imaging.sizes import begin, decoded_bytes
from proxy.metrics import Metrics
from proxy.plan.operations import Size, final_size
from proxy.plan.plan import Plan

_FAIR_SHARE = 0.8
"""Of the longest time a worker may ever take: what is not done in so much of it never will be."""

Overlays = tuple[tuple[str, str], ...]
"""Keys of what is drawn on the picture, each with the path it is staged at."""


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
        self._learnt = Learnt()

    @property
    def versions(self) -> str:
        """The libraries that make the pixels: a part of every entity tag."""
        return self._workers.versions

    @property
    def idle(self) -> bool:
        """Whether a render could begin at once."""
        gate = self._render_gate.statistics
        return gate.inside < gate.limit and not gate.waiting

    def refuse_when_full(self) -> None:
        """Raise Overloaded if `make` would: before an original is fetched for nothing."""
        self._render_gate.refuse_when_full()

    async def make(self, plan: Plan, staged: Staged, overlays: Overlays, deadline: Deadline, stages: Stages) -> Result:
        """Render `plan` from its staged original; every ProxyError of gates and workers may come out."""
        since = time.perf_counter()
        async with self._render_gate.slot(deadline):
            stages.add("queue", since)
            header = await self._inspect(plan, staged, deadline, stages)
            needed = header.estimated_bytes + pixel_bytes(plan, header, self._limits)
            if needed > self._memory_gate.statistics.limit:
                raise OriginalTooLarge("decoding the original needs more memory than this server allows")
            async with self._memory_gate.slot(deadline, weight=needed):
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
            notes=report.notes,
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
        try:
            with self._timed(plan, deadline) as seconds:
                job = RenderJob(
                    str(staged.path),
                    str(path),
                    plan.operations,
                    plan.output,
                    self._limits,
                    overlays,
                    seconds,
                    focus_of(staged.info),
                    starts=self._learnt.starts(plan),
                )
                report = await self._workers.run(job, timeout=seconds)
                self._learnt.learn(plan, report.found)
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


def pixel_bytes(plan: Plan, header: SourceInfo, limits: RenderLimits) -> int:
    """Memory that pixels need: decoded at once, and four bytes for each of each frame of the finished picture."""
    size = Size(header.width, header.height)
    try:
        decoded = decoded_bytes(header, begin(plan.operations, header).target)
        pixels = final_size(plan.operations, size.turned() if header.orientation > 4 else size).pixels
        frames = choose_frames(header, plan.operations, plan.output, limits)
    except ProxyError:
        return 0  # an operation that does not fit this picture, or a picture that is too much: the worker says so
    return decoded + 4 * pixels * len(frames.kept)

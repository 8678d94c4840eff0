"""All of delivery over fakes, wired as `proxy/services.py` wires it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from proxy.delivery.admission import Gate
from proxy.delivery.answer import Answer
from proxy.delivery.deadline import Deadline
from proxy.delivery.failures import RecentFailures
from proxy.delivery.freshness import Freshness
from proxy.delivery.making import Maker
from proxy.delivery.marks import Marks
from proxy.delivery.memory import MemoryCache
from proxy.delivery.originals import Originals
from proxy.delivery.purge import Purger
from proxy.delivery.render import Renderer
from proxy.delivery.result import Result, result_name
from proxy.delivery.results import Results
from proxy.delivery.staging import Staging
from proxy.delivery.turns import Turns
from proxy.fleet.base import Alone, Fleet
from proxy.imaging.job import RenderLimits
from proxy.metrics import Metrics
from proxy.plan.operations import Resize
from proxy.plan.output import Output, Target
from proxy.plan.plan import Plan
from tests.fakes import FakeWorkers, MemoryStore, StillClock

WINDOW = 60.0
NEGATIVE_TTL = 10.0


def plan_of(key: str = "a.jpg", *, width: int = 50, target: Target = Target.JPEG) -> Plan:
    return Plan(key, (Resize(width),), Output(target))


@dataclass(frozen=True)
class Has:
    """The conditions of a client: the entity tag it has, if any."""

    etag: str | None = None

    @property
    def present(self) -> bool:
        return self.etag is not None

    def is_current(self, etag: str, modified: float) -> bool:
        return self.etag == etag


NOTHING = Has()


@dataclass
class Kitchen:
    """The parts, and what tests do with them. Settings are fields: change them before entering."""

    directory: Path
    with_store: bool = True
    deadline: float = 5.0
    render_timeout: float = 4.0
    fetch_slots: int = 4
    render_slots: int = 2
    render_queue: int = 600
    queue_wait: float = 3.0
    memory_budget: int = 10_000
    staging_bytes: int = 100_000
    max_bytes: int = 20_000
    cache_bytes: int = 1_000_000
    cache_entry_bytes: int = 100_000
    save_bytes: int = 1_000_000
    source: MemoryStore = field(default_factory=MemoryStore)
    store: MemoryStore = field(default_factory=MemoryStore)
    workers: FakeWorkers = field(default_factory=FakeWorkers)
    clock: StillClock = field(default_factory=StillClock)
    metrics: Metrics = field(default_factory=Metrics)
    fleet: Fleet = field(default_factory=Alone)

    async def __aenter__(self) -> Self:
        self.staging = Staging(self.directory, limit=self.staging_bytes)
        self.staging.start()
        self.gate = Gate("fetch", slots=self.fetch_slots, queue=600, longest_wait=self.queue_wait)
        self.render_gate = Gate(
            "render", slots=self.render_slots, queue=self.render_queue, longest_wait=self.queue_wait
        )
        self.memory_gate = Gate(
            "decode", slots=self.memory_budget, queue=self.render_slots, longest_wait=self.queue_wait
        )
        self.memory: MemoryCache[Result] = MemoryCache(limit=self.cache_bytes, entry_limit=self.cache_entry_bytes)
        self.results = Results(
            self.store if self.with_store else None,
            self.memory,
            save_slots=2,
            save_bytes=self.save_bytes,
            read_timeout=1.0,
            metrics=self.metrics,
        )
        self.gone: list[str] = []
        self.freshness = Freshness(
            self.source,
            window=WINDOW,
            negative_ttl=NEGATIVE_TTL,
            metrics=self.metrics,
            on_gone=self._on_gone,
            fleet=self.fleet,
            clock=self.clock,
        )
        self.originals = Originals(
            self.source,
            self.staging,
            self.gate,
            self.freshness,
            max_bytes=self.max_bytes,
            fetch_timeout=self.queue_wait,
            queue_wait=self.queue_wait,
            metrics=self.metrics,
        )
        self.failures = RecentFailures(lifetime=NEGATIVE_TTL, clock=self.clock)
        self.renderer = Renderer(
            results=self.results,
            originals=self.originals,
            freshness=self.freshness,
            maker=Maker(
                workers=self.workers,
                render_gate=self.render_gate,
                memory_gate=self.memory_gate,
                staging=self.staging,
                limits=RenderLimits(),
                deadline=self.deadline,
                render_timeout=self.render_timeout,
                failures=self.failures,
                metrics=self.metrics,
            ),
            deadline=self.deadline,
            freshness_window=WINDOW,
            failures=self.failures,
            metrics=self.metrics,
            turns=Turns(
                self.fleet,
                self.results,
                self.freshness,
                self.failures,
                window=WINDOW,
                idle=lambda: self.renderer._maker.idle,
                metrics=self.metrics,
            ),
            marks=Marks(self.originals, self.freshness, hosts=frozenset({"img.example.com"})),
        )
        self.purger = Purger(self.results, self.originals, self.freshness, self.failures, self.fleet)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.renderer.close()
        await self.originals.close()
        await self.freshness.close()
        await self.results.drain(1.0)
        assert self.staging.statistics.used_bytes == 0, "bytes of the staging directory were leaked"
        assert self.files() == [], "files in the staging directory were leaked"
        self.staging.close()

    def files(self) -> list[str]:
        """What lies in the staging directory."""
        return [path.name for path in self.directory.glob("*/*") if path.name != ".lock"]

    async def answer(self, plan: Plan | None = None, conditions: Has = NOTHING, *, deadline: float = 5.0) -> Answer:
        return await self.renderer.answer(plan or plan_of(), Deadline.after(deadline), conditions)

    async def serve(self, plan: Plan | None = None) -> bytes:
        """The body of the answer."""
        result = (await self.answer(plan)).result
        assert result is not None
        return result.body

    async def settle(self) -> None:
        """Wait until what was made is saved."""
        await self.results.drain(1.0)

    def age(self, plan: Plan, seconds: float) -> None:
        """Make the stored result look as if its original had been fetched so long ago."""
        held = self.store.objects[result_name(plan)]
        metadata = dict(held.info.metadata)
        metadata["seen"] = repr(float(metadata["seen"]) - seconds)
        object.__setattr__(held.info, "metadata", metadata)

    async def _on_gone(self, key: str) -> None:
        self.gone.append(key)
        await self.results.purge_key(key)

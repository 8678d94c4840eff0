"""Stand-ins for what delivery talks to: real classes with counters and gates, so that nothing is patched."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from proxy.errors import OriginalNotFound, OriginUnavailable, ProxyError, RangeRefused, RenderCrashed
from proxy.imaging.job import NotAdmitted, RenderJob, RenderReport, SourceInfo, lent_path
from proxy.plan.output import Format
from proxy.stores.base import ByteRange, ObjectBody, ObjectInfo

if TYPE_CHECKING:
    from _typeshed import HasFileno

CHUNK = 1000


class StillClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Barrier:
    """Something to be held up at: open at first; counts who has arrived."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._arrivals = asyncio.Condition()
        self.arrived = 0

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def passing(self) -> None:
        async with self._arrivals:
            self.arrived += 1
            self._arrivals.notify_all()
        await self._open.wait()

    async def reached(self, count: int = 1) -> None:
        """Return as soon as so many have arrived in all."""
        async with self._arrivals:
            await self._arrivals.wait_for(lambda: self.arrived >= count)


@dataclass(frozen=True, slots=True)
class Held:
    """An object in a MemoryStore."""

    body: bytes
    info: ObjectInfo


class LentBytes:
    """A file that was lent."""

    def __init__(self, body: bytes) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 -- `close` does it
        self._file.write(body)
        self._file.flush()
        self.is_intact = True

    def fileno(self) -> int:
        return self._file.fileno()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def close(self) -> None:
        assert not self.closed
        self._file.close()


class MemoryStore:
    """A store in a dict, which can lend files (`lends`). Calls are counted in `calls`; each verb can be held up at its barrier, or made to fail."""

    def __init__(self) -> None:
        self.objects: dict[str, Held] = {}
        self.calls: Counter[str] = Counter()
        self.failing: dict[str, ProxyError] = {}
        self.barriers: dict[str, Barrier] = {
            verb: Barrier() for verb in ("stat", "open", "read", "leave", "put", "delete", "list")
        }
        self.lends = False
        self.lent: list[LentBytes] = []
        self._revision = 0

    def add(self, key: str, body: bytes, *, version: str | None = None) -> None:
        """Put an object there without anybody calling."""
        self._revision += 1
        version = f"v{self._revision}" if version is None else version
        self.objects[key] = Held(body, ObjectInfo(key, len(body), version, 1_700_000_000.0 + self._revision))

    def declare(self, key: str, *, size: int) -> None:
        """Tell another size than the body has."""
        held = self.objects[key]
        self.objects[key] = replace(held, info=replace(held.info, size=size))

    def fail(self, *verbs: str, error: ProxyError | None = None) -> None:
        for verb in verbs:
            self.failing[verb] = error or OriginUnavailable("the bucket is down")

    def recover(self) -> None:
        self.failing.clear()

    async def stat(self, key: str) -> ObjectInfo:
        held = self._find(key)  # what it is when asked, however long the answer takes
        await self._call("stat")
        return self._found(key, held).info

    @asynccontextmanager
    async def open(self, key: str, *, span: ByteRange | None = None) -> AsyncIterator[ObjectBody]:
        held = self._find(key)
        await self._call("open")
        held = self._found(key, held)
        body = held.body
        if span is not None:
            if span.first >= len(body):
                raise RangeRefused("beyond the end", len(body))
            body = body[span.first : span.last + 1]
        yield ObjectBody(held.info, self._chunks(body), lend=partial(self._lend, body) if self.lends else None)
        await self.barriers["leave"].passing()

    async def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str]) -> None:
        await self._call("put")
        self.add(key, body)
        held = self.objects[key]
        self.objects[key] = replace(held, info=replace(held.info, content_type=content_type, metadata=dict(metadata)))

    async def delete(self, key: str) -> None:
        await self._call("delete")
        self.objects.pop(key, None)

    async def list(self, prefix: str) -> AsyncIterator[str]:
        await self._call("list")
        for key in [key for key in self.objects if key.startswith(prefix)]:
            yield key

    def _lend(self, body: bytes) -> LentBytes:
        self.lent.append(LentBytes(body))
        return self.lent[-1]

    def _find(self, key: str) -> Held | None:
        return self.objects.get(key)

    def _found(self, key: str, held: Held | None) -> Held:
        if held is None:
            raise OriginalNotFound(f"there is no {key!r}")
        return held

    async def _call(self, verb: str) -> None:
        self.calls[verb] += 1
        await self.barriers[verb].passing()
        if verb in self.failing:
            raise self.failing[verb]

    async def _chunks(self, body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), CHUNK):
            await self.barriers["read"].passing()
            yield body[start : start + CHUNK]


@dataclass
class FakeWorkers:
    """Render workers that copy: the result is the job's canonical operations and the original's bytes."""

    versions: str = "fake 1"
    estimated_bytes: int = 1000
    inspected: int = 0
    rendered: int = 0
    running: int = 0
    most_running: int = 0
    format: Format = Format.JPEG
    inspect_failure: ProxyError | None = None
    failure: ProxyError | None = None
    together: list[int] = field(default_factory=list)
    """How many were rendered together, each time."""
    timeouts: list[float] = field(default_factory=list)
    jobs: list[RenderJob] = field(default_factory=list)
    inspect_barrier: Barrier = field(default_factory=Barrier)
    barrier: Barrier = field(default_factory=Barrier)

    async def inspect(self, path: str, *, timeout: float, lent: Sequence[HasFileno] = ()) -> SourceInfo:
        self.timeouts.append(timeout)
        return await self.header_of(path, lent)

    async def header_of(self, path: str, lent: Sequence[HasFileno] = ()) -> SourceInfo:
        self.inspected += 1
        await self.inspect_barrier.passing()
        if self.inspect_failure is not None:
            raise self.inspect_failure
        assert _read(path, lent)
        return SourceInfo(Format.JPEG, 10, 10, 1, 3, has_alpha=False, orientation=1, interlaced=False, estimated_bytes=self.estimated_bytes)  # fmt: skip

    async def run(self, job: RenderJob, *, timeout: float, lent: Sequence[HasFileno] = ()) -> RenderReport:
        self.timeouts.append(timeout)
        header = await self._look((job,), lent)
        self.rendered += 1
        self.jobs.append(job)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.barrier.passing()
        finally:
            self.running -= 1
        if self.failure is not None:
            raise self.failure
        body = b"rendered " + _read(job.path, lent)
        for _, overlay in job.overlays:
            body += b" with " + _read(overlay, lent)
        Path(job.result_path).write_bytes(body)
        return RenderReport(self.format, len(body), 10, 10, 1, 0.001, 0.001, 1000, header=header)

    async def _look(self, jobs: tuple[RenderJob, ...], lent: Sequence[HasFileno]) -> SourceInfo:
        if (known := jobs[0].header) is not None:
            return known
        header = await self.header_of(jobs[0].path, lent)
        if (len(jobs) > 1 and header.frames > 1) or header.estimated_bytes > jobs[0].allowance:
            raise NotAdmitted(header)
        return header

    async def run_together(
        self, jobs: tuple[RenderJob, ...], *, timeout: float, lent: Sequence[HasFileno] = ()
    ) -> tuple[RenderReport | ProxyError, ...]:
        header = await self._look(jobs, lent)
        jobs = tuple(replace(job, header=header) for job in jobs)
        self.together.append(len(jobs))
        outcomes: list[RenderReport | ProxyError] = []
        for job in jobs:
            try:
                outcomes.append(await self.run(job, timeout=timeout, lent=lent))
            except RenderCrashed:
                raise
            except ProxyError as error:
                outcomes.append(error)
        return tuple(outcomes)


def _read(path: str, lent: Sequence[HasFileno]) -> bytes:
    """An original, from its path or from the file that goes by it."""
    for number, file in enumerate(lent):
        if path == lent_path(number):
            return os.pread(file.fileno(), 1 << 20, 0)
    return Path(path).read_bytes()

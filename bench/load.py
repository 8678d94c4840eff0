"""The load generator, in a process of its own: closed loop, and constant rate without coordinated omission.

Closed loop: N connections, each asking again as soon as it has its answer. It measures throughput; its latencies flatter
a server that stalls, because the stalled connections ask nothing meanwhile.
Constant rate: each request has an intended time and is sent then, whatever became of the others. Latency counts from the
intended time, so that a stall is charged to every request that was due during it.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import uvloop

from bench.client import Pool, Reply
from bench.figures import percentile
from bench.timetable import Timetable
from bench.workload import Request

_NICENESS = -10


class Sample(NamedTuple):
    """One answered request; times in seconds since the run began."""

    kind: str
    status: int
    due: float
    """When it was meant to be sent; in a closed loop, when it was sent."""
    seconds: float
    """From `due` to the last byte of the answer."""
    size: int
    retry_after: bool
    late: float
    """How long after `due` the generator really sent it."""


@dataclass(frozen=True)
class Run:
    """What came of a load."""

    samples: list[Sample]
    seconds: float
    generator_cpu: float
    """CPU seconds of the generator: near `seconds`, it was the generator that was measured."""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.samples) / self.seconds

    def of(self, kind: str, status: int | None = None) -> list[Sample]:
        """The samples of a kind, and of a status."""
        return [one for one in self.samples if one.kind == kind and status in (None, one.status)]

    @property
    def statuses(self) -> Counter[int]:
        """How many answers had which status."""
        return Counter(one.status for one in self.samples)


def milliseconds(samples: Iterable[Sample], share: float) -> float:
    """A percentile of the latencies, in milliseconds."""
    return percentile([one.seconds for one in samples], share) * 1000


class Generator:
    """The process that sends. A context manager; `cpu` pins it to one processor."""

    def __init__(self, *, cpu: int | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._process = ProcessPoolExecutor(1, mp_context=context, initializer=_settle, initargs=(cpu,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown(cancel_futures=True)

    def closed(self, url: str, requests: Sequence[Request], connections: int, *, seconds: float | None = None) -> Run:
        """Send each request once, or all of them over and over for so many seconds."""
        return self._process.submit(_closed, url, requests, connections, seconds).result()

    def constant(self, url: str, arrivals: Sequence[tuple[float, Request]]) -> Run:
        """Send each request at its time."""
        return self._process.submit(_constant, url, sorted(arrivals, key=lambda one: one[0])).result()

    def herd(self, url: str, request: Request, connections: int) -> Run:
        """Open so many connections first, then send the same request on all of them at once."""
        return self._process.submit(_herd, url, request, connections).result()


def _settle(cpu: int | None) -> None:
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    with suppress(PermissionError):
        # A client has its own machine in real life: waiting for a processor here must not count as the server's delay.
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


class _Recorder:
    """Writes down what comes back, and when."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._cpu = time.process_time()
        self._began = time.perf_counter()

    def restart(self) -> None:
        """Begin counting now."""
        self._cpu, self._began = time.process_time(), time.perf_counter()

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self._began

    def note(self, request: Request, due: float, sent: float, reply: Reply) -> None:
        """Write down what has just come back."""
        seconds, late = self.elapsed - due, sent - due
        self.samples.append(Sample(request.kind, reply.status, due, seconds, reply.size, reply.retry_after, late))

    def finish(self) -> Run:
        if self.samples and not any(one.status for one in self.samples):
            raise ConnectionError("not one request was answered: there is nothing to measure")
        return Run(self.samples, self.elapsed, time.process_time() - self._cpu)


async def _ask(pool: Pool, recorder: _Recorder, request: Request, due: float) -> None:
    sent = recorder.elapsed
    recorder.note(request, due, sent, await pool.ask(request))


def _closed(url: str, requests: Sequence[Request], connections: int, seconds: float | None) -> Run:
    async def connection(pool: Pool, recorder: _Recorder, source: Iterator[Request]) -> None:
        for request in source:
            if seconds is not None and recorder.elapsed >= seconds:
                return
            await _ask(pool, recorder, request, recorder.elapsed)

    async def run() -> Run:
        recorder, pool = _Recorder(), Pool(*_address(url))
        await pool.open(connections)
        recorder.restart()
        source = iter(requests) if seconds is None else itertools.cycle(requests)
        await asyncio.gather(*(connection(pool, recorder, source) for _ in range(connections)))
        pool.close()
        return recorder.finish()

    return uvloop.run(run())


def _constant(url: str, arrivals: Sequence[tuple[float, Request]]) -> Run:
    recorder = _Recorder()
    table = Timetable(*_address(url), recorder.note)
    recorder.restart()
    table.run(arrivals, lambda: recorder.elapsed)
    return recorder.finish()


def _herd(url: str, request: Request, connections: int) -> Run:
    async def run() -> Run:
        recorder, pool = _Recorder(), Pool(*_address(url))
        await pool.open(connections)
        recorder.restart()
        await asyncio.gather(*(_ask(pool, recorder, request, 0.0) for _ in range(connections)))
        pool.close()
        return recorder.finish()

    return uvloop.run(run())

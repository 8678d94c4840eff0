"""Stop asking a store that does not answer: refusing at once costs nobody a time-out, and lets the store recover.

    closed ── 10 calls in 10 s, half of them failed ──> open ── about 5 s ──> half-open ── probe works ──> closed
                                                         ^                        │
                                                         └────── probe fails ─────┘

The rules:

1. Only outages count as failures: OriginUnavailable and DeadlinePassed. That an object is missing, refused
   (OriginRefused), too large or no image says that the store is well.
2. A cancelled call says nothing. A cancelled probe makes room for the next one: nothing else would ever end it.
3. A call that began before the breaker opened, and ends after, is history: it neither closes nor opens it again.
4. Half-open lets exactly one call through. Whoever comes meanwhile is refused like before.
5. A call ends when the store has answered, not when the consumer has read all: one slow client as the probe would keep
   everybody else out. A body or listing that breaks off later counts as one more call, which failed.
6. What a store knows at once (`glances.py`) passes in every state and counts for nothing: memory says nothing about the
   disk. Hits that are cached go on while the disk stalls, and do not hide from the count that it does.
7. Readiness must not depend on this: all replicas would leave at once.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from enum import StrEnum
from typing import TypeVar

from proxy.errors import DeadlinePassed, OriginRefused, OriginUnavailable, ProxyError
from proxy.stores.base import ByteRange, ObjectBody, ObjectInfo, Source, Store
from proxy.stores.glances import Lacks, glance_of, lacks_of

T = TypeVar("T")

WINDOW = 10
"""Seconds over which calls are counted."""
LEAST_CALLS = 10
FAILED_SHARE = 0.5
REST = 5.0
"""Seconds for which calls are refused, varied by a fifth so that replicas do not probe in step."""


class State(StrEnum):
    """What a breaker does with calls."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """One store's breaker. All its changes are synchronous."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._chance = chance
        # Mutable state: [second, calls, failures] of each second in the window; until when calls are refused (None:
        # closed); whether the probe is under way; and how often it has opened or closed, so that a call can tell on its
        # return whether it belongs to the past.
        self._seconds: deque[list[int]] = deque()
        self._rests_until: float | None = None
        self._probing = False
        self._generation = 0

    @property
    def state(self) -> State:
        """The state now, for metrics."""
        if self._rests_until is None:
            return State.CLOSED
        return State.OPEN if self._clock() < self._rests_until else State.HALF_OPEN

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Let one call through and learn from its end, or refuse it at once."""
        probe, generation = self._enter(), self._generation
        try:
            yield
        except (OriginUnavailable, DeadlinePassed) as error:
            self._leave(generation, probe=probe, failed=not isinstance(error, OriginRefused))
            raise
        except ProxyError:
            self._leave(generation, probe=probe, failed=False)
            raise
        except BaseException:
            if probe:
                self._probing = False
            raise
        self._leave(generation, probe=probe, failed=False)

    @property
    def generation(self) -> int:
        """Which stretch between opening and closing this is."""
        return self._generation

    def fail_later(self, generation: int) -> None:
        """Note that what a call had opened, in the given generation, broke off while it was read."""
        self._leave(generation, probe=False, failed=True)

    def _enter(self) -> bool:
        """Whether the call that begins is the probe."""
        state = self.state
        if state is State.CLOSED:
            return False
        if state is State.OPEN or self._probing:
            raise OriginUnavailable("the bucket does not answer; trying again soon")
        self._probing = True
        return True

    def _leave(self, generation: int, *, probe: bool, failed: bool) -> None:
        if generation != self._generation:
            return
        if probe:
            self._probing = False
            self._set(self._rest() if failed else None)
        elif self._rests_until is None and self._count(failed=failed):
            self._set(self._rest())

    def _count(self, *, failed: bool) -> bool:
        """Note how a call ended; whether there are now too many failures."""
        second = int(self._clock())
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        while self._seconds[0][0] <= second - WINDOW:
            self._seconds.popleft()
        self._seconds[-1][1] += 1
        self._seconds[-1][2] += failed
        if not failed:
            return False
        calls, failures = (sum(second[index] for second in self._seconds) for index in (1, 2))
        return calls >= LEAST_CALLS and failures >= FAILED_SHARE * calls

    def _set(self, rests_until: float | None) -> None:
        self._rests_until = rests_until
        self._generation += 1
        self._seconds.clear()

    def _rest(self) -> float:
        return self._clock() + REST * (0.8 + 0.4 * self._chance())


class GuardedSource:
    """A source behind a breaker."""

    def __init__(self, source: Source, breaker: Breaker | None = None) -> None:
        self._source = source
        # What is known at once passes as it is, whatever the state.
        self.glance = glance_of(source)
        self._lacks = lacks_of(source)
        self.lacks: Lacks | None = self._ask_lacking if self._lacks else None
        self._breaker = breaker or Breaker()

    @property
    def state(self) -> State:
        """The breaker's state, for metrics."""
        return self._breaker.state

    async def stat(self, key: str) -> ObjectInfo:
        """As the source does."""
        with self._breaker.guard():
            return await self._source.stat(key)

    async def _ask_lacking(self, key: str) -> bool:
        """As the source does."""
        assert self._lacks is not None
        with self._breaker.guard():
            return await self._lacks(key)

    @asynccontextmanager
    async def open(self, key: str, *, span: ByteRange | None = None) -> AsyncIterator[ObjectBody]:
        """As the source does."""
        async with AsyncExitStack() as stack:
            with self._breaker.guard():
                opened = await stack.enter_async_context(self._source.open(key, span=span))
            generation, copy_to = self._breaker.generation, opened.copy_to

            async def copy(file: int) -> None:
                assert copy_to is not None
                with self._watching(generation):
                    await copy_to(file)

            watched = self._watched(opened.chunks, generation)
            # What is lent lies in memory: it says nothing about the store (rule 6).
            yield ObjectBody(opened.info, watched, copy if copy_to else None, opened.lend)

    async def _watched(self, items: AsyncIterator[T], generation: int) -> AsyncIterator[T]:
        with self._watching(generation):
            async for item in items:
                yield item

    @contextmanager
    def _watching(self, generation: int) -> Iterator[None]:
        try:
            yield
        except OriginRefused:
            raise
        except (OriginUnavailable, DeadlinePassed):
            self._breaker.fail_later(generation)
            raise


class GuardedStore(GuardedSource):
    """A store behind two breakers: a full disk, or a bucket that cannot be written to, must not stop reading."""

    def __init__(self, store: Store, breaker: Breaker | None = None, *, writing: Breaker | None = None) -> None:
        super().__init__(store, breaker)
        self._store = store
        self._writing = writing or Breaker()

    @property
    def writing_state(self) -> State:
        """The state of the breaker for `put` and `delete`, for metrics."""
        return self._writing.state

    async def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str]) -> None:
        """As the store does."""
        with self._writing.guard():
            await self._store.put(key, body, content_type=content_type, metadata=metadata)

    async def delete(self, key: str) -> None:
        """As the store does."""
        with self._writing.guard():
            await self._store.delete(key)

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """As the store does."""
        keys = self._store.list(prefix)
        with self._breaker.guard():
            first = await anext(keys, None)
        if first is not None:
            yield first
            async for key in self._watched(keys, self._breaker.generation):
                yield key

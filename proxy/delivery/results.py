"""Find results, keep them, save them, and purge them.

Results are a cache: losing one, writing one twice or failing to write one costs work, never an answer. So a store that
fails is a miss here, and a save that fails is counted and dropped. What is being saved can already be found.

What the store knows at once is taken on the spot. Otherwise each name is read once and saved once at a time: a crowd
costs the store one read, and the save of an older result never lands after that of a newer one.
"""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from proxy import logs
from proxy.delivery.deadline import Deadline
from proxy.delivery.memory import MemoryCache
from proxy.delivery.recent import RecentResults
from proxy.delivery.result import KEPT_OF_KEY, Result, result_base, result_name
from proxy.delivery.singleflight import SingleFlight
from proxy.errors import OriginalNotFound, ProxyError
from proxy.fleet.base import Standing, Turn, no_turn
from proxy.metrics import Metrics
from proxy.plan.plan import STEM, Plan
from proxy.stores.base import ObjectInfo, Store
from proxy.stores.glances import Glimpse, glance_of, lacks_of

_log = logs.get("results")

_TAIL = re.compile(r"!([a-z2-7]{16})\.[a-z0-9]+\Z")
"""What follows the key in a result's name."""
_OVERHEAD = 500
"""Bytes that a result in memory costs beside its body."""


class Where(StrEnum):
    """Where a result was found."""

    MEMORY = "memory"
    PENDING = "pending"
    STORE = "store"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Found:
    """A result and where it was."""

    result: Result
    where: Where


class Stored:
    """A result that was found in the store, without its bytes: to recognise it there."""

    def __init__(self, result: Result) -> None:
        self.outline = result.outline()
        # Mutable state: what the store said with it, and the checksum of the bytes, once they were read again.
        self._said: tuple[str | None, Mapping[str, str]] | None = None
        self._sum = (0, 0)

    def is_in(self, glimpse: Glimpse, plan: Plan) -> bool:
        """Whether it is this very result, whole."""
        said = (glimpse.info.content_type, glimpse.info.metadata)
        found = (len(glimpse.body), zlib.crc32(glimpse.body))
        if said == self._said:
            return found == self._sum
        result = Result.restore(plan, glimpse.body, *said)
        if result is None or result.outline() != self.outline:
            return False
        self._said, self._sum = said, found
        return True


@dataclass(frozen=True, slots=True)
class SaveStatistics:
    """What waits to be saved."""

    pending: int
    pending_bytes: int
    limit_bytes: int


class Results:
    """The results of this deployment: memory first, then what is being saved, then the store, if there is one."""

    def __init__(
        self,
        store: Store | None,
        memory: MemoryCache[Result],
        *,
        save_slots: int,
        save_bytes: int,
        read_timeout: float,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._glance = None if store is None else glance_of(store)
        self._lacks = None if store is None else lacks_of(store)
        self._memory = memory
        self._save_bytes = save_bytes
        self._read_timeout = read_timeout
        self._metrics = metrics
        self._held = metrics.found.labels(Where.MEMORY.value)
        self._nowhere = metrics.found.labels(Where.NOWHERE.value)
        self._read_again = metrics.found.labels(Where.STORE.value)
        self._slots = asyncio.Semaphore(save_slots)
        # Mutable state: what is being saved and the latest task that does it, by name; every such task; the reads of
        # the store under way; how often a purge began or ended.
        self._pending: dict[str, Result] = {}
        self._pending_bytes = 0
        self._saving: dict[str, asyncio.Task[None]] = {}
        self._saves: set[asyncio.Task[None]] = set()
        self._reads: SingleFlight[Result | None] = SingleFlight()
        self._purges = 0
        self._recent = RecentResults()

    @property
    def shared(self) -> bool:
        """Whether other replicas can find what is saved here."""
        return self._store is not None

    @property
    def statistics(self) -> SaveStatistics:
        """A snapshot for metrics."""
        return SaveStatistics(len(self._pending), self._pending_bytes, self._save_bytes)

    async def find(self, plan: Plan, deadline: Deadline) -> Found | None:
        """The stored result of `plan`, with one read of the store at most; None when there is no whole one."""
        name = result_name(plan)
        result = self._memory.get(name)
        if result is not None:
            return self._found(result, Where.MEMORY)
        result = self._pending.get(name)
        if result is not None:
            return self._found(result, Where.PENDING)
        result = await self._read(plan, name, deadline)
        # While the store was read, a newer one may have been rendered here.
        newer = self.recall(plan)
        if newer is not None and newer is not result:
            return self._found(newer, Where.MEMORY)
        if result is None:
            self._nowhere.inc()
            return None
        return self._found(result, Where.STORE)

    def holds(self, plan: Plan, result: Result) -> bool:
        """Whether `find` would find this very result in memory; it counts as found then."""
        if self._memory.get(result_name(plan)) is not result:
            return False
        self._held.inc()
        return True

    def is_only_stored(self, plan: Plan) -> bool:
        """Whether the next `find` would read the store, though this one has: memory is off, or the result too large."""
        return self.recall(plan) is None

    def find_again(self, plan: Plan, stored: Stored) -> bytes | None:
        """The bytes of a stored result, if the store knows at once that they are still those; None: `find` it."""
        if self._glance is None or not self.is_only_stored(plan):
            return None
        try:
            glimpse = self._glance(result_name(plan))
        except OriginalNotFound:
            return None
        if glimpse is None or not stored.is_in(glimpse, plan):
            return None
        self._read_again.inc()
        return glimpse.body

    def is_absent_now(self, plan: Plan) -> bool | None:
        """Whether `find` would surely find nothing, which is not counted; None: `is_absent` may tell."""
        name = result_name(plan)
        if self._recall(name) is not None:
            return False
        if self._glance is None:
            return True
        try:
            seen = self._glance(name) is not None
        except OriginalNotFound:
            return True
        return False if seen or self._lacks is None else None

    async def is_absent(self, plan: Plan, deadline: Deadline) -> bool:
        """Whether `find` would surely find nothing, by a cheap look, which is not counted."""
        name = result_name(plan)
        if self._lacks is None:
            return False
        try:
            async with deadline.bound("results' store", at_most=self._patience(deadline)):
                lacking = await self._lacks(name)
        except ProxyError:
            return False
        return lacking and self._recall(name) is None  # it may have been rendered meanwhile

    def count_absent(self) -> None:
        """Count a look by these two as one that found nothing: there will be no `find`."""
        self._nowhere.inc()

    def _patience(self, deadline: Deadline) -> float:
        """A dead store may cost a part of the deadline, never all of it: there must be time left to render."""
        return min(self._read_timeout, deadline.remaining / 3)

    def recall(self, plan: Plan) -> Result | None:
        """The result, if it was made or found by this process a moment ago; no read of the store.

        A look-up that began before a render ended may come back empty after it: this tells before rendering again.
        """
        return self._recall(result_name(plan))

    def _recall(self, name: str) -> Result | None:
        return self._memory.get(name) or self._pending.get(name) or self._recent.get(name)

    async def keep(self, plan: Plan, result: Result, turn: Turn | None = None) -> None:
        """Keep a new result in memory and save it to the store without anybody waiting; the turn ends with that."""
        name = result_name(plan)
        turn = turn or no_turn()
        await self._remember(name, result)
        self._recent.hold(name, result)
        if self._store is None:
            return
        if self._pending_bytes + len(result.body) > self._save_bytes:
            self._metrics.saves.labels("dropped").inc()
            turn.end(Standing.UNSAVED)
            return
        self._pending_bytes += len(result.body)
        self._pending[name] = result
        task = asyncio.create_task(self._save(self._store, plan, result, turn, after=self._saving.get(name)))
        self._saving[name] = task
        self._saves.add(task)
        task.add_done_callback(lambda task: self._end_save(name, result, turn, task))

    async def purge_key(self, key: str, *, elsewhere: bool = False) -> int:
        """Delete every result of the original `key`; returns how many there were in the store.

        `elsewhere`: another replica deletes them there; only what is held here is forgotten.
        """
        base = result_base(key)
        return await self._purge(f"{base}!", lambda name: _key_part(name) == base, elsewhere=elsewhere)

    async def purge_prefix(self, prefix: str, *, elsewhere: bool = False) -> int:
        """Delete every result of every original whose key begins with `prefix`."""
        # Names keep so much of a long key. Beyond that, more than was asked for may go: it can be rendered again.
        kept = prefix.encode()[:KEPT_OF_KEY].decode(errors="ignore")
        return await self._purge(kept, lambda name: (_key_part(name) or "").startswith(kept), elsewhere=elsewhere)

    async def purge_fingerprints(self, fingerprints: Iterable[str], *, elsewhere: bool = False) -> int:
        """Delete every result of these plans, whatever the original and whatever the versions of their overlays."""
        wanted = frozenset(fingerprint[:STEM] for fingerprint in fingerprints)
        return await self._purge("", lambda name: (_fingerprint_part(name) or "")[:STEM] in wanted, elsewhere=elsewhere)

    async def forget(self, plan: Plan, result: Result) -> None:
        """Drop this result from memory: it belongs to another version of its original."""
        name = result_name(plan)
        self._recent.drop(name, result)
        if self._memory.get(name) is result:
            await self._memory.delete(name)

    async def drain(self, seconds: float) -> int:
        """Wait for pending saves; what is not done in time is cancelled. Returns how many that were."""
        await self._reads.close()
        if not self._saves:
            return 0
        _, late = await asyncio.wait(self._saves, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(late)

    def _found(self, result: Result, where: Where) -> Found:
        self._metrics.found.labels(where.value).inc()
        return Found(result, where)

    async def _remember(self, name: str, result: Result) -> None:
        await self._memory.put(name, result, len(result.body) + _OVERHEAD)

    async def _read(self, plan: Plan, name: str, deadline: Deadline) -> Result | None:
        """Read the store together with everybody else; a store that fails or is slow has nothing."""
        store, glance = self._store, self._glance
        if store is None or glance is None:
            return None
        try:
            glimpse = glance(name)
        except OriginalNotFound:
            return None
        if glimpse is not None:
            return await self._restore(plan, name, glimpse.info, glimpse.body, self._purges)
        try:
            async with deadline.bound("results' store", at_most=self._patience(deadline)):
                if self._lacks is not None and await self._lacks(name):
                    return None
                return await self._reads.run(name, lambda: self._read_store(store, plan, name))
        except ProxyError as error:
            _log.warning("result_unreadable", code=error.code, cause=repr(error.__cause__))
            return None

    async def _read_store(self, store: Store, plan: Plan, name: str) -> Result | None:
        purges = self._purges
        try:
            async with Deadline.after(self._read_timeout).bound("results' store"), store.open(name) as opened:
                body = b"".join([chunk async for chunk in opened.chunks])
        except OriginalNotFound:
            return None
        return await self._restore(plan, name, opened.info, body, purges)

    async def _restore(self, plan: Plan, name: str, info: ObjectInfo, body: bytes, purges: int) -> Result | None:
        """The result that was read when there had been so many `purges`; it is kept in memory."""
        result = Result.restore(plan, body, info.content_type, info.metadata)
        if result is None:
            self._metrics.found.labels("damaged").inc()
            _log.warning("result_damaged", bytes=len(body))
        elif purges == self._purges and self.recall(plan) is None:
            # Neither purged nor rendered anew since the read began.
            await self._remember(name, result)
        return result

    async def _save(
        self, store: Store, plan: Plan, result: Result, turn: Turn, *, after: asyncio.Task[None] | None
    ) -> None:
        name = result_name(plan)
        outcome = "cancelled"
        try:
            if after is not None:
                await asyncio.wait((after,))
            async with self._slots:
                await store.put(name, result.body, content_type=result.media_type, metadata=result.metadata(plan))
            outcome = "ok"
            if not await turn.saved(result.version, age=time.time() - result.seen):
                # Purged, or seen to be another, by a replica that could not know of this save.
                outcome = "outdated"
                await self.forget(plan, result)
                await store.delete(name)
        except ProxyError as error:
            outcome = error.code
            _log.warning("result_not_saved", code=error.code, cause=repr(error.__cause__))
        finally:
            self._metrics.saves.labels(outcome).inc()

    def _end_save(self, name: str, result: Result, turn: Turn, task: asyncio.Task[None]) -> None:
        # Not at the end of the task itself: one that is cancelled before it begins never gets there.
        turn.end(Standing.UNSAVED)
        self._saves.discard(task)
        self._pending_bytes -= len(result.body)
        if self._pending.get(name) is result:
            del self._pending[name]
        if self._saving.get(name) is task:
            del self._saving[name]

    async def _purge(self, prefix: str, wanted: Callable[[str], bool], *, elsewhere: bool) -> int:
        self._purges += 1
        try:
            await self._forget_where(wanted)
            # A save under way would bring back what is deleted now: let those finish first.
            saves = [task for name, task in self._saving.items() if wanted(name)]
            if saves:
                await asyncio.wait(saves)
            if self._store is None or elsewhere:
                return 0
            return await self._purge_store(self._store, prefix, wanted)
        finally:
            # What was read from the store before it was deleted there.
            self._purges += 1
            await self._forget_where(wanted)

    async def _purge_store(self, store: Store, prefix: str, wanted: Callable[[str], bool]) -> int:
        count = 0
        async for name in store.list(prefix):
            if wanted(name):
                await store.delete(name)
                self._metrics.purged.inc()
                count += 1
        return count

    async def _forget_where(self, wanted: Callable[[str], bool]) -> None:
        await self._memory.delete_where(wanted)
        self._recent.drop_where(wanted)


def _key_part(name: str) -> str | None:
    match = _TAIL.search(name)
    return name[: match.start()] if match else None


def _fingerprint_part(name: str) -> str | None:
    match = _TAIL.search(name)
    return match[1] if match else None

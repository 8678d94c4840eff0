"""Find results, keep them, save them, and purge them.

Results are a cache: losing one, writing one twice or failing to write one costs work, never an answer. So a store that
fails is a miss here, and a save that fails is counted and dropped. What is being saved can already be found.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from proxy import logs
from proxy.delivery.deadline import Deadline
from proxy.delivery.memory import MemoryCache
from proxy.delivery.result import Result, result_base, result_name
from proxy.errors import OriginalNotFound, ProxyError
from proxy.metrics import Metrics
from proxy.plan.plan import Plan
from proxy.stores.base import Store

_log = logs.get("results")

_TAIL = re.compile(r"!([a-z2-7]{16})\.[a-z0-9]+$")
"""What follows the key in a result's name."""
_RECENT_SECONDS = 2.0
"""How long a new result is held for look-ups that began before it was there."""
_RECENT_BYTES = 32 * 1024 * 1024
"""…and how many bytes of them."""
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
        self._memory = memory
        self._save_bytes = save_bytes
        self._read_timeout = read_timeout
        self._metrics = metrics
        self._slots = asyncio.Semaphore(save_slots)
        # Mutable state: what is being saved, by name, and the tasks that do it.
        self._pending: dict[str, Result] = {}
        self._pending_bytes = 0
        self._saves: set[asyncio.Task[None]] = set()
        # Results made in the last moments, whatever their size: look-ups that began before are still under way.
        self._recent: dict[str, Result] = {}

    @property
    def statistics(self) -> SaveStatistics:
        """A snapshot for metrics."""
        return SaveStatistics(len(self._pending), self._pending_bytes, self._save_bytes)

    async def find(self, plan: Plan, deadline: Deadline) -> Found | None:
        """The stored result of `plan`, with one read of the store at most; None when there is no whole one."""
        name = result_name(plan)
        result = await self._memory.get(name)
        if result is not None:
            return self._found(result, Where.MEMORY)
        result = self._pending.get(name)
        if result is not None:
            return self._found(result, Where.PENDING)
        result = await self._read(plan, name, deadline)
        if result is None:
            self._metrics.found.labels(Where.NOWHERE.value).inc()
            return None
        await self._remember(name, result)
        return self._found(result, Where.STORE)

    async def recall(self, plan: Plan) -> Result | None:
        """The result, if it was made or found by this process a moment ago; no read of the store.

        A look-up that began before a render ended may come back empty after it: this tells before rendering again.
        """
        name = result_name(plan)
        return await self._memory.get(name) or self._pending.get(name) or self._recent.get(name)

    async def keep(self, plan: Plan, result: Result) -> None:
        """Keep a new result in memory and save it to the store without anybody waiting."""
        name = result_name(plan)
        await self._remember(name, result)
        if sum(len(other.body) for other in self._recent.values()) < _RECENT_BYTES:
            self._recent[name] = result
        asyncio.get_running_loop().call_later(_RECENT_SECONDS, self._forget_recent, name, result)
        if self._store is None:
            return
        if self._pending_bytes + len(result.body) > self._save_bytes:
            self._metrics.saves.labels("dropped").inc()
            return
        self._pending_bytes += len(result.body)
        self._pending[name] = result
        task = asyncio.create_task(self._save(self._store, plan, name, result))
        self._saves.add(task)
        task.add_done_callback(self._saves.discard)

    async def purge_key(self, key: str) -> int:
        """Delete every result of the original `key`; returns how many there were in the store."""
        base = result_base(key)
        return await self._purge(f"{base}!", lambda name: _key_part(name) == base)

    async def purge_prefix(self, prefix: str) -> int:
        """Delete every result of every original whose key begins with `prefix`."""
        return await self._purge(prefix, lambda name: _key_part(name) is not None and name.startswith(prefix))

    async def purge_fingerprints(self, fingerprints: Iterable[str]) -> int:
        """Delete every result of these plans, whatever the original."""
        wanted = frozenset(fingerprints)
        return await self._purge("", lambda name: _fingerprint_part(name) in wanted)

    async def forget(self, plan: Plan) -> None:
        """Drop the result from memory: it belongs to another version of its original."""
        name = result_name(plan)
        self._recent.pop(name, None)
        await self._memory.delete(name)

    async def drain(self, seconds: float) -> int:
        """Wait for pending saves; what is not done in time is cancelled. Returns how many that were."""
        if not self._saves:
            return 0
        _, late = await asyncio.wait(self._saves, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(late)

    def _forget_recent(self, name: str, result: Result) -> None:
        if self._recent.get(name) is result:
            del self._recent[name]

    def _found(self, result: Result, where: Where) -> Found:
        self._metrics.found.labels(where.value).inc()
        return Found(result, where)

    async def _remember(self, name: str, result: Result) -> None:
        await self._memory.put(name, result, len(result.body) + _OVERHEAD)

    async def _read(self, plan: Plan, name: str, deadline: Deadline) -> Result | None:
        if self._store is None:
            return None
        try:
            # A dead store may cost a part of the deadline, never all of it: there must be time left to render.
            patience = min(self._read_timeout, deadline.remaining / 3)
            async with deadline.bound("results' store", at_most=patience), self._store.open(name) as opened:
                body = b"".join([chunk async for chunk in opened.chunks])
        except OriginalNotFound:
            return None
        except ProxyError as error:
            _log.warning("result_unreadable", code=error.code, cause=repr(error.__cause__))
            return None
        result = Result.restore(plan, body, opened.info.content_type, opened.info.metadata)
        if result is None:
            self._metrics.found.labels("damaged").inc()
            _log.warning("result_damaged", bytes=len(body))
        return result

    async def _save(self, store: Store, plan: Plan, name: str, result: Result) -> None:
        outcome = "cancelled"
        try:
            async with self._slots:
                await store.put(name, result.body, content_type=result.media_type, metadata=result.metadata(plan))
            outcome = "ok"
        except ProxyError as error:
            outcome = error.code
            _log.warning("result_not_saved", code=error.code, cause=repr(error.__cause__))
        finally:
            self._metrics.saves.labels(outcome).inc()
            self._pending_bytes -= len(result.body)
            if self._pending.get(name) is result:
                del self._pending[name]

    async def _purge(self, prefix: str, wanted: Callable[[str], bool]) -> int:
        await self._memory.delete_where(wanted)
        self._recent = {name: result for name, result in self._recent.items() if not wanted(name)}
        # A save under way would bring back what is deleted now: let those finish first.
        await asyncio.gather(*self._saves, return_exceptions=True)
        await self._memory.delete_where(wanted)
        if self._store is None:
            return 0
        names = [name async for name in self._store.list(prefix) if wanted(name)]
        for name in names:
            await self._store.delete(name)
        self._metrics.purged.inc(len(names))
        return len(names)


def _key_part(name: str) -> str | None:
    match = _TAIL.search(name)
    return name[: match.start()] if match else None


def _fingerprint_part(name: str) -> str | None:
    match = _TAIL.search(name)
    return match[1] if match else None

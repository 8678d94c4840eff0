"""What is known of each original's version, and since when.

Rules:
- Within the freshness window after an original was seen, its version counts as known and nothing is asked.
- A missing original is remembered for a short time only, so that an upload shows up at once.
- Looking again is one HEAD, shared by everybody who needs it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proxy import logs
from proxy.delivery.singleflight import SingleFlight
from proxy.errors import OriginalNotFound, ProxyError
from proxy.metrics import Metrics
from proxy.stores.base import ObjectInfo, Source

_log = logs.get("freshness")

MOST_KEYS = 100_000
"""Originals remembered; the least recently learnt are forgotten. About 300 bytes each."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was seen of one original; `version` None: it was not there."""

    version: str | None
    modified: float
    seen: float
    """On the monotonic clock."""


class Freshness:
    """The versions of originals, as far as they are known."""

    def __init__(
        self,
        source: Source,
        *,
        window: float,
        negative_ttl: float,
        metrics: Metrics,
        on_gone: Callable[[str], Awaitable[object]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._window = window
        self._negative_ttl = negative_ttl
        self._metrics = metrics
        self._on_gone = on_gone
        self._clock = clock
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._looks: SingleFlight[Known] = SingleFlight()
        self._background: set[asyncio.Task[None]] = set()

    def of(self, key: str) -> Known | None:
        """What is known and still counts as fresh; None otherwise."""
        known = self._known.get(key)
        if known is None:
            return None
        lifetime = self._negative_ttl if known.version is None else self._window
        return known if self._clock() - known.seen < lifetime else None

    def last_seen(self, key: str) -> Known | None:
        """What was last seen, however long ago."""
        return self._known.get(key)

    def learn(self, info: ObjectInfo, *, age: float = 0.0) -> Known:
        """Take note of an original that was seen `age` seconds ago."""
        return self._note(info.key, Known(info.version, info.modified, self._clock() - age))

    def learn_missing(self, key: str) -> None:
        """Take note that there is no such original."""
        self._note(key, Known(None, 0.0, self._clock()))

    def trust(self, key: str, version: str, modified: float, *, age: float) -> None:
        """Take over what a stored result says of its original, `age` seconds ago; never overrules newer knowledge."""
        known = self._known.get(key)
        seen = self._clock() - age
        if known is None or known.seen < seen:
            self._note(key, Known(version, modified, seen))

    def forget(self, key: str) -> None:
        """Know nothing of this original any more."""
        self._known.pop(key, None)

    def forget_where(self, wanted: Callable[[str], bool]) -> None:
        """Know nothing any more of the originals whose key is wanted."""
        for key in [key for key in self._known if wanted(key)]:
            del self._known[key]

    async def look(self, key: str) -> Known:
        """Ask the store now, together with everybody else who asks; OriginalNotFound when it is not there."""
        known = await self._looks.run(key, lambda: self._look(key))
        if known.version is None:
            raise OriginalNotFound(f"no original {key!r}")
        return known

    def look_later(self, key: str) -> None:
        """Ask the store without anybody waiting; one look at a time for each key."""
        if any(task.get_name() == key for task in self._background):
            return
        task = asyncio.create_task(self._look_quietly(key), name=key)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self) -> None:
        """Cancel what runs in the background."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._looks.close()

    async def _look(self, key: str) -> Known:
        before = self._known.get(key)
        try:
            info = await self._source.stat(key)
        except OriginalNotFound:
            self.learn_missing(key)
            self._metrics.revalidations.labels("gone").inc()
            if before is None or before.version is not None:
                await self._on_gone(key)
            return self._known[key]
        except ProxyError:
            self._metrics.revalidations.labels("failed").inc()
            raise
        changed = before is not None and before.version != info.version
        self._metrics.revalidations.labels("changed" if changed else "same").inc()
        return self.learn(info)

    async def _look_quietly(self, key: str) -> None:
        try:
            await self._looks.run(key, lambda: self._look(key))
        except ProxyError as error:
            # The stale result goes on being served; the breaker and the store's own metrics tell the operator.
            _log.info("revalidation_failed", code=error.code, cause=repr(error.__cause__))

    def _note(self, key: str, known: Known) -> Known:
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > MOST_KEYS:
            self._known.popitem(last=False)
        return known

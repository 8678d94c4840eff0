"""Bring originals to local disk, once for all the variants that are wanted at about the same time.

A staged original stays for a few seconds after its last user, because a page asks for several sizes of one photo; it
goes earlier when its bytes are needed for others. It is deleted as soon as a newer version is known.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from proxy.delivery.admission import Gate
from proxy.delivery.deadline import Deadline
from proxy.delivery.freshness import Freshness
from proxy.delivery.singleflight import SingleFlight
from proxy.delivery.staging import Staging
from proxy.errors import OriginalNotFound, OriginalTooLarge, OriginUnavailable, Overloaded, ProxyError
from proxy.imaging.job import SourceInfo
from proxy.metrics import Metrics
from proxy.stores.base import ObjectInfo, Source

LINGER = 10.0
"""Seconds a staged original stays after its last user."""


@dataclass(slots=True)
class Staged:
    """An original on local disk."""

    info: ObjectInfo
    path: Path
    users: int = 0
    idle_since: float = 0.0
    inspected: SourceInfo | None = None
    """What a worker found in its header; filled by the first render."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the header is inspected, so that it is done once."""


class Originals:
    """The staged originals of this process."""

    def __init__(
        self,
        source: Source,
        staging: Staging,
        gate: Gate,
        freshness: Freshness,
        *,
        max_bytes: int,
        fetch_timeout: float,
        queue_wait: float,
        metrics: Metrics,
    ) -> None:
        self._source = source
        self._staging = staging
        self._gate = gate
        self._freshness = freshness
        self._max_bytes = max_bytes
        self._fetch_timeout = fetch_timeout
        self._queue_wait = queue_wait
        self._metrics = metrics
        self._fetches: SingleFlight[Staged] = SingleFlight()
        # Mutable state: what is staged, least recently used first.
        self._staged: OrderedDict[str, Staged] = OrderedDict()

    @asynccontextmanager
    async def stage(self, key: str, deadline: Deadline) -> AsyncIterator[Staged]:
        """Hold the original `key` on local disk for the block.

        Raises OriginalNotFound, OriginalTooLarge, OriginUnavailable, Overloaded or DeadlinePassed.
        """
        staged = self._reusable(key)
        while staged is None:
            async with deadline.bound("original's store"):
                fetched = await self._fetches.run(key, lambda: self._fetch(key))
            # Between the end of the fetch and this line a purge may have discarded it again.
            staged = fetched if self._staged.get(key) is fetched else None
        staged.users += 1
        try:
            yield staged
        finally:
            staged.users -= 1
            staged.idle_since = time.monotonic()
            if staged.users == 0 and self._staged.get(key) is not staged:
                self._staging.discard(staged.path)

    def discard(self, key: str) -> None:
        """Forget the staged copy, if there is one; it is deleted when its last user is done."""
        staged = self._staged.pop(key, None)
        if staged is not None and staged.users == 0:
            self._staging.discard(staged.path)

    def discard_prefix(self, prefix: str) -> None:
        """Forget every staged copy whose key begins with `prefix`."""
        for key in [key for key in self._staged if key.startswith(prefix)]:
            self.discard(key)

    def sweep(self) -> None:
        """Delete what nobody has used for a while."""
        now = time.monotonic()
        for key, staged in list(self._staged.items()):
            if staged.users == 0 and now - staged.idle_since >= LINGER:
                self.discard(key)

    async def close(self) -> None:
        """Cancel fetches and delete everything."""
        await self._fetches.close()
        for key in list(self._staged):
            self.discard(key)

    def _reusable(self, key: str) -> Staged | None:
        staged = self._staged.get(key)
        if staged is None:
            return None
        known = self._freshness.of(key)
        if known is None or known.version != staged.info.version:
            self.discard(key)
            return None
        self._staged.move_to_end(key)
        return staged

    async def _fetch(self, key: str) -> Staged:
        path = self._staging.new_path()
        # Its own deadline: variants with deadlines of their own share this fetch.
        deadline = Deadline.after(self._queue_wait + self._fetch_timeout)
        try:
            async with self._gate.slot(deadline), deadline.bound("original's store", at_most=self._fetch_timeout):
                info = await self._download(key, path)
        except BaseException as error:
            self._staging.discard(path)
            if isinstance(error, OriginalNotFound):
                self._freshness.learn_missing(key)
            outcome = error.code if isinstance(error, ProxyError) else "cancelled"
            self._metrics.fetches.labels(outcome).inc()
            raise
        self._metrics.fetches.labels("ok").inc()
        self._metrics.fetch_bytes.inc(info.size)
        self._freshness.learn(info)
        self.discard(key)
        staged = self._staged[key] = Staged(info, path, idle_since=time.monotonic())
        return staged

    async def _download(self, key: str, path: Path) -> ObjectInfo:
        async with self._source.open(key) as opened:
            info = opened.info
            self._check_size(info.size)
            self._make_room(info.size)
            self._staging.reserve(path, info.size)
            received = 0
            file: BinaryIO = await asyncio.to_thread(path.open, "xb")
            try:
                async for chunk in opened.chunks:
                    received += len(chunk)
                    if received > info.size:
                        # Stores without a length say 0: account for what arrives.
                        self._check_size(received)
                        self._make_room(len(chunk))
                        self._staging.reserve(path, received)
                    await asyncio.to_thread(file.write, chunk)
            finally:
                await asyncio.to_thread(file.close)
        if received < info.size:
            raise OriginUnavailable("the original arrived incomplete")
        return info

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise OriginalTooLarge(f"the original has more than the {self._max_bytes} bytes allowed")

    def _make_room(self, more: int) -> None:
        """Delete idle originals, the least recently used first, until `more` bytes fit."""
        for key, staged in list(self._staged.items()):
            if self._staging.fits(more):
                return
            if staged.users == 0:
                self.discard(key)
        if not self._staging.fits(more):
            raise Overloaded("too busy: no room to stage the original; try again in 1 s")

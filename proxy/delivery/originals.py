"""Bring originals to local disk, once for all the variants that are wanted at about the same time.

A staged original stays for a few seconds after its last user, because a page asks for several sizes of one photo; it
goes earlier when its bytes are needed for others. It is deleted as soon as a newer version is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from proxy.delivery.admission import Gate
from proxy.delivery.deadline import Deadline
from proxy.delivery.freshness import Freshness, Question
from proxy.delivery.singleflight import SingleFlight
from proxy.delivery.staging import StagedFile, Staging
from proxy.errors import OriginalChanged, OriginalNotFound, OriginalTooLarge, OriginUnavailable, Overloaded, ProxyError
from proxy.imaging.job import SourceInfo
from proxy.metrics import Metrics
from proxy.stores.base import LentFile, ObjectBody, ObjectInfo, Source

_WRITE_BYTES = 512 * 1024
"""Written to disk at a time."""
MOST_LENT = 128
"""Files that are used where they lie, at the same time; each is a descriptor."""
_MOST_LENT_BYTES = 16 << 20
"""Of one of them: a worker has all of it in its memory."""
LINGER = 10.0
"""Seconds a staged original stays after its last user."""


@dataclass(slots=True)
class Staged:
    """An original on local disk: copied to the staging directory, or the very file where it lies."""

    info: ObjectInfo
    file: Path | LentFile
    seen: float
    """When the store was asked for it, in seconds since the epoch."""
    users: int = 0
    idle_since: float = 0.0
    inspected: SourceInfo | None = None
    """What a worker found in its header; filled by the first render."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the header is inspected, so that it is done once."""

    @property
    def is_intact(self) -> bool:
        """Whether it is what was staged; a file where it lies may be written over."""
        return isinstance(self.file, Path) or self.file.is_intact

    def read(self) -> bytes:
        """All of it; blocks. OriginalChanged if it is not what was staged any more."""
        if isinstance(self.file, Path):
            return self.file.read_bytes()
        body = os.pread(self.file.fileno(), self.info.size, 0)
        if not self.is_intact:
            raise OriginalChanged("the original changed while it was read")
        return body


class Originals:
    """The staged originals of this process.

    What is of this machine is not copied where its file can be lent: where all of it is in memory, so that no worker
    waits for a disk. That file stays open as long as a copy would stay.
    """

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
        self._fetches: SingleFlight[Staged | None] = SingleFlight()
        # Mutable state: what is staged, least recently used first, and how many wait for a fetch of each key.
        self._staged: OrderedDict[str, Staged] = OrderedDict()
        self._awaited: Counter[str] = Counter()
        # How many of them are files that were lent.
        self._lent = 0

    @asynccontextmanager
    async def stage(self, key: str, deadline: Deadline) -> AsyncIterator[Staged]:
        """Hold the original `key` on local disk for the block.

        Raises OriginalNotFound, OriginalTooLarge, OriginUnavailable, Overloaded or DeadlinePassed.
        """
        staged = self._reusable(key)
        while staged is None:
            fetched = await self._await_fetch(key, deadline)
            # None, or discarded again between the end of the fetch and this line: it was purged meanwhile.
            staged = fetched if fetched is not None and self._staged.get(key) is fetched else None
        staged.users += 1
        try:
            yield staged
        finally:
            staged.users -= 1
            staged.idle_since = time.monotonic()
            if staged.users == 0 and self._staged.get(key) is not staged:
                self._leave(staged)

    def discard(self, key: str) -> None:
        """Forget the staged copy, if there is one; it is deleted when its last user is done."""
        staged = self._staged.pop(key, None)
        if staged is not None and staged.users == 0:
            self._leave(staged)

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

    def _leave(self, staged: Staged) -> None:
        """Give back what nobody uses."""
        if isinstance(staged.file, Path):
            self._staging.discard(staged.file)
        else:
            self._give_back(staged.file)

    def _reusable(self, key: str) -> Staged | None:
        staged = self._staged.get(key)
        if staged is None:
            return None
        known = self._freshness.of(key)
        if known is None or not known.is_of(staged.info.version) or not staged.is_intact:
            self.discard(key)
            return None
        self._staged.move_to_end(key)
        return staged

    async def _await_fetch(self, key: str, deadline: Deadline) -> Staged | None:
        """Fetch together with everybody else; what we wait for is not evicted before we wake."""
        self._awaited[key] += 1
        try:
            fetch = partial(self._fetch, key)
            return await self._fetches.run(key, fetch, deadline=deadline, stage="original's store")
        finally:
            self._awaited[key] -= 1
            if not self._awaited[key]:
                del self._awaited[key]

    async def _fetch(self, key: str) -> Staged | None:
        """Bring it to disk; None if the key was purged meanwhile: what arrived may be older than the purge."""
        path = self._staging.new_path()  # of the copy, if one is needed
        # Its own deadline: variants with deadlines of their own share this fetch.
        deadline = Deadline.after(self._queue_wait + self._fetch_timeout)
        outcome = "cancelled"
        try:
            async with self._gate.slot(deadline), deadline.bound("original's store", at_most=self._fetch_timeout):
                staged = await self._ask(key, path)
            outcome = "ok" if staged else "outdated"
        except ProxyError as error:
            outcome = error.code
            raise
        finally:
            self._metrics.fetches.labels(outcome).inc()
            if outcome != "ok":
                self._staging.discard(path)
        return staged

    async def _ask(self, key: str, path: Path) -> Staged | None:
        seen = time.time()
        with self._freshness.asking(key) as question:
            try:
                info, file = await self._download(key, path, question)
            except OriginalNotFound:
                question.learn_missing()
                raise
            self._metrics.fetch_bytes.inc(info.size)
            staged = Staged(info, file, seen, idle_since=time.monotonic())
            if question.outdated:
                self._leave(staged)
                return None
        self.discard(key)
        self._staged[key] = staged
        return staged

    async def _download(self, key: str, path: Path, question: Question) -> tuple[ObjectInfo, Path | LentFile]:
        lent: LentFile | None = None
        try:
            async with self._source.open(key) as opened:
                info = opened.info
                self._check_size(info.size)
                lent = self._borrow(opened)
                if lent is None:
                    info = await self._copy(opened, path)
        except BaseException:
            if lent is not None:
                self._give_back(lent)
            raise
        question.learn(info.version, info.modified)
        return info, lent or path

    def _borrow(self, opened: ObjectBody) -> LentFile | None:
        """The object's own file, if it may be used in place of a copy."""
        if opened.lend is None or not opened.info.version or opened.info.size > _MOST_LENT_BYTES:
            return None
        if self._lent >= MOST_LENT:
            idle = (key for key, one in self._staged.items() if one.users == 0 and not isinstance(one.file, Path))
            if (key := next((key for key in idle if key not in self._awaited), None)) is None:
                return None
            self.discard(key)
        lent = opened.lend()
        if lent is not None:
            self._lent += 1
        return lent

    def _give_back(self, lent: LentFile) -> None:
        self._lent -= 1
        lent.close()

    async def _copy(self, opened: ObjectBody, path: Path) -> ObjectInfo:
        info = opened.info
        self._reserve(path, info.size)
        try:
            size, checksum = await self._receive(opened, path)
        except OSError as error:
            raise Overloaded("too busy: the original cannot be staged; try again in 1 s") from error
        # Where the store cannot tell one version from another, the bytes themselves do.
        return replace(info, size=size, version=info.version or f"crc32-{checksum:08x}-{size:x}")

    async def _receive(self, opened: ObjectBody, path: Path) -> tuple[int, int]:
        """Write the body to a new file; its length, and its CRC-32 where nothing else tells its version."""
        info, chunks = opened.info, opened.chunks
        received, promised = 0, info.size  # 0: the store does not tell the length
        file = StagedFile(path, summed=not info.version)
        if opened.copy_to is not None and info.version:
            with contextlib.closing(file):
                await opened.copy_to(file.fileno())
            return promised, 0
        # Buckets send small pieces, and a hop to a thread costs more than writing one: several go together.
        waiting: list[bytes] = []
        held = 0
        try:
            async for chunk in chunks:
                received += len(chunk)
                if received > promised:
                    self._check_size(received)
                    self._reserve(path, received)
                waiting.append(chunk)
                held += len(chunk)
                if held >= _WRITE_BYTES:
                    await asyncio.to_thread(file.write, b"".join(waiting))
                    waiting, held = [], 0
            if waiting:
                await asyncio.to_thread(file.write, b"".join(waiting))
        finally:
            file.close()
        if promised and received != promised:
            raise OriginUnavailable("the original is not as long as its store says")
        return received, file.checksum

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise OriginalTooLarge(f"the original has more than the {self._max_bytes} bytes allowed")

    def _reserve(self, path: Path, size: int) -> None:
        """Account `size` bytes in all for `path`; idle originals make room, the least recently used first."""
        if not self._staging.fits(path, size):
            self._make_room(path, size)
        self._staging.reserve(path, size)

    def _make_room(self, path: Path, size: int) -> None:
        for key, staged in list(self._staged.items()):
            if staged.users == 0 and key not in self._awaited and isinstance(staged.file, Path):
                self.discard(key)
                if self._staging.fits(path, size):
                    return

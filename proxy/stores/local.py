"""A directory as a source and store.

Whatever may wait for a disk runs in this store's own threads, never on the event loop: a disk that stalls must stall
its own callers only. What the kernel has in memory is read at once (`cached_reads.py`). A thread that nobody waits for
any more still counts, because the pool is bounded and it still occupies its place in it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from proxy.config import StoreSettings
from proxy.errors import DeadlinePassed, RangeRefused
from proxy.stores import files
from proxy.stores.base import ByteRange, ObjectBody, ObjectInfo
from proxy.stores.cached_reads import CachedReads, Lent
from proxy.stores.file_listing import Listing
from proxy.stores.files import OpenFile
from proxy.stores.gathered_looks import GatheredLooks
from proxy.stores.glances import Glimpse
from proxy.stores.kernel_calls import Calls, linux_calls
from proxy.stores.keys import printable_metadata, shown

T = TypeVar("T")

_THREADS = 16
_STALE = 3600.0
"""Seconds after which a temporary file belongs to nobody: far beyond any write's time-out."""


class LocalStore:
    """Objects are the files below `root`. An async context manager: inside of it, the threads exist."""

    def __init__(self, root: Path, settings: StoreSettings, *, calls: Calls | None = None) -> None:
        self._root = root
        self._timeout = settings.connect_timeout + settings.read_timeout
        self._threads = ThreadPoolExecutor(min(settings.pool, _THREADS), thread_name_prefix="local-store")
        self._cached = CachedReads(root, calls or linux_calls(), lambda fd: self._threads.submit(os.close, fd))
        self._looks = GatheredLooks(root, self._threads, self._cached)

    async def __aenter__(self) -> Self:
        await self._run(lambda: files.sweep(self._root, _STALE))
        await self._run(self._cached.learn)
        return self

    async def __aexit__(self, *_: object) -> None:
        # In a thread, because it waits for the work under way.
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    async def stat(self, key: str) -> ObjectInfo:
        """What is known of the file of `key`."""
        await asyncio.sleep(0)  # whoever reads in a loop must let others run, also where nothing is waited for
        cached = self._cached.stat(key)
        if cached is not None:
            return cached
        opened = await self._open(key)
        opened.close()
        return files.info_of(key, opened.status, opened.sidecar)

    def glance(self, key: str) -> Glimpse | None:
        """The object of `key`, if all of it is in memory."""
        return self._cached.read(key)

    async def lacks(self, key: str) -> bool:
        """See `glances.Lacking`."""
        path = files.path_of(key)
        return path is None or await self._in_time(self._looks.is_lacking(path))

    @asynccontextmanager
    async def open(self, key: str, *, span: ByteRange | None = None) -> AsyncIterator[ObjectBody]:
        """Open the file of `key`; what was opened is read to its end even when it is replaced meanwhile."""
        await asyncio.sleep(0)  # as above
        cached = self._cached.open(key)
        if isinstance(cached, Glimpse):
            first, end = _bounds(cached.info, span)
            yield ObjectBody(cached.info, _whole(cached.body[first:end]), lend=self._lending(cached.info, span))
            return
        opened = await self._open(key) if cached is None else cached.file
        try:
            info = files.info_of(key, opened.status, opened.sidecar) if cached is None else cached.info
            first, end = _bounds(info, span)
            yield ObjectBody(
                info,
                self._chunks(opened, first, end),
                lambda file: self._copy(opened, first, end, os.dup(file)),
                self._lending(info, span),
            )
        finally:
            opened.close()

    async def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str]) -> None:
        """Write to a temporary file and rename it into place."""
        kept = printable_metadata(metadata)
        await self._run(lambda: files.write_key(self._root, key, body, content_type, kept))

    async def delete(self, key: str) -> None:
        """Delete the file and the directories this leaves empty."""
        await self._run(lambda: files.remove_key(self._root, key))

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """The keys that begin with `prefix`, directory by directory."""
        listing = Listing(self._root, prefix)
        while not listing.done:
            for key in await self._run(listing.step):
                yield key

    def _lending(self, info: ObjectInfo, span: ByteRange | None) -> Callable[[], Lent | None] | None:
        return partial(self._cached.lend, info) if span is None else None

    async def _open(self, key: str) -> OpenFile:
        job = self._threads.submit(self._open_now, key)
        try:
            return await self._wait(job)
        except BaseException:
            # Nobody will see what the thread opens after this: close it when it comes.
            job.add_done_callback(_close_unseen)
            raise

    def _open_now(self, key: str) -> OpenFile:
        self._cached.learn()
        return files.open_key(self._root, key)

    async def _chunks(self, opened: OpenFile, offset: int, end: int) -> AsyncIterator[bytes]:
        while offset < end:
            chunk = await self._wait(self._threads.submit(opened.read, offset, end))
            offset += len(chunk)
            yield chunk

    async def _copy(self, opened: OpenFile, offset: int, end: int, file: int) -> None:
        """Write the bytes to a file, and close this descriptor of it: not before the thread has let go of it."""
        job: Future[int] | None = None
        try:
            while offset < end:
                job = self._threads.submit(opened.copy, file, offset, end)
                offset += await self._wait(job)
        finally:
            if job is None:
                os.close(file)
            else:
                job.add_done_callback(lambda _: os.close(file))

    async def _run(self, work: Callable[[], T]) -> T:
        return await self._wait(self._threads.submit(work))

    async def _wait(self, job: Future[T]) -> T:
        """Wait for a thread; it cannot be stopped, but it can be left alone."""
        return await self._in_time(asyncio.wrap_future(job))

    async def _in_time(self, answer: Awaitable[T]) -> T:
        """Wait as long as a store may take."""
        try:
            async with asyncio.timeout(self._timeout):
                return await answer
        except TimeoutError as error:
            raise DeadlinePassed("the store's disk does not answer") from error


def _close_unseen(job: Future[OpenFile]) -> None:
    if not job.cancelled() and job.exception() is None:
        job.result().close()


def _bounds(info: ObjectInfo, span: ByteRange | None) -> tuple[int, int]:
    """Where the wanted bytes begin and end."""
    if span is None:
        return 0, info.size
    if span.first >= info.size:
        raise RangeRefused(f"{shown(info.key)} has {info.size} bytes", info.size)
    return span.first, min(span.last + 1, info.size)


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body

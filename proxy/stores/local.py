"""A directory as a source and store.

Every file operation runs in this store's own threads, never on the event loop: a disk that stalls must stall its own
callers only. A thread that nobody waits for any more still counts, because the pool is bounded and it still occupies
its place in it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar

from proxy.config import StoreSettings
from proxy.errors import DeadlinePassed, RangeRefused
from proxy.stores import files
from proxy.stores.base import ByteRange, ObjectBody, ObjectInfo
from proxy.stores.file_listing import Listing
from proxy.stores.files import OpenFile
from proxy.stores.keys import printable_metadata, shown

T = TypeVar("T")

_THREADS = 16
_STALE = 3600.0
"""Seconds after which a temporary file belongs to nobody: far beyond any write's time-out."""


class LocalStore:
    """Objects are the files below `root`. An async context manager: inside of it, the threads exist."""

    def __init__(self, root: Path, settings: StoreSettings) -> None:
        self._root = root
        self._timeout = settings.connect_timeout + settings.read_timeout
        self._threads = ThreadPoolExecutor(min(settings.pool, _THREADS), thread_name_prefix="local-store")

    async def __aenter__(self) -> Self:
        await self._run(lambda: files.sweep(self._root, _STALE))
        return self

    async def __aexit__(self, *_: object) -> None:
        # In a thread, because it waits for the work under way.
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    async def stat(self, key: str) -> ObjectInfo:
        """What is known of the file of `key`."""
        opened = await self._open(key)
        opened.close()
        return _info(key, opened)

    @asynccontextmanager
    async def open(self, key: str, *, span: ByteRange | None = None) -> AsyncIterator[ObjectBody]:
        """Open the file of `key`; what was opened is read to its end even when it is replaced meanwhile."""
        opened = await self._open(key)
        try:
            info = _info(key, opened)
            first, end = 0, info.size
            if span is not None:
                if span.first >= info.size:
                    raise RangeRefused(f"{shown(key)} has {info.size} bytes", info.size)
                first, end = span.first, min(span.last + 1, info.size)
            yield ObjectBody(
                info, self._chunks(opened, first, end), lambda file: self._copy(opened, first, end, os.dup(file))
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

    async def _open(self, key: str) -> OpenFile:
        job = self._threads.submit(files.open_key, self._root, key)
        try:
            return await self._wait(job)
        except BaseException:
            # Nobody will see what the thread opens after this: close it when it comes.
            job.add_done_callback(_close_unseen)
            raise

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
        """Wait for a thread as long as a store may take; a thread cannot be stopped, but it can be left alone."""
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.wrap_future(job)
        except TimeoutError as error:
            raise DeadlinePassed("the store's disk does not answer") from error


def _close_unseen(job: Future[OpenFile]) -> None:
    if not job.cancelled() and job.exception() is None:
        job.result().close()


def _info(key: str, opened: OpenFile) -> ObjectInfo:
    status, sidecar = opened.status, opened.sidecar
    return ObjectInfo(
        key=key,
        size=status.st_size,
        version=f"{status.st_mtime_ns:x}-{status.st_size:x}",
        modified=status.st_mtime,
        content_type=sidecar.content_type if sidecar else None,
        metadata=dict(sidecar.metadata) if sidecar else {},
    )

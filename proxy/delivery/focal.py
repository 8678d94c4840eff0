"""Focal points that are stored with originals: the point or box that a crop must keep.

Rules:

1. There are two places. The original's own metadata (`imgbang-focal: 0.3,0.6`, on S3 `x-amz-meta-imgbang-focal`) comes
   with the look or the fetch that happens anyway. What the admin API was told lies in a small object of its own, read
   at the same time as the original is looked at or fetched, and overrules the metadata.
2. A focal point is a part of its original's version. So everything that holds for a changed original holds for a
   changed point: entity tags differ, results of another point are not served once the freshness window is over, every
   replica learns of it then, and a hit needs no look-up of its own.
3. Where the point's object cannot be read, the original counts as unreadable: a picture cut at the wrong place would be
   kept for long.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from proxy import logs
from proxy.errors import InvalidCommand, OriginalNotFound
from proxy.plan.region import Region
from proxy.stores.base import ByteRange, ObjectBody, ObjectInfo, Source, Store

_log = logs.get("focal")

METADATA = "imgbang-focal"
"""The name of the metadata of an original."""
FOLDER = ".imgbang/focal"
"""Where the API's points are kept among the originals, if no other place is set."""
_MOST_BYTES = 4096


class FocalPoints:
    """The points that the API was told, each an object named by a digest of its original's key.

    Not by the key itself: a local store cannot hold `a` and `a/b` at once, and a key may be as long as names can be.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, key: str) -> Region | None:
        """The point of an original, if there is one."""
        body = bytearray()
        try:
            async with self._store.open(_name(key)) as opened:
                async for chunk in opened.chunks:
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        break
        except OriginalNotFound:
            return None
        try:
            said = json.loads(body)
            return Region.from_json(json.dumps(said["focal"]).encode())
        except (ValueError, TypeError, KeyError, RecursionError, InvalidCommand):
            _log.warning("focal_point_damaged", bytes=len(body))
            return None

    async def write(self, key: str, region: Region) -> None:
        """Keep a point; the one before is overwritten."""
        body = json.dumps({"key": key, "focal": region.as_json()}).encode()
        await self._store.put(_name(key), body, content_type="application/json", metadata={})

    async def delete(self, key: str) -> None:
        """Forget a point; it is no error if there is none."""
        await self._store.delete(_name(key))


def _name(key: str) -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()}.json"


class FocalSource:
    """A source whose versions and metadata tell the focal points of its originals."""

    def __init__(self, source: Source, points: FocalPoints | None) -> None:
        self._source = source
        self._points = points

    async def stat(self, key: str) -> ObjectInfo:
        """As the source says, with the focal point."""
        async with self._asking(key) as asked:
            info = await self._source.stat(key)
            return _with_focus(info, await asked)

    @asynccontextmanager
    async def open(self, key: str, *, span: ByteRange | None = None) -> AsyncIterator[ObjectBody]:
        """Open it, with the focal point."""
        async with self._asking(key) as asked, self._source.open(key, span=span) as opened:
            yield replace(opened, info=_with_focus(opened.info, await asked))

    @asynccontextmanager
    async def _asking(self, key: str) -> AsyncIterator[asyncio.Future[Region | None]]:
        """Ask for the API's point while the block asks for the original; the question ends with the block."""
        if self._points is None:
            nothing: asyncio.Future[Region | None] = asyncio.get_running_loop().create_future()
            nothing.set_result(None)
            yield nothing
            return
        task = asyncio.create_task(self._points.read(key), name="focal")
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _with_focus(info: ObjectInfo, told: Region | None) -> ObjectInfo:
    region = told or focus_of(info)
    if region is None:
        return info
    # A store that cannot tell versions apart cannot begin to because of a point.
    version = f"{info.version}~focal-{region}" if info.version else ""
    return replace(info, version=version, metadata={**info.metadata, METADATA: str(region)})


def focus_of(info: ObjectInfo) -> Region | None:
    """The focal point in an original's metadata; None where there is none, or nothing that is one."""
    text = info.metadata.get(METADATA)
    try:
        return None if text is None else Region.parse(text)
    except InvalidCommand:
        return None

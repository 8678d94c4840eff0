"""One source in front of several: keys that are URLs of allowed hosts are read there, all others at home.

A URL is never a key of ours (`//` is an empty segment, which the URL parser refuses), so strangers cannot ask for one;
only `delivery/marks.py` makes such keys, for the images of watermarks, and only for hosts that the operator allows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from proxy.errors import Forbidden
from proxy.stores.base import ByteRange, ObjectBody, ObjectInfo, Source


class RoutedSource:
    """`home`, and other sources by the text that URLs of theirs begin with: `https://img.example.com/`."""

    def __init__(self, home: Source, elsewhere: Mapping[str, Source]) -> None:
        self._home = home
        self._elsewhere = elsewhere

    async def stat(self, key: str) -> ObjectInfo:
        """As the source that holds the key says."""
        if "://" not in key:
            return await self._home.stat(key)
        source, name = self._route(key)
        return replace(await source.stat(name), key=key)

    def open(self, key: str, *, span: ByteRange | None = None) -> AbstractAsyncContextManager[ObjectBody]:
        """Open it at the source that holds the key."""
        return self._home.open(key, span=span) if "://" not in key else self._open_elsewhere(key, span)

    @asynccontextmanager
    async def _open_elsewhere(self, key: str, span: ByteRange | None) -> AsyncIterator[ObjectBody]:
        source, name = self._route(key)
        async with source.open(name, span=span) as opened:
            yield replace(opened, info=replace(opened.info, key=key))

    def _route(self, key: str) -> tuple[Source, str]:
        scheme, _, rest = key.partition("://")
        host, _, name = rest.partition("/")
        source = self._elsewhere.get(f"{scheme}://{host}/")
        if source is None:
            raise Forbidden("the host of a watermark image is not allowed")
        return source, name

"""Originals without the results that are kept among them.

When results live in the originals' own bucket under a prefix, a result must not be an original again: `a!b!c` would
make thumbnails of thumbnails for ever, and protected originals could be read through stored results.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from proxy.errors import OriginalNotFound
from proxy.stores.base import ByteRange, ObjectBody, ObjectInfo, Source


class HidingSource:
    """A source in which keys below a prefix do not exist."""

    def __init__(self, source: Source, prefix: str) -> None:
        self._source = source
        self._prefix = prefix.rstrip("/") + "/"

    async def stat(self, key: str) -> ObjectInfo:
        """As the source says, if the key is not hidden."""
        self._check(key)
        return await self._source.stat(key)

    def open(self, key: str, *, span: ByteRange | None = None) -> AbstractAsyncContextManager[ObjectBody]:
        """Open it, if the key is not hidden."""
        self._check(key)
        return self._source.open(key, span=span)

    def _check(self, key: str) -> None:
        if key.startswith(self._prefix):
            raise OriginalNotFound(f"no original {key[:200]!r}")

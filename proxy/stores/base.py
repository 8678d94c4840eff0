"""What every source and store promises. `tests/contracts/store.py` holds each implementation to it.

Keys are Unicode text as the URL parser accepts them (`proxy/plan/keys.py`): no NUL, no `.` or `..` segments, no empty
segments, at most 1,024 bytes of UTF-8. A store adds its own prefix and never leaves it.

Every method may raise `OriginalNotFound` (there is no such object), `OriginUnavailable` (the store failed, refused
us, or sent something broken) and `DeadlinePassed` (it did not answer within its own time-outs); nothing else escapes.
Messages name the key at most, never a host, a bucket or a path; the cause is chained.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store knows of one object without reading it."""

    key: str
    size: int
    """Bytes of the whole object, also where only a range of it is read."""
    version: str
    """Changes whenever the object is overwritten: an ETag, or time and size. Opaque; printable ASCII, no quotes."""
    modified: float
    """Seconds since the epoch."""
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User metadata: lower-case names, printable ASCII values."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `first` to `last`, both included, after RFC 9110 section 14.1.2 has been applied to the size."""

    first: int
    last: int


@dataclass(slots=True)
class ObjectBody:
    """An opened object: what is known of it, and its bytes as they arrive."""

    info: ObjectInfo
    chunks: AsyncIterator[bytes]
    """Chunks of at most 256 KiB. Ends exactly after the promised bytes, or raises OriginUnavailable."""


class Source(Protocol):
    """Originals: can be looked up and read."""

    async def stat(self, key: str) -> ObjectInfo:
        """What is known of `key`, in one call to the store."""
        ...

    def open(self, key: str, *, span: ByteRange | None = None) -> AbstractAsyncContextManager[ObjectBody]:
        """Open `key` for reading, in one call to the store; leaving the context gives everything back.

        A `span` beyond the end of the object raises RangeRefused.
        """
        ...


class Store(Source, Protocol):
    """Results: can also be written, listed and deleted."""

    async def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str]) -> None:
        """Write the whole object atomically: a reader sees the old one or the new one, never a part."""
        ...

    async def delete(self, key: str) -> None:
        """Delete the object; deleting what is not there is no error."""
        ...

    def list(self, prefix: str) -> AsyncIterator[str]:
        """The keys that begin with `prefix` (any text, not only whole segments), in no promised order."""
        ...

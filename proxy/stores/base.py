"""What every source and store promises. `tests/contracts/store.py` holds each implementation to it.

The rules:

1. Keys are Unicode text as the URL parser accepts them (`proxy/plan/keys.py`): no NUL, no `.` or `..` segments, no
   empty segments, at most 1,024 bytes of UTF-8. The parser is the first wall; every store checks again
   (`proxy/stores/keys.py`), because keys also come from listings, events and the command line. What is no key is
   missing when it is read or deleted, and refused when it is written.
2. A store adds its own prefix and never leaves it.
3. Every method may raise `OriginalNotFound` (there is no such object), `OriginUnavailable` (the store failed, sent
   something broken, or, as `OriginRefused`, refused us) and `DeadlinePassed` (it did not answer within its own
   time-outs). Reading may also raise `RangeRefused`, `NotAnImage` (stored with a content coding such as gzip) and
   `OriginalTooLarge` (a body of unknown length beyond the limit). Nothing else escapes; cancellation passes through.
4. Messages name the key at most, never a host, a bucket or a path; the cause is chained.
5. Stores wait for themselves only: the time a slow consumer takes between two chunks counts against nobody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

CHUNK = 1024 * 1024
"""The largest chunk a body yields: bounds what one slow client can hold in memory."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store knows of one object without reading it."""

    key: str
    size: int
    """Bytes of the whole object, also where only a range of it is read. 0 also where an HTTP origin does not tell."""
    version: str
    """Changes whenever the object is overwritten: an ETag, or time and size. Opaque; printable ASCII, no quotes.

    Empty only where an HTTP origin gives neither ETag nor Last-Modified nor length: such an object cannot be recognised
    again, and whoever caches it must not trust an equal version.
    """
    modified: float
    """Seconds since the epoch; 0 where an HTTP origin does not tell."""
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User metadata: lower-case names, printable ASCII values."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `first` to `last`, both included, after RFC 9110 section 14.1.2 has been applied to the size.

    A `last` beyond the end means the end, as everywhere; a `first` beyond the end is refused.
    """

    first: int
    last: int


class LentFile(Protocol):
    """The file of an object, open for reading and the receiver's to close. Nothing of this waits for a disk."""

    def fileno(self) -> int:
        """Its descriptor; ValueError once it is closed."""
        ...

    @property
    def is_intact(self) -> bool:
        """Whether its bytes are still those that were lent: nobody has written over them."""
        ...

    def close(self) -> None:
        """Give it back; once."""
        ...


@dataclass(slots=True)
class ObjectBody:
    """An opened object: what is known of it, and its bytes as they arrive."""

    info: ObjectInfo
    chunks: AsyncIterator[bytes]
    """Non-empty chunks of at most `CHUNK` bytes, once. Ends exactly after the promised bytes, or raises
    OriginUnavailable (DeadlinePassed when they stop coming)."""
    copy_to: Callable[[int], Awaitable[None]] | None = None
    """Instead of `chunks`, where a store has a cheaper way: write the same bytes to where the file of this descriptor
    is at, which is not one for appending and may be closed at any moment.

    Fails as `chunks` does, and with OSError where the file cannot be written.
    """
    lend: Callable[[], LentFile | None] | None = None
    """Instead of either, where a whole object is read: its very file, if it is one of this machine and all of it is in
    memory. None when asked: it is not, or not any more."""


class Source(Protocol):
    """Originals: can be looked up and read."""

    async def stat(self, key: str) -> ObjectInfo:
        """What is known of `key`, in one call to the store."""
        ...

    def open(self, key: str, *, span: ByteRange | None = None) -> AbstractAsyncContextManager[ObjectBody]:
        """Open `key` for reading, in one call to the store; leaving the context gives everything back.

        A `span` that begins beyond the end of the object raises RangeRefused, which tells the size.
        """
        ...


class Store(Source, Protocol):
    """Results: can also be written, listed and deleted."""

    async def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str]) -> None:
        """Write the whole object atomically: a reader sees the old one or the new one, never a part.

        The names of `metadata` are letters, digits and `-`; they come back in lower case. Values are any text; what is
        not printable ASCII comes back percent-encoded as UTF-8.
        """
        ...

    async def delete(self, key: str) -> None:
        """Delete the object; deleting what is not there is no error."""
        ...

    def list(self, prefix: str) -> AsyncIterator[str]:
        """The keys that begin with `prefix` (any text, not only whole segments), in no promised order."""
        ...

"""Originals as they are: looked up, sniffed and streamed, without staging.

Never trust a name or a stored type: what an original is told to be in the answer follows from its first bytes. Anything
that is not an image of a known kind is handed out as bytes to download, so that nobody runs a page from this origin.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from proxy.delivery.admission import Gate
from proxy.delivery.deadline import Deadline
from proxy.delivery.freshness import Freshness
from proxy.errors import NotAnImage, OriginalNotFound, OriginUnavailable, RangeRefused
from proxy.imaging.sniff import HEAD_BYTES, sniff
from proxy.plan.output import Format
from proxy.stores.base import ByteRange, ObjectInfo, Source

_MOST_KINDS = 20_000


@dataclass(frozen=True, slots=True)
class Opened:
    """An original that is being read."""

    info: ObjectInfo
    format: Format | None
    """None: not an image of a known kind."""
    chunks: AsyncIterator[bytes]


class Passthrough:
    """Reads originals for clients, so many at a time."""

    def __init__(self, source: Source, gate: Gate, freshness: Freshness) -> None:
        self._source = source
        self._gate = gate
        self._freshness = freshness
        # Mutable state: what kind of file a version of an original is, for ranges that do not hold its first bytes.
        self._kinds: OrderedDict[tuple[str, str], Format | None] = OrderedDict()

    async def stat(self, key: str, deadline: Deadline) -> ObjectInfo:
        """What is known of the original; OriginalNotFound at once if it was missing a moment ago."""
        self._raise_if_missing(key)
        with self._freshness.asking(key) as question:
            try:
                async with deadline.bound("original's store"):
                    info = await self._source.stat(key)
            except OriginalNotFound:
                question.learn_missing()
                raise
            question.learn(info.version, info.modified)
        return info

    async def kind(self, info: ObjectInfo, deadline: Deadline) -> Format | None:
        """What kind of image an original is."""
        place = (info.key, info.version)
        if place in self._kinds:
            return self._kinds[place]
        # Asked for whatever the size: an HTTP origin may not tell it.
        span = ByteRange(0, HEAD_BYTES - 1)
        try:
            async with deadline.bound("original's store"), self._source.open(info.key, span=span) as opened:
                kind = _kind(b"".join([chunk async for chunk in opened.chunks]))
        except RangeRefused:
            kind = None  # it is empty
        self._learn_kind(info, kind)
        return kind

    @asynccontextmanager
    async def open(self, key: str, deadline: Deadline) -> AsyncIterator[Opened]:
        """Open the whole original; its kind is sniffed from the first bytes that arrive."""
        self._raise_if_missing(key)
        async with self._gate.slot(deadline), AsyncExitStack() as stack:
            with self._freshness.asking(key) as question:
                try:
                    # The deadline is for the beginning: how long the rest takes is up to the client.
                    async with deadline.bound("original's store"):
                        opened = await stack.enter_async_context(self._source.open(key))
                        head, rest = await _first(opened.chunks)
                except OriginalNotFound:
                    question.learn_missing()
                    raise
                question.learn(opened.info.version, opened.info.modified)
            kind = _kind(head)
            self._learn_kind(opened.info, kind)
            yield Opened(opened.info, kind, _chain(head, rest))

    @asynccontextmanager
    async def open_range(self, info: ObjectInfo, span: ByteRange, deadline: Deadline) -> AsyncIterator[Opened]:
        """Open a part of an original that was looked up."""
        kind = await self.kind(info, deadline)
        async with self._gate.slot(deadline), AsyncExitStack() as stack:
            async with deadline.bound("original's store"):
                opened = await stack.enter_async_context(self._source.open(info.key, span=span))
            if opened.info.version != info.version:
                # The client would put parts of two pictures together under one entity tag.
                raise OriginUnavailable("the original changed while it was read; try again")
            yield Opened(opened.info, kind, opened.chunks)

    def _raise_if_missing(self, key: str) -> None:
        known = self._freshness.of(key)
        if known is not None and known.version is None:
            raise OriginalNotFound(f"no original {key!r}")

    def _learn_kind(self, info: ObjectInfo, kind: Format | None) -> None:
        if not info.version:
            return  # the next version would look the same
        self._kinds[info.key, info.version] = kind
        while len(self._kinds) > _MOST_KINDS:
            self._kinds.popitem(last=False)


def _kind(head: bytes) -> Format | None:
    if head.startswith(b"\x1f\x8b"):
        return None  # a gzip file may hold an SVG or anything; a browser could not show it as it is
    try:
        found = sniff(head)
    except NotAnImage:
        return None
    # A document is no image, and may hold scripts of its own.
    return None if found is Format.PDF else found


async def _first(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """Enough of the beginning to sniff at, and the rest."""
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return head, chunks


async def _chain(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if head:
        yield head
    async for chunk in rest:
        yield chunk

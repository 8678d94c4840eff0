"""Reading a body from the network: the promised bytes, all of them, at a bearable pace.

Three faults that HTTP libraries let pass or report in their own words:

- a body that ends early, or has no end: bytes are counted against what was promised;
- silence: each wait for bytes has a time-out;
- one byte every few seconds, which no time-out between two reads ever notices: the time spent waiting in all is
  bounded by what arrived. Time the consumer takes is not counted: a slow client is no fault of the bucket.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from proxy.errors import DeadlinePassed, OriginalTooLarge, OriginUnavailable
from proxy.stores.base import CHUNK

_SLOWEST = 32 * 1024
"""Bytes per second: with a 64 MiB original at this pace, every other deadline has long passed."""


@dataclass(frozen=True, slots=True)
class Promise:
    """Which bytes of a body are to be delivered."""

    skip: int
    """Bytes to read and drop first: for servers that answer a range request with the whole object."""
    count: int | None
    """Bytes to deliver; None where the server does not tell: then all there are, at most `limit`."""
    limit: int


async def deliver(read: Callable[[int], Awaitable[bytes]], promise: Promise, *, silence: float) -> AsyncIterator[bytes]:
    """Yield the promised bytes; `read(n)` returns 1 to n bytes as they come, or nothing at the end.

    Raises OriginUnavailable when they end early, OriginalTooLarge beyond the limit, DeadlinePassed when they come too
    slowly.
    """
    received, waited, skip = 0, 0.0, promise.skip
    while promise.count is None or received < promise.count:
        begun = time.monotonic()
        patience = min(silence, 2 * silence + received / _SLOWEST - waited)
        try:
            async with asyncio.timeout(patience):
                chunk = await read(CHUNK)
        except TimeoutError as error:
            raise DeadlinePassed("the object's bytes stopped coming, or came too slowly") from error
        waited += time.monotonic() - begun
        if not chunk:
            if promise.count is None:
                return
            raise OriginUnavailable("the object ended before all of its bytes had come")
        dropped = min(skip, len(chunk))
        skip -= dropped
        chunk = chunk[dropped:] if promise.count is None else chunk[dropped : dropped + promise.count - received]
        received += len(chunk)
        if received > promise.limit:
            raise OriginalTooLarge(f"the object has more than the {promise.limit} bytes allowed")
        if chunk:
            yield chunk

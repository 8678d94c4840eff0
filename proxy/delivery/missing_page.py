"""The page of a bucket for what is not there: Qiniu serves the object `errno-404` as the body of every 404.

It is read like any other original and kept for as long as originals are not looked at again, also that there is none,
so that a scanner's thousand misses are one more look at the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from proxy.delivery.deadline import Deadline
from proxy.delivery.passthrough import Passthrough
from proxy.errors import ProxyError

KEY = "errno-404"
MAX_BYTES = 1 << 20
"""A page for errors that is longer is not one."""


@dataclass(frozen=True, slots=True)
class Page:
    """The bytes, and the media type that they seem to be of."""

    body: bytes
    media_type: str


class MissingPage:
    """Holds the page."""

    def __init__(
        self, passthrough: Passthrough, *, lifetime: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._passthrough = passthrough
        self._lifetime = max(1.0, lifetime)
        self._clock = clock
        # Mutable state: the page, if there is one, and until when that is believed.
        self._page: Page | None = None
        self._until = 0.0

    async def get(self, deadline: Deadline) -> Page | None:
        """The page; None where there is none, or it cannot be read."""
        if self._clock() < self._until:
            return self._page
        # Others that come meanwhile are answered with the last one.
        self._until = self._clock() + self._lifetime
        try:
            self._page = await self._read(deadline)
        except ProxyError:  # a missing picture is told, whatever becomes of the page
            self._page = None
        return self._page

    async def _read(self, deadline: Deadline) -> Page | None:
        async with self._passthrough.open(KEY, deadline) as opened:
            body = b""
            async for chunk in opened.chunks:
                body += chunk
                if len(body) > MAX_BYTES:
                    return None
            media_type = opened.format.media_type if opened.format is not None else text_type(body)
            return Page(body, media_type)


def text_type(body: bytes) -> str:
    """The media type of what is no picture: a web page, a text, or just bytes."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return f"text/{'html' if text.lstrip()[:1] == '<' else 'plain'}; charset=utf-8"

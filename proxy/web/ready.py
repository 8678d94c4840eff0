"""A response whose head was written before, for answers that come again.

aiohttp makes each head anew: it copies the headers into a response, completes them and writes twenty lines, which took
a fifth of the time of a hit from memory. Of a head that is remembered only the date and the request's id differ.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from proxy.delivery.answer import Answer, Stages
from proxy.plan.plan import Plan
from proxy.plan.request import ImageRequest
from proxy.web.headers import SERVER, CacheDefaults, answer_headers


def written_head(status: HTTPStatus, headers: Iterable[tuple[str, str]]) -> bytes:
    """The head of an HTTP/1.1 response up to the lines that differ from request to request.

    The headers must be complete but for Date and X-Request-Id: with Content-Length, if there is a body, and without
    anything about the connection, which stays open.
    """
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers)]
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise ValueError("a header has a line break in it")
    return "\r\n".join([*lines, ""]).encode()


def head_of(reading: ImageRequest, plan: Plan, answer: Answer, defaults: CacheDefaults) -> bytes:
    """The head of an answer that others get, too: without where the time went for this one."""
    headers = answer_headers(reading, plan, replace(answer, stages=Stages()), defaults)
    headers[hdrs.SERVER] = SERVER
    if answer.result is None:
        return written_head(HTTPStatus.NOT_MODIFIED, headers.items())
    headers[hdrs.CONTENT_LENGTH] = str(len(answer.result.body))
    return written_head(HTTPStatus.OK, headers.items())


_MOST_JOINED = 64 * 1024
"""Bytes of a body that is copied behind its head; a larger one is not held twice."""


class ReadyResponse(web.StreamResponse):
    """A response to an HTTP/1.1 request on a connection that stays open."""

    def __init__(self, head: bytes, body: bytes, *, number: str) -> None:
        """`head` is one of `written_head`; `number` is the request's id, without line breaks."""
        super().__init__()
        self._head = b"%bDate: %b\r\nX-Request-Id: %b\r\n\r\n" % (head, _date(int(time.time())), number.encode())
        self._content = body
        self._writer: AbstractStreamWriter | None = None

    @property
    def prepared(self) -> bool:
        """Whether it is under way."""
        return self._writer is not None

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open."""
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Begin; nothing is written yet."""
        self._writer = request.writer
        return self._writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Write the head and the body."""
        assert self._writer is not None
        assert not data
        if len(self._content) <= _MOST_JOINED:  # each write is a call of the kernel, and a packet
            await self._writer.write_eof(self._head + self._content)
            return
        await self._writer.write(self._head)
        await self._writer.write_eof(self._content)


@lru_cache(maxsize=2)
def _date(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode()

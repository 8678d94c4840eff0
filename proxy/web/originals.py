"""Originals as they are: whole, as a range, or 304.

A web server as a source may keep things to itself. Then `info.size` is 0 and the answer has no Content-Length and no
ranges (an original that is really empty is answered the same way), `info.version` is empty and there is no ETag.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from aiohttp import web

from proxy.delivery.answer import Stages
from proxy.delivery.deadline import Deadline
from proxy.delivery.passthrough import Passthrough
from proxy.errors import ProxyError
from proxy.plan.output import Format
from proxy.plan.plan import CachePolicy
from proxy.plan.request import ImageRequest
from proxy.stores.base import ByteRange, ObjectInfo
from proxy.web.conditional import Preconditions, wanted_range
from proxy.web.headers import (
    SANDBOX,
    SECURITY,
    Headers,
    cache_headers,
    disposition,
    file_name,
    server_timing,
    tag_headers,
    validator_headers,
)
from proxy.web.state import ERROR, OUTCOME, REQUEST_ID, SIGNED_UNTIL, SITE, STAGES


async def answer_original(request: web.Request, reading: ImageRequest, deadline: Deadline) -> web.StreamResponse:
    """Stream the original `reading.key`. One call to the store when there are neither conditions nor a range."""
    request[OUTCOME] = "original"
    request[STAGES] = Stages()
    passthrough = request.app[SITE].passthrough
    conditions = Preconditions.read(request.headers)
    if request.method == "GET" and conditions == Preconditions() and "Range" not in request.headers:
        return await _whole(request, reading, deadline)
    since = time.perf_counter()
    info = await passthrough.stat(reading.key, deadline)
    request[STAGES].add("look", since)
    etag = _etag(info)
    conditions.check(etag or "", info.modified)
    if conditions.is_current(etag or "", info.modified):
        return web.Response(status=304, headers=_headers(request, reading, info))
    if request.method == "HEAD":
        kind = await _kind(passthrough, info, deadline)
        return _without_body(_headers(request, reading, info) | _content_headers(reading, info, kind), info.size)
    span = wanted_range(request.headers, size=info.size, etag=etag or "", modified=info.modified) if info.size else None
    if span is None:
        return await _whole(request, reading, deadline)
    return await _part(request, reading, info, span, deadline)


async def _whole(request: web.Request, reading: ImageRequest, deadline: Deadline) -> web.StreamResponse:
    since = time.perf_counter()
    async with request.app[SITE].passthrough.open(reading.key, deadline) as opened:
        request[STAGES].add("open", since)
        headers = _headers(request, reading, opened.info) | _content_headers(reading, opened.info, opened.format)
        return await _stream(request, 200, headers, opened.info.size or None, opened.chunks)


async def _part(
    request: web.Request, reading: ImageRequest, info: ObjectInfo, span: ByteRange, deadline: Deadline
) -> web.StreamResponse:
    since = time.perf_counter()
    async with request.app[SITE].passthrough.open_range(info, span, deadline) as opened:
        request[STAGES].add("open", since)
        headers = _headers(request, reading, info) | _content_headers(reading, info, opened.format)
        headers["Content-Range"] = f"bytes {span.first}-{span.last}/{info.size}"
        return await _stream(request, 206, headers, span.last - span.first + 1, opened.chunks)


async def _kind(passthrough: Passthrough, info: ObjectInfo, deadline: Deadline) -> Format | None:
    if info.size:
        return await passthrough.kind(info, deadline)
    async with passthrough.open(info.key, deadline) as opened:  # no web server gives a range of what it cannot measure
        return opened.format


def _without_body(headers: Headers, size: int) -> web.StreamResponse:
    """The answer to HEAD: all of a GET's headers; a length that is not known is left out, never 0."""
    response = web.StreamResponse(headers=headers)
    response.content_length = size or None
    return response


async def _stream(
    request: web.Request, status: int, headers: Headers, size: int | None, chunks: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Write chunks as they arrive. Once the status is out, a failure can only cut the connection."""
    response = web.StreamResponse(status=status, headers={**headers, "X-Request-Id": request[REQUEST_ID]})
    response.content_length = size
    await response.prepare(request)
    try:
        async for chunk in chunks:
            await response.write(chunk)
    except ConnectionError:
        raise
    except Exception as error:
        # The promised length will not be met: break the connection so that no cache keeps half an original, and no
        # second answer is written into the first.
        request[ERROR] = error if isinstance(error, ProxyError) else ProxyError("reading the original failed")
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionError("the original broke off") from error
    await response.write_eof()
    return response


def _headers(request: web.Request, reading: ImageRequest, info: ObjectInfo) -> Headers:
    """What a 304 has, too."""
    versioned = reading.version_token is not None
    return {
        **SECURITY,
        **cache_headers(CachePolicy(), request.app[SITE].cache, versioned=versioned, until=request.get(SIGNED_UNTIL)),
        **validator_headers(_etag(info), info.modified),
        **tag_headers(info.key, ()),
        "Cache-Status": "imgbang; fwd=bypass; detail=original",
        "Server-Timing": server_timing(request[STAGES]),
    }


def _content_headers(reading: ImageRequest, info: ObjectInfo, kind: Format | None) -> Headers:
    inline = kind is not None and reading.attname is None
    headers = {
        "Content-Type": kind.media_type if kind is not None else "application/octet-stream",
        "Content-Disposition": disposition(
            "inline" if inline else "attachment", reading.attname or file_name(info.key)
        ),
        "Content-Security-Policy": SANDBOX,
    }
    return headers | ({"Accept-Ranges": "bytes"} if info.size else {})


def _etag(info: ObjectInfo) -> str | None:
    return f'"{info.version}"' if info.version else None

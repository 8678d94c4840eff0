"""Originals as they are: whole, as a range, or 304."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from proxy.delivery.deadline import Deadline
from proxy.errors import ProxyError
from proxy.plan.output import Format
from proxy.plan.plan import CachePolicy
from proxy.plan.request import ImageRequest
from proxy.stores.base import ObjectInfo
from proxy.web.conditional import Preconditions, wanted_range
from proxy.web.headers import (
    SANDBOX,
    SECURITY,
    Headers,
    cache_headers,
    disposition,
    file_name,
    tag_headers,
    validator_headers,
)
from proxy.web.state import SITE


async def answer_original(request: web.Request, reading: ImageRequest, deadline: Deadline) -> web.StreamResponse:
    """Stream the original `reading.key`. One call to the store when there are neither conditions nor a range."""
    request["outcome"] = "original"
    passthrough = request.app[SITE].passthrough
    conditions = Preconditions.read(request.headers)
    conditional = conditions.present or conditions.if_match or conditions.if_unmodified_since
    if request.method == "GET" and not conditional and "Range" not in request.headers:
        async with passthrough.open(reading.key, deadline) as opened:
            headers = _headers(request, reading, opened.info, opened.format)
            return await _stream(request, 200, headers, opened.info.size, opened.chunks)
    info = await passthrough.stat(reading.key, deadline)
    etag = _etag(info)
    if conditions.present and conditions.is_current(etag, info.modified):
        headers = _headers(request, reading, info, None)
        for name in ("Content-Type", "Content-Disposition", "Accept-Ranges", "Content-Security-Policy"):
            headers.pop(name, None)
        return web.Response(status=304, headers=headers)
    conditions.check(etag, info.modified)
    headers = _headers(request, reading, info, await passthrough.kind(info, deadline))
    if request.method == "HEAD":
        headers["Content-Length"] = str(info.size)
        return web.Response(headers=headers)
    span = wanted_range(request.headers, size=info.size, etag=etag, modified=info.modified)
    if span is None:
        async with passthrough.open(reading.key, deadline) as opened:
            headers = _headers(request, reading, opened.info, opened.format)
            return await _stream(request, 200, headers, opened.info.size, opened.chunks)
    headers["Content-Range"] = f"bytes {span.first}-{span.last}/{info.size}"
    async with passthrough.open_range(info, span, deadline) as opened:
        return await _stream(request, 206, headers, span.last - span.first + 1, opened.chunks)


async def _stream(
    request: web.Request, status: int, headers: Headers, size: int, chunks: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Write chunks as they arrive. Once the status is out, a failure can only cut the connection."""
    response = web.StreamResponse(status=status, headers={**headers, "X-Request-Id": request["id"]})
    response.content_length = size
    await response.prepare(request)
    try:
        async for chunk in chunks:
            await response.write(chunk)
    except ProxyError as error:
        # The promised length will not be met: break the connection so that no cache keeps half an original.
        request["error"] = error
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionError("the original broke off") from error
    with contextlib.suppress(ConnectionError):
        await response.write_eof()
    return response


def _headers(request: web.Request, reading: ImageRequest, info: ObjectInfo, kind: Format | None) -> Headers:
    site = request.app[SITE]
    versioned = reading.version_token is not None
    inline = kind is not None and reading.attname is None
    headers: Headers = {
        **SECURITY,
        **cache_headers(CachePolicy(), site.cache, versioned=versioned),
        **validator_headers(_etag(info), info.modified),
        **tag_headers(info.key, ()),
        "Cache-Status": "imgbang; fwd=request; detail=original",
        "Accept-Ranges": "bytes",
        "Content-Type": kind.media_type if kind is not None else "application/octet-stream",
        "Content-Disposition": disposition(
            "inline" if inline else "attachment", reading.attname or file_name(info.key)
        ),
        "Content-Security-Policy": SANDBOX,
    }
    return headers


def _etag(info: ObjectInfo) -> str:
    return f'"{info.version}"'

"""A small, well-behaved web server of originals, in the test's own event loop."""

from __future__ import annotations

import hashlib
from email.utils import formatdate
from typing import Self

from aiohttp import web
from aiohttp.test_utils import TestServer


class Origin:
    """Serves `objects` below `/pictures/`: HEAD, GET, ranges, ETags."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.raw_paths: list[str] = []
        """What was asked for, as it came."""
        self.ranges = True
        self.head = True
        self.extra: dict[str, str] = {}
        """Further headers of every answer; an empty value removes one."""
        app = web.Application()
        app.router.add_route("*", "/pictures/{key:.*}", self._serve)
        self._server = TestServer(app, host="127.0.0.1")

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}/pictures"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.raw_paths.append(request.raw_path)
        if request.method == "HEAD" and not self.head:
            raise web.HTTPMethodNotAllowed("HEAD", ["GET"])
        body = self.objects.get(request.match_info["key"])
        if body is None:
            raise web.HTTPNotFound
        headers = {
            "ETag": f'"{hashlib.md5(body).hexdigest()}"',
            "Last-Modified": formatdate(1_700_000_000, usegmt=True),
            "Content-Type": "image/png",
        } | self.extra
        headers = {name: value for name, value in headers.items() if value}
        span = request.http_range if self.ranges and "Range" in request.headers else None
        if span is None:
            return web.Response(body=body, headers=headers)
        part = body[span]
        if not part:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
        first = span.start or 0
        headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(body)}"
        return web.Response(status=206, body=part, headers=headers)

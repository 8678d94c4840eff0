"""The listening server: aiohttp's, hardened where it meets strangers directly.

Two things that aiohttp leaves open are closed here. It waits for the first request on a connection without any timer,
so half a header can hold a connection for ever; and it answers malformed HTTP with a text that quotes its parser, and a
traceback in the log for each. nginx in front does both better; a proxy that is reached directly must survive, too.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from proxy import logs
from proxy.web.errors import problem_response
from proxy.web.headers import NO_STORE, SECURITY

_log = logs.get("server")

FIRST_REQUEST_SECONDS = 10.0
"""A connection must have sent one whole request head by then."""
_CODES = {
    400: "malformed_http",
    408: "request_timeout",
    413: "too_large",
    414: "uri_too_long",
    431: "headers_too_large",
}


class _HardenedHandler(RequestHandler):
    """One connection."""

    __slots__ = ("_first_request_timer",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the timer for the first request."""
        super().connection_made(transport)
        self._first_request_timer = asyncio.get_running_loop().call_later(FIRST_REQUEST_SECONDS, self._give_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the timer."""
        self._first_request_timer.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self._request_count == 0 and self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP, or not within its limits, without quoting the parser."""
        del message
        _malformed.note(status, exc)
        if request.writer is not None and request.writer.output_size > 0:
            raise ConnectionError("an answer was already under way")
        code = _CODES.get(status, "malformed_http" if status < 500 else "internal_error")
        text = "the request is not well-formed HTTP, or its line or headers are too long"
        detail = text if status < 500 else "an internal error; it has been logged"
        response = problem_response(status, code, detail, {**SECURITY, **NO_STORE})
        response.force_close()
        return response


class _MalformedLog:
    """One line a second at most: strangers must not fill the log."""

    def __init__(self) -> None:
        self._last = 0.0
        self._silent = 0

    def note(self, status: int, exc: BaseException | None) -> None:
        now = time.monotonic()
        if now - self._last < 1:
            self._silent += 1
            return
        _log.info("malformed_http", status=status, kind=type(exc).__name__, not_logged=self._silent)
        self._last, self._silent = now, 0


_malformed = _MalformedLog()


class _HardenedServer(web.Server):
    """Makes hardened connections."""

    handler_settings: dict[str, Any]

    def __call__(self) -> RequestHandler:
        return _HardenedHandler(self, loop=asyncio.get_running_loop(), **self.handler_settings)


class Runner(web.AppRunner):
    """Runs an application on a hardened server.

    A client that goes away cancels its handler: when nobody waits any more, the work is given up.
    """

    def __init__(self, app: web.Application, *, shutdown_timeout: float) -> None:
        self._handler_settings: dict[str, Any] = {
            "access_log": None,
            # Longer than nginx keeps idle upstream connections, so that nginx is the one to close.
            "keepalive_timeout": 75.0,
            "auto_decompress": False,
        }
        super().__init__(app, handler_cancellation=True, shutdown_timeout=shutdown_timeout, **self._handler_settings)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        server = _HardenedServer(made.request_handler, request_factory=made.request_factory, handler_cancellation=True)
        server.handler_settings = self._handler_settings
        return server

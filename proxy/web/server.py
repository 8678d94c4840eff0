"""The listening server: aiohttp's, hardened where it meets strangers directly.

Three things that aiohttp leaves open are closed here. Half a header can hold a connection for as long as an idle one
may live; a client that stops reading holds its answer, and its slot, for ever; and malformed HTTP is answered with a
text that quotes the parser, and costs a traceback in the log each time. nginx in front does all of it better; a proxy
that is reached directly must survive, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from proxy import logs
from proxy.web.errors import problem_response
from proxy.web.headers import NO_STORE, SECURITY, SERVER

_log = logs.get("server")

FIRST_REQUEST_SECONDS = 10.0
"""A connection must have sent one whole request head by then."""
STALLED_SECONDS = 30.0
"""A client must have taken something of its answer by then."""
_CODES = {
    400: "malformed_http",
    408: "request_timeout",
    413: "too_large",
    414: "uri_too_long",
    431: "headers_too_large",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a connection has."""

    first_request: float = FIRST_REQUEST_SECONDS
    stalled: float = STALLED_SECONDS


class _HardenedHandler(RequestHandler):
    """One connection."""

    __slots__ = ("_first_request_timer", "_patience", "_stalled_timer")

    def __init__(self, server: web.Server, *, patience: Patience, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._patience = patience
        self._first_request_timer: asyncio.TimerHandle | None = None
        self._stalled_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the timer for the first request."""
        super().connection_made(transport)
        self._first_request_timer = self._loop.call_later(self._patience.first_request, self._expect_request)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the timers."""
        for timer in (self._first_request_timer, self._stalled_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client has more unread than fits: from now on it has so much time to read some of it."""
        super().pause_writing()
        self._stalled_timer = self._loop.call_later(self._patience.stalled, self._abort)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        if self._stalled_timer is not None:
            self._stalled_timer.cancel()

    def _expect_request(self) -> None:
        if self._request_count == 0:
            self._abort()

    def _abort(self) -> None:
        if self.transport is not None:
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
        if status < 500:
            _malformed.note(status, exc)
        else:  # raised where no middleware could see it
            _log.error("internal_error", exc_info=exc)
        if request.writer is not None and request.writer.output_size > 0:
            raise ConnectionError("an answer was already under way")
        code = _CODES.get(status, "malformed_http" if status < 500 else "internal_error")
        text = "the request is not well-formed HTTP, or its line or headers are too long"
        detail = text if status < 500 else "an internal error; it has been logged"
        # No application stands behind this answer, so nobody else names the server; aiohttp would name itself.
        response = problem_response(status, code, detail, {**SECURITY, **NO_STORE, "Server": SERVER})
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

    patience: Patience
    handler_settings: dict[str, Any]

    def __call__(self) -> RequestHandler:
        loop = asyncio.get_running_loop()
        return _HardenedHandler(self, patience=self.patience, loop=loop, **self.handler_settings)


async def _nobody(_: web.BaseRequest) -> web.StreamResponse | None:
    return None


@dataclass(frozen=True, slots=True)
class Before:
    """Who may answer before the application; None: it is not for them."""

    at_once: Callable[[web.BaseRequest], web.StreamResponse | None] = lambda _: None
    waiting: Callable[[web.BaseRequest], Awaitable[web.StreamResponse | None]] = _nobody


class Runner(web.AppRunner):
    """Runs an application on a hardened server.

    A client that goes away cancels its handler: when nobody waits any more, the work is given up. Before the
    application, with its routes and middlewares, those in `before` may answer; they must not raise.
    """

    def __init__(
        self,
        app: web.Application,
        *,
        shutdown_timeout: float,
        patience: Patience = Patience(),
        before: Before = Before(),
    ) -> None:
        self._patience = patience
        self._before = before
        self._handler_settings: dict[str, Any] = {
            "access_log": None,
            # Longer than nginx keeps idle upstream connections, so that nginx is the one to close.
            "keepalive_timeout": 75.0,
            "auto_decompress": False,
        }
        super().__init__(app, handler_cancellation=True, shutdown_timeout=shutdown_timeout, **self._handler_settings)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        before, application = self._before, made.request_handler

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            response = before.at_once(request)
            if response is None:
                response = await before.waiting(request)
            return response if response is not None else await application(request)

        server = _HardenedServer(handle, request_factory=made.request_factory, handler_cancellation=True)
        server.patience, server.handler_settings = self._patience, self._handler_settings
        return server

"""Around every request: an id, a timer, one line in the log, one count in the metrics."""

from __future__ import annotations

import asyncio
import re
import secrets
import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy import logs
from proxy.metrics import Metrics
from proxy.web.state import ERROR, OUTCOME, REQUEST_ID, STAGES

_log = logs.get("access")
_UNLOGGED = frozenset({"/-/live", "/-/ready", "/-/metrics"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def access_middleware(metrics: Metrics) -> Middleware:
    """Log and count each request once, when its answer has been decided."""

    @web.middleware
    async def log_access(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        given = request.headers.get("X-Request-Id", "")
        request[REQUEST_ID] = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        request[OUTCOME] = "other"
        status, size = 499, 0
        try:
            response = await handler(request)
            status = response.status
            if request.method != "HEAD":
                size = response.content_length or (response.body_length if response.prepared else 0)
            if not response.prepared:
                response.headers["X-Request-Id"] = request[REQUEST_ID]
        except (asyncio.CancelledError, ConnectionError):
            request[OUTCOME] = "client-gone"
            raise
        else:
            return response
        finally:
            seconds = time.perf_counter() - started
            _record(metrics, request, status, seconds, size)

    return log_access


def _record(metrics: Metrics, request: web.Request, status: int, seconds: float, size: int) -> None:
    error = request.get(ERROR)
    outcome = "error" if error is not None else request[OUTCOME]
    metrics.requests.labels(str(status), outcome).inc()
    metrics.request_seconds.labels(outcome).observe(seconds)
    if request.path in _UNLOGGED:
        return  # probes and scrapes would drown the pictures
    fields: dict[str, object] = {
        "method": request.method,
        "path": request.raw_path[:2048],
        "status": status,
        "outcome": outcome,
        "bytes": size,
        "ms": round(seconds * 1000, 2),
        "id": request[REQUEST_ID],
    }
    if error is not None:
        fields["code"] = error.code
        fields["detail"] = error.message
        cause = error.__cause__
        if cause is not None:
            fields["cause"] = " | ".join([_line(cause), *getattr(cause, "__notes__", ())])[:1000]
        if notes := getattr(error, "__notes__", None):
            fields["notes"] = " | ".join(notes)[:1000]
    if STAGES in request:
        fields["stages_ms"] = {stage: round(took * 1000, 2) for stage, took in request[STAGES].seconds.items()}
    if status >= 500:
        _log.warning("request", **fields)
    else:
        _log.info("request", **fields)


def _line(cause: BaseException) -> str:
    """A cause on one line. One from a render worker holds a whole traceback; its last line says what happened."""
    lines = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {lines[-1]}" if lines else type(cause).__name__

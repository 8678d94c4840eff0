"""Around every request: an id, a timer, one line in the log, one count in the metrics."""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import time
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy import logs
from proxy.delivery.answer import Stages
from proxy.errors import ProxyError
from proxy.metrics import Metrics
from proxy.web.state import ERROR, OUTCOME, REQUEST_ID, STAGES

_log = logs.get("access")
_UNLOGGED = frozenset({"/-/live", "/-/ready", "/-/metrics"})
_ids = random.Random(secrets.token_bytes(16))  # noqa: S311 -- no secret, and asking the kernel takes longer than a hit
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def access_middleware(metrics: Metrics) -> Middleware:
    """Log and count each request once, when its answer has been decided."""

    @web.middleware
    async def log_access(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        request[REQUEST_ID] = request_id(request.headers)
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
            error = request.get(ERROR)
            outcome = "error" if error is not None else request[OUTCOME]
            seconds = time.perf_counter() - started
            record(
                metrics,
                request,
                status=status,
                outcome=outcome,
                seconds=seconds,
                size=size,
                number=request[REQUEST_ID],
                **_details(request, error),
            )

    return log_access


def request_id(headers: Mapping[str, str]) -> str:
    """The id that the client or a proxy in front gave the request, if it is a decent one; else a new one."""
    given = headers.get("X-Request-Id", "")
    return given if given and _REQUEST_ID.fullmatch(given) else f"{_ids.getrandbits(64):016x}"


def record(
    metrics: Metrics,
    request: web.BaseRequest,
    *,
    status: int,
    outcome: str,
    seconds: float,
    size: int,
    number: str,
    **details: object,
) -> None:
    """Count a request and write its line; `number` is its id, `details` are further fields of the line."""
    metrics.answers.count(status, outcome, seconds)
    path = request.raw_path
    if path.startswith("/-/") and path.partition("?")[0] in _UNLOGGED:
        return  # probes and scrapes would drown the pictures
    log = _log.warning if status >= 500 else _log.info
    log(
        "request",
        method=request.method,
        path=path[:2048],
        status=status,
        outcome=outcome,
        bytes=size,
        ms=round(seconds * 1000, 2),
        id=number,
        **details,
    )


def record_early(
    metrics: Metrics, request: web.BaseRequest, began: float, status: int, outcome: str, *, size: int, **details: object
) -> str:
    """Count and log a request that is answered before the application; returns its id. `began`: of `perf_counter`."""
    number, seconds = request_id(request.headers), time.perf_counter() - began
    record(metrics, request, status=status, outcome=outcome, seconds=seconds, size=size, number=number, **details)
    return number


def _details(request: web.Request, error: ProxyError | None) -> dict[str, object]:
    """What a line says beside: why a request failed, and where the time went."""
    fields: dict[str, object] = {}
    if error is not None:
        fields["code"] = error.code
        fields["detail"] = error.message
        cause = error.__cause__
        if cause is not None:
            fields["cause"] = " | ".join([_line(cause), *getattr(cause, "__notes__", ())])[:1000]
        if notes := getattr(error, "__notes__", None):
            fields["notes"] = " | ".join(notes)[:1000]
    return fields | stage_details(request.get(STAGES))


def stage_details(stages: Stages | None) -> dict[str, object]:
    """Where the time went, in milliseconds."""
    if stages is None:
        return {}
    return {"stages_ms": {stage: round(took * 1000, 2) for stage, took in stages.seconds.items()}}


def _line(cause: BaseException) -> str:
    """A cause on one line: of several, the last says what happened."""
    lines = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {lines[-1]}" if lines else type(cause).__name__

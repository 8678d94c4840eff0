"""From an exception to an answer: the one table of statuses, the one shape of bodies.

The body is `application/problem+json` (RFC 9457) with a stable `code`, and an `error` member, which is what clients of
Qiniu's API read. Whatever is not a ProxyError is a bug: it is logged with its traceback and answered with a bare 500.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import HttpVersion10, web
from aiohttp.typedefs import Handler, Middleware

from proxy import logs
from proxy.errors import (
    CannotRender,
    ClientGone,
    DeadlinePassed,
    Forbidden,
    InvalidRequest,
    MethodRefused,
    NotAnImage,
    OriginalNotFound,
    OriginalTooLarge,
    OriginUnavailable,
    Overloaded,
    PreconditionFailed,
    ProxyError,
    RangeRefused,
    Unauthorized,
)
from proxy.web.headers import (
    NO_STORE,
    PICTURE_METHODS,
    PRIVATE,
    SECURITY,
    CacheDefaults,
    Headers,
    negative_headers,
)
from proxy.web.state import ERROR

_log = logs.get("errors")

STATUS: Mapping[type[ProxyError], int] = {
    InvalidRequest: 400,
    Unauthorized: 401,
    Forbidden: 403,
    OriginalNotFound: 404,
    MethodRefused: 405,
    PreconditionFailed: 412,
    OriginalTooLarge: 413,
    NotAnImage: 415,
    RangeRefused: 416,
    CannotRender: 422,
    ClientGone: 499,
    OriginUnavailable: 502,
    Overloaded: 503,
    DeadlinePassed: 504,
    ProxyError: 500,
}
"""Looked up along the class's bases, so a new subclass already has an answer. 499 is never sent: it is for the log."""

_LIES_IN_THE_ORIGINAL = (OriginalNotFound, OriginalTooLarge, NotAnImage, CannotRender)
"""Worth keeping for a moment; everything else is not stored at all."""


def status_of(error: ProxyError) -> int:
    """The HTTP status of an error."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def problem(error: ProxyError, defaults: CacheDefaults) -> web.Response:
    """The answer to an error."""
    status = status_of(error)
    headers: Headers = {**SECURITY, **_caching(error, defaults)}
    match error:
        case Overloaded():
            headers["Retry-After"] = str(error.retry_after)
        case RangeRefused():
            headers["Content-Range"] = f"bytes */{error.size}"
        case MethodRefused():
            headers["Allow"] = PICTURE_METHODS
        case Unauthorized():
            headers["WWW-Authenticate"] = 'Bearer realm="imgbang"'
    return problem_response(status, error.code, error.message, headers)


def problem_response(status: int, code: str, message: str, headers: Mapping[str, str]) -> web.Response:
    """A problem body; for errors of the HTTP layer itself, too."""
    body = {"type": "about:blank", "title": _title(status), "status": status, "code": code, "detail": message}
    body["error"] = message
    return web.Response(
        status=status,
        body=json_bytes(body),
        headers={"Content-Type": "application/problem+json", **headers},
    )


def json_bytes(value: object) -> bytes:
    """Write JSON as UTF-8. A client's broken bytes arrive as lone surrogates, which only an escape can hold."""
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")


def _caching(error: ProxyError, defaults: CacheDefaults) -> Headers:
    if isinstance(error, _LIES_IN_THE_ORIGINAL):
        return negative_headers(defaults)
    if isinstance(error, Unauthorized | Forbidden):
        return dict(PRIVATE)
    return dict(NO_STORE)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def error_middleware(defaults: CacheDefaults) -> Middleware:
    """Turn every exception below into an answer, here and nowhere else."""

    @web.middleware
    async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.version < HttpVersion10:
            # HTTP/0.9 has no headers: what a cache or a browser makes of such an answer is anybody's guess.
            return problem(InvalidRequest("this is a server of HTTP/1.1; HTTP/0.9 is not understood"), defaults)
        try:
            return await handler(request)
        except ProxyError as error:
            request[ERROR] = error
            return problem(error, defaults)
        except web.HTTPException as error:
            return problem_response(
                error.status, _http_code(error.status), _http_text(error.status), _http_headers(error)
            )
        except ConnectionError:
            raise  # the client went away while its answer was being written: nobody is left to tell
        except Exception as error:  # noqa: BLE001 -- the last resort: a bug is logged whole and answered with nothing
            request[ERROR] = ProxyError("an internal error; it has been logged")
            _log.error("internal_error", path=request.raw_path[:200], exc_info=error)
            return problem(request[ERROR], defaults)

    return answer_errors


def _http_headers(error: web.HTTPException) -> Headers:
    headers: Headers = {**SECURITY, **NO_STORE}
    if "Allow" in error.headers:
        headers["Allow"] = error.headers["Allow"]
    return headers


def _http_code(status: int) -> str:
    return _title(status).lower().replace(" ", "_")


def _http_text(status: int) -> str:
    return f"{_title(status).lower()}; see the documentation for the paths and methods there are"

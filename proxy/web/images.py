"""`GET /<anything>`: a picture, or an original.

A URL has one reading or several (a key may itself look like a preset of another key). The first whose original exists
is answered; when none does, the error explains the preferred one.
"""

from __future__ import annotations

import time
from contextlib import nullcontext

from aiohttp import web

from proxy.delivery.answer import Answer
from proxy.delivery.deadline import Deadline
from proxy.errors import MethodRefused, OriginalNotFound, Unauthorized
from proxy.plan.plan import Plan
from proxy.plan.request import AskAdhoc, AskOriginal, ImageRequest
from proxy.plan.signing import may_save, signed_until
from proxy.web.conditional import Preconditions, wanted_range
from proxy.web.headers import (
    PICTURE_METHODS,
    SANDBOX,
    SECURITY,
    answer_headers,
    negative_headers,
)
from proxy.web.herds import HERDS
from proxy.web.originals import answer_original
from proxy.web.repeats import REPEATS
from proxy.web.state import ERROR, FAILED, OUTCOME, SIGNED_UNTIL, SITE, STAGES


async def get_image(request: web.Request) -> web.StreamResponse:
    """Answer a picture URL."""
    if request.method == "OPTIONS":
        return _options()
    if request.method not in ("GET", "HEAD"):
        raise MethodRefused(f"pictures are read with GET or HEAD, not {request.method[:20]}")
    if FAILED in request:
        raise request[FAILED]
    site = request.app[SITE]
    deadline = Deadline.after(site.deadline)
    until = signed_until(request.raw_path, request.host, site.signing_keys, time.time())
    if until is not None:
        request[SIGNED_UNTIL] = until
    saves = may_save(request.raw_path, request.host, site.signing_keys)
    signed = saves or until is not None
    readings = site.planner.read(request.raw_path, signed=signed)
    for reading in readings:
        try:
            return await _answer_reading(request, reading, deadline, repeatable=reading is readings[0] and not signed)
        except OriginalNotFound:
            continue
    missing = readings[0].not_found()
    wanted = isinstance(missing, OriginalNotFound) and "qiniu" in site.book.current.dialects
    page = await site.missing_page.get(deadline) if wanted else None
    if page is None:
        raise missing
    request[ERROR] = missing
    headers = {**SECURITY, **negative_headers(site.cache), "Content-Security-Policy": SANDBOX}
    return web.Response(status=404, body=page.body, headers={**headers, "Content-Type": page.media_type})


async def _answer_reading(
    request: web.Request, reading: ImageRequest, deadline: Deadline, *, repeatable: bool
) -> web.StreamResponse:
    if isinstance(reading.asked, AskOriginal):
        return await answer_original(request, reading, deadline)
    site = request.app[SITE]
    plan = site.planner.plan(reading, request.headers.get("Accept"))
    save_as = reading.asked.save_as if isinstance(reading.asked, AskAdhoc) else None
    if save_as is not None and (site.saver is None or not may_save(request.raw_path, request.host, site.signing_keys)):
        raise Unauthorized("saveas needs a signature")
    conditions = Preconditions() if save_as else Preconditions.read(request.headers)
    with request.app[HERDS].gathering(request, reading, plan) if repeatable else nullcontext():
        answer = await site.renderer.answer(plan, deadline, conditions)
    if save_as is not None and site.saver is not None and answer.result is not None and request.method == "GET":
        await site.saver.save(save_as, answer.result, deadline)
    request[OUTCOME] = answer.outcome.value
    request[STAGES] = answer.stages
    conditions.check(answer.etag, answer.modified)  # before 304, too: If-Match comes first (RFC 9110 section 13.2.2)
    if repeatable:
        request.app[REPEATS].remember(request, reading, plan, answer)
    return _respond(request, reading, plan, answer)


def _respond(request: web.Request, reading: ImageRequest, plan: Plan, answer: Answer) -> web.Response:
    """The response to an answer: whole, a range of it, or 304."""
    result = answer.result
    headers = answer_headers(reading, plan, answer, request.app[SITE].cache, until=request.get(SIGNED_UNTIL))
    if result is None:
        return web.Response(status=304, headers=headers)
    if request.method == "HEAD":
        return web.Response(body=result.body, headers=headers)
    span = wanted_range(request.headers, size=len(result.body), etag=answer.etag, modified=answer.modified)
    if span is None:
        return web.Response(body=result.body, headers=headers)
    headers["Content-Range"] = f"bytes {span.first}-{span.last}/{len(result.body)}"
    return web.Response(status=206, body=result.body[span.first : span.last + 1], headers=headers)


def _options() -> web.Response:
    """Answer a CORS preflight without looking anything up."""
    headers = {
        **SECURITY,
        "Allow": PICTURE_METHODS,
        "Access-Control-Allow-Methods": PICTURE_METHODS,
        "Access-Control-Allow-Headers": "Range, If-None-Match, If-Modified-Since",
        "Access-Control-Max-Age": "86400",
        "Cache-Control": "public, max-age=86400",
    }
    return web.Response(status=204, headers=headers)

"""Refusals at once: a request that finds no place to be rendered is told so before the application begins.

Under ten times the load that it can take, a server refuses nine requests of ten, and what that costs is missing where
pictures are made. What decides is a plan and a cheap look at the store; routing, middlewares, an exception and a head
written anew were a third of the cost.

Rules:

1. It is the answer, the line in the log and the count that the application would give.
2. Refused is a plain request (`alike.py`) without a signature or an entity tag, for a picture of the preferred reading
   with nothing of another key drawn on it: as long as there is no place left, its result is surely not there, and
   nobody renders it. What the store cannot tell cheaply, or soon, is left to the application.
3. The look begins when few places are left: while one is looked for, others come, and but one of them gets the place.
   When the look began with the last place, one refusal of six was made by the application after all.
4. Who was refused is not heard again at once (`rests.py`).
5. While there are places enough this costs one comparison.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import hdrs, web

from proxy.errors import Overloaded, ProxyError
from proxy.plan.plan import Plan
from proxy.plan.request import AskAdhoc, AskOriginal
from proxy.plan.signing import carries_signature
from proxy.web.access import record_early
from proxy.web.alike import is_plain
from proxy.web.errors import problem, status_of
from proxy.web.headers import SERVER
from proxy.web.ready import ReadyResponse, written_head
from proxy.web.rests import Rests
from proxy.web.state import Site

_SOON = 0.3
"""Seconds, a third of them for the look at the store. What takes longer has the deadline of the application."""


class Refusals:
    """Who is refused before the application hears of it."""

    def __init__(self, site: Site, *, ending: Callable[[], bool]) -> None:
        self._site = site
        self._ending = ending
        self._rests = Rests()
        # Mutable state: heads and bodies by message, which tells the seconds to wait: some dozens.
        self._written: dict[str, tuple[bytes, bytes]] = {}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """The refusal, logged and counted. None: the request has to go the whole way."""
        if not self._site.renderer.is_nearly_full:
            return None
        began = time.perf_counter()
        plan = self._plan(request)
        if plan is None:
            return None
        try:
            error = await self._site.renderer.refusal(plan, min(_SOON, self._site.deadline))
        except asyncio.CancelledError:
            record_early(self._site.metrics, request, began, 499, "client-gone", size=0)
            raise
        if error is None or self._ending():
            return None
        head, body = self._write(error)
        details = {"code": error.code, "detail": error.message}
        number = record_early(self._site.metrics, request, began, status_of(error), "error", size=len(body), **details)
        # Where a body is still to come, aiohttp says when to read.
        if request.transport is not None and not request.can_read_body:
            self._rests.begin(request.transport)
        return ReadyResponse(head, body, number=number)

    def _plan(self, request: web.BaseRequest) -> Plan | None:
        """The plan of a request that may be refused here."""
        target, headers = request.raw_path, request.headers
        if not is_plain(request) or hdrs.IF_NONE_MATCH in headers or carries_signature(target):
            return None
        try:
            reading = self._site.planner.read(target)[0]
            asked = reading.asked
            if isinstance(asked, AskOriginal) or (isinstance(asked, AskAdhoc) and asked.save_as is not None):
                return None
            plan = self._site.planner.plan(reading, headers.get(hdrs.ACCEPT))
        except ProxyError:
            return None
        return None if plan.overlays else plan

    def _write(self, error: Overloaded) -> tuple[bytes, bytes]:
        written = self._written.get(error.message)
        if written is None:
            response = problem(error, self._site.cache)
            assert isinstance(response.body, bytes)
            headers = {**response.headers, hdrs.SERVER: SERVER, hdrs.CONTENT_LENGTH: str(len(response.body))}
            written = written_head(HTTPStatus(response.status), headers.items()), response.body
            self._written[error.message] = written
        return written


REFUSALS = web.AppKey("refusals", Refusals)

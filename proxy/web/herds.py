"""Herds: requests for a picture that is being rendered for somebody who asked for the very same a moment ago.

When a page goes live, hundreds ask for its picture before the first render has ended. The first of them has read the
URL and planned; the others take its plan to the renderer, where they wait for the same render, and get a head that is
written once. The whole story took a sixth of a millisecond for each of them after the render, so that the last of five
hundred waited two or three times as long as it took.

Rules:

1. Joined is an unsigned request for its preferred reading, without conditions, by those that are alike (`alike.py`),
   while the presets are the same. Nothing of another key is drawn on it.
2. Who joins waits for the render itself, not for the first: that may leave.
3. A failure is raised in the application, by `get_image`, so that it becomes an answer where all others do. When the
   original is missing, other readings of the URL are tried, which is the application's business, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from proxy.delivery.answer import NO_CONDITIONS, Answer
from proxy.delivery.deadline import Deadline
from proxy.errors import OriginalNotFound, ProxyError
from proxy.plan.plan import Plan
from proxy.plan.presets import PresetSnapshot
from proxy.plan.request import ImageRequest
from proxy.web.access import record_early, stage_details
from proxy.web.alike import Place, is_plain, place_of
from proxy.web.ready import ReadyResponse, head_of
from proxy.web.state import FAILED, Site


@dataclass(slots=True)
class _Awaited:
    """What somebody waits for."""

    snapshot: PresetSnapshot
    reading: ImageRequest
    plan: Plan
    # Mutable state: the answer that a head was last written for, and the head.
    written: tuple[Answer, bytes] | None = None


class Herds:
    """Who waits for what, by request."""

    def __init__(self, site: Site, *, ending: Callable[[], bool]) -> None:
        self._site = site
        self._ending = ending
        # Mutable state: as many entries as there are requests that wait.
        self._awaited: dict[Place, _Awaited] = {}

    @contextmanager
    def gathering(self, request: web.Request, reading: ImageRequest, plan: Plan) -> Iterator[None]:
        """Let others join this unsigned request for its preferred reading for as long as the block takes."""
        place = place_of(request)
        if place in self._awaited or place[2] is not None or plan.overlays or not is_plain(request):
            yield
            return
        self._awaited[place] = _Awaited(self._site.book.current, reading, plan)
        try:
            yield
        finally:
            del self._awaited[place]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """The response to a request whose picture is being rendered; logged and counted. None: go the whole way."""
        awaited = self._awaited.get(place_of(request))
        if awaited is None or not is_plain(request) or awaited.snapshot is not self._site.book.current:
            return None
        began = time.perf_counter()
        try:
            answer = await self._site.renderer.answer(awaited.plan, Deadline.after(self._site.deadline), NO_CONDITIONS)
        except OriginalNotFound:
            return None
        except ProxyError as error:
            request[FAILED] = error
            return None
        except asyncio.CancelledError:
            record_early(self._site.metrics, request, began, 499, "client-gone", size=0)
            raise
        if answer.result is None or self._ending():
            return None
        head, body = self._head(awaited, answer), answer.result.body
        details = stage_details(answer.stages)
        number = record_early(self._site.metrics, request, began, 200, answer.outcome.value, size=len(body), **details)
        return ReadyResponse(head, body, number=number)

    def _head(self, awaited: _Awaited, answer: Answer) -> bytes:
        """The head of the answer; the same for all that get this result in this way."""
        written = awaited.written
        if written is None or _way_of(written[0]) != _way_of(answer):
            written = awaited.written = answer, head_of(awaited.reading, awaited.plan, answer, self._site.cache)
        return written[1]


def _way_of(answer: Answer) -> tuple[int, str, str]:
    """What the head of an answer depends on, within one herd."""
    return id(answer.result), answer.outcome.value, answer.detail


HERDS = web.AppKey("herds", Herds)

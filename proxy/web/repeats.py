"""Hits once more: a request like one just answered gets that answer again, without the whole story.

A busy page asks for the same pictures over and over. Whether the last answer still holds takes a few comparisons; to
read the URL, plan, look everything up and write every header anew costs five times as much.

Rules:

1. What is remembered fits all requests that are alike (`alike.py`), as long as rule 2 holds: a picture of the preferred
   reading, whole, unsigned, with nothing of another key drawn on it; or a 304 for one.
2. It holds while the presets are the same, the original is known to be of the version it was made of, and memory has
   that very result (which a 304 does not need). So an edited preset, a changed original, a purge, and a freshness
   window that ends, end it. Where memory keeps no results, the store must know at once a result whose metadata are the
   same to the last field; its bytes are read and verified each time.
3. Every request that says more goes the whole way, and so does each on a connection that is to be closed politely.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from proxy.delivery.answer import KNOWN, Answer, Outcome
from proxy.delivery.result import Result
from proxy.delivery.results import Stored, Where
from proxy.plan.plan import Plan
from proxy.plan.planner import LONGEST_REMEMBERED
from proxy.plan.presets import PresetSnapshot
from proxy.plan.request import ImageRequest
from proxy.web.access import record_early
from proxy.web.alike import Place, is_plain, place_of, size_of
from proxy.web.ready import ReadyResponse, head_of
from proxy.web.state import Site

MOST_REMEMBERED = 4096
"""Answers; the oldest are forgotten. About 3 KB each, beside results that memory holds anyway."""
_HIT, _UNCHANGED = Outcome.HIT.value, Outcome.NOT_MODIFIED.value


@dataclass(frozen=True, slots=True)
class _Answered:
    """An answer, and what it rests on."""

    snapshot: PresetSnapshot
    plan: Plan
    etag: str
    result: Result | Stored | None
    """None: 304."""
    head: bytes


class Repeats:
    """The answers that may come again."""

    def __init__(self, site: Site, *, ending: Callable[[], bool]) -> None:
        self._site = site
        self._ending = ending
        self._answered: OrderedDict[Place, _Answered] = OrderedDict()  # mutable state

    def remember(self, request: web.Request, reading: ImageRequest, plan: Plan, answer: Answer) -> None:
        """Remember the answer of the preferred reading to a request without a signature, if it may come again."""
        place = place_of(request)
        stored = answer.detail == Where.STORE.value and self._site.renderer.is_only_stored(plan)
        whole = answer.outcome is Outcome.HIT and place[2] is None and (stored or answer.detail == Where.MEMORY.value)
        unchanged = answer.outcome is Outcome.NOT_MODIFIED and answer.detail == KNOWN and place[2] == answer.etag
        if not (whole or unchanged) or plan.overlays or request.method != "GET" or size_of(place) > LONGEST_REMEMBERED:
            return
        head = head_of(reading, plan, answer, self._site.cache)
        result = Stored(answer.result) if stored and answer.result is not None else answer.result
        self._answered[place] = _Answered(self._site.book.current, plan, answer.etag, result, head)
        self._answered.move_to_end(place)
        if len(self._answered) > MOST_REMEMBERED:
            self._answered.popitem(last=False)

    def answer(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """The response to a request that repeats one; logged and counted. None: it has to go the whole way."""
        began = time.perf_counter()
        answered = self._answered.get(place_of(request))
        if (
            answered is None
            or answered.snapshot is not self._site.book.current
            or not is_plain(request)
            or self._ending()
        ):
            return None
        if answered.result is None:
            if not self._site.renderer.is_current(answered.plan, answered.etag):
                return None
            status, outcome, body = 304, _UNCHANGED, b""
        else:
            found = self._held(answered.plan, answered.result)
            if found is None:
                return None
            status, outcome, body = 200, _HIT, found
        number = record_early(self._site.metrics, request, began, status, outcome, size=len(body))
        return ReadyResponse(answered.head, body, number=number)

    def _held(self, plan: Plan, result: Result | Stored) -> bytes | None:
        """The bytes of the result, if it is still there."""
        if isinstance(result, Stored):
            return self._site.renderer.find_again(plan, result)
        return result.body if self._site.renderer.holds(plan, result) else None


REPEATS = web.AppKey("repeats", Repeats)

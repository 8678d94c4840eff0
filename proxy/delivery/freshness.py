"""What is known of each original's version, and since when.

Rules:
- Within the freshness window after an original was seen, its version counts as known and nothing is asked.
- A missing original is remembered for a short time only, so that an upload shows up at once.
- Looking again is one HEAD, shared by everybody who needs it.
- What the store says counts as seen when it was asked, never overrules what was seen later, and is no knowledge at all
  if the key was forgotten (purged) in between: it may be older than what the purge was for.
- What replicas see they tell one another: a look begins with asking the fleet, and of those that would look in the
  background at the same time one does. What is heard is held to the same rules as what was seen here.
- When an original is gone although results of it were made, `on_gone` is told; nobody waits for that.
- Version "" means: it exists, but its store cannot tell one version from another. It equals no version, not even "".
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager

from proxy import logs
from proxy.delivery.singleflight import SingleFlight
from proxy.errors import OriginalNotFound, ProxyError
from proxy.fleet.base import Alone, Fleet, Known
from proxy.metrics import Metrics
from proxy.stores.base import Source

_log = logs.get("freshness")

MOST_KEYS = 100_000
"""Originals remembered; the least recently learnt are forgotten. About 300 bytes each."""
MOST_BACKGROUND = 256
"""Looks and purges under way that nobody waits for; more are left to the requests that come later."""
LOOKS_AWAITED = 10
LOOK_PAUSE = 0.1
"""A look in the background waits so often and so long for that of another replica, then looks itself."""


class Question:
    """A question to the store under way; what it answers is learnt here. Made by `Freshness.asking`."""

    def __init__(self, freshness: Freshness, key: str, asked: float) -> None:
        self._freshness = freshness
        self.key = key
        self.asked = asked
        # Mutable state: set when the key is forgotten before the answer is complete.
        self.outdated = False

    def learn(self, version: str, modified: float) -> Known:
        """Take note that the original is there."""
        return self._note(Known(version, modified, self.asked))

    def learn_missing(self) -> Known:
        """Take note that there is no such original."""
        return self._note(Known(None, 0.0, self.asked))

    def _note(self, known: Known) -> Known:
        if not self.outdated:
            self._freshness.note(self.key, known, ours=True)
        return known


class Freshness:
    """The versions of originals, as far as they are known."""

    def __init__(
        self,
        source: Source,
        *,
        window: float,
        negative_ttl: float,
        metrics: Metrics,
        on_gone: Callable[[str], Awaitable[object]],
        fleet: Fleet | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._window = window
        self._negative_ttl = negative_ttl
        self._metrics = metrics
        self._on_gone = on_gone
        self._fleet = fleet or Alone()
        self._clock = clock
        # Mutable state: what is known, the least recently learnt first; the questions under way; what runs unasked.
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._questions: set[Question] = set()
        self._looks: SingleFlight[Known] = SingleFlight()
        self._background: dict[tuple[str, str], asyncio.Task[None]] = {}

    def of(self, key: str) -> Known | None:
        """What is known and still counts as fresh; None otherwise."""
        known = self._known.get(key)
        return known if known is not None and self._is_fresh(known) else None

    def _is_fresh(self, known: Known) -> bool:
        lifetime = self._negative_ttl if known.version is None else self._window
        return self._clock() - known.seen < lifetime

    def last_seen(self, key: str) -> Known | None:
        """What was last seen, however long ago."""
        return self._known.get(key)

    @contextmanager
    def asking(self, key: str) -> Iterator[Question]:
        """Ask the store about `key` in the block, and let the question learn what it answers."""
        question = Question(self, key, self._clock())
        self._questions.add(question)
        try:
            yield question
        finally:
            self._questions.discard(question)

    def trust(self, key: str, version: str, modified: float, *, age: float) -> None:
        """Take over what a stored result says of its original, seen `age` seconds ago."""
        self.note(key, Known(version, modified, self._clock() - age))

    def note(self, key: str, known: Known, *, ours: bool = False) -> None:
        """Take note of what was seen, unless something was seen later. What is `ours` the others are told."""
        if ours:
            self._fleet.tell(key, known)
        before = self._known.get(key)
        if before is not None and before.seen > known.seen:
            return
        if known.version == "" and self.of(key) is not None and before is not None and before.version:
            return  # it is still there; the copy that was fetched within the window goes on being good enough
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > MOST_KEYS:
            self._known.popitem(last=False)
        if known.version is None and before is not None and before.version is not None:
            self.purge_later(key)

    def forget_where(self, wanted: Callable[[str], bool]) -> None:
        """Know nothing any more of the originals whose key is wanted, nor learn it from questions under way."""
        for key in [key for key in self._known if wanted(key)]:
            del self._known[key]
        for question in self._questions:
            question.outdated = question.outdated or wanted(question.key)

    async def look(self, key: str) -> Known:
        """Ask the store now, together with everybody else who asks; OriginalNotFound when it is not there."""
        known = await self._looks.run(key, lambda: self._look(key))
        if known.version is None:
            raise OriginalNotFound(f"no original {key!r}")
        return known

    async def look_for_result(self, key: str) -> Known:
        """As `look`, because there is a stored result: if its original is gone, that is purged."""
        before = self._known.get(key)
        try:
            return await self.look(key)
        except OriginalNotFound:
            if before is None or before.version is None:
                self.purge_later(key)  # that it is gone is no news, but a result was still there
            raise

    def look_later(self, key: str) -> None:
        """Ask the store about the original of a stored result without anybody waiting."""
        self._run_later("look", key, self._look_quietly)

    def purge_later(self, key: str) -> None:
        """Tell `on_gone` that results remain of an original that is gone, without anybody waiting."""
        self._run_later("purge", key, self._purge_quietly)

    async def close(self) -> None:
        """Cancel what runs in the background."""
        tasks = tuple(self._background.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._looks.close()

    def _run_later(self, what: str, key: str, work: Callable[[str], Coroutine[None, None, None]]) -> None:
        place = (what, key)
        if place in self._background or len(self._background) >= MOST_BACKGROUND:
            return
        task = self._background[place] = asyncio.create_task(work(key), name=what)
        task.add_done_callback(lambda _: self._background.pop(place))

    async def _look(self, key: str) -> Known:
        before = self._known.get(key)
        with self.asking(key) as question:
            heard = (await self._fleet.recall(key)).known
            if heard is not None and not question.outdated and self._is_fresh(heard):
                self.note(key, heard)
                self._metrics.revalidations.labels("heard").inc()
                return heard
            question.asked = self._clock()
            try:
                info = await self._source.stat(key)
            except OriginalNotFound:
                self._metrics.revalidations.labels("gone").inc()
                return question.learn_missing()
            except ProxyError:
                self._metrics.revalidations.labels("failed").inc()
                raise
            known = question.learn(info.version, info.modified)
        if question.outdated:
            return await self._look(key)  # who asks after a purge may have joined this: the answer must be newer
        same = before is None or before.is_of(info.version)
        self._metrics.revalidations.labels("same" if same else "changed").inc()
        return known

    async def _look_quietly(self, key: str) -> None:
        for _ in range(LOOKS_AWAITED):
            recalled = await self._fleet.recall(key, elect=True)
            if recalled.ours or (recalled.known is not None and self._is_fresh(recalled.known)):
                break  # heard it is, by the look itself
            await asyncio.sleep(LOOK_PAUSE)
        try:
            await self.look_for_result(key)
        except OriginalNotFound:
            pass  # noted, and its results are being purged
        except ProxyError as error:
            # The stale result goes on being served; the breaker and the metrics tell the operator, once.
            _log.debug("revalidation_failed", code=error.code, cause=repr(error.__cause__))

    async def _purge_quietly(self, key: str) -> None:
        try:
            await self._on_gone(key)
        except ProxyError as error:
            # What remains is found again by a request, which looks again.
            _log.warning("results_not_purged", code=error.code, cause=repr(error.__cause__))

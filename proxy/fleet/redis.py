"""A fleet that talks through Redis."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from proxy import logs
from proxy.errors import ProxyError
from proxy.fleet.base import Claim, Ears, Known, Purge, Recalled, Standing
from proxy.fleet.link import TIMEOUT, Link
from proxy.fleet.messages import error_of, error_text, purge_of, purge_text, seen_of, seen_text
from proxy.metrics import Metrics

_log = logs.get("fleet")

LEASE = 2.0
"""Seconds after which the turn of a replica that died is free."""
RENEWALS = 4
"""Renewals of a turn in that time, as long as it is held."""
LOOKING = 1.0
"""Seconds for which one replica is trusted to look at an original again, before another does."""
OUTCOME = 3.0
"""Seconds for which the end of a turn can be read."""
TOMBSTONE = 600.0
"""Seconds for which a purge is remembered: longer than anything that began before it can take."""
REST = 2.0
"""Seconds between two greetings while Redis is away, varied by a fifth so that replicas do not come in step."""
LISTEN = 1.0
"""Seconds of one wait for messages."""
MOST_UNSENT = 1000
"""Notes that wait to be sent, and purges that wait for Redis to come back; the oldest are dropped."""
TOLD_AGAIN = 4
"""The same sight of an original is told so often within the freshness window, however often it is seen…"""
MOST_TOLD = 20_000
"""…for so many originals; beyond that more often."""
MOST_TASKS = 200
"""Purges of others under way; the reader of messages waits for them beyond that."""

_KINDS = {"v": True, "m": False}
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]{1,2})?")


class RedisFleet:
    """Replicas of one deployment: those whose results lie in the same place, on the same Redis."""

    def __init__(
        self,
        url: str,
        *,
        deployment: str,
        window: float,
        negative_ttl: float,
        metrics: Metrics,
        lease: float = LEASE,
        rest: float = REST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = Link(url, metrics, clock=clock)
        self._clock = clock
        self._lifetimes = {True: int(window * 1000), False: int(negative_ttl * 1000)}
        self._lease = lease
        self._rest = rest
        # One hash slot: the scripts would also run on a cluster.
        self._prefix = f"imgbang:{{{_digest(deployment)}}}:"
        self._id = secrets.token_hex(8)
        # Mutable state: what was told of originals, the version and when it was seen; what is to be sent, what is to be
        # said when Redis is back; the turns held here, token by name; the last message heard; what runs.
        self._told: OrderedDict[str, tuple[str | None, float]] = OrderedDict()
        self._notes: deque[tuple[str, Sequence[str], Sequence[str | int]]] = deque(maxlen=MOST_UNSENT)
        self._unsaid: deque[tuple[str, str]] = deque(maxlen=MOST_UNSENT)
        self._wake = asyncio.Event()
        self._held: dict[str, str] = {}
        self._heard = ""
        self._greeted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._heeding: set[asyncio.Task[None]] = set()

    @property
    def away(self) -> bool:
        """Whether Redis does not answer."""
        return not self._link.there

    async def follow(self, ears: Ears) -> None:
        """Begin to listen; waits for the first greeting, though not for long."""
        for work in (lambda: self._listen(ears), self._send, self._renew):
            self._run(self._for_ever(work), self._tasks)
        try:
            async with asyncio.timeout(0.5):
                await self._greeted.wait()
        except TimeoutError:
            pass  # it goes on being tried

    async def close(self) -> None:
        """End what runs, and every connection."""
        tasks = (*self._tasks, *self._heeding)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._link.there and self._notes:  # the ends of turns: nobody should wait for us
            await self._link.call(*self._notes.popleft())
        await self._link.close()

    def tell(self, key: str, known: Known) -> None:
        """Tell what was seen, without anybody waiting."""
        kind = "m" if known.version is None else "v"
        lifetime = self._lifetimes[known.version is not None]
        if known.version == "" or not lifetime or self.away:
            return
        version, told = self._told.get(key, ("", 0.0))
        if version == known.version and 0 <= known.seen - told < lifetime / 1000 / TOLD_AGAIN:
            return
        self._told[key] = (known.version, known.seen)
        self._told.move_to_end(key)
        if len(self._told) > MOST_TOLD:
            self._told.popitem(last=False)
        seen = self._link.theirs(known.seen)
        data = seen_text(key, known.version, known.modified, seen)
        keys = (self._epoch, self._of("v", key), self._said)
        self._note("TELL", keys, (seen, kind, repr(known.modified), known.version or "", lifetime, self._id, data))

    async def recall(self, key: str, *, elect: bool = False) -> Recalled:
        """What is known of an original, and whether we are to look at it."""
        asked = self._clock()
        keys = (self._epoch, self._of("v", key), self._of("look", key))
        reply = await self._link.call("RECALL", keys, (int(LOOKING * 1000) if elect else 0,))
        if reply is None:
            return Recalled()
        return Recalled(self._known(reply[0], reply[1], asked), bool(reply[2]))

    async def claim(self, key: str, name: str, *, past: str) -> Claim:
        """Ask for a turn."""
        asked = self._clock()
        keys = (self._epoch, self._of("v", key), self._of("t", name))
        token = secrets.token_hex(8)
        if self.away:
            return Claim(Standing.OURS)
        # Ours until we know better: a turn may be granted to who left, or to whom the answer came too late.
        self._held[name] = token
        try:
            reply = await self._link.call("CLAIM", keys, (token, int(self._lease * 1000), past))
        except BaseException:
            self.end(name, token, Standing.OURS)
            raise
        if reply is None:
            return Claim(Standing.OURS, token)
        now, sight, state, owner, rest, lifetime = reply
        error = error_of(rest) if state == Standing.FAILED.value else None
        if state == "h":
            standing = Standing.THEIRS
        elif state in (Standing.OURS.value, Standing.SAVED.value) or error is not None:
            standing = Standing(state)
        else:
            standing = Standing.UNSAVED  # also what only a newer version can read: find out
        if standing is not Standing.OURS:
            self._drop(name, token)
        return Claim(standing, owner, self._known(now, sight, asked), error, max(0, lifetime) / 1000)

    async def saved(self, key: str, name: str, token: str, *, version: str, age: float) -> bool:
        """End a turn whose result was saved."""
        self._drop(name, token)
        seen = self._link.theirs(self._clock() - age)
        arguments = (token or "-", "saved", seen, version, "", int(OUTCOME * 1000))
        reply = await self._link.call("END", (self._epoch, self._of("v", key), self._of("t", name)), arguments)
        return reply is None or bool(reply[1])

    def end(self, name: str, token: str, standing: Standing, error: ProxyError | None = None) -> None:
        """End a turn whose result was not saved."""
        self._drop(name, token)
        lifetime = int(OUTCOME * 1000)
        rest = ""
        if standing is Standing.FAILED:
            rest = "" if error is None else error_text(error)
            lifetime = self._lifetimes[False]
            if not rest or not lifetime:
                standing = Standing.OURS
        keys = (self._epoch, self._epoch, self._of("t", name))
        self._note("END", keys, (token, standing.value, "", "", rest, lifetime))

    async def purge(self, purge: Purge) -> None:
        """Tell everybody, now or when Redis is back."""
        await self._say("purge", purge_text(purge))

    def change_presets(self) -> None:
        """Tell everybody, if Redis is there: without it everybody finds out alone."""
        if not self.away:
            self._note("SAY", (self._epoch, self._said), (self._id, "presets", "", 1, 0))

    async def _say(self, what: str, data: str) -> None:
        purge = purge_of(data)
        self._told.clear()
        keys = (self._epoch, self._said, *(self._of("v", key) for key in purge.keys))
        whole = int(bool(purge.prefixes or purge.fingerprints))
        arguments = (self._id, what, data, int(TOMBSTONE * 1000) + self._lifetimes[True], whole)
        if await self._link.call("SAY", keys, arguments) is None:
            self._unsaid.append((what, data))

    def _note(self, name: str, keys: Sequence[str], arguments: Sequence[str | int]) -> None:
        self._notes.append((name, keys, arguments))
        self._wake.set()

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 -- a bug must not end the talking for good, and must be seen
                _log.error("fleet_failed", exc_info=error)
            await asyncio.sleep(self._rest * random.uniform(0.8, 1.2))  # noqa: S311 -- no secret

    async def _send(self) -> None:
        """Send notes, one after another."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._notes:
                await self._link.call(*self._notes.popleft())

    async def _renew(self) -> None:
        """Keep the turns that are held here."""
        while True:
            await asyncio.sleep(self._lease / RENEWALS)
            if self._held:
                keys = (self._epoch, *(self._of("t", name) for name in self._held))
                await self._link.call("RENEW", keys, (int(self._lease * 1000), *self._held.values()))

    async def _listen(self, ears: Ears) -> None:
        """Greet Redis, then hear what is said, as long as it is there."""
        if await self._greet(ears):
            while self._link.there:
                messages = await self._link.listen(self._said, self._heard, seconds=LISTEN)
                for number, fields in messages or ():
                    self._heard = number
                    await self._heed(ears, fields)
        self._greeted.set()

    async def _greet(self, ears: Ears) -> bool:
        reply = await self._link.greet((self._epoch, self._said, f"{self._prefix}probe"), (self._id, self._heard))
        if reply is None:
            return False
        self._heard = reply[1]
        self._told.clear()
        if reply[2]:
            _log.warning("redis_forgot", serving="after looking at originals again")
            ears.missed()
        for _ in range(len(self._unsaid)):
            await self._say(*self._unsaid.popleft())
        self._greeted.set()
        return self._link.there

    async def _heed(self, ears: Ears, fields: Mapping[str, str]) -> None:
        """Do what a message asks for."""
        if fields.get("from") == self._id:
            return
        what, data = fields.get("what", ""), fields.get("data", "")
        try:
            if what == "presets":
                ears.presets_changed()
            elif what == "seen":
                key, version, modified, seen = seen_of(data)
                ears.seen(key, Known(version, modified, self._ours(seen)))
            elif what == "purge":
                self._told.clear()
                self._run(ears.purged(purge_of(data)), self._heeding)
                if len(self._heeding) >= MOST_TASKS:
                    await asyncio.wait(self._heeding, return_when=asyncio.FIRST_COMPLETED)
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("message_unreadable", what=what[:20], cause=type(error).__name__)

    def _run(self, work: Awaitable[None], tasks: set[asyncio.Task[None]]) -> None:
        async def run() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 -- a bug here must not stop anything else, and must be seen
                _log.error("fleet_failed", exc_info=error)

        task = asyncio.create_task(run(), name="fleet")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _known(self, now: int, sight: Sequence[Any], asked: float) -> Known | None:
        """A sight in our own terms: no younger than it was when we asked."""
        seen, kind, modified, version, _ = sight
        if kind not in _KINDS or not _NUMBER.fullmatch(modified):
            return None
        return Known(version if _KINDS[kind] else None, float(modified), asked - max(0, now - seen) / 1000)

    def _ours(self, theirs: int) -> float:
        """A time of Redis's clock on ours; rather too early than too late."""
        now = self._clock()
        return now - max(0, self._link.theirs(now) - theirs) / 1000 - TIMEOUT

    def _drop(self, name: str, token: str) -> None:
        if self._held.get(name) == token:
            del self._held[name]

    def _of(self, kind: str, text: str) -> str:
        return f"{self._prefix}{kind}:{_digest(text)}"

    @property
    def _epoch(self) -> str:
        return f"{self._prefix}epoch"

    @property
    def _said(self) -> str:
        return f"{self._prefix}said"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]

"""What replicas tell one another, as far as they can reach each other. Redis can only save work here, never decide.

The rules every fleet keeps, and `Alone` keeps trivially:

1. No call raises, and none takes longer than a moment. Who cannot be reached has nothing to say, and a turn that cannot
   be asked for is ours: at worst every replica does everything itself.
2. Of two sights of an original the later one counts. A purge is a sight, too: what was seen before it is no knowledge
   any more, whoever saw it and whenever that is told.
3. A turn is a right to be the only one who renders for a moment, not a lock: who loses it unknowingly makes what
   somebody else makes as well. So no holder, dead or slow, can keep others from answering.
4. Pictures never travel here. They lie in the results' store, which all replicas share.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from proxy.errors import ProxyError


@dataclass(frozen=True, slots=True)
class Known:
    """What was seen of one original; `version` None: it was not there."""

    version: str | None
    modified: float
    seen: float
    """On this process's monotonic clock."""

    def is_of(self, version: str) -> bool:
        """Whether a result made from `version` shows this original."""
        return bool(version) and version == self.version


class Standing(StrEnum):
    """How it stands with the render of one result."""

    OURS = "ours"
    """It is our turn. Also where nobody could be asked."""
    THEIRS = "theirs"
    """Another replica is at it."""
    SAVED = "saved"
    """Another replica has just saved it."""
    UNSAVED = "unsaved"
    """Another replica has just made it, and could not save it: who wants it must make it."""
    FAILED = "failed"
    """Another replica has just found that it cannot be made."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to asking for a turn."""

    standing: Standing
    token: str = ""
    """Of whoever's turn it is or was. Empty: nobody could be asked."""
    known: Known | None = None
    """What the fleet knows of the original."""
    error: ProxyError | None = None
    """Why it cannot be made, where it failed…"""
    lifetime: float = 0.0
    """…and for how many seconds that is worth remembering."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What the fleet knows of an original. `ours`: it knows nothing fresh, and counts on us to look."""

    known: Known | None = None
    ours: bool = True


@dataclass(frozen=True, slots=True)
class Purge:
    """What is purged: originals by key or by what their key begins with, and plans by fingerprint."""

    keys: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ears:
    """What to do when another replica says something. None of it may raise."""

    purged: Callable[[Purge], Awaitable[None]]
    seen: Callable[[str, Known], None]
    """An original has changed."""
    presets_changed: Callable[[], None]
    missed: Callable[[], None]
    """Something was said that cannot be told any more: nothing that is known can be relied on."""


async def _ignore(_: Purge) -> None:
    """There is nothing here to forget."""


DEAF = Ears(_ignore, lambda _key, _known: None, lambda: None, lambda: None)
"""For who only talks."""


class Fleet(Protocol):
    """The replicas that share our stores."""

    @property
    def away(self) -> bool:
        """Whether there should be others, and they cannot be reached."""
        ...

    def tell(self, key: str, known: Known) -> None:
        """Tell what was seen of an original. Nobody waits for it."""
        ...

    async def recall(self, key: str, *, elect: bool = False) -> Recalled:
        """What is known of an original. With `elect`, one of those who ask at about the same time is told to look."""
        ...

    async def claim(self, key: str, name: str, *, past: str) -> Claim:
        """Ask for the turn to render the result `name` of the original `key`.

        `past` is the token of a turn whose outcome the caller has seen, and can do nothing with.
        """
        ...

    async def saved(self, key: str, name: str, token: str, *, version: str, age: float) -> bool:
        """Say that the result was saved, and end the turn; whether it may stay.

        It may not where its original, seen `age` seconds ago as `version`, was purged or seen to be another since then.
        """
        ...

    def end(self, name: str, token: str, standing: Standing, error: ProxyError | None = None) -> None:
        """End the turn otherwise: UNSAVED, FAILED with an error, or OURS for whoever asks next. Nobody waits for it."""
        ...

    async def purge(self, purge: Purge) -> None:
        """Tell that this is purged, and believe nothing that was seen of it before."""
        ...

    def change_presets(self) -> None:
        """Tell that the presets have changed."""
        ...

    async def follow(self, ears: Ears) -> None:
        """Begin to listen."""
        ...

    async def close(self) -> None:
        """Stop listening and talking."""
        ...


class Alone:
    """A fleet of one."""

    away = False

    def tell(self, key: str, known: Known) -> None:
        """Nobody listens."""

    async def recall(self, key: str, *, elect: bool = False) -> Recalled:
        """Nobody else knows anything."""
        del key, elect
        return Recalled()

    async def claim(self, key: str, name: str, *, past: str) -> Claim:
        """It is always our turn."""
        del key, name, past
        return Claim(Standing.OURS)

    async def saved(self, key: str, name: str, token: str, *, version: str, age: float) -> bool:
        """Nobody objects."""
        del key, name, token, version, age
        return True

    def end(self, name: str, token: str, standing: Standing, error: ProxyError | None = None) -> None:
        """Nobody waits."""

    async def purge(self, purge: Purge) -> None:
        """Nobody else has anything."""

    def change_presets(self) -> None:
        """Nobody else has any."""

    async def follow(self, ears: Ears) -> None:
        """Nobody says anything."""

    async def close(self) -> None:
        """Nothing was begun."""


class Turn:
    """A turn of ours: it ends once, whatever comes."""

    def __init__(self, fleet: Fleet, key: str, name: str, token: str) -> None:
        self._fleet = fleet
        self._key = key
        self._name = name
        # Mutable state: the token, as long as the turn has not ended. Empty where nobody could be asked.
        self._token = token

    async def saved(self, version: str, *, age: float) -> bool:
        """It was made from `version`, seen `age` seconds ago, and saved; whether it may stay in the store."""
        token, self._token = self._token, ""
        return await self._fleet.saved(self._key, self._name, token, version=version, age=age)

    def end(self, standing: Standing, error: ProxyError | None = None) -> None:
        """It was not saved."""
        token, self._token = self._token, ""
        if token:
            self._fleet.end(self._name, token, standing, error)


def no_turn() -> Turn:
    """What to hold where nobody else renders."""
    return Turn(Alone(), "", "", "")

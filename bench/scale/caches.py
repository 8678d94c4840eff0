"""The two kinds of caches in the way of a request: by time, and by bytes."""

from __future__ import annotations

import random
from collections import OrderedDict
from typing import Generic, TypeVar

from bench.scale.closed_forms import ttl_hit_ratio

T = TypeVar("T")


class TtlCache:
    """Keeps a copy for `ttl` seconds after it was fetched, however often it is asked for; as CDNs do.

    With a `chance`, it began long ago: what it had at time 0 is drawn when it matters, from the steady state.
    """

    def __init__(self, ttl: float, chance: random.Random | None = None) -> None:
        self.ttl = ttl
        self._chance = chance
        self._until: dict[int, float] = {}

    def hit(self, slot: int, now: float, rate: float) -> bool:
        """Ask for `slot`, which is asked for at this `rate`; after a miss it is there."""
        until = self._until.get(slot)
        if until is None and self._chance is not None and self._chance.random() < ttl_hit_ratio(rate, self.ttl):
            until = self._until[slot] = self._chance.random() * self.ttl
        if until is not None and now < until:
            return True
        self._until[slot] = now + self.ttl
        return False

    def flush(self) -> None:
        """Forget everything."""
        self._chance = None
        self._until.clear()


class ByteLru(Generic[T]):
    """Values by number, bounded by the sum of their sizes; the least recently used go first."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self._entries: OrderedDict[int, tuple[T, float]] = OrderedDict()
        self._used = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, slot: int) -> T | None:
        """The value, now the most recently used; None if it is not there."""
        entry = self._entries.get(slot)
        if entry is None:
            return None
        self._entries.move_to_end(slot)
        return entry[0]

    def put(self, slot: int, value: T, size: float) -> None:
        """Keep a value; what is larger than the whole cache is not kept."""
        before = self._entries.pop(slot, None)
        if before is not None:
            self._used -= before[1]
        if size > self.capacity:
            return
        while self._used + size > self.capacity:
            _, (_, freed) = self._entries.popitem(last=False)
            self._used -= freed
        self._entries[slot] = (value, size)
        self._used += size

    def clear(self) -> None:
        """Forget everything, as a restart does."""
        self._entries.clear()
        self._used = 0.0

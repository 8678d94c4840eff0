"""Purge: forget and delete what was made of originals, everywhere this process can reach.

The fleet is told before anything is deleted and once more after it: what another replica read from the store in between
must not stay in its memory. What another replica saves afterwards, made of what was seen before, it deletes itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from proxy.delivery.failures import RecentFailures
from proxy.delivery.freshness import Freshness
from proxy.delivery.originals import Originals
from proxy.delivery.results import Results
from proxy.fleet.base import Alone, Fleet, Purge
from proxy.plan.plan import Plan
from proxy.plan.planner import possible_outputs
from proxy.plan.presets import Preset


@dataclass(frozen=True, slots=True)
class Purger:
    """What a purge touches: stored results, memory, staged originals, known versions, remembered failures."""

    results: Results
    originals: Originals
    freshness: Freshness
    failures: RecentFailures
    fleet: Fleet = field(default_factory=Alone)

    async def key(self, key: str) -> int:
        """Delete every result of one original; returns how many were stored."""
        async with self._told(Purge(keys=(key,))):
            self._forget_key(key)
            return await self.results.purge_key(key)

    async def prefix(self, prefix: str) -> int:
        """Delete every result of every original whose key begins with `prefix`."""
        async with self._told(Purge(prefixes=(prefix,))):
            self._forget_prefix(prefix)
            return await self.results.purge_prefix(prefix)

    async def preset(self, preset: Preset) -> int:
        """Delete the results of a preset for every original. Presets with the same plan share them."""
        wanted = fingerprints(preset)
        async with self._told(Purge(fingerprints=tuple(sorted(wanted)))):
            return await self.results.purge_fingerprints(wanted)

    async def heed(self, purge: Purge) -> None:
        """Forget what another replica deletes."""
        for key in purge.keys:
            self._forget_key(key)
        for prefix in purge.prefixes:
            self._forget_prefix(prefix)
        for key in purge.keys:
            await self.results.purge_key(key, elsewhere=True)
        for prefix in purge.prefixes:
            await self.results.purge_prefix(prefix, elsewhere=True)
        if purge.fingerprints:
            await self.results.purge_fingerprints(purge.fingerprints, elsewhere=True)

    def forget_all(self) -> None:
        """Know nothing any more: something may have been purged unheard. Results are looked at again."""
        self._forget(lambda _: True)

    @asynccontextmanager
    async def _told(self, purge: Purge) -> AsyncIterator[None]:
        await self.fleet.purge(purge)
        try:
            yield
        finally:
            await self.fleet.purge(purge)

    def _forget_key(self, key: str) -> None:
        self.originals.discard(key)
        self._forget(lambda other: other == key)

    def _forget_prefix(self, prefix: str) -> None:
        self.originals.discard_prefix(prefix)
        self._forget(lambda other: other.startswith(prefix))

    def _forget(self, wanted: Callable[[str], bool]) -> None:
        self.freshness.forget_where(wanted)
        self.failures.forget_where(wanted)


def fingerprints(preset: Preset) -> frozenset[str]:
    """The fingerprints of every plan that a preset can come to: one for each format it may negotiate."""
    outputs = possible_outputs(preset)
    return frozenset(Plan("", preset.operations, output).fingerprint for output in outputs)

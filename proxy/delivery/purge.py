"""Purge: forget and delete what was made of originals, everywhere this process can reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.delivery.failures import RecentFailures
from proxy.delivery.freshness import Freshness
from proxy.delivery.originals import Originals
from proxy.delivery.results import Results
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

    async def key(self, key: str) -> int:
        """Delete every result of one original; returns how many were stored."""
        self.originals.discard(key)
        self._forget(lambda other: other == key)
        return await self.results.purge_key(key)

    async def prefix(self, prefix: str) -> int:
        """Delete every result of every original whose key begins with `prefix`."""
        self.originals.discard_prefix(prefix)
        self._forget(lambda other: other.startswith(prefix))
        return await self.results.purge_prefix(prefix)

    async def preset(self, preset: Preset) -> int:
        """Delete the results of a preset for every original. Presets with the same plan share them."""
        return await self.results.purge_fingerprints(fingerprints(preset))

    def _forget(self, wanted: Callable[[str], bool]) -> None:
        self.freshness.forget_where(wanted)
        self.failures.forget_where(wanted)


def fingerprints(preset: Preset) -> frozenset[str]:
    """The fingerprints of every plan that a preset can come to: one for each format it may negotiate."""
    outputs = possible_outputs(preset)
    return frozenset(Plan("", preset.operations, output).fingerprint for output in outputs)

"""Where to begin the search for a quality: at what was found for other pictures of the same plan.

Pictures of one preset are alike, so a search that begins there needs fewer encodes. Only its length depends on this,
not its outcome (`imaging/searching.py`), so nothing is shared between replicas and nothing is lost with the process.
"""

from __future__ import annotations

from collections import OrderedDict

from proxy.plan.output import Format
from proxy.plan.plan import STEM, Plan

MOST_PLANS = 1024
_WEIGHT = 0.25
"""Of the latest picture in what is remembered: one odd picture should not mislead the next."""


class Learnt:
    """The usual outcome of searches, by plan and format; the plans used least recently are forgotten."""

    def __init__(self) -> None:
        self._plans: OrderedDict[str, dict[Format, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._plans)

    def starts(self, plan: Plan) -> tuple[tuple[Format, int], ...]:
        """The quality to begin with, by format; empty when nothing like it was searched for."""
        known = self._plans.get(plan.fingerprint[:STEM], {})
        return tuple((target, round(quality)) for target, quality in known.items())

    def learn(self, plan: Plan, found: tuple[tuple[Format, int], ...]) -> None:
        """Remember what a search has found."""
        if not found:
            return
        stem = plan.fingerprint[:STEM]
        known = self._plans.setdefault(stem, {})
        self._plans.move_to_end(stem)
        for target, quality in found:
            before = known.get(target, float(quality))
            known[target] = before + _WEIGHT * (quality - before)
        if len(self._plans) > MOST_PLANS:
            self._plans.popitem(last=False)

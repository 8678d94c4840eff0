"""From a request to a plan, with the presets that are current.

`PresetBook` is the one mutable thing of this package: it holds the snapshot in use. Replacing it is one assignment, so
a request sees the old presets or the new ones and never a mixture; a file that cannot be read changes nothing but the
problem that is reported.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

from proxy.plan.dialects import parse, write_commands
from proxy.plan.negotiation import NEGOTIATED, SMALLEST, accepted, choose_target
from proxy.plan.output import VENDOR_REPORTS, Animation, Output, Target
from proxy.plan.plan import CachePolicy, Plan
from proxy.plan.presets import Preset, PresetSnapshot
from proxy.plan.request import AskAdhoc, Asked, AskPreset, ImageRequest

_FAMILIAR = ("jpg", "jpeg", "png", "gif", "webp", "bmp")
"""Extensions of keys whose pictures every browser reads."""


class PresetBook:
    """The current snapshot, and how the last attempt to replace it went."""

    def __init__(self, snapshot: PresetSnapshot | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.current = snapshot or PresetSnapshot()
        self.generation = 1  # counts snapshots that differed from the one before
        self.loaded_at = clock()  # when the current snapshot came into use
        self.problem: str | None = None  # why the last attempt failed; None if it did not

    def replace(self, snapshot: PresetSnapshot) -> bool:
        """Make a snapshot the current one; say whether it differs from the last. A reported problem is over."""
        self.problem = None
        if snapshot == self.current:
            return False
        self.current = snapshot
        self.generation += 1
        self.loaded_at = self._clock()
        return True

    def report(self, problem: str) -> None:
        """Note why presets.toml could not be read; the current snapshot goes on."""
        self.problem = problem


STILL_TARGETS = (Target.AVIF, Target.JXL)
"""What a browser may prefer, and we write no animation in."""
MOST_REMEMBERED = 4096
"""URLs whose readings and plans are remembered, and presets by Accept; the oldest are forgotten. About 2 KB each."""
LONGEST_REMEMBERED = 512
"""Characters of a URL, or of an Accept header, above which nothing is remembered: strangers choose them."""


class Planner:
    """Reads URLs and makes plans. `candidates` are the formats that `auto` may choose, the preferred one first."""

    def __init__(self, book: PresetBook, *, candidates: Sequence[Target] = (Target.AVIF, Target.WEBP)) -> None:
        self._book = book
        self._candidates = tuple(candidates)
        # What was read and planned lately: a page's URLs come again and again, and reading one costs more than all
        # the rest of a hit in memory. Good for one snapshot; plans by the identity of their reading, which is held.
        self._snapshot = book.current
        self._readings: OrderedDict[tuple[str, bool], tuple[ImageRequest, ...]] = OrderedDict()
        self._plans: OrderedDict[tuple[int, str | None], tuple[ImageRequest, Plan]] = OrderedDict()
        # What presets come to, whatever the original, by Accept where that counts; good for the preset that is held.
        self._models: OrderedDict[tuple[str, str | None], tuple[Preset, Plan]] = OrderedDict()

    def read(self, target: str, *, signed: bool = False) -> tuple[ImageRequest, ...]:
        """Return the readings of a raw request target under the current presets; see `dialects.parse`."""
        if self._snapshot is not self._book.current:
            self._snapshot = self._book.current
            self._readings.clear()
            self._plans.clear()
        readings = self._readings.get((target, signed))
        if readings is None:
            readings = parse(target, self._snapshot, signed=signed)
            if len(target) > LONGEST_REMEMBERED:
                return readings
            self._readings[target, signed] = readings
            if len(self._readings) > MOST_REMEMBERED:
                self._readings.popitem(last=False)
        return readings

    def plan(self, request: ImageRequest, accept: str | None = None) -> Plan:
        """Resolve a request for a picture, choosing the format from the Accept header where it is `auto`."""
        asked = request.asked
        automatic = asked.preset.auto_format if isinstance(asked, AskPreset) else getattr(asked, "auto_format", False)
        place = (id(request), accept if automatic else None)
        remembered = self._plans.get(place)
        if remembered is not None and remembered[0] is request:
            return remembered[1]
        plan = _plan_for(request.key, self._model(asked, place[1]))
        if len(place[1] or "") > LONGEST_REMEMBERED:
            return plan
        self._plans[place] = (request, plan)
        if len(self._plans) > MOST_REMEMBERED:
            self._plans.popitem(last=False)
        return plan

    def _model(self, asked: Asked, accept: str | None) -> Plan:
        """What is asked for, whatever the original."""
        if not isinstance(asked, AskPreset) or len(accept or "") > LONGEST_REMEMBERED:
            return self._resolve(asked, accept)
        place = (asked.preset.name, accept)
        remembered = self._models.get(place)
        if remembered is None or remembered[0] is not asked.preset:
            remembered = self._models[place] = asked.preset, self._resolve(asked, accept)
            if len(self._models) > MOST_REMEMBERED:
                self._models.popitem(last=False)
        return remembered[1]

    def _resolve(self, asked: Asked, accept: str | None) -> Plan:
        names: tuple[str, ...] = ()
        cache = CachePolicy()
        match asked:
            case AskPreset(preset):
                operations, output, negotiated = preset.operations, preset.output, preset.auto_format
                names, cache = (preset.name,), preset.cache
            case AskAdhoc(operations, output, _, negotiated):
                pass
            case _:
                raise ValueError("an original is asked for as it is; only pictures have a plan")
        if negotiated:
            output = self._negotiate(output, accept)
        if output.answer in VENDOR_REPORTS and cache == CachePolicy():
            # Vendors answer so: whoever asks about a picture wants to know how it is now.
            cache = CachePolicy(max_age=0, no_store=True)
        return Plan("", operations, output, negotiated=negotiated, presets=names, cache=cache)

    def _negotiate(self, output: Output, accept: str | None) -> Output:
        if output.candidates:
            # The rule offers what this site negotiates; a list says itself what it offers.
            offered = output.candidates
            if offered == SMALLEST:
                offered = tuple(target for target in offered if target in (*self._candidates, Target.PLAIN))
            return replace(output, candidates=accepted(accept, offered))
        target = choose_target(accept, self._candidates)
        if target not in STILL_TARGETS or output.animation is Animation.FIRST:
            return replace(output, target=target)
        others = [candidate for candidate in self._candidates if candidate not in STILL_TARGETS]
        return replace(output, target=target, animated=choose_target(accept, others))


def _plan_for(key: str, model: Plan) -> Plan:
    if model.output.target is Target.FAMILIAR and key.rpartition(".")[2].lower() in _FAMILIAR:
        # Then the two rules mean the same, and should share what is stored.
        return replace(model, key=key, output=replace(model.output, target=Target.SOURCE))
    return model.of(key)


def possible_outputs(preset: Preset) -> tuple[Output, ...]:
    """Every output that a preset can come to under any Accept header: what must go when the preset is purged."""
    if not preset.auto_format:
        return (preset.output,)
    if preset.output.candidates:
        every = preset.output.candidates
        refused = [subset for count in range(len(NEGOTIATED) + 1) for subset in combinations(NEGOTIATED, count)]
        left = {tuple(target for target in every if target not in subset) for subset in refused}
        return tuple(replace(preset.output, candidates=candidates) for candidates in sorted(left))
    chosen = (*STILL_TARGETS, Target.WEBP, Target.PLAIN)
    stills = [replace(preset.output, target=target) for target in chosen]
    moving = [
        replace(preset.output, target=still, animated=target)
        for still in STILL_TARGETS
        for target in (Target.WEBP, Target.PLAIN)
    ]
    return (*stills, *moving)


def describe(plan: Plan) -> dict[str, object]:
    """What `/-/explain` shows of a plan, ready for JSON."""
    return {
        "key": plan.key,
        "presets": list(plan.presets),
        "canonical": plan.canonical(),
        "fingerprint": plan.fingerprint,
        "operations": [operation.canonical() for operation in plan.operations],
        "output": plan.output.canonical(),
        "target": plan.output.target.value,
        "negotiated": plan.negotiated,
        "commands": write_commands(plan.operations, plan.output),
        "cache": {
            "max_age": plan.cache.max_age,
            "stale_while_revalidate": plan.cache.stale_while_revalidate,
            "stale_if_error": plan.cache.stale_if_error,
            "immutable": plan.cache.immutable,
            "no_store": plan.cache.no_store,
        },
    }

"""What each kind of answer costs, measured: CPU of front, workers and nginx, and bytes.

`python -m bench costs` measures and writes bench/out/costs-*.json; the newest one there is used, else the copy that is
committed beside the documentation, which says when it was measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Self

from bench.report import OUT

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "scale-costs.json"


@dataclass(frozen=True, slots=True)
class RenderCost:
    """A cold request by the megapixels of a JPEG original, in rising order."""

    megapixels: Sequence[float]
    worker_ms: Sequence[float]
    """CPU of the render worker."""
    size: Sequence[float]
    """Bytes of the result."""

    def at(self, megapixels: float) -> float:
        """CPU milliseconds of the worker: between the measured sizes by straight lines, beyond them in proportion."""
        known = self.megapixels
        if megapixels >= known[-1]:
            return self.worker_ms[-1] * megapixels / known[-1]
        after = next(number for number, one in enumerate(known) if one > megapixels)
        if after == 0:
            return self.worker_ms[0]
        low, high = known[after - 1], known[after]
        part = (megapixels - low) / (high - low)
        return self.worker_ms[after - 1] + part * (self.worker_ms[after] - self.worker_ms[after - 1])


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU of one answer, in microseconds unless it says otherwise."""

    measured: str
    renders: Mapping[str, RenderCost]
    cold_front: float
    """The front's part of a cold request."""
    known: float
    """A 304 to nginx from what is known."""
    memory: float
    bucket: float
    """A hit read from S3."""
    nginx_hit: float
    nginx_pass: float
    """nginx's own part where a replica is asked."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `dump` wrote."""
        values = json.loads(text)
        renders = {name: RenderCost(**one) for name, one in values.pop("renders").items()}
        return cls(renders=renders, **values)

    @property
    def values(self) -> dict[str, object]:
        """As JSON can write it."""
        renders = {
            name: {"megapixels": [*one.megapixels], "worker_ms": [*one.worker_ms], "size": [*one.size]}
            for name, one in self.renders.items()
        }
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "renders"}
        return {**plain, "renders": renders}

    def render_ms(self, preset: str, megapixels: float) -> float:
        """CPU milliseconds of a worker; presets that were not measured cost what the dearest does."""
        if preset in self.renders:
            return self.renders[preset].at(megapixels)
        return max(one.at(megapixels) for one in self.renders.values())

    def mean_render_ms(self, preset: str, megapixels: float, sigma: float) -> tuple[float, float]:
        """Mean, and standard deviation over mean, over a log-normal spread of originals around this mean."""
        quantiles = [(number + 0.5) / 200 for number in range(200)]
        factors = [math.exp(sigma * NormalDist().inv_cdf(one) - sigma**2 / 2) for one in quantiles]
        times = [self.render_ms(preset, megapixels * factor) for factor in factors]
        mean = sum(times) / len(times)
        return mean, math.sqrt(sum((time - mean) ** 2 for time in times) / len(times)) / mean


def read_costs() -> Costs:
    """The newest measurement, or the committed one."""
    newest = max(OUT.glob("costs-*.json"), default=None)
    if newest is not None:
        return Costs.parse(json.dumps(json.loads(newest.read_text("utf-8"))["raw"]))
    return Costs.parse(COMMITTED.read_text("utf-8"))

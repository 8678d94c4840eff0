"""Which qualities of two formats look equal.

The numbers of encoders are scales of their own. The table has, for a SSIMULACRA2, the quality that reaches it with our
settings on average over photos of 400 pixels: printed by `python -m bench quality`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proxy.plan.output import Format

SCORES = (30, 40, 50, 60, 70, 80, 90)
QUALITIES: Mapping[Format, Sequence[int]] = {
    Format.JPEG: (20, 25, 33, 46, 66, 84, 93),
    Format.WEBP: (15, 22, 32, 48, 69, 85, 95),
    Format.AVIF: (30, 34, 39, 45, 55, 70, 90),
    Format.JXL: (19, 24, 33, 45, 62, 80, 93),
}
"""By format, one for each of `SCORES`."""
GROWTH: Mapping[Format, Sequence[float]] = {
    Format.JPEG: (0.0, 0.13, 0.31, 0.53, 0.83, 1.25, 1.94),
    Format.WEBP: (0.0, 0.22, 0.47, 0.75, 1.05, 1.45, 2.12),
    Format.AVIF: (0.0, 0.22, 0.47, 0.75, 1.09, 1.55, 2.23),
    Format.JXL: (0.0, 0.14, 0.32, 0.55, 0.80, 1.22, 1.84),
}
"""The logarithm of the bytes at each of `SCORES`, from that at the first."""


def quality_for(score: float, target: Format) -> int:
    """The quality with which a photo of a format usually reaches a score."""
    return round(_between(score, SCORES, QUALITIES[target]))


def score_of(quality: float, target: Format) -> float:
    """The score that a photo of a format and quality usually has."""
    return _between(quality, QUALITIES[target], SCORES)


def growth(quality: float, target: Format) -> float:
    """The logarithm of the bytes that a quality usually costs, but for a constant."""
    return _between(quality, QUALITIES[target], GROWTH[target])


def equal_quality(quality: int, target: Format) -> int:
    """What a quality on JPEG's scale is on that of `target`."""
    return max(1, min(100, quality_for(score_of(quality, Format.JPEG), target)))


def _between(at: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """The value at `at` on the line through the points; beyond them, on the outermost piece of it."""
    index = next((index for index in range(1, len(xs) - 1) if at < xs[index]), len(xs) - 1)
    (x0, x1), (y0, y1) = xs[index - 1 : index + 1], ys[index - 1 : index + 1]
    return y0 + (at - x0) * (y1 - y0) / (x1 - x0)

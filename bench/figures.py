"""The arithmetic of a benchmark: percentiles, paired ratios, schedules, slopes. Nothing here does I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Name = TypeVar("Name")

_BARS = "▁▂▃▄▅▆▇█"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed; nan of nothing."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How one contender compares with another over paired repeats."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f}–{self.highest:.2f})"


def paired_ratio(values: Sequence[float], reference: Sequence[float]) -> Ratio:
    """The ratio of each pair measured right after each other, then the median: slow drifts of the machine cancel."""
    ratios = [value / other for value, other in zip(values, reference, strict=True) if other]
    return Ratio(median(ratios), min(ratios), max(ratios)) if ratios else Ratio(math.nan, math.nan, math.nan)


def middle(values: Sequence[float]) -> float:
    """The median; nan of nothing."""
    return median(values) if values else math.nan


def turns(names: Sequence[str], repeats: int) -> list[list[str]]:
    """The order of each repeat: forward, then backward (A B, B A, …), so that none always goes first."""
    return [list(names) if number % 2 == 0 else list(reversed(names)) for number in range(repeats)]


def constant_schedule(rate: float, seconds: float, *, start: float = 0.0) -> list[float]:
    """When each request is due, in seconds: evenly spaced, whatever the answers do."""
    return [start + number / rate for number in range(round(rate * seconds))]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The least-squares slope of y over x; nan when there is none."""
    if len(points) < 2:
        return math.nan
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else math.nan


def last_half(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points in the second half of the time that they span."""
    if not points:
        return []
    border = (points[0][0] + points[-1][0]) / 2
    return [point for point in points if point[0] >= border]


def thinned(values: Sequence[Name], most: int) -> list[Name]:
    """At most `most` of the values, evenly spaced, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    if most == 1:
        return [values[0]]
    return [values[round(index * (len(values) - 1) / (most - 1))] for index in range(most)]


def sparkline(values: Sequence[float]) -> str:
    """A curve in one line of text, from zero to the highest value."""
    top = max(values, default=0.0) or 1.0
    return "".join(_BARS[min(len(_BARS) - 1, int(value / top * len(_BARS)))] for value in values)


def shown(value: object) -> str:
    """A cell of a table: three significant digits for measured numbers, everything else as it is."""
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        if value == 0 or abs(value) >= 100:
            return f"{value:.0f}"
        return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
    return str(value)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table, its columns aligned for those who read it as text."""
    cells = [[shown(cell) for cell in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(columns, *cells, strict=True)]
    lines = [list(columns), ["-" * width for width in widths], *cells]
    return "\n".join(
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def counted(counts: Mapping[Name, int]) -> str:
    """Counts in one cell: `200: 40, 503: 2`."""
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items(), key=lambda item: str(item[0])))

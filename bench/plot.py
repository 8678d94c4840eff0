"""Curves as SVG, without a library: a few lines over time, axes with round numbers, a legend."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 800, 360, 60, 30, 150, 40
_COLOURS = ("#0b6bcb", "#c4420a", "#1f7a1f", "#7d3cb5", "#8a6d00", "#555555")


def round_step(span: float, most: int = 6) -> float:
    """A step of 1, 2 or 5 times a power of ten that cuts `span` into at most `most` pieces."""
    raw = max(span, 1e-9) / most
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)


def line_plot(title: str, x_label: str, y_label: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """An SVG of the lines, from zero."""
    most_x = max((x for points in lines.values() for x, _ in points), default=1.0) or 1.0
    most_y = max((y for points in lines.values() for _, y in points), default=1.0) or 1.0
    step_x, step_y = round_step(most_x), round_step(most_y)
    top_y = math.ceil(most_y / step_y) * step_y
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return _LEFT + x / most_x * (right - _LEFT), bottom - y / top_y * (bottom - _TOP)

    parts = [_text(_LEFT, 18, title, size=14)]
    for number in range(round(top_y / step_y) + 1):
        _, y = at(0, number * step_y)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#ddd"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{number * step_y:g}", anchor="end"))
    for number in range(int(most_x / step_x) + 1):
        x, _ = at(number * step_x, 0)
        parts.append(_text(x, bottom + 16, f"{number * step_x:g}", anchor="middle"))
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 6, x_label, anchor="middle"))
    parts.append(_text(right + 10, _TOP, y_label))
    for number, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(_text(right + 10, _TOP + 20 + 18 * number, f"— {name}", colour=colour))
    body = "\n".join(parts)
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif">\n{_GROUND}\n{body}\n</svg>\n'


_GROUND = '<rect width="100%" height="100%" fill="#fff"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11, colour: str = "#333") -> str:
    style = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{html.escape(text)}</text>'

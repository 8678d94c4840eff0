"""How hard an encoder may try: the defaults, what each effort takes, and the highest that is ready in time.

An encode that is not ready in time is lost altogether, and a lower effort costs bytes only: the quality stays. So the
time is estimated before a picture is written, from its pixels, the table below, and what this process has learnt of the
machine from its own encodes.

Efforts are those of presets, 0 to 9; `codec_effort` makes the encoder's own of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from proxy.plan.output import Format, Output

USUAL: Mapping[Format, int] = {
    Format.JPEG: 4, Format.PNG: 6, Format.GIF: 3, Format.WEBP: 6, Format.AVIF: 2, Format.JXL: 4,
}  # fmt: skip
"""The defaults; `python -m bench effort` prints what they cost and save."""
_CODECS: Mapping[Format, tuple[int, int]] = {
    Format.PNG: (0, 9), Format.GIF: (1, 10), Format.WEBP: (0, 6), Format.AVIF: (0, 9), Format.JXL: (1, 9),
}  # fmt: skip
"""The least and the most of the encoders' own efforts."""

NANOSECONDS: Mapping[Format, Sequence[float]] = {
    Format.JPEG: (20, 20, 20, 27, 27, 27, 115, 115, 170, 170),
    Format.PNG: (48, 64, 72, 77, 80, 89, 95, 150, 180, 290),
    Format.WEBP: (42, 49, 49, 67, 130, 130, 130, 140, 140, 310),
    Format.AVIF: (93, 310, 420, 720, 3600, 4800, 9500, 14_000, 20_000, 37_000),
    Format.JXL: (42, 42, 42, 42, 42, 200, 360, 390, 1500, 2200),
}
"""What a pixel takes by effort, as `python -m bench effort` prints it (docs/quality.md): CPU time of one thread, the
geometric mean of photos; of 1200 px where that was tried, as large pictures are the slow ones. No effort has less than
the one below it, whatever was measured: it would never be worth giving up."""
LOSSLESS: Mapping[Format, Sequence[float]] = {
    Format.WEBP: (94, 460, 460, 520, 700, 700, 1600, 2800, 2800, 2800),
    Format.AVIF: (360, 730, 830, 1700, 4600, 5200, 10_000, 12_000, 13_000, 38_000),
    Format.JXL: (13, 13, 99, 150, 400, 620, 830, 1200, 4300, 6600),
}
"""The same of what is written without loss."""
_FIXED: Mapping[Format, float] = {Format.GIF: 800.0}
"""What has no effort to give up: that of a GIF is the look of its colours. It orders a contest; how long an animation
takes is measured (`pacing.py`)."""
_LEAST: Mapping[Format, int] = {Format.PNG: 1}
"""Below, a PNG is not compressed at all."""

_HIGHEST_WEIGHT = 0.25
"""Of one encode in what is learnt."""
_HICCUP = 4.0
"""One encode counts as so many times slower or faster than usual at most, whatever held it up."""
_SLOWEST, _FASTEST = 20.0, 0.25
"""The bounds of what is learnt: no machine that serves is slower, and none need be known to be faster."""


def effort_of(output: Output, target: Format) -> int:
    """The effort that is asked for, or the format's default."""
    return USUAL[target] if output.effort is None else output.effort


def codec_effort(effort: int, target: Format) -> int:
    """The encoder's own effort for one of 0 to 9."""
    least, most = _CODECS.get(target, (0, 9))
    return max(least, round(effort * most / 9))


class Pace:
    """What an encode takes on this machine, as far as it is known. Each process has one of its own.

    All formats share one factor: a slow machine is slow for all of them, and the many small JPEGs tell it before the
    first large AVIF is begun, which would be killed and teach nothing.
    """

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor  # how much slower this machine is than the table's

    def seconds(self, target: Format, output: Output, pixels: int) -> float:
        """What one encode of so many pixels, of all frames, takes; 0 where nobody knows."""
        return self.factor * _usual_seconds(target, output, pixels)

    def learn(self, target: Format, output: Output, pixels: int, seconds: float) -> None:
        """Note what one encode has taken. A long one counts for more: short ones are mostly overhead and chance."""
        usual = _usual_seconds(target, output, pixels)
        if usual <= 0 or seconds <= 0:
            return
        ratio = max(1 / _HICCUP, min(_HICCUP, seconds / (self.factor * usual)))
        factor = self.factor * ratio ** min(_HIGHEST_WEIGHT, usual)
        self.factor = max(_FASTEST, min(_SLOWEST, factor))


def _usual_seconds(target: Format, output: Output, pixels: int) -> float:
    table = LOSSLESS if output.lossless and target in LOSSLESS else NANOSECONDS
    nanoseconds = table[target][effort_of(output, target)] if target in table else _FIXED.get(target, 0.0)
    return nanoseconds * pixels / 1e9


def lowered(output: Output, target: Format, pixels: int, seconds: float, pace: Pace) -> Output | None:
    """The output with the highest effort that is ready in so many seconds; None if not even the least is."""
    efforts = (effort for effort in (output.effort, *_below(output, target)))
    outputs = (replace(output, effort=effort) for effort in efforts)
    return next((each for each in outputs if pace.seconds(target, each, pixels) <= seconds), None)


def least(output: Output, target: Format) -> Output:
    """The output with the effort that takes the least time; the highest of several that take as much."""
    outputs = [output, *(replace(output, effort=effort) for effort in _below(output, target))]
    return min(outputs, key=lambda each: _usual_seconds(target, each, 1))


def _below(output: Output, target: Format) -> Sequence[int]:
    """The efforts below the one asked for, the highest first."""
    if target not in NANOSECONDS or (target is Format.PNG and output.palette is not None):
        return ()
    return range(effort_of(output, target) - 1, _LEAST.get(target, 0) - 1, -1)


def stepped(before: Output, after: Output, target: Format) -> str:
    """For people: what was given up."""
    was, now = effort_of(before, target), effort_of(after, target)
    return f"{target.value.upper()} at effort {now}: effort {was} would not be ready in time"


PACE = Pace()
"""Of this process."""

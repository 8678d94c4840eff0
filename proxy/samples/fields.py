"""Fields of numbers as images: seeded noise, and how to calculate with whole images.

All chance is seeded, so that every machine gets the same pictures; no loop runs per pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import ceil
from random import Random
from statistics import NormalDist

from PIL import Image, ImageChops, ImageMath

Picture = Image.Image


Colour = tuple[int, int, int]


@cache
def fractal(size: tuple[int, int], seed: int, cell: float, *, stretch: float = 1, ridged: bool = False) -> Picture:
    """Return fractal noise from 0 to 1 in mode F: octaves from `cell` pixels down to single ones."""
    # effect_noise has no seed: random bytes, enlarged smoothly, are its seeded kin.
    rng = Random(seed)  # noqa: S311  chance for pictures
    total = Image.new("F", size)
    weight = Image.new("F", size, 1.0)
    share = 0.5
    while cell >= 1:
        columns, rows = ceil(size[0] / cell / stretch) + 2, ceil(size[1] / cell) + 2
        octave = Image.frombytes("L", (columns, rows), rng.randbytes(columns * rows)).convert("F")
        octave = octave.resize(size, Image.Resampling.BICUBIC, (1, 1, 1 + size[0] / cell / stretch, 1 + size[1] / cell))
        if ridged:  # Folded noise has crests; valleys are smooth because each octave is weighted by the one before.
            octave = compute(lambda v: (1 - abs(v["o"] / 127.5 - 1)) ** 2 * v["w"], o=octave, w=weight)
            weight = compute(lambda v: v["min"](v["o"] * 1.6, 1.0), o=octave)
        total = compute(lambda v, s=share: v["t"] + v["o"] * s, t=total, o=octave)
        cell, share = cell / 2, share * 0.52
    low, high = extent(total)
    return compute(lambda v: (v["t"] - low) / (high - low), t=total)


def compute(formula: Callable[..., object], **images: Picture) -> Picture:
    """Calculate with whole images."""
    result: Picture = ImageMath.lambda_eval(formula, **images)
    return result


def extent(field: Picture) -> tuple[float, float]:
    """Return the lowest and the highest number of a field."""
    low, high = field.getextrema()
    assert not isinstance(low, tuple)
    assert not isinstance(high, tuple)
    return low, high


def grey(field: Picture, low: float = 0, high: float = 1) -> Picture:
    """Return a field of numbers as an 8-bit mask; `low` becomes black, `high` white."""
    return field.point(lambda v: v * (255 / (high - low)) - low * (255 / (high - low))).convert("L")


def ramp(low: int, high: int) -> list[int]:
    """Return a look-up table that rises softly between two levels."""
    steps = [min(max((level - low) / (high - low), 0), 1) for level in range(256)]
    return [round(255 * s * s * (3 - 2 * s)) for s in steps]


def change(field: Picture, dx: int, dz: int) -> Picture:
    """Return by how much a field grows from each cell to the one beside or behind it."""
    beyond = field.transform(field.size, Image.Transform.AFFINE, (1, 0, dx, 0, 1, dz))
    return compute(lambda v: v["b"] - v["a"], a=field, b=beyond)


def darker(colour: Colour, share: float) -> Colour:
    """Return a colour at a share of its brightness."""
    return round(colour[0] * share), round(colour[1] * share), round(colour[2] * share)


def grain(picture: Picture, strength: float) -> Picture:
    """Add film grain: bell-shaped noise, the same in all three colours."""
    rng = Random(9)  # noqa: S311  chance for pictures
    bell = [round(128 + strength * NormalDist().inv_cdf((level + 0.5) / 256)) for level in range(256)]
    noise = Image.frombytes("L", picture.size, rng.randbytes(picture.width * picture.height)).point(bell)
    return Image.merge("RGB", [ImageChops.add(band, noise, 1, -128) for band in picture.split()])

"""Steps that change every tone or colour by one rule; alpha stays.

The matrices of saturation, hue and sepia are those of the W3C's filter effects (https://www.w3.org/TR/filter-effects-1/),
so a picture looks as it does in a browser with the CSS filter of that name.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pyvips

from proxy.imaging.colours import to_rgb
from proxy.imaging.picture import Picture
from proxy.plan.colour import Colour
from proxy.plan.operations import (
    Brightness,
    Contrast,
    Duotone,
    Gamma,
    Hue,
    Invert,
    Normalise,
    Saturation,
    Sepia,
    Tint,
)

Matrix = list[list[float]]

_RED, _GREEN, _BLUE = 0.213, 0.715, 0.072
"""How bright each colour is, as the W3C rounds it."""


def brightness(picture: Picture, operation: Brightness) -> Picture:
    """Add to every tone: 100 makes everything white, -100 black."""
    return _linear(picture, 1.0, operation.amount * 2.55)


def contrast(picture: Picture, operation: Contrast) -> Picture:
    """Spread the tones around the middle: -100 leaves one grey, 100 only the extremes."""
    amount = operation.amount / 100
    slope = 1 + amount if amount <= 0 else min(256.0, 1 / max(1e-3, 1 - amount))
    return _linear(picture, slope, 127.5 * (1 - slope))


def gamma(picture: Picture, operation: Gamma) -> Picture:
    """Raise every tone, as a share of white, to a power."""
    curve = [255 * (level / 255) ** (1 / operation.value) for level in range(256)]
    lookup = _lookup([curve])
    return picture.each(lambda frame: _coloured(frame, lambda tones: tones.maplut(lookup)))


def invert(picture: Picture, _: Invert) -> Picture:
    """255 minus every tone."""
    return _linear(picture, -1.0, 255.0)


def normalise(picture: Picture, operation: Normalise) -> Picture:
    """Spread the tones of the first frame from black to white, and those of the others alike."""
    picture = picture.in_memory()
    low, high = _ends(picture.first, operation.clip / 100)
    if high <= low:
        return picture.noting("one tone only: nothing to normalise")
    slope = 255 / (high - low)
    return _linear(picture, slope, -low * slope)


def _ends(image: pyvips.Image, clip: float) -> tuple[int, int]:
    """The darkest and lightest tone, leaving out a share of the pixels at either end; invisible ones do not count."""
    luma = image.colourspace("b-w")[0]
    counts = image[image.bands - 1].hist_find_indexed(luma) if image.hasalpha() else luma.hist_find()
    weights = [counts(x, 0)[0] for x in range(counts.width)]
    most = sum(weights) * clip
    low, high = 0, len(weights) - 1
    seen = 0.0
    while low < high and seen + weights[low] <= most:
        seen += weights[low]
        low += 1
    seen = 0.0
    while high > low and seen + weights[high] <= most:
        seen += weights[high]
        high -= 1
    return low, high


def saturation(picture: Picture, operation: Saturation) -> Picture:
    """Spread the colours away from grey, or draw them to it; a grey picture has none."""
    if picture.first.interpretation != "srgb":
        return picture
    keep = 1 + operation.amount / 100
    return _recoloured(picture, _mixed(keep))


def _mixed(keep: float) -> Matrix:
    """So much of each colour itself, the rest of its brightness."""
    luma = (_RED, _GREEN, _BLUE)
    return [
        [weight * (1 - keep) + (keep if row == column else 0.0) for column, weight in enumerate(luma)]
        for row in range(3)
    ]


def hue(picture: Picture, operation: Hue) -> Picture:
    """Turn the colours about the axis of greys."""
    if picture.first.interpretation != "srgb":
        return picture
    cosine, sine = math.cos(math.radians(operation.degrees)), math.sin(math.radians(operation.degrees))
    by_cosine = [[0.787, -0.715, -0.072], [-0.213, 0.285, -0.072], [-0.213, -0.715, 0.928]]
    by_sine = [[-0.213, -0.715, 0.928], [0.143, 0.140, -0.283], [-0.787, 0.715, 0.072]]
    luma = (_RED, _GREEN, _BLUE)
    matrix = [
        [luma[column] + cosine * by_cosine[row][column] + sine * by_sine[row][column] for column in range(3)]
        for row in range(3)
    ]
    return _recoloured(picture, matrix)


def sepia(picture: Picture, operation: Sepia) -> Picture:
    """Tone brown."""
    full = [[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]]
    share = operation.amount / 100
    matrix = [[share * full[row][column] + (1 - share) * (row == column) for column in range(3)] for row in range(3)]
    return _recoloured(picture.each(to_rgb), matrix)


def tint(picture: Picture, operation: Tint) -> Picture:
    """Draw the picture in shades of one colour: black, the colour at its own brightness, white."""
    colour = operation.colour
    middle = min(254.0, max(1.0, 255 * _luma(colour)))
    curves = [
        [
            level / middle * part if level <= middle else part + (level - middle) / (255 - middle) * (255 - part)
            for level in range(256)
        ]
        for part in (colour.red, colour.green, colour.blue)
    ]
    return _mapped(picture, _lookup(curves), operation.amount / 100)


def duotone(picture: Picture, operation: Duotone) -> Picture:
    """Draw the picture in mixtures of two colours."""
    dark, light = operation.dark, operation.light
    ends = ((dark.red, light.red), (dark.green, light.green), (dark.blue, light.blue))
    curves = [[low + (high - low) * level / 255 for level in range(256)] for low, high in ends]
    return _mapped(picture, _lookup(curves), 1.0)


def _luma(colour: Colour) -> float:
    """The brightness of a colour as a grey tone, 0 to 1: what libvips makes of it when it takes the colour out."""

    def linear(part: int) -> float:
        share = part / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    light = 0.2126 * linear(colour.red) + 0.7152 * linear(colour.green) + 0.0722 * linear(colour.blue)
    return light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def _mapped(picture: Picture, lookup: pyvips.Image, share: float) -> Picture:
    """The picture with each pixel's brightness looked up in three curves, mixed with itself."""

    def change(tones: pyvips.Image) -> pyvips.Image:
        mapped = tones.colourspace("b-w").maplut(lookup).copy(interpretation="srgb")
        return mapped if share == 1 else mapped * share + tones * (1 - share) + 0.5

    return picture.each(lambda frame: _coloured(to_rgb(frame), change))


def _lookup(curves: list[list[float]]) -> pyvips.Image:
    """A table of 256 levels in as many bands as there are curves."""
    levels = bytes(min(255, max(0, round(curve[level]))) for level in range(256) for curve in curves)
    return pyvips.Image.new_from_memory(levels, 256, 1, len(curves), "uchar")


def _recoloured(picture: Picture, matrix: Matrix) -> Picture:
    rows = pyvips.Image.new_from_array(matrix)
    return picture.each(lambda frame: _coloured(frame, lambda tones: tones.recomb(rows) + 0.5))


def _linear(picture: Picture, slope: float, offset: float) -> Picture:
    if slope == 1 and offset == 0:
        return picture
    return picture.each(lambda frame: _coloured(frame, lambda tones: tones.linear(slope, offset, uchar=True)))


def _coloured(frame: pyvips.Image, change: Callable[[pyvips.Image], pyvips.Image]) -> pyvips.Image:
    """The frame with its colours changed and its alpha as it is."""
    if not frame.hasalpha():
        return change(frame).cast("uchar").copy(interpretation=frame.interpretation)
    last = frame.bands - 1
    tones = change(frame.extract_band(0, n=last)).cast("uchar")
    return tones.bandjoin(frame[last]).copy(interpretation=frame.interpretation)

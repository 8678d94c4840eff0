"""The colours that a picture has most of."""

from __future__ import annotations

import pyvips

from proxy.imaging.colours import to_rgb
from proxy.imaging.steps import flattened
from proxy.plan.colour import Colour

SAMPLE = 128
"""Pixels along the longer side that are looked at: enough for a list of colours, and a few milliseconds."""
_BITS = 4
"""Colours that agree in so many bits of each channel are counted as one, and told as their mean."""


def frequent_colours(image: pyvips.Image, most: int) -> list[tuple[int, int, int]]:
    """At most so many colours, the most frequent first; transparent pixels count as white."""
    image = flattened(to_rgb(image), Colour.WHITE)
    if max(image.width, image.height) > SAMPLE:
        # The nearest pixel, not a mean of several: a mixture may be a colour that the picture does not have.
        image = image.resize(SAMPLE / max(image.width, image.height), kernel="nearest")
    pixels = bytes(image.extract_band(0, n=3).cast("uchar").write_to_memory())
    sums: dict[tuple[int, int, int], list[int]] = {}
    for red, green, blue in zip(pixels[::3], pixels[1::3], pixels[2::3], strict=True):
        entry = sums.setdefault((red >> _BITS, green >> _BITS, blue >> _BITS), [0, 0, 0, 0])
        for index, value in enumerate((1, red, green, blue)):
            entry[index] += value
    ranked = sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))
    return [(red // count, green // count, blue // count) for _, (count, red, green, blue) in ranked[:most]]

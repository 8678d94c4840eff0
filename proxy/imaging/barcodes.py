"""Read QR codes and barcodes, with zxing-cpp (the extra `vision`)."""

from __future__ import annotations

import importlib.util

import pyvips

from proxy.errors import CannotRender

SIDE = 1600
"""Pixels of the longer side of what is searched: a code that is smaller than a twentieth of it is not read."""
MOST = 50


def can_read() -> bool:
    """Whether the library is installed."""
    return importlib.util.find_spec("zxingcpp") is not None


def read_barcodes(image: pyvips.Image) -> list[dict[str, object]]:
    """The codes in a grey picture of one band: their kind, their text, their corners as parts of width and height."""
    if not can_read():
        raise CannotRender("reading codes needs the extra vision (pip install 'imgbang[vision]')")
    import numpy as np  # noqa: PLC0415 -- for those who ask
    import zxingcpp  # noqa: PLC0415 -- as above

    pixels = np.frombuffer(image.write_to_memory(), np.uint8).reshape(image.height, image.width)
    found: list[dict[str, object]] = []
    for code in zxingcpp.read_barcodes(pixels)[:MOST]:
        place = code.position
        corners = (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
        found.append(
            {
                "format": code.format.name,
                "text": code.text,
                "corners": [[round(c.x / image.width, 4), round(c.y / image.height, 4)] for c in corners],
            }
        )
    return found

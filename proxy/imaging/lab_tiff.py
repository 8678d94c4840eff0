"""TIFFs in 8-bit CIELAB, which libvips refuses: read by Pillow, and handed over as LAB in floats."""

from __future__ import annotations

from io import BytesIO

import pyvips
from PIL import Image, TiffImagePlugin

from proxy.errors import OriginalTooLarge
from proxy.imaging.task_files import read_file

MAX_LAB_PIXELS = 25_000_000
"""Decoded while the header is read, so before memory is admitted by estimate."""


def open_lab(path: str) -> pyvips.Image | None:
    """The picture, or None if the file is not such a TIFF."""
    try:
        image = Image.open(BytesIO(read_file(path)), formats=(TiffImagePlugin.TiffImageFile.format,))
        if image.mode != "LAB":
            return None
    except Exception:  # noqa: BLE001 -- Pillow's plugins raise anything; libvips' own refusal is the answer then
        return None
    if image.width * image.height > MAX_LAB_PIXELS:
        raise OriginalTooLarge(f"a TIFF in LAB may have {MAX_LAB_PIXELS} pixels here")
    raw = pyvips.Image.new_from_memory(image.tobytes(), image.width, image.height, 3, "uchar")
    lightness = raw[0] * (100 / 255)
    return lightness.bandjoin(raw.extract_band(1, n=2).copy(format="char")).copy(interpretation="lab")

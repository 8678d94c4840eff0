"""BMP and ICO, which libvips cannot read or write: Pillow does, and only these plugins of it may be reached.

Pillow registers every plugin it ships when it meets a file it does not know; `formats=` keeps it to the ones named,
and importing those two here keeps it from looking for more.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import pyvips
from PIL import BmpImagePlugin, IcoImagePlugin, Image

from proxy.errors import OriginalTooLarge
from proxy.plan.output import Format

MAX_ICON_PIXELS = 1024 * 1024
"""Pillow decodes an icon while opening it, so its limit cannot come from our look at the header."""

_PLUGINS = {Format.BMP: BmpImagePlugin.BmpImageFile.format, Format.ICO: IcoImagePlugin.IcoImageFile.format}


def open_foreign(path: str, found: Format) -> Image.Image:
    """Open a BMP (its header) or the largest picture of an ICO."""
    Image.MAX_IMAGE_PIXELS = MAX_ICON_PIXELS if found is Format.ICO else None  # of a BMP, this reads the header only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            # From memory: the image may outlive this function, and an open file would leak.
            return Image.open(BytesIO(Path(path).read_bytes()), formats=(_PLUGINS[found],))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise OriginalTooLarge(f"a picture in an icon may have {MAX_ICON_PIXELS} pixels here") from error


def load_foreign(path: str, found: Format) -> pyvips.Image:
    """The pixels of a BMP or ICO as a libvips image in memory."""
    image = open_foreign(path, found)
    opaque = "L" if image.mode in ("1", "L") else "RGB"
    pixels = image.convert("RGBA" if image.has_transparency_data else opaque)
    bands = len(pixels.getbands())
    result = pyvips.Image.new_from_memory(pixels.tobytes(), pixels.width, pixels.height, bands, "uchar")
    return result.copy(interpretation="b-w" if bands == 1 else "srgb")


def encode_foreign(image: pyvips.Image, target: Format) -> bytes:
    """An 8-bit libvips image as a BMP or ICO file."""
    modes = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
    pixels = Image.frombytes(modes[image.bands], (image.width, image.height), image.write_to_memory())
    file = BytesIO()
    if target is Format.ICO:
        # One picture of exactly this size; by default Pillow adds all smaller icon sizes.
        pixels.convert("RGBA").save(file, "ICO", sizes=[pixels.size])
    else:
        pixels.save(file, "BMP")
    return file.getvalue()

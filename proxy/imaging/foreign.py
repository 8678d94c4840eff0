"""BMP, ICO and HEIC, which libvips (as it comes in its wheel) cannot read: Pillow does, with these plugins only.

Pillow registers every plugin it ships when it meets a file it does not know; `formats=` keeps it to the ones named,
and importing those here keeps it from looking for more. HEIC needs the extra `imgbang[formats]`.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import pyvips
from PIL import BmpImagePlugin, IcoImagePlugin, Image

from proxy.errors import NotAnImage, OriginalTooLarge
from proxy.imaging.fields import PROFILE
from proxy.imaging.task_files import read_file
from proxy.plan.output import Format

MAX_ICON_PIXELS = 1024 * 1024
"""Pillow decodes an icon while opening it, so its limit cannot come from our look at the header."""

FOREIGN = (Format.BMP, Format.ICO, Format.HEIC)
"""The formats that are read here."""

_PLUGINS = {
    Format.BMP: BmpImagePlugin.BmpImageFile.format,
    Format.ICO: IcoImagePlugin.IcoImageFile.format,
    Format.HEIC: "HEIF",
}

if importlib.util.find_spec("pillow_heif"):
    import pillow_heif

    pillow_heif.options.DECODE_THREADS = 1  # one slot is one core
    pillow_heif.options.THUMBNAILS = False
    pillow_heif.options.DEPTH_IMAGES = False
    pillow_heif.options.AUX_IMAGES = False
    pillow_heif.register_heif_opener()
    HEIC_VERSION: str | None = pillow_heif.__version__
else:
    HEIC_VERSION = None


def open_foreign(path: str, found: Format) -> Image.Image:
    """Open a BMP or HEIC (its header) or the largest picture of an ICO."""
    if found is Format.HEIC and HEIC_VERSION is None:
        raise NotAnImage("the original is a HEIC picture; reading it needs the extra imgbang[formats]")
    with warnings.catch_warnings(), _at_most(MAX_ICON_PIXELS if found is Format.ICO else None):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            # From memory: the image may outlive this function, and an open file would leak.
            return Image.open(BytesIO(read_file(path)), formats=(_PLUGINS[found],))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise OriginalTooLarge(f"a picture in an icon may have {MAX_ICON_PIXELS} pixels here") from error


@contextmanager
def _at_most(pixels: int | None) -> Iterator[None]:
    """Set Pillow's own limit, which is global; None where only the header is read, which our limits judge."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = pixels
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def load_foreign(path: str, found: Format) -> pyvips.Image:
    """The pixels as a libvips image in memory, with its profile; turned as a HEIC's own container says."""
    image = open_foreign(path, found)
    opaque = "L" if image.mode in ("1", "L") else "RGB"
    pixels = image.convert("RGBA" if image.has_transparency_data else opaque)
    bands = len(pixels.getbands())
    result = pyvips.Image.new_from_memory(pixels.tobytes(), pixels.width, pixels.height, bands, "uchar")
    result = result.copy(interpretation="b-w" if bands == 1 else "srgb")
    profile = image.info.get("icc_profile")
    if found is Format.HEIC and profile and bands > 1:
        result.set_type(pyvips.GValue.blob_type, PROFILE, profile)
    return result


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

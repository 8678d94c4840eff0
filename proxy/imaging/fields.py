"""What a file says of its picture besides the pixels, and is looked at after decoding: its colours, and who made it."""

from __future__ import annotations

from collections.abc import Iterable

import pyvips

PROFILE = "icc-profile-data"
ARTIST, COPYRIGHT = "exif-ifd0-Artist", "exif-ifd0-Copyright"
XMP = "xmp-data"
IPTC = "iptc-data"
CREDIT = (ARTIST, COPYRIGHT, XMP, IPTC)
_HEADER = ("interpretation", "xres", "yres")


def carry(names: Iterable[str], source: pyvips.Image, image: pyvips.Image) -> pyvips.Image:
    """`image`, saying what `source` says under these names, and meant for as many dots per inch.

    It is changed itself, so nobody else may have it: copying it takes longer than all of this.
    """
    for name in _HEADER:
        pyvips.VipsObject.set(image, name, getattr(source, name))
    for name in names:
        if kind := source.get_typeof(name):
            image.set_type(kind, name, source.get(name))
    return image

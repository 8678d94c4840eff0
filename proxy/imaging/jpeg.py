"""Decode a JPEG that is to become smaller: by libjpeg-turbo, at a scale that leaves scaling enough to do.

libvips reads the header, so orientation, colour profile and everything a file may say of itself come from one place;
the pixels come from `simplejpeg`, in all of the size, a half, a quarter or an eighth (`sizes.shrink_of`; other scales
shift the picture by parts of a pixel, which cost 5 points of SSIMULACRA2). What it cannot do exactly is left to
libvips: CMYK, more than eight bits, damage of any kind (so that one place decides what damage is bearable), and
pictures that would fill the memory.

Of a progressive JPEG, what is not worth reading is left out before (`jpeg_scans`).

Whole renders, means of 14 photos of 0.3 to 33 megapixels, four of them progressive (one thread of a shared machine, so
compare within a row); SSIMULACRA2, mean and lowest, against a full decode and Lanczos. "Two left" is libvips' own rule
of how far to shrink, with all bits read:

| box | libvips `thumbnail` | without this | two left | with this | score of `thumbnail` | two left | with this |
| --- | --- | --- | --- | --- | --- | --- | --- |
| 50 px | 79 ms | 100 ms | 34 ms | 33 ms | 94.9 (82.4) | 95.3 (88.0) | 95.3 (88.0) |
| 400 px | 84 ms | 110 ms | 57 ms | 41 ms | 95.5 (89.9) | 95.6 (90.0) | 95.5 (90.0) |
| 1200 px | 113 ms | 149 ms | 107 ms | 78 ms | 97.1 (96.2) | 97.1 (96.2) | 96.2 (93.5) |
"""

from __future__ import annotations

import os

import pyvips

# A worker is one core; and numpy, which comes with the decoder, would start a pool of threads on import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import simplejpeg

from proxy.imaging.fields import CREDIT, PROFILE, carry
from proxy.imaging.job import SourceInfo
from proxy.imaging.jpeg_scans import less_to_read
from proxy.imaging.picture import Picture
from proxy.imaging.raster import Raster
from proxy.imaging.sizes import MOST_AT_ONCE, decoded_bytes, reduction, shrink_of, shrunk_size
from proxy.imaging.task_files import read_file
from proxy.plan.geometry import Size

VERSION = simplejpeg.__version__


def decode_jpeg(path: str, info: SourceInfo, target: Size, header: pyvips.Image) -> Picture | None:
    """The pixels, shrunk no further than scaling to `target` can take; None if libvips is to decode them."""
    step = shrink_of(info, target)
    size = shrunk_size(info, step)
    if info.bands not in (1, 3) or header.format != "uchar" or decoded_bytes(info, target) == 0:
        return None
    try:
        whole = read_file(path)
        body = less_to_read(whole, step=step, factor=reduction(info, target)) if info.interlaced else whole
        if body is None:
            return None
        pixels = simplejpeg.decode_jpeg(
            body, "RGB" if info.bands == 3 else "GRAY", min_width=size.width, min_height=size.height, min_factor=1.0
        )
    except (ValueError, IndexError, ZeroDivisionError):  # also what is a mere warning: libvips is to look at it
        return None
    if pixels.shape != (size.height, size.width, info.bands):
        return None
    # The decoder rounds up. A last column of which an eighth is in the picture stretches a thumbnail by half a pixel,
    # which cost one photo 18 points of SSIMULACRA2 at 50 px.
    exact = Size(_nearest(info.width, step), _nearest(info.height, step))
    raster = Raster(pixels.data.cast("B"), size, info.bands)
    image = raster.image() if exact == size else raster.image().crop(0, 0, exact.width, exact.height)
    held = raster if exact == size and size.pixels <= MOST_AT_ONCE else None
    return Picture((carry((PROFILE, *CREDIT), header, image),), orientation=info.orientation, rasters=(held,))


def _nearest(length: int, step: int) -> int:
    return max(1, (length + step // 2) // step)

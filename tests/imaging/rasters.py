"""Pixels as plain bytes, for tests."""

from __future__ import annotations

import pyvips

from proxy.imaging.raster import Raster, read_raster


def raster_of(image: pyvips.Image) -> Raster:
    """The pixels of a small image."""
    raster = read_raster(image)
    assert raster is not None
    return raster

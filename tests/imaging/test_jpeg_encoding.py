"""A JPEG that Pillow encodes is the one that libvips would write."""

from __future__ import annotations

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from proxy.imaging.jpeg_encoding import encode_jpeg
from proxy.imaging.raster import read_raster
from proxy.imaging.sizes import encoding_bytes
from proxy.plan.operations import Resize
from proxy.plan.output import ColourPolicy, Metadata, Output, Target
from tests.imaging.conftest import Studio
from tests.imaging.rasters import raster_of
from tests.pictures import coordinates, decoded, encoded


def loaded(picture: Image.Image) -> pyvips.Image:
    """The same pixels for libvips."""
    image = pyvips.Image.new_from_buffer(encoded(picture, "PNG"), "")
    return image.copy_memory()


def noise(side: int, seed: int = 1) -> Image.Image:
    """What no encoder can make small."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


@pytest.mark.parametrize("optimal", [True, False])
@pytest.mark.parametrize(("quality", "tables"), [(1, 3), (50, 3), (80, 3), (80, 0), (89, 0), (90, 0), (97, 0)])
def test_colours_are_the_same_bytes(quality: int, tables: int, *, optimal: bool) -> None:
    """Tables, halved colours and coding: the file of libvips, whatever the quality."""
    image = loaded(coordinates(333, 217))

    ours = encode_jpeg(raster_of(image), quality=quality, tables=tables, optimal=optimal)

    assert ours == image.jpegsave_buffer(Q=quality, quant_table=tables, optimize_coding=optimal, keep="none")


@pytest.mark.parametrize("quality", [50, 80, 95])
def test_greys_are_the_same_pixels(quality: int) -> None:
    """One channel; libvips names another sampling in the header, which means nothing here."""
    image = loaded(coordinates(100, 60).convert("L"))

    ours = encode_jpeg(raster_of(image), quality=quality, tables=3, optimal=True)

    assert ours is not None
    theirs = image.jpegsave_buffer(Q=quality, quant_table=3, optimize_coding=True, keep="none")
    assert len(ours) == len(theirs)
    assert np.array_equal(np.asarray(decoded(ours)), np.asarray(decoded(theirs)))


def test_what_is_left_to_libvips(studio: Studio) -> None:
    """Large pictures, which would be copied; transparency; and more bytes than Pillow has room for."""
    clear = loaded(Image.new("RGBA", (10, 10)))

    assert encoding_bytes(4000 * 2000) == 0
    assert read_raster(pyvips.Image.black(4000, 2000, bands=3)) is None
    assert encode_jpeg(raster_of(clear), quality=80, tables=3, optimal=True) is None
    assert encode_jpeg(raster_of(loaded(noise(600))), quality=100, tables=0, optimal=True) is None

    report = studio.render(encoded(noise(600), "PNG"), output=Output(Target.JPEG, quality=100))
    assert (report.width, decoded(studio.result.read_bytes()).size) == (600, (600, 600))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("density", [1, 72, 300, 1200])
def test_density_is_told(studio: Studio, density: int, *, progressive: bool) -> None:
    """Also where nothing else is said of the picture, whoever writes it."""
    output = Output(Target.JPEG, density=density, progressive=progressive)
    studio.render(encoded(coordinates(40, 30), "PNG"), output=output)

    result = decoded(studio.result.read_bytes())
    assert (result.info["dpi"], result.size) == ((density, density), (40, 30))


def test_nothing_is_told_unasked(studio: Studio) -> None:
    """A thumbnail has no header but what decoding it takes."""
    studio.render(encoded(coordinates(400, 300), "JPEG", dpi=(150, 150)), Resize(50, 50), target=Target.JPEG)

    assert studio.result.read_bytes()[2:4] == b"\xff\xdb"


def test_what_libvips_does_better_it_still_does(studio: Studio) -> None:
    """Scans, trellis quantisation, profiles and credits."""
    picture = coordinates(400, 300)
    exif = picture.getexif()
    exif[0x8298] = "Ann"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    original = encoded(picture, "JPEG", exif=exif.tobytes(), icc_profile=profile)

    def made(output: Output) -> Image.Image:
        studio.render(original, Resize(200, 150), output=output)
        return decoded(studio.result.read_bytes())

    assert "progressive" in made(Output(Target.JPEG, progressive=True)).info
    assert made(Output(Target.JPEG, metadata=Metadata.COPYRIGHT)).getexif()[0x8298] == "Ann"
    assert made(Output(Target.JPEG, colour=ColourPolicy.KEEP)).info["icc_profile"] == profile
    made(Output(Target.JPEG, effort=6))
    small = studio.result.stat().st_size
    plain = made(Output(Target.JPEG))
    assert small < studio.result.stat().st_size
    assert not {"progressive", "icc_profile", "exif"} & plain.info.keys()

"""Small pictures are converted by a transform that is kept: with the results of libvips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from proxy.errors import TruncatedImage
from proxy.imaging import icc_transforms
from proxy.imaging.colours import from_profile, settle_colours
from proxy.imaging.fields import ARTIST, PROFILE
from proxy.imaging.icc import DISPLAY_P3, REC_2020, intent_of, profile
from proxy.imaging.icc_transforms import MOST_PIXELS, convert
from proxy.imaging.picture import Picture
from proxy.imaging.raster import Raster
from proxy.plan.operations import Resize
from proxy.plan.output import ColourPolicy, Output, Target
from tests.corpus import corpus_files, require_corpus
from tests.imaging.conftest import Studio
from tests.imaging.rasters import raster_of
from tests.pictures import coordinates, encoded

P3 = profile(DISPLAY_P3, lambda code: code**2.2, grey=False)
WIDE = profile(REC_2020, lambda code: code**1.8, grey=False)


def noise(width: int, height: int, embedded: bytes) -> pyvips.Image:
    """All kinds of colours, with a profile."""
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    image = pyvips.Image.new_from_memory(pixels.tobytes(), width, height, 3, "uchar").copy(interpretation="srgb")
    image.set_type(pyvips.GValue.blob_type, PROFILE, embedded)
    return image


def profiles() -> list[bytes]:
    """Real ones, of colours, from the corpus."""
    found = set()
    for path in corpus_files("color"):
        try:
            with Image.open(path) as image:
                embedded = image.info.get("icc_profile") if image.mode == "RGB" else None
        except OSError:
            continue
        if embedded and embedded[16:20] == b"RGB ":
            found.add(embedded)
    return sorted(found)


@pytest.mark.parametrize("embedded", [P3, WIDE], ids=["P3", "wide"])
def test_colours_are_those_of_libvips(embedded: bytes) -> None:
    """To the byte: which of the two converts is a matter of time."""
    image = noise(200, 150, embedded)

    quick = convert(raster_of(image), embedded, intent="relative")

    assert quick is not None
    assert bytes(quick.pixels) == bytes(from_profile(image).write_to_memory())
    assert bytes(quick.pixels) != bytes(image.write_to_memory())


def test_real_profiles_convert_alike() -> None:
    """Profiles of cameras and editors; every one that is not large is converted."""
    require_corpus()
    found = [embedded for embedded in profiles() if len(embedded) <= 64 << 10]

    assert len(found) >= 3
    for embedded in found:
        image = noise(64, 64, embedded)
        quick = convert(raster_of(image), embedded, intent=intent_of(embedded))
        assert quick is not None
        assert bytes(quick.pixels) == bytes(from_profile(image).write_to_memory())


def test_a_large_profile_is_not_kept() -> None:
    """Sixteen profiles of megabytes would be more than a worker needs for its pictures."""
    assert convert(raster_of(noise(10, 10, P3)), P3 + bytes(64 << 10), intent="relative") is None


def test_a_transform_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every further picture with the same profile takes the one that is there."""
    built = []
    build = ImageCms.buildTransform

    def counted(*args: Any, **options: Any) -> ImageCms.ImageCmsTransform:
        built.append(1)
        return build(*args, **options)

    monkeypatch.setattr(ImageCms, "buildTransform", counted)
    icc_transforms._transform.cache_clear()

    for _ in range(3):
        convert(raster_of(noise(10, 10, P3)), P3, intent="relative")

    assert len(built) == 1


@pytest.mark.parametrize("side", [400, 401])
def test_small_pictures_are_converted_by_the_kept_transform(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones by libvips, which takes less for each pixel; the note and what else is known are the same."""
    converted = []

    def counted(raster: Raster, embedded: bytes, *, intent: str) -> Raster | None:
        converted.append(1)
        return convert(raster, embedded, intent=intent)

    monkeypatch.setattr("proxy.imaging.colours.convert", counted)
    image = noise(side, 400, P3).copy(xres=4, yres=4)
    image.set_type(pyvips.GValue.gstr_type, ARTIST, "Ann (Ann, ASCII, 4 components, 4 bytes)")

    settled = settle_colours(Picture((image,)), ColourPolicy.SRGB)

    assert len(converted) == (side * 400 <= MOST_PIXELS)
    assert settled.notes == ("colour profile converted to sRGB",)
    assert bytes(settled.first.write_to_memory()) == bytes(from_profile(image).write_to_memory())
    assert not settled.first.get_typeof(PROFILE)
    assert settled.first.get(ARTIST).startswith("Ann")
    assert settled.first.xres == 4
    assert settled.first.interpretation == "srgb"


@pytest.mark.parametrize("policy", [ColourPolicy.P3, ColourPolicy.KEEP])
def test_other_policies_are_left_to_libvips(policy: ColourPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that is to stay, or to be P3, is no matter of this."""
    monkeypatch.setattr("proxy.imaging.colours.convert", None)

    assert settle_colours(Picture((noise(20, 20, WIDE),)), policy).first.get_typeof(PROFILE)


def test_a_damaged_picture_is_told_as_such(studio: Studio) -> None:
    """And not as one with a damaged profile: its pixels are computed for the conversion."""
    whole = encoded(coordinates(900, 700), "PNG", icc_profile=P3)

    report = studio.render(whole, Resize(90, 70), output=Output(Target.PNG))
    assert report.notes == ("colour profile converted to sRGB",)
    with pytest.raises(TruncatedImage):
        studio.render(whole[: len(whole) // 2], Resize(90, 70), output=Output(Target.PNG))


def test_a_profile_that_pillow_refuses_is_left_to_libvips() -> None:
    """Whatever it says to it."""
    assert convert(raster_of(noise(10, 10, P3)), bytes(200), intent="relative") is None

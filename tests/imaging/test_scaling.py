"""Pixels as plain bytes, and small pictures made smaller by Pillow: the pictures are those of libvips."""

from __future__ import annotations

import numpy as np
import pytest
import pyvips
from PIL import Image

from proxy.imaging.fields import ARTIST, PROFILE
from proxy.imaging.icc import DISPLAY_P3, profile
from proxy.imaging.picture import Picture
from proxy.imaging.raster import Raster, read_raster
from proxy.imaging.scaling import scale_to, scaled
from proxy.imaging.sizes import MOST_AT_ONCE
from proxy.plan.geometry import Size
from proxy.plan.operations import Resize
from proxy.plan.output import Target
from tests.imaging.conftest import Studio
from tests.imaging.rasters import raster_of
from tests.pictures import coordinates, decoded, encoded, textured

P3 = profile(DISPLAY_P3, lambda code: code**2.2, grey=False)


def loaded(picture: Image.Image) -> pyvips.Image:
    """The same pixels for libvips, which reads them once and from the top."""
    return pyvips.Image.pngload_buffer(encoded(picture, "PNG"), access="sequential")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("height", [1, 63, 64, 65, 200])
def test_every_line_is_read(mode: str, height: int) -> None:
    """Some at a time: the last ones too, whatever their number, in every kind of picture of eight bits."""
    picture = textured(57, height, mode)

    raster = raster_of(loaded(picture))

    assert (raster.size, raster.bands) == (Size(57, height), len(mode))
    assert bytes(raster.pixels) == picture.tobytes()


def test_what_is_left_to_libvips() -> None:
    """More pixels than are held twice, and other than bytes."""
    side = MOST_AT_ONCE // 1024
    assert read_raster(pyvips.Image.black(1024, side)) is not None
    assert read_raster(pyvips.Image.black(1024, side + 1)) is None
    assert read_raster(pyvips.Image.black(10, 10).cast("ushort")) is None


def said(side: int) -> pyvips.Image:
    """A picture of which everything is said that is needed later."""
    image = pyvips.Image.black(side, side, bands=3).copy(interpretation="srgb", xres=4, yres=5)
    image.set_type(pyvips.GValue.blob_type, PROFILE, P3)
    image.set_type(pyvips.GValue.gstr_type, ARTIST, "Ann (Ann, ASCII, 4 components, 4 bytes)")
    return image


@pytest.mark.parametrize("side", [200, 1200, 3000])
def test_what_is_said_of_a_picture_stays(side: int) -> None:
    """Its colours, who made it and how many dots per inch it is meant for: in memory, and scaled by whomever."""
    held = Picture((said(side),)).in_memory()
    smaller = scale_to(held, Size(side * 3 // 4, side * 3 // 4))

    assert (held.raster is None, smaller.raster is None) == ((side == 3000,) * 2)
    assert held.in_memory() is held
    for image in (held.first, smaller.first):
        assert (image.xres, image.yres, image.interpretation) == (4, 5, "srgb")
        assert bytes(image.get(PROFILE)) == P3
        assert image.get(ARTIST).startswith("Ann")


def test_changed_frames_are_computed_anew() -> None:
    """Pixels that were in memory are not taken for those that were made of them."""
    held = Picture((loaded(coordinates(40, 30)),)).in_memory()
    turned = held.each(lambda frame: frame.rot90())

    assert turned.raster is None
    after = turned.in_memory().raster
    assert after is not None
    assert (after.size, turned.size, held.size) == (Size(30, 40), Size(30, 40), Size(40, 30))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("target", [Size(400, 300), Size(401, 77), Size(900, 700)])
def test_scaling_in_this_thread_is_that_of_libvips(mode: str, target: Size) -> None:
    """To the byte: who computes it is a matter of time."""
    picture = textured(800, 600, mode)

    ours = scale_to(Picture((loaded(picture),)).in_memory(), target)

    assert ours.raster is not None
    theirs = scaled(loaded(picture).copy_memory(), target)
    assert bytes(ours.raster.pixels) == bytes(theirs.write_to_memory())
    assert bytes(ours.first.write_to_memory()) == bytes(theirs.write_to_memory())


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("target", [Size(50, 38), Size(200, 3), Size(199, 150), Size(1, 1)])
def test_small_pictures_are_those_of_libvips(mode: str, target: Size) -> None:
    """Who makes a picture smaller is a matter of time: a level or two of 255 is what they differ by."""
    picture = coordinates(200, 150).convert(mode)

    ours = scale_to(Picture((loaded(picture),)).in_memory(), target)

    assert ours.raster is not None
    assert ours.size == target == Size(ours.first.width, ours.first.height)
    theirs = raster_of(scaled(loaded(picture), target))
    difference = np.frombuffer(ours.raster.pixels, np.uint8).astype(int) - np.frombuffer(theirs.pixels, np.uint8)
    assert np.abs(difference).mean() < 1.5


def test_a_flat_picture_stays_flat() -> None:
    """No edge is darkened, no level lost."""
    made = scale_to(Picture((loaded(Image.new("RGB", (97, 61), (10, 128, 255))),)).in_memory(), Size(31, 17))
    assert made.raster is not None
    assert set(decoded_colours(made.raster)) == {(10, 128, 255)}


def decoded_colours(raster: Raster) -> list[tuple[int, ...]]:
    """The colours of all pixels."""
    pixels = bytes(raster.pixels)
    return [tuple(pixels[at : at + raster.bands]) for at in range(0, len(pixels), raster.bands)]


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [
        ("RGBA", (200, 150), (50, 38)),
        ("LA", (200, 150), (50, 38)),
        ("I;16", (200, 150), (50, 38)),
        ("RGB", (400, 300), (50, 38)),
        ("RGB", (20, 15), (40, 30)),
        ("RGB", (20, 15), (40, 8)),
    ],
)
def test_everything_else_is_left_to_libvips(
    mode: str, before: tuple[int, int], after: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transparency, more bits, more pixels, and what grows; read once, from the top, as a file is."""
    monkeypatch.setattr(Raster, "scaled", lambda *_: pytest.fail("not for Pillow"))
    picture = Image.new("I;16", before, 300) if mode == "I;16" else textured(*before, mode)

    fresh = scale_to(Picture((loaded(picture),)), Size(*after)).in_memory()
    held = scale_to(Picture((loaded(picture),)).in_memory(), Size(*after)).in_memory()

    for made in (fresh, held):
        assert (made.first.width, made.first.height) == after


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_small_original_says_the_same_afterwards(studio: Studio, kind: str) -> None:
    """Dots per inch: of a PNG, which libvips reads from its file, and of a JPEG, which Pillow makes smaller."""
    studio.render(encoded(coordinates(120, 90), kind, dpi=(300, 300)), Resize(60, 45), target=Target.PNG)

    result = decoded(studio.result.read_bytes())
    assert result.size == (60, 45)
    assert result.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_what_is_made_of_a_picture_twice_is_left_to_threads_of_libvips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours and transparency that part and meet again would be computed anew for each here: seconds, not a tenth."""
    picture = textured(500, 375, "RGBA")
    held = Picture((loaded(picture),)).in_memory()
    sharpened = Picture((loaded(picture),)).each(lambda frame: frame.sharpen())
    monkeypatch.setattr(pyvips.Region, "new", lambda _: pytest.fail("computed in this thread"))

    assert sharpened.in_memory().size == Size(500, 375)
    assert scale_to(held, Size(400, 300)).in_memory().size == Size(400, 300)

"""Colours: what a profile says is what is seen."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from proxy.plan.colour import Colour
from proxy.plan.operations import AutoOrient, Extent, Resize
from proxy.plan.output import ColourPolicy, Format, Output, Target
from tests.corpus import ROOT, require_corpus
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
BLACK_POINT_COMPENSATION = 0x2000

WITH_PROFILE = (
    "adobergb-painting.jpg", "adobergb-sample.jpg", "cmyk-swop.jpg",
    "grey-dotgain20.jpg", "grey-icc-gamma22.jpg", "icc-swapped-test.jpg", "icc_profile.png", "low-contrast.jpg",
    "p3-ferry_sunset.jpg", "p3.png", "prophoto.png", "sample-xyb.jpg", "uhdr-sample.jpg",
)  # fmt: skip


def pixels(body: bytes) -> np.ndarray:
    """The colours of a file, without alpha."""
    return np.asarray(decoded(body).convert("RGB"), int)


@pytest.mark.parametrize("name", WITH_PROFILE)
def test_profiles_are_converted(studio: Studio, name: str) -> None:
    """RGB, grey and CMYK pictures with a profile come out as LittleCMS converts them, without the profile.

    Among them an Ultra HDR JPEG, whose own loader in libvips reads freed memory.
    """
    require_corpus()
    path = ROOT / "color" / name
    original = Image.open(path)
    reference = ImageCms.profileToProfile(
        original if original.mode in ("L", "CMYK") else original.convert("RGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(original.info["icc_profile"])),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=BLACK_POINT_COMPENSATION,
    )
    original.close()

    studio.render(path, output=Output(target=Target.PNG))

    result = studio.result.read_bytes()
    assert reference is not None
    assert np.abs(pixels(result) - np.asarray(reference, int)).max() <= 2
    assert "icc_profile" not in decoded(result).info


def test_profile_is_converted_after_a_resize_too(studio: Studio) -> None:
    """The thumbnail of a wide-gamut photo has the colours of the photo, not those of its unconverted twin."""
    require_corpus()
    shown = {}

    for name in ("p3-ferry_sunset.jpg", "noicc-ferry_sunset.jpg"):
        studio.render(ROOT / "color" / name, AutoOrient(), Resize(200, 200), target=Target.PNG)
        shown[name] = pixels(studio.result.read_bytes())
    studio.render(ROOT / "color" / "p3-ferry_sunset.jpg", target=Target.PNG)
    full = decoded(studio.result.read_bytes()).convert("RGB").resize((200, 74), Image.Resampling.LANCZOS)

    wanted = np.asarray(full, int)
    assert np.abs(shown["p3-ferry_sunset.jpg"] - wanted).mean() < 3
    assert abs((shown["p3-ferry_sunset.jpg"] - wanted)[..., 0].mean()) < 0.5
    assert (shown["noicc-ferry_sunset.jpg"] - wanted)[..., 0].mean() < -2


@pytest.mark.parametrize("name", ["cmyk-no-profile.jpg", "pil_sample_cmyk.jpg", "tiff_strip_cmyk_jpeg.tif"])
def test_cmyk_without_a_profile(studio: Studio, name: str) -> None:
    """CMYK without a profile is converted by a printer's profile: not inverted, and near the simple conversion."""
    require_corpus()
    path = ROOT / "color" / name
    original = Image.open(path)
    simple = np.asarray(original.convert("RGB"), int)
    original.close()

    studio.render(path, target=Target.PNG)

    result = pixels(studio.result.read_bytes())
    assert np.abs(result - simple).mean() < 40
    assert np.corrcoef(result.ravel(), simple.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    "profile",
    [b"no profile at all", SRGB[:200], b"\0" * 5000, LAB, SRGB[:128] + b"\xff" * 400, b"x" * 5_000_000],
    ids=["text", "cut", "zeros", "of another kind", "garbage", "oversized"],
)
def test_bad_profiles_are_ignored(studio: Studio, profile: bytes) -> None:
    """A profile that is damaged, oversized or for another kind of picture changes nothing, and is no error."""
    picture = coordinates(64, 48)

    studio.render(encoded(picture, "PNG", icc_profile=profile), Resize(64, 48), target=Target.PNG)

    result = studio.result.read_bytes()
    assert np.abs(pixels(result) - np.asarray(picture, int)).max() <= 1
    assert "icc_profile" not in decoded(result).info


def test_rgb_profile_in_a_grey_picture(studio: Studio) -> None:
    """A grey JPEG with an RGB profile, as editors write them, stays as it is."""
    grey = coordinates(64, 48).convert("L")

    studio.render(encoded(grey, "PNG", icc_profile=SRGB), target=Target.PNG)

    result = decoded(studio.result.read_bytes())
    assert result.mode == "L"
    assert np.abs(np.asarray(result, int) - np.asarray(grey, int)).max() <= 1


@pytest.mark.parametrize("target", [Target.JPEG, Target.PNG, Target.WEBP, Target.AVIF, Target.TIFF])
def test_keep_attaches_the_profile(studio: Studio, target: Target) -> None:
    """With KEEP the pixels stay in their profile, and it is attached."""
    require_corpus()
    output = Output(target=target, colour=ColourPolicy.KEEP)
    with Image.open(ROOT / "color" / "adobergb-sample.jpg") as original:
        profile = original.info["icc_profile"]
        before = np.asarray(original.resize((131, 200), Image.Resampling.LANCZOS), int)

    studio.render(ROOT / "color" / "adobergb-sample.jpg", AutoOrient(), Resize(200, 200), output=output)

    result = studio.result.read_bytes()
    assert decoded(result).info["icc_profile"] == profile
    assert np.abs(pixels(result) - before).mean() < 6


@pytest.mark.parametrize("name", ["cmyk-swop.jpg", "adobergb-sample.jpg"])
def test_keep_converts_what_cannot_be_kept(studio: Studio, name: str) -> None:
    """CMYK, and any profile in a format that holds none, become sRGB even with KEEP."""
    require_corpus()
    target = Target.PNG if name.startswith("cmyk") else Target.GIF
    path = ROOT / "color" / name

    studio.render(path, Resize(100, 100), output=Output(target=target, colour=ColourPolicy.KEEP))
    kept = pixels(studio.result.read_bytes())
    studio.render(path, Resize(100, 100), output=Output(target=target))

    assert "icc_profile" not in decoded(studio.result.read_bytes()).info
    assert np.abs(kept - pixels(studio.result.read_bytes())).mean() < 6


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("color/Flag_of_the_Netherlands-16bit.png", (450, 300), (255, 255, 255)),
        ("color/Flag_of_the_Netherlands-16bit.png", (450, 50), (174, 28, 40)),
        ("color/gradient_lsb_16bperchannel.tif", (50, 2), (5, 5, 255)),
    ],
)
def test_sixteen_bits_become_eight(
    studio: Studio, name: str, at: tuple[int, int], expected: tuple[int, int, int]
) -> None:
    """Sixteen-bit pictures keep their colours."""
    require_corpus()

    studio.render(ROOT / name, target=Target.PNG)

    result = decoded(studio.result.read_bytes())
    assert result.mode == "RGB"
    assert result.getpixel(at) == pytest.approx(expected, abs=4)


def test_sixteen_bit_alpha_is_scaled(studio: Studio) -> None:
    """The alpha of a 16-bit picture is scaled like its colours, resized or not."""
    require_corpus()
    path = ROOT / "color" / "tbgn2c16.png"

    for operations in ((), (Resize(16, 16),)):
        studio.render(path, *operations, target=Target.PNG)
        alpha = np.asarray(decoded(studio.result.read_bytes()).convert("RGBA"))[..., 3]
        assert (alpha.min(), alpha.max()) == (0, 255)


def test_grey_stays_grey(studio: Studio) -> None:
    """A grey picture is written with one band where the format can, and is grey in all of them."""
    grey = encoded(coordinates(40, 30).convert("L"), "PNG")

    for format_, mode in ((Format.PNG, "L"), (Format.JPEG, "L"), (Format.WEBP, "RGB"), (Format.TIFF, "L")):
        studio.render(grey, Resize(20, 20), target=Target(format_.value))
        result = decoded(studio.result.read_bytes())
        assert result.mode == mode
        bands = np.asarray(result.convert("RGB"), int)
        assert np.ptp(bands, axis=2).max() <= 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "YCbCr", "F"])
def test_every_kind_of_pixel(studio: Studio, mode: str) -> None:
    """Whatever kind of pixels a TIFF holds, an 8-bit picture comes out, on a coloured canvas, too."""
    picture = coordinates(40, 30).convert("RGB")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L"), "uint16") * 257)
    else:
        picture = picture.convert(mode)

    studio.render(
        encoded(picture, "TIFF"), Resize(20, 20), Extent(30, 30, background=Colour(200, 0, 0)), target=Target.PNG
    )

    result = decoded(studio.result.read_bytes())
    assert (result.mode, result.size) == ("RGB", (30, 30))
    assert result.getpixel((0, 0)) == (200, 0, 0)


def test_srgb_profiles_are_recognised(studio: Studio) -> None:
    """A profile that is sRGB, under whatever name and however written, is dropped without a conversion."""
    picture = coordinates(64, 64)

    plain = studio.render(encoded(picture, "PNG"), target=Target.PNG)
    untagged = pixels(studio.result.read_bytes())
    tagged = studio.render(encoded(picture, "PNG", icc_profile=SRGB), target=Target.PNG)

    assert plain.notes == ()
    assert tagged.notes == ("colour profile is sRGB",)
    assert np.array_equal(pixels(studio.result.read_bytes()), untagged)

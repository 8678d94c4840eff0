"""Colours without a profile: what a file states in numbers is what is seen."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from proxy.plan.colour import Colour
from proxy.plan.operations import Extent, Grayscale, Resize
from proxy.plan.output import ColourPolicy, Output, Target
from tests.corpus import ROOT, require_corpus
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

P3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
REC_709 = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def png(colour: tuple[int, int, int] | int, *chunks: tuple[bytes, bytes], **options: object) -> bytes:
    """A PNG of one colour with these chunks before its pixels."""
    body = encoded(Image.new("L" if isinstance(colour, int) else "RGB", (8, 8), colour), "PNG", **options)
    extra = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return body[:33] + extra + body[33:]


def gamma(value: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", value)


def chromaticities(numbers: tuple[int, ...]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *numbers)


def cicp(*codes: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes(codes)


def shown(studio: Studio, body: bytes, **output: object) -> tuple[int, int, int]:
    """The colour of the result, by its own profile if it has one."""
    studio.render(body, output=Output(Target.PNG, **output))  # type: ignore[arg-type]
    return seen(studio.result.read_bytes())


def seen(body: bytes, at: tuple[int, int] = (0, 0)) -> tuple[int, int, int]:
    """A pixel of a file in sRGB, by Pillow."""
    image = decoded(body)
    if profile := image.info.get("icc_profile"):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        image = ImageCms.profileToProfile(
            image.convert("RGB"), source, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    return image.convert("RGB").getpixel(at)


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((), (200, 100, 50)),
        ((gamma(45455),), (200, 100, 50)),
        ((gamma(45455), chromaticities(REC_709)), (200, 100, 50)),
        ((chromaticities(P3),), (200, 100, 50)),
        ((gamma(100_000),), (228, 167, 122)),
        ((gamma(100_000), (b"sRGB", b"\0")), (200, 100, 50)),
        ((cicp(1, 13, 0, 1),), (200, 100, 50)),
        ((cicp(1, 1, 0, 1),), (200, 100, 50)),
        ((cicp(12, 13, 0, 1),), (215, 94, 31)),
        ((cicp(12, 13, 0, 1), (b"sRGB", b"\0")), (215, 94, 31)),
        ((cicp(9, 13, 0, 1),), (241, 76, 29)),
        ((cicp(1, 8, 0, 1),), (229, 168, 122)),
        ((cicp(1, 99, 0, 1),), (200, 100, 50)),
        ((cicp(12, 13, 1, 0),), (200, 100, 50)),
        ((gamma(0), chromaticities(P3)), (200, 100, 50)),
        ((gamma(45455), chromaticities((0,) * 8)), (200, 100, 50)),
        ((gamma(45455), (b"cHRM", b"short")), (200, 100, 50)),
    ],
    ids=[
        "nothing", "gamma 2.2", "sRGB in numbers", "cHRM alone", "linear", "sRGB before gAMA", "cICP sRGB",
        "cICP BT.709", "cICP P3", "cICP before sRGB", "cICP BT.2020", "cICP linear", "unknown transfer",
        "not RGB", "no gamma", "no primaries", "a broken chunk",
    ],
)  # fmt: skip
def test_png_says_what_it_means(
    studio: Studio, chunks: tuple[tuple[bytes, bytes], ...], expected: tuple[int, int, int]
) -> None:
    """Each chunk counts as the PNG specification ranks them, and nonsense counts for nothing."""
    assert shown(studio, png((200, 100, 50), *chunks)) == pytest.approx(expected, abs=2)


def test_cicp_outranks_a_profile(studio: Studio) -> None:
    """A PNG with both is shown by its cICP, and a profile outranks gAMA."""
    assert shown(studio, png((200, 100, 50), cicp(12, 13, 0, 1), icc_profile=SRGB)) == pytest.approx(
        (215, 94, 31), abs=2
    )
    assert shown(studio, png((200, 100, 50), gamma(100_000), icc_profile=SRGB)) == pytest.approx((200, 100, 50), abs=1)


def test_reference_white_of_pq_is_white(studio: Studio) -> None:
    """PQ: 203 cd/m² (code 0.581) is white, a quarter of its light the grey that belongs to it, more is clipped."""
    for code, expected in ((148, 255), (255, 255), (111, 137), (0, 0)):
        assert shown(studio, png((code,) * 3, cicp(9, 16, 0, 1))) == pytest.approx((expected,) * 3, abs=4)


def test_reference_white_of_hlg_is_white(studio: Studio) -> None:
    """HLG: 75 % is white."""
    for code, expected in ((191, 255), (255, 255), (0, 0)):
        assert shown(studio, png((code,) * 3, cicp(9, 18, 0, 1))) == pytest.approx((expected,) * 3, abs=4)


def test_grey_is_corrected(studio: Studio) -> None:
    """A grey PNG is corrected as well, and stays grey."""
    assert shown(studio, png(100, gamma(100_000))) == pytest.approx((167,) * 3, abs=1)
    assert decoded(studio.result.read_bytes()).mode == "L"


def test_avif_in_p3(studio: Studio) -> None:
    """An AVIF whose nclx box says Display P3 is shown so."""
    body = encoded(Image.new("RGB", (16, 16), (200, 100, 50)), "AVIF", quality=100, subsampling="4:4:4")
    assert b"nclx\0\1\0\x0d" in body

    assert shown(studio, body) == pytest.approx((200, 100, 50), abs=3)
    assert shown(studio, body.replace(b"nclx\0\1\0\x0d", b"nclx\0\x0c\0\x0d")) == pytest.approx((215, 94, 31), abs=3)


@pytest.mark.parametrize("target", [Target.JPEG, Target.PNG, Target.WEBP, Target.AVIF, Target.TIFF])
def test_p3_is_attached(studio: Studio, target: Target) -> None:
    """With P3 the result carries Display P3 and is seen as the original is, in every format that holds a profile."""
    body = encoded(Image.new("RGB", (16, 16), (200, 100, 50)), "PNG")

    report = studio.render(body, Resize(8, 8), output=Output(target, colour=ColourPolicy.P3, quality=100))

    result = studio.result.read_bytes()
    profile = ImageCms.ImageCmsProfile(io.BytesIO(decoded(result).info["icc_profile"])).profile
    assert profile.red_primary[1][:2] == pytest.approx((0.68, 0.32), abs=0.005) or profile.target is None
    assert decoded(result).convert("RGB").getpixel((0, 0)) == pytest.approx((187, 106, 61), abs=4)
    assert seen(result) == pytest.approx((200, 100, 50), abs=4)
    assert "converted to Display P3" in report.notes


def test_p3_in_a_format_without_profiles(studio: Studio) -> None:
    """A GIF holds no profile: it gets sRGB, and says so."""
    body = encoded(Image.new("RGB", (16, 16), (200, 100, 50)), "PNG")

    report = studio.render(body, output=Output(Target.GIF, colour=ColourPolicy.P3))

    assert decoded(studio.result.read_bytes()).convert("RGB").getpixel((0, 0)) == pytest.approx((200, 100, 50), abs=2)
    assert "colour profile converted to sRGB" in report.notes


def test_p3_keeps_wide_colours(studio: Studio) -> None:
    """A wide-gamut photo loses colours in sRGB and not in P3; a P3 original is not converted at all."""
    require_corpus()
    path = ROOT / "color" / "p3-ferry_sunset.jpg"
    with Image.open(path) as original:
        before = np.asarray(original, int)

    report = studio.render(path, output=Output(Target.PNG, colour=ColourPolicy.P3))

    assert "colour profile is Display P3" in report.notes
    assert np.array_equal(np.asarray(decoded(studio.result.read_bytes()), int), before)


@pytest.mark.parametrize("policy", [ColourPolicy.P3, ColourPolicy.KEEP])
def test_painted_colours_are_those_asked_for(studio: Studio, policy: ColourPolicy) -> None:
    """A canvas is the sRGB colour that was asked for, also around a picture that keeps a wide profile."""
    require_corpus()
    canvas = Extent(100, 100, background=Colour(200, 100, 50))

    studio.render(
        ROOT / "color" / "adobergb-sample.jpg", Resize(60, 60), canvas, output=Output(Target.PNG, colour=policy)
    )

    assert seen(studio.result.read_bytes()) == pytest.approx((200, 100, 50), abs=3)


def test_grey_profile_leaves_with_the_grey(studio: Studio) -> None:
    """A grey picture that keeps its profile loses it on a coloured canvas; a coloured one that turns grey, too."""
    require_corpus()
    output = Output(Target.PNG, colour=ColourPolicy.KEEP)
    canvas = Extent(100, 100, background=Colour(200, 100, 50))

    studio.render(ROOT / "color" / "grey-dotgain20.jpg", canvas, output=output)
    assert "icc_profile" not in decoded(studio.result.read_bytes()).info
    assert seen(studio.result.read_bytes()) == pytest.approx((200, 100, 50), abs=1)

    studio.render(ROOT / "color" / "adobergb-sample.jpg", Grayscale(), output=output)
    assert "icc_profile" not in decoded(studio.result.read_bytes()).info


def tiff(image: pyvips.Image) -> bytes:
    return image.tiffsave_buffer()


def test_light_in_floats(studio: Studio) -> None:
    """A float TIFF is linear light from 0 to 1, in colours and in grey; what is brighter is white."""
    light = pyvips.Image.black(8, 8, bands=3).linear(1, [0.5, 0.2, 2.0])
    assert shown(studio, tiff(light.cast("float").copy(interpretation="scrgb"))) == pytest.approx(
        (188, 124, 255), abs=2
    )
    grey = (pyvips.Image.black(8, 8) + 0.5).cast("float").copy(interpretation="b-w")
    assert shown(studio, tiff(grey)) == pytest.approx((188,) * 3, abs=2)
    assert shown(studio, tiff(grey * 254)) == pytest.approx((127,) * 3, abs=1)


def test_lab_tiffs(studio: Studio) -> None:
    """LAB TIFFs of 8 and 16 bits and in floats have the colours that LittleCMS gives to their numbers."""
    lab = Image.merge("LAB", [Image.new("L", (8, 8), level) for level in (128, 148, 98)])
    expected = ImageCms.profileToProfile(
        lab, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    ).getpixel((0, 0))
    numbers = (
        pyvips.Image.black(8, 8, bands=3).linear(1, [128 / 2.55, 20, -30]).cast("float").copy(interpretation="lab")
    )

    assert shown(studio, encoded(lab, "TIFF")) == pytest.approx(expected, abs=2)
    assert shown(studio, tiff(numbers)) == pytest.approx(expected, abs=2)
    assert shown(studio, tiff(numbers.colourspace("labs"))) == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("name", ["uhdr-sample.jpg", "pixel6-ultrahdr.jpg"])
def test_gain_maps_are_dropped(studio: Studio, name: str) -> None:
    """An Ultra HDR JPEG gives its base picture thirty times out of thirty, and nothing of the gain map."""
    require_corpus()
    from proxy.plan.output import Truncated

    first = None
    for _ in range(30):
        output = Output(Target.JPEG, truncated=Truncated.RENDER)
        report = studio.render(ROOT / "color" / name, Resize(200, 200), output=output)
        result = studio.result.read_bytes()
        first = first or result
        assert result == first
    assert any("gain map dropped" in note for note in report.notes)
    assert b"hdrgm" not in result
    assert b"MPF" not in result
    assert result.count(b"\xff\xd8\xff") == 1


def test_small_pictures_say_nothing(studio: Studio) -> None:
    """An everyday picture earns no note."""
    assert studio.render(encoded(coordinates(8, 8), "JPEG"), target=Target.PNG).notes == ()

"""JPEG XL in and out, which needs the extra `formats`."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from proxy.errors import CannotRender, OriginalTooLarge, ProxyError
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderLimits
from proxy.imaging.jxl import read_header
from proxy.plan.operations import AutoOrient, Resize
from proxy.plan.output import Format, Output, Target
from tests.corpus import ROOT, require_corpus
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

pillow_jxl = pytest.importorskip("pillow_jxl", reason="pillow-jxl-plugin is not installed: JPEG XL was not tried")

SIZES = [(1, 1), (8, 8), (256, 64), (100, 77), (640, 480), (1920, 1080), (3, 2000), (300, 240), (500, 250)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_the_header(studio: Studio, mode: str, size: tuple[int, int]) -> None:
    """The size and the alpha channel are read before the codec is: short forms, ratios and all."""
    path = studio.store(encoded(Image.new(mode, size), "JXL", effort=1))

    header = read_header(str(path))

    assert (header.width, header.height, header.alpha) == (*size, mode.endswith("A"))
    assert (header.orientation, header.moving, header.jpeg) == (1, False, False)


def turned_jpeg(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(coordinates(64, 48), "JPEG", exif=exif.tobytes(), quality=90)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_in_other_clothes(studio: Studio, orientation: int) -> None:
    """A JPEG that was packed without loss comes out as the JPEG did, turned upright."""
    body = turned_jpeg(orientation)
    packed = pillow_jxl.Encoder(mode="RGB", lossless=True, quality=100, num_threads=0)(body, 64, 48, jpeg_encode=True)

    info = inspect(str(studio.store(packed)), RenderLimits())
    assert (info.width, info.height, info.orientation) == (64, 48, orientation)
    studio.render(bytes(packed), AutoOrient(), target=Target.PNG)
    ours = decoded(studio.result.read_bytes())
    studio.render(body, AutoOrient(), target=Target.PNG)
    theirs = decoded(studio.result.read_bytes())
    assert (ours.size, ours.tobytes()) == (theirs.size, theirs.tobytes())


def test_limits_hold_before_the_codec_decodes(studio: Studio) -> None:
    """A file of some bytes that claims to be huge is refused by its header."""
    body = bytearray(encoded(coordinates(640, 480), "JXL"))
    path = studio.store(bytes(body))

    with pytest.raises(OriginalTooLarge, match="this one is 640x480"):
        inspect(str(path), RenderLimits(max_pixels=640 * 480 - 1))
    # 18 bits of height and width in the long form: div8 0, selector 2, ratio 0.
    bits = 0 | 2 << 1 | 0x3FFFF << 3 | 0 << 21 | 2 << 24 | 0x3FFFF << 26 | 1 << 44
    bomb = b"\xff\x0a" + bits.to_bytes(8, "little") + bytes(body[12:])
    with pytest.raises(OriginalTooLarge, match="this one is 262144x262144"):
        inspect(str(studio.store(bomb)), RenderLimits())


def test_real_files(studio: Studio) -> None:
    """With alpha; and in a container, grey, from a JPEG."""
    require_corpus()

    dice = studio.render(ROOT / "formats" / "dice.jxl", Resize(100, 100), target=Target.PNG)
    picture = decoded(studio.result.read_bytes())
    assert (dice.width, picture.mode, picture.getpixel((0, 0))[3]) == (100, "RGBA", 0)
    grey = studio.render(ROOT / "formats" / "jxl-isobmff.jxl", Resize(100, 100), target=Target.PLAIN)
    assert (grey.format, grey.width, grey.height) == (Format.JPEG, 100, 65)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_lossless(studio: Studio, mode: str) -> None:
    """Written without loss, every value is there again."""
    picture = coordinates(50, 40).convert(mode)
    if mode.endswith("A"):
        picture.putalpha(Image.linear_gradient("L").resize((50, 40)))

    report = studio.render(encoded(picture, "PNG"), output=Output(Target.JXL, lossless=True))

    result = decoded(studio.result.read_bytes())
    assert (report.format, result.mode) == (Format.JXL, mode)
    assert np.array_equal(np.asarray(result), np.asarray(picture))


def test_source_stays(studio: Studio) -> None:
    """A JPEG XL that is only scaled stays one; in what every browser reads it becomes a JPEG."""
    body = encoded(coordinates(80, 60), "JXL")

    assert studio.render(body, Resize(40, 40)).format is Format.JXL
    assert studio.render(body, Resize(40, 40), target=Target.FAMILIAR).format is Format.JPEG
    assert studio.render(body, Resize(40, 40), target=Target.PLAIN).format is Format.JPEG


def test_cut_short(studio: Studio) -> None:
    """A file that ends too early is an error, at whatever byte."""
    body = encoded(coordinates(200, 150), "JXL")
    for part in range(1, 10):
        with pytest.raises(CannotRender):
            studio.render(body[: len(body) * part // 10], target=Target.PNG)


@pytest.mark.parametrize("packed", [False, True])
def test_damaged(studio: Studio, *, packed: bool) -> None:
    """Whatever a byte becomes, the answer is a picture or a clear error."""
    body = bytearray(encoded(coordinates(64, 64), "JXL", use_container=packed))
    for at in range(2, len(body), max(1, len(body) // 80)):
        broken = bytes((*body[:at], body[at] ^ 0x35, *body[at + 1 :]))
        try:
            studio.render(broken, Resize(30, 30), target=Target.WEBP, limits=RenderLimits(max_pixels=1_000_000))
        except ProxyError:
            continue
        assert Image.open(io.BytesIO(studio.result.read_bytes())).size[0] <= 30

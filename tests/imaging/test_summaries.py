"""Our own reports, beside the libraries that define what is in them."""

from __future__ import annotations

import base64
import importlib.util
import json
from pathlib import Path

import blurhash
import numpy as np
import pytest
from PIL import Image
from thumbhash import rgba_to_thumb_hash

from proxy.imaging import hashes
from proxy.plan.operations import AutoOrient, Crop, Operation, Resize
from proxy.plan.output import Answer, Metadata, Output, Target
from tests.corpus import ROOT, require_corpus
from tests.imaging.conftest import Studio
from tests.imaging.test_ssimulacra2 import picture
from tests.pictures import coordinates, encoded


def report(
    studio: Studio, original: bytes | Path, answer: Answer, *operations: Operation, **more: object
) -> dict[str, object]:
    """The report on an original."""
    made = studio.render(original, *operations, output=Output(answer=answer, **more))
    assert made.media_type == "application/json"
    return dict(json.loads(studio.result.read_bytes()))


@pytest.mark.parametrize("size", [(64, 48), (48, 64), (40, 40), (100, 7)])
def test_blurhash_is_the_librarys(size: tuple[int, int]) -> None:
    """The same text as from the Python library of that name, of the same pixels."""
    image = picture(*size)
    across, down = (4, 3) if size[0] >= size[1] else (3, 4)

    assert hashes.blurhash(np.asarray(image) / 255) == blurhash.encode(np.asarray(image), across, down)


@pytest.mark.parametrize("size", [(64, 48), (48, 64), (40, 40), (100, 7)])
def test_thumbhash_is_the_librarys(size: tuple[int, int]) -> None:
    """The same bytes as from the Python port of the reference."""
    image = picture(*size).convert("RGBA")

    ours = base64.b64decode(hashes.thumbhash(np.asarray(image) / 255))
    assert list(ours) == rgba_to_thumb_hash(*size, list(image.tobytes()))


@pytest.mark.parametrize(
    ("size", "theirs"),
    [
        ((64, 48), "FtiFBIY4cHayiHx2aLAIcLyEhweIeIiHBw=="),
        ((48, 64), "FtiFBAY4cCaLyGeHiLAIgLyEhweHeIiHBw=="),
        ((40, 40), "FtiFBQY3cHayiHx2eP1WCshLeHiAiId4iA=="),
        ((100, 7), "FtiFAYY4cHayiIuJewDIS4iIgId3eIg="),
    ],
)
def test_transparent_thumbhash_is_the_references(size: tuple[int, int], theirs: str) -> None:
    """What the JavaScript package `thumbhash` 0.1.1 says; the Python port fails on transparent pictures.

    A wave that is nothing may be rounded either way: eight of fifteen or seven.
    """
    image = picture(*size).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(size))

    def nibbles(text: str) -> list[int]:
        return [part for byte in base64.b64decode(text) for part in (byte & 15, byte >> 4)]

    ours = nibbles(hashes.thumbhash(np.asarray(image) / 255))
    for mine, other in zip(ours, nibbles(theirs), strict=True):
        assert mine == other or {mine, other} == {7, 8}


def test_perceptual_hashes_know_a_picture_again(studio: Studio) -> None:
    """A smaller, poorer copy differs in a few bits, another picture in many."""

    def bits(first: dict[str, object], second: dict[str, object], name: str) -> int:
        return (int(str(first[name]), 16) ^ int(str(second[name]), 16)).bit_count()

    image = picture(400, 300)
    one = report(studio, encoded(image, "PNG"), Answer.PHASH)
    same = report(studio, encoded(image.resize((133, 100)), "JPEG", quality=40), Answer.PHASH)
    other = report(studio, encoded(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG"), Answer.PHASH)

    assert set(one) == {"dhash", "phash"}
    assert all(len(str(value)) == 16 for value in one.values())
    for name in one:
        assert bits(one, same, name) <= 6
        assert bits(one, other, name) >= 15


def test_info_tells_the_file(studio: Studio) -> None:
    """Sizes as seen and as stored, colours, hashes; of EXIF what is not private."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x013B] = 6, "Pentax", "Jane Doe"
    exif.get_ifd(0x8769).update({0x829D: 2.8, 0xA431: "SERIAL-1", 0xA430: "Jane Doe", 0x927C: b"maker"})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0)})
    body = encoded(Image.new("RGB", (80, 40), (200, 30, 40)), "JPEG", quality=95, exif=exif.tobytes())

    said = report(studio, body, Answer.INFO)
    text = studio.result.read_text()

    assert said["format"] == "jpeg"
    assert said["bytes"] == len(body)
    assert (said["width"], said["height"]) == (40, 80)
    assert said["stored"] == {"width": 80, "height": 40, "orientation": 6}
    assert said["frames"] == 1
    assert said["has_alpha"] is False
    assert said["color_model"] == "ycbcr"
    assert said["exif"]["Make"] == "Pentax"  # type: ignore[index]
    assert "FNumber" in said["exif"]  # type: ignore[operator]
    for private in ("GPS", "SERIAL", "Jane", "maker"):
        assert private not in text
    red = bytes.fromhex(str(said["dominant"])[1:])
    assert all(abs(ours - drawn) <= 6 for ours, drawn in zip(red, (200, 30, 40), strict=True))
    credited = report(studio, body, Answer.INFO, metadata=Metadata.COPYRIGHT)
    assert credited["exif"]["Artist"] == "Jane Doe"  # type: ignore[index]


def test_info_of_an_animation(studio: Studio) -> None:
    """Delays and loops."""
    frames = [picture(64, 48).rotate(turn) for turn in (0, 40, 80)]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=[80, 120, 40], loop=0)
    said = report(studio, gif, Answer.INFO)

    assert (said["frames"], said["delays_ms"], said["loop"]) == (3, [80, 120, 40], 0)


def test_report_behind_operations_is_about_their_picture(studio: Studio) -> None:
    """A placeholder for a crop is one of the crop."""
    body = encoded(coordinates(400, 300), "PNG")
    crop = (AutoOrient(), Resize(200, 200), Crop(40, 40))
    cropped = report(studio, body, Answer.THUMBHASH, *crop, target=Target.PNG)
    studio.render(body, *crop, target=Target.PNG)

    assert cropped == report(studio, studio.result.read_bytes(), Answer.THUMBHASH)
    assert cropped != report(studio, body, Answer.THUMBHASH)


def test_palette_of_two_colours(studio: Studio) -> None:
    """The most frequent colour first; the average between them."""
    image = Image.new("RGB", (90, 60), (0, 0, 255))
    image.paste((255, 255, 0), (0, 0, 30, 60))
    said = report(studio, encoded(image, "PNG"), Answer.PALETTE)

    assert said["palette"][:2] == ["#0000ff", "#ffff00"]  # type: ignore[index]
    assert said["dominant"] == "#0000ff"
    assert said["average"] == "#5555aa"


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 2)])
def test_extreme_shapes_have_reports(studio: Studio, size: tuple[int, int]) -> None:
    """A pixel, a line, a column."""
    body = encoded(Image.new("RGBA", size, (10, 200, 30, 128)), "PNG")

    assert report(studio, body, Answer.INFO)["blurhash"]


def test_codes_are_read(studio: Studio) -> None:
    """A QR code in a picture: its text, and where it is."""
    zxingcpp = pytest.importorskip("zxingcpp")
    drawn = zxingcpp.create_barcode("https://example.org/!thumb", zxingcpp.BarcodeFormat.QRCode).to_image(scale=5)
    code = Image.fromarray(np.asarray(drawn)).convert("RGB")
    page = Image.new("RGB", (800, 600), "white")
    page.paste(code, (500, 300))
    said = report(studio, encoded(page, "JPEG", quality=85), Answer.BARCODES)

    (found,) = said["barcodes"]  # type: ignore[misc]
    assert found["text"] == "https://example.org/!thumb"
    left, top = found["corners"][0]
    assert 0.6 < left < 0.75
    assert 0.45 < top < 0.65


@pytest.mark.skipif(importlib.util.find_spec("zxingcpp") is not None, reason="the library is installed")
def test_codes_without_the_library(studio: Studio) -> None:
    """The error names the extra."""
    with pytest.raises(Exception, match="vision"):
        report(studio, encoded(picture(), "PNG"), Answer.BARCODES)


def test_real_photos_leak_nothing(studio: Studio) -> None:
    """Every photo of the corpus has a report, and none of them a position."""
    require_corpus()
    for path in sorted((ROOT / "photos").glob("*.jpg"))[:4]:
        said = report(studio, path, Answer.INFO)
        assert "GPS" not in studio.result.read_text()
        assert len(said["palette"]) == 6  # type: ignore[arg-type]

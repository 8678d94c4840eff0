"""Formats: what goes in, what comes out, and what is given up on the way."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from proxy.errors import CannotRender
from proxy.plan.colour import Colour
from proxy.plan.operations import AutoOrient, Resize
from proxy.plan.output import Format, Metadata, Output, Target
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

pytest.importorskip("pillow_jxl", reason="pillow-jxl-plugin is not installed: JPEG XL was not tried")

READ = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "ICO", "JXL")
WRITTEN = [target for target in Target if target.known_format is not None]
LOSSY = {"JPEG", "WEBP", "AVIF", "GIF"}


@pytest.mark.parametrize("target", WRITTEN)
@pytest.mark.parametrize("kind", READ)
def test_every_format_to_every_format(studio: Studio, kind: str, target: Target) -> None:
    """What can be read can be written as anything that can be written, and still looks the same."""
    picture = coordinates(128, 96)

    report = studio.render(encoded(picture, kind), AutoOrient(), Resize(64, 64), target=target)

    result = decoded(studio.result.read_bytes())
    reference = np.asarray(picture.resize((64, 48), Image.Resampling.LANCZOS), int)
    assert report.format.value == target.value == result.format.lower()
    assert result.size == (report.width, report.height) == (64, 48)
    assert report.size == studio.result.stat().st_size
    shown = np.asarray(result.convert("RGB"), int)
    assert np.abs(shown - reference).mean() < (8 if "gif" in (kind.lower(), target.value) else 3)


@pytest.mark.parametrize("kind", READ)
def test_source_keeps_the_format(studio: Studio, kind: str) -> None:
    """Asked for nothing, the format stays; Pillow reads it as what it was."""
    studio.render(encoded(coordinates(32, 32), kind), target=Target.SOURCE)

    assert decoded(studio.result.read_bytes()).format == kind


@pytest.mark.parametrize(
    ("alpha", "frames", "expected"),
    [(None, 1, Format.JPEG), (255, 1, Format.JPEG), (254, 1, Format.PNG), (None, 3, Format.GIF)],
)
def test_plain_chooses_by_what_is_seen(studio: Studio, alpha: int | None, frames: int, expected: Format) -> None:
    """PLAIN is JPEG for what is opaque (an alpha channel that hides nothing does not count), PNG, or GIF if it moves."""
    picture = coordinates(40, 30).convert("RGBA")
    if alpha is not None:
        picture.putpixel((39, 29), (0, 0, 0, alpha))
    more = [picture.rotate(turn * 90) for turn in range(1, frames)]
    kind = "WEBP" if more else "PNG"
    body = encoded(picture, kind, save_all=True, append_images=more, lossless=True) if more else encoded(picture, kind)

    report = studio.render(body, target=Target.PLAIN)

    assert report.format is expected


@pytest.mark.parametrize("target", [Target.JPEG, Target.BMP])
def test_transparency_is_flattened_where_it_must_be(studio: Studio, target: Target) -> None:
    """JPEG and BMP get the output's background where the picture is transparent, and the report says so."""
    clear = encoded(Image.new("RGBA", (16, 16), (255, 0, 0, 0)), "PNG")

    report = studio.render(clear, output=Output(target=target, background=Colour(0, 128, 255)))

    shown = decoded(studio.result.read_bytes()).convert("RGB").getpixel((8, 8))
    assert shown == pytest.approx((0, 128, 255), abs=3)
    assert "transparency flattened" in report.notes


@pytest.mark.parametrize("target", [Target.PNG, Target.WEBP, Target.AVIF, Target.TIFF, Target.ICO, Target.GIF])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_kept_where_it_can_be(studio: Studio, mode: str, target: Target) -> None:
    """Formats with alpha keep it, in grey and in colour."""
    picture = Image.new("RGBA", (32, 32), (90, 90, 90, 0))
    picture.paste((90, 90, 90, 255), (0, 0, 16, 32))

    studio.render(encoded(picture.convert(mode), "PNG"), target=target)

    result = decoded(studio.result.read_bytes()).convert("RGBA")
    assert result.getpixel((4, 4)) == pytest.approx((90, 90, 90, 255), abs=3)
    assert result.getpixel((28, 4))[3] == 0


def test_quality_effort_progressive_and_lossless(studio: Studio) -> None:
    """Each of the output's settings has its effect on the file."""
    photo = encoded(coordinates(400, 300).effect_spread(20), "PNG")

    def size(**settings: object) -> int:
        return studio.render(photo, output=Output(**settings)).size  # type: ignore[arg-type]

    for target in (Target.JPEG, Target.WEBP, Target.AVIF):
        assert size(target=target, quality=30) < size(target=target) < size(target=target, quality=98)
    assert size(target=Target.PNG, effort=9) < size(target=Target.PNG, effort=0)
    size(target=Target.JPEG, progressive=True)
    assert decoded(studio.result.read_bytes()).info["progressive"]
    for target in (Target.WEBP, Target.AVIF):
        size(target=target, lossless=True)
        difference = np.asarray(decoded(studio.result.read_bytes()).convert("RGB"), int) - np.asarray(
            decoded(photo), int
        )
        assert np.abs(difference).max() <= (0 if target is Target.WEBP else 2)


def private(picture: Image.Image) -> Image.Exif:
    """Metadata as a camera writes it: who, where, which way up, on what."""
    exif = picture.getexif()
    exif[0x0112] = 3
    exif[0x013B] = "Ada Lovelace"
    exif[0x8298] = "(c) 1843 Ada"
    exif[0x0110] = "Secret Camera 9"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 29.0)
    return exif


@pytest.mark.parametrize("target", [Target.JPEG, Target.PNG, Target.WEBP, Target.AVIF, Target.TIFF, Target.GIF])
@pytest.mark.parametrize("metadata", Metadata)
def test_metadata_is_dropped_but_for_the_copyright(studio: Studio, metadata: Metadata, target: Target) -> None:
    """No place, no camera, no orientation ever; artist and copyright only when asked for."""
    picture = coordinates(64, 48)
    original = encoded(picture, "JPEG", exif=private(picture).tobytes(), comment=b"Secret comment")

    studio.render(original, AutoOrient(), Resize(32, 32), output=Output(target=target, metadata=metadata))

    body = studio.result.read_bytes()
    exif = decoded(body).getexif()
    assert b"Secret" not in body
    assert 0x8825 not in exif
    assert exif.get(0x0112, 1) == 1
    kept = metadata is Metadata.COPYRIGHT and target not in (Target.TIFF, Target.GIF)
    assert (exif.get(0x013B), exif.get(0x8298)) == (("Ada Lovelace", "(c) 1843 Ada") if kept else (None, None))


def test_icons_give_their_largest_picture(studio: Studio) -> None:
    """An icon of several sizes is its largest one."""
    file = io.BytesIO()
    coordinates(64, 64).save(file, "ICO", sizes=[(16, 16), (64, 64), (32, 32)])

    report = studio.render(file.getvalue(), target=Target.PNG)

    assert (report.width, report.height) == (64, 64)


def test_a_written_icon_has_one_picture(studio: Studio) -> None:
    """An icon is written at the size asked for and at no other."""
    studio.render(encoded(coordinates(100, 80), "PNG"), Resize(48, 48), target=Target.ICO)

    result = Image.open(studio.result)
    assert result.info["sizes"] == {(48, 38)}
    result.close()


def test_the_first_page_of_a_tiff(studio: Studio) -> None:
    """A document of several pages is its first, and the report says so."""
    pages = [coordinates(60, 40), coordinates(60, 40).rotate(180)]
    body = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])

    report = studio.render(body, target=Target.PNG)

    assert decoded(studio.result.read_bytes()).getpixel((55, 5)) == pages[0].getpixel((55, 5))
    assert "first of 2 pages" in report.notes


def test_twelve_bits(studio: Studio) -> None:
    """A JPEG of twelve bits opens, and fails on its pixels only: the answer says what it is."""
    body = bytearray(encoded(coordinates(64, 64), "JPEG"))
    body[body.index(b"\xff\xc0") + 4] = 12

    with pytest.raises(CannotRender, match="JPEG of 12 bits a channel"):
        studio.render(bytes(body), target=Target.PNG)

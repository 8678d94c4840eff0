"""Formats: what goes in, what comes out, and what is given up on the way."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from proxy.errors import NotAnImage
from proxy.imaging.job import RenderLimits
from proxy.plan.colour import Colour
from proxy.plan.operations import AutoOrient, Crop, Resize
from proxy.plan.output import Format, Metadata, Output, Target
from tests.corpus import ROOT, require_corpus
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

READ = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "ICO")
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


SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="20" height="20" fill="red"/>%s</svg>'
)


def test_svg_is_off_by_default(studio: Studio) -> None:
    """An SVG is refused, and the answer says that it could be switched on."""
    with pytest.raises(NotAnImage, match="SVG is switched off"):
        studio.render(SVG % b"")


def test_svg_is_drawn_at_the_size_asked_for(studio: Studio, svg: RenderLimits) -> None:
    """Switched on, an SVG has sharp edges at any size, becomes PNG and stays transparent."""
    report = studio.render(SVG % b"", Resize(width=1000, enlarge=True), limits=svg)

    result = decoded(studio.result.read_bytes())
    assert (report.format, result.size) == (Format.PNG, (1000, 500))
    assert [result.getpixel((x, 250)) for x in (0, 499, 501, 999)] == [
        (255, 0, 0, 255), (255, 0, 0, 255), (0, 0, 0, 0), (0, 0, 0, 0),
    ]  # fmt: skip


def test_svg_reads_no_other_file(studio: Studio, svg: RenderLimits) -> None:
    """An image beside the SVG, by relative, absolute or file: reference, is not drawn."""
    secret = studio.folder / "secret.png"
    secret.write_bytes(encoded(Image.new("RGB", (20, 20), (0, 255, 0)), "PNG"))
    references = "".join(
        f'<image x="20" width="20" height="20" href="{name}"/>'
        for name in ("secret.png", str(secret), f"file://{secret}")
    )

    studio.render(SVG % references.encode(), limits=svg)

    assert decoded(studio.result.read_bytes()).getpixel((30, 10))[3] == 0


def test_large_svg_needs_a_size(studio: Studio, svg: RenderLimits) -> None:
    """A 127-byte SVG of ten million pixels a side is fine as a thumbnail and refused at its own size."""
    require_corpus()
    bomb = ROOT / "broken" / "bomb-10000000x10000000.svg"

    report = studio.render(bomb, AutoOrient(), Resize(200, 200), limits=svg)

    assert (report.width, report.height) == (200, 200)
    for operations in ((), (Crop(10, 10),)):
        with pytest.raises(Exception, match="pixels"):
            studio.render(bomb, *operations, limits=svg)


def test_packed_svg_is_unpacked_within_the_limit(studio: Studio, svg: RenderLimits) -> None:
    """A gzip-packed SVG works; one that unpacks to more than the limit is refused before it is unpacked."""
    import gzip

    assert studio.render(gzip.compress(SVG % b""), limits=svg).width == 40
    with pytest.raises(Exception, match="unpacked"):
        studio.render(gzip.compress(SVG % (b" " * 50_000_000)), limits=svg)
    with pytest.raises(NotAnImage):
        studio.render(gzip.compress(b"just text"), limits=svg)

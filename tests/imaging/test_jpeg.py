"""JPEGs that become smaller: decoded by libjpeg-turbo where that is exact, and by libvips where it is not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from proxy.errors import TruncatedImage
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderJob, RenderLimits, SourceInfo
from proxy.imaging.jpeg import decode_jpeg
from proxy.imaging.loading import LOADERS, load, open_original
from proxy.imaging.sizes import MOST_DECODED, decoded_bytes, shrink_of, shrunk_size
from proxy.imaging.ssimulacra2 import Reference
from proxy.imaging.worker import render_job, render_together
from proxy.plan.geometry import Size
from proxy.plan.operations import AutoOrient, Resize
from proxy.plan.output import ColourPolicy, Format, Metadata, Output, Target, Truncated
from tests.corpus import corpus_files, require_corpus
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded, textured


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.99])
def test_progressive_jpegs_without_an_end_are_not_trimmed(studio: Studio, cut: float) -> None:
    """What ends early is told, at every scale: also where the missing scans would not have been looked at."""
    body = encoded(textured(400, 300), "JPEG", progressive=True)
    body = body[: int(len(body) * cut)]

    with pytest.raises(TruncatedImage):
        studio.render(body, Resize(10, 10))
    assert studio.render(body, Resize(10, 10), output=Output(truncated=Truncated.RENDER)).width == 10


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc2", b"\xff\xd8" + b"\xff\xc2\0\x0b\x08" + b"\0" * 40]
)
def test_nonsense_is_not_trimmed(body: bytes, tmp_path: Path) -> None:
    """What is no JPEG is left to libvips, which says what it is."""
    path = tmp_path / "nonsense.jpg"
    path.write_bytes(body)
    header = open_original(str(written(tmp_path, textured(80, 80))), Format.JPEG, RenderLimits())
    info = SourceInfo(Format.JPEG, 80, 80, 1, 3, has_alpha=False, orientation=1, interlaced=True, estimated_bytes=0)

    assert decode_jpeg(str(path), info, Size(2, 2), header) is None


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(("side", "step"), [(20, 8), (50, 4), (90, 2), (300, 1)])
def test_pixels_agree_with_libvips(tmp_path: Path, mode: str, side: int, step: int) -> None:
    """At every scale the pixels are those of libvips' own decoder, within the rounding of two libjpegs."""
    path = written(tmp_path, coordinates(640, 480).convert(mode), quality=95)
    info = inspect(str(path), RenderLimits())
    target = Size(side, side * 3 // 4)

    ours = load(str(path), info, Output(), RenderLimits(), target=target).first
    theirs = open_original(str(path), Format.JPEG, RenderLimits(), shrink=step)

    assert shrink_of(info, target) == step
    assert (ours.width, ours.height, ours.bands, ours.interpretation) == (
        theirs.width, theirs.height, theirs.bands, theirs.interpretation,
    )  # fmt: skip
    assert np.abs(ours.numpy().astype(int) - theirs.numpy()).max() <= 6


@pytest.mark.parametrize(
    ("width", "height", "side", "step"),
    [
        (4032, 3024, 1260, 2),  # 1.6 is left of 3.2
        (4032, 3024, 1270, 1),
        (4032, 3023, 1260, 1),  # no halves to the pixel: two is left at least
        (4032, 3023, 1000, 2),
        (4032, 3024, 560, 4),  # 1.8 of 7.2
        (4032, 3024, 570, 2),
        (4032, 3024, 280, 8),
        (4032, 3024, 285, 4),
        (1600, 1200, 500, 1),  # smaller originals: two
        (1600, 1200, 400, 2),
        (1600, 1200, 100, 8),
    ],
)
def test_how_far_the_decoder_shrinks(width: int, height: int, side: int, step: int) -> None:
    """At least two is left to good scaling; of a large original that the step divides, a little less."""
    info = SourceInfo(
        Format.JPEG, width, height, 1, 3, has_alpha=False, orientation=1, interlaced=False, estimated_bytes=0
    )

    assert shrink_of(info, Size(side, round(side * height / width))) == step


@pytest.mark.parametrize(("side", "step"), [(1260, 1), (1008, 2), (560, 4), (280, 8)])
def test_how_far_a_progressive_one_is_shrunk(side: int, step: int) -> None:
    """Two is left of a half, as its last bits are left out instead; of a quarter and an eighth, the usual."""
    info = SourceInfo(Format.JPEG, 4032, 3024, 1, 3, has_alpha=False, orientation=1, interlaced=True, estimated_bytes=0)

    assert shrink_of(info, Size(side, side * 3 // 4)) == step


@pytest.mark.parametrize(
    ("name", "side", "step"),
    [
        ("9.8mp", 1200, 2),
        ("9.8mp", 533, 4),
        ("9.8mp", 266, 8),
        ("11.8mp", 1212, 1),  # progressive: one bit is left out from here on,
        ("11.8mp", 541, 4),  # and two
        ("24.0mp", 900, 2),
    ],
)
def test_large_photos_stay_good(studio: Studio, name: str, side: int, step: int) -> None:
    """Where the least is left, SSIMULACRA2 is not more than 4 points below a libvips thumbnail's; of the worst photos."""
    require_corpus()
    (path,) = (path for path in corpus_files("photos") if path.name.startswith(name))
    report = studio.render(path, Resize(side, side), output=Output(Target.PNG, colour=ColourPolicy.KEEP))
    size = report.width, report.height
    info = inspect(str(path), RenderLimits())
    assert shrink_of(info, Size(*size)) == step
    with Image.open(path) as photo:
        ideal = Reference(loaded(photo.convert("RGB").resize(size, Image.Resampling.LANCZOS)))

    theirs = pyvips.Image.thumbnail(str(path), size[0], height=size[1], size="force", no_rotate=True)
    ours = pyvips.Image.pngload(str(studio.result)).copy_memory()

    assert ideal.score(ours) > ideal.score(theirs.copy_memory()) - 4


def loaded(picture: Image.Image) -> pyvips.Image:
    """The same pixels for libvips."""
    return pyvips.Image.new_from_buffer(encoded(picture, "PNG"), "").copy_memory()


def written(folder: Path, picture: Image.Image, **options: object) -> Path:
    """A JPEG in a folder."""
    path = folder / "picture.jpg"
    path.write_bytes(encoded(picture, "JPEG", **options))
    return path


@pytest.mark.parametrize(("length", "expected"), [(1394, 174), (1392, 174), (1397, 175), (803, 100), (805, 101)])
def test_part_of_a_column_counts_as_none_or_one(tmp_path: Path, length: int, expected: int) -> None:
    """A last column that is mostly beyond the picture is dropped: it would stretch a thumbnail by half a pixel."""
    path = written(tmp_path, coordinates(length, length))
    info = inspect(str(path), RenderLimits())
    header = open_original(str(path), Format.JPEG, RenderLimits())

    picture = decode_jpeg(str(path), info, Size(length // 20, length // 20), header)

    assert picture is not None
    assert (picture.first.width, picture.first.height) == (expected, expected) == (picture.size.width,) * 2


def test_thumbnails_are_in_place(studio: Studio) -> None:
    """A thumbnail of a size that no scale divides is where a full decode and Lanczos put it."""
    width, height = 1394, 930
    picture = Image.new("L", (width, height), 0)
    picture.paste(255, (width * 9 // 10, 0, width, height))
    picture.paste(255, (0, height * 9 // 10, width, height))

    studio.render(encoded(picture, "JPEG", quality=95), Resize(50, 50), target=Target.PNG)

    expected = picture.resize((50, 33), Image.Resampling.LANCZOS)
    difference = np.abs(np.asarray(decoded(studio.result.read_bytes()), int) - np.asarray(expected, int))
    assert difference.max() < 48


def test_profile_density_and_credit_survive(studio: Studio) -> None:
    """What is said of the picture as a whole comes through, although the pixels come from another library."""
    picture = coordinates(800, 600)
    exif = picture.getexif()
    exif[0x8298], exif[0x0112] = "Ann", 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    body = encoded(picture, "JPEG", exif=exif.tobytes(), dpi=(150, 150), icc_profile=profile)

    output = Output(target=Target.JPEG, metadata=Metadata.COPYRIGHT)
    report = studio.render(body, AutoOrient(), Resize(100, 100), output=output)

    result = Image.open(io.BytesIO(studio.result.read_bytes()))
    assert result.getexif()[0x8298] == "Ann"
    assert (report.width, report.height) == (75, 100)
    assert result.info["dpi"] == pytest.approx((150, 150), abs=1)
    assert "colour profile is sRGB" in report.notes


@pytest.mark.parametrize("sides", [(100,), (200, 100, 50)], ids=["alone", "a page"])
def test_a_header_is_read_once(studio: Studio, sides: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever decodes a JPEG takes what was opened to look at its header."""
    path = studio.store(encoded(coordinates(800, 600), "JPEG"))
    opened = []

    def counted(name: str, **options: object) -> pyvips.Image:
        opened.append(name)
        return pyvips.Image.jpegload(name, **options)

    monkeypatch.setitem(LOADERS, Format.JPEG, (counted, pyvips.Image.jpegload_source))
    jobs = tuple(
        RenderJob(
            str(path),
            str(studio.folder / f"result-{side}"),
            (Resize(side, side),),
            Output(Target.JPEG),
            RenderLimits(),
            allowance=1 << 30,
        )
        for side in sides
    )

    done = [render_job(jobs[0])] if len(jobs) == 1 else render_together(jobs).outcomes

    assert [getattr(one, "width", one) for one in done] == list(sides)
    assert opened == [str(path)]


def test_cmyk_is_left_to_libvips(tmp_path: Path) -> None:
    """Four channels need the profile's own black, and come through libvips."""
    path = written(tmp_path, coordinates(400, 300).convert("CMYK"))
    info = inspect(str(path), RenderLimits())
    header = open_original(str(path), Format.JPEG, RenderLimits())

    assert decode_jpeg(str(path), info, Size(20, 15), header) is None
    assert load(str(path), info, Output(), RenderLimits(), target=Size(20, 15)).first.bands == 4


def test_what_is_large_after_decoding_is_streamed() -> None:
    """The pixels of a large result are not held at once, and what is held is known beforehand."""
    info = SourceInfo(
        Format.JPEG, 9000, 9000, 1, 3, has_alpha=False, orientation=1, interlaced=False, estimated_bytes=0
    )

    assert MOST_DECODED < 9000 * 9000 * 3
    assert decoded_bytes(info, Size(4600, 4600)) == 0
    assert decoded_bytes(info, Size(400, 400)) == 1125 * 1125 * 3
    assert decoded_bytes(info, None) == 0
    assert shrunk_size(info, 8) == Size(1125, 1125)

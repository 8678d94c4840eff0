"""HEIC, which needs the extra `formats`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderJob, RenderLimits
from proxy.imaging.transform import render
from proxy.plan.operations import AutoOrient, Resize
from proxy.plan.output import Animation, Format, Output, Target
from tests.corpus import ROOT, corpus_files, require_corpus
from tests.pictures import coordinates, decoded, encoded

pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed: HEIC was not tried")

LIMITS = RenderLimits()


def _rendered(source: Path, result: Path, output: Output) -> tuple[Format, Image.Image]:
    job = RenderJob(str(source), str(result), (AutoOrient(), Resize(100, 100)), output, LIMITS)
    report = render(job)
    with Image.open(result) as image:
        image.load()
        return report.format, image


def test_heic_becomes_jpeg(tmp_path: Path) -> None:
    """A HEIC is read, keeps its colours, and its own format means JPEG, because nobody writes HEIC for browsers."""
    pillow_heif.from_pillow(coordinates(640, 480)).save(tmp_path / "a.heic", quality=90)

    info = inspect(str(tmp_path / "a.heic"), LIMITS)
    kind, image = _rendered(tmp_path / "a.heic", tmp_path / "out", Output())

    assert (info.format, info.width, info.height) == (Format.HEIC, 640, 480)
    assert (kind, image.size) == (Format.JPEG, (100, 75))
    red, green, _ = image.getpixel((95, 5))
    assert red > 225
    assert green < 30


def test_a_real_heic(tmp_path: Path) -> None:
    """The corpus's HEIC photo is a photo."""
    require_corpus()
    source = next(path for path in corpus_files("photos") if path.suffix == ".heic")

    _, image = _rendered(source, tmp_path / "out", Output(target=Target.PNG))

    assert image.size == (100, 67)
    assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 1000


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_as_the_container_says(tmp_path: Path, orientation: int) -> None:
    """A HEIC's rotation and mirroring are its container's own (irot, imir); the EXIF beside it counts no second time."""
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = coordinates(128, 64)
    picture.save(tmp_path / "a.heic", "HEIF", exif=exif.tobytes(), quality=95)
    upright = ImageOps.exif_transpose(decoded(encoded(picture, "JPEG", exif=exif.tobytes(), quality=95)))

    _, image = _rendered(tmp_path / "a.heic", tmp_path / "out", Output(Target.PNG))

    assert image.size == upright.resize(image.size).size
    assert (image.width > image.height) == (orientation < 5)
    apart = ImageChops.difference(image.convert("RGB"), upright.resize(image.size, Image.Resampling.LANCZOS))
    assert max(ImageStat.Stat(apart).mean) < 4


def test_ten_bits_and_alpha(tmp_path: Path) -> None:
    """Ten bits become eight, and transparency stays."""
    values = np.zeros((64, 128, 4), np.uint16)
    values[..., 0], values[..., 3] = 65_535, 32_768
    pillow_heif.from_bytes(mode="RGBA;16", size=(128, 64), data=values.tobytes()).save(tmp_path / "a.heic", quality=95)

    _, image = _rendered(tmp_path / "a.heic", tmp_path / "out", Output(Target.PNG))

    assert image.getpixel((50, 25)) == pytest.approx((255, 0, 0, 128), abs=3)


def test_the_corpus_with_alpha_and_in_tiles(tmp_path: Path) -> None:
    """Real files: one with transparency, one of 734 bytes."""
    require_corpus()

    _, gopher = _rendered(ROOT / "formats" / "gopher-front.heif", tmp_path / "out", Output(Target.PNG))
    assert (gopher.mode, gopher.size, gopher.getpixel((1, 1))[3]) == ("RGBA", (78, 100), 0)
    kind, small = _rendered(ROOT / "formats" / "image.heic", tmp_path / "out", Output())
    assert (kind, small.size) == (Format.JPEG, (100, 100))


def test_a_cut_heic_is_refused(tmp_path: Path) -> None:
    """A HEIC that ends too early is an error, not a grey picture."""
    pillow_heif.from_pillow(coordinates(640, 480)).save(tmp_path / "a.heic", quality=90)
    content = (tmp_path / "a.heic").read_bytes()
    (tmp_path / "cut.heic").write_bytes(content[: len(content) * 2 // 3])

    with pytest.raises(Exception, match=r"ends too early|damaged"):
        _rendered(tmp_path / "cut.heic", tmp_path / "out", Output())


def test_animations_keep_moving_where_avif_was_chosen(tmp_path: Path) -> None:
    """A client that gets AVIF for stills gets its next choice for an animation, which AVIF would stop."""
    frames = [coordinates(80, 60).rotate(40 * turn) for turn in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    output = Output(target=Target.AVIF, animated=Target.WEBP)

    kind, image = _rendered(tmp_path / "a.gif", tmp_path / "moving", output)
    still, _ = _rendered(tmp_path / "a.gif", tmp_path / "still", Output(Target.AVIF, animation=Animation.FIRST))

    assert (kind, getattr(image, "n_frames", 1)) == (Format.WEBP, 3)
    assert still is Format.AVIF

"""Trim: the margin goes, whatever it is made of, and what follows keeps to the limits."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from proxy.errors import ResultTooLarge
from proxy.imaging.job import RenderLimits
from proxy.plan.colour import Colour
from proxy.plan.operations import AutoOrient, Resize, Trim
from proxy.plan.output import Target
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded


def framed(mode: str, margin: object) -> Image.Image:
    """A picture of 40x30 pixels at 25, 10 of a canvas of 100x80."""
    canvas = Image.new(mode, (100, 80), margin)
    canvas.paste(coordinates(40, 30).point(lambda value: value // 2).convert(mode), (25, 10))
    return canvas


@pytest.mark.parametrize(
    ("mode", "margin"),
    [("RGB", "white"), ("RGB", "#d00080"), ("L", 255), ("RGBA", (0, 0, 0, 0)), ("RGBA", (255, 255, 255, 255))],
)
def test_the_margin_goes(studio: Studio, mode: str, margin: object) -> None:
    """What is left is what numpy finds to differ from the corner, to the pixel."""
    picture = framed(mode, margin)
    pixels = np.asarray(picture.convert("RGBA"), dtype=int)
    rows, columns = np.nonzero((np.abs(pixels - pixels[0, 0]) > 10).any(axis=2))

    report = studio.render(encoded(picture, "PNG"), Trim(), target=Target.PNG)

    assert (report.width, report.height) == (np.ptp(columns) + 1, np.ptp(rows) + 1) == (40, 30)
    after = decoded(studio.result.read_bytes()).convert("RGBA")
    assert np.array_equal(np.asarray(after), pixels[10:40, 25:65])


def test_a_background_is_named(studio: Studio) -> None:
    """White is trimmed where the corner is something else; without a name, the corner's colour is."""
    picture = framed("RGB", "white")
    ImageDraw.Draw(picture).rectangle((0, 0, 5, 5), "black")

    named = studio.render(encoded(picture, "PNG"), Trim(background=Colour.WHITE), target=Target.PNG)

    assert (named.width, named.height) == (65, 40)


def test_threshold(studio: Studio) -> None:
    """A margin of JPEG's noise is one colour within the threshold."""
    noise = np.random.default_rng(5).integers(240, 256, (80, 100, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    picture.paste(Image.new("RGB", (40, 30), "black"), (25, 10))

    report = studio.render(encoded(picture, "PNG"), Trim(threshold=20), target=Target.PNG)

    assert (report.width, report.height) == (40, 30)


def test_nothing_but_margin_stays(studio: Studio) -> None:
    """A plain picture is not trimmed to nothing."""
    report = studio.render(encoded(Image.new("RGB", (50, 40), "navy"), "PNG"), Trim(), target=Target.PNG)

    assert (report.width, report.height) == (50, 40)
    assert "nothing but margin: not trimmed" in report.notes


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 50), (50, 2)], ids=str)
def test_tiny_pictures(studio: Studio, size: tuple[int, int]) -> None:
    """Pictures of a few pixels are trimmed or left alone, never refused."""
    plain = studio.render(encoded(Image.new("RGB", size, "navy"), "PNG"), Trim(), target=Target.PNG)
    assert (plain.width, plain.height) == size
    picture = Image.new("RGB", size, "navy")
    picture.putpixel((size[0] - 1, size[1] - 1), (255, 0, 0))

    report = studio.render(encoded(picture, "PNG"), Trim(), target=Target.PNG)

    assert report.width * report.height == 1


def test_frames_are_trimmed_alike(studio: Studio) -> None:
    """The box is what any frame needs."""
    frames = []
    for left in (20, 50):
        frame = Image.new("RGB", (100, 60), "white")
        ImageDraw.Draw(frame).rectangle((left, 20, left + 9, 39), "black")
        frames.append(frame)
    original = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=70, lossless=True)

    report = studio.render(original, Trim(), target=Target.WEBP)

    assert (report.frames, report.width, report.height) == (2, 40, 20)


def test_what_follows_is_computed_from_what_is_left(studio: Studio) -> None:
    """A box is met by the trimmed picture, turned upright before."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = framed("RGB", "white").rotate(90, expand=True)
    original = encoded(picture, "PNG", exif=exif.tobytes())

    report = studio.render(original, AutoOrient(), Trim(), Resize(20, 20), target=Target.PNG)

    assert (report.width, report.height) == (20, 15)


def test_a_strip_is_not_scaled_beyond_the_limits(studio: Studio) -> None:
    """The attack: a picture of one line in a margin, scaled to a width, would be as high as one likes."""
    picture = Image.new("RGB", (300, 400), "white")
    ImageDraw.Draw(picture).rectangle((150, 20, 152, 380), "black")
    limits = RenderLimits(max_result_side=2000)
    untrimmed = studio.render(encoded(picture, "PNG"), Resize(300, enlarge=True), limits=limits)
    assert untrimmed.height == 400

    with pytest.raises(ResultTooLarge):
        studio.render(encoded(picture, "PNG"), Trim(), Resize(300, enlarge=True), limits=limits)

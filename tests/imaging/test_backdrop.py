"""The backdrop: the whole picture in the middle of a blurred enlargement of itself."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from proxy.plan.operations import Backdrop
from proxy.plan.output import Target
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_the_picture_is_whole_in_the_middle(studio: Studio, mode: str) -> None:
    """A square in a wide box: itself in the middle, and what Pillow blurs beside it."""
    picture = coordinates(200, 200).convert(mode)

    studio.render(encoded(picture, "PNG"), Backdrop(400, 200, sigma=20), target=Target.PNG)

    after = decoded(studio.result.read_bytes()).convert("RGB")
    assert after.size == (400, 200)
    assert np.array_equal(np.asarray(after.crop((100, 0, 300, 200))), np.asarray(picture.convert("RGB")))
    cover = picture.convert("RGB").resize((400, 400), Image.Resampling.LANCZOS).crop((0, 100, 400, 300))
    reference = np.asarray(cover.filter(ImageFilter.GaussianBlur(20)), dtype=float)
    difference = np.abs(np.asarray(after, dtype=float) - reference)
    assert difference[:, :100].mean() < 4
    assert difference[:, 300:].mean() < 4


def test_a_small_picture_keeps_its_size(studio: Studio) -> None:
    """Unless it may be enlarged, only its backdrop is."""
    picture = coordinates(20, 20)

    studio.render(encoded(picture, "PNG"), Backdrop(100, 60), target=Target.PNG)
    kept = decoded(studio.result.read_bytes())
    studio.render(encoded(picture, "PNG"), Backdrop(100, 60, enlarge=True), target=Target.PNG)
    enlarged = decoded(studio.result.read_bytes())

    assert np.array_equal(np.asarray(kept.crop((40, 20, 60, 40))), np.asarray(picture))
    assert kept.size == enlarged.size == (100, 60)
    grown = np.asarray(picture.resize((60, 60), Image.Resampling.LANCZOS), dtype=float)
    assert np.abs(np.asarray(enlarged.crop((20, 0, 80, 60)), dtype=float) - grown).mean() < 2


def test_what_is_transparent_shows_the_backdrop(studio: Studio) -> None:
    """A half transparent picture in front of its own blur, not of black."""
    picture = Image.new("RGBA", (100, 100), (200, 40, 40, 128))

    studio.render(encoded(picture, "PNG"), Backdrop(200, 100), target=Target.PNG)

    red, green, _, alpha = decoded(studio.result.read_bytes()).getpixel((100, 50))
    assert (red, green) == pytest.approx((200, 40), abs=2)
    assert alpha == pytest.approx(255 * (1 - (127 / 255) ** 2), abs=3)


def test_every_frame_has_its_own(studio: Studio) -> None:
    """The backdrop of a moving picture moves."""
    frames = [Image.new("RGB", (60, 60), colour) for colour in ("red", "blue")]
    original = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=70, lossless=True)

    report = studio.render(original, Backdrop(120, 60), target=Target.WEBP)

    assert report.frames == 2
    result = decoded(studio.result.read_bytes())
    result.seek(1)
    red, _, blue = result.convert("RGB").getpixel((5, 30))
    assert blue > 240
    assert red < 15

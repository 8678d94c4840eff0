"""The steps: what each does to the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from proxy.imaging.step_table import STEPS
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.operations import (
    OPERATIONS,
    AutoOrient,
    Blur,
    Crop,
    Extent,
    Flatten,
    Flip,
    Grayscale,
    Resize,
    Rotate,
    Sharpen,
)
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners(width: int = 40, height: int = 20) -> Image.Image:
    """Red, green, blue and white quarters: north-west, north-east, south-west, south-east."""
    picture = Image.new("RGB", (width, height), RED)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((width // 2, 0, width, height // 2 - 1), GREEN)
    draw.rectangle((0, height // 2, width // 2 - 1, height), BLUE)
    draw.rectangle((width // 2, height // 2, width, height), WHITE)
    return picture


def seen(picture: Image.Image) -> list[tuple[int, ...]]:
    """The colours of the four corners, in the order of `corners`."""
    picture = picture.convert("RGB")
    right, bottom = picture.width - 1, picture.height - 1
    return [picture.getpixel(at) for at in ((0, 0), (right, 0), (0, bottom), (right, bottom))]


def test_every_operation_has_a_step() -> None:
    """The table of steps covers the operations, no more and no less."""
    assert set(STEPS) == set(OPERATIONS.values())


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (AutoOrient(), [RED, GREEN, BLUE, WHITE]),
        (Rotate(90), [BLUE, RED, WHITE, GREEN]),
        (Rotate(-90), [GREEN, WHITE, RED, BLUE]),
        (Rotate(180), [WHITE, BLUE, GREEN, RED]),
        (Rotate(360), [RED, GREEN, BLUE, WHITE]),
        (Flip("vertical"), [BLUE, WHITE, RED, GREEN]),
        (Flip("horizontal"), [GREEN, RED, WHITE, BLUE]),
    ],
    ids=lambda value: value.canonical() if hasattr(value, "canonical") else "",
)
def test_turning(studio: Studio, operation: Rotate, expected: list[tuple[int, ...]]) -> None:
    """Right angles and mirrors put each corner where it belongs; rotation is clockwise."""
    studio.render(encoded(corners(), "PNG"), operation)

    assert seen(decoded(studio.result.read_bytes())) == expected


def test_free_rotation_is_clockwise_and_fills_the_corners(studio: Studio) -> None:
    """A turn by 30 degrees keeps the middle in the middle, agrees with Pillow's, and shows the background outside."""
    picture = coordinates(120, 80)

    studio.render(encoded(picture, "PNG"), Rotate(30, Colour.parse("#ff00ff")))

    result = decoded(studio.result.read_bytes()).convert("RGB")
    reference = picture.rotate(-30, Image.Resampling.BICUBIC, expand=True, fillcolor=(255, 0, 255))
    assert seen(result) == [(255, 0, 255)] * 4
    middle = (result.width // 2 - 30, result.height // 2 - 20, result.width // 2 + 30, result.height // 2 + 20)
    dx, dy = (reference.width - result.width) // 2, (reference.height - result.height) // 2
    there = tuple(at + (dx, dy)[index % 2] for index, at in enumerate(middle))
    difference = np.abs(np.asarray(result.crop(middle), int) - np.asarray(reference.crop(there), int))
    assert difference.max() <= 6


def test_free_rotation_with_a_transparent_background(studio: Studio) -> None:
    """Corners that open up can be transparent, and no dark seam appears between picture and corner."""
    studio.render(encoded(Image.new("RGB", (60, 60), WHITE), "PNG"), Rotate(45, Colour.TRANSPARENT))

    result = np.asarray(decoded(studio.result.read_bytes()))
    assert result[0, 0, 3] == 0
    assert result[42, 42].tolist() == [255, 255, 255, 255]
    assert result[result[..., 3] > 40][:, :3].min() >= 250


def test_extent_pads_and_cuts(studio: Studio) -> None:
    """A canvas shows its background around a smaller picture, at the anchor asked for."""
    studio.render(encoded(corners(40, 20), "PNG"), Extent(50, 10, Gravity.NORTHEAST, background=Colour(1, 2, 3)))

    result = decoded(studio.result.read_bytes())
    assert result.size == (50, 10)
    assert [result.getpixel((x, 0)) for x in (0, 9, 10, 49)] == [(1, 2, 3), (1, 2, 3), RED, GREEN]


def test_extent_shows_through_transparent_parts(studio: Studio) -> None:
    """A transparent picture on a coloured canvas shows the canvas; on a transparent one it stays transparent."""
    clear = encoded(Image.new("RGBA", (10, 10), (255, 0, 0, 0)), "PNG")

    studio.render(clear, Extent(20, 20, background=Colour(0, 0, 255)))
    assert decoded(studio.result.read_bytes()).convert("RGBA").getpixel((10, 10)) == (0, 0, 255, 255)

    studio.render(clear, Extent(20, 20, background=Colour.TRANSPARENT))
    assert decoded(studio.result.read_bytes()).convert("RGBA").getpixel((10, 10))[3] == 0


def test_grey_pictures_take_coloured_backgrounds(studio: Studio) -> None:
    """A grey picture becomes colour when its canvas is, and stays grey when the canvas is grey."""
    grey = encoded(Image.new("L", (10, 10), 77), "PNG")

    studio.render(grey, Extent(20, 20, background=Colour(255, 0, 0)))
    assert decoded(studio.result.read_bytes()).getpixel((0, 0)) == RED

    studio.render(grey, Extent(20, 20))
    result = decoded(studio.result.read_bytes())
    assert (result.mode, result.getpixel((0, 0)), result.getpixel((10, 10))) == ("L", 255, 77)


@pytest.mark.parametrize("operation", [Resize(20, 20), Blur(4)], ids=["resize", "blur"])
def test_invisible_colours_do_not_bleed(studio: Studio, operation: Resize | Blur) -> None:
    """The red of fully transparent pixels does not colour the edge of the blue beside them."""
    picture = Image.new("RGBA", (80, 80), (255, 0, 0, 0))
    ImageDraw.Draw(picture).rectangle((23, 0, 80, 80), (0, 0, 255, 255))

    studio.render(encoded(picture, "PNG"), operation)

    result = np.asarray(decoded(studio.result.read_bytes()), int)
    visible = result[result[..., 3] > 8]
    assert visible[:, 0].max() <= 2
    assert visible[:, 2].min() >= 250


def test_blur_and_sharpen_change_edges_only(studio: Studio) -> None:
    """Blur softens an edge and sharpening steepens it; flat areas stay as they were."""
    picture = Image.new("RGB", (60, 20), (60, 60, 60))
    ImageDraw.Draw(picture).rectangle((30, 0, 60, 20), (180, 180, 180))
    soft = picture.resize((120, 40), Image.Resampling.BICUBIC)

    studio.render(encoded(picture, "PNG"), Blur(3))
    blurred = np.asarray(decoded(studio.result.read_bytes()).convert("L"), int)[10]
    studio.render(encoded(soft, "PNG"), Sharpen(1.5, 5))
    sharp = np.asarray(decoded(studio.result.read_bytes()).convert("L"), int)[20]

    assert (blurred[0], blurred[-1]) == pytest.approx((60, 180), abs=2)
    assert 80 < blurred[29] < 160
    assert (sharp[0], sharp[-1]) == (60, 180)
    assert sharp.max() > 183
    assert sharp.min() < 57


def test_grayscale_keeps_alpha(studio: Studio) -> None:
    """Taking the colour out leaves the transparency."""
    studio.render(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 99)), "PNG"), Grayscale())

    result = decoded(studio.result.read_bytes())
    assert result.mode == "LA"
    assert result.getpixel((0, 0))[1] == 99


def test_flatten_blends(studio: Studio) -> None:
    """Half-transparent red on blue is violet, and opaque."""
    picture = encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 128)), "PNG")

    studio.render(picture, Flatten(Colour(0, 0, 255)))

    result = decoded(studio.result.read_bytes())
    assert result.mode == "RGB"
    assert result.getpixel((1, 1)) == pytest.approx((128, 0, 127), abs=1)


def test_attention_finds_the_subject(studio: Studio) -> None:
    """A crop by attention keeps the bright disc that sits in the corner of a dull picture."""
    picture = Image.new("RGB", (300, 100), (90, 90, 95))
    ImageDraw.Draw(picture).ellipse((220, 20, 280, 80), (250, 80, 30))

    studio.render(encoded(picture, "PNG"), Crop(100, 100, Gravity.ATTENTION))

    result = np.asarray(decoded(studio.result.read_bytes()).convert("RGB"), int)
    assert (result[..., 0] > 200).sum() > 2500


def test_operations_happen_in_the_order_given(studio: Studio) -> None:
    """Crop then rotate is not rotate then crop."""
    picture = encoded(corners(), "PNG")

    studio.render(picture, Crop(20, 10), Rotate(90))
    first = decoded(studio.result.read_bytes()).convert("RGB").getcolors()
    studio.render(picture, Rotate(90), Crop(10, 20))
    second = decoded(studio.result.read_bytes()).convert("RGB").getcolors()

    assert first == [(200, RED)]
    assert second == [(200, BLUE)]

"""Marks against Pillow: where they stand, how large, how opaque, turned, tiled, and in every frame."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from proxy.errors import CannotRender
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport
from proxy.imaging.transform import render
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.operations import ScaleBy, Text, TooLarge, Watermark
from proxy.plan.output import Output, Target
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded


def logo() -> Image.Image:
    """Twelve by six pixels: the left half red, the right half a green that fades to the bottom."""
    mark = Image.new("RGBA", (12, 6), (255, 0, 0, 255))
    for y in range(6):
        mark.paste((0, 160, 0, 255 - 40 * y), (6, y, 12, y + 1))
    return mark


def drawn(studio: Studio, base: bytes, mark: Watermark | Text, *, target: Target = Target.PNG) -> RenderReport:
    """Draw a mark, the logo for one that needs an image."""
    image = studio.folder / "logo.png"
    logo().save(image)
    path = studio.store(base)
    job = RenderJob(
        str(path), str(studio.result), (mark,), Output(target), RenderLimits(), overlays=(("logo", str(image)),)
    )
    return render(job)


def reference(base: Image.Image, mark: Image.Image, at: tuple[int, int], opacity: float = 1.0) -> np.ndarray:
    """What Pillow composes, as floats."""
    below = base.convert("RGBA")
    faded = mark.copy()
    faded.putalpha(faded.getchannel("A").point(lambda value: round(value * opacity)))
    below.alpha_composite(faded, at)
    return np.asarray(below, dtype=float)


def result(studio: Studio) -> np.ndarray:
    """The rendered picture, as floats."""
    return np.asarray(decoded(studio.result.read_bytes()).convert("RGBA"), dtype=float)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
@pytest.mark.parametrize("opacity", [100, 60, 0])
def test_opacity(studio: Studio, mode: str, opacity: int) -> None:
    """A mark is composed over the picture as Pillow does it, on colour, grey and alpha."""
    base = coordinates(60, 40).convert("RGBA")
    base.putalpha(Image.linear_gradient("L").resize((60, 40)))
    base = base.convert(mode)

    drawn(studio, encoded(base, "PNG"), Watermark("logo", Gravity.NORTHWEST, 10, 5, opacity))

    assert np.abs(result(studio) - reference(base, logo(), (10, 5), opacity / 100)).max() <= 3


@pytest.mark.parametrize(
    ("gravity", "at"),
    [
        (Gravity.NORTHWEST, (3, 2)),
        (Gravity.NORTH, (27, 2)),
        (Gravity.EAST, (45, 19)),
        (Gravity.CENTRE, (27, 19)),
        (Gravity.SOUTHEAST, (45, 32)),
    ],
)
def test_place(studio: Studio, gravity: Gravity, at: tuple[int, int]) -> None:
    """Offsets move a mark inwards from its anchor."""
    base = coordinates(60, 40)

    drawn(studio, encoded(base, "PNG"), Watermark("logo", gravity, 3, 2))

    assert np.abs(result(studio) - reference(base, logo(), at)).max() <= 2


def test_scale(studio: Studio) -> None:
    """Half as wide as the picture: the mark is scaled as Pillow scales it."""
    base = coordinates(120, 80)

    mark = Watermark("logo", Gravity.NORTHWEST, 0, 0, scale=0.5, scale_by=ScaleBy.WIDTH)
    drawn(studio, encoded(base, "PNG"), mark)

    wanted = reference(base, logo().resize((60, 30), Image.Resampling.LANCZOS), (0, 0))
    assert np.abs(result(studio) - wanted).mean() < 2


def test_a_quarter_turn(studio: Studio) -> None:
    """Degrees are clockwise."""
    base = coordinates(60, 40)

    drawn(studio, encoded(base, "PNG"), Watermark("logo", Gravity.NORTHWEST, 4, 4, degrees=90))

    wanted = reference(base, logo().transpose(Image.Transpose.ROTATE_270), (4, 4))
    assert np.abs(result(studio) - wanted).max() <= 2


def test_tiles(studio: Studio) -> None:
    """Tiles repeat with the distance between, cut off at the edges."""
    base = Image.new("RGB", (60, 40), "white")

    drawn(studio, encoded(base, "PNG"), Watermark("logo", dx=8, dy=4, tile=True))

    red = (result(studio)[..., :3] == (255, 0, 0)).all(axis=2)
    columns = np.nonzero(red.any(axis=0))[0]
    rows = np.nonzero(red.any(axis=1))[0]
    assert sorted({int(x) % 20 for x in columns}) == list(range(4, 10))
    assert sorted({int(y) % 10 for y in rows}) == list(range(2, 8))
    assert red.sum() == 3 * 4 * 36


def test_too_large(studio: Studio) -> None:
    """A mark larger than the picture is cut, shrunk or left out, as asked for."""
    base = Image.new("RGB", (8, 8), "white")

    clipped = drawn(studio, encoded(base, "PNG"), Watermark("logo", Gravity.NORTHWEST, 0, 0))
    assert clipped.width == 8
    assert (result(studio)[:6, :6, :3] == (255, 0, 0)).all()
    drawn(studio, encoded(base, "PNG"), Watermark("logo", Gravity.NORTHWEST, 0, 0, too_large=TooLarge.SHRINK))
    assert (result(studio)[5:, :, :3] == 255).all()
    skipped = drawn(studio, encoded(base, "PNG"), Watermark("logo", too_large=TooLarge.SKIP))
    assert (result(studio) == 255).all()
    assert "the mark is larger than the picture and was left out" in skipped.notes


def test_every_frame_is_marked(studio: Studio) -> None:
    """An animation carries its mark, image or text, in each frame, at one place."""
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("white", "yellow", "cyan")]
    base = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=70, lossless=True)

    for mark in (
        Watermark("logo", Gravity.NORTHWEST, 10, 10),
        Text("■", size_px=30, colour=Colour.parse("red"), gravity=Gravity.CENTRE, dx=0, dy=0),
    ):
        report = drawn(studio, base, mark, target=Target.GIF)
        assert report.frames == 3
        picture = decoded(studio.result.read_bytes())
        places = []
        for index in range(3):
            picture.seek(index)
            pixels = np.asarray(picture.convert("RGB"), dtype=int)
            places.append(np.argwhere((pixels[..., 0] > 230) & (pixels[..., 1:] < 40).all(axis=2)).mean(axis=0))
        assert np.ptp(np.array(places), axis=0).max() < 0.5


def test_an_animated_mark_shows_its_first_frame(studio: Studio) -> None:
    """A mark that moves is drawn as it begins."""
    frames = [Image.new("RGB", (10, 10), colour) for colour in ("red", "blue")]
    mark = studio.folder / "moving.gif"
    mark.write_bytes(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=70))
    path = studio.store(encoded(Image.new("RGB", (20, 20), "white"), "PNG"))
    operation = Watermark("moving", Gravity.NORTHWEST, 0, 0)
    job = RenderJob(
        str(path),
        str(studio.result),
        (operation,),
        Output(Target.PNG),
        RenderLimits(),
        overlays=(("moving", str(mark)),),
    )

    render(job)

    assert (result(studio)[:10, :10, :3] == (255, 0, 0)).all()


def test_a_mark_that_was_not_brought(studio: Studio) -> None:
    """Without its image there is no picture."""
    with pytest.raises(CannotRender):
        studio.render(encoded(coordinates(20, 20), "PNG"), Watermark("logo"))

"""Pixelate and redact: what is hidden cannot be read any more, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from proxy.plan.colour import Colour
from proxy.plan.operations import AutoOrient, Flip, HideBy, Pixelate, Redact, Resize, Rotate
from proxy.plan.operations.hiding import AreaUnit
from proxy.plan.output import Output, OverLimit, Target
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

PORTRAIT = Path(__file__).parent / "data" / "eileen-collins.jpg"
FACE = (100, 60, 164, 124)
"""What must not be recognised of the portrait, in its pixels: eyes, nose and mouth."""

AREA = ((0.25, 0.25, 0.5, 0.5),)


def noise(mode: str = "RGB") -> Image.Image:
    """Pixels that nobody could guess from their neighbours."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(7).integers(0, 256, (120, 160, bands), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze(), mode)


def test_pixelate_draws_averages(studio: Studio) -> None:
    """Each square has one colour: the mean of what was there."""
    picture = noise()

    studio.render(encoded(picture, "PNG"), Pixelate(8), target=Target.PNG)

    before = np.asarray(picture, dtype=float).reshape(15, 8, 20, 8, 3)
    after = np.asarray(decoded(studio.result.read_bytes()), dtype=float).reshape(15, 8, 20, 8, 3)
    assert np.abs(after - before.mean(axis=(1, 3), keepdims=True)).max() <= 1


def test_pixelate_ends_where_the_picture_does(studio: Studio) -> None:
    """Squares that do not fit are cut off; transparent pixels do not colour their square."""
    picture = Image.new("RGBA", (21, 10), (255, 0, 0, 255))
    picture.paste((0, 0, 255, 0), (0, 0, 4, 10))

    studio.render(encoded(picture, "PNG"), Pixelate(8), target=Target.PNG)

    after = decoded(studio.result.read_bytes())
    assert after.size == (21, 10)
    red, _, blue, alpha = after.getpixel((0, 0))
    assert (red, blue) == (255, 0)
    assert alpha == pytest.approx(127, abs=1)
    assert after.getpixel((20, 9)) == (255, 0, 0, 255)


@pytest.mark.parametrize("by", HideBy)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_an_area_is_hidden_and_no_more(studio: Studio, by: HideBy, mode: str) -> None:
    """Inside, no more than six by six colours are left of noise; outside, every pixel is the original's."""
    picture = noise(mode)

    studio.render(encoded(picture, "PNG"), Redact(areas=AREA, by=by), target=Target.PNG)

    before = np.asarray(picture.convert("RGBA"), dtype=int)
    after = np.asarray(decoded(studio.result.read_bytes()).convert("RGBA"), dtype=int)
    inside = np.zeros(before.shape[:2], dtype=bool)
    inside[30:90, 40:120] = True
    assert np.array_equal(before[~inside], after[~inside])
    hidden = after[30:90, 40:120, 0]
    assert hidden.std() < before[30:90, 40:120, 0].std() / 4
    if by is HideBy.FILL:
        assert (after[30:90, 40:120] == (0, 0, 0, 255)).all()
    if by is HideBy.PIXELATE:
        assert len(np.unique(hidden[:, :10])) <= 6
        assert (np.diff(hidden, axis=1) != 0).any(axis=0).sum() <= 7  # changes of colour along a line


def test_blur_holds_no_more_than_the_mosaic(studio: Studio) -> None:
    """What a blur leaves can be computed from the squares: stripes finer than those are gone without a trace."""
    pixels = np.zeros((120, 160), dtype=np.uint8)
    pixels[:, ::2] = 255
    other = 255 - pixels

    results = []
    for stripes in (pixels, other):
        studio.render(encoded(Image.fromarray(stripes), "PNG"), Redact(areas=AREA, by=HideBy.BLUR), target=Target.PNG)
        results.append(np.asarray(decoded(studio.result.read_bytes()))[30:90, 40:120])

    assert np.abs(results[0].astype(int) - results[1]).max() <= 1


def test_areas_in_pixels_that_stick_out(studio: Studio) -> None:
    """Areas in pixels are cut at the picture's edge; one outside of it hides nothing."""
    picture = noise()
    areas = ((150.0, 100.0, 100.0, 100.0), (500.0, 500.0, 10.0, 10.0))

    red = Redact(areas=areas, unit=AreaUnit.PIXELS, by=HideBy.FILL, colour=Colour.parse("red"))
    studio.render(encoded(picture, "PNG"), red, target=Target.PNG)

    after = np.asarray(decoded(studio.result.read_bytes()))
    assert (after[100:, 150:] == (255, 0, 0)).all()
    assert np.array_equal(after[:100], np.asarray(picture)[:100])


def unlike(before: Image.Image, after: Image.Image, box: tuple[int, int, int, int]) -> float:
    """How much of the fine structure in a box is gone, 0 to 1."""

    def detail(picture: Image.Image) -> float:
        grey = np.asarray(picture.convert("L").crop(box), dtype=float)
        return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())

    return 1 - detail(after) / detail(before)


def test_a_face_is_found_and_hidden(studio: Studio) -> None:
    """The portrait's face is hidden; the space suit below is as it was."""
    before = Image.open(PORTRAIT)

    report = studio.render(PORTRAIT, AutoOrient(), Redact(faces=True), target=Target.PNG)

    after = decoded(studio.result.read_bytes())
    assert unlike(before, after, FACE) > 0.7
    suit = (20, 200, 230, 250)
    assert np.abs(np.asarray(before.crop(suit), dtype=int) - np.asarray(after.crop(suit))).max() <= 3
    assert any("faces hidden" in note for note in report.notes)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_face_is_hidden_however_the_picture_was_stored(studio: Studio, orientation: int) -> None:
    """Faces are looked for in the upright picture, and hidden also where it is not turned, or turned further."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    portrait = Image.open(PORTRAIT)
    undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    back = Image.Exif()
    back[0x0112] = undo.get(orientation, 1)
    holder = portrait.copy()
    holder.info.pop("exif", None)
    stored = decoded(encoded(holder, "PNG", exif=back.tobytes()))
    stored = ImageOps.exif_transpose(stored)
    original = encoded(stored, "PNG", exif=exif.tobytes())

    for operations in ((AutoOrient(),), (), (AutoOrient(), Rotate(90), Flip("horizontal"))):
        studio.render(original, *operations, Redact(faces=True, by=HideBy.FILL), target=Target.PNG)
        after = np.asarray(decoded(studio.result.read_bytes()).convert("RGB"))
        black = (after == 0).all(axis=2)
        studio.render(original, *operations, target=Target.PNG)
        before = decoded(studio.result.read_bytes()).convert("RGB")
        assert black.sum() > 64 * 64
        # Where it is black now, there was skin: much redder than blue.
        skin = np.asarray(before, dtype=int)[black]
        assert (skin[:, 0] - skin[:, 2]).mean() > 25


def test_a_face_that_was_small_in_the_frame_stays_hidden_when_enlarged(studio: Studio) -> None:
    """Redaction comes first: a large result holds no more of the face than a small one."""
    scene = coordinates(900, 600)
    scene.paste(Image.open(PORTRAIT), (500, 200))

    studio.render(encoded(scene, "PNG"), AutoOrient(), Redact(faces=True), Resize(300, 200), target=Target.PNG)

    after = decoded(studio.result.read_bytes())
    reference = scene.resize((300, 200), Image.Resampling.LANCZOS)
    assert unlike(reference, after, (200, 87, 221, 108)) > 0.6


def test_a_face_in_a_later_frame_is_hidden_in_all(studio: Studio) -> None:
    """The frames are searched, and what is found in one is hidden in every one."""
    portrait = Image.open(PORTRAIT)
    plain = Image.new("RGB", portrait.size, "#80a0c0")
    original = encoded(plain, "WEBP", save_all=True, append_images=[portrait, plain], duration=90, lossless=True)

    studio.render(original, Redact(faces=True, by=HideBy.FILL), target=Target.WEBP)

    result = decoded(studio.result.read_bytes())
    for frame in range(3):
        result.seek(frame)
        assert max(result.convert("RGB").getpixel((132, 92))) < 16


def test_a_long_animation_is_searched_here_and_there(studio: Studio) -> None:
    """Of twenty frames, a few are searched, and a note says how many."""
    frames = [Image.new("RGB", (60, 40), (12 * step, 0, 0)) for step in range(20)]
    original = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50, lossless=True)

    report = studio.render(original, Redact(faces=True), target=Target.WEBP)

    assert report.frames == 20
    assert "faces were looked for in 7 of 20 frames" in report.notes


@pytest.mark.parametrize("rule", [OverLimit.OR_ORIGINAL, OverLimit.SMALLER])
def test_the_original_never_stands_in(studio: Studio, rule: OverLimit) -> None:
    """A rule that would answer the original where the result is too large does not when something is hidden."""
    original = encoded(Image.new("RGB", (120, 160), "white"), "JPEG", quality=5)

    redact = Redact(areas=AREA, by=HideBy.FILL)
    studio.render(original, redact, output=Output(Target.PNG, max_bytes=1, over_limit=rule))

    assert decoded(studio.result.read_bytes()).convert("RGB").getpixel((60, 80)) == (0, 0, 0)

"""Our SSIMULACRA2 beside what the crate of that name says of the same pixels."""

from __future__ import annotations

import pytest
import pyvips
from PIL import Image, ImageFilter

from proxy.imaging.ssimulacra2 import Reference
from tests.corpus import ROOT, require_corpus
from tests.pictures import coordinates, decoded, encoded


def picture(width: int = 320, height: int = 240) -> Image.Image:
    """Something with edges, textures and smooth places."""
    image = coordinates(width, height)
    texture = Image.effect_mandelbrot((width, height), (-2, -1.2, 1, 1.2), 40).convert("RGB")
    return Image.blend(image, texture, 0.5)


def loaded(image: Image.Image) -> pyvips.Image:
    """The picture for libvips."""
    return pyvips.Image.new_from_buffer(encoded(image, "PNG"), "").copy_memory()


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """What a JPEG makes of it."""
    return decoded(encoded(image, "JPEG", quality=quality)).convert("RGB")


@pytest.mark.parametrize(
    ("size", "quality", "score"),
    [
        ((320, 240), 20, 25.09), ((320, 240), 50, 56.35), ((320, 240), 75, 72.09), ((320, 240), 90, 84.56),
        ((321, 199), 20, 27.96), ((321, 199), 50, 58.66), ((321, 199), 75, 72.65), ((321, 199), 90, 85.70),
    ],
)  # fmt: skip
def test_score_agrees_with_the_crate(size: tuple[int, int], quality: int, score: float) -> None:
    """JPEGs of even and odd sizes: what the crate `ssimulacra2` 0.5.1 says of the same pixels.

    (The implementation on PyPI, 0.3.0, says 18.84 of the first and 54.32 of the fifth.)
    """
    image = picture(*size)

    assert Reference(loaded(image)).score(loaded(jpeg(image, quality))) == pytest.approx(score, abs=0.1)


def test_blur_and_colour_count() -> None:
    """Lost edges cost much, a shift of colour that hardly anybody sees costs a little."""
    image = picture()
    shifted = Image.merge("RGB", (image.getchannel("R").point(lambda v: min(255, v + 12)), *image.split()[1:]))
    blurred = image.filter(ImageFilter.GaussianBlur(1))

    scores = [Reference(loaded(image)).score(loaded(changed)) for changed in (blurred, shifted)]

    assert scores[0] < 60 < scores[1] < 95


def test_same_picture_scores_a_hundred() -> None:
    """Nothing is lost where nothing was changed; grey and transparent pictures too."""
    image = picture()
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    for same in (image, image.convert("L"), image.convert("LA"), clear):
        assert Reference(loaded(same)).score(loaded(same)) > 99.99


def test_transparency_counts() -> None:
    """A hole where there was none is seen, before whatever stands behind."""
    image = picture().convert("RGBA")
    holed = image.copy()
    holed.paste((0, 0, 0, 0), (50, 50, 150, 150))

    assert Reference(loaded(holed)).score(loaded(holed)) > 99.99
    assert Reference(loaded(holed)).score(loaded(image)) < 30


def test_large_pictures_are_judged_by_tiles() -> None:
    """A picture of 4 megapixels has about the score of one like it of a quarter."""
    small = picture(1000, 800)
    large = Image.new("RGB", (2000, 1600))
    for left in (0, 1000):
        for top in (0, 800):
            large.paste(small, (left, top))
    scores = [Reference(loaded(image)).score(loaded(jpeg(image, 60))) for image in (small, large)]

    assert scores[0] == pytest.approx(scores[1], abs=3)


CRATE = {
    "0.3mp-base-nikon-p6000.jpg": {20: 26.35, 50: 55.39, 80: 71.7, 95: 91.12},
    "0.4mp-png-kodim23.png": {20: 35.62, 50: 65.14, 80: 78.0, 95: 91.76},
    "1.3mp-base-canon-600d.jpg": {20: 44.61, 50: 66.29, 80: 77.99, 95: 92.5},
}
"""What the crate `ssimulacra2` 0.5.1 says of libvips' JPEGs of these photos at 400 pixels."""


@pytest.mark.parametrize("name", CRATE)
def test_score_is_the_crates(name: str) -> None:
    """Real photos: within a quarter of a point of the implementation that the field uses.

    Its single precision costs it up to a fifth of a point near 100.

    """
    require_corpus()
    image = pyvips.Image.thumbnail(str(ROOT / "photos" / name), 400, height=400, output_profile="srgb")
    image = image.colourspace("srgb")[:3].copy_memory()
    reference = Reference(image)

    for quality, score in CRATE[name].items():
        changed = pyvips.Image.new_from_buffer(image.jpegsave_buffer(Q=quality), "")
        assert reference.score(changed) == pytest.approx(score, abs=0.25)

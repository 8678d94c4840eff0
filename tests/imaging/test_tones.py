"""Tones and colours against numpy: every pixel, with and without alpha, grey, and in every frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from proxy.plan.colour import Colour
from proxy.plan.operations import (
    Duotone,
    Gamma,
    Hue,
    Invert,
    Normalise,
    Operation,
    Saturation,
    Sepia,
    Tint,
)
from proxy.plan.output import Target
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

Pixels = npt.NDArray[np.float64]

LUMA = np.array([0.213, 0.715, 0.072])


def grey_of(pixels: Pixels) -> Pixels:
    """The brightness of sRGB colours as a grey tone: light is added up, not its code values."""
    share = pixels / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    light = linear @ np.array([0.2126, 0.7152, 0.0722])
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def saturated(pixels: Pixels, keep: float) -> Pixels:
    """CSS saturate()."""
    return keep * pixels + (1 - keep) * (pixels @ LUMA)[..., None]


def hue_turned(pixels: Pixels, degrees: float) -> Pixels:
    """CSS hue-rotate(), as the matrix of the W3C's text."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.array(
        [
            [0.213 + c * 0.787 - s * 0.213, 0.715 - c * 0.715 - s * 0.715, 0.072 - c * 0.072 + s * 0.928],
            [0.213 - c * 0.213 + s * 0.143, 0.715 + c * 0.285 + s * 0.140, 0.072 - c * 0.072 - s * 0.283],
            [0.213 - c * 0.213 - s * 0.787, 0.715 - c * 0.715 + s * 0.715, 0.072 + c * 0.928 + s * 0.072],
        ]
    )
    return pixels @ matrix.T


def toned(pixels: Pixels, share: float) -> Pixels:
    """CSS sepia()."""
    matrix = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    return share * pixels @ matrix.T + (1 - share) * pixels


def duotoned(pixels: Pixels, dark: tuple[int, ...], light: tuple[int, ...]) -> Pixels:
    """Mixtures by brightness."""
    share = grey_of(pixels)[..., None] / 255
    return np.array(dark) * (1 - share) + np.array(light) * share


def tinted(pixels: Pixels, colour: tuple[int, ...]) -> Pixels:
    """Black, the colour at its own brightness, white."""
    middle = grey_of(np.array([[colour]], dtype=float))[0, 0]
    grey = grey_of(pixels)
    return np.stack([np.interp(grey, [0, middle, 255], [0, part, 255]) for part in colour], axis=-1)


CASES: dict[str, tuple[Operation, Callable[[Pixels], Pixels]]] = {
    "saturation": (Saturation(50), lambda pixels: saturated(pixels, 1.5)),
    "no saturation": (Saturation(-100), lambda pixels: saturated(pixels, 0)),
    "hue": (Hue(120), lambda pixels: hue_turned(pixels, 120)),
    "hue back": (Hue(-45), lambda pixels: hue_turned(pixels, -45)),
    "gamma": (Gamma(2.2), lambda pixels: 255 * (pixels / 255) ** (1 / 2.2)),
    "invert": (Invert(), lambda pixels: 255 - pixels),
    "sepia": (Sepia(), lambda pixels: toned(pixels, 1)),
    "half sepia": (Sepia(50), lambda pixels: toned(pixels, 0.5)),
    "duotone": (
        Duotone(Colour.parse("#1e3264"), Colour.parse("#f5e9c8")),
        lambda pixels: duotoned(pixels, (30, 50, 100), (245, 233, 200)),
    ),
    "tint": (Tint(Colour.parse("#2060c0")), lambda pixels: tinted(pixels, (0x20, 0x60, 0xC0))),
}


@pytest.mark.parametrize("case", CASES)
def test_every_pixel_agrees(studio: Studio, case: str) -> None:
    """What comes out differs from the formula by rounding only, and alpha is untouched."""
    operation, expected = CASES[case]
    picture = coordinates(64, 48).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((64, 48)))
    before = np.asarray(picture, dtype=float)

    studio.render(encoded(picture, "PNG"), operation, target=Target.PNG)

    after = np.asarray(decoded(studio.result.read_bytes()).convert("RGBA"), dtype=float)
    assert np.abs(after[..., :3] - np.clip(expected(before[..., :3]), 0, 255)).max() <= 2
    assert (after[..., 3] == before[..., 3]).all()


@pytest.mark.parametrize("case", CASES)
def test_grey_is_a_colour_too(studio: Studio, case: str) -> None:
    """A grey original comes out as its equal in three bands would."""
    operation, expected = CASES[case]
    picture = Image.linear_gradient("L")
    before = np.asarray(picture.convert("RGB"), dtype=float)

    studio.render(encoded(picture, "PNG"), operation, target=Target.PNG)

    after = np.asarray(decoded(studio.result.read_bytes()).convert("RGB"), dtype=float)
    assert np.abs(after - np.clip(expected(before), 0, 255)).max() <= 2


@pytest.mark.parametrize("case", CASES)
def test_every_frame_is_changed(studio: Studio, case: str) -> None:
    """An animation keeps its frames and delays, each changed alike."""
    operation, expected = CASES[case]
    frames = [coordinates(32, 32).rotate(90 * turn) for turn in range(3)]
    original = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=70, lossless=True)

    report = studio.render(original, operation, target=Target.WEBP)

    assert report.frames == 3
    result = decoded(studio.result.read_bytes())
    for index, frame in enumerate(frames):
        result.seek(index)
        after = np.asarray(result.convert("RGB"), dtype=float)
        wanted = np.clip(expected(np.asarray(frame, dtype=float)), 0, 255)
        assert np.abs(after - wanted).mean() < 6  # a lossy file


def test_normalise_spreads_what_is_there(studio: Studio) -> None:
    """The tones from 60 to 180 reach from black to white; the mixture of the channels stays."""
    grey = np.repeat(np.linspace(60, 180, 121).round().astype(np.uint8)[None], 50, axis=0)

    studio.render(encoded(Image.fromarray(grey), "PNG"), Normalise(0.0), target=Target.PNG)

    after = np.asarray(decoded(studio.result.read_bytes()).convert("L"), dtype=float)
    assert np.abs(after - (grey.astype(float) - 60) * 255 / 120).max() <= 1


def test_normalise_does_not_look_at_invisible_pixels(studio: Studio) -> None:
    """Black and white under full transparency do not count."""
    tones = np.repeat(np.linspace(60, 180, 121).round().astype(np.uint8)[None], 50, axis=0)
    alpha = np.full_like(tones, 255)
    tones[0], tones[1], alpha[:2] = 0, 255, 0
    picture = Image.merge("LA", (Image.fromarray(tones), Image.fromarray(alpha)))

    studio.render(encoded(picture, "PNG"), Normalise(0.0), target=Target.PNG)

    after = np.asarray(decoded(studio.result.read_bytes()).convert("LA"), dtype=float)
    assert after[10, 0, 0] <= 1
    assert after[10, -1, 0] >= 254


def test_one_tone_cannot_be_spread(studio: Studio) -> None:
    """A plain picture stays as it is, and the report says why."""
    report = studio.render(encoded(Image.new("RGB", (9, 9), "#808080"), "PNG"), Normalise(), target=Target.PNG)

    assert decoded(studio.result.read_bytes()).convert("RGB").getpixel((4, 4)) == (128, 128, 128)
    assert "one tone only: nothing to normalise" in report.notes

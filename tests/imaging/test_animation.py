"""Animations: frame by frame, with their timing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageSequence

from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.operations import (
    AutoOrient,
    Blur,
    Crop,
    Extent,
    Fit,
    Flatten,
    Flip,
    Grayscale,
    Operation,
    Resize,
    Rotate,
    Sharpen,
)
from proxy.plan.output import Animation, Format, Output, Target
from tests.corpus import ROOT, require_corpus
from tests.imaging.conftest import Studio

DELAYS = (50, 120, 80, 200, 90)
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))


def flags(kind: str, size: tuple[int, int] = (60, 40)) -> bytes:
    """Five frames, each of one colour with a white bar at the top; uneven delays; played three times."""
    frames = [Image.new("RGB", size, colour) for colour in COLOURS]
    for frame in frames:
        ImageDraw.Draw(frame).rectangle((0, 0, size[0], size[1] // 8 - 1), (255, 255, 255))
    file = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=DELAYS, loop=3, **options)
    return file.getvalue()


def frames_of(body: bytes) -> tuple[list[Image.Image], list[int], int]:
    """The frames, their delays and the loop count, as Pillow reads them."""
    image = Image.open(io.BytesIO(body))
    frames, delays = [], []
    for frame in ImageSequence.Iterator(image):
        frame.load()
        frames.append(frame.convert("RGBA"))
        delays.append(frame.info["duration"])
    return frames, delays, image.info["loop"]


@pytest.mark.parametrize("target", [Target.SOURCE, Target.GIF, Target.WEBP, Target.PLAIN])
@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_frames_delays_and_loop_are_kept(studio: Studio, kind: str, target: Target) -> None:
    """An animation stays one, with its timing, in every target that can hold it."""
    report = studio.render(flags(kind), AutoOrient(), Resize(30, 30), target=target)

    frames, delays, loop = frames_of(studio.result.read_bytes())
    assert report.frames == len(frames) == 5
    assert tuple(delays) == DELAYS
    # A GIF counts the repetitions, a WebP the runs: one more.
    assert loop == 3 + {("GIF", Format.WEBP): 1, ("WEBP", Format.GIF): -1}.get((kind, report.format), 0)
    assert all(frame.size == (30, 20) for frame in frames)
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert frame.getpixel((15, 12))[:3] == pytest.approx(colour, abs=12)


CHAINS: dict[str, tuple[tuple[Operation, ...], tuple[int, int]]] = {
    "cover": ((AutoOrient(), Resize(20, 20, Fit.COVER), Crop(20, 20, Gravity.CENTRE)), (20, 20)),
    "attention": ((Crop(30, 30, Gravity.ATTENTION),), (30, 30)),
    "extent": ((Resize(30, 30), Extent(40, 40, background=Colour(10, 20, 30))), (40, 40)),
    "rotate": ((Rotate(90),), (40, 60)),
    "rotate freely": ((Resize(30, 30), Rotate(45, Colour.TRANSPARENT)), (35, 35)),
    "flip": ((Flip("vertical"), Flip("horizontal")), (60, 40)),
    "effects": ((Resize(30, 30), Blur(1), Sharpen(), Flatten()), (30, 20)),
    "grey": ((Grayscale(),), (60, 40)),
    "crop, resize": ((Crop(40, 40, Gravity.SOUTH), Resize(20, 20)), (20, 20)),
}


@pytest.mark.parametrize("target", [Target.GIF, Target.WEBP])
@pytest.mark.parametrize(("operations", "size"), CHAINS.values(), ids=CHAINS)
def test_every_operation_works_on_every_frame(
    studio: Studio, operations: tuple[Operation, ...], size: tuple[int, int], target: Target
) -> None:
    """All frames go through all operations, and keep their order, colours and timing."""
    report = studio.render(flags("GIF"), *operations, target=target)

    frames, delays, _ = frames_of(studio.result.read_bytes())
    assert (report.frames, report.width, report.height) == (5, *size)
    assert [frame.size for frame in frames] == [size] * 5
    assert tuple(delays) == DELAYS
    if not any(isinstance(operation, Grayscale) for operation in operations):
        for frame, colour in zip(frames, COLOURS, strict=True):
            assert frame.getpixel((size[0] // 2, size[1] // 2))[:3] == pytest.approx(colour, abs=12)


def test_frames_do_not_bleed_into_each_other(studio: Studio) -> None:
    """The white bar at the top of a frame does not lighten the bottom of the frame before it."""
    studio.render(flags("GIF", (300, 200)), Resize(33, 22), target=Target.PNG, output=Output())
    studio.render(flags("GIF", (300, 200)), Resize(33, 22), output=Output(target=Target.WEBP, lossless=True))

    frames, _, _ = frames_of(studio.result.read_bytes())
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert frame.getpixel((16, 21))[:3] == colour


@pytest.mark.parametrize(
    "output",
    [Output(target=Target.JPEG), Output(target=Target.AVIF), Output(target=Target.GIF, animation=Animation.FIRST)],
    ids=["JPEG", "AVIF", "GIF first"],
)
def test_otherwise_the_first_frame(studio: Studio, output: Output) -> None:
    """A target that cannot move, or an output that wants one frame, gets the first, and a note."""
    report = studio.render(flags("WEBP"), Resize(30, 30), output=output)

    result = Image.open(studio.result)
    assert report.frames == getattr(result, "n_frames", 1) == 1
    assert "first of 5 frames" in report.notes
    assert result.convert("RGB").getpixel((15, 12)) == pytest.approx((255, 0, 0), abs=8)
    result.close()


@pytest.mark.parametrize("name", ["rotating-squares.gif", "star.gif", "iss634.webp", "dispose_bgnd.gif"])
def test_corpus_animations_keep_their_total_time(studio: Studio, name: str) -> None:
    """Encoders may merge equal frames; the whole lasts as long as before."""
    require_corpus()
    path = ROOT / "animated" / name

    studio.render(path, AutoOrient(), Resize(60, 60))

    _, before, _ = frames_of(path.read_bytes())
    _, after, _ = frames_of(studio.result.read_bytes())
    # A first delay of 0 means 100 ms to every browser, and libvips writes it so.
    assert sum(after) == pytest.approx(sum(before), abs=100)


def test_transparency_of_animations(studio: Studio) -> None:
    """Transparent parts of moving pictures stay transparent in WebP and GIF."""
    require_corpus()

    for target in (Target.WEBP, Target.GIF):
        studio.render(ROOT / "animated" / "star.gif", AutoOrient(), Resize(80, 80), target=target)
        frames, _, _ = frames_of(studio.result.read_bytes())
        for frame in frames:
            alpha = np.asarray(frame)[..., 3]
            assert alpha[0, 0] == 0
            assert alpha[40, 40] == 255

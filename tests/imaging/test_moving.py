"""APNG and AVIF sequences in."""

from __future__ import annotations

import io

import pytest
from PIL import Image, features

from proxy.errors import CannotRender
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderLimits
from proxy.plan.operations import AutoOrient, Resize
from proxy.plan.output import Format, Output, Target
from tests.corpus import ROOT, require_corpus
from tests.imaging.conftest import Studio
from tests.imaging.timeline import difference, scaled, timeline
from tests.pictures import coordinates, encoded

DELAYS = (50, 120, 80)
KINDS = ["PNG", *(["AVIF"] if features.check("avif") else [])]


def turning(kind: str, mode: str = "RGBA") -> bytes:
    """Three frames with transparent corners, uneven delays."""
    frames = [coordinates(60, 40).rotate(120 * turn).convert(mode) for turn in range(3)]
    if mode == "RGBA":
        for frame in frames:
            frame.paste((0, 0, 0, 0), (0, 0, 20, 20))
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=list(DELAYS), loop=3)


@pytest.mark.parametrize("target", [Target.WEBP, Target.GIF, Target.PLAIN])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("kind", KINDS)
def test_they_go_on_moving(studio: Studio, kind: str, mode: str, target: Target) -> None:
    """In a format that moves, each frame is there, with its transparency and for as long as before."""
    body = turning(kind, mode)
    report = studio.render(body, AutoOrient(), Resize(30, 30), output=Output(target, lossless=True))

    before, after = timeline(body), timeline(studio.result.read_bytes())
    assert (report.frames, after.delays) == (3, DELAYS)
    assert after.plays == (0 if kind == "AVIF" else 3)  # Pillow writes and tells no repetitions of an AVIF
    for ours, theirs in zip(after.frames, before.frames, strict=True):
        assert difference(ours, scaled(theirs, (30, 20))) < (3 if target is Target.WEBP else 10)


@pytest.mark.parametrize("target", [Target.JPEG, Target.PNG, Target.AVIF])
@pytest.mark.parametrize("kind", KINDS)
def test_or_stand_still_and_say_so(studio: Studio, kind: str, target: Target) -> None:
    """In a format that does not move, the first frame is there, and the report says that there were more."""
    report = studio.render(turning(kind), Resize(30, 30), target=target)

    with Image.open(studio.result) as image:
        assert (report.frames, getattr(image, "n_frames", 1), image.size) == (1, 1, (30, 20))
        red, green, _ = image.convert("RGB").getpixel((28, 1))
    assert (red > 200, green < 60) == (True, True)
    assert "first of 3 frames" in report.notes


def test_a_first_picture_that_is_no_frame(studio: Studio) -> None:
    """The picture for those who cannot play an APNG is what a still result shows, and is no frame of a moving one."""
    shades = [Image.new("RGB", (20, 20), (shade, shade, shade)) for shade in (10, 100, 200)]
    body = encoded(shades[0], "PNG", save_all=True, append_images=shades[1:], default_image=True, duration=70)

    studio.render(body, target=Target.JPEG)
    with Image.open(studio.result) as still:
        assert still.getpixel((5, 5)) == pytest.approx((10, 10, 10), abs=2)
    studio.render(body, output=Output(Target.WEBP, lossless=True))
    assert [frame.getpixel((5, 5))[0] for frame in timeline(studio.result.read_bytes()).frames] == [100, 200]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("dispose_op_previous.png", (0, 255, 0, 255)),
        ("dispose_op_background.png", (0, 0, 0, 0)),
        ("blend_op_over.png", (0, 255, 0, 255)),
    ],
)
def test_disposal_of_apng(studio: Studio, name: str, shown: tuple[int, ...]) -> None:
    """The last frame of each of these is of one known colour if disposal and blending are right.

    Looked at one by one, as here, Pillow's own frames are not: it forgets what is to come back.
    """
    require_corpus()

    studio.render(ROOT / "animated" / name, output=Output(Target.WEBP, lossless=True))

    assert timeline(studio.result.read_bytes()).frames[-1].getpixel((64, 32)) == shown


def test_one_animation_in_three_formats(studio: Studio) -> None:
    """The corpus has one animation as APNG, GIF and WebP: all three come to the same."""
    require_corpus()
    results = []
    for name in ("iss634.apng", "iss634.gif", "iss634.webp"):
        studio.render(ROOT / "animated" / name, Resize(80, 80), target=Target.WEBP)
        results.append(timeline(studio.result.read_bytes()))

    for other in results[1:]:
        assert other.total == pytest.approx(results[0].total, rel=0.05)
        assert all(difference(results[0].at(part / 7), other.at(part / 7)) < 6 for part in range(7))


def test_a_wrong_count_is_a_still_picture(studio: Studio) -> None:
    """An APNG whose counts disagree is its first picture, as in browsers."""
    require_corpus()
    path = ROOT / "animated" / "syntax_num_frames_high.png"

    assert inspect(str(path), RenderLimits()).frames == 1
    assert studio.render(path, target=Target.WEBP).frames == 1


def test_an_avif_sequence(studio: Studio) -> None:
    """A real one, which libvips does not know."""
    require_corpus()
    path = ROOT / "animated" / "colors-animated-8bpc.avif"

    info = inspect(str(path), RenderLimits())
    report = studio.render(path, Resize(80, 80), target=Target.WEBP)

    assert (info.format, info.width, info.height, info.frames) == (Format.AVIF, 150, 150, 5)
    after = timeline(studio.result.read_bytes())
    assert (report.frames, after.total) == (5, 165)
    assert difference(after.frames[0], after.frames[-1]) > 5


@pytest.mark.parametrize("kind", KINDS)
def test_cut_short(studio: Studio, kind: str) -> None:
    """An animation that ends too early is an error, at whatever byte."""
    body = turning(kind)
    for part in range(1, 12):
        with pytest.raises(CannotRender):
            studio.render(body[: len(body) * part // 12], target=Target.WEBP)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged(studio: Studio, kind: str) -> None:
    """Whatever a byte in the middle becomes: a picture or a clear error, never another exception."""
    from proxy.errors import ProxyError

    body = bytearray(turning(kind))
    for at in range(30, len(body), max(1, len(body) // 60)):
        broken = bytes((*body[:at], body[at] ^ 0x55, *body[at + 1 :]))
        try:
            studio.render(broken, Resize(30, 30), target=Target.WEBP)
        except ProxyError:
            continue
        assert Image.open(io.BytesIO(studio.result.read_bytes())).size[0] <= 30

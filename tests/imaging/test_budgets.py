"""Animations that are too much: fewer frames, the first frame, or a refusal, and always a word about it."""

from __future__ import annotations

import io
import random
from dataclasses import replace

import pytest
from PIL import Image

from proxy.errors import OriginalTooLarge, ProxyError, ResultTooLarge
from proxy.imaging.budget import Frames, choose_frames
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderJob, RenderLimits, SourceInfo
from proxy.imaging.pacing import write_in_time
from proxy.imaging.transform import make, write
from proxy.plan.animation import OverBudget, evenly, in_hundredths, merged, shown
from proxy.plan.operations import Resize
from proxy.plan.output import Animation, Format, Output, Target
from tests.imaging.conftest import Studio
from tests.imaging.timeline import timeline


def shades(count: int, size: tuple[int, int] = (20, 10), delay: int = 50) -> bytes:
    """A GIF whose frames are numbered by their shade."""
    frames = [Image.new("L", size, index * 255 // count) for index in range(count)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=delay, loop=0)
    return file.getvalue()


BUDGETS = {
    "frames": (RenderLimits(max_frames=10), Output(), "may have 10 frames, this one has 40"),
    "frames of the preset": (RenderLimits(), Output(max_frames=10), "may have 10 frames here, this one has 40"),
    "pixels of the original": (RenderLimits(max_pixels=2000), Output(), "2000 pixels, this one is 20x10 in 40 frames"),
    "pixels of the result": (RenderLimits(max_result_pixels=500), Output(), "500 pixels, this one would be 10x5 in 40"),
}


@pytest.mark.parametrize(("limits", "output", "says"), BUDGETS.values(), ids=BUDGETS)
def test_fewer_frames_with_the_time_kept(studio: Studio, limits: RenderLimits, output: Output, says: str) -> None:
    """By default frames are left out evenly, the others are shown for longer, and the report says so."""
    report = studio.render(shades(40), Resize(10, 10), output=output, limits=limits)

    after = timeline(studio.result.read_bytes())
    assert report.frames == len(after.frames) == 10
    assert after.delays == (200,) * 10
    shown_shades = [frame.getpixel((5, 2))[0] for frame in after.frames]
    assert shown_shades == pytest.approx([index * 4 * 255 // 40 for index in range(10)], abs=3)
    assert [note for note in report.notes if note.startswith("10 of 40 frames") and says in note]


@pytest.mark.parametrize(("limits", "output", "says"), BUDGETS.values(), ids=BUDGETS)
@pytest.mark.parametrize("by_preset", [True, False])
def test_first_frame(studio: Studio, limits: RenderLimits, output: Output, says: str, *, by_preset: bool) -> None:
    """Preset or settings can ask for the first frame instead; it is a picture like any other."""
    if by_preset:
        output = replace(output, over_budget=OverBudget.FIRST)
    else:
        limits = replace(limits, over_budget=OverBudget.FIRST)

    report = studio.render(shades(40), Resize(10, 10), output=output, limits=limits)

    with Image.open(studio.result) as image:
        assert (report.frames, getattr(image, "n_frames", 1)) == (1, 1)
    assert [note for note in report.notes if note.startswith("first of 40 frames") and says in note]


@pytest.mark.parametrize(("limits", "output", "says"), BUDGETS.values(), ids=BUDGETS)
def test_refusal(studio: Studio, limits: RenderLimits, output: Output, says: str) -> None:
    """Or for an error; one frame of the same original is still to be had."""
    refusing = replace(output, over_budget=OverBudget.REFUSE)

    with pytest.raises((OriginalTooLarge, ResultTooLarge), match=says):
        studio.render(shades(40), Resize(10, 10), output=refusing, limits=limits)

    assert studio.render(shades(40), Resize(10, 10), output=replace(refusing, target=Target.PNG), limits=limits)
    first = replace(refusing, animation=Animation.FIRST)
    assert studio.render(shades(40), Resize(10, 10), output=first, limits=limits).frames == 1


def info(width: int, height: int, frames: int, kind: Format = Format.GIF) -> SourceInfo:
    return SourceInfo(kind, width, height, frames, 4, True, 1, interlaced=False, estimated_bytes=0)


def test_time_to_read() -> None:
    """Frames that are left out must be read as well: what takes too long to read comes down to its first frame."""
    long = info(1000, 1000, 299)

    frames = choose_frames(long, (Resize(10, 10),), Output(), RenderLimits(max_pixels=300_000_000))

    assert frames.kept == (0,)
    assert "reading 1000x1000 in 299 frames takes longer" in frames.note


def test_the_tightest_budget_decides() -> None:
    """Of several budgets the one with the fewest frames counts, and is named."""
    limits = RenderLimits(max_frames=50, max_pixels=200 * 30, max_result_pixels=200 * 20)

    frames = choose_frames(info(20, 10, 100), (), Output(max_frames=25), limits)

    assert len(frames.kept) == 20
    assert "a result may have" in frames.note


def test_one_frame_must_fit_anyway(studio: Studio) -> None:
    """No policy makes room for a picture that would be too large without its motion."""
    with pytest.raises(ProxyError, match="may have 100 pixels"):
        studio.render(shades(3), limits=RenderLimits(max_result_pixels=100))


def noise(count: int, size: tuple[int, int]) -> bytes:
    """A WebP that is hard to encode: nothing in a frame is like anything in another."""
    chance = random.Random(4)
    frames = [Image.frombytes("RGB", size, chance.randbytes(size[0] * size[1] * 3)) for _ in range(count)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=40, quality=1, method=0)
    return file.getvalue()


def test_time_to_write(studio: Studio) -> None:
    """An encoder that would not be ready in time is stopped, and gets fewer frames; or none but the first, or an error."""
    body = noise(60, (200, 160))
    limits = RenderLimits(animation_seconds=0.3)
    output = Output(Target.GIF, effort=9)

    report = studio.render(body, output=output, limits=limits)

    after = timeline(studio.result.read_bytes())
    assert report.frames == len(after.frames) < 60
    assert [note for note in report.notes if "writing all takes longer" in note]
    if report.frames > 1:
        assert after.total == pytest.approx(60 * 40, abs=10)
    with pytest.raises(ResultTooLarge, match="writing 200x160 in 60 frames takes longer"):
        studio.render(body, output=replace(output, over_budget=OverBudget.REFUSE), limits=limits)
    first = studio.render(body, output=replace(output, over_budget=OverBudget.FIRST), limits=limits)
    assert (first.frames, first.notes[-1].startswith("first of 60 frames")) == (1, True)


def test_time_to_write_a_webp(studio: Studio) -> None:
    """A WebP, which a render would first give less effort, loses frames as well where the time is too short."""
    path = studio.store(noise(60, (200, 160)))
    job = RenderJob(str(path), str(studio.result), (), Output(Target.WEBP, effort=9), RenderLimits())
    picture = make(job, inspect(job.path, job.limits), Frames(tuple(range(60))))

    written = write_in_time(picture, lambda made: write(made, Format.WEBP, job), seconds=0.1, policy=OverBudget.FEWER)

    after = timeline(studio.result.read_bytes())
    assert len(written.frames) == len(after.frames) < 60
    assert [note for note in written.notes if "writing all takes longer" in note]
    if len(written.frames) > 1:
        assert after.total == pytest.approx(60 * 40, abs=10)


def test_delays_as_browsers_take_them() -> None:
    """0 and 10 ms are 100 ms; what is left out adds its time to the frame before; hundredths add up to the whole."""
    assert shown((0, 10, 11, 20, 500)) == (100, 100, 11, 20, 500)
    assert evenly(10, 4) == (0, 2, 5, 7)
    assert evenly(3, 300) == (0, 1, 2)
    assert merged((1, 2, 3, 4, 5), (0, 2, 3)) == (3, 3, 9)
    assert in_hundredths((33, 33, 34, 33, 33, 34)) == (30, 40, 30, 30, 40, 30)
    assert in_hundredths((15, 5, 100)) == (20, 20, 80)

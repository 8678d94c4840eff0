"""Quality by target, limits of bytes, and the smallest of several formats: real encodes, looked at by another decoder."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
import pyvips
from PIL import Image

from proxy.imaging.job import RenderJob, RenderLimits, RenderReport
from proxy.imaging.ssimulacra2 import Reference
from proxy.imaging.transform import render
from proxy.plan.operations import AutoOrient, Resize
from proxy.plan.output import Format, Output, OverLimit, Target
from tests.corpus import ROOT, require_corpus
from tests.imaging.conftest import Studio
from tests.imaging.test_ssimulacra2 import picture
from tests.pictures import encoded

SIZE = (AutoOrient(), Resize(240, 240))
LOSSY = [Target.JPEG, Target.WEBP, Target.AVIF]


def original(turn: int = 0) -> bytes:
    """A picture without losses of its own; turned a little, it is another of its kind."""
    return encoded(picture(480, 360).rotate(turn, expand=False), "PNG")


def pixels(path: Path) -> pyvips.Image:
    """What Pillow sees in a file."""
    with Image.open(path) as image:
        seen = image.convert("RGB")
        return pyvips.Image.new_from_memory(seen.tobytes(), *seen.size, 3, "uchar").copy(interpretation="srgb")


def score(studio: Studio, body: bytes | Path, output: Output) -> float:
    """The score of the studio's result, against the same picture written without loss."""
    seen = pixels(studio.result)
    studio.render(body, *SIZE, output=Output(Target.PNG, background=output.background))
    return Reference(pixels(studio.result)).score(seen)


def encodes(report: RenderReport) -> int:
    """How many the notes tell of."""
    (note,) = [note for note in report.notes if "encode" in note]
    return int(note.split(" after ")[1].split()[0])


@pytest.mark.parametrize("target", LOSSY)
@pytest.mark.parametrize("wanted", [50, 70, 85])
def test_score_is_met(studio: Studio, target: Target, wanted: int) -> None:
    """The result reaches the score, and its notes say so; one that looks much better was not needed."""
    output = Output(target, ssimulacra2=wanted)
    report = studio.render(original(), *SIZE, output=output)
    seen = score(studio, original(), output)

    assert wanted - 0.5 <= seen <= wanted + 4
    assert any(note.startswith(f"quality {report.found[0][1]}, SSIMULACRA2 {wanted // 10}") for note in report.notes)
    assert report.found[0][0] == Format(target.value)


@pytest.mark.parametrize("target", LOSSY)
def test_search_goes_up_and_down(studio: Studio, target: Target) -> None:
    """From a start far above and far below, it comes to the same quality, and from a good one sooner."""
    bodies, reports = [], []
    for start in (12, 97, None):
        known = reports[0].found[0][1] if start is None else start
        job = RenderJob(
            str(studio.store(original())), str(studio.result), SIZE, Output(target, ssimulacra2=70), RenderLimits(),
            starts=((Format(target.value), known),),
        )  # fmt: skip
        reports.append(render(job))
        bodies.append(studio.result.read_bytes())

    assert bodies[0] == bodies[1] == bodies[2]
    assert encodes(reports[2]) <= 3 <= min(encodes(reports[0]), encodes(reports[1]))
    assert encodes(reports[2]) < max(encodes(reports[0]), encodes(reports[1]))


@pytest.mark.parametrize("target", LOSSY)
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_limit_of_bytes_holds(studio: Studio, target: Target, share: float) -> None:
    """The result fits, and the next quality would not have."""
    whole = studio.render(original(), *SIZE, target=target).size
    limit = round(whole * share)

    free = Output(target, max_bytes=1 << 20, over_limit=OverLimit.FIT)
    report = studio.render(original(), *SIZE, output=replace(free, max_bytes=limit))
    assert report.size == studio.result.stat().st_size <= limit
    above = studio.render(original(), *SIZE, output=replace(free, quality=report.found[0][1] + 1))
    assert above.size > limit or target is Target.WEBP  # WebP's sizes are not monotonous to the byte


def test_limit_that_is_kept_anyway_costs_no_quality(studio: Studio) -> None:
    """The limit is one: a picture that fits at the quality asked for has it, after one encode."""
    plain = studio.render(original(), *SIZE, output=Output(Target.JPEG, quality=60)).size
    report = studio.render(
        original(), *SIZE, output=Output(Target.JPEG, quality=60, max_bytes=1_000_000, over_limit=OverLimit.FIT)
    )

    assert report.found == ((Format.JPEG, 60),)
    assert 0.8 * plain < report.size <= plain  # with tables that suit the quality, as nobody reads it back
    assert encodes(report) == 1


def test_limit_goes_before_the_score(studio: Studio) -> None:
    """Both together: the limit holds, and the notes say what it cost."""
    free = studio.render(original(), *SIZE, output=Output(Target.JPEG, ssimulacra2=85))
    output = Output(Target.JPEG, ssimulacra2=85, max_bytes=free.size // 2, over_limit=OverLimit.FIT)
    report = studio.render(original(), *SIZE, output=output)

    assert report.size <= free.size // 2
    assert any(note.startswith("quality lowered from ") for note in report.notes)
    assert report.found == free.found  # what the next search begins with is the score's, not the limit's


def test_what_cannot_be_had_is_said(studio: Studio) -> None:
    """An impossible limit gives the lowest quality; a format without loss, and an animation, say what they did."""
    tiny = studio.render(original(), *SIZE, output=Output(Target.JPEG, max_bytes=100, over_limit=OverLimit.FIT))
    lossless = studio.render(
        original(), *SIZE, output=Output(Target.PNG, ssimulacra2=70, max_bytes=100, over_limit=OverLimit.FIT)
    )
    frames = [picture(64, 48).rotate(turn) for turn in (0, 40, 80)]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0)
    moving = studio.render(gif, output=Output(Target.WEBP, ssimulacra2=60))

    assert "not below 100 bytes even at the lowest quality" in tiny.notes
    assert tiny.found == ((Format.JPEG, 1),)
    assert "without loss, whatever the score" in lossless.notes
    assert "not below 100 bytes: this png has no quality to lower" in lossless.notes
    assert "an animation: the usual quality for the score" in moving.notes
    assert moving.frames == 3


def test_no_time_means_one_encode(studio: Studio) -> None:
    """Where the deadline is near, the first encode is the answer, and the notes say why."""
    job = RenderJob(
        str(studio.store(original())), str(studio.result), SIZE, Output(Target.AVIF, ssimulacra2=85), RenderLimits(),
        seconds=0.001, starts=((Format.AVIF, 20),),
    )  # fmt: skip
    report = render(job)

    assert encodes(report) == 1
    assert "the search for the score ran out of time" in report.notes


EVERY = (Target.AVIF, Target.WEBP, Target.PLAIN)


def test_smallest_is_the_smallest(studio: Studio) -> None:
    """Of the candidates' files, each at the same quality to the eye, the smallest is the result."""
    output = Output(Target.PLAIN, candidates=EVERY, ssimulacra2=70)
    report = studio.render(original(), *SIZE, output=output)
    body = studio.result.read_bytes()

    sizes = {
        target: studio.render(original(), *SIZE, output=replace(output, candidates=(target,))).size for target in EVERY
    }
    assert report.size == len(body) == min(sizes.values())
    assert {target for target, _ in report.found} == {Format.JPEG, Format.WEBP, Format.AVIF}
    assert any(note.startswith("smallest of jpeg ") for note in report.notes)


def test_drawing_may_be_smallest_as_png(studio: Studio) -> None:
    """Where PNG is a candidate, a flat drawing is one."""
    drawing = Image.new("RGB", (300, 200), "white")
    drawing.paste("navy", (40, 40, 120, 160))
    report = studio.render(encoded(drawing, "PNG"), output=Output(Target.PLAIN, candidates=(Target.JPEG, Target.PNG)))

    assert report.format is Format.PNG


def test_candidates_that_cannot_hold_the_picture_stand_back(studio: Studio) -> None:
    """Transparency stays where any candidate holds it, and movement too; else it is what every browser reads."""
    clear = picture(64, 48).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize((64, 48)))
    frames = [picture(64, 48).rotate(turn) for turn in (0, 40)]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0)
    both = Output(Target.PLAIN, candidates=(Target.JPEG, Target.WEBP))

    assert studio.render(encoded(clear, "PNG"), output=both).format is Format.WEBP
    moving = studio.render(gif, output=both)
    assert (moving.format, moving.frames) == (Format.WEBP, 2)
    still = Output(Target.PLAIN, candidates=(Target.JPEG,))
    assert studio.render(encoded(clear, "PNG"), output=still).format is Format.PNG
    assert studio.render(gif, output=still).format is Format.GIF


def test_slow_format_is_left_out_when_time_is_short(studio: Studio) -> None:
    """A larger file in time is better than none."""
    job = RenderJob(
        str(studio.store(original())), str(studio.result), SIZE, Output(Target.PLAIN, candidates=EVERY),
        RenderLimits(), seconds=0.001,
    )  # fmt: skip
    report = render(job)

    assert report.format is Format.JPEG
    assert "avif left out: no time for it" in report.notes


@pytest.mark.parametrize("name", ["0.4mp-png-kodim23.png", "2.1mp-base-road.jpg", "17.9mp-base-morskie-oko.jpg"])
@pytest.mark.parametrize("target", LOSSY)
def test_real_photos_meet_their_targets(studio: Studio, name: str, target: Target) -> None:
    """A score, and half the bytes that it took."""
    require_corpus()
    path = ROOT / "photos" / name
    output = Output(target, ssimulacra2=75)
    report = studio.render(path, *SIZE, output=output)
    assert 74.5 <= score(studio, path, output) <= 79

    limit = report.size // 2
    halved = studio.render(path, *SIZE, output=replace(output, max_bytes=limit, over_limit=OverLimit.FIT))
    assert halved.size <= limit
    assert math.isclose(halved.size, limit, rel_tol=0.1)
    assert Image.open(io.BytesIO(studio.result.read_bytes())).size == (halved.width, halved.height)

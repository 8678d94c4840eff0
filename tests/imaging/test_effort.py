"""The effort that is ready in time: what is estimated, what is learnt, and what a render makes of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from proxy.imaging.effort import LOSSLESS, NANOSECONDS, USUAL, Pace, codec_effort, effort_of, least, lowered
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport
from proxy.imaging.times import Times
from proxy.imaging.together import render_each
from proxy.imaging.transform import render
from proxy.plan.operations import Flip
from proxy.plan.output import Animation, Format, Output, OverLimit, Target
from tests.fakes import StillClock
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

SIZE = (120, 80)
PIXELS = SIZE[0] * SIZE[1]
SECONDS = 100.0
"""Of a job. Half of it may be estimated for one encode; what a test really takes does not matter beside it."""


class Known(Pace):
    """A pace that is known and learns nothing."""

    def learn(self, target: Format, output: Output, pixels: int, seconds: float) -> None:
        pass


def takes(seconds: float, target: Format, effort: int, *, pixels: int = PIXELS) -> Pace:
    """A machine on which an encode of so much effort takes so long."""
    return Known(seconds / Pace().seconds(target, Output(effort=effort), pixels))


def photo() -> bytes:
    return encoded(coordinates(*SIZE), "PNG")


def glass() -> bytes:
    """A picture that can be seen through."""
    image = coordinates(*SIZE).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SIZE))
    return encoded(image, "PNG")


def clip() -> bytes:
    frames = [coordinates(*SIZE).rotate(turn) for turn in (0, 40, 80)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0)


def make(studio: Studio, body: bytes, output: Output, pace: Pace, **limits: float) -> RenderReport:
    """Render at its own size, with so much time."""
    limited = replace(RenderLimits(), **limits)  # type: ignore[arg-type]
    job = RenderJob(str(studio.store(body)), str(studio.result), (), output, limited, seconds=SECONDS)
    return render(job, pace=pace)


@pytest.mark.parametrize(
    ("target", "own"),
    [
        (Format.WEBP, (4, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6)),
        (Format.AVIF, (2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)),
        (Format.JXL, (4, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9)),
        (Format.GIF, (3, 1, 1, 2, 3, 4, 6, 7, 8, 9, 10)),
        (Format.PNG, (6, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)),
    ],
)
def test_efforts_of_encoders(target: Format, own: tuple[int, ...]) -> None:
    """The default, and what 0 to 9 are to each encoder: another number is another file under the same fingerprint."""
    outputs = [Output(), *(Output(effort=effort) for effort in range(10))]

    assert tuple(codec_effort(effort_of(output, target), target) for output in outputs) == own


@pytest.mark.parametrize("table", [NANOSECONDS, LOSSLESS])
def test_tables_are_whole(table: dict[Format, tuple[float, ...]]) -> None:
    """A number for each effort, and none is quicker than a lower one."""
    for target, times in table.items():
        assert target in USUAL
        assert len(times) == 10
        assert list(times) == sorted(times)


def test_estimate() -> None:
    """Pixels times the table's nanoseconds times how much slower this machine is; nothing is known of other formats."""
    avif = NANOSECONDS[Format.AVIF]

    assert Pace().seconds(Format.AVIF, Output(), 1_000_000) == pytest.approx(avif[2] / 1000)
    assert Pace(3.0).seconds(Format.AVIF, Output(effort=9), 2_000_000) == pytest.approx(avif[9] / 1000 * 6)
    lossless = Pace().seconds(Format.WEBP, Output(lossless=True), 1_000_000)
    assert lossless == pytest.approx(LOSSLESS[Format.WEBP][6] / 1000)
    assert Pace().seconds(Format.TIFF, Output(), 1_000_000) == 0.0


def test_a_slow_machine_is_learnt_from_any_format() -> None:
    """A few large encodes, or many small ones of another format, tell what everything takes here."""
    for target, pixels, count in ((Format.AVIF, 1_000_000, 30), (Format.JPEG, 480_000, 2000)):
        pace = Pace()
        for _ in range(count):
            pace.learn(target, Output(), pixels, 3 * Pace().seconds(target, Output(), pixels))

        assert pace.factor == pytest.approx(3.0, rel=0.02)


def test_a_hiccup_changes_little() -> None:
    """However long one encode was held up, the next estimate is at most 1.5 times as high; a small one says nothing."""
    large, small = Pace(), Pace()
    large.learn(Format.AVIF, Output(), 5_000_000, 3600.0)
    small.learn(Format.JPEG, Output(), 2500, 3600.0)

    assert 1.3 < large.factor < 1.5
    assert small.factor == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize(("seconds", "bound"), [(1e6, 20.0), (1e-9, 0.25)])
def test_what_is_learnt_is_bounded(seconds: float, bound: float) -> None:
    """No series of encodes makes everything impossible, or everything possible."""
    pace = Pace()
    for _ in range(1000):
        pace.learn(Format.AVIF, Output(), 5_000_000, seconds)

    assert pace.factor == bound


def test_nothing_is_learnt_of_nothing() -> None:
    """A clock that stands still, and a format without a table, teach nothing."""
    pace = Pace()
    pace.learn(Format.AVIF, Output(), 5_000_000, 0.0)
    pace.learn(Format.TIFF, Output(), 5_000_000, 5.0)

    assert pace.factor == 1.0


@pytest.mark.parametrize(
    ("seconds", "asked", "chosen"),
    [(math.inf, None, None), (math.inf, 7, 7), (10.1, 4, 4), (9.9, 4, 3), (9.9, None, None), (0.0, 4, -1)],
)
def test_highest_effort_that_fits(seconds: float, asked: int | None, chosen: int | None) -> None:
    """What was asked for if there is time, else the highest below it, never one above; none if none fits."""
    found = lowered(Output(effort=asked), Format.AVIF, PIXELS, seconds, takes(10.0, Format.AVIF, 4))

    assert found == (None if chosen == -1 else Output(effort=chosen))


def test_what_has_no_effort_to_give_up() -> None:
    """A GIF's effort is its look, a PNG of effort 0 is not compressed, one with a palette has no effort of ours."""
    assert least(Output(effort=5), Format.GIF) == Output(effort=5)
    assert least(Output(), Format.PNG) == Output(effort=1)
    assert least(Output(palette=16), Format.PNG) == Output(palette=16)
    assert least(Output(effort=0), Format.AVIF) == Output(effort=0)
    assert least(Output(), Format.JXL) == Output()  # the lower ones are not quicker


def test_times_of_a_job() -> None:
    """All ends count from the beginning; CPU time is an end like the deadline; half of what is left is for an encode."""
    clock = StillClock()
    limits = RenderLimits(animation_seconds=7.0, cpu_seconds=8.0)
    times = Times.of(RenderJob("", "", (), Output(), limits, seconds=9.0), clock)
    clock.advance(2.0)

    assert (times.whole.left, times.moving.left, times.searching.left) == pytest.approx((6.0, 4.3, 2.5))
    assert times.for_encode == pytest.approx(3.0)
    clock.advance(100.0)
    assert times.for_encode == 0.0


@pytest.mark.parametrize(
    ("target", "asked", "effort"),
    [(Target.AVIF, None, 1), (Target.AVIF, 5, 4), (Target.AVIF, 2, 0), (Target.WEBP, None, 3), (Target.WEBP, 9, 0)],
)
def test_slow_format_steps_down_and_says_so(studio: Studio, target: Target, asked: int | None, effort: int) -> None:
    """The file is the one of the lower effort, at the same quality, and a note tells it."""
    wanted, known = Output(target, effort=asked), Format(target.value)
    report = make(studio, photo(), wanted, takes(49.0, known, effort))
    body = studio.result.read_bytes()

    was = effort_of(wanted, known)
    assert f"{target.value.upper()} at effort {effort}: effort {was} would not be ready in time" in report.notes
    assert (report.format, decoded(body).format) == (known, target.value.upper())
    make(studio, photo(), replace(wanted, effort=effort), Known(0.001))
    assert body == studio.result.read_bytes()


def test_nothing_is_noted_where_there_is_time(studio: Studio) -> None:
    """As much effort as was asked for, and no word about it."""
    assert make(studio, photo(), Output(Target.AVIF), takes(49.0, Format.AVIF, 2)).notes == ()


def test_cpu_time_counts(studio: Studio) -> None:
    """Where a worker may use less CPU time than the job has left, that is the time."""
    report = make(studio, photo(), Output(Target.AVIF), takes(9.0, Format.AVIF, 0), cpu_seconds=20.0)

    assert report.notes == ("AVIF at effort 0: effort 2 would not be ready in time",)


@pytest.mark.parametrize("output", [Output(Target.AVIF), Output(Target.AVIF, animation=Animation.FIRST)])
def test_format_that_was_asked_for_is_tried(studio: Studio, output: Output) -> None:
    """However long it would take, it is no other format: it gets the least effort."""
    report = make(studio, photo(), output, takes(5000.0, Format.AVIF, 0))

    assert report.format is Format.AVIF
    assert report.notes == ("AVIF at effort 0: effort 2 would not be ready in time",)


NEGOTIATED = Output(Target.AVIF, animated=Target.PLAIN)
"""For a client that reads AVIF."""
MODERN = Output(Target.AVIF, animated=Target.WEBP)
"""For one that reads WebP, too."""


@pytest.mark.parametrize(
    ("output", "body", "found"),
    [
        (NEGOTIATED, photo(), Format.JPEG),
        (NEGOTIATED, glass(), Format.PNG),
        (MODERN, photo(), Format.WEBP),
        (MODERN, glass(), Format.WEBP),
    ],
)
def test_negotiated_format_gives_way(studio: Studio, output: Output, body: bytes, found: Format) -> None:
    """What not even the least effort makes in time becomes the client's next choice, transparency kept, and says so."""
    report = make(studio, body, output, takes(60.0, Format.AVIF, 0))
    image = decoded(studio.result.read_bytes())

    assert (report.format, image.format) == (found, found.value.upper())
    assert f"{found.value.upper()} instead of AVIF: that would not be ready in time" in report.notes
    assert image.has_transparency_data == (body == glass())


def test_negotiated_format_steps_down_first(studio: Studio) -> None:
    """As long as some effort is ready in time, the format stays."""
    report = make(studio, photo(), MODERN, takes(49.0, Format.AVIF, 0))

    assert report.format is Format.AVIF
    assert report.notes == ("AVIF at effort 0: effort 2 would not be ready in time",)


def test_where_nothing_is_ready_in_time_the_quickest_is_tried(studio: Studio) -> None:
    """JPEG, of all that the client reads."""
    report = make(studio, photo(), MODERN, takes(5000.0, Format.JPEG, 0))

    assert report.format is Format.JPEG


def test_animation_keeps_its_format(studio: Studio) -> None:
    """What moves was never an AVIF; its effort goes down before its frames do."""
    pace = takes(49.0, Format.WEBP, 0, pixels=3 * PIXELS)
    report = make(studio, clip(), MODERN, pace, animation_seconds=90.0)

    assert (report.format, report.frames) == (Format.WEBP, 3)
    assert report.notes == ("WEBP at effort 0: effort 6 would not be ready in time",)


def test_search_steps_down_so_that_its_tries_fit(studio: Studio) -> None:
    """Four encodes must fit into the time of a search: 6 seconds. The score is met all the same."""
    output = Output(Target.AVIF, ssimulacra2=60)
    report = make(studio, photo(), output, takes(1.4, Format.AVIF, 0))

    assert report.notes[0] == "AVIF at effort 0: effort 2 would not be ready in time"
    assert not [note for note in report.notes if "ran out of time" in note]
    limited = replace(output, ssimulacra2=None, max_bytes=1 << 20, over_limit=OverLimit.FIT)
    assert report.notes[0] in make(studio, photo(), limited, takes(1.4, Format.AVIF, 0)).notes


def test_contest_steps_down_before_it_leaves_out(studio: Studio) -> None:
    """A slow format takes part with less effort; only one that has no time even so is left out."""
    smallest = Output(Target.PLAIN, candidates=(Target.AVIF, Target.PLAIN))
    part = make(studio, photo(), smallest, takes(5.0, Format.AVIF, 0))
    none = make(studio, photo(), smallest, takes(7.0, Format.AVIF, 0))

    assert any(note.startswith("smallest of jpeg") and " avif " in note for note in part.notes)
    assert part.format is Format.JPEG or "AVIF at effort 0: effort 2 would not be ready in time" in part.notes
    assert (none.format, none.notes) == (Format.JPEG, ("avif left out: no time for it",))


def test_render_learns(studio: Studio) -> None:
    """What a worker has written is what it knows of its machine; a clip, whose frames have much in common, is not."""
    still, moving = Pace(20.0), Pace(20.0)
    make(studio, photo(), Output(Target.AVIF), still)
    make(studio, clip(), Output(Target.WEBP), moving)

    assert still.factor != 20.0
    assert moving.factor == 20.0


def test_pictures_that_are_rendered_together_share_the_time(tmp_path: Path) -> None:
    """The later one has what the earlier one left."""
    clock, original = StillClock(), tmp_path / "original"
    original.write_bytes(photo())
    jobs = tuple(
        RenderJob(str(original), str(tmp_path / name), operations, Output(Target.AVIF), RenderLimits(), seconds=SECONDS)
        for name, operations in (("first", ()), ("second", (Flip(),)))
    )
    passing = iter((0.0, SECONDS))

    outcomes = render_each(jobs, lambda: clock.advance(next(passing)), clock)

    assert [getattr(outcome, "notes", None) for outcome in outcomes] == [
        (),
        ("AVIF at effort 0: effort 2 would not be ready in time",),
    ]

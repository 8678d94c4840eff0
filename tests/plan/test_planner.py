"""From requests to plans, and the presets they are made with."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from proxy.plan import planner as planning
from proxy.plan.operations import AutoOrient, Crop, Fit, Resize
from proxy.plan.output import Animation, Output, Target
from proxy.plan.plan import CachePolicy
from proxy.plan.planner import LONGEST_REMEMBERED, Planner, PresetBook, describe, possible_outputs
from proxy.plan.preset_file import read_presets
from proxy.plan.presets import Preset, PresetSnapshot
from proxy.plan.request import AskPreset, ImageRequest

TEXT = """
adhoc = "any"
[presets.thumb]
width = 50
height = 50
fit = "cover"
cache = "7d"
[presets.plain]
[presets.auto]
format = "auto"
quality = 70
[presets.still]
format = "auto"
animation = "first"
"""
FAMILIAR = Preset("familiar", output=Output(Target.FAMILIAR))
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@pytest.fixture
def book() -> PresetBook:
    return PresetBook(read_presets(TEXT), clock=lambda: 1000.0)


@pytest.fixture
def planner(book: PresetBook) -> Planner:
    return Planner(book)


def first(planner: Planner, target: str) -> ImageRequest:
    return planner.read(target)[0]


def test_preset_becomes_a_plan(planner: Planner) -> None:
    """A plan has the preset's operations, output, name and cache policy, and the key."""
    plan = planner.plan(first(planner, "/a/cat.jpg!thumb"), CHROME)

    assert plan.key == "a/cat.jpg"
    assert plan.operations == (AutoOrient(), Resize(50, 50, Fit.COVER), Crop(50, 50, "centre"))
    assert plan.output == Output()
    assert plan.presets == ("thumb",)
    assert plan.cache == CachePolicy(604_800)
    assert not plan.negotiated


def test_box_and_preset_of_one_meaning_share_a_fingerprint(planner: Planner) -> None:
    """`!50x50` and a preset that means the same share one stored result."""
    thumb = planner.plan(first(planner, "/cat.jpg!thumb"))
    box = planner.plan(first(planner, "/cat.jpg!50x50"))

    assert box.presets == ()
    assert box.fingerprint == thumb.fingerprint


@pytest.mark.parametrize(
    ("target", "other"), [("!50x", "!x50"), ("!50x50", "!50x51"), ("!50x", "!50x50"), ("!plain", "!auto")]
)
def test_different_meanings_have_different_fingerprints(planner: Planner, target: str, other: str) -> None:
    """What makes a different picture is stored under a different name."""
    plans = [planner.plan(first(planner, f"/cat.jpg{suffix}")) for suffix in (target, other)]

    assert plans[0].fingerprint != plans[1].fingerprint


@pytest.mark.parametrize(
    ("accept", "target", "animated"),
    [
        (CHROME, Target.AVIF, Target.WEBP),
        ("image/avif", Target.AVIF, Target.PLAIN),
        ("image/webp,*/*", Target.WEBP, None),
        ("*/*", Target.PLAIN, None),
        (None, Target.PLAIN, None),
    ],
)
def test_auto_is_negotiated(planner: Planner, accept: str | None, target: Target, animated: Target | None) -> None:
    """`auto` takes the best that the client names; an animation goes into a format that moves."""
    plan = planner.plan(first(planner, "/cat.jpg!auto"), accept)

    assert plan.negotiated
    assert plan.output == Output(target, quality=70, animated=animated)
    assert plan.output.target_for(9) is (animated or target)
    assert plan.output.target_for(1) is target


def test_first_frame_needs_no_moving_format(planner: Planner) -> None:
    """With `animation = "first"` every picture is a still."""
    plan = planner.plan(first(planner, "/cat.gif!still"), CHROME)

    assert plan.output == Output(Target.AVIF, animation=Animation.FIRST)
    assert plan.output.target_for(9) is Target.AVIF


def test_candidates_bound_the_negotiation(book: PresetBook) -> None:
    """A build that cannot write AVIF promises WebP at most."""
    planner = Planner(book, candidates=(Target.WEBP,))

    assert planner.plan(first(planner, "/cat.jpg!auto"), CHROME).output.target is Target.WEBP


def test_accept_does_not_touch_other_presets(planner: Planner) -> None:
    """Only `auto` looks at the header: everything else has one representation."""
    request = first(planner, "/cat.jpg!plain")

    assert planner.plan(request, CHROME) == planner.plan(request, None)


def test_original_has_no_plan(planner: Planner) -> None:
    """Asking for a plan of an original is a mistake of the caller."""
    with pytest.raises(ValueError, match="only pictures have a plan"):
        planner.plan(first(planner, "/cat.jpg"))


@pytest.mark.parametrize("name", ["thumb", "auto", "still"])
@pytest.mark.parametrize("accept", [CHROME, "image/avif", "image/webp", "*/*", None])
def test_possible_outputs_are_all(book: PresetBook, name: str, accept: str | None) -> None:
    """Whatever a client accepts, the plan's output is among those that a purge of the preset looks for."""
    possible = possible_outputs(book.current.presets[name])

    for candidates in [(Target.AVIF, Target.WEBP), (Target.AVIF,), (Target.WEBP,), ()]:
        planner = Planner(book, candidates=candidates)
        assert planner.plan(first(planner, f"/cat.jpg!{name}"), accept).output in possible


def test_request_keeps_its_presets(book: PresetBook, planner: Planner) -> None:
    """A reload between reading and planning changes nothing for the request."""
    request = first(planner, "/cat.jpg!thumb")
    before = planner.plan(request)

    book.replace(PresetSnapshot())

    assert planner.plan(request) == before
    assert len(planner.read("/cat.jpg!thumb")) == 1


def test_book_counts_generations(book: PresetBook) -> None:
    """A different snapshot is a new generation; an equal one is not, but ends a reported problem."""
    assert (book.generation, book.loaded_at, book.problem) == (1, 1000.0, None)
    book.report("presets.toml:3: …")
    assert book.problem == "presets.toml:3: …"

    assert not book.replace(read_presets(TEXT + "# a comment"))
    assert (book.generation, book.problem) == (1, None)

    assert book.replace(read_presets(""))
    assert book.generation == 2
    assert dict(book.current.presets) == {}


def test_book_keeps_the_last_good_snapshot(book: PresetBook) -> None:
    """A problem changes nothing but what is reported."""
    before = book.current

    book.report("presets.toml:3: …")

    assert book.current is before
    assert book.generation == 1


def test_description_is_json(planner: Planner) -> None:
    """What explain shows holds the canonical text and its parts, ready for JSON."""
    plan = planner.plan(first(planner, "/cat.jpg!auto"), CHROME)

    told = json.loads(json.dumps(describe(plan)))

    assert told["canonical"] == "auto-orient()|output(target=avif,quality=70,animated=webp)"
    assert told["fingerprint"] == plan.fingerprint
    assert told["operations"] == ["auto-orient()"]
    assert told["presets"] == ["auto"]
    assert told["negotiated"] is True
    assert told["cache"]["max_age"] is None


def test_fingerprint_is_stable() -> None:
    """Stored results are found again after an upgrade: this text changes only together with RENDER_REVISION."""
    planner = Planner(PresetBook(read_presets(TEXT)))

    plan = planner.plan(first(planner, "/cat.jpg!thumb"))

    assert plan.canonical() == (
        "auto-orient()|resize(width=50,height=50,fit=cover)|crop(width=50,height=50,gravity=centre)|output(target=source)"
    )
    assert plan.fingerprint == "pbniudr5ywnelvcg"


def test_what_was_read_is_remembered_under_one_snapshot() -> None:
    """The same URL is read and planned once, until the presets change."""
    book = PresetBook(read_presets("[presets.thumb]\nwidth = 50"))
    planner = Planner(book)
    first = planner.read("/cat.jpg!thumb")[0]
    plan = planner.plan(first)

    assert planner.read("/cat.jpg!thumb")[0] is first
    assert planner.plan(first) is plan

    book.replace(read_presets("[presets.thumb]\nwidth = 60"))

    again = planner.plan(planner.read("/cat.jpg!thumb")[0])
    assert again.fingerprint != plan.fingerprint


def test_a_preset_is_planned_once_for_all_originals(book: PresetBook, planner: Planner) -> None:
    """Plans differ by the key alone; those of requests that were read before a reload are those of then."""
    one, other, late = (first(planner, f"/{name}.jpg!thumb") for name in ("one", "other", "late"))
    plan = planner.plan(one)
    assert planner.plan(other) == replace(plan, key="other.jpg")
    assert planner.plan(other).fingerprint == plan.fingerprint

    book.replace(read_presets(TEXT.replace("width = 50", "width = 60")))
    new = planner.plan(first(planner, "/one.jpg!thumb"))
    assert Resize(60, 50, Fit.COVER) in new.operations
    assert planner.plan(late) == replace(plan, key="late.jpg")
    assert planner.plan(first(planner, "/late.jpg!thumb")) == replace(new, key="late.jpg")


def test_the_familiar_format_is_the_originals_own_where_every_browser_reads_that(planner: Planner) -> None:
    """Then it shares what is stored for presets that keep the format; for other originals of the same URL it does not."""
    targets = {
        name: planner.plan(ImageRequest(name, AskPreset(FAMILIAR))).output.target
        for name in ("a.jpg", "b.tif", "c.PNG", "d.avif", "e")
    }
    assert targets == {
        "a.jpg": Target.SOURCE,
        "b.tif": Target.FAMILIAR,
        "c.PNG": Target.SOURCE,
        "d.avif": Target.FAMILIAR,
        "e": Target.FAMILIAR,
    }


def test_what_strangers_accept_is_remembered_for_a_while(planner: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    """They choose the header: what was made for the oldest is forgotten, and for long ones nothing is kept."""
    monkeypatch.setattr(planning, "MOST_REMEMBERED", 3)
    request = first(planner, "/cat.jpg!auto")
    for number in range(5):
        assert planner.plan(request, f"image/webp,x/{number}").output.target is Target.WEBP
    long = f"image/webp,{'x' * LONGEST_REMEMBERED}"
    assert planner.plan(request, long).output.target is Target.WEBP
    assert (len(planner._models), len(planner._plans)) == (3, 3)
    assert long not in [accept for _, accept in planner._models]


def test_long_urls_are_not_remembered() -> None:
    """Strangers cannot fill the memory with URLs of their own making."""
    planner = Planner(PresetBook(read_presets("[presets.thumb]\nwidth = 50")))
    target = f"/cat.jpg!thumb?{'x' * LONGEST_REMEMBERED}"

    assert planner.read(target)[0] is not planner.read(target)[0]


def test_a_negotiated_jxl_does_not_stop_animations() -> None:
    """Like AVIF, JPEG XL is written without motion: an animation becomes what the client likes next."""
    snapshot = read_presets('[presets.auto]\nformat = "auto"\nwidth = 50')
    planner = Planner(PresetBook(snapshot), candidates=(Target.JXL, Target.AVIF, Target.WEBP))
    reading = planner.read("/a.jpg!auto")[0]
    assert isinstance(reading.asked, AskPreset)

    plan = planner.plan(reading, "image/jxl,image/avif,image/webp")

    assert (plan.output.target, plan.output.animated) == (Target.JXL, Target.WEBP)
    assert plan.output in possible_outputs(reading.asked.preset)


SMALLEST = """
[presets.smallest]
format = "smallest"
quality = "ssimulacra2:75"
[presets.two]
format = ["webp", "jpg"]
[presets.plainest]
format = ["png", "jpeg"]
"""


@pytest.fixture(name="shop")
def _shop() -> Planner:
    return Planner(PresetBook(read_presets(SMALLEST)))


@pytest.mark.parametrize(
    ("name", "accept", "candidates", "negotiated"),
    [
        ("smallest", CHROME, (Target.AVIF, Target.WEBP, Target.PLAIN), True),
        ("smallest", "image/webp,image/avif;q=0,*/*", (Target.WEBP, Target.PLAIN), True),
        ("smallest", "*/*", (Target.PLAIN,), True),
        ("two", CHROME, (Target.WEBP, Target.JPEG), True),
        ("two", None, (Target.JPEG,), True),
        ("plainest", None, (Target.PNG, Target.JPEG), False),
        ("plainest", CHROME, (Target.PNG, Target.JPEG), False),
    ],
)
def test_candidates_are_what_the_client_reads(
    shop: Planner, name: str, accept: str | None, candidates: tuple[Target, ...], negotiated: bool
) -> None:
    """Of AVIF and WebP, those that the client names; `Vary` only where that makes a difference."""
    plan = shop.plan(first(shop, f"/cat.jpg!{name}"), accept)

    assert plan.output.candidates == candidates
    assert plan.output.target is Target.PLAIN
    assert plan.negotiated is negotiated


@pytest.mark.parametrize("name", ["smallest", "two", "plainest"])
@pytest.mark.parametrize("accept", [CHROME, "image/avif", "image/webp", "*/*", None])
def test_possible_candidates_are_all(shop: Planner, name: str, accept: str | None) -> None:
    """A purge of the preset looks for whatever a client can have been sent."""
    preset = read_presets(SMALLEST).presets[name]

    assert shop.plan(first(shop, f"/cat.jpg!{name}"), accept).output in possible_outputs(preset)


def test_own_reports_are_kept_like_pictures() -> None:
    """A vendor's report is never kept, as the vendors have it; ours is a result like others."""
    planner = Planner(
        PresetBook(read_presets('[presets.info]\nanswer = "info"\n[presets.theirs]\ncommand = "imageInfo"'))
    )

    assert not planner.plan(first(planner, "/cat.jpg!info")).cache.no_store
    assert planner.plan(first(planner, "/cat.jpg!theirs")).cache.no_store

"""Volcengine: sizes by arithmetic, and how templates of veImageX are found and read."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.errors import InvalidCommand, ProxyError, UnknownPreset
from proxy.plan.dialects import parse
from proxy.plan.output import Animation, Target
from proxy.plan.preset_file import read_presets
from proxy.plan.request import AskAdhoc, AskOriginal, AskPreset
from tests.dialects.arithmetic import check_computed, fingerprints, sized_cases
from tests.dialects.cases import Case

SNAPSHOT = read_presets(
    'adhoc = "any"\ndialects = ["volcengine"]\n[presets.thumb]\nwidth = 50\nformat = "auto"\n[presets.cover]\nwidth = 9'
)


@pytest.mark.parametrize("case", sized_cases("volcengine"), ids=lambda case: f"{case.source} {case.request}"[:100])
def test_size_is_arithmetic(case: Case) -> None:
    """The size is known before a pixel is touched."""
    check_computed(case)


def test_template_is_a_preset() -> None:
    """In the preset's own format, or written in the one that the URL names; no leave for ad-hoc commands is needed."""
    closed = read_presets('originals = "protected"\ndialects = ["volcengine"]\n[presets.thumb]\nwidth = 50')

    plain = parse("/a/b.jpg~tplv-abc123-thumb.image", closed)[0]
    written = parse("/a/b.jpg~tplv-abc123-thumb.webp", closed)[0].asked

    assert plain.key == "a/b.jpg"
    assert isinstance(plain.asked, AskPreset)
    assert plain.asked.preset is closed.presets["thumb"]
    assert isinstance(written, AskPreset)
    assert written.preset.output.target is Target.WEBP


def test_format_replaces_negotiation() -> None:
    """A URL that names a format means it."""
    still, moving = (parse(f"/b.jpg~tplv-x-thumb.{kind}", SNAPSHOT)[0].asked for kind in ("webp", "awebp"))

    assert isinstance(still, AskPreset)
    assert isinstance(moving, AskPreset)
    assert not still.preset.auto_format
    assert still.preset.output.animation is Animation.FIRST
    assert moving.preset.output.animation is Animation.KEEP


def test_preset_wins_over_a_mode() -> None:
    """Who has a preset `cover` means that."""
    asked = parse("/b.jpg~tplv-x-cover.image", SNAPSHOT)[0].asked

    assert isinstance(asked, AskPreset)


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/b.jpg~tplv-x-nope.image", UnknownPreset),
        ("/b.jpg~tplv-x-fixed:9:9.heic", InvalidCommand),
        ("/b.jpg~tplv-x-fixed:a:9.image", InvalidCommand),
        ("/b.jpg~tplv-x-noop:9:9.image", InvalidCommand),
        ("/b.jpg~tplv-x-thumb:9:9.image", InvalidCommand),
    ],
)
def test_what_is_no_template_may_be_a_key(target: str, error: type[ProxyError]) -> None:
    """The name of an original, and if there is none, the mistake."""
    (reading,) = parse(target, SNAPSHOT)

    assert isinstance(reading.asked, AskOriginal)
    assert type(reading.not_found()) is error


def test_modes_share_results_with_others() -> None:
    """A box is a box."""
    targets = ["/a.jpg~tplv-x-contain:200:100.image", "/a.jpg?imageView2/2/w/200/h/100", "/a.jpg~tplv-x:200:100.image"]

    assert len(fingerprints(*targets)) == 1
    assert len(fingerprints("/a.jpg~tplv-x-cover:200:100.image", "/a.jpg?imageView2/3/w/200/h/100")) == 1


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["fixed", ":", "9", "-", ".image", ".webp", "x", "%3A", "~tplv-"])).map("".join)
)
@example("%.0")
def test_no_template_breaks_the_parser(text: str) -> None:
    """Whatever follows `~tplv-`, there is a reading or an error for the client."""
    try:
        readings = parse(f"/a.jpg~tplv-x-{text}", SNAPSHOT)
    except ProxyError as error:
        # One of many texts. No preset: the text looks like a template's name and its format, as in `%.0`.
        wanted = ("invalid_key", "invalid_command", "invalid_request", "unknown_preset")
        assert error.code in wanted  # noqa: PT017
        return
    assert all(isinstance(reading.asked, AskOriginal | AskPreset | AskAdhoc) for reading in readings)

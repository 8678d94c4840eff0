"""The Accept header, as browsers and others send it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.plan.negotiation import MediaRange, choose_target, parse_accept
from proxy.plan.output import Target

BROWSERS = {
    "Chrome 85 and later, image": (
        "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
        Target.AVIF,
    ),
    "Chrome 84, image": ("image/webp,image/apng,image/*,*/*;q=0.8", Target.WEBP),
    "Chrome, address bar": (
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
            "application/signed-exchange;v=b3;q=0.7"
        ),
        Target.AVIF,
    ),
    "Chrome, fetch": ("*/*", Target.PLAIN),
    "Edge 18, image": ("image/png, image/svg+xml, image/*; q=0.8, */*; q=0.5", Target.PLAIN),
    "Firefox 128 and later, image": (
        "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
        Target.AVIF,
    ),
    "Firefox 93 to 127, image": ("image/avif,image/webp,*/*", Target.AVIF),
    "Firefox 66 to 92, image": ("image/webp,*/*", Target.WEBP),
    "Firefox 65 and before, image": ("*/*", Target.PLAIN),
    "Safari 16 and later, image": (
        (
            "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,"
            "image/*;q=0.8,*/*;q=0.5"
        ),
        Target.AVIF,
    ),
    "Safari 14, image": (
        "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5",
        Target.WEBP,
    ),
    "Safari 13, image": ("image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", Target.PLAIN),
    "Internet Explorer 11, image": ("image/png, image/svg+xml, image/jxr, image/*;q=0.8, */*;q=0.5", Target.PLAIN),
    "curl": ("*/*", Target.PLAIN),
}


@pytest.mark.parametrize("browser", BROWSERS)
def test_browser_gets_what_it_reads(browser: str) -> None:
    """Each browser gets the smallest format that it names."""
    accept, target = BROWSERS[browser]

    assert choose_target(accept) is target


@pytest.mark.parametrize(
    ("accept", "target"),
    [
        (None, Target.PLAIN),
        ("", Target.PLAIN),
        ("image/*", Target.PLAIN),
        ("image/avif;q=0, image/webp", Target.WEBP),
        ("image/avif;q=0, image/webp;q=0.0", Target.PLAIN),
        ("image/*;q=0, image/webp", Target.WEBP),
        ("image/avif;q=0.5, image/webp;q=0.9", Target.WEBP),
        ("image/webp;q=0.9, image/avif;q=0.9", Target.AVIF),
        ("image/webp;q=0.5, */*", Target.WEBP),
        ("image/jpeg, image/webp;q=0.5", Target.PLAIN),
        ("image/jpeg, image/webp", Target.WEBP),
        ("IMAGE/AVIF", Target.AVIF),
        (" image/avif ; Q=1.000 ", Target.AVIF),
        ("image/avif;profile=b;q=0.7", Target.AVIF),
        ('text/plain;a=", image/avif, "', Target.PLAIN),
        ("image/avif;q=2", Target.PLAIN),
        ("image/avif;q=-1", Target.PLAIN),
        ("image/avif;q=high, image/webp", Target.WEBP),
        ("image/avif;q=", Target.PLAIN),
        ("image/avif2, image, /, ;;, */avif, image/ webp, image/webp", Target.WEBP),
        ("image/avif image/webp", Target.PLAIN),
    ],
)
def test_accept_means_target(accept: str | None, target: Target) -> None:
    """Weights decide, then our order; wildcards prove nothing; junk is skipped, range by range."""
    assert choose_target(accept) is target


def test_only_candidates_are_chosen() -> None:
    """A build without an AVIF encoder never promises one."""
    assert choose_target("image/avif,image/webp", (Target.WEBP,)) is Target.WEBP
    assert choose_target("image/avif", ()) is Target.PLAIN


def test_ranges_are_read_in_order() -> None:
    """Ranges keep their order, in lower case, with their weights."""
    assert parse_accept("Image/PNG, */*;q=0.25") == (MediaRange("image", "png"), MediaRange("*", "*", 0.25))


@given(st.text(max_size=200) | st.text('image/avfwebp*;q=0.1, "\\', max_size=100))
def test_no_header_breaks_it(accept: str) -> None:
    """Whatever is sent, a target is chosen."""
    assert choose_target(accept) in (Target.AVIF, Target.WEBP, Target.PLAIN)


def test_long_headers_are_read_quickly() -> None:
    """Nothing in a header of 8 KB makes the reader slow."""
    for accept in ('"' * 8000, "\\" * 8000, 'a/b;c="\\' * 1000, "image/avif;" * 700, "," * 8000, " " * 8000):
        choose_target(accept)


def test_formats_that_the_operator_adds() -> None:
    """JPEG XL is chosen where it is among the candidates and the client names it; the order is the operator's."""
    chrome = "image/avif,image/webp,image/apng,*/*;q=0.8"
    safari = "image/webp,image/avif,image/jxl,image/heic,*/*;q=0.8"
    candidates = (Target.JXL, Target.AVIF, Target.WEBP)

    assert choose_target(safari) is Target.AVIF
    assert choose_target(safari, candidates) is Target.JXL
    assert choose_target(safari, (Target.WEBP, Target.JXL)) is Target.WEBP
    assert choose_target(chrome, candidates) is Target.AVIF
    assert choose_target("image/jxl", candidates) is Target.JXL

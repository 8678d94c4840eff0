"""Conditional and range requests, as RFC 9110 has them."""

from __future__ import annotations

import pytest

from proxy.errors import PreconditionFailed, RangeRefused
from proxy.stores.base import ByteRange
from proxy.web.conditional import Preconditions, parse_date, wanted_range

ETAG = '"abc"'
THEN = 1_700_000_000.7
SAME = "Tue, 14 Nov 2023 22:13:20 GMT"
BEFORE = "Tue, 14 Nov 2023 22:13:19 GMT"
AFTER = "Tue, 14 Nov 2023 22:13:21 GMT"


@pytest.mark.parametrize(
    ("headers", "current"),
    [
        ({}, False),
        ({"If-None-Match": '"abc"'}, True),
        ({"If-None-Match": 'W/"abc"'}, True),
        ({"If-None-Match": '"x", "abc"'}, True),
        ({"If-None-Match": '"x",W/"abc","y"'}, True),
        ({"If-None-Match": '"a,b", "abc"'}, True),
        ({"If-None-Match": "*"}, True),
        ({"If-None-Match": '"x"'}, False),
        ({"If-None-Match": "abc"}, False),
        ({"If-None-Match": ""}, False),
        ({"If-None-Match": 'junk "abc"'}, False),
        ({"If-Modified-Since": SAME}, True),
        ({"If-Modified-Since": AFTER}, True),
        ({"If-Modified-Since": BEFORE}, False),
        ({"If-Modified-Since": "yesterday"}, False),
        ({"If-None-Match": '"x"', "If-Modified-Since": SAME}, False),
        ({"If-None-Match": '"abc"', "If-Modified-Since": BEFORE}, True),
    ],
)
def test_not_modified(headers: dict[str, str], current: bool) -> None:
    """A 304 follows If-None-Match by weak comparison, and If-Modified-Since only without it (13.1.2, 13.1.3)."""
    assert Preconditions.read(headers).is_current(ETAG, THEN) is current


@pytest.mark.parametrize(
    ("headers", "holds"),
    [
        ({}, True),
        ({"If-Match": '"abc"'}, True),
        ({"If-Match": "*"}, True),
        ({"If-Match": '"x", "abc"'}, True),
        ({"If-Match": 'W/"abc"'}, False),
        ({"If-Match": '"x"'}, False),
        ({"If-Unmodified-Since": SAME}, True),
        ({"If-Unmodified-Since": BEFORE}, False),
        ({"If-Unmodified-Since": "junk"}, True),
        ({"If-Match": '"abc"', "If-Unmodified-Since": BEFORE}, True),
    ],
)
def test_preconditions(headers: dict[str, str], holds: bool) -> None:
    """If-Match compares strongly and comes before If-Unmodified-Since; 412 when it does not hold (13.1.1, 13.1.4)."""
    conditions = Preconditions.read(headers)
    if holds:
        conditions.check(ETAG, THEN)
    else:
        with pytest.raises(PreconditionFailed):
            conditions.check(ETAG, THEN)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-9", ByteRange(0, 9)),
        ("bytes=90-", ByteRange(90, 99)),
        ("bytes=-10", ByteRange(90, 99)),
        ("bytes=-1000", ByteRange(0, 99)),
        ("bytes=0-1000", ByteRange(0, 99)),
        ("Bytes = 5 - 6", ByteRange(5, 6)),
        ("bytes=99-99", ByteRange(99, 99)),
        ("bytes=9-5", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("lines=0-9", None),
        ("bytes=a-b", None),
        ("", None),
    ],
)
def test_ranges(header: str, expected: ByteRange | None) -> None:
    """One byte range is understood; what is not one range of bytes is ignored (14.1.2, 14.2)."""
    assert wanted_range({"Range": header}, size=100, etag=ETAG, modified=THEN) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_ranges_outside(header: str) -> None:
    """A range beyond the end is refused, and the refusal knows the size."""
    with pytest.raises(RangeRefused) as caught:
        wanted_range({"Range": header}, size=100, etag=ETAG, modified=THEN)

    assert caught.value.size == 100


@pytest.mark.parametrize(
    ("if_range", "partial"),
    [
        ('"abc"', True),
        ('W/"abc"', False),
        ('"x"', False),
        (SAME, True),
        (BEFORE, False),
        (AFTER, False),
        ("junk", False),
    ],
)
def test_if_range(if_range: str, partial: bool) -> None:
    """If-Range wants the very same representation: a strong tag or the exact date (13.1.5)."""
    span = wanted_range({"Range": "bytes=0-9", "If-Range": if_range}, size=100, etag=ETAG, modified=THEN)

    assert (span is not None) is partial


@pytest.mark.parametrize(
    "text", ["", "0", "Tue, 99 Nov 2023 22:13:20 GMT", "x" * 500, "Tue, 14 Nov 99999 22:13:20 GMT"]
)
def test_broken_dates(text: str) -> None:
    """What is no date is no date, whatever it looks like."""
    assert parse_date(text) is None

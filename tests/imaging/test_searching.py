"""The search for a quality: where it ends, how many encodes it takes, and that it keeps to its time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.imaging.searching import MOST_TRIES, Found, TimeLimit, find_crossing

NO_LIMIT = TimeLimit(math.inf)


def search(crossing: float, start: int, *, slope: float = 1.0, sure: tuple[float, float] = (1.0, 0.0)) -> Found:
    """Search a bent line for its crossing."""
    return find_crossing(
        lambda at: slope * (at - crossing) * (1.5 if at > crossing else 0.7),
        low=1, high=100, start=start, usual=float, sure=sure, limit=NO_LIMIT,
    )  # fmt: skip


@given(st.floats(2, 99), st.integers(1, 100), st.floats(0.2, 3))
def test_outcome_does_not_depend_on_the_start(crossing: float, start: int, slope: float) -> None:
    """From below and from above, the same two neighbours are found."""
    found = search(crossing, start, slope=slope)

    if found.whole:
        assert found.above == math.ceil(crossing)
        assert found.below in (math.ceil(crossing) - 1, None)
    assert found.tries <= MOST_TRIES


@pytest.mark.parametrize("start", [1, 30, 59, 62, 90, 100])
def test_few_tries_from_anywhere(start: int) -> None:
    """Guided by what was measured, it goes up as well as down, and is there after a few tries."""
    found = search(60.5, start)

    assert (found.below, found.above) == (60, 61)
    assert found.tries <= 5


def test_good_start_is_checked_once() -> None:
    """A start next to the target costs two tries: it, and its neighbour; one that is surely right, a single one."""
    assert search(60.5, 61).tries == 2
    assert search(60.5, 61, sure=(0.0, 1.0)).tries == 1


@pytest.mark.parametrize(("crossing", "expected"), [(0.5, (None, 1)), (200.0, (100, None))])
def test_unreachable_target_ends_at_the_border(crossing: float, expected: tuple[int | None, int | None]) -> None:
    """Where all is above, or all below, the outermost is the answer."""
    found = search(crossing, 50)

    assert (found.below, found.above) == expected
    assert found.whole


class Encoder:
    """An encoder whose every try takes a second on its own clock."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        """The time."""
        return self.now

    def measure(self, at: int) -> float:
        """Take a second."""
        self.now += 1.0
        return at - 90.5


@pytest.mark.parametrize(("seconds", "tries"), [(0.5, 1), (1.5, 1), (2.5, 2), (100.0, 3)])
def test_search_ends_in_time(seconds: float, tries: int) -> None:
    """It does not begin another try that would end too late; the first is always made."""
    encoder = Encoder()

    found = find_crossing(
        encoder.measure,
        low=1,
        high=100,
        start=10,
        usual=float,
        sure=(1.0, 0.0),
        limit=TimeLimit(seconds, encoder.clock),
    )

    assert found.tries == tries
    assert encoder.now <= max(seconds, 1.0)
    assert found.whole == (seconds == 100.0)

"""Remembered failures."""

from __future__ import annotations

import pytest

from proxy.delivery.failures import MOST_FAILURES, RecentFailures
from proxy.errors import CannotRender, Overloaded
from tests.delivery.kitchen import plan_of
from tests.fakes import StillClock


def test_failure_is_raised_for_a_while(clock: StillClock) -> None:
    """A failure answers the same plan until its time is over, and no other plan."""
    recent = RecentFailures(lifetime=10, clock=clock)
    recent.remember(plan_of(), CannotRender("broken"))

    clock.advance(9.9)
    with pytest.raises(CannotRender, match="broken"):
        recent.raise_for(plan_of())
    recent.raise_for(plan_of(width=51))
    recent.raise_for(plan_of("b.jpg"))
    clock.advance(0.1)
    recent.raise_for(plan_of())


def test_failure_keeps_its_attributes_and_nothing_else(clock: StillClock) -> None:
    """Each raise is a fresh copy; what is remembered holds no frames of the render that failed."""
    recent = RecentFailures(lifetime=10, clock=clock)
    try:
        raise Overloaded("busy", retry_after=9) from ValueError("secret")  # noqa: TRY301 -- it needs a traceback
    except Overloaded as error:
        recent.remember(plan_of(), error)
    caught = []
    for _ in range(3):
        with pytest.raises(Overloaded) as raised:
            recent.raise_for(plan_of())
        caught.append(raised.value)

    assert [error.retry_after for error in caught] == [9, 9, 9]
    assert len({id(error) for error in caught}) == 3
    assert all(error.__cause__ is None and error.__context__ is None for error in caught)


def test_number_is_bounded(clock: StillClock) -> None:
    """The oldest failures are forgotten."""
    recent = RecentFailures(lifetime=10, clock=clock)
    for number in range(MOST_FAILURES + 2):
        recent.remember(plan_of(str(number)), CannotRender("broken"))

    recent.raise_for(plan_of("1"))
    with pytest.raises(CannotRender):
        recent.raise_for(plan_of("2"))


def test_purged_keys_are_tried_again(clock: StillClock) -> None:
    """A purge forgets the failures of its keys only."""
    recent = RecentFailures(lifetime=10, clock=clock)
    recent.remember(plan_of("a.jpg"), CannotRender("broken"))
    recent.remember(plan_of("b.jpg"), CannotRender("broken"))
    recent.forget_where(lambda key: key == "a.jpg")

    recent.raise_for(plan_of("a.jpg"))
    with pytest.raises(CannotRender):
        recent.raise_for(plan_of("b.jpg"))

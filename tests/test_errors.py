"""Errors: they travel, and each has an answer."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from proxy.errors import DeadlinePassed, Overloaded, ProxyError, RangeRefused
from proxy.web.errors import STATUS, status_of


def classes(base: type[ProxyError] = ProxyError) -> Iterator[type[ProxyError]]:
    yield base
    for derived in base.__subclasses__():
        yield from classes(derived)


ALL = sorted(set(classes()), key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("travel", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_travels_whole(cls: type[ProxyError], travel) -> None:
    """From a render worker, and to each caller of a flight: the same class, message and attributes."""
    error = cls("what went wrong")
    error.note = "more"  # type: ignore[attr-defined]
    arrived = travel(error)
    assert type(arrived) is cls
    assert (arrived.message, str(arrived), vars(arrived)) == ("what went wrong", "what went wrong", vars(error))


def test_attributes_travel() -> None:
    """What an error knows besides its message arrives, too."""
    assert pickle.loads(pickle.dumps(Overloaded("busy", retry_after=7))).retry_after == 7
    assert pickle.loads(pickle.dumps(RangeRefused("beyond", 42))).size == 42
    assert copy.copy(Overloaded("busy", 7)).retry_after == 7


@pytest.mark.parametrize("cls", [cls for cls in ALL if cls is not ProxyError])
def test_has_a_status(cls: type[ProxyError]) -> None:
    """Only the root, which nobody raises on purpose, is a 500."""
    assert status_of(cls("what went wrong")) != 500


def test_statuses() -> None:
    """The most specific class counts."""
    assert STATUS[ProxyError] == 500
    assert status_of(DeadlinePassed("late")) == 504


@pytest.mark.parametrize("cls", ALL)
def test_has_a_code(cls: type[ProxyError]) -> None:
    """The machine-readable name is one word."""
    assert cls.code.replace("_", "").isalpha()
    assert cls.code == cls.code.lower()

"""Fixtures for every test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from proxy.config import PREFIX
from proxy.metrics import Metrics
from tests.delivery.kitchen import Kitchen
from tests.fakes import MemoryStore, StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def source() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def kitchen(tmp_path) -> AsyncIterator[Kitchen]:
    """Everything that delivery is made of, over fakes."""
    async with Kitchen(tmp_path / "staging") as kitchen:
        yield kitchen


@pytest.fixture
async def lender(tmp_path) -> AsyncIterator[Kitchen]:
    """A kitchen whose originals can be lent; in the end each was given back."""
    source = MemoryStore()
    source.lends = True
    async with Kitchen(tmp_path / "staging", source=source) as kitchen:
        yield kitchen
    assert all(one.closed for one in source.lent)


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any of our variables."""
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)
    return monkeypatch

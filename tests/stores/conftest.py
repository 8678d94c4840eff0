"""Fixtures for the stores: real servers, and settings with short time-outs."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config import StoreSettings

pytest.register_assert_rewrite("tests.contracts.store")

from tests.servers.rclone import rclone_server  # noqa: E402, F401 - a fixture


@pytest.fixture
def settings() -> StoreSettings:
    """Settings as in production, with a small pool: leaks show at once."""
    return StoreSettings(pool=8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a directory store, with a canary beside it that must never be seen."""
    (tmp_path / "canary").write_bytes(b"secret")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"

"""Fixtures for the stores: real servers, and settings with short time-outs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.config import StoreSettings
from proxy.stores.kernel_calls import linux_calls
from tests.stores.kernel import Kernel

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


@pytest.fixture
def kernel(root: Path) -> Kernel:
    """A kernel that can do it, on a file system that can."""
    if linux_calls() is None:
        pytest.skip("not Linux: reads of cached files were not proven")
    kernel = Kernel()
    try:
        root.stat()
        top = kernel.open_root(os.fsencode(root))
    except OSError as error:
        pytest.skip(f"openat2 fails here ({error.strerror}): reads of cached files were not proven")
    try:
        if not kernel.is_fit(top):
            pytest.skip("not ext4, XFS or Btrfs, or no cachestat: reads of cached files were not proven")
    finally:
        os.close(top)
    kernel.calls.clear()
    return kernel

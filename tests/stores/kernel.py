"""The kernel as the stores ask it, to be counted, to fail, and to mislead."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from proxy.stores.kernel_calls import LinuxCalls


class Kernel(LinuxCalls):
    """The kernel, whose calls are counted and fail or mislead as told."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.errors: dict[str, int] = {}
        self.fit: bool | None = None
        self.cached: bool | None = None
        self.short = 0
        self.mount: bytes | None = None
        self.before_read: Callable[[], object] = lambda: None

    def _count(self, call: str) -> None:
        self.calls[call] += 1
        if call in self.errors:
            raise OSError(self.errors[call], os.strerror(self.errors[call]))

    def open_root(self, root: bytes) -> int:
        self._count("open_root")
        return super().open_root(root)

    def is_fit(self, root: int) -> bool:
        self._count("is_fit")
        return super().is_fit(root) if self.fit is None else self.fit

    def mount_of(self, root: int) -> bytes:
        self._count("mount_of")
        return super().mount_of(root) if self.mount is None else self.mount

    def open_folder(self, root: int, path: bytes) -> int:
        self._count("open_folder")
        return super().open_folder(root, path)

    def state_of(self, folder: int) -> bytes:
        self._count("state_of")
        return super().state_of(folder)

    def open_below(self, root: int, path: bytes) -> int:
        self._count("open_sidecar" if path.startswith(b".meta/") else "open_body")
        return super().open_below(root, path)

    def is_cached(self, fd: int, size: int) -> bool:
        self._count("is_cached")
        return super().is_cached(fd, size) if self.cached is None else self.cached

    def read(self, fd: int, buffer: bytearray) -> int:
        self.before_read()
        self._count("read")
        return super().read(fd, buffer) - self.short


async def open_files() -> int:
    """How many files this process has open, as soon as this turn of the event loop has ended."""
    await asyncio.sleep(0)
    return len(list(Path("/proc/self/fd").iterdir()))

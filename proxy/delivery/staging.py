"""The staging directory: files that are needed for a moment, within a budget of bytes, and never left behind.

Each process owns one sub-directory and holds a lock on it for as long as it lives. At start, every sub-directory whose
lock nobody holds belongs to a process that died, and is deleted. So nothing outlives a crash by more than one start,
and replicas on one machine can share the directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from proxy.errors import Overloaded

_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class StagingStatistics:
    """What the directory holds now, as accounted."""

    files: int
    used_bytes: int
    limit_bytes: int


class Staging:
    """One process's part of the staging directory. The methods block for a file-system call or two at most."""

    def __init__(self, directory: Path, *, limit: int) -> None:
        self._parent = directory
        self._limit = limit
        self._own: Path | None = None
        self._lock: int | None = None
        # Mutable state: accounted bytes by file name.
        self._reserved: dict[str, int] = {}
        self._used = 0

    @property
    def statistics(self) -> StagingStatistics:
        """A snapshot for metrics."""
        return StagingStatistics(len(self._reserved), self._used, self._limit)

    @property
    def limit(self) -> int:
        """Most bytes that may be reserved."""
        return self._limit

    def start(self) -> int:
        """Make this process's sub-directory and delete those of dead processes; returns how many those were."""
        self._parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._parent.is_symlink() or not os.access(self._parent, os.W_OK | os.X_OK):
            # In a shared /tmp somebody else could have put a link here to have us delete or fill another place.
            raise OSError(f"the staging directory {self._parent} must be a writable directory, not a link")
        swept = sum(_sweep(path) for path in self._parent.iterdir() if path.is_dir() and not path.is_symlink())
        own = self._parent / f"{os.getpid()}-{secrets.token_hex(4)}"
        own.mkdir(mode=0o700)
        self._lock = os.open(own / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._own = own
        return swept

    def close(self) -> None:
        """Delete this process's sub-directory."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            self._own = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def new_path(self) -> Path:
        """A fresh path in the sub-directory, for a file accounted with `reserve`."""
        if self._own is None:
            raise RuntimeError("staging has not been started")
        return self._own / secrets.token_hex(12)

    def fits(self, more: int) -> bool:
        """Whether `more` bytes can be reserved now."""
        return self._used + more <= self._limit

    def reserve(self, path: Path, size: int) -> None:
        """Account `size` bytes in all for the file at `path`; Overloaded when the budget does not allow it."""
        more = size - self._reserved.get(path.name, 0)
        if more > 0 and not self.fits(more):
            raise Overloaded("too busy: no room to stage the original; try again in 1 s")
        self._used += more
        self._reserved[path.name] = size

    def discard(self, path: Path) -> None:
        """Delete the file, if it is there, and give its bytes back."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self._used -= self._reserved.pop(path.name, 0)


def _sweep(path: Path) -> bool:
    """Delete a sub-directory that no living process holds; whether it was one."""
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        # Made by a process that died, or is this very moment starting: between its mkdir and its lock.
        with contextlib.suppress(OSError):
            path.rmdir()
        return False
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False  # alive
    else:
        shutil.rmtree(path, ignore_errors=True)
        return True
    finally:
        os.close(lock)

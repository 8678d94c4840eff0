"""The staging directory: files that are needed for a moment, within a budget of bytes, and never left behind.

Each process owns one sub-directory and holds a lock on it for as long as it lives. At start, every sub-directory whose
lock nobody holds belongs to a process that died, and is deleted. So nothing outlives a crash by more than one start,
and replicas on one machine can share the directory. Whoever starts holds the lock of the whole directory meanwhile:
what has no lock of its own then belongs to nobody, not to somebody who is about to take it.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import secrets
import shutil
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proxy.errors import Overloaded

_LOCK = ".lock"
_OPEN_LOCK = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_OWN_NAME = re.compile(r"\d+-[0-9a-f]{8}")
"""What the sub-directories are called; whatever else lies in the directory is not ours to delete."""


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
        self._numbers = itertools.count()
        # Mutable state: accounted bytes by file name.
        self._reserved: dict[str, int] = {}
        self._used = 0

    @property
    def statistics(self) -> StagingStatistics:
        """A snapshot for metrics."""
        return StagingStatistics(len(self._reserved), self._used, self._limit)

    @property
    def directory(self) -> Path:
        """This process's own sub-directory."""
        if self._own is None:
            raise RuntimeError("staging has not been started")
        return self._own

    def start(self) -> int:
        """Make this process's sub-directory and delete those of dead processes; returns how many those were."""
        self._parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_directory(self._parent)
        with _locked(self._parent):
            swept = sum(_sweep(path) for path in self._parent.iterdir() if _OWN_NAME.fullmatch(path.name))
            own = self._parent / f"{os.getpid()}-{secrets.token_hex(4)}"
            own.mkdir(mode=0o700)
            self._lock = os.open(own / _LOCK, _OPEN_LOCK | os.O_CREAT, 0o600)
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
        return self.directory / f"{next(self._numbers):x}"

    def fits(self, path: Path, size: int) -> bool:
        """Whether `size` bytes in all can be accounted for the file at `path` now."""
        return self._used - self._reserved.get(path.name, 0) + size <= self._limit

    def reserve(self, path: Path, size: int) -> None:
        """Account `size` bytes in all for the file at `path`; Overloaded when the budget does not allow it."""
        if not self.fits(path, size):
            raise Overloaded("too busy: no room to stage the original; try again in 1 s")
        self._used += size - self._reserved.get(path.name, 0)
        self._reserved[path.name] = size

    def discard(self, path: Path) -> None:
        """Give the bytes of the file back and delete it, if it is there."""
        self._used -= self._reserved.pop(path.name, 0)
        with contextlib.suppress(OSError):  # what cannot be deleted is swept after the next start
            path.unlink()


class StagedFile:
    """A new file that is written in threads.

    `close` may be called at any moment and never waits: a thread cannot be stopped, so a write under way closes the
    file when it ends. (Closing the descriptor under it could send the rest of the chunk into somebody else's file.)
    """

    checksum = 0
    """The CRC-32 of what was written, if it is summed."""

    def __init__(self, path: Path, *, summed: bool = True) -> None:
        self._file = path.open("xb")
        self._summed = summed
        # Mutable state: whether nobody wants it any more; the lock is held while a thread writes.
        self._closed = False
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """Its descriptor, to be duplicated: ours may be closed at any moment."""
        return self._file.fileno()

    def write(self, chunk: bytes) -> None:
        """Append a chunk; blocks."""
        with self._lock:
            if not self._closed:
                self._file.write(chunk)
                self._file.flush()  # so that closing has nothing left to write
                if self._summed:  # half of the time that staging takes
                    self.checksum = zlib.crc32(chunk, self.checksum)
        if self._closed:
            self.close()

    def close(self) -> None:
        """Close it now, or as soon as the write under way ends."""
        self._closed = True
        if self._lock.acquire(blocking=False):
            try:
                self._file.close()
            finally:
                self._lock.release()


def _check_directory(path: Path) -> None:
    # The attack: in a shared /tmp somebody else makes this directory, or a link of this name, before we do. They could
    # have us delete or fill another place, or put their own pictures in the place of our results.
    status = path.lstat()
    if path.is_symlink() or status.st_uid not in (os.geteuid(), 0) or not os.access(path, os.W_OK | os.X_OK):
        raise OSError(f"the staging directory {path} must be a writable directory of this user or root, not a link")


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lock of all who start; they hold it for a moment."""
    lock = os.open(directory / _LOCK, _OPEN_LOCK | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _sweep(path: Path) -> bool:
    """Delete a sub-directory that no living process holds; whether it was one."""
    if path.is_symlink() or not path.is_dir():
        return False
    try:
        lock = os.open(path / _LOCK, _OPEN_LOCK)
    except FileNotFoundError:
        shutil.rmtree(path, ignore_errors=True)  # its process died before it took its lock
        return True
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

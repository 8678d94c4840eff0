"""What small folders hold, remembered for as long as they stay as they are.

The kernel remembers that a name is absent once somebody has asked for it. But most look-ups for results of new URLs ask
for names that nobody has asked for, and each took a hop to a thread. So the thread lists the folder as well, if that is
small: what is not in the list is absent, as long as the folder's state is the one that it had.

- Whatever adds a name to a folder sets its times of change and of modification (POSIX.1-2017: `open`, `rename`, `link`,
  `mkdir`), and the former nobody can set back. Who looks after such a call has returned sees another state.
- Clocks are coarse: the kernel's tick of up to 10 ms, and a second on some file systems. A folder that changes twice
  within that has one time. So a list is believed only if the folder had been at rest for longer when it was listed.
- Many may look in one turn of the event loop: the refused, who are heard together, ask for pictures of one page. For
  them a folder is compared once. A task that is told so was ready to run when it was: after a write that
  it waited for, its turn would be another. (Callbacks of sockets, which uvloop runs between tasks, must not look.)
- Folders of ext4 may fold case: those say so, and are not listed. All of an XFS may, for ASCII: hence names are
  compared without their case.

Listing a folder of 14 results takes a thread 23 µs, where a look by a thread takes 66 in all; then a name that is not
there takes the event loop 13, the first one of a turn.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from proxy.stores.kernel_calls import Calls

T = TypeVar("T")

LARGEST = 4096
"""Bytes of a folder itself: a block of ext4, which holds some hundred results and is listed in a moment."""
MOST = 1024
"""Folders remembered; 17 KB for one with a hundred results."""
REST = 2.0
"""Seconds that a folder must have been at rest."""
_GET_FLAGS, _FOLDS_CASE = 0x80086601, 0x40000000
"""FS_IOC_GETFLAGS and FS_CASEFOLD_FL of Linux's `linux/fs.h`, on machines of 64 bits."""


class ListedFolders:
    """Folders below one root, by their paths. `learn` belongs to a thread, the rest to the event loop."""

    def __init__(self, root: str, calls: Calls) -> None:
        self._root = root
        self._calls = calls
        # Mutable state: the folders, and those that could not be listed, with when that may be tried again; the oldest
        # first. A thread puts, the loop takes: each a step that the interpreter's lock makes whole.
        self._listed: dict[str, _Listed] = {}
        self._unlisted: dict[str, float] = {}
        # Those that were seen to be as they were listed, in this turn of the loop.
        self._unchanged: set[str] = set()

    def learn(self, paths: Iterable[str]) -> None:
        """List the folders of these files, where that is cheap and not known. Blocks."""
        now = time.monotonic()
        for folder in {path.rpartition("/")[0] for path in paths}:
            if folder in self._listed or self._unlisted.get(folder, 0.0) > now:
                continue
            listed = self._list(f"{self._root}/{folder}")
            if listed is None:
                self._unlisted.pop(folder, None)
                _put(self._unlisted, folder, now + REST)
            else:
                _put(self._listed, folder, listed)

    def still_lacks(self, path: str) -> bool:
        """Whether `lacks` has said in this turn of what was listed with this file that it is as it was, without it."""
        folder, _, name = path.rpartition("/")
        if folder not in self._unchanged:
            return False
        listed = self._listed.get(folder)
        return listed is not None and name.lower() not in listed.names

    def lacks(self, root: int, path: str) -> bool:
        """Whether there surely is no such file below the open `root`; False: nothing is known of it."""
        folder, _, name = path.rpartition("/")
        listed = self._listed.get(folder)
        if listed is None or name.lower() in listed.names:
            return False
        try:
            fd = self._calls.open_folder(root, os.fsencode(folder or "."))
        except OSError:
            return False
        try:
            if self._calls.state_of(fd) == listed.state:
                self._note_unchanged(folder)
                return True
        except OSError:
            return False
        finally:
            self._calls.close(fd)
        self._listed.pop(folder, None)
        return False

    def _note_unchanged(self, folder: str) -> None:
        if not self._unchanged:
            asyncio.get_running_loop().call_soon(self._unchanged.clear)
        self._unchanged.add(folder)

    def _list(self, path: str) -> _Listed | None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            state, status = self._calls.state_of(fd), os.fstat(fd)
            if status.st_size > LARGEST or time.time_ns() - status.st_ctime_ns < REST * 1e9 or _folds_case(fd):
                return None
            names = frozenset(name.lower() for name in os.listdir(fd))  # noqa: PTH208 - of what is open
            return _Listed(state, names) if self._calls.state_of(fd) == state else None
        except OSError:
            return None
        finally:
            os.close(fd)


@dataclass(frozen=True, slots=True)
class _Listed:
    """The names in a folder, in lower case, and the state that it had."""

    state: bytes
    names: frozenset[str]


def _put(known: dict[str, T], folder: str, value: T) -> None:
    known[folder] = value
    for oldest in list(known)[:-MOST]:  # an iterator would see what the event loop takes meanwhile
        known.pop(oldest, None)


def _folds_case(fd: int) -> bool:
    (flags,) = struct.unpack_from("=I", fcntl.ioctl(fd, _GET_FLAGS, bytes(8)))
    return bool(flags & _FOLDS_CASE)

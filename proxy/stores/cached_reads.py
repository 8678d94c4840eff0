"""Small files that the kernel holds in memory already, read on the event loop.

Two hops to a thread were most of what a hit in a directory cost, and most of them went to pages that lay in memory. So
a look-up first asks for what needs no disk. Whatever that does not settle is `None`: `local.py` asks in a thread then,
and the answer is what it would have been. A disk that stalls must not stall the loop; what that rests on:

- `openat2` with RESOLVE_CACHED (Linux 5.12) walks names the kernel remembers, and gives EAGAIN for all others. A name
  that is remembered as absent gives ENOENT: that is an answer, too. On a local file system what is remembered is true.
- RESOLVE_CACHED is about names only: opening asks the server of a FUSE, NFS or 9p mount. Hence the list of file systems
  in `kernel_calls.py`, whose `open` and `fstat` work in memory, and RESOLVE_NO_XDEV, which stays in the mount that was
  looked at. The root is opened by its path in each turn of the event loop, as it may have been replaced, and compared
  with that mount by a `statx` that may not ask a server.
- RWF_NOWAIT does not wait for pages that are not there, but recent kernels (seen in 6.18) submit read-ahead for them,
  and that waits for a full queue. So `cachestat` (Linux 6.5) says first whether every page is there.
- O_NOATIME: noting the time of access waits for the journal. Only a file's owner may ask for it; others' files go to a
  thread.
- Whoever closes a deleted file last frees its blocks: such a descriptor is closed in a thread.

What is left are moments: a page that is dropped between `cachestat` and the read, a file that is deleted between
`fstat` and `close`.

A name that nobody has asked for yet is not remembered, but the folder may have been listed (`listed_folders.py`).

A sidecar is written together with its body, which is a new file then. So it is read once for each body: as long as that
has the inode, the times (of change, too, which nobody can set) and the size it had, its sidecar is the same.

Nothing outside of the root is reached: RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS refuse every link, those that lead
inside included, and a thread decides about them. Body and sidecar are believed by the rule in `files.py`; where they
disagree a thread looks again under the lock.

Measured on ext4, CPU of a process that does nothing else: 31 µs for a result of 2 KB with its sidecar, 13 without
reading that again, 160 through threads; 13 µs for a name that is absent, or not in a list, 66 through threads: of the
first in a turn, where the root has to be opened. In a busy front all of it costs about twice that.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from proxy.errors import OriginalNotFound
from proxy.stores import directories, file_names, files
from proxy.stores.base import ObjectInfo
from proxy.stores.files import OpenFile, Sidecar
from proxy.stores.glances import Glimpse
from proxy.stores.kernel_calls import Calls
from proxy.stores.keys import missing
from proxy.stores.listed_folders import ListedFolders

T = TypeVar("T")

LARGEST = 256 * 1024
"""Bytes of a body: copying more would hold up the loop for as long as a thread takes."""
MOST_LABELLED = 4096
"""Sidecars remembered; about 2 KB each."""
_NEVER = {errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL, errno.ELOOP}
"""Errors of the root that say that this kernel, sandbox or file system cannot do this at all."""
_MAY_BE_HIDDEN = re.compile(r"(?:^|/)[^!-\-0-~]")
"""A name that begins with a dot, or beyond ASCII: where a directory folds case, `.META` is `.meta`, and so is a
spelling that begins with an invisible character."""


class CachedReads:
    """Look-ups below one root. They belong to tasks of the event loop, `learn` and `learn_folders` to a thread."""

    def __init__(self, root: Path, calls: Calls | None, close_later: Callable[[int], object]) -> None:
        self._root = os.fsencode(root)
        self._calls = calls
        self._close_later = close_later
        # Mutable state: the mount that was found to be fit, unless the root is elsewhere now; whether it is known that
        # there never will be one; the root's descriptor, until this turn of the loop ends; where files are read into.
        self._mount: bytes | None = None
        self._never = calls is None
        self._folders = None if calls is None else ListedFolders(str(root), calls)
        self._opened_root: int | None = None
        self._buffer = bytearray(LARGEST)
        # What is known of the bodies with sidecars that were read last, the oldest first, and what tells each body from
        # others, by key.
        self._labelled: dict[str, tuple[tuple[int, ...], ObjectInfo]] = {}

    def learn(self) -> None:
        """Find out, if that is not known, whether the root can be read like this. Blocks."""
        if self._never or self._mount is not None or self._calls is None:
            return
        try:
            os.stat(self._root)  # noqa: PTH116 - from now on the kernel remembers its name
            root = self._calls.open_root(self._root)
        except OSError as error:
            self._never = error.errno in _NEVER
            return
        try:
            self._never = not self._calls.is_fit(root)
            self._mount = None if self._never else self._calls.mount_of(root)
        except OSError:
            self._never = True
        finally:
            os.close(root)

    def learn_folders(self, paths: Iterable[str]) -> None:
        """Find out what is in the folders of these files, which are lacking. Blocks."""
        if self._mount is not None and self._folders is not None:
            self._folders.learn(paths)

    def lacks(self, path: str) -> bool:
        """Whether there surely is no file at this path, as its folder was listed; False: nothing is known of it."""
        calls, folders = self._calls, self._folders
        if self._mount is None or calls is None or folders is None:
            return False
        if folders.still_lacks(path):
            return True
        try:
            return folders.lacks(self._open_root(calls), path)
        except (OSError, _NotCachedError):
            return False

    def read(self, key: str) -> Glimpse | None:
        """The object, if memory has all of it; None if a thread must look. Raises OriginalNotFound as that would."""
        return self._find(key, self._read_whole)

    def open(self, key: str) -> Glimpse | Opened | None:
        """The object as `read` would give it, or open, to be read by threads, if it is larger than that."""
        return self._find(key, self._read_or_keep)

    def stat(self, key: str) -> ObjectInfo | None:
        """What is known of the object, whose body may have any size; otherwise as `read`."""
        return self._find(key, lambda _fd, _status, info: info)

    def lend(self, info: ObjectInfo) -> Lent | None:
        """The file of the object that this is known of, if it is still that one and memory has all of it."""

        def keep(fd: int, status: os.stat_result, found: ObjectInfo) -> Lent:
            assert self._calls is not None
            if found != info or not self._calls.is_cached(fd, status.st_size):
                raise _NotCachedError
            return Lent(fd, status, self._leave)

        try:
            return self._find(info.key, keep)
        except OriginalNotFound:
            return None

    def _find(self, key: str, use: Callable[[int, os.stat_result, ObjectInfo], T]) -> T | None:
        path = files.path_of(key)
        if path is None:
            raise missing(key)
        calls, folders = self._calls, self._folders
        if self._mount is None or calls is None or folders is None:
            return None
        if folders.still_lacks(path):
            raise missing(key)
        try:
            root = self._open_root(calls)
        except (OSError, _NotCachedError):
            return None
        try:
            if folders.lacks(root, path):
                raise missing(key)
            return self._look_at(calls, root, key, _place_of(path), use)
        except FileNotFoundError:
            raise missing(key) from None
        except _NotCachedError:
            return None
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP):
                self._mount, self._never = None, True
            return None

    def _open_root(self, calls: Calls) -> int:
        """The root, open until this turn of the event loop ends: many may look in one turn."""
        if self._opened_root is None:
            loop = asyncio.get_running_loop()
            self._opened_root = self._open_fit_root(calls)
            loop.call_soon(self._close_root, calls)
        return self._opened_root

    def _close_root(self, calls: Calls) -> None:
        root, self._opened_root = self._opened_root, None
        if root is not None:
            calls.close(root)

    def _open_fit_root(self, calls: Calls) -> int:
        root = calls.open_root(self._root)
        try:
            mount = calls.mount_of(root)
        except BaseException:
            calls.close(root)
            raise
        if mount != self._mount:
            calls.close(root)
            self._mount = None  # the next thread learns what is there now
            raise _NotCachedError
        return root

    def _look_at(
        self, calls: Calls, root: int, key: str, place: _Place, use: Callable[[int, os.stat_result, ObjectInfo], T]
    ) -> T:
        """What `use` makes of the file, open, and of what its sidecar says; it is closed then if it is not kept."""
        fd = calls.open_below(root, place.body)
        found: T | None = None
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or (place.may_be_hidden and not directories.is_inside(root, fd)):
                raise _NotCachedError
            found = use(fd, status, self._info_of(calls, root, key, place, status))
        finally:
            now = None if isinstance(found, Opened | Lent) else self._leave(fd)
        # Overwritten in place meanwhile? Then this is half of each.
        if now is not None and (now.st_size, now.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
            raise _NotCachedError
        return found

    def _read_whole(self, fd: int, status: os.stat_result, info: ObjectInfo) -> Glimpse:
        assert self._calls is not None
        return Glimpse(info, self._read_body(self._calls, fd, status.st_size))

    def _read_or_keep(self, fd: int, status: os.stat_result, info: ObjectInfo) -> Glimpse | Opened:
        if status.st_size <= LARGEST:
            return self._read_whole(fd, status, info)
        file = OpenFile(fd, None)
        if (file.status.st_size, file.status.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
            raise _NotCachedError  # `info` would be of what was there before
        return Opened(info, file)

    def _info_of(self, calls: Calls, root: int, key: str, place: _Place, status: os.stat_result) -> ObjectInfo:
        """What is known of the body with this status; its sidecar is read if the body is another than before."""
        body = (status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size, status.st_mtime_ns)
        known = self._labelled.get(key)
        if known is not None and known[0] == body:
            return known[1]
        sidecar = self._read_sidecar(calls, root, place)
        info = files.info_of(key, status, sidecar)
        if sidecar is None:
            return info  # one may still come, and is not to be missed
        if not sidecar.belongs_to(status):
            raise _NotCachedError
        self._labelled.pop(key, None)
        self._labelled[key] = (body, info)
        if len(self._labelled) > MOST_LABELLED:
            del self._labelled[next(iter(self._labelled))]
        return info

    def _read_sidecar(self, calls: Calls, root: int, place: _Place) -> Sidecar | None:
        try:
            fd = calls.open_below(root, place.sidecar)
        except FileNotFoundError:
            return None
        try:
            return files.parse_sidecar(self._read_body(calls, fd, os.fstat(fd).st_size))
        finally:
            self._leave(fd)

    def _read_body(self, calls: Calls, fd: int, size: int) -> bytes:
        if size > LARGEST or not calls.is_cached(fd, size) or calls.read(fd, self._buffer) != size:
            raise _NotCachedError
        return bytes(memoryview(self._buffer)[:size])

    def _leave(self, fd: int) -> os.stat_result:
        """Close the file; its status before that."""
        now = os.fstat(fd)
        if now.st_nlink:
            os.close(fd)
        else:
            self._close_later(fd)
        return now


@dataclass(frozen=True, slots=True)
class Opened:
    """An object that is too large to be read at once. Its file is the receiver's to close."""

    info: ObjectInfo
    file: OpenFile


class Lent:
    """See `base.LentFile`."""

    def __init__(self, fd: int, status: os.stat_result, leave: Callable[[int], object]) -> None:
        self._fd = fd
        self._status = status
        self._leave = leave
        self._closed = False

    def fileno(self) -> int:
        """See `base.LentFile`."""
        if self._closed:
            raise ValueError("the file is closed")
        return self._fd

    @property
    def is_intact(self) -> bool:
        """See `base.LentFile`."""
        now = os.fstat(self.fileno())
        return (now.st_size, now.st_mtime_ns) == (self._status.st_size, self._status.st_mtime_ns)

    def close(self) -> None:
        """See `base.LentFile`."""
        fd, self._closed = self.fileno(), True
        self._leave(fd)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object's files are, below the root."""

    body: bytes
    sidecar: bytes
    may_be_hidden: bool


@lru_cache(maxsize=files.REMEMBERED)
def _place_of(path: str) -> _Place:
    sidecar = f"{file_names.METADATA}/{path}"
    return _Place(os.fsencode(path), os.fsencode(sidecar), _MAY_BE_HIDDEN.search(path) is not None)


class _NotCachedError(Exception):
    """Memory does not have it, or it is not for us to say."""

"""Walking below a root without leaving it: the steps a local store's files are opened, named and removed with.

The attack: a symbolic link, or a directory swapped for one between check and use, leads a key out of the root
(`images/x -> /etc`). Operators do put links into directories of pictures, so links are followed; but whatever has been
opened is asked where it really is, and refused unless that is below the real root. The question is put to the open
descriptor, so there is no moment between check and use.

Everything here blocks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from proxy.errors import OriginUnavailable
from proxy.stores import file_names

# A FIFO opened without O_NONBLOCK blocks until somebody writes to it: a thread lost for each request.
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LOCK = f"{file_names.TEMPORARY}/.lock"
_IN_THE_WAY = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY}


@contextlib.contextmanager
def opened_root(root: Path) -> Iterator[int]:
    """Open the root for one piece of work."""
    try:
        fd = os.open(root, _DIRECTORY)
    except OSError as error:
        # Not "no such key": an unmounted volume would otherwise look like a mass deletion.
        raise OriginUnavailable("the directory of the store is not there") from error
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def locked(root: int) -> Iterator[None]:
    """Hold the lock of all who change names below this root, in this process and others on this machine."""
    fd = create_temporary(root, _LOCK, os.O_RDWR)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks: files.py says what that costs
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def create_temporary(root: int, path: str, flags: int) -> int:
    """Open a file of the temporary directory, which is made if it is not there, as the file is."""
    flags |= os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o666, dir_fd=root)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.mkdir(file_names.TEMPORARY, dir_fd=root)
    return os.open(path, flags, 0o666, dir_fd=root)


@contextlib.contextmanager
def settled(root: int) -> Iterator[None]:
    """Hold a lock during which nobody changes names below this root; none where nobody ever has."""
    try:
        fd = os.open(_LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=root)
    except OSError:  # never written to, or not ours to lock: then what is there is as settled as it gets
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


def is_lock(name: str) -> bool:
    """Whether a name in the temporary directory is the lock's."""
    return f"{file_names.TEMPORARY}/{name}" == _LOCK


def open_file(root: int, path: str, *, own: bool = False) -> int:
    """Open a regular file for reading; FileNotFoundError for anything else and for what lies elsewhere.

    `own` is for the store's bookkeeping, which keys do not reach.
    """
    fd = os.open(path, READ, dir_fd=root)
    try:
        # Directories are no objects; FIFOs, sockets and devices have no bytes of their own.
        if not stat.S_ISREG(os.fstat(fd).st_mode) or not is_inside(root, fd, own=own):
            _refuse(path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def is_inside(root: int, fd: int, *, own: bool = False) -> bool:
    """Whether `fd` is really below `root`, and, unless it is the store's `own`, not in a hidden directory."""
    top, real = _real_path(root), _real_path(fd)
    if real == top:
        return True
    if not real.startswith(top.rstrip("/") + "/"):
        return False
    return own or file_names.HIDDEN.isdisjoint(real[len(top) :].split("/"))


def _refuse(path: str) -> NoReturn:
    # What lies outside is not there: a different answer would tell what exists outside.
    raise FileNotFoundError(errno.ENOENT, "outside of the store, or no regular file", path)


def _real_path(fd: int) -> str:
    if sys.platform == "darwin":
        return fcntl.fcntl(fd, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0").decode("utf-8", "surrogateescape")
    return os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - may end in " (deleted)", which is no path


def open_directory(root: int, path: str, *, make: bool, own: bool = False) -> int:
    """Open the directory `path`, proven to be inside, after making what is not there of it, if that is to be done.

    FileNotFoundError where it leads out, NotADirectoryError where an object is in the way.
    """
    try:
        fd = os.open(path or ".", _DIRECTORY, dir_fd=root)
    except FileNotFoundError:
        if make:
            return _make_directory(root, path, own=own)
        raise
    return _proven(root, fd, path, own=own)


def _make_directory(root: int, path: str, *, own: bool) -> int:
    """Make and open the directory step by step, each step proven to be inside before the next is taken."""
    fd = os.dup(root)
    for name in path.split("/"):
        above = fd
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=above)
            fd = os.open(name, _DIRECTORY, dir_fd=above)
        finally:
            os.close(above)
        fd = _proven(root, fd, path, own=own)
    return fd


def _proven(root: int, fd: int, path: str, *, own: bool) -> int:
    """The descriptor of an open directory, which is closed if that is not inside."""
    try:
        if not is_inside(root, fd, own=own):
            _refuse(path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def place(root: int, name: str, path: str, *, own: bool = False) -> None:
    """Rename the temporary file `name` to `path`, making the directories on the way."""
    directory, _, last = path.rpartition("/")
    parent = open_directory(root, directory, make=True, own=own)
    try:
        Room(root, parent, last).take(name)
    finally:
        os.close(parent)


@contextlib.contextmanager
def room_for(root: int, path: str) -> Iterator[Room | None]:
    """Where a file can be named `path`, after making the directories on the way.

    None: a directory has that name, or a file the name of a directory above.
    """
    directory, _, last = path.rpartition("/")
    parent = _open_if_free(root, directory)
    if parent is None:
        yield None
        return
    try:
        yield Room(root, parent, last) if _is_free(parent, last) else None
    finally:
        os.close(parent)


def _open_if_free(root: int, directory: str) -> int | None:
    try:
        return open_directory(root, directory, make=True)
    except OSError as error:
        if error.errno in _IN_THE_WAY:
            return None
        raise


@dataclass(frozen=True, slots=True)
class Room:
    """A place for a file, in a directory that is open."""

    root: int
    parent: int
    name: str

    def take(self, temporary: str) -> None:
        """Rename a temporary file to it."""
        os.rename(temporary, self.name, src_dir_fd=self.root, dst_dir_fd=self.parent)


def _is_free(parent: int, name: str) -> bool:
    try:
        return not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return True


def clear(root: int, path: str) -> None:
    """Make room for a bookkeeping file: delete files where directories must be, and a directory in its place."""
    steps = path.split("/")
    for length in range(1, len(steps)):
        above = "/".join(steps[:length])
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.stat(above, dir_fd=root, follow_symlinks=False).st_mode):
                os.unlink(above, dir_fd=root)
                return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        shutil.rmtree(path, dir_fd=root)


def remove(root: int, path: str, *, own: bool = False) -> None:
    """Delete a file, then each directory above it that this leaves empty; what is not there is fine."""
    directory, _, last = path.rpartition("/")
    try:
        parent = open_directory(root, directory, make=False, own=own)
        try:
            os.unlink(last, dir_fd=parent)
        finally:
            os.close(parent)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return
    while directory:
        try:
            os.rmdir(directory, dir_fd=root)
        except OSError:
            return
        directory = directory.rpartition("/")[0]

"""What `cached_reads.py` asks the kernel, by calls that answer from memory or not at all. Why these is said there."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from ctypes import c_char, c_char_p, c_int, c_long, c_uint, c_uint64, c_void_p
from typing import Protocol

from proxy.stores import directories

_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOCAL = {0xEF53, 0x58465342, 0x9123683E}
"""ext2 to ext4, XFS, Btrfs. Not tmpfs, which knows neither RWF_NOWAIT nor absent names; not overlay, whose layers may
be anything."""


class Calls(Protocol):
    """What is asked of the kernel; raises OSError as the functions of `os` do. None of it waits for a disk."""

    def open_root(self, root: bytes) -> int:
        """A descriptor of the directory `root`, to look below and for nothing else."""
        ...

    def is_fit(self, root: int) -> bool:
        """Whether files of the file system of `root` can be opened, and asked about, without waiting."""
        ...

    def mount_of(self, root: int) -> bytes:
        """What tells the mount of `root` from others."""
        ...

    def open_below(self, root: int, path: bytes) -> int:
        """Open the file `path` below `root`, in the same mount, without following a link."""
        ...

    def open_folder(self, root: int, path: bytes) -> int:
        """A descriptor of the folder `path` below `root`, by the same rules, to be asked about and for nothing else."""
        ...

    def close(self, fd: int) -> None:
        """Close a descriptor of a directory, which nothing waits for."""
        ...

    def state_of(self, folder: int) -> bytes:
        """What is another as soon as a name in the folder comes or goes."""
        ...

    def is_cached(self, fd: int, size: int) -> bool:
        """Whether the first `size` bytes of the file are in memory."""
        ...

    def read(self, fd: int, buffer: bytearray) -> int:
        """Read from the beginning what is in memory; returns how much that was."""
        ...


def linux_calls() -> Calls | None:
    """The calls of this machine's kernel; None where there are none such."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64") or ctypes.sizeof(c_long) != 8:
        return None
    try:
        return LinuxCalls()
    except (AttributeError, OSError):  # a C library without statx
        return None


_OPENAT2, _CACHESTAT = 437, 451
_HERE, _EMPTY_PATH, _DONT_SYNC = -100, 0x1000, 0x4000
_NO_XDEV, _NO_SYMLINKS, _BENEATH, _CACHED = 0x01, 0x04, 0x08, 0x20
_BASIC_STATS, _MOUNT_ID = 0x7FF, 0x1000
_HOW_BYTES = 24
_Answer, _Span, _Found = c_char * 256, c_uint64 * 2, c_uint64 * 5


class LinuxCalls:
    """The kernel itself. The C library has no function for two of these."""

    def __init__(self) -> None:
        # PyDLL keeps the interpreter's lock: giving it away and asking for it again costs more than these calls take.
        library = ctypes.PyDLL(None, use_errno=True)
        # Each by subscript is a function of its own, with types of its own.
        self._openat2, self._cachestat = library["syscall"], library["syscall"]
        self._openat2.argtypes = (c_long, c_long, c_char_p, c_void_p, c_long)
        self._cachestat.argtypes = (c_long, c_long, c_void_p, c_void_p, c_long)
        self._openat2.restype = self._cachestat.restype = c_long
        self._statx, self._fstatfs, self._close = library.statx, library.fstatfs, library.close
        self._statx.argtypes = (c_int, c_char_p, c_int, c_uint, c_void_p)
        self._fstatfs.argtypes = (c_int, c_void_p)
        self._close.argtypes = (c_int,)
        flags, resolve = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, _CACHED | _NO_SYMLINKS
        self._root_how = (c_uint64 * 3)(flags, 0, resolve)
        flags, resolve = directories.READ | os.O_NOATIME, _CACHED | _BENEATH | _NO_SYMLINKS | _NO_XDEV
        self._file_how = (c_uint64 * 3)(flags, 0, resolve)
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        self._folder_how = (c_uint64 * 3)(flags, 0, resolve)
        # Mutable state: what one call is asked and answers.
        self._span, self._found = _Span(0, 0), _Found()

    def open_root(self, root: bytes) -> int:
        """See `Calls`."""
        return _check(self._openat2(_OPENAT2, _HERE, root, self._root_how, _HOW_BYTES))

    def is_fit(self, root: int) -> bool:
        """See `Calls`."""
        answer = _Answer()
        _check(self._fstatfs(root, answer))
        if int.from_bytes(answer.raw[:8], sys.byteorder) not in _LOCAL:
            return False
        # Of no file at all: EBADF if there is such a call.
        self._cachestat(_CACHESTAT, -1, None, None, 0)
        return ctypes.get_errno() == errno.EBADF

    def mount_of(self, root: int) -> bytes:
        """See `Calls`."""
        answer = _Answer()
        _check(self._statx(root, b"", _EMPTY_PATH | _DONT_SYNC, _MOUNT_ID, answer))
        return answer.raw[136:152]  # the device and the mount

    def open_below(self, root: int, path: bytes) -> int:
        """See `Calls`."""
        return _check(self._openat2(_OPENAT2, root, path, self._file_how, _HOW_BYTES))

    def open_folder(self, root: int, path: bytes) -> int:
        """See `Calls`."""
        return _check(self._openat2(_OPENAT2, root, path, self._folder_how, _HOW_BYTES))

    def close(self, fd: int) -> None:
        """See `Calls`."""
        self._close(fd)

    def state_of(self, folder: int) -> bytes:
        """See `Calls`."""
        answer = _Answer()
        _check(self._statx(folder, b"", _EMPTY_PATH | _DONT_SYNC, _MOUNT_ID | _BASIC_STATS, answer))
        raw = answer.raw
        return raw[32:48] + raw[96:128] + raw[136:152]  # inode and size; times of change and of modification; mount

    def is_cached(self, fd: int, size: int) -> bool:
        """See `Calls`."""
        if not size:
            return True
        self._span[1] = size
        _check(self._cachestat(_CACHESTAT, fd, self._span, self._found, 0))
        return self._found[0] * _PAGE >= size

    def read(self, fd: int, buffer: bytearray) -> int:
        """See `Calls`."""
        return os.preadv(fd, [buffer], 0, os.RWF_NOWAIT)


def _check(answer: int) -> int:
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer

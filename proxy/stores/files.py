"""The file work of a local store, all of it blocking: `local.py` calls it in threads.

A body and its sidecar (content type and metadata, at `.meta/<same path>`) are two files, and no file system replaces
two files at once. So the sidecar names the very body it belongs to, by size and by modification time in nanoseconds,
which is set before anything is renamed; a reader believes a sidecar only if both agree with the body it has open. The
sidecar is renamed into place first, then the body, under a lock that all writers of the directory share:

- a crash in between leaves an old body beside a new sidecar: an object without metadata, never one with a wrong label;
- a reader that comes in between sees them disagree, and looks again under that lock;
- racing writers cannot interleave; where locks do not work they leave at worst the first case.

Nothing is synced to disk: results can be rendered again. What a power cut garbles is for the reader of a result to
notice, who checks its digest.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import orjson

from proxy.errors import OriginalChanged, OriginRefused, OriginUnavailable, ProxyError
from proxy.stores import directories, file_names
from proxy.stores.base import CHUNK, ObjectInfo
from proxy.stores.keys import MAX_KEY_BYTES, is_key, missing, shown, unwritable

COPIED = 8 * CHUNK
"""The most that is copied at once: whoever has given up must not be copied for much longer."""
_CANNOT_COPY = {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}
"""Of `copy_file_range`: two kinds of file system, an old kernel, files that are none on disk, a sandbox."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REMEMBERED = 4096
"""Names: hits ask for the same ones over and over."""
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EILSEQ}


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the store keeps beside a body, and which body it belongs to."""

    size: int
    mtime_ns: int
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def belongs_to(self, status: os.stat_result) -> bool:
        """Whether the file with this status is the one that was written together with this sidecar."""
        return (self.size, self.mtime_ns) == (status.st_size, status.st_mtime_ns)


class OpenFile:
    """An open body. `read` runs in a thread; `close` may be called at any moment and never waits for it."""

    def __init__(self, fd: int, sidecar: Sidecar | None) -> None:
        self.status = os.fstat(fd)
        self.sidecar = sidecar
        # Mutable state, under the lock: a descriptor closed under a running read could be another file's by then.
        self._fd = fd
        self._lock = threading.Lock()
        self._reading = False
        self._closed = False

    @property
    def is_settled(self) -> bool:
        """Whether body and sidecar belong together; where there is no sidecar, they do."""
        return self.sidecar is None or self.sidecar.belongs_to(self.status)

    def read(self, offset: int, end: int) -> bytes:
        """Read a chunk of the bytes from `offset` to before `end`, at least one."""
        with self._held():
            try:
                data = os.pread(self._fd, min(CHUNK, end - offset), offset)
            except OSError as error:
                raise OriginUnavailable("the store failed while an object was read") from error
            self._check(len(data), offset, end)
        return data

    def copy(self, file: int, offset: int, end: int) -> int:
        """Write some of the bytes from `offset` to before `end`, at least one, to the file of a descriptor; how many.

        OSError where that file cannot take them.
        """
        with self._held():
            try:
                count = _copy(self._fd, file, min(COPIED, end - offset), offset)
            except OSError as error:
                if error.errno in _FULL:
                    raise
                raise OriginUnavailable("the store failed while an object was read") from error
            self._check(count, offset, end)
        return count

    def close(self) -> None:
        """Give the descriptor back, now or as soon as the read under way ends."""
        with self._lock:
            if not self._closed and not self._reading:
                os.close(self._fd)
            self._closed = True

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Keep the descriptor open for the block."""
        with self._lock:
            if self._closed:
                raise OriginUnavailable("the object was closed while it was read")
            self._reading = True
        try:
            yield
        finally:
            self._let_go()

    def _let_go(self) -> None:
        with self._lock:
            self._reading = False
            if self._closed:
                os.close(self._fd)

    def _check(self, count: int, offset: int, end: int) -> None:
        """See that `count` bytes were there, and that they were the last of what was opened if they are the last."""
        if not count or (offset + count == end and self._has_changed()):
            # Overwritten in place (`cp new.jpg old.jpg`): what was read is half of each.
            raise OriginalChanged("the object changed while it was read")

    def _has_changed(self) -> bool:
        try:
            now = os.fstat(self._fd)
        except OSError as error:
            raise OriginUnavailable("the store failed while an object was read") from error
        return (now.st_size, now.st_mtime_ns) != (self.status.st_size, self.status.st_mtime_ns)


def _copy(source: int, target: int, count: int, offset: int) -> int:
    """Write up to `count` bytes from `offset` to where a file is at, as the system does it best; how many it were."""
    if sys.platform != "linux":
        return os.write(target, os.pread(source, min(count, CHUNK), offset))
    try:
        return os.copy_file_range(source, target, count, offset_src=offset)
    except OSError as error:
        if error.errno not in _CANNOT_COPY:
            raise
    return os.sendfile(target, source, offset, count)


def open_key(root: Path, key: str) -> OpenFile:
    """Open the file of `key` for reading, with its sidecar if it has one."""
    path = path_of(key)
    if path is None:
        raise missing(key)
    with _translated(key, absent=True), directories.opened_root(root) as top:
        opened = _look(top, path)
        if opened.is_settled:
            return opened
        opened.close()
        with directories.settled(top):
            opened = _look(top, path)
        if not opened.is_settled:
            opened.sidecar = None
        return opened


def _look(root: int, path: str) -> OpenFile:
    return OpenFile(directories.open_file(root, path), _read_sidecar(root, path))


def write_key(root: Path, key: str, body: bytes, content_type: str, metadata: Mapping[str, str]) -> None:
    """Replace the file of `key` and its sidecar."""
    path = path_of(key)
    if path is None:
        raise unwritable(key)
    with _translated(key), directories.opened_root(root) as top, _temporaries(top) as temporary:
        body_name, mtime_ns = temporary.write_stamped(body)
        note_name = temporary.write(_dump(Sidecar(len(body), mtime_ns, content_type, metadata)))
        with directories.locked(top), directories.room_for(top, path) as room:
            if room is None:
                raise OriginRefused(f"{shown(key)} cannot be a file and a directory at once in a local store")
            _place_sidecar(top, note_name, f"{file_names.METADATA}/{path}")
            room.take(body_name)


def remove_key(root: Path, key: str) -> None:
    """Delete the file of `key`, its sidecar, and the directories this leaves empty."""
    path = path_of(key)
    if path is None:
        return
    with _translated(key), directories.opened_root(root) as top, directories.locked(top):
        # The body first: a sidecar without a body is nothing, a body without its sidecar would be unlabelled.
        directories.remove(top, path)
        directories.remove(top, f"{file_names.METADATA}/{path}", own=True)


def lacking(root: Path, paths: Iterable[str]) -> set[str]:
    """Those of the paths below the root where there surely is no file; none where the root is gone."""
    found, above = set[str](), f"{root}/"
    for path in paths:
        try:
            os.lstat(above + path)  # making a Path would take longer than the look
        except (FileNotFoundError, NotADirectoryError):
            found.add(path)
        except OSError:  # it cannot be told
            continue
    return found if found and root.is_dir() else set()


def path_of(key: str) -> str | None:
    """The path of `key` below the root; None where it can have none."""
    return _path_of(key) if len(key) <= MAX_KEY_BYTES else None


@lru_cache(maxsize=REMEMBERED)
def _path_of(key: str) -> str | None:
    return file_names.to_path(key) if is_key(key) else None


def parse_sidecar(data: bytes) -> Sidecar | None:
    """What a sidecar's file says; None where that is nothing this module wrote."""
    try:
        found = orjson.loads(data)
        metadata = MappingProxyType(dict(found["metadata"]))
        return Sidecar(int(found["size"]), int(found["mtime_ns"]), str(found["content_type"]), metadata)
    except (ValueError, KeyError, TypeError):
        return None


def info_of(key: str, status: os.stat_result, sidecar: Sidecar | None) -> ObjectInfo:
    """What is known of the object whose body has this status."""
    return ObjectInfo(
        key=key,
        size=status.st_size,
        version=f"{status.st_mtime_ns:x}-{status.st_size:x}",
        modified=status.st_mtime,
        content_type=sidecar.content_type if sidecar else None,
        metadata=sidecar.metadata if sidecar else {},
    )


def sweep(root: Path, older_than: float) -> int:
    """Delete temporary files that a dead process left `older_than` seconds ago; returns how many those were."""
    swept, horizon = 0, time.time() - older_than
    with contextlib.suppress(OSError), os.scandir(root / file_names.TEMPORARY) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if not directories.is_lock(entry.name) and entry.stat(follow_symlinks=False).st_mtime < horizon:
                    Path(entry.path).unlink()
                    swept += 1
    return swept


@contextlib.contextmanager
def _translated(key: str, *, absent: bool = False) -> Iterator[None]:
    """Turn the system's errors into ours; `absent` where some of them mean that there is no such object."""
    try:
        yield
    except ProxyError:
        raise
    except OSError as error:
        if absent and error.errno in _ABSENT:
            raise missing(key) from error
        raise OriginUnavailable(f"the store failed at {shown(key)}") from error


def _read_sidecar(root: int, path: str) -> Sidecar | None:
    """The sidecar of `path`; None where there is none, or nothing that this module wrote."""
    try:
        fd = directories.open_file(root, f"{file_names.METADATA}/{path}", own=True)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        return parse_sidecar(file.read(65_536))


def _dump(sidecar: Sidecar) -> bytes:
    return json.dumps(asdict(sidecar)).encode()


def _place_sidecar(root: int, name: str, path: str) -> None:
    try:
        directories.place(root, name, path, own=True)
    except OSError:
        # Left by a crash, and in the way: there is room for the body, so what blocks its sidecar has no body.
        directories.clear(root, path)
        directories.place(root, name, path, own=True)


class _Temporaries:
    """Writes files into the temporary directory and remembers them."""

    def __init__(self, root: int) -> None:
        self._root = root
        self.made: list[str] = []

    def write(self, data: bytes) -> str:
        """Write a file; its name."""
        with self._written(data) as (name, _):
            return name

    def write_stamped(self, data: bytes) -> tuple[str, int]:
        """Write a file; its name and a modification time of its own."""
        with self._written(data) as (name, fd):
            # The kernel's own stamps are as coarse as its tick (4 ms): two writes of equal size would be one version.
            stamp = time.time_ns()
            os.utime(fd, ns=(stamp, stamp))
            # Read back: some file systems keep fewer digits.
            return name, os.fstat(fd).st_mtime_ns

    @contextlib.contextmanager
    def _written(self, data: bytes) -> Iterator[tuple[str, int]]:
        name = f"{file_names.TEMPORARY}/{os.getpid()}-{_PROCESS}-{next(_serials):x}"
        fd = directories.create_temporary(self._root, name, os.O_WRONLY | os.O_EXCL)
        self.made.append(name)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            yield name, fd
        finally:
            os.close(fd)


_PROCESS, _serials = secrets.token_hex(8), itertools.count()
"""Names of temporary files: of each process its own, as containers have the same numbers, and asked for once."""


@contextlib.contextmanager
def _temporaries(root: int) -> Iterator[_Temporaries]:
    """Temporary files that are gone when the block fails."""
    temporaries = _Temporaries(root)
    try:
        yield temporaries
    except BaseException:
        for name in temporaries.made:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=root)
        raise

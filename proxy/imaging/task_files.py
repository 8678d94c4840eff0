"""The files of a task: what it reads and writes, some of it by paths at which there is no file.

**What is lent.** An original in a directory of this machine need not be copied to be rendered. Its worker gets the file
itself, open for reading (`process.py`), and reads it once: no path leads to it through the fences. So it is with the
images of marks.

**What is kept.** A result that is made in memory need not be written to be read again: it stays there until it is
handed over (`scratch.py`).

Both have paths that mean something here only, until the task ends; so nobody else has to tell the two kinds apart. Who
reads an original or a result reads it by this module; libvips, which writes to a path itself, is preceded by `forget`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from proxy.errors import OriginalTooLarge, OriginUnavailable
from proxy.imaging.job import lent_path

# Of the task under way: a worker does one at a time. What is in memory, by path, and the paths to be kept there.
_bodies: dict[str, bytes] = {}
_kept: set[str] = set()


@contextmanager
def lent(bodies: Sequence[bytes]) -> Iterator[None]:
    """Let the paths of the files that were lent lead to these bytes of theirs for the block."""
    paths = [lent_path(number) for number in range(len(bodies))]
    _bodies.update(zip(paths, bodies, strict=True))
    try:
        yield
    finally:
        for path in paths:
            del _bodies[path]


@contextmanager
def kept(paths: Iterable[str]) -> Iterator[None]:
    """Let what is written to these paths stay in memory for the block."""
    paths = set(paths)
    _kept.update(paths)
    try:
        yield
    finally:
        _kept.difference_update(paths)
        for path in paths:
            forget(path)


def body_in_memory(path: str) -> bytes | None:
    """All that lies there, if it is in memory."""
    return _bodies.get(path)


def open_file(path: str) -> BinaryIO:
    """What lies there, to be read from its beginning."""
    body = body_in_memory(path)
    return Path(path).open("rb") if body is None else BytesIO(body)


def read_file(path: str) -> bytes:
    """All that lies there."""
    body = body_in_memory(path)
    return Path(path).read_bytes() if body is None else body


def size_of_file(path: str) -> int:
    """How many bytes lie there."""
    body = body_in_memory(path)
    return Path(path).stat().st_size if body is None else len(body)


def write_file(path: str, body: bytes) -> None:
    """Let these bytes lie there, in place of what did."""
    if path in _kept:
        _bodies[path] = body
    else:
        Path(path).write_bytes(body)


def copy_file(source: str, target: str) -> None:
    """Let the same lie at both."""
    body = body_in_memory(source)
    if body is None:
        forget(target)
        shutil.copyfile(source, target)
    else:
        write_file(target, body)


def forget(path: str) -> None:
    """Keep nothing in memory that was written there: a file may be, or is about to be."""
    _bodies.pop(path, None)


def read_lent(file: int) -> bytes:
    """The bytes of an open file; OriginUnavailable if they cannot be read, OriginalTooLarge if there is no room."""
    size = os.fstat(file).st_size
    parts: list[bytes] = []
    held = 0
    try:
        # By place: the front holds the same open file, and another worker may.
        while held < size and (part := os.pread(file, size - held, held)):
            parts.append(part)
            held += len(part)
    except OSError as error:
        raise OriginUnavailable("the store failed while the original was read") from error
    except MemoryError as error:
        raise OriginalTooLarge("the original needs more memory than a render worker has") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)

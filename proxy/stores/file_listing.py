"""Finding the keys of a local store, one directory at a time: no listing holds a thread or a descriptor for long.

Links to files count as the keys they are; links to directories are not walked: they would list objects twice, or for
ever. (They can still be read through.)
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from proxy.errors import OriginUnavailable
from proxy.stores import directories, file_names
from proxy.stores.keys import is_key


class Listing:
    """A walk over all keys that begin with `prefix`. `step` blocks for one directory."""

    def __init__(self, root: Path, prefix: str) -> None:
        self._root = root
        self._prefix = prefix
        # Mutable state: directories still to be looked into, as relative paths; the last is next.
        self._pending = [_start(prefix)]

    @property
    def done(self) -> bool:
        """Whether every directory has been looked into."""
        return not self._pending

    def step(self) -> list[str]:
        """The matching keys in one more directory."""
        here = self._pending.pop()
        keys: list[str] = []
        with directories.opened_root(self._root) as root:
            try:
                fd = directories.open_directory(root, here, make=False)
            except (FileNotFoundError, NotADirectoryError):
                return keys  # deleted meanwhile, or the prefix names no directory
            except OSError as error:
                raise OriginUnavailable("the store failed to list a directory") from error
            try:
                with os.scandir(fd) as entries:
                    for entry in entries:
                        self._visit(root, f"{here}/{entry.name}" if here else entry.name, entry, keys)
            except OSError as error:
                raise OriginUnavailable("the store failed to list a directory") from error
            finally:
                os.close(fd)
        return keys

    def _visit(self, root: int, path: str, entry: os.DirEntry[str], keys: list[str]) -> None:
        text = file_names.to_text(path)
        if text is None:
            return
        if entry.is_dir(follow_symlinks=False):
            beginning = text if file_names.is_open_chain(path) else f"{text}/"
            if beginning.startswith(self._prefix) or self._prefix.startswith(beginning):
                self._pending.append(path)
        elif text.startswith(self._prefix) and is_key(text) and _is_object(root, path, entry):
            keys.append(text)


def _start(prefix: str) -> str:
    """The deepest directory that holds every match."""
    directory = prefix.rpartition("/")[0]
    if not is_key(directory):
        return ""
    return file_names.to_path(directory) or ""


def _is_object(root: int, path: str, entry: os.DirEntry[str]) -> bool:
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    with contextlib.suppress(OSError):
        os.close(directories.open_file(root, path))
        return True
    return False

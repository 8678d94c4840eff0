"""What a worker is given to read: the path by which it knows a staged original, and the open files that go along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.delivery.originals import Staged
from proxy.errors import OriginalChanged
from proxy.imaging.job import lent_path

if TYPE_CHECKING:
    from _typeshed import HasFileno


class Lending:
    """What goes with one task."""

    def __init__(self) -> None:
        self._files: list[HasFileno] = []

    @property
    def files(self) -> Sequence[HasFileno]:
        """The open files, in the order of their paths."""
        return self._files

    def path_of(self, staged: Staged) -> str:
        """Where the worker finds it."""
        if isinstance(staged.file, Path):
            return str(staged.file)
        if staged.file not in self._files:
            self._files.append(staged.file)
        return lent_path(self._files.index(staged.file))


@contextmanager
def lending(*originals: Staged) -> Iterator[Lending]:
    """Give a worker these to read. OriginalChanged, whatever came of it, if one was written over meanwhile."""
    failure: Exception | None = None
    try:
        yield Lending()
    except Exception as error:  # noqa: BLE001 -- whatever came of reading half of each
        failure = error
    if not all(staged.is_intact for staged in originals):
        raise OriginalChanged("the original changed while it was read") from failure
    if failure is not None:
        raise failure

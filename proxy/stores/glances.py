"""What a store can tell at once, or for less than opening: abilities beside the contract of `base.py`.

Only a store that reads memory has `glance` (`cached_reads.py`). A call that waits for nothing needs no deadline, no
task and nobody to share it with. A store where one cheap look tells that there is nothing has `lacks`; opening what is
not there takes several times as long, and that is what most look-ups for results of new URLs come to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from proxy.stores.base import ObjectInfo, Source


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A whole object that needed no waiting."""

    info: ObjectInfo
    body: bytes


Glance = Callable[[str], Glimpse | None]


@runtime_checkable
class Glancing(Protocol):
    """A store that may know at once."""

    def glance(self, key: str) -> Glimpse | None:
        """The object; None if it must be opened to know. Raises OriginalNotFound, and nothing else."""
        ...


def glance_of(source: Source) -> Glance:
    """How to glance at `source`; one that cannot do it never knows at once."""
    return source.glance if isinstance(source, Glancing) else _know_nothing


Lacks = Callable[[str], Awaitable[bool]]


@runtime_checkable
class Lacking(Protocol):
    """A store that can be asked for less than an object, or stands before one."""

    @property
    def lacks(self) -> Lacks | None:
        """Tells whether there surely is no object; False: it must be opened to know. Fails as opening it does.

        None before a store that cannot be asked: it must neither be counted as asked nor as well.
        """
        ...


def lacks_of(source: Source) -> Lacks | None:
    """How to ask `source` whether it lacks an object; None for one that cannot be asked."""
    return source.lacks if isinstance(source, Lacking) else None


def _know_nothing(_: str) -> Glimpse | None:
    return None

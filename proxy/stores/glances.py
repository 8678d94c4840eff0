"""What a store can tell at once: an ability beside the contract of `base.py`, which a store may have or not.

Only a store that reads memory has it (`cached_reads.py`). A call that waits for nothing needs no deadline, no task and
nobody to share it with.
"""

from __future__ import annotations

from collections.abc import Callable
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


def _know_nothing(_: str) -> Glimpse | None:
    return None

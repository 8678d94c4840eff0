"""What a plan comes to, how it came about, and what the client already had."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from proxy.delivery.result import Result

KNOWN = "known"
"""The detail of an answer for which nothing was looked up: what is known of the original was enough."""


class Outcome(StrEnum):
    """How an answer came about; a label of the metrics and a part of Cache-Status."""

    HIT = "hit"
    STALE = "stale"
    MISS = "miss"
    JOINED = "joined"
    NOT_MODIFIED = "not-modified"


@dataclass(slots=True)
class Stages:
    """Where the time went, in seconds by stage; for Server-Timing and the explain page."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, since: float) -> None:
        """Add the time since `since` (of `time.perf_counter`) to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - since


@dataclass(frozen=True, slots=True)
class Answer:
    """What a plan comes to. `result` None: the client has the current representation already."""

    result: Result | None
    etag: str
    modified: float
    outcome: Outcome
    detail: str
    stages: Stages


class Conditions(Protocol):
    """What a client already has (RFC 9110 section 13)."""

    @property
    def present(self) -> bool:
        """Whether the request has any condition that could make the answer a 304."""
        ...

    def is_current(self, etag: str, modified: float) -> bool:
        """Whether the client's copy is the representation with this entity tag and modification time."""
        ...


class _NoConditions:
    """What a client without anything has."""

    present = False

    def is_current(self, etag: str, modified: float) -> bool:
        del etag, modified
        return False


NO_CONDITIONS: Conditions = _NoConditions()

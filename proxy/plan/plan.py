"""A plan: what one request asks for, resolved, before anything is looked up."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from proxy.plan.operations import Operation, canonical_value
from proxy.plan.output import Output

STEM = 10
"""Characters of a fingerprint that say what is done, apart from which version of a logo it is done with: 50 bits."""
RENDER_REVISION = 2
"""Raised by hand when the same plan must make a different picture than before: every fingerprint changes with it."""

_REMEMBERED = 1024
"""Fingerprints of operations and output; strangers choose boxes, so it is bounded."""


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How long an answer may be kept, in seconds. None: as the settings say."""

    max_age: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    immutable: bool = False
    """The answer never changes under this URL; `max_age` is a year then."""
    no_store: bool = False
    """The answer must not be kept at all; `max_age` is 0 then."""


@dataclass(frozen=True)  # without slots: the fingerprint is computed once
class Plan:
    """The operations in order and the output that turn the original `key` into a result.

    `presets` are the names that led here; they are for people and not part of the identity: equal plans share one
    fingerprint and one stored result, whatever preset, dialect or spelling asked.
    """

    key: str
    operations: tuple[Operation, ...]
    output: Output
    negotiated: bool = False
    """Whether the target was chosen from the Accept header: the answer then says `Vary: Accept`."""
    presets: tuple[str, ...] = ()
    cache: CachePolicy = field(default=CachePolicy())
    overlay_versions: tuple[str, ...] = ()
    """The versions of `overlays`, once they have been looked up: another logo makes another picture."""

    def of(self, key: str) -> Plan:
        """The same for another original. What is found out about a plan is shared: none of it may depend on the key."""
        plan = object.__new__(Plan)
        plan.__dict__.update(self.__dict__, key=key, overlays=self.overlays, fingerprint=self.fingerprint)
        return plan

    def canonical(self) -> str:
        """The one text of what is done to the picture; does not hold the key."""
        done = _done(self.operations, self.output)
        return f"{done}|overlays{canonical_value(self.overlay_versions)}" if self.overlay_versions else done

    @cached_property
    def overlays(self) -> tuple[str, ...]:
        """What is read besides the original, each once: keys, or URLs of allowed hosts."""
        return tuple(dict.fromkeys(overlay for operation in self.operations for overlay in operation.overlays))

    @cached_property
    def fingerprint(self) -> str:
        """80 bits of SHA-256 over the canonical text, in lower-case base32: 16 characters, safe in any key.

        The first `STEM` of them do not depend on the versions of overlays: what was made with any logo can be found.
        """
        stem = _stem(self.operations, self.output)
        if not self.overlay_versions:
            return stem
        return stem[:STEM] + _digest(self.canonical())[: len(stem) - STEM]


def _done(operations: tuple[Operation, ...], output: Output) -> str:
    return "|".join([*(operation.canonical() for operation in operations), output.canonical()])


@lru_cache(maxsize=_REMEMBERED)
def _stem(operations: tuple[Operation, ...], output: Output) -> str:
    """The fingerprint of what one preset does to any picture: it took a tenth of a refusal, when each made it anew."""
    return _digest(f"{RENDER_REVISION}|{_done(operations, output)}")


def _digest(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()[:10]).decode().lower()

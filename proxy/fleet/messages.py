"""How what replicas say is written. What cannot be read raises ValueError, KeyError or TypeError."""

from __future__ import annotations

import json
import math

from proxy.errors import CannotRender, InvalidCommand, NotAnImage, OriginalTooLarge, ProxyError
from proxy.fleet.base import Purge

LONGEST_ERROR = 500
"""Characters of an error's message."""


def seen_text(key: str, version: str | None, modified: float, seen: int) -> str:
    """What was seen of an original; `seen` in milliseconds on Redis's clock."""
    return json.dumps({"key": key, "version": version, "modified": modified, "seen": seen})


def seen_of(text: str) -> tuple[str, str | None, float, int]:
    """Read it."""
    said = json.loads(text)
    version, modified = said["version"], float(said["modified"])
    if not isinstance(said["key"], str) or not isinstance(version, str | None) or not math.isfinite(modified):
        raise ValueError("no sight of an original")
    return said["key"], version, modified, int(said["seen"])


def purge_text(purge: Purge) -> str:
    """What is purged."""
    return json.dumps({"keys": purge.keys, "prefixes": purge.prefixes, "fingerprints": purge.fingerprints})


def purge_of(text: str) -> Purge:
    """Read it."""
    said = json.loads(text)
    return Purge(*(tuple(map(str, said[name])) for name in ("keys", "prefixes", "fingerprints")))


def _below(root: type[ProxyError]) -> list[type[ProxyError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in _below(child))]


_TOLD = {
    kind.__name__: kind
    for root in (NotAnImage, OriginalTooLarge, CannotRender, InvalidCommand)
    for kind in _below(root)
}
"""What lies in the picture and the plan, and is the same on every replica."""


def error_text(error: ProxyError) -> str:
    """An error that others need not run into themselves; empty for every other."""
    name = type(error).__name__
    return json.dumps([name, error.message[:LONGEST_ERROR]]) if _TOLD.get(name) is type(error) else ""


def error_of(text: str) -> ProxyError | None:
    """Read it; None where it is not one of ours."""
    try:
        name, message = json.loads(text)
        return _TOLD[name](str(message))
    except (ValueError, KeyError, TypeError):
        return None

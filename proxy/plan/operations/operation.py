"""What every operation is: a frozen value with its checks, its canonical text and the size it makes of a size.

An operation does not know pixels; the step that performs it lives in `proxy/imaging`. The canonical text of a list of
operations is its identity: it is what the fingerprint of a plan is made of.
"""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from enum import Enum
from typing import ClassVar

from proxy.errors import InvalidCommand
from proxy.plan.geometry import Size

MAX_SIDE = 30_000
"""No operation may name a side above this many pixels; what may be *rendered* is bounded by the settings."""

_PLAIN = re.compile(r"[a-z0-9-]+")


class Operation:
    """The base of all operations: canonical text from the dataclass fields, in their order."""

    __slots__ = ()
    name: ClassVar[str]
    settles_size: ClassVar[bool] = False
    """Whether the size is known only once the pixels are: `size` is then the largest it can be."""
    holds_picture: ClassVar[bool] = False
    """Whether the whole picture, as large as it comes, is held in memory for it."""

    def canonical(self) -> str:
        """The one spelling of this operation, `name(field=value,…)`, without fields that stand at their default."""
        parts = []
        for field in fields(self):  # type: ignore[arg-type]  # every operation is a dataclass
            value = getattr(self, field.name)
            if field.default is not MISSING and value == field.default:
                continue
            parts.append(f"{field.name}={canonical_value(value)}")
        return f"{self.name}({','.join(parts)})"

    def size(self, picture: Size) -> Size:
        """The size this operation makes of a picture of size `picture`."""
        return picture

    @property
    def boxes(self) -> tuple[str, ...]:
        """The sizes this operation names, as the list in `adhoc = { sizes = […] }` would spell them.

        Whoever may order an operation without a box can order it once; a box has millions of spellings. An operation
        that makes sizes without naming one (50 %, 350,000 pixels) answers with a text that no list can hold.
        """
        return ()

    @property
    def overlays(self) -> tuple[str, ...]:
        """What this operation reads besides the picture: keys, or URLs of allowed hosts."""
        return ()


def canonical_value(value: object) -> str:
    """One spelling for each value: enums by value, integral floats without a fraction, floats with up to 6 digits.

    Values that are equal, as 0.0 and -0.0, have the same: fingerprints are remembered by them.

    Text that a client wrote is quoted, so that it cannot look like a field.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float):
        return f"{value + 0.0:.6f}".rstrip("0").rstrip(".")
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"[{';'.join(canonical_value(item) for item in value)}]"
    return value.canonical() if isinstance(value, Operation) else str(value)


def box_text(width: int | None, height: int | None) -> tuple[str, ...]:
    """A box as presets.toml lists it; nothing where no side is named."""
    return (f"{width or ''}x{height or ''}",) if width or height else ()


def check_side(name: str, value: int | None) -> None:
    """Refuse a side that no picture can have."""
    if value is not None and not 1 <= value <= MAX_SIDE:
        raise InvalidCommand(f"{name} must be 1 to {MAX_SIDE} pixels, got {str(value)[:20]}")


def check_offset(name: str, value: int) -> None:
    """Refuse an offset further out than any picture reaches."""
    if not -MAX_SIDE <= value <= MAX_SIDE:
        raise InvalidCommand(f"{name} must be -{MAX_SIDE} to {MAX_SIDE} pixels, got {str(value)[:20]}")


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside of its range, and what is no number."""
    if not low <= value <= high:
        raise InvalidCommand(f"{name} must be {low:g} to {high:g}, got {str(value)[:20]}")

"""Choosing a format from the Accept header.

The header is read as RFC 9110 section 12.5.1 has it: media ranges with weights, `q=0` meaning "not this". Two decisions
go beyond it:

1. Wildcards do not count as support. Every browser sends `*/*`, those that cannot read AVIF too; only the exact media
   type proves anything.
2. Junk is skipped, range by range. A header that nobody can read means a plain picture, never an error: the picture is
   embedded in somebody's page.

The order among formats is the client's weights first, then ours (the smaller format first). A plain JPEG counts with
the weight it was named with; where it is not named, anything better wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from proxy.plan.output import Format, Target

NEGOTIATED = (Target.JXL, Target.AVIF, Target.WEBP)
"""The formats that are sent to clients that name them, and to no others."""
SMALLEST = (*NEGOTIATED, Target.PLAIN)
"""What a preset's `format = "smallest"` may choose from, as far as a site negotiates it."""

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+', re.DOTALL)
_MEDIA_RANGE = re.compile(rf"\s*({_NAME})/({_NAME})\s*")
_WEIGHT = re.compile(r"\s*q\s*=(.*)", re.IGNORECASE | re.DOTALL)
# The qvalue of RFC 9110 section 12.4.2, but with any number of digits: some clients compute theirs.
_QVALUE = re.compile(r"\s*(0(?:\.[0-9]*)?|1(?:\.0*)?)\s*")


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of an Accept header: `image/avif`, `image/*` or `*/*`, lower case, and its weight from 0 to 1."""

    kind: str
    subtype: str
    weight: float = 1.0

    @property
    def media_type(self) -> str:
        """Both parts."""
        return f"{self.kind}/{self.subtype}"


def parse_accept(accept: str) -> tuple[MediaRange, ...]:
    """Read an Accept header; elements that are malformed are left out."""
    return tuple(_ranges(accept))


def _ranges(accept: str) -> Iterator[MediaRange]:
    for element in _ELEMENT.findall(accept):
        head, *parameters = element.split(";")
        match = _MEDIA_RANGE.fullmatch(head)
        weight = _weight(parameters)
        if match is not None and weight is not None and (match[1] != "*" or match[2] == "*"):
            yield MediaRange(match[1].lower(), match[2].lower(), weight)


def _weight(parameters: list[str]) -> float | None:
    """The weight among a range's parameters; None if there is one that is malformed."""
    for parameter in parameters:
        if named := _WEIGHT.fullmatch(parameter):
            value = _QVALUE.fullmatch(named[1])
            return float(value[1]) if value else None
    return 1.0


def accepted(accept: str | None, candidates: Sequence[Target]) -> tuple[Target, ...]:
    """The candidates that this client reads: those it names, and what every client reads."""
    weights = _weights(accept or "")
    return tuple(target for target in candidates if target not in NEGOTIATED or weights.get(f"image/{target}", 0.0) > 0)


def choose_target(accept: str | None, candidates: Sequence[Target] = (Target.AVIF, Target.WEBP)) -> Target:
    """Choose the candidate that the client wants most, the earlier of two equals; PLAIN if it names none of them."""
    weights = _weights(accept or "")
    best, best_weight = Target.PLAIN, weights.get(Format.JPEG.media_type, 0.0)
    for candidate in reversed(candidates):
        named = candidate.known_format
        weight = weights.get(named.media_type, 0.0) if named else 0.0
        if weight > 0 and weight >= best_weight:
            best, best_weight = candidate, weight
    return best


@lru_cache(maxsize=256)  # all the browsers of the world send a few dozen headers
def _weights(accept: str) -> Mapping[str, float]:
    """The highest weight that each media type is named with."""
    weights: dict[str, float] = {}
    for media_range in parse_accept(accept):
        known = weights.get(media_range.media_type, 0.0)
        weights[media_range.media_type] = max(known, media_range.weight)
    return weights

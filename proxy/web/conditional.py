"""Conditional and range requests: RFC 9110 sections 13 and 14, as pure functions on header values.

Rules:
- If-None-Match (a list, or `*`, compared weakly) comes before If-Modified-Since, which is then ignored (13.2.2).
- If-Match compares strongly; If-Unmodified-Since only counts without it. Neither is met: 412.
- If-Range compares strongly: a weak tag or a date that is not exact means the whole representation.
- A Range header that cannot be understood, or asks for several ranges, is ignored: the whole representation is a
  correct answer (14.2). One that lies outside of the representation is 416. Ranges exist for GET alone: whoever answers
  HEAD does not ask for one.
- An original whose web server tells no time has the time 0, and every condition on times is then ignored (13.1.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from multidict import MultiMapping

from proxy.errors import PreconditionFailed, RangeRefused
from proxy.stores.base import ByteRange

# Empty elements of a list are skipped (5.6.1.2).
_TAG = re.compile(r'[\s,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
# At most 18 digits: no file is larger, and Python refuses to read thousands of them as a number.
_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EntityTag:
    """One entity tag of a list; `*` is the tag `*`, without quotes."""

    value: str
    weak: bool = False


ANY = EntityTag("*")


def parse_tags(header: str | None) -> tuple[EntityTag, ...] | None:
    """Read a list of entity tags or `*`; what follows junk is ignored. None: there is no such header."""
    if header is None:
        return None
    if header.strip() == "*":
        return (ANY,)
    tags = []
    position = 0
    while match := _TAG.match(header, position):
        tags.append(EntityTag(match[2], weak=match[1] is not None))
        position = match.end()
        if position >= len(header):
            break
    return tuple(tags)


def parse_date(header: str | None) -> float | None:
    """Read an HTTP date (RFC 9110 section 5.6.7) as seconds since the epoch; None when it is none."""
    if header is None:
        return None
    try:
        return parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The conditions of one request."""

    if_match: tuple[EntityTag, ...] | None = None
    if_none_match: tuple[EntityTag, ...] | None = None
    if_modified_since: float | None = None
    if_unmodified_since: float | None = None

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Preconditions:
        """Read them from a request's headers."""
        return cls(
            if_match=parse_tags(_joined(headers, "If-Match")),
            if_none_match=parse_tags(_joined(headers, "If-None-Match")),
            if_modified_since=parse_date(headers.get("If-Modified-Since")),
            if_unmodified_since=parse_date(headers.get("If-Unmodified-Since")),
        )

    @property
    def present(self) -> bool:
        """Whether there is any condition that could make the answer a 304."""
        return self.if_none_match is not None or self.if_modified_since is not None

    def is_current(self, etag: str, modified: float) -> bool:
        """Whether the client's copy is the representation with this tag (quotes included) and time: answer 304."""
        if self.if_none_match is not None:
            value = etag.strip('"')
            return any(tag == ANY or tag.value == value for tag in self.if_none_match)
        if self.if_modified_since is not None:
            return 0 < int(modified) <= self.if_modified_since
        return False

    def check(self, etag: str, modified: float) -> None:
        """Raise PreconditionFailed unless If-Match or If-Unmodified-Since hold."""
        if self.if_match is not None:
            value = etag.strip('"')
            if not any(tag == ANY or (tag.value == value and not tag.weak) for tag in self.if_match):
                raise PreconditionFailed("If-Match names another version than the current one")
        elif self.if_unmodified_since is not None and int(modified) > self.if_unmodified_since:  # 0 never is
            raise PreconditionFailed("the picture was modified after the time in If-Unmodified-Since")


def wanted_range(headers: Mapping[str, str], *, size: int, etag: str, modified: float) -> ByteRange | None:
    """The one byte range to answer with, or None for the whole representation; RangeRefused for 416."""
    header = headers.get("Range")
    if header is None or not _if_range_holds(headers.get("If-Range"), etag, modified):
        return None
    match = _RANGE.fullmatch(header.strip())
    if match is None or (not match[1] and not match[2]):
        return None
    if not match[1]:
        length = int(match[2])
        if length == 0 or size == 0:
            raise RangeRefused(f"the range is empty; the representation has {size} bytes", size)
        return ByteRange(max(0, size - length), size - 1)
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    if match[2] and int(match[2]) < first:
        return None  # not a valid range, so not a range (14.1.1)
    if first >= size:
        raise RangeRefused(f"the range begins beyond the end; the representation has {size} bytes", size)
    return ByteRange(first, last)


def _joined(headers: Mapping[str, str], name: str) -> str | None:
    """A list header may come in several lines, which mean the same as one (5.2)."""
    if isinstance(headers, MultiMapping):
        return ", ".join(headers.getall(name)) if name in headers else None
    return headers.get(name)


def _if_range_holds(header: str | None, etag: str, modified: float) -> bool:
    if header is None:
        return True
    if '"' in header:
        return header.strip() == etag
    date = parse_date(header)
    return date is not None and 0 < int(modified) == date

"""Requests that are alike: the same answer fits them, as far as can be told from the request alone.

An answer depends on the request target, Accept and If-None-Match, and on nothing else, as long as the request is plain:
GET in HTTP/1.1 on a connection that stays open, without a range or another condition.
"""

from __future__ import annotations

from aiohttp import HttpVersion11, hdrs, web

Place = tuple[str, str | None, str | None]
"""Request target, Accept and If-None-Match."""


def place_of(request: web.BaseRequest) -> Place:
    """What requests that are alike have in common."""
    headers = request.headers
    return request.raw_path, headers.get(hdrs.ACCEPT), headers.get(hdrs.IF_NONE_MATCH)


def is_plain(request: web.BaseRequest) -> bool:
    """Whether the answer depends on nothing but its place."""
    headers = request.headers
    return (
        request.method == "GET"
        and request.version == HttpVersion11
        and request.keep_alive
        and hdrs.RANGE not in headers
        and hdrs.IF_MODIFIED_SINCE not in headers
        and hdrs.IF_MATCH not in headers
        and hdrs.IF_UNMODIFIED_SINCE not in headers
        and hdrs.EXPECT not in headers
    )


def size_of(place: Place) -> int:
    """Characters of a place: a stranger can make it long."""
    return sum(len(text or "") for text in place)

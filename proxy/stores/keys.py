"""The last wall: what is no key never reaches a file system, a bucket or an origin.

`proxy/plan/keys.py` parses what clients send and answers them; this module only says yes or no, and knows less on
purpose: it keeps stores inside their root whoever calls them.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from proxy.errors import OriginalNotFound, OriginRefused

MAX_KEY_BYTES = 1024
_WALKING = frozenset({"", ".", ".."})
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def is_key(key: str) -> bool:
    """Whether a store may hold `key`.

    The attack: `..`, an absolute path or an empty segment walks out of the root where a key becomes a path (local
    files, file-backed S3 servers, the path of a URL); NUL cuts a name short in C code below us.
    """
    try:
        encoded = key.encode()
    except UnicodeEncodeError:  # half a surrogate pair: not text
        return False
    return 0 < len(encoded) <= MAX_KEY_BYTES and b"\0" not in encoded and _WALKING.isdisjoint(key.split("/"))


def missing(key: str) -> OriginalNotFound:
    """The error for an object that is not there."""
    return OriginalNotFound(f"there is no {shown(key)}")


def unwritable(key: str) -> OriginRefused:
    """The error for writing under a name that no store may hold."""
    return OriginRefused(f"the store cannot hold an object named {shown(key)}")


def shown(key: str) -> str:
    """Quote a key for a message: one line, cut when long."""
    return repr(key if len(key) <= 80 else key[:80] + "…")


def printable_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata as every store keeps it: lower-case names; values percent-encoded where they are not printable ASCII.

    S3 carries metadata in headers. Non-ASCII bytes in those are signed one way and read another by half of the
    S3-compatible servers, and CR LF would split the header. `%` itself stays, so that plain values stay readable:
    nobody here decodes.
    """
    return {
        name.lower(): quote(value, safe=_PRINTABLE, errors="backslashreplace").strip()
        for name, value in metadata.items()
    }


def printable_version(text: str) -> str:
    """An ETag or date as a version: without the quotes, printable ASCII only; different texts stay different.

    The attack: an origin's ETag with CR LF or quotes in it would end up in our own headers and keys.
    """
    bare = text.strip().removeprefix("W/").strip('"')
    return quote(bare, safe="!#$&'()*+,-./:;<=>?@[]^_`{|}~", errors="backslashreplace")[:256]

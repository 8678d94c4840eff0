"""Keys: from the text in a URL to the name in a store, and back.

The rules, which HTTP, uploads, events and the command line share; whoever makes a key calls `decode_key` or
`check_key`, so that no door is wider than another:

1. A path is percent-decoded exactly once (RFC 3986 section 2.4). A second decoding anywhere would let `%252e%252e`
   become `..` behind the check.
2. What comes out is strict UTF-8. Lenient decoders keep `%ff` as three characters, and then two URLs meet in one key.
3. No `.`, `..` or empty segment, no slash at either end, no backslash: S3 stores such names literally, file systems
   walk with them.
4. No control characters: they split headers and logs.
5. At most 1,024 bytes, as in S3 (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
6. Unicode is not normalised: `é` as one character and as two are two keys in S3, and merging them would hide one.
7. `+` is a plus sign; it means a blank in forms, not in paths.
8. Nothing begins with `-/`: that is where imgbang's own pages live.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from proxy.errors import InvalidKey

MAX_KEY_BYTES = 1024

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ENCODED = re.compile(r"[%?#]")
"""What must be decoded, or refused."""
_DELIMITER = re.compile(r"[?#]")


def decode_key(raw: str) -> str:
    """Read the key out of a raw, percent-encoded path without its leading slash."""
    return check_key(decode_path(raw))


def encode_key(key: str) -> str:
    """Write a key as a path without leading slash, such that `decode_key` gives it back.

    Everything but unreserved characters and `/` is escaped, `!` and the other usual separators too: an escaped
    separator asks for the key as it stands before it asks for a preset (see `dialects/suffix.py`).
    """
    return quote(check_key(key), safe="/")


def decode_path(raw: str) -> str:
    """Percent-decode a raw path once, as strict UTF-8. What comes out is text, not yet a key."""
    if raw.isascii() and not _ENCODED.search(raw):
        return raw
    if found := _DELIMITER.search(raw):
        raise InvalidKey(f"a {found[0]!r} in a path must be written as %{ord(found[0]):02X}")
    if found := _BAD_ESCAPE.search(raw):
        raise InvalidKey(f"bad percent escape {found[0]!r}: % must be followed by two hexadecimal digits")
    try:
        # Servers hand raw bytes on as surrogate escapes; with them the bytes are what the client sent.
        return unquote_to_bytes(raw.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeError as error:
        raise InvalidKey(f"the path {shown(raw)} is not valid UTF-8 after percent-decoding") from error


def check_key(key: str) -> str:
    """Return the key if a store may hold it under the rules above, else raise InvalidKey."""
    if not key:
        raise InvalidKey("the path names no image: the key is empty")
    if found := _CONTROL.search(key):
        raise InvalidKey(f"the key {shown(key)} contains the control character U+{ord(found[0]):04X}")
    if "\\" in key:
        raise InvalidKey(f"the key {shown(key)} contains a backslash")
    if key.startswith("-/"):
        raise InvalidKey(f"the key {shown(key)} begins with '-/', which is reserved")
    _check_segments(key)
    _check_length(key)
    return key


def _check_segments(key: str) -> None:
    if key.startswith("/"):
        raise InvalidKey(f"the key {shown(key)} begins with a slash")
    if key.endswith("/"):
        raise InvalidKey(f"the key {shown(key)} ends with a slash")
    for segment in key.split("/"):
        if segment in ("", ".", ".."):
            kind = f"the segment {segment!r}" if segment else "an empty segment"
            raise InvalidKey(f"the key {shown(key)} contains {kind}")


def _check_length(key: str) -> None:
    try:
        length = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidKey(f"the key {shown(key)} is not valid Unicode: it contains half a surrogate pair") from error
    if length > MAX_KEY_BYTES:
        raise InvalidKey(f"the key {shown(key)} is {length} bytes long; at most {MAX_KEY_BYTES} are allowed")


def shown(text: str, limit: int = 80) -> str:
    """Quote a client's text for a message: on one line, cut when long, with what is invisible escaped."""
    return repr(text if len(text) <= limit else text[:limit] + "…")

"""The query of an image URL.

    ?v=3                 a version token: the page names the version it means
    ?attname=cat.jpg     download under this name; empty: under the key's own last segment
    ?imageView2/…        a vendor command: a bare piece, without a value

Rules:

1. Pieces are split on `&`, and a piece is recognised as a command by the text before its first `/`, `|` or, for the
   commands of object stores, `=`. Commands are never split on `=`: the base64 inside of them is padded with it. Pieces
   may come in any order, as signatures are put before or after the command.
2. Every piece is percent-decoded once, after the split; `+` stays a plus sign.
3. Of two parameters with one name the first counts.
4. Anything else is ignored and never changes the plan: printed links carry cache busters and tracking parameters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, unquote_to_bytes

from proxy.errors import InvalidRequest

MAX_VALUE_LENGTH = 255

COMMANDS = frozenset({
    "imageView2", "imageMogr2", "watermark", "imageInfo", "exif", "imageAve", "roundPic", "imageslim", "imageView",
    "imageMogr", "animate", "saveas",
})  # fmt: skip
"""The commands that stand bare in a query; case-sensitive, as their vendors document."""

PROCESS_PARAMETERS = frozenset({"x-oss-process", "x-image-process", "x-tos-process"})
"""The parameters whose value is a command."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a query says. `command` is the first vendor command as sent, decoded; None without one."""

    version_token: str | None = None
    attname: str | None = None
    command: str | None = None

    @property
    def command_name(self) -> str:
        """The vendor's name of the command."""
        return command_name(self.command or "")


def read_query(raw: str) -> Query:
    """Read a raw query, without its `?`."""
    values: dict[str, str] = {}
    command = None
    for piece in raw.split("&"):
        decoded = unquote(piece, errors="replace")
        if command is None and command_name(decoded):
            command = decoded
            continue
        name, equals, value = piece.partition("=")
        if equals and name in ("v", "attname"):
            values.setdefault(name, _value(name, value))
    return Query(values.get("v") or None, values.get("attname"), command)


def command_name(piece: str) -> str:
    """The name of the vendor command that a decoded piece holds; empty for any other piece."""
    bare = re.split(r"[/|]", piece.lstrip("|"), maxsplit=1)[0]
    if bare in COMMANDS:
        return bare
    named = piece.partition("=")[0]
    return named if named in PROCESS_PARAMETERS else ""


def _value(name: str, raw: str) -> str:
    """Decode a value that ends up in a header: neither broken text nor control characters may pass."""
    try:
        value = unquote_to_bytes(raw.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeError as error:
        raise InvalidRequest(f"{name} is not valid UTF-8 after percent-decoding") from error
    if len(value) > MAX_VALUE_LENGTH:
        raise InvalidRequest(f"{name} must be at most {MAX_VALUE_LENGTH} characters long, got {len(value)}")
    if found := re.search(r"[\x00-\x1f\x7f]", value):
        raise InvalidRequest(f"{name} contains the control character U+{ord(found[0]):04X}")
    return value

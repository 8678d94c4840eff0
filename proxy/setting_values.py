"""How the values of settings are written: bytes, times, store URLs, lists of keys and hosts.

Each reader raises ValueError with what was expected.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator

MIB = 1024 * 1024
_UNITS = {"": 1, "k": 1024, "m": MIB, "g": 1024 * MIB, "t": 1024 * 1024 * MIB}


def read_bytes(value: object) -> object:
    """Read `64MiB`, `64M`, `1g` or plain bytes."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([kmgt]?)(?:i?b)?\s*", value, re.IGNORECASE)
        if match is None:
            raise ValueError("expected a number of bytes such as 67108864, 64MiB or 1GiB")
        return int(float(match[1]) * _UNITS[match[2].lower()])
    return value


def read_seconds(value: object) -> object:
    """Read `15`, `1.5`, `500ms`, `15s`, `10m`, `1h` or `1d` as seconds."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h|d|)\s*", value)
        if match is None:
            raise ValueError("expected a time such as 15, 1.5, 500ms, 15s, 10m or 1h")
        return float(match[1]) * {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
    return value


Bytes = Annotated[int, BeforeValidator(read_bytes)]
Seconds = Annotated[float, BeforeValidator(read_seconds)]

BUCKET = r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}"


def checked_store_url(value: str) -> str:
    """Return the URL of a store as it is, or `none`, if it is well-formed."""
    parts = urlsplit(value)
    if value == "none":
        return value
    if parts.scheme == "file" and (parts.netloc in ("", ".", "..", "localhost")) and (parts.netloc or parts.path):
        return value
    if parts.scheme == "s3" and re.fullmatch(BUCKET, parts.netloc):
        return value
    if parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment:
        _ = parts.port  # raises ValueError when it is none
        return value
    raise ValueError("expected file:///directory, file://./directory, s3://bucket[/prefix] or https://host[/path]")


def checked_redis_url(value: str) -> str:
    """Return the URL of a Redis database as it is, if it is well-formed."""
    parts = urlsplit(value)
    if parts.scheme in ("redis", "rediss") and parts.hostname and re.fullmatch(r"/?[0-9]{0,4}", parts.path):
        _ = parts.port  # raises ValueError when it is none
        return value
    if parts.scheme == "unix" and parts.path:
        return value
    raise ValueError("expected redis://[user:password@]host[:port][/db], rediss://… or unix:///socket[?db=0]")


def parse_signing_keys(text: str) -> dict[str, str]:
    """Read `access:secret,…`; a key may hold anything but `:` and `,`."""
    keys: dict[str, str] = {}
    for pair in filter(None, (piece.strip() for piece in text.split(","))):
        access, colon, secret = pair.partition(":")
        if not access or not colon or not secret:
            raise ValueError("expected access:secret pairs separated by commas")
        keys[access] = secret
    return keys


def words_of(text: str) -> tuple[str, ...]:
    """Read `avif,webp`: words separated by commas, in their order."""
    return tuple(piece.strip().lower() for piece in text.split(",") if piece.strip())


def host_names(text: str) -> frozenset[str]:
    """Read `img.example.com,cdn.example.com:8080`."""
    names = frozenset(piece.strip().lower() for piece in text.split(",") if piece.strip())
    if not all(re.fullmatch(r"[a-z0-9.-]+(?::[0-9]{1,5})?", name) for name in names):
        raise ValueError("expected host names separated by commas, without a scheme")
    return names

"""Signed URLs, as Qiniu's private buckets have them (https://developer.qiniu.com/kodo/1202/download-token).

    http://img.example.com/a.jpg?imageView2/2/w/200&e=1893456000&token=<access key>:<signature>

The signature is the HMAC of everything before `&token=`, scheme and host included, byte for byte as requested, with the
access key's secret; in URL-safe base64. SHA-1 is Qiniu's own form; SHA-256 is accepted as well, told apart by length.
`e` is the Unix time at which the URL ends. Behind a proxy that ends TLS the scheme is not known, so both are tried.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from proxy.errors import Unauthorized

_TOKEN = re.compile(r"[?&]token=(?P<token>[^&]*)$")
_SAVEAS = re.compile(r"(?:[?&|]|%7C)saveas/(?P<entry>[^/&|]*)/sign/(?P<token>[^/&|]*)", re.IGNORECASE)
_END = re.compile(r"[?&]e=(?P<end>[0-9]{1,12})$")
_DIGESTS = {20: hashlib.sha1, 32: hashlib.sha256}


def carries_signature(target: str) -> bool:
    """Whether a raw request target looks as if it carried a signature of any kind."""
    return "token=" in target or "/sign/" in target.lower()


def signed_until(target: str, host: str, keys: Mapping[str, str], now: float) -> int | None:
    """Until when the token of a raw request target is valid (Unix time); Unauthorized if it carries an invalid one.

    None: it carries no token.

    Without keys there is nothing that a token could be held against: it is a parameter like any other.
    """
    if not keys or "token=" not in target.partition("?")[2]:
        return None
    found = _TOKEN.search(target)
    if found is None:
        raise Unauthorized("the token must be the last parameter")
    signed = target[: found.start()]
    end = _END.search(signed)
    if end is None:
        raise Unauthorized("the token needs an end: the parameter e, right before it")
    access, _, signature = unquote(found["token"]).partition(":")
    secret = keys.get(access)
    if secret is None or not any(_matches(url, signature, secret) for url in _urls(host, signed)):
        raise Unauthorized("download token auth failed")
    if now > int(end["end"]):
        raise Unauthorized("the token has expired")
    return int(end["end"])


def may_save(target: str, host: str, keys: Mapping[str, str]) -> bool:
    """Whether a raw request target that ends in a `saveas` carries the signature for it; Unauthorized if a wrong one.

    Signed is the URL without its scheme, up to the entry; by clients that escape the `|`, as they send it.
    """
    found = _SAVEAS.search(target) if "/sign/" in target.lower() else None
    if found is None:
        return False
    access, _, signature = unquote(found["token"]).partition(":")
    secret = keys.get(access)
    url = host + target[: found.end("entry")]
    if secret is None or not any(_matches(text, signature, secret) for text in (url, unquote(url))):
        raise Unauthorized("the signature of saveas is wrong")
    return True


def sign(url: str, secret: str, digest: str = "sha1") -> str:
    """The signature of a URL that ends in `e=<unix time>`."""
    mac = hmac.new(secret.encode(), url.encode("utf-8", "surrogateescape"), digest).digest()
    return base64.urlsafe_b64encode(mac).decode()


def _urls(host: str, target: str) -> Iterator[str]:
    for scheme in ("http", "https"):
        yield f"{scheme}://{host}{target}"
        if target.startswith("/?"):  # clients that sign a URL without a path send one with the slash
            yield f"{scheme}://{host}{target[1:]}"


def _matches(url: str, signature: str, secret: str) -> bool:
    try:
        given = base64.urlsafe_b64decode(signature.rstrip("=") + "=" * (-len(signature.rstrip("=")) % 4))
    except (binascii.Error, ValueError):
        return False
    digest = _DIGESTS.get(len(given))
    if digest is None:
        return False
    expected = hmac.new(secret.encode(), url.encode("utf-8", "surrogateescape"), digest).digest()
    return hmac.compare_digest(expected, given)

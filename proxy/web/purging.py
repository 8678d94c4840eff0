"""`POST /-/api/purge`: delete what was made of originals. Needs the admin token."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping

from aiohttp import web

from proxy.errors import Forbidden, InvalidRequest, Unauthorized
from proxy.plan.keys import check_key, shown
from proxy.web.headers import PRIVATE
from proxy.web.state import SITE

MOST_BYTES = 1024 * 1024
MOST_ENTRIES = 1000
_LISTS = ("keys", "prefixes", "presets")
_TEXT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")


async def post_purge(request: web.Request) -> web.Response:
    """Purge `{"keys": […], "prefixes": […], "presets": […]}`; answers how many stored results each list deleted."""
    site = request.app[SITE]
    require_admin(request, site.admin_token)
    wanted = _read(await read_body(request, MOST_BYTES))
    presets = site.book.current.presets
    for name in wanted["presets"]:
        if name not in presets:
            raise InvalidRequest(f"there is no preset {shown(name)}")
    for key in wanted["keys"]:
        check_key(key)  # the same rules as in a URL; the message names the key
    purged = dict.fromkeys(_LISTS, 0)
    for key in wanted["keys"]:
        purged["keys"] += await site.purger.key(key)
    for prefix in wanted["prefixes"]:
        purged["prefixes"] += await site.purger.prefix(prefix)
    for name in wanted["presets"]:
        purged["presets"] += await site.purger.preset(presets[name])
    answer = {"purged": sum(purged.values()), **purged}
    return web.Response(body=json.dumps(answer).encode(), headers={**PRIVATE, "Content-Type": "application/json"})


def require_admin(request: web.Request, token: str | None) -> None:
    """Refuse whoever does not show the admin token; compared in constant time."""
    if token is None:
        raise Forbidden("the admin API is off: set IMGBANG_ADMIN_TOKEN to switch it on")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(_octets(given.strip()), _octets(token)):
        raise Unauthorized("the admin API needs 'Authorization: Bearer <admin token>'")


def _octets(text: str) -> bytes:
    """A header's value as it was sent: what is not UTF-8 arrives as surrogate escapes."""
    return text.encode(errors="surrogateescape")


async def read_body(request: web.Request, most: int) -> bytes:
    """The body of a request to the admin API, of so many bytes at most."""
    body = bytearray()
    try:
        async for chunk in request.content.iter_chunked(65536):
            body += chunk
            if len(body) > most:
                raise InvalidRequest(f"the body of this request has at most {most} bytes")
    except web.RequestPayloadError as error:
        raise InvalidRequest("the body of the request is malformed or ends too early") from error
    return bytes(body)


def _read(body: bytes) -> Mapping[str, list[str]]:
    shape = 'a purge is JSON: {"keys": ["a.jpg"], "prefixes": ["2026/"], "presets": ["thumb"]}'
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:  # a million brackets are too deep for the parser
        raise InvalidRequest(shape) from error
    if not isinstance(said, dict) or not said or set(said) - set(_LISTS):
        raise InvalidRequest(shape)
    wanted = {name: said.get(name, []) for name in _LISTS}
    for name, entries in wanted.items():
        if not isinstance(entries, list) or not all(_is_text(entry) for entry in entries):
            raise InvalidRequest(f"{name} must be a list of texts that are not empty; {shape}")
    if sum(map(len, wanted.values())) > MOST_ENTRIES:
        raise InvalidRequest(f"a purge has at most {MOST_ENTRIES} entries")
    return wanted


def _is_text(entry: object) -> bool:
    """Whether it is text that a store can be asked for: not empty, no control characters, no half surrogate pairs."""
    return isinstance(entry, str) and _TEXT.fullmatch(entry) is not None

"""The headers of answers: how long they may be kept, what they are, how they came about.

Every answer states its own caching, errors included: 404, 405, 410, 414 and 501 are cached heuristically otherwise
(RFC 9110 section 15.1). A client's own Cache-Control never changes any of this.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from urllib.parse import quote

from multidict import CIMultiDict, istr

from proxy.delivery.answer import Answer, Outcome, Stages
from proxy.plan.plan import CachePolicy, Plan
from proxy.plan.request import ImageRequest

YEAR = 31_536_000
REMEMBERED = 4096
"""Sets of headers that come again with every hit: copying one is cheaper than writing it."""
SERVER = "imgbang"
PICTURE_METHODS = "GET, HEAD, OPTIONS"
Headers = dict[str, str]

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    # Images are meant to be embedded anywhere; but nothing that we serve may run as a page of this origin.
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
}
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""For SVG: no scripts, no requests, no origin."""

NO_STORE = {"Cache-Control": "no-store"}
PRIVATE = {"Cache-Control": "private, no-store"}


@dataclass(frozen=True, slots=True)
class CacheDefaults:
    """What the settings say about caching, in whole seconds."""

    max_age: int
    cdn_max_age: int
    stale_while_revalidate: int
    stale_if_error: int
    negative: int
    nginx: int = 0
    """For nginx in front (X-Accel-Expires); 0: not said."""


def answer_headers(
    reading: ImageRequest, plan: Plan, answer: Answer, defaults: CacheDefaults, *, until: int | None = None
) -> CIMultiDict[str]:
    """All that the headers say of an answer to a request for a picture; `until` as `cache_headers` has it."""
    # A stale result may be of the version before the one that the URL means: nobody must keep it for a year.
    versioned = reading.version_token is not None and answer.outcome is not Outcome.STALE
    result = answer.result
    headers = picture_headers(
        plan.key,
        presets=plan.presets,
        etag=answer.etag,
        modified=past(answer.modified),
        media_type=None if result is None else result.media_type,
        attname=reading.attname,
        negotiated=plan.negotiated,
    ).copy()
    headers.update(cache_headers(plan.cache, defaults, versioned=versioned, until=until))
    headers[_STATUS] = cache_status(answer)
    notes = () if result is None else result.notes
    if answer.stages.seconds or notes:
        headers[_TIMING] = server_timing(answer.stages, notes)
    return headers


_STATUS, _TIMING = istr("Cache-Status"), istr("Server-Timing")


@lru_cache(maxsize=REMEMBERED)
def picture_headers(
    key: str,
    *,
    presets: tuple[str, ...],
    etag: str,
    modified: int,
    media_type: str | None,
    attname: str | None,
    negotiated: bool,
) -> CIMultiDict[str]:
    """What a picture's headers say of the picture, however it was found. To be copied.

    `modified` in whole seconds, 0 where nobody knows; `media_type` None for a 304, which describes no body.
    """
    headers = CIMultiDict(SECURITY)
    headers[istr("ETag")] = etag
    if modified > 0:
        headers[istr("Last-Modified")] = formatdate(modified, usegmt=True)
    headers.update(tag_headers(key, presets))
    if negotiated:
        headers[istr("Vary")] = "Accept"
    if media_type is not None:
        extension = media_type.rpartition("/")[2]
        name = attname or file_name(key, _EXTENSIONS.get(extension, extension))
        headers[istr("Content-Disposition")] = disposition("inline" if attname is None else "attachment", name)
        headers[istr("Content-Security-Policy")] = SANDBOX
        headers[istr("Content-Type")] = media_type
        headers[istr("Accept-Ranges")] = "bytes"
    return headers


_EXTENSIONS = {"jpeg": "jpg", "vnd.microsoft.icon": "ico"}


def cache_headers(
    policy: CachePolicy, defaults: CacheDefaults, *, versioned: bool, until: int | None = None
) -> Headers:
    """Cache-Control and CDN-Cache-Control of a picture.

    A URL that carries a version token (`?v=…`) names bytes that never change: a year, immutable (RFC 8246). Otherwise
    the preset's own policy counts, then the settings. CDN-Cache-Control (RFC 9213) is for caches that a purge reaches.
    An answer to a signed URL must not outlive the signature: `until` (Unix time) cuts everything short.

    X-Accel-Expires is for nginx alone, which obeys it before Cache-Control and removes it. Whatever a browser may do,
    nginx asks again soon, so that a purge and an edited preset reach it. A signed answer has none: our configuration
    does not keep it, because nginx serves what is stale when nobody answers it.
    """
    if policy.no_store:
        return dict(NO_STORE)
    if until is not None:
        longest = defaults.max_age if policy.max_age is None else policy.max_age
        return {"Cache-Control": f"public, max-age={max(0, min(longest, until - int(time.time())))}"}
    return dict(_unsigned_cache_headers(policy, defaults, versioned))


@lru_cache(maxsize=REMEMBERED)
def _unsigned_cache_headers(policy: CachePolicy, defaults: CacheDefaults, versioned: bool) -> Headers:  # noqa: FBT001 -- a key
    if versioned or policy.immutable:
        return {"Cache-Control": f"public, max-age={YEAR}, immutable", **_nginx_headers(defaults, YEAR)}
    max_age = defaults.max_age if policy.max_age is None else policy.max_age
    revalidate = policy.stale_while_revalidate
    revalidate = defaults.stale_while_revalidate if revalidate is None else revalidate
    if_error = defaults.stale_if_error if policy.stale_if_error is None else policy.stale_if_error
    stale = f", stale-while-revalidate={revalidate}, stale-if-error={if_error}"
    headers = {"Cache-Control": f"public, max-age={max_age}{stale}"}
    if defaults.cdn_max_age:
        headers["CDN-Cache-Control"] = f"public, max-age={max(max_age, defaults.cdn_max_age)}{stale}"
    return headers | _nginx_headers(defaults, max_age)


def negative_headers(defaults: CacheDefaults) -> Headers:
    """Cache-Control of errors that lie in the original: worth keeping for a moment."""
    if not defaults.negative:
        return dict(NO_STORE)
    return {"Cache-Control": f"public, max-age={defaults.negative}", **_nginx_headers(defaults, defaults.negative)}


def _nginx_headers(defaults: CacheDefaults, longest: int) -> Headers:
    return {"X-Accel-Expires": str(min(defaults.nginx, longest))} if defaults.nginx else {}


def tag_headers(key: str, presets: tuple[str, ...]) -> Headers:
    """Tags for CDN purges: one for the original, one for each preset (Cloudflare with commas, Fastly with blanks)."""
    tags = ["s-" + hashlib.sha256(key.encode()).hexdigest()[:12], *(f"p-{_token(name)}" for name in presets)]
    return {"Cache-Tag": ",".join(tags), "Surrogate-Key": " ".join(tags)}


def _token(text: str) -> str:
    """Printable ASCII without blanks and commas."""
    return quote(text, safe="!$&'()*+-.:;=@_~")


def validator_headers(etag: str | None, modified: float) -> Headers:
    """ETag, and Last-Modified of the original; without what its web server does not tell (None, 0)."""
    headers = {"ETag": etag} if etag is not None else {}
    seconds = past(modified)
    return headers | ({"Last-Modified": formatdate(seconds, usegmt=True)} if seconds > 0 else {})


def past(modified: float) -> int:
    """A time in whole seconds, never in the future (RFC 9110 section 8.8.2.1): clocks differ."""
    return min(int(modified), int(time.time()))


_CACHE_STATUS = {
    Outcome.HIT: "hit",
    Outcome.STALE: "hit",
    Outcome.MISS: "fwd=miss",
    Outcome.JOINED: "fwd=miss; collapsed",
}


def cache_status(answer: Answer) -> str:
    """Cache-Status (RFC 9211): how this answer came about."""
    if answer.outcome is Outcome.NOT_MODIFIED:
        return f"imgbang; hit; detail={answer.detail}-304"
    stored = "; stored" if answer.outcome is Outcome.MISS else ""
    detail = f"{answer.detail}-stale" if answer.outcome is Outcome.STALE else answer.detail
    return f"imgbang; {_CACHE_STATUS[answer.outcome]}{stored}; detail={detail}"


def server_timing(stages: Stages, notes: tuple[str, ...] = ()) -> str:
    """Server-Timing: milliseconds by stage, and what was given up on the way, for the browser's own tools to show."""
    timed = [f"{stage};dur={seconds * 1000:.1f}" for stage, seconds in stages.seconds.items()]
    return ", ".join([*timed, *(f'note;desc="{_UNSAFE_IN_NOTE.sub("_", note)}"' for note in notes)])


_UNSAFE_IN_NOTE = re.compile(r'[^ -~]|["\\]')
_UNSAFE_IN_NAME = re.compile(r"[^A-Za-z0-9 !#$&+.^_`|~@()\[\]{},=-]")


def disposition(kind: str, name: str) -> str:
    """Content-Disposition (RFC 6266): an ASCII name for everybody, the real one for those who read RFC 8187."""
    plain = _UNSAFE_IN_NAME.sub("_", name) or "image"
    if plain == name:
        return f'{kind}; filename="{plain}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def file_name(key: str, extension: str | None = None) -> str:
    """The last segment of a key, with another extension where a result has another format than its original."""
    name = key.rpartition("/")[2]
    if extension is None or name.lower().endswith(f".{extension}"):
        return name
    stem, dot, _ = name.rpartition(".")
    return f"{stem if dot and stem else name}.{extension}"

"""A web server as a source of originals.

The attacks are those of `addresses.py` (the origin, or whoever can make it redirect, points us at our own network) and
those of any server that is not ours: bodies without end, compressed bodies that are small until unpacked, cookies. So:

- only the base's host and the hosts in the settings are asked, compared exactly; only on ports 80, 443 and the base's;
- redirects are followed by hand, at most three, each hop checked like the first; from https never to http;
- nothing of ours is sent along: no credentials, no cookies, no proxy from the environment;
- `Accept-Encoding: identity`, and what comes with another coding is refused unread;
- bodies are counted (`transfer.py`).

A version is the ETag; without one, Last-Modified with the length; without that, the length alone, marked as weak; and
nothing at all where the origin tells nothing. The last two cannot tell that an original has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import quote

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from proxy.config import StoreSettings
from proxy.errors import DeadlinePassed, NotAnImage, OriginRefused, OriginUnavailable, ProxyError, RangeRefused
from proxy.stores.addresses import CheckedResolver, PrivateAddress, check_literal
from proxy.stores.base import ByteRange, ObjectBody, ObjectInfo
from proxy.stores.keys import is_key, missing, printable_version, shown
from proxy.stores.transfer import Promise, deliver

_HOPS = 3
_REDIRECTS = {301, 302, 303, 307, 308}
_NO_HEAD = {405, 501}
_HEADERS = {"Accept-Encoding": "identity", "Accept": "image/*,*/*;q=0.5", "User-Agent": "imgbang"}
_SCHEMES = {"http", "https"}


class HttpOrigin:
    """The objects below `base_url`. An async context manager: inside of it, the connections exist."""

    def __init__(self, base_url: str, settings: StoreSettings, *, resolver: AbstractResolver | None = None) -> None:
        base = URL(base_url)
        if base.scheme not in _SCHEMES or not base.raw_host or base.query_string or base.fragment or base.user:
            raise OriginUnavailable("an HTTP origin is written http[s]://host[:port][/path], without user or query")
        self._base = str(base).rstrip("/") + "/"
        self._settings = settings
        self._hosts = {base.raw_host.lower(), *settings.http_hosts}
        self._ports = {80, 443, base.port}
        self._timeout = settings.connect_timeout + settings.read_timeout
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        inner = self._resolver or aiohttp.ThreadedResolver()
        connector = aiohttp.TCPConnector(
            limit=self._settings.pool,
            keepalive_timeout=12,
            resolver=CheckedResolver(inner, private=self._settings.http_private),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def stat(self, key: str) -> ObjectInfo:
        """One HEAD, or, where the origin knows no HEAD, a GET of one byte."""
        try:
            async with self._answer("HEAD", key, {}) as answer:
                return _info(key, answer)
        except _NoHead:
            return await self._stat_by_get(key)

    async def _stat_by_get(self, key: str) -> ObjectInfo:
        try:
            async with self._answer("GET", key, {"Range": "bytes=0-0"}) as answer:
                return _info(key, answer)
        except RangeRefused:  # an empty object has no first byte; nor has its body anything to wait for
            async with self._answer("GET", key, {}) as answer:
                return _info(key, answer)

    @asynccontextmanager
    async def open(self, key: str, *, span: ByteRange | None = None) -> AsyncIterator[ObjectBody]:
        """One GET."""
        headers = {} if span is None else {"Range": f"bytes={span.first}-{span.last}"}
        async with AsyncExitStack() as stack:
            try:
                answer = await stack.enter_async_context(self._answer("GET", key, headers))
            except RangeRefused as error:
                if error.size:
                    raise
                # Not every server tells the size with its 416, and our own 416 must: one more call in a rare case.
                raise RangeRefused(error.message, (await self.stat(key)).size) from error
            info = _info(key, answer)
            promise = _promise(key, answer, info.size, span, self._settings.max_bytes)

            async def read(limit: int) -> bytes:
                try:
                    return await answer.content.read(limit)
                except (aiohttp.ClientError, ConnectionError) as error:
                    raise OriginUnavailable(f"the origin broke off in the middle of {shown(key)}") from error

            yield ObjectBody(info, deliver(read, promise, silence=self._settings.read_timeout))

    @asynccontextmanager
    async def _answer(self, method: str, key: str, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to one request, redirects followed; released on every way out."""
        if not is_key(key):
            raise missing(key)
        # Encoded exactly once: the key is text, and `%2F` in it means those three characters.
        url = URL(self._base + quote(key, safe="/"), encoded=True)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._follow(method, url, headers)
        except TimeoutError as error:
            raise DeadlinePassed("the origin does not answer") from error
        try:
            _check_status(method, key, answer)
            yield answer
        finally:
            # Closed rather than released unless read to its end: what is left of a body may be large, or endless.
            answer.close()

    async def _follow(self, method: str, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        for _ in range(1 + _HOPS):
            self._check(url)
            answer = await self._send(method, url, headers)
            if answer.status not in _REDIRECTS:
                return answer
            target = answer.headers.get("Location", "")
            answer.close()
            previous, url = url, _joined(url, target)
            if previous.scheme == "https" and url.scheme != "https":
                raise OriginRefused("the origin redirects from https to something less")
        raise OriginUnavailable(f"the origin redirects more than {_HOPS} times")

    def _check(self, url: URL) -> None:
        """Raise OriginRefused unless this URL may be asked: done for the first hop and for each after it.

        The very object that is checked is also sent: two parsers would disagree about some URL.
        """
        if url.scheme not in _SCHEMES or url.raw_user is not None or url.raw_password is not None:
            raise OriginRefused("the origin redirects to something that is no plain http or https URL")
        host = (url.raw_host or "").lower()
        if host not in self._hosts:
            raise OriginRefused("the origin redirects to a host that is not allowed")
        if url.port not in self._ports:
            raise OriginRefused("the origin redirects to a port that is not allowed")
        check_literal(host, private=self._settings.http_private)

    async def _send(self, method: str, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the origin has not been started")
        try:
            return await self._session.request(method, url, headers=headers, allow_redirects=False)
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error.__cause__, PrivateAddress) or isinstance(error, PrivateAddress):
                raise OriginRefused("the origin's address is not public") from error
            raise OriginUnavailable("the origin cannot be reached") from error


def _joined(url: URL, target: str) -> URL:
    if not target:
        raise OriginUnavailable("the origin redirects to nowhere")
    try:
        return url.join(URL(target))
    except ValueError as error:
        raise OriginUnavailable("the origin redirects to something that is no URL") from error


class _NoHead(Exception):
    """The origin does not answer HEAD."""


def _check_status(method: str, key: str, answer: aiohttp.ClientResponse) -> None:
    status = answer.status
    if method == "HEAD" and status in _NO_HEAD:
        raise _NoHead
    if status == 416:
        raise RangeRefused(f"{shown(key)} has fewer bytes than that", _total(answer) or 0)
    error = _refusal(key, status)
    if error is not None:
        raise error
    coding = answer.headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity"):
        # The attack: a few kilobytes that unpack to gigabytes. Images gain nothing from it anyway.
        raise NotAnImage(
            f"the origin sends {shown(key)} with the content coding {coding[:20]!r}; it must send it plain"
        )


def _refusal(key: str, status: int) -> ProxyError | None:
    if status in (200, 206):
        return None
    if status in (404, 410):
        return missing(key)
    if status in (401, 403, 407, 451):
        return OriginRefused(f"the origin refuses access to {shown(key)}")
    return OriginUnavailable(f"the origin answered {shown(key)} with status {status}")


def _info(key: str, answer: aiohttp.ClientResponse) -> ObjectInfo:
    size = _size(answer)
    told = answer.headers.get("Last-Modified", "")
    etag = printable_version(answer.headers.get("ETag", ""))
    if etag:
        version = etag
    elif told:
        version = printable_version(f"{told}-{size if size is not None else ''}")
    else:
        version = "" if size is None else f"length-{size}"
    return ObjectInfo(
        key=key,
        size=size or 0,
        version=version,
        modified=_seconds(told),
        content_type=answer.headers.get("Content-Type"),
    )


def _size(answer: aiohttp.ClientResponse) -> int | None:
    """Bytes of the whole object; None where the origin does not tell."""
    return _total(answer) if answer.status == 206 else _number(answer.headers.get("Content-Length", ""))


def _total(answer: aiohttp.ClientResponse) -> int | None:
    return _number(answer.headers.get("Content-Range", "").rpartition("/")[2])


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None


def _seconds(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _promise(key: str, answer: aiohttp.ClientResponse, size: int, span: ByteRange | None, max_bytes: int) -> Promise:
    """Which bytes of the answer to deliver."""
    known = _size(answer)
    limit = max(max_bytes, size)
    if span is None:
        if answer.status == 206:
            raise OriginUnavailable("the origin answered with a part of what it was asked for")
        return Promise(0, known, limit)
    if known is None:
        raise OriginUnavailable(f"the origin cannot give a range of {shown(key)}: it does not tell the size")
    if span.first >= known:
        raise RangeRefused(f"{shown(key)} has {known} bytes", known)
    count = min(span.last + 1, known) - span.first
    if answer.status != 206:  # it ignores ranges: the answer is the whole object
        return Promise(span.first, count, limit)
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {span.first}-"):
        raise OriginUnavailable(f"the origin answered with other bytes of {shown(key)} than it was asked for")
    return Promise(0, count, limit)

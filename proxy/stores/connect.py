"""From a URL in the settings to a store: `file://`, `s3://` and, for originals only, `http://` and `https://`.

`connect` is for results and `connect_source` for originals; they differ in one thing besides the protocol: the
directory of a results store is made when it is missing, a missing directory of originals is an error at start. An
empty directory made instead would answer 404 to everything, and caches would remember that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from proxy.config import StoreSettings
from proxy.errors import OriginUnavailable
from proxy.stores.base import Source, Store
from proxy.stores.http import HttpOrigin
from proxy.stores.local import LocalStore


@asynccontextmanager
async def connect(url: str, settings: StoreSettings) -> AsyncIterator[Store]:
    """A store for results: `file://directory` or `s3://bucket[/prefix]`.

    Raises OriginUnavailable with a message for the operator, which names the URL and what was expected.
    """
    async with _store(url, settings, make=True) as store:
        yield store


@asynccontextmanager
async def connect_source(url: str, settings: StoreSettings) -> AsyncIterator[Source]:
    """A source of originals: `file://directory`, `s3://bucket[/prefix]` or `http[s]://host[/path]`.

    Raises OriginUnavailable with a message for the operator, which names the URL and what was expected.
    """
    if url.startswith(("http://", "https://")):
        async with HttpOrigin(url, settings) as origin:
            yield origin
    else:
        async with _store(url, settings, make=False) as store:
            yield store


def _store(url: str, settings: StoreSettings, *, make: bool) -> AbstractAsyncContextManager[Store]:
    if url.startswith("s3://"):
        # By hand: in S3 `?`, `#` and `%` are ordinary characters of a prefix.
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        from proxy.stores.s3 import S3Store  # noqa: PLC0415 -- a tenth of a second of imports, for S3 only

        return S3Store(bucket, prefix, settings)
    if url.startswith("file:"):
        return _local(url, settings, make=make)
    raise OriginUnavailable(f"cannot use {url!r} as a store: expected file://directory or s3://bucket[/prefix]")


@asynccontextmanager
async def _local(url: str, settings: StoreSettings, *, make: bool) -> AsyncIterator[LocalStore]:
    root = file_path(url)
    try:
        if make:
            await asyncio.to_thread(root.mkdir, parents=True, exist_ok=True)
        real = await asyncio.to_thread(root.resolve, strict=True)
        if not real.is_dir():
            raise NotADirectoryError(real)
    except OSError as error:
        raise OriginUnavailable(f"cannot use {url!r}: there is no directory {root} ({error.strerror})") from error
    async with LocalStore(real, settings) as store:
        yield store


def file_path(url: str) -> Path:
    """The directory a `file:` URL names: `file://./images` is relative to the working directory, `file:///data` not."""
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise OriginUnavailable(f"cannot use {url!r}: write `?` as %3F and `#` as %23 in a file URL")
    path = unquote(parts.path, errors="surrogateescape")
    if parts.netloc in (".", ".."):
        return Path(parts.netloc + path)
    if parts.netloc not in ("", "localhost") or not path:
        raise OriginUnavailable(
            f"cannot use {url!r}: expected file://./relative/directory or file:///absolute/directory"
        )
    return Path(path)

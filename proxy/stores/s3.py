"""A bucket as a source and store, through aiobotocore. This module and `s3_reads` alone know S3.

What the client library does not do by itself, and this module does:

1. Time. The library bounds connecting and the gap between two reads, not the wait for a free connection nor a call as a
   whole; every call here has a time-out of its own.
2. Bodies. The library neither notices a body that ends early in its own words nor ever gives up on a slow one
   (`transfer.py`), and an unread body keeps its connection: it is closed on every way out.
3. Errors, by HTTP status rather than by code: a HEAD has no body to carry a code. Missing and refused are told apart,
   because a refusal taken for "missing" deletes results, and one taken for an outage opens the breaker.
4. CPU. Of the millisecond that the library spends on one call, a fifth goes into a User-Agent that it builds anew each
   time and into a reader of dates of every form; both are settings.
5. Checksums. Since botocore 1.36 every PUT carries a CRC32, as an aws-chunked trailer, which GCS, Aliyun OSS, older
   Ceph and Swift refuse. On AWS itself it is left on, elsewhere it is sent only where required.

Credentials, region and endpoint come from AWS's own variables, profiles and web identity, as in every AWS tool.
No `Cache-Control` is set on objects: a result is overwritten in place when its original changes, and how long it may be
cached is said when it is served.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.loaders import Loader, create_loader
from botocore.utils import parse_timestamp

from proxy import __version__
from proxy.config import StoreSettings
from proxy.errors import DeadlinePassed, NotAnImage, OriginRefused, OriginUnavailable, ProxyError, RangeRefused
from proxy.stores.base import ByteRange, ObjectBody, ObjectInfo
from proxy.stores.keys import MAX_KEY_BYTES, is_key, missing, printable_metadata, printable_version, shown, unwritable
from proxy.stores.s3_reads import Reads, Refused, reads_of
from proxy.stores.transfer import Promise, deliver

_USER_AGENT = f"imgbang/{__version__}"
_SLOWEST_UPLOAD = 256 * 1024
"""Bytes per second that a write is given time for."""
_PLAIN = {"", "identity", "aws-chunked"}
"""Content codings that are none: the last is a trace of the upload that some servers store."""
_OUTAGES = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeTooSkewed"}
_BAD_CREDENTIALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}


class S3Store:
    """The objects of `bucket` below `prefix`. An async context manager: inside of it, the client exists."""

    def __init__(self, bucket: str, prefix: str, settings: StoreSettings) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._settings = settings
        self._timeout = settings.connect_timeout + settings.read_timeout
        self._stack = AsyncExitStack()
        # Any: the library makes its methods at run time from a description of the service.
        self._client: Any = None
        self._reads: Reads | None = None

    async def __aenter__(self) -> Self:
        # In a thread: configuration files are read from disk.
        session, region = await asyncio.to_thread(_session)
        try:
            await self._connect(session, region, checksums=None)
            if not _is_aws(self._client.meta.endpoint_url):
                # Only a client knows which endpoint all of AWS's variables and profiles lead to. Nothing was sent yet.
                await self._stack.aclose()
                await self._connect(session, region, checksums="when_required")
            await self._connect_reads(session)
        except (BotoCoreError, ValueError) as error:
            raise OriginUnavailable(f"the S3 client cannot start: {error}") from error
        return self

    async def _connect(self, session: AioSession, region: str, *, checksums: str | None) -> None:
        config = _config(self._settings, checksums)
        client = session.create_client("s3", region_name=region, config=config)
        self._client = await self._stack.enter_async_context(client)

    async def _connect_reads(self, session: AioSession) -> None:
        settings = self._settings
        reads = await reads_of(
            session,
            self._client,
            self._bucket,
            user_agent=_USER_AGENT,
            pool=settings.pool,
            connect=settings.connect_timeout,
            read=settings.read_timeout,
        )
        if reads is not None:
            self._reads = await self._stack.enter_async_context(reads)

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def stat(self, key: str) -> ObjectInfo:
        """One HeadObject."""
        name = self._name(key)
        if name is None:
            raise missing(key)
        async with self._call(key):
            answer = await _again_if_dropped(self._head, name)
        length = answer.get("ContentLength")
        if length is None:
            raise OriginUnavailable(f"the bucket does not tell the size of {shown(key)}")
        return _info(key, answer, int(length))

    @asynccontextmanager
    async def open(self, key: str, *, span: ByteRange | None = None) -> AsyncIterator[ObjectBody]:
        """One GetObject, whose ETag and bytes belong together; a HEAD before it could tell of another version."""
        name = self._name(key)
        if name is None:
            raise missing(key)
        try:
            async with self._call(key):
                answer = await _again_if_dropped(self._get, name, span)
        except RangeRefused as error:
            if error.size:
                raise
            # Not every server tells the size with its 416, and our own 416 must: one more call in a rare case.
            raise RangeRefused(error.message, (await self.stat(key)).size) from error
        body = answer["Body"]
        try:
            size, promise = _promise(key, answer, span)
            _check_coding(key, answer)

            async def read(limit: int) -> bytes:
                with _translated(key, denied_is_missing=False):
                    chunk: bytes = await body.read(limit)
                    return chunk

            yield ObjectBody(_info(key, answer, size), deliver(read, promise, silence=self._settings.read_timeout))
        finally:
            # Gives the connection back if the body was read to its end, else closes it: either way, the slot is free.
            body.close()

    async def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str]) -> None:
        """One PutObject, which S3 makes visible as a whole; a second where the bucket failed inside."""
        name = self._name(key)
        if name is None:
            raise unwritable(key)
        async with self._call(key, more=len(body) / _SLOWEST_UPLOAD):
            await _again_if_failed(
                self._client.put_object,
                Bucket=self._bucket,
                Key=name,
                Body=body,
                ContentType=content_type,
                Metadata=printable_metadata(metadata),
            )

    async def delete(self, key: str) -> None:
        """One DeleteObject; several at once (DeleteObjects) need an MD5 that not every store gets."""
        name = self._name(key)
        if name is not None:
            async with self._call(key):
                await _again_if_dropped(self._client.delete_object, Bucket=self._bucket, Key=name)

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """ListObjectsV2, page by page; what is no key (such as the `folder/` of a console) is left out."""
        start = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        more: dict[str, str] = {}
        while True:
            async with self._call(prefix):
                page = await _again_if_dropped(self._client.list_objects_v2, **start, **more)
            for entry in page.get("Contents", ()):
                name = str(entry["Key"])
                key = name.removeprefix(self._prefix)
                # The second wall of the prefix: a server that ignores it must not have us delete others' objects.
                if name.startswith(self._prefix + prefix) and is_key(key):
                    yield key
            if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    async def _head(self, name: str) -> Mapping[str, Any]:
        answer = None if self._reads is None else await self._reads.head(name)
        if answer is None:
            answer = await self._client.head_object(Bucket=self._bucket, Key=name)
        return answer

    async def _get(self, name: str, span: ByteRange | None) -> Mapping[str, Any]:
        headers = {} if span is None else {"Range": f"bytes={span.first}-{span.last}"}
        answer = None if self._reads is None else await self._reads.get(name, headers)
        if answer is None:
            answer = await self._client.get_object(Bucket=self._bucket, Key=name, **headers)
        return answer

    def _name(self, key: str) -> str | None:
        """The full name of `key` in the bucket; None where there cannot be one."""
        name = self._prefix + key
        return name if is_key(key) and len(name.encode()) <= MAX_KEY_BYTES else None

    @asynccontextmanager
    async def _call(self, key: str, *, more: float = 0.0) -> AsyncIterator[None]:
        """One call: at most as long as a store may take, with the library's errors turned into ours."""
        try:
            async with asyncio.timeout(self._timeout + more):
                with _translated(key, denied_is_missing=self._settings.s3_denied_is_missing):
                    yield
        except TimeoutError as error:
            raise DeadlinePassed("the bucket does not answer") from error


async def _again_if_dropped(call: Callable[..., Awaitable[Any]], *values: Any, **arguments: Any) -> Any:
    """Call once more, at once, if the server closed the connection: it may have been idle for longer than it keeps any.

    Every call here may be repeated: reads, and writes of whole objects.
    """
    try:
        return await call(*values, **arguments)
    except (ConnectionClosedError, aiohttp.ServerDisconnectedError):
        return await call(*values, **arguments)


async def _again_if_failed(call: Callable[..., Awaitable[Any]], **arguments: Any) -> Any:
    """As `_again_if_dropped`, and once more after an InternalError too, of which S3 says: try again.

    For writes only: nobody waits for the save of a result, and what is not saved is rendered again.
    """
    try:
        return await _again_if_dropped(call, **arguments)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "InternalError":
            raise
        return await _again_if_dropped(call, **arguments)


def _session() -> tuple[AioSession, str]:
    """A session and the region."""
    session = get_session()
    session.register_component("data_loader", _models(session.get_config_variable("data_path")))
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=read_timestamp)
    # botocore reads AWS_DEFAULT_REGION only; every other AWS library, and Kubernetes' web identity, sets AWS_REGION.
    region = os.environ.get("AWS_REGION") or session.get_config_variable("region") or "us-east-1"
    return session, region


def read_timestamp(value: str | float) -> datetime:
    """Read a time that a server tells: an HTTP date here, every other form as the library does."""
    if isinstance(value, str):
        with suppress(TypeError, ValueError):
            found = parsedate_to_datetime(value)
            if found.tzinfo is not None:
                return found
    known: datetime = parse_timestamp(value)
    return known


@functools.cache
def _models(path: str | None) -> Loader:
    # The descriptions of the service are megabytes of JSON; originals and results need them once.
    return create_loader(path)


def _is_aws(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _config(settings: StoreSettings, checksums: str | None) -> AioConfig:
    return AioConfig(
        signature_version="s3v4",
        user_agent=_USER_AGENT,
        # "auto" is botocore's own: path style where an endpoint is configured, the bucket as a host name on AWS.
        s3={"addressing_style": settings.s3_addressing.value},
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        max_pool_connections=settings.pool,
        # One attempt: the library's retries wait up to a second before the second, which a request would feel while
        # the bucket is away; and they multiply with those of CDNs and nginx before us. See `_again_if_dropped`.
        retries={"mode": "standard", "total_max_attempts": 1},
        connector_args={"keepalive_timeout": 12},
        # Else the first call parses a megabyte of JSON on the event loop.
        warm_up_loader_caches=True,
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
    )


def _info(key: str, answer: Mapping[str, Any], size: int) -> ObjectInfo:
    modified = answer.get("LastModified")
    if isinstance(modified, str):
        modified = read_timestamp(modified)
    seconds = modified.timestamp() if modified is not None else 0.0
    return ObjectInfo(
        key=key,
        size=size,
        version=printable_version(answer.get("ETag", "")) or f"{seconds:.0f}-{size}",
        modified=seconds,
        content_type=answer.get("ContentType"),
        # Written by others, it may hold anything: RFC 2047 words, raw UTF-8.
        metadata=printable_metadata(answer.get("Metadata", {})),
    )


def _promise(key: str, answer: Mapping[str, Any], span: ByteRange | None) -> tuple[int, Promise]:
    """The object's whole size, and which bytes of the answer to deliver."""
    length = answer.get("ContentLength")
    if length is None:
        raise OriginUnavailable(f"the bucket does not tell the size of {shown(key)}")
    if span is None:
        return length, Promise(0, length, length)
    told = str(answer.get("ContentRange") or "")
    total = told.rpartition("/")[2]
    if not told:  # the server ignores ranges: the answer is the whole object
        size, skip = length, span.first
    elif total.isdecimal() and told.startswith(f"bytes {span.first}-"):
        size, skip = int(total), 0
    else:
        raise OriginUnavailable(f"the bucket answered with other bytes of {shown(key)} than it was asked for")
    if span.first >= size:
        raise RangeRefused(f"{shown(key)} has {size} bytes", size)
    count = min(span.last + 1, size) - span.first
    return size, Promise(skip, count, count)


def _check_coding(key: str, answer: Mapping[str, Any]) -> None:
    coding = str(answer.get("ContentEncoding") or "").lower()
    if not _PLAIN.issuperset(part.strip() for part in coding.split(",")):
        raise NotAnImage(f"{shown(key)} is stored with the content coding {coding[:20]!r}; store it uncompressed")


@contextmanager
def _translated(key: str, *, denied_is_missing: bool) -> Iterator[None]:
    """Turn the library's errors into ours."""
    try:
        yield
    except (ClientError, Refused) as error:
        raise _refusal(key, error.response, denied_is_missing=denied_is_missing) from error
    except (ReadTimeoutError, ConnectTimeoutError) as error:
        raise DeadlinePassed("the bucket does not answer") from error
    except NoCredentialsError as error:
        raise OriginUnavailable("there are no credentials for the bucket") from error
    except TimeoutError:
        raise
    except (BotoCoreError, aiohttp.ClientError, OSError, ValueError) as error:
        raise OriginUnavailable("the bucket cannot be reached, or broke off") from error


def _refusal(key: str, answer: Mapping[str, Any], *, denied_is_missing: bool) -> ProxyError:
    """The error for an answer with an error status."""
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        return OriginUnavailable("the bucket does not exist")
    if status == 404 or code == "NoSuchKey":
        return missing(key)
    if status == 416:
        return RangeRefused(f"{shown(key)} has fewer bytes than that", _told_size(answer))
    if code == "InvalidObjectState":
        return OriginRefused(f"{shown(key)} is in an archived storage class and must be restored first")
    if code in _BAD_CREDENTIALS:
        return OriginRefused("the bucket refuses our credentials")
    if status == 403 and code not in _OUTAGES:
        return missing(key) if denied_is_missing else OriginRefused(f"the bucket refuses access to {shown(key)}")
    return OriginUnavailable(f"the bucket failed at {shown(key)}")


def _told_size(answer: Mapping[str, Any]) -> int:
    """The size that came with a 416, as the standard's header or S3's own element; 0 where neither came."""
    header = str(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("content-range", ""))
    for text in (header.rpartition("/")[2], str(answer.get("Error", {}).get("ActualObjectSize", ""))):
        if text.isdecimal():
            return int(text)
    return 0

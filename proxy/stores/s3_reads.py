"""HEAD and GET of one bucket, signed by botocore and sent by aiohttp, without what lies between them.

A hit in the bucket is one read, and the client library takes most of its CPU: it validates, resolves the endpoint,
emits a dozen events and parses by a model, for each call. What reads need of it is asked once, when the store opens:
where the bucket is and who signs. Measured with `rclone serve s3` (docs/performance.md): two fifths of the library's
CPU for each read.

Rules:

1. The library answers wherever this module might be wrong: buckets of other kinds (ARNs, S3 Express), proxies from the
   environment, and every answer that says to ask elsewhere or otherwise. Trusted is whom the library trusts.
2. What comes back has the names that the library uses, so that the store reads both alike.
3. Credentials are asked for each call: they may be refreshed meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import aiohttp
from aiobotocore.session import AioSession
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import NoCredentialsError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies
from yarl import URL

_ELSEWHERE = {301, 302, 303, 307, 308, 400}
"""Answers of AWS to those who ask in the wrong region, or sign for it: the library knows what to do then."""
_METADATA = "x-amz-meta-"
_MOST_OF_AN_ERROR = 16_384
_ELEMENT = re.compile(r"<(Code|ActualObjectSize)>([^<]{0,200})</")


class Refused(Exception):
    """An answer with an error status, in the words of the library's own errors. Never leaves the store."""

    def __init__(self, response: Mapping[str, Any]) -> None:
        super().__init__(response)
        self.response = response


class Body(NamedTuple):
    """The body of an answer."""

    response: aiohttp.ClientResponse

    async def read(self, limit: int) -> bytes:
        """The next bytes, 1 to `limit` of them, as they come; nothing at the end."""
        return await self.response.content.read(limit)

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        self.response.close()


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Where a bucket is, and who signs for it."""

    base: str
    """What the URLs of its objects begin with."""
    region: str
    credentials: Any
    """Any: the library has no types. Its `get_frozen_credentials` refreshes them first where that is due."""
    trust: ssl.SSLContext | bool


class Reads:
    """Reads of the objects of one bucket. An async context manager: inside of it, the connections exist."""

    def __init__(self, bucket: _Bucket, *, user_agent: str, pool: int, connect: float, read: float) -> None:
        self._bucket = bucket
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=pool, keepalive_timeout=12, ssl=bucket.trust),
            auto_decompress=False,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def head(self, name: str) -> Mapping[str, Any] | None:
        """What is known of an object; None if the library should ask."""
        answer = await self._ask("HEAD", name, {})
        if answer is None:
            return None
        answer.close()
        return _in_the_librarys_words(answer)

    async def get(self, name: str, headers: Mapping[str, str]) -> Mapping[str, Any] | None:
        """An object; its `Body` is to be closed. None if the library should ask."""
        answer = await self._ask("GET", name, headers)
        if answer is None:
            return None
        return {**_in_the_librarys_words(answer), "Body": Body(answer)}

    async def _ask(self, method: str, name: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse | None:
        bucket = self._bucket
        request = AWSRequest(method, bucket.base + quote(name, safe="/~"), headers)
        signer = S3SigV4Auth(await bucket.credentials.get_frozen_credentials(), "s3", bucket.region)
        signer.add_auth(request)
        url, signed = URL(request.url, encoded=True), dict(request.headers.items())
        answer = await self._session.request(method, url, headers=signed, allow_redirects=False)
        if answer.status < 300:
            return answer
        try:
            await _refuse(answer)
        finally:
            answer.close()
        return None


async def reads_of(session: AioSession, client: Any, bucket: str, **settings: Any) -> Reads | None:
    """Reads of a bucket as `client` would make them; None where the library had better make them itself."""
    if bucket.startswith("arn:") or bucket.endswith("--x-s3"):
        return None
    credentials = await session.get_credentials()
    if credentials is None:
        return None
    try:
        example = await client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    except NoCredentialsError:
        return None
    base = example.partition("?")[0].removesuffix("k")
    if get_environ_proxies(base):
        return None
    trust: ssl.SSLContext | bool = True
    if base.startswith("https:"):
        # In a thread: the certificates are read from disk.
        bundle = get_cert_path(session.get_config_variable("ca_bundle") or True)
        trust = await asyncio.to_thread(ssl.create_default_context, cafile=bundle)
    return Reads(_Bucket(base, client.meta.region_name, credentials, trust), **settings)


def _in_the_librarys_words(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    headers = answer.headers
    length = headers.get("Content-Length", "")
    return {
        "ContentLength": int(length) if length.isdecimal() else None,
        "ContentRange": headers.get("Content-Range"),
        "ContentEncoding": headers.get("Content-Encoding"),
        "ContentType": headers.get("Content-Type"),
        "ETag": headers.get("ETag", ""),
        "LastModified": headers.get("Last-Modified"),
        "Metadata": {
            name[len(_METADATA) :]: value for name, value in headers.items() if name.lower().startswith(_METADATA)
        },
    }


async def _refuse(answer: aiohttp.ClientResponse) -> None:
    """Raise what an answer with an error status says, unless it says to ask otherwise."""
    if answer.status in _ELSEWHERE:
        return
    # Read by pattern, not as XML: it is for two words of it, and who sends it may be anybody.
    text = bytearray()
    async for chunk in answer.content.iter_any():  # to its end, where it has one: then the connection is used again
        text += chunk
        if len(text) > _MOST_OF_AN_ERROR:
            break
    headers = {name.lower(): value for name, value in answer.headers.items()}
    raise Refused(
        {
            "Error": dict(_ELEMENT.findall(text.decode(errors="replace"))),
            "ResponseMetadata": {"HTTPStatusCode": answer.status, "HTTPHeaders": headers},
        }
    )

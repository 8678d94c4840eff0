"""The bucket store: the contract on a real server that checks signatures, and what a scripted one can do to it."""

from __future__ import annotations

import asyncio
import ssl
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiobotocore.session import get_session

from proxy import __version__
from proxy.config import Addressing, StoreSettings
from proxy.errors import (
    DeadlinePassed,
    NotAnImage,
    OriginalNotFound,
    OriginRefused,
    OriginUnavailable,
    ProxyError,
    RangeRefused,
)
from proxy.stores.base import ByteRange
from proxy.stores.s3 import S3Store
from tests.contracts.store import LARGE, StoreContract, keys, read
from tests.servers.faults import (
    FaultProxy,
    Received,
    Script,
    ScriptedServer,
    drip,
    reply,
    silence,
    then_close,
    then_stall,
)
from tests.servers.rclone import RcloneServer, find_rclone

BUCKET = "pictures"
CALM = StoreSettings(pool=4)
FAST = replace(CALM, connect_timeout=0.3, read_timeout=0.4)
"""For tests in which time must run out; the others must not be in a hurry on a busy machine."""


async def _no_reads(*_: object, **__: object) -> None:
    """Leave reads to the library."""


@pytest.fixture(params=["reads of our own", "reads by the library"], autouse=True)
def who_reads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to read must be the same to everybody; what else tests do is done twice."""
    if request.param == "reads by the library":
        monkeypatch.setattr("proxy.stores.s3.reads_of", _no_reads)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    who: str = request.param
    return who


@pytest.fixture
def server(rclone_server: RcloneServer, monkeypatch: pytest.MonkeyPatch) -> RcloneServer:
    """The shared server, with AWS's variables pointing at it."""
    rclone_server.make_bucket(BUCKET)
    for name, value in rclone_server.environment.items():
        monkeypatch.setenv(name, value)
    return rclone_server


class TestContract(StoreContract):
    """The contract, on a real server, each test below a prefix of its own."""

    overwrites_under_readers = False
    test_long_segments = None  # this server's disk cannot; see TestInMemory
    test_file_and_directory_of_one_name = None  # this server's disk cannot, and it hangs instead of saying so
    test_racing_writers_leave_one_object = None  # this server's disk mixes them now and then; see TestInMemory
    test_cancelled_writes = None  # this server shows objects before all of them has come; see test_a_write_given_up

    @pytest.fixture
    async def store(self, server: RcloneServer, settings: StoreSettings) -> AsyncIterator[S3Store]:
        async with S3Store(BUCKET, f"tests/{uuid.uuid4().hex}", settings) as opened:
            yield opened


class TestInMemory:
    """What a disk cannot hold a bucket can: shown on a server that keeps its buckets in memory."""

    overwrites_under_readers = True
    test_long_segments = StoreContract.test_long_segments
    test_racing_writers_leave_one_object = StoreContract.test_racing_writers_leave_one_object
    fill = StoreContract.fill

    @pytest.fixture
    async def store(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: StoreSettings
    ) -> AsyncIterator[S3Store]:
        server = RcloneServer(find_rclone(), tmp_path / "buckets", remote=":memory:").start()
        try:
            for name, value in server.environment.items():
                monkeypatch.setenv(name, value)
            async with get_session().create_client("s3", region_name="us-east-1") as client:
                await client.create_bucket(Bucket=BUCKET)
            async with S3Store(BUCKET, "", settings) as opened:
                yield opened
        finally:
            server.stop()


async def test_prefixes_are_walls(server: RcloneServer, settings: StoreSettings) -> None:
    """A store neither sees nor touches what lies beside its prefix, even where that begins alike."""
    async with S3Store(BUCKET, "walls", settings) as outer, S3Store(BUCKET, "walls/in", settings) as inner:
        await outer.put("in/a", b"inner", content_type="image/png", metadata={})
        await outer.put("inside/a", b"outer", content_type="image/png", metadata={})

        assert await read(inner, "a") == b"inner"
        assert await keys(inner, "") == {"a"}
        assert await keys(inner, "a") == {"a"}
        await inner.delete("side/a")
        assert await keys(outer, "") == {"in/a", "inside/a"}


@pytest.mark.parametrize("prefix", ["", "/", "a", "/a/", "a/b", "blank in/pre+fix%"])
async def test_any_spelling_of_a_prefix(server: RcloneServer, settings: StoreSettings, prefix: str) -> None:
    """Slashes around a prefix mean nothing; its other characters are literal."""
    name = f"{uuid.uuid4().hex}.jpg"
    async with S3Store(BUCKET, prefix, settings) as store:
        await store.put(name, b"x", content_type="image/png", metadata={})
        assert name in await keys(store, name[:5])

    assert (server.directory / BUCKET / prefix.strip("/") / name).read_bytes() == b"x"


async def test_the_prefix_counts_for_the_length(server: RcloneServer, settings: StoreSettings) -> None:
    """A key that only with its prefix exceeds 1,024 bytes is missing, and cannot be written."""
    key = "/".join(["x" * 200] * 5)
    async with S3Store(BUCKET, "p" * 100, settings) as store:
        with pytest.raises(OriginalNotFound):
            await store.stat(key)
        with pytest.raises(OriginUnavailable):
            await store.put(key, b"x", content_type="image/png", metadata={})


async def test_wrong_secret_is_a_refusal(
    server: RcloneServer, settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong secret is an error of ours, never a missing image."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    async with S3Store(BUCKET, "", settings) as store:
        with pytest.raises(OriginRefused):
            await store.stat("a")
        with pytest.raises(OriginRefused):
            await read(store, "a")
        with pytest.raises(OriginRefused):
            await store.put("a", b"x", content_type="image/png", metadata={})
        with pytest.raises(OriginRefused):
            await keys(store, "")


async def test_missing_bucket_is_no_missing_object(server: RcloneServer, settings: StoreSettings) -> None:
    """Where the bucket does not exist, reading says so: a typo must not look like an empty site."""
    async with S3Store("no-such-bucket", "", settings) as store:
        with pytest.raises(OriginUnavailable):
            await read(store, "a")


async def test_folder_markers_are_not_listed(server: RcloneServer, settings: StoreSettings) -> None:
    """What a console leaves for a folder is no object."""
    prefix = uuid.uuid4().hex
    async with S3Store(BUCKET, prefix, settings) as store:
        await store.put("folder/a", b"x", content_type="image/png", metadata={})
        (server.directory / BUCKET / prefix / "empty").mkdir()

        assert await keys(store, "") == {"folder/a"}


async def test_restart_between_calls(server: RcloneServer, settings: StoreSettings) -> None:
    """A server that was restarted is used again: kept connections that died are not the caller's problem."""
    async with S3Store(BUCKET, uuid.uuid4().hex, settings) as store:
        await store.put("a", b"x", content_type="image/png", metadata={})
        server.restart()

        assert await read(store, "a") == b"x"


async def test_cut_in_the_middle(
    server: RcloneServer, settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that dies in a body is an outage at once, and the next call works."""
    port = int(server.url.rpartition(":")[2])
    async with FaultProxy("127.0.0.1", port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        async with S3Store(BUCKET, uuid.uuid4().hex, settings) as store:
            await store.put("a", LARGE, content_type="image/png", metadata={})
            proxy.cut_after = 300_000
            with pytest.raises(OriginUnavailable):
                await read(store, "a")
            proxy.cut_after = None

            assert await read(store, "a") == LARGE


# What follows talks to a scripted server.


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ACCESSKEY123")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRETKEY123")
    return monkeypatch


def at(
    server: ScriptedServer, environment: pytest.MonkeyPatch, settings: StoreSettings = CALM
) -> AbstractAsyncContextManager[S3Store]:
    environment.setenv("AWS_ENDPOINT_URL_S3", server.url)
    return S3Store(BUCKET, "pre", settings)


def xml(code: str, **more: str) -> bytes:
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in {"Code": code, **more}.items())
    return f"<?xml version='1.0'?><Error>{inside}</Error>".encode()


async def test_a_dead_server_is_an_outage_at_once(environment: pytest.MonkeyPatch) -> None:
    """Where nobody listens, a call fails as soon as its one retry has."""
    async with ScriptedServer(silence) as server:
        pass
    async with at(server, environment) as store:
        begun = time.monotonic()
        with pytest.raises(OriginUnavailable):
            await store.stat("a")
        with pytest.raises(OriginUnavailable):
            await read(store, "a")
        assert time.monotonic() - begun < 4


async def test_a_black_hole_ends_at_the_deadline(environment: pytest.MonkeyPatch) -> None:
    """A server that accepts and never answers costs the time-outs, retries included, and no more."""
    async with ScriptedServer(silence) as server, at(server, environment, FAST) as store:
        for call in (
            store.stat("a"),
            read(store, "a"),
            store.put("a", b"x", content_type="a", metadata={}),
            keys(store, ""),
        ):
            begun = time.monotonic()
            with pytest.raises(DeadlinePassed):
                await call
            assert time.monotonic() - begun < 2.0


BROKEN_BODIES = {
    "end": then_close(reply(200, b"x" * 400, length=1000, ETag='"e"')),
    "reset": then_close(reply(200, b"x" * 400, length=1000, ETag='"e"'), reset=True),
    "stall": then_stall(reply(200, b"x" * 400, length=1000, ETag='"e"')),
    "drip": drip(reply(200, b"x" * 400, length=1000, ETag='"e"'), b"x", 0.2),
}


@pytest.mark.parametrize("fault", BROKEN_BODIES)
async def test_truncated_bodies(environment: pytest.MonkeyPatch, fault: str) -> None:
    """A body that ends early, is reset, stalls or drips is an error in bounded time, and frees its connection."""
    async with ScriptedServer(BROKEN_BODIES[fault]) as server, at(server, environment, FAST) as store:
        for _ in range(5 if fault != "drip" else 1):  # one more than there are connections
            begun = time.monotonic()
            with pytest.raises(DeadlinePassed if fault in ("stall", "drip") else OriginUnavailable):
                await read(store, "a")
            assert time.monotonic() - begun < 3.0


async def test_a_body_longer_than_promised(environment: pytest.MonkeyPatch) -> None:
    """What comes after the promised bytes is never delivered, and does not poison the next answer."""
    honest = reply(200, b"y" * 1000, ETag='"e"')
    async with (
        ScriptedServer(reply(200, b"x" * 1400, length=1000, ETag='"e"'), honest) as server,
        at(server, environment) as store,
    ):
        with suppress(OriginUnavailable):
            assert await read(store, "a") == b"x" * 1000
        for _ in range(3):
            assert await read(store, "a") == b"y" * 1000


async def test_a_range_is_ignored(environment: pytest.MonkeyPatch) -> None:
    """A server that answers a range request with the whole object is read from the right byte on."""
    async with ScriptedServer(reply(200, b"0123456789", ETag='"e"')) as server, at(server, environment) as store:
        assert await read(store, "a", ByteRange(3, 5)) == b"345"
        with pytest.raises(RangeRefused):
            await read(store, "a", ByteRange(10, 12))


@pytest.mark.parametrize("told", ["bytes 0-2/10", "bytes 3-5/*", "bytes 3-5", "lines 3-5/10"])
async def test_another_range_than_asked_for(environment: pytest.MonkeyPatch, told: str) -> None:
    """Bytes that are not those asked for are never handed on as if they were."""
    async with (
        ScriptedServer(reply(206, b"012", ETag='"e"', Content_Range=told)) as server,
        at(server, environment) as store,
    ):
        with pytest.raises(OriginUnavailable):
            await read(store, "a", ByteRange(3, 5))


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (reply(404, xml("NoSuchKey")), OriginalNotFound),
        (reply(404, xml("NoSuchBucket")), OriginUnavailable),
        (reply(403, xml("AccessDenied")), OriginRefused),
        (reply(403, xml("InvalidAccessKeyId")), OriginRefused),
        (reply(403, xml("ExpiredToken")), OriginRefused),
        (reply(403, xml("InvalidObjectState", StorageClass="GLACIER")), OriginRefused),
        (reply(503, xml("SlowDown")), OriginUnavailable),
        (reply(500, xml("InternalError")), OriginUnavailable),
        (reply(500, b"<html>not S3 at all"), OriginUnavailable),
        (reply(200, b"x", ETag='"e"', Content_Encoding="gzip"), NotAnImage),
        (reply(200, b"x", ETag='"e"', Content_Encoding="aws-chunked, br"), NotAnImage),
        (then_close(reply(418, b"")), OriginUnavailable),
    ],
)
async def test_error_answers(environment: pytest.MonkeyPatch, script: Script, error: type[ProxyError]) -> None:
    """Every kind of refusal has its own class, and no message tells the bucket, host or library's words."""
    async with ScriptedServer(script) as server, at(server, environment) as store:
        with pytest.raises(error) as caught:
            await read(store, "a")

    assert type(caught.value) is error
    assert not any(word in caught.value.message for word in (BUCKET, "127.0.0.1", "pre/", "GetObject", "botocore"))


@pytest.mark.parametrize(("denied_is_missing", "error"), [(False, OriginRefused), (True, OriginalNotFound)])
async def test_denied_means_what_the_settings_say(
    environment: pytest.MonkeyPatch, denied_is_missing: bool, error: type[ProxyError]
) -> None:
    """Without the list permission S3 answers 403 for a missing key; the setting says how to read that."""
    settings = replace(CALM, s3_denied_is_missing=denied_is_missing)
    async with ScriptedServer(reply(403, xml("AccessDenied"))) as server, at(server, environment, settings) as store:
        with pytest.raises(error):
            await store.stat("a")
        with pytest.raises(error):
            await read(store, "a")


async def test_bad_credentials_are_never_missing(environment: pytest.MonkeyPatch) -> None:
    """Also where a 403 means missing, a wrong signature does not: it would empty the whole site."""
    settings = replace(CALM, s3_denied_is_missing=True)
    script = reply(403, xml("SignatureDoesNotMatch"))
    async with ScriptedServer(script) as server, at(server, environment, settings) as store:
        with pytest.raises(OriginRefused):
            await read(store, "a")


@pytest.mark.parametrize(
    "script",
    [reply(416, xml("InvalidRange", ActualObjectSize="10")), reply(416, b"", Content_Range="bytes */10")],
)
async def test_size_from_a_refused_range(environment: pytest.MonkeyPatch, script: Script) -> None:
    """The size comes with the 416, in S3's own element or the standard's header; no second call is made."""
    async with ScriptedServer(script) as server, at(server, environment) as store:
        with pytest.raises(RangeRefused) as refused:
            await read(store, "a", ByteRange(10, 20))

    assert refused.value.size == 10
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("etag", "version"),
    [('"abc"', "abc"), ("abc", "abc"), ('W/"abc-2"', "abc-2"), ('"a b\x7f"', "a%20b%7F"), ('"a"b"', "a%22b")],
)
async def test_weird_etags(environment: pytest.MonkeyPatch, etag: str, version: str) -> None:
    """Quotes go, and what is not printable is escaped: a version is put into headers and keys."""
    async with ScriptedServer(reply(200, b"x", ETag=etag)) as server, at(server, environment) as store:
        assert (await store.stat("a")).version == version


async def test_no_etag_at_all(environment: pytest.MonkeyPatch) -> None:
    """Without an ETag, time and size are the version."""
    script = reply(200, b"xy", Last_Modified="Tue, 14 Nov 2023 22:13:20 GMT")
    async with ScriptedServer(script) as server, at(server, environment) as store:
        info = await store.stat("a")

    assert (info.version, info.modified) == ("1700000000-2", 1_700_000_000)


async def test_no_checksums_for_other_stores(environment: pytest.MonkeyPatch) -> None:
    """No x-amz-checksum, trailer or aws-chunked goes to an endpoint that is not AWS: GCS, OSS and Swift refuse them."""
    async with ScriptedServer(reply(200, b"", ETag='"e"')) as server, at(server, environment) as store:
        await store.put("a", b"x" * 1000, content_type="image/png", metadata={"k": "v"})
        await store.stat("a")
        await read(store, "a")
        await store.delete("a")

    for request in server.received:
        names = set(request.headers)
        assert not any(name.startswith(("x-amz-checksum", "x-amz-trailer", "x-amz-sdk-checksum")) for name in names)
        assert "aws-chunked" not in request.headers.get("content-encoding", "")
        assert "transfer-encoding" not in names
    assert server.received[0].headers["content-type"] == "image/png"
    assert server.received[0].headers["x-amz-meta-k"] == "v"


async def test_checksums_for_aws(environment: pytest.MonkeyPatch) -> None:
    """AWS itself gets the library's checksum with each write; seen by a proxy that stands in for it."""
    async with ScriptedServer(reply(200, b"", ETag='"e"')) as server:
        environment.setenv("AWS_ENDPOINT_URL_S3", "http://s3.eu-west-1.amazonaws.com")
        environment.setenv("HTTP_PROXY", server.url)
        environment.delenv("NO_PROXY", raising=False)
        environment.delenv("no_proxy", raising=False)
        async with S3Store(BUCKET, "pre", CALM) as store:
            await store.put("a", b"x", content_type="image/png", metadata={})

    assert any(name.startswith("x-amz-checksum-") for name in server.received[0].headers)


async def test_path_style_where_an_endpoint_is_configured(environment: pytest.MonkeyPatch) -> None:
    """By default the bucket is in the path for a configured endpoint: few of those have wildcard names."""
    async with ScriptedServer(reply(200, b"x", ETag='"e"')) as server, at(server, environment) as store:
        await read(store, "a b+c%")

    assert server.received[0].target == f"/{BUCKET}/pre/a%20b%2Bc%25"


@pytest.mark.parametrize(
    ("endpoint", "addressing", "host", "path"),
    [
        ("http://s3.example.com", Addressing.VIRTUAL, f"{BUCKET}.s3.example.com", "/pre/a"),
        ("http://s3.example.com", Addressing.PATH, "s3.example.com", f"/{BUCKET}/pre/a"),
        ("http://s3.example.com", Addressing.AUTO, "s3.example.com", f"/{BUCKET}/pre/a"),
        ("http://s3.eu-west-1.amazonaws.com", Addressing.VIRTUAL, f"{BUCKET}.s3.eu-west-1.amazonaws.com", "/pre/a"),
    ],
)
async def test_addressing(
    environment: pytest.MonkeyPatch, endpoint: str, addressing: Addressing, host: str, path: str
) -> None:
    """The setting decides where the bucket is named; seen by a server that stands in for the endpoint as a proxy."""
    async with ScriptedServer(reply(200, b"x", ETag='"e"')) as server:
        environment.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        environment.setenv("HTTP_PROXY", server.url)
        environment.delenv("NO_PROXY", raising=False)
        environment.delenv("no_proxy", raising=False)
        async with S3Store(BUCKET, "pre", replace(CALM, s3_addressing=addressing)) as store:
            await read(store, "a")

    assert server.received[0].headers["host"] == host
    assert server.received[0].target == f"http://{host}{path}"


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({}, "us-east-1"),
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
    ],
)
async def test_region(environment: pytest.MonkeyPatch, variables: dict[str, str], region: str) -> None:
    """The region comes from AWS's variables; without one there is a default, which other stores do not mind."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        environment.delenv(name, raising=False)
    for name, value in variables.items():
        environment.setenv(name, value)
    async with ScriptedServer(reply(200, b"x", ETag='"e"')) as server, at(server, environment) as store:
        await read(store, "a")

    assert f"/{region}/s3/aws4_request" in server.received[0].headers["authorization"]


async def test_a_failing_call_is_not_repeated(environment: pytest.MonkeyPatch) -> None:
    """What the bucket answers is an answer: retries multiply with those of every layer before us."""
    async with ScriptedServer(reply(503, xml("SlowDown"))) as server, at(server, environment) as store:
        with pytest.raises(OriginUnavailable):
            await store.stat("a")

    assert len(server.received) == 1


async def test_a_dropped_connection_is_tried_once_more(environment: pytest.MonkeyPatch) -> None:
    """A kept connection that the server has closed meanwhile costs one more attempt, at once; then it is an outage."""

    async def drop(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.close()

    ok = reply(200, b"<ListBucketResult/>", ETag='"e"')
    async with ScriptedServer(drop) as server, at(server, environment) as store:
        for call in (
            lambda: store.stat("a"),
            lambda: read(store, "a"),
            lambda: store.put("a", b"", content_type="a", metadata={}),
            lambda: store.delete("a"),
            lambda: keys(store, ""),
        ):
            server.received.clear()
            server.scripts = [drop, ok]
            await call()
            assert len(server.received) == 2
        server.received.clear()
        server.scripts = [drop]
        with pytest.raises(OriginUnavailable):
            await store.stat("a")
        # The HTTP library itself repeats what it sent on a connection it had kept: twice two attempts.
        assert len(server.received) <= 4


async def test_a_write_that_failed_inside_is_tried_once_more(environment: pytest.MonkeyPatch) -> None:
    """Of an InternalError S3 says: try again. A write does, once; but not when it is told to slow down."""
    failed, ok = reply(500, xml("InternalError")), reply(200, b"", ETag='"e"')

    async def calls(*scripts: Script) -> int:
        async with ScriptedServer(*scripts) as server, at(server, environment) as store:
            with suppress(OriginUnavailable):
                await store.put("a", b"x", content_type="image/png", metadata={})
                assert scripts[-1] is ok
        return len(server.received)

    assert await calls(failed, ok) == 2
    assert await calls(failed, failed) == 2
    assert await calls(reply(503, xml("SlowDown"))) == 1


async def test_listings_of_several_pages(environment: pytest.MonkeyPatch) -> None:
    """A listing goes on until the bucket says that it is complete."""
    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t+1</NextContinuationToken>"
    pages = [
        more + "<Contents><Key>pre/a</Key></Contents>",
        "<IsTruncated>false</IsTruncated><Contents><Key>pre/b</Key></Contents>",
    ]
    scripts = [reply(200, f"<ListBucketResult>{page}</ListBucketResult>".encode()) for page in pages]
    async with ScriptedServer(*scripts) as server, at(server, environment) as store:
        assert await keys(store, "") == {"a", "b"}

    assert "continuation-token=t%2B1" in server.received[1].target


async def test_no_credentials(environment: pytest.MonkeyPatch) -> None:
    """Without credentials the error says so."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.delenv(name)
    environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
    environment.setenv("AWS_CONFIG_FILE", "/nonexistent")
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    async with ScriptedServer(reply(200, b"x")) as server, at(server, environment) as store:
        with pytest.raises(OriginUnavailable, match="credentials"):
            await store.stat("a")
    assert server.received == []


async def test_a_listing_that_ignores_the_prefix(environment: pytest.MonkeyPatch) -> None:
    """Keys outside of the prefix that a server lists nevertheless are not handed on: a purge deletes what is listed."""
    names = ["pre/a", "prefix/b", "other", "pre/../x", "pre/", "pre/d//e"]
    body = "".join(f"<Contents><Key>{name}</Key></Contents>" for name in names)
    script = reply(200, f"<ListBucketResult>{body}</ListBucketResult>".encode())
    async with ScriptedServer(script) as server, at(server, environment) as store:
        assert await keys(store, "") == {"a"}


async def test_cancelled_calls_free_their_connection(environment: pytest.MonkeyPatch) -> None:
    """More callers than connections, all cancelled while they wait: the next one finds a free connection."""
    scripts = [silence] * 4 + [reply(200, b"x", ETag='"e"')]
    async with ScriptedServer(*scripts) as server, at(server, environment) as store:
        tasks = [asyncio.create_task(store.stat("a")) for _ in range(4)]
        while len(server.received) < 4:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        assert (await store.stat("a")).size == 1


# Where reads are made by our own module, and where they are not.

CERTIFICATE = Path(__file__).parent / "data" / "server.crt"


def tls() -> ssl.SSLContext:
    """A server whom nobody trusts who was not told to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_suffix(".key"))
    return context


async def test_trust_is_the_librarys(environment: pytest.MonkeyPatch) -> None:
    """AWS_CA_BUNDLE says whom to trust; nobody else is."""
    async with ScriptedServer(reply(200, b"x", ETag='"e"'), tls=tls()) as server:
        environment.setenv("AWS_CA_BUNDLE", str(CERTIFICATE))
        async with at(server, environment) as store:
            assert await read(store, "a") == b"x"
            assert (await store.stat("a")).version == "e"
        environment.delenv("AWS_CA_BUNDLE")
        environment.delenv("REQUESTS_CA_BUNDLE", raising=False)
        async with at(server, environment) as store:
            with pytest.raises(OriginUnavailable):
                await read(store, "a")


def sender(received: Received) -> str:
    """Who made a request: the library says how often it has tried."""
    return "library" if "amz-sdk-request" in received.headers else "own"


async def test_who_reads(environment: pytest.MonkeyPatch, who_reads: str) -> None:
    """Reads are our own unless they are left to the library; everything else is the library's."""
    found = reply(200, b"x", ETag='"e"')
    async with ScriptedServer(found, found, reply(200, ETag='"e"')) as server, at(server, environment) as store:
        await store.stat("a")
        await read(store, "a", ByteRange(0, 0))
        await store.put("a", b"x", content_type="image/png", metadata={})

    reader = "own" if who_reads == "reads of our own" else "library"
    assert [sender(one) for one in server.received] == [reader, reader, "library"]
    assert all(one.headers["authorization"].startswith("AWS4-HMAC-SHA256 ") for one in server.received)
    assert all(one.headers["user-agent"].startswith(f"imgbang/{__version__}") for one in server.received)


async def test_a_write_given_up(environment: pytest.MonkeyPatch) -> None:
    """What the server gets is the whole body or a connection that breaks off, which S3 forgets; the next call works."""
    body = b"1" * 30_000
    async with ScriptedServer(reply(200, ETag='"e"')) as server, at(server, environment) as store:
        for delay in (0.0, 0.0005, 0.001, 0.002, 0.004):
            task = asyncio.create_task(store.put("a", body, content_type="image/png", metadata={}))
            await asyncio.sleep(delay)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await store.put("a", body, content_type="image/png", metadata={})

    assert {one.body for one in server.received} == {body}


async def test_connections_are_used_again(environment: pytest.MonkeyPatch) -> None:
    """After a body that was read, a HEAD, and an error: a handshake for each call would cost more than the call."""
    found, gone = reply(200, b"x" * 5000, ETag='"e"'), reply(404, xml("NoSuchKey"))
    async with ScriptedServer(found, found, gone, gone, found, found) as server, at(server, environment) as store:
        for _ in range(3):
            with suppress(OriginalNotFound):
                await store.stat("a")
            with suppress(OriginalNotFound):
                await read(store, "a")

    assert len(server.received) == 6
    assert server.connections == 1


@pytest.mark.parametrize("status", [301, 307, 400])
@pytest.mark.parametrize("who_reads", ["reads of our own"], indirect=True)
async def test_the_library_is_asked_what_else_to_do(environment: pytest.MonkeyPatch, status: int) -> None:
    """An answer that says to ask elsewhere, or otherwise, is the library's to follow: in another region, say."""
    elsewhere = reply(status, xml("PermanentRedirect" if status < 400 else "AuthorizationHeaderMalformed"))
    scripts = (elsewhere, reply(200, b"x", ETag='"e"'))
    async with ScriptedServer(*scripts) as server, at(server, environment) as store:
        assert await read(store, "a") == b"x"
    assert [sender(one) for one in server.received] == ["own", "library"]


@pytest.mark.parametrize("bucket", ["arn:aws:s3:eu-west-1:123456789012:accesspoint/x", "express--use1-az4--x-s3"])
async def test_other_kinds_of_buckets(environment: pytest.MonkeyPatch, bucket: str) -> None:
    """They are addressed and signed for otherwise."""
    async with S3Store(bucket, "", CALM) as store:
        assert store._reads is None


async def test_refreshed_credentials(
    environment: pytest.MonkeyPatch, who_reads: str, tmp_path: Path, settings: StoreSettings
) -> None:
    """Credentials that end, such as those of a pod, are asked for anew, and their token is signed and sent."""
    del settings
    environment.delenv("AWS_ACCESS_KEY_ID")
    environment.delenv("AWS_SECRET_ACCESS_KEY")
    counter = tmp_path / "counter"
    script = tmp_path / "credentials.sh"
    script.write_text(
        f"""#!/bin/sh
echo x >> {counter}
number=$(wc -l < {counter} | tr -d ' ')
echo "{{\\"Version\\": 1, \\"AccessKeyId\\": \\"KEY$number\\", \\"SecretAccessKey\\": \\"S\\","
echo "\\"SessionToken\\": \\"TOKEN$number\\", \\"Expiration\\": \\"$(date -u -d '+30 seconds' +%Y-%m-%dT%H:%M:%SZ)\\"}}"
"""
    )
    script.chmod(0o755)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {script}\n")
    environment.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    async with ScriptedServer(reply(200, b"x", ETag='"e"')) as server, at(server, environment) as store:
        for _ in range(2):
            await read(store, "a")

    tokens = [one.headers["x-amz-security-token"] for one in server.received]
    assert len(set(tokens)) == 2, "they end within the time in which the library refreshes: each call asks"
    for one, token in zip(server.received, tokens, strict=True):
        assert f"Credential=KEY{token.removeprefix('TOKEN')}/" in one.headers["authorization"]
        assert "x-amz-security-token" in one.headers["authorization"]

"""The HTTP origin: the reading half of the contract, and what a hostile origin, name or redirect tries."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import quote

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from proxy.config import StoreSettings
from proxy.errors import (
    DeadlinePassed,
    NotAnImage,
    OriginalNotFound,
    OriginalTooLarge,
    OriginRefused,
    OriginUnavailable,
    ProxyError,
    RangeRefused,
)
from proxy.stores import addresses
from proxy.stores.base import ByteRange
from proxy.stores.http import HttpOrigin
from tests.contracts.store import LARGE, Fill, SourceContract, read
from tests.servers.faults import Received, Script, ScriptedServer, drip, reply, silence, then_close, then_stall
from tests.servers.origin import Origin
from tests.stores.test_addresses import ODD, PRIVATE

OPEN = StoreSettings(connect_timeout=2.0, read_timeout=2.0, pool=4, http_private=True)
FAST = replace(OPEN, connect_timeout=0.3, read_timeout=0.4)


class Names(AbstractResolver):
    """A resolver of made-up names; each look-up takes the next of a name's answers, the last for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answers = self.answers[host.partition(".")[0]]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


def is_loopback(text: str) -> bool:
    """Whether an address is 127.0.0.1 in one of its disguises."""
    return text == "127.0.0.1" or text.endswith(("7f00:1", ":127.0.0.1")) or "7f00:1:" in text


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as server:
        yield server


class TestContract(SourceContract):
    """The contract's reading half, on a well-behaved server."""

    @pytest.fixture
    async def source(self, origin: Origin) -> AsyncIterator[HttpOrigin]:
        async with HttpOrigin(origin.url, replace(OPEN, pool=8)) as opened:
            yield opened

    @pytest.fixture
    def fill(self, origin: Origin) -> Fill:
        async def fill(key: str, body: bytes) -> None:
            origin.objects[key] = body

        return fill


class TestContractWithoutExtras(TestContract):
    """The same, on a server that knows neither HEAD nor ranges."""

    @pytest.fixture
    async def source(self, origin: Origin) -> AsyncIterator[HttpOrigin]:
        origin.ranges = origin.head = False
        async with HttpOrigin(origin.url + "/", replace(OPEN, pool=8)) as opened:
            yield opened


@pytest.mark.parametrize(
    ("extra", "version"),
    [
        ({"ETag": '"abc"'}, "abc"),
        ({"ETag": 'W/"abc"'}, "abc"),
        ({"ETag": '"a b"'}, "a%20b"),
        ({"ETag": ""}, "Tue,%2014%20Nov%202023%2022:13:20%20GMT-5"),
        ({"ETag": "", "Last-Modified": ""}, "length-5"),
    ],
)
async def test_version(origin: Origin, extra: dict[str, str], version: str) -> None:
    """The ETag is the version; without it date and length, without those the length alone."""
    origin.objects["a"] = b"hello"
    origin.extra = extra
    async with HttpOrigin(origin.url, OPEN) as source:
        assert (await source.stat("a")).version == version


async def test_nothing_known() -> None:
    """An origin that tells nothing gives an empty version: nobody can tell whether the object has changed."""
    async with (
        ScriptedServer(then_close(chunked(b"hello"))) as server,
        HttpOrigin(server.url, OPEN) as source,
        source.open("a") as opened,
    ):
        assert (opened.info.version, opened.info.size, opened.info.modified) == ("", 0, 0.0)
        assert [chunk async for chunk in opened.chunks] == [b"hello"]


@pytest.mark.parametrize("base", ["/pictures", "/pictures/", "/pictures/deep", "/blank%20in/100%25"])
async def test_keys_are_encoded_once(base: str) -> None:
    """What the origin sees is its base and the key, percent-encoded exactly once."""
    async with ScriptedServer(reply(200, b"x")) as server, HttpOrigin(server.url + base, OPEN) as source:
        await read(source, "a b/%2F+ü?#&.jpg")

    assert server.received[0].target == base.rstrip("/") + "/a%20b/%252F%2B%C3%BC%3F%23%26.jpg"


async def test_nothing_of_ours_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cookies, no credentials, no proxy from the environment; only plain bodies are asked for."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with (
        ScriptedServer(reply(200, b"x", Set_Cookie="a=b; Path=/")) as server,
        HttpOrigin(server.url, OPEN) as source,
    ):
        await read(source, "a")
        await read(source, "a")

    headers = server.received[1].headers
    assert headers["accept-encoding"] == "identity"
    assert not {"cookie", "authorization", "proxy-authorization", "referer"} & set(headers)


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "GZIP", "zstd"])
async def test_compressed_bodies_are_refused(coding: str) -> None:
    """A few kilobytes can unpack to gigabytes: such a body is not read at all."""
    async with (
        ScriptedServer(reply(200, b"x" * 10, Content_Encoding=coding)) as server,
        HttpOrigin(server.url, OPEN) as source,
    ):
        with pytest.raises(NotAnImage):
            await read(source, "a")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, OriginalNotFound),
        (410, OriginalNotFound),
        (401, OriginRefused),
        (403, OriginRefused),
        (429, OriginUnavailable),
        (500, OriginUnavailable),
        (503, OriginUnavailable),
        (204, OriginUnavailable),
        (304, OriginUnavailable),
        (400, OriginUnavailable),
        (206, OriginUnavailable),
    ],
)
async def test_status(status: int, error: type[ProxyError]) -> None:
    """Each status means one thing; what was not asked for is an error, also a part of the object."""
    async with ScriptedServer(reply(status)) as server, HttpOrigin(server.url, OPEN) as source:
        with pytest.raises(error) as caught:
            await read(source, "a")

    assert type(caught.value) is error
    assert "127.0.0.1" not in caught.value.message


async def test_dead_and_silent_origins() -> None:
    """Where nobody listens is unavailable at once; where nobody answers, the deadline passes."""
    async with ScriptedServer(silence) as server, HttpOrigin(server.url, FAST) as source:
        begun = time.monotonic()
        with pytest.raises(DeadlinePassed):
            await source.stat("a")
        assert time.monotonic() - begun < 2.0
    async with HttpOrigin(server.url, FAST) as source:
        with pytest.raises(OriginUnavailable):
            await read(source, "a")


def chunked(body: bytes) -> Script:
    async def script(_request: Received, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        await writer.drain()

    return script


BROKEN_BODIES = {
    "end": then_close(reply(200, b"x" * 400, length=1000)),
    "reset": then_close(reply(200, b"x" * 400, length=1000), reset=True),
    "stall": then_stall(reply(200, b"x" * 400, length=1000)),
    "drip": drip(reply(200, b"x" * 400, length=1000), b"x", 0.2),
}


@pytest.mark.parametrize("fault", BROKEN_BODIES)
async def test_truncated_bodies(fault: str) -> None:
    """A body that ends early, is reset, stalls or drips is an error in bounded time, and frees its connection."""
    async with ScriptedServer(BROKEN_BODIES[fault]) as server, HttpOrigin(server.url, FAST) as source:
        for _ in range(5 if fault != "drip" else 1):  # one more than there are connections
            begun = time.monotonic()
            with pytest.raises(DeadlinePassed if fault in ("stall", "drip") else OriginUnavailable):
                await read(source, "a")
            assert time.monotonic() - begun < 3.0


async def test_endless_bodies_are_bounded() -> None:
    """A body of unknown length is read as far as an original may be large, and no further."""
    settings = replace(OPEN, max_bytes=100_000)

    async def endless(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
            await writer.drain()

    async with ScriptedServer(endless) as server, HttpOrigin(server.url, settings) as source:
        with pytest.raises(OriginalTooLarge):
            await read(source, "a")


@pytest.mark.parametrize("told", ["bytes 0-2/10", "bytes 3-5/*", "bytes 3-5", ""])
async def test_another_range_than_asked_for(told: str) -> None:
    """Bytes that are not those asked for are never handed on as if they were."""
    script = reply(206, b"012", Content_Range=told)
    async with ScriptedServer(script) as server, HttpOrigin(server.url, OPEN) as source:
        with pytest.raises(OriginUnavailable):
            await read(source, "a", ByteRange(3, 5))


async def test_a_refused_range_without_a_size() -> None:
    """Where a 416 does not tell the size, it is asked for."""
    async with ScriptedServer(reply(416), reply(200, b"0123456789")) as server, HttpOrigin(server.url, OPEN) as source:
        with pytest.raises(RangeRefused) as refused:
            await read(source, "a", ByteRange(10, 12))

    assert refused.value.size == 10


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(origin: Origin, status: int) -> None:
    """A redirect to an allowed place is followed, whichever way it is said, with the range it was asked for."""
    origin.objects["b"] = LARGE
    port = int(origin.url.split(":")[2].partition("/")[0])
    async with ScriptedServer(reply(status, Location=f"{origin.url}/b")) as server:
        source = HttpOrigin(server.url, OPEN)
        source._ports.add(port)  # another port of this machine stands for another server
        async with source:
            assert await read(source, "a", ByteRange(5, 9)) == LARGE[5:10]
            assert (await source.stat("a")).size == len(LARGE)


async def test_relative_redirects() -> None:
    """A relative redirect stays at the origin."""
    async with (
        ScriptedServer(reply(302, Location="../other?size=full"), reply(200, b"x")) as server,
        HttpOrigin(server.url + "/deep", OPEN) as source,
    ):
        assert await read(source, "er/a") == b"x"
    assert server.received[1].target == "/deep/other?size=full"


@pytest.mark.parametrize("hops", [3, 4])
async def test_three_redirects_at_most(hops: int) -> None:
    """The fourth redirect is not followed, nor is a loop."""
    scripts = [reply(302, Location=f"/{number}") for number in range(hops)]
    async with ScriptedServer(*scripts, reply(200, b"x")) as server, HttpOrigin(server.url, OPEN) as source:
        if hops == 3:
            assert await read(source, "a") == b"x"
        else:
            with pytest.raises(OriginUnavailable):
                await read(source, "a")
    assert len(server.received) == 4


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/",
        "//evil.example/",
        "http://{host}.evil.example/",
        "http://evil.example/{host}",
        "http://{host}:22/",
        "http://{host}:{port}@evil.example/",
        "http://user:secret@{host}:{port}/",
        "http://user@{host}:{port}/",
        "http://evil.example\\@{host}:{port}/",
        "http://evil.example#@{host}:{port}/",
        "ftp://{host}/",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "gopher://{host}:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port}/",
        "http://{host}.:{port}/",
        "",
        "http://[bad/",
        "http://{host}:99999/",
    ],
)
async def test_redirects_to_other_places(target: str) -> None:
    """Another host, port, scheme or spelling, or credentials in the URL, end the journey before anything is sent."""
    async with ScriptedServer(reply(200, b"secret")) as server:
        location = target.format(host="127.0.0.1", port=server.port)
        server.scripts = [reply(302, Location=location), reply(200, b"secret")]
        async with HttpOrigin(server.url, OPEN) as source:
            begun = time.monotonic()
            with pytest.raises(OriginUnavailable):
                await read(source, "a")
            assert time.monotonic() - begun < 1.0
    assert len(server.received) == 1


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 127.0.0.1, where the tests' servers are, stand for the public internet; every other rule holds."""
    real = addresses.is_public
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == "127.0.0.1" or real(address))


@pytest.mark.usefixtures("loopback_is_public")
@pytest.mark.parametrize("address", [text for text in [*PRIVATE, *ODD] if not is_loopback(text)])
async def test_redirects_to_private_addresses(address: str) -> None:
    """Even to a host that the operator allows, a redirect to a private or odd address is refused before it is asked."""
    names = Names()
    settings = replace(OPEN, http_private=False, http_hosts=(address,))
    location = f"http://[{address}]/" if ":" in address else f"http://{quote(address)}/"
    async with (
        ScriptedServer(reply(302, Location=location)) as server,
        HttpOrigin(server.url, settings, resolver=names) as source,
    ):
        begun = time.monotonic()
        with pytest.raises(OriginUnavailable):
            await read(source, "a")
        assert time.monotonic() - begun < 1.0

    assert (len(server.received), names.asked) == (1, [])


@pytest.mark.usefixtures("loopback_is_public")
async def test_redirects_to_names_with_private_addresses() -> None:
    """An allowed name that leads to a private address is refused where a redirect leads to it, too."""
    names = Names(inner=[["8.8.8.8", "169.254.169.254"]])
    settings = replace(OPEN, http_private=False, http_hosts=("inner.example",))
    async with (
        ScriptedServer(reply(302, Location="http://inner.example/latest/meta-data/")) as server,
        HttpOrigin(server.url, settings, resolver=names) as source,
    ):
        with pytest.raises(OriginRefused):
            await read(source, "a")

    assert (len(server.received), names.asked) == (1, ["inner.example"])


# Names


@pytest.mark.parametrize("address", [text for text in PRIVATE if "%" not in text])
async def test_names_with_private_addresses(address: str) -> None:
    """A name that leads to a private address is refused before a connection is made, also among public addresses."""
    names = Names(alone=[[address]], among=[["8.8.8.8", address]])
    settings = replace(OPEN, http_private=False)
    for host in ("alone", "among"):
        async with HttpOrigin(f"http://{host}.example", settings, resolver=names) as source:
            begun = time.monotonic()
            with pytest.raises(OriginRefused):
                await read(source, "a")
            assert time.monotonic() - begun < 1.0


async def test_private_is_refused_by_default(origin: Origin) -> None:
    """Without the setting, neither a literal nor a name on this machine is asked."""
    origin.objects["a"] = b"secret"
    port = int(origin.url.split(":")[2].partition("/")[0])
    for host in ("127.0.0.1", "localhost"):
        async with HttpOrigin(f"http://{host}:{port}/pictures", StoreSettings()) as source:
            with pytest.raises(OriginRefused):
                await read(source, "a")
    assert origin.raw_paths == []


async def test_a_name_that_turns_private() -> None:
    """DNS rebinding: every look-up is checked, and a connection goes to what was checked, so there is no gap between."""
    async with ScriptedServer(reply(200, b"secret")) as server:
        names = Names(flip=[["203.0.114.1"], ["127.0.0.1"]])
        settings = replace(FAST, http_private=False)
        async with HttpOrigin(f"http://flip.example:{server.port}", settings, resolver=names) as source:
            with pytest.raises((DeadlinePassed, OriginUnavailable)):
                await read(source, "a")  # the public address does not answer
            source._session.connector.clear_dns_cache()  # type: ignore[union-attr]
            with pytest.raises(OriginRefused):
                await read(source, "a")
    assert server.connections == 0


@pytest.mark.parametrize("address", [text for text in [*PRIVATE, *ODD] if "%" not in text and text.isascii()])
async def test_private_literals_as_base(address: str) -> None:
    """A private or oddly spelt address as the origin itself is refused, without asking a resolver."""
    host = f"[{address}]" if ":" in address else address
    names = Names()
    with pytest.raises(OriginUnavailable):
        async with HttpOrigin(f"http://{host}", StoreSettings(), resolver=names) as source:
            await read(source, "a")
    assert names.asked == []


@pytest.mark.parametrize(
    "base", ["http://user:secret@host/", "http://host/?a=b", "http://host/#x", "ftp://host/", "http:///x", "host"]
)
def test_bases_that_are_refused(base: str) -> None:
    """A base with credentials, a query or another scheme is a mistake that is told at start."""
    with pytest.raises(OriginUnavailable):
        HttpOrigin(base, OPEN)


async def test_https_is_never_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect from https to http is refused: what is read could be anybody's."""
    source = HttpOrigin("https://origin.example", OPEN)
    asked: list[str] = []

    class Answer:
        def __init__(self) -> None:
            self.status = 302
            self.headers = {"Location": "http://origin.example/a"}

        def close(self) -> None:
            pass

    async def send(_method: str, url: object, _headers: object) -> Answer:
        asked.append(str(url))
        return Answer()

    monkeypatch.setattr(source, "_send", send)
    with pytest.raises(OriginRefused):
        await source.stat("a")
    assert asked == ["https://origin.example/a"]

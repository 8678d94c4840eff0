"""Responses whose head was written before: on the wire they are like any other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp import web
from aiohttp.http_writer import StreamWriter
from aiohttp.test_utils import make_mocked_request

from proxy.web.ready import ReadyResponse, written_head
from proxy.web.server import Before, Runner

BODIES = {"/small": b"small", "/large": bytes(3_000_000), "/unchanged": b""}


def answer(request: web.BaseRequest) -> web.StreamResponse | None:
    body = BODIES.get(request.path)
    if body is None:
        return None
    if not body:
        return ReadyResponse(written_head(HTTPStatus.NOT_MODIFIED, [("ETag", '"a"')]), b"", number="7")
    headers = [("Content-Type", "image/png"), ("Content-Length", str(len(body))), ("X-Name", "Zürich")]
    return ReadyResponse(written_head(HTTPStatus.OK, headers), body, number="7")


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/other", _other)
    runner = Runner(app, shutdown_timeout=1, before=Before(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _other(_: web.Request) -> web.Response:
    return web.Response(text="other")


async def test_answers_follow_each_other_on_one_connection(url: str) -> None:
    """Whole, with date and id, and the connection goes on with answers of both kinds."""
    connected: list[object] = []
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_noting(connected))
    async with aiohttp.ClientSession(trace_configs=[trace]) as client:
        for path in ("/small", "/other", "/large", "/unchanged", "/small"):
            async with client.get(url + path) as response:
                body = await response.read()
            if path == "/other":
                assert body == b"other"
                continue
            assert (response.status, body) == (304 if path == "/unchanged" else 200, BODIES[path])
            assert response.headers["X-Request-Id"] == "7"
            assert abs(parsedate_to_datetime(response.headers["Date"]).timestamp() - time.time()) < 5
            assert "Connection" not in response.headers
            if body:
                assert response.headers["X-Name"] == "Zürich"
    assert len(connected) == 1


def _noting(seen: list[object]) -> Callable[..., Awaitable[None]]:
    async def note(*_: object) -> None:
        seen.append(None)

    return note


@pytest.mark.parametrize(("size", "writes"), [(0, 1), (5, 1), (64 * 1024, 1), (64 * 1024 + 1, 2)])
async def test_head_and_body_are_one_write(size: int, writes: int) -> None:
    """Each write is a call of the kernel and a packet; only a large body has one of its own."""
    written: list[bytes] = []

    class Writer(StreamWriter):
        def _write(self, chunk: Any) -> None:
            written.append(bytes(chunk))

    loop = asyncio.get_running_loop()
    request = make_mocked_request("GET", "/", writer=Writer(Mock(_paused=False), loop))
    response = ReadyResponse(written_head(HTTPStatus.OK, []), bytes(size), number="7")

    await response.prepare(request)
    await response.write_eof()

    assert len(written) == writes
    assert b"".join(written).endswith(b"X-Request-Id: 7\r\n\r\n" + bytes(size))


async def test_a_client_that_is_gone_is_no_error(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """It has left before the large answer was written: nothing is logged, and the next client is served."""
    async with aiohttp.ClientSession() as client:
        response = await client.get(url + "/large")
        response.close()
        async with client.get(url + "/small") as other:
            assert await other.read() == b"small"
    assert not caplog.records


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=c", "a\nb", "a\rb", "a\0b"])
def test_a_header_cannot_bring_another(value: str) -> None:
    """A line break in a value would begin a header, or the body."""
    with pytest.raises(ValueError, match="line break"):
        written_head(HTTPStatus.OK, [("ETag", value)])

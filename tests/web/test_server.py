"""The listening server against clients that are no friends."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import structlog
from aiohttp import web

from proxy.web.server import Patience, Runner

GONE = "gone"


async def _small(_: web.Request) -> web.Response:
    return web.Response(text="small")


async def _large(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_length = 200 * 65536
    await response.prepare(request)
    try:
        for _ in range(200):
            await response.write(bytes(65536))
    except (ConnectionError, asyncio.CancelledError):
        request.app[EVENTS].put_nowait(GONE)
        raise
    return response


async def _bug(request: web.Request) -> web.Response:
    raise RuntimeError("secret words")


async def _slow(request: web.Request) -> web.Response:
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        request.app[EVENTS].put_nowait(GONE)
        raise
    return web.Response()


EVENTS = web.AppKey("events", asyncio.Queue[str])


@asynccontextmanager
async def _serving(patience: Patience) -> AsyncIterator[tuple[int, asyncio.Queue[str]]]:
    app = web.Application()
    app[EVENTS] = asyncio.Queue()
    for path, handler in (("/small", _small), ("/large", _large), ("/bug", _bug), ("/slow", _slow)):
        app.router.add_get(path, handler)
    runner = Runner(app, shutdown_timeout=1, patience=patience)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1], app[EVENTS]
    finally:
        await runner.cleanup()


Talk = Callable[[bytes], Awaitable[bytes]]


async def _talk(port: int, data: bytes) -> bytes:
    """Send it and read until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("begun", [b"", b"GET /small HT", b"GET /small HTTP/1.1\r\nHost: a\r\nX-Slow: "])
async def test_half_a_header_is_not_waited_for(begun: bytes) -> None:
    """A connection without one whole request head is cut when its time is up (slowloris)."""
    async with _serving(Patience(first_request=0.1)) as (port, _):
        started = time.monotonic()
        received = await _talk(port, begun)

    assert received == b""
    assert 0.05 < time.monotonic() - started < 2


async def test_whoever_asks_in_time_may_stay() -> None:
    """The timer is for the first request only: a connection in use outlives it."""
    async with _serving(Patience(first_request=0.05)) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(4):
            writer.write(b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.readuntil(b"small")).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(0.04)
        writer.close()


async def test_stalled_reader() -> None:
    """A client that takes nothing of its answer is cut off, and its handler with it."""
    async with _serving(Patience(stalled=0.1)) as (port, events):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        with connection:
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            async with asyncio.timeout(5):
                assert await events.get() == GONE


async def test_patient_reader() -> None:
    """A client that reads slowly, but does read, gets everything."""
    async with _serving(Patience(stalled=0.2)) as (port, events):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=65536)
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = 0
        while chunk := await reader.read(1_000_000):
            received += len(chunk)
            await asyncio.sleep(0.002)
        writer.close()

    assert received > 200 * 65536
    assert events.empty()


async def test_leaving_cancels() -> None:
    """When the client goes away, its handler is cancelled."""
    async with _serving(Patience()) as (port, events):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        async with asyncio.timeout(5):
            assert await events.get() == GONE


async def test_malformed_http_says_little_and_logs_little() -> None:
    """A hundred malformed requests are a hundred equal answers, and a line or two in the log."""
    async with _serving(Patience()) as (port, _):
        with structlog.testing.capture_logs() as events:
            answers = [await _talk(port, b"\x16\x03\x01 nonsense\r\n\r\n") for _ in range(100)]

    assert len({answer.partition(b"\r\n\r\n")[2] for answer in answers}) == 1
    head, _, body = answers[0].partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert b"Cache-Control: no-store" in head
    assert b"Server: imgbang" in head
    assert json.loads(body)["code"] == "malformed_http"
    assert b"nonsense" not in body
    assert len(events) <= 3


async def test_a_bug_outside_of_the_middlewares() -> None:
    """What nobody else caught is logged whole, every time, and answered with a bare 500."""
    async with _serving(Patience()) as (port, _):
        with structlog.testing.capture_logs() as events:
            for _ in range(2):
                answer = await _talk(port, b"GET /bug HTTP/1.1\r\nHost: a\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer
    assert [event["event"] for event in events] == ["internal_error", "internal_error"]
    assert all(isinstance(event["exc_info"], RuntimeError) for event in events)

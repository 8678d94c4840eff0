"""Servers that misbehave on purpose: a scripted HTTP server and a TCP proxy with faults.

    async with ScriptedServer(reply(200, b"hello")) as server: ...      answers, lies, stalls; records what it was sent
    async with FaultProxy("127.0.0.1", port) as proxy: proxy.cut_after = 1000; ...      sits before a real server

Both listen on a free port of 127.0.0.1 and run in the test's own event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Received:
    """One request as it came: what the client really sent, not what a library made of it."""

    method: str
    target: str
    headers: dict[str, str]
    """Lower-case names."""
    body: bytes


Script = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


class _Listener:
    """What both have in common: a port, and connections that are all gone at the end."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self._tls = tls
        self.connections = 0
        """How many there have ever been."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    async def listen(self) -> None:
        """Accept connections, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuse new connections from now on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self.serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class ScriptedServer(_Listener):
    """Answers every request by the script, or by one script per request while they last."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.scripts = list(scripts)
        self.received: list[Received] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ", 2)
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
            }
            if headers.get("expect", "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.received.append(Received(method, target, headers, body))
            script = self.scripts[min(len(self.received), len(self.scripts)) - 1]
            await script(self.received[-1], writer)
            if writer.is_closing():
                return


def reply(status: int, body: bytes = b"", *, length: int | None = None, **headers: str) -> Script:
    """Answer properly; `length` lies about the body's. Header names are written with `_` for `-`."""

    async def script(request: Received, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        if request.method != "HEAD":
            writer.write(body)
        await writer.drain()

    return script


def then_close(script: Script, *, reset: bool = False) -> Script:
    """Do what the script does, then end the connection: properly (FIN) or not (RST)."""

    async def closing(request: Received, writer: asyncio.StreamWriter) -> None:
        await script(request, writer)
        if reset:
            # Long enough for what was written to arrive before the reset overtakes it.
            await asyncio.sleep(0.05)
            _reset(writer)
        writer.close()

    return closing


def then_stall(script: Script) -> Script:
    """Do what the script does, then say nothing more and keep the connection."""

    async def stalling(request: Received, writer: asyncio.StreamWriter) -> None:
        await script(request, writer)
        await asyncio.Event().wait()

    return stalling


def drip(head: Script, piece: bytes, every: float) -> Script:
    """Do what `head` does, then send `piece` again and again."""

    async def dripping(request: Received, writer: asyncio.StreamWriter) -> None:
        await head(request, writer)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(every)

    return dripping


async def silence(_request: Received, _writer: asyncio.StreamWriter) -> None:
    """Accept, read, never answer: a black hole."""
    await asyncio.Event().wait()


class FaultProxy(_Listener):
    """Passes bytes on to a real server; its faults can be changed at any moment and hold for what comes after."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._target = (host, port)
        self.delay = 0.0
        """Seconds before each piece of an answer."""
        self.cut_after: int | None = None
        """Bytes of answer after which a connection is reset."""
        self.blackhole = False
        """Answers are swallowed."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        requests = asyncio.create_task(self._pass_on(reader, upstream_writer))
        try:
            await self._answer(upstream_reader, writer)
        finally:
            upstream_writer.transport.abort()  # first: the wait below may be cancelled
            requests.cancel()
            await asyncio.gather(requests, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while data := await reader.read(65_536):
            await asyncio.sleep(self.delay)
            while self.blackhole:
                await asyncio.sleep(0.01)
            if self.cut_after is not None and passed + len(data) > self.cut_after:
                writer.write(data[: max(0, self.cut_after - passed)])
                await writer.drain()
                await asyncio.sleep(0.05)
                _reset(writer)
                return
            writer.write(data)
            await writer.drain()
            passed += len(data)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

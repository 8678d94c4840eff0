"""One keep-alive HTTP/1.1 connection, as cheap as asyncio allows.

aiohttp's client costs several times what its server does, so with it a measurement of hits would be one of the client.
This one knows just enough HTTP to count answers: status, length or chunks, Retry-After. Bodies are counted, not kept.
"""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple, cast

from bench.workload import Request

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after:[ \t]*\d", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_BODILESS = (204, 304)
_UNTIL_CLOSE = -1


class Reply(NamedTuple):
    """An answer, its body already thrown away. Status 0: the connection failed."""

    status: int
    size: int
    retry_after: bool = False


FAILED = Reply(0, 0)


class Answer:
    """Reads an answer as it comes, in any pieces."""

    def __init__(self) -> None:
        self.closing = False
        """Whether the server closes the connection after this answer."""
        self._head = bytearray()
        # While a body arrives: its reply, the bytes still missing, and the last bytes of a chunked one.
        self._reply: Reply | None = None
        self._missing = 0
        self._tail: bytes | None = None

    def feed(self, data: bytes) -> Reply | None:
        """The reply, once it is whole."""
        if self._reply is None:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return None
            data = bytes(self._head[end + 4 :])
            self._reply = self._begin(bytes(self._head[: end + 2]))
        if self._tail is not None:
            self._tail = (self._tail + data)[-5:]
            return self._reply if self._tail == b"0\r\n\r\n" else None  # could also be chance, of 2**-40
        if self._missing == _UNTIL_CLOSE:
            return None
        self._missing -= len(data)
        return self._reply if self._missing <= 0 else None

    def end(self) -> Reply:
        """The reply that the end of the connection makes whole; `FAILED` if it does not."""
        whole = self._missing == _UNTIL_CLOSE and self._tail is None
        return self._reply if whole and self._reply is not None else FAILED

    def _begin(self, head: bytes) -> Reply:
        status = int(head[9:12])
        length = _LENGTH.search(head)
        self.closing = _CLOSE.search(head) is not None
        if status in _BODILESS:
            self._missing = 0
        elif length is not None:
            self._missing = int(length[1])
        else:
            self._missing = _UNTIL_CLOSE
            self._tail = b"" if _CHUNKED.search(head) else None
        return Reply(status, max(0, self._missing), _RETRY_AFTER.search(head) is not None)


class Connection(asyncio.Protocol):
    """Asks one thing at a time."""

    def __init__(self) -> None:
        self.usable = False
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Reply] | None = None
        self._answer = Answer()

    def ask(self, data: bytes) -> asyncio.Future[Reply]:
        """Send a request; the future is answered in any case, if need be with `FAILED`."""
        self._reply, self._answer = asyncio.get_running_loop().create_future(), Answer()
        if self._transport is None or not self.usable:
            self._reply.set_result(FAILED)
        else:
            self._transport.write(data)
        return self._reply

    def close(self) -> None:
        """Close the connection."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self.usable = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._settle(FAILED if exc is not None else self._answer.end())

    def data_received(self, data: bytes) -> None:
        reply = self._answer.feed(data)
        if reply is not None:
            if self._answer.closing:
                self.close()
            self._settle(reply)

    def _settle(self, reply: Reply) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(reply)


class Encoder:
    """Writes requests to one server; each is written once."""

    def __init__(self, host: str, port: int) -> None:
        self._host = f"{host}:{port}"
        self._bytes: dict[Request, bytes] = {}

    def __call__(self, request: Request) -> bytes:
        """The bytes of a request."""
        data = self._bytes.get(request)
        if data is None:
            lines = [f"GET {request.path} HTTP/1.1", f"Host: {self._host}", "Accept: */*"]
            lines += [f"{name}: {value}" for name, value in request.headers]
            data = self._bytes[request] = ("\r\n".join(lines) + "\r\n\r\n").encode()
        return data


class Pool:
    """Connections to one server: idle ones are used again, dead ones replaced."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._idle: list[Connection] = []
        self._encode = Encoder(host, port)

    async def open(self, count: int) -> None:
        """Have so many connections ready."""
        self._idle += [await self._connect() for _ in range(count)]

    async def ask(self, request: Request) -> Reply:
        """Send a request on an idle connection, or a new one."""
        connection = self._idle.pop() if self._idle else None
        if connection is None or not connection.usable:
            try:
                connection = await self._connect()
            except OSError:
                return FAILED
        reply = await connection.ask(self._encode(request))
        if connection.usable:
            self._idle.append(connection)
        return reply

    def close(self) -> None:
        """Close every idle connection."""
        for connection in self._idle:
            connection.close()

    async def _connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, self._host, self._port)
        return connection

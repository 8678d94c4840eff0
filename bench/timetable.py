"""Send each request at its time, with as little as can be done for it.

On the cores that the server needs, an event loop that wakes for every answer takes a tenth of one at 650 requests a
second, and so much is missing where pictures are made: clients have machines of their own in real life. Here the sender
sleeps until the next request is due and looks for answers then. So an answer may count up to `_SHORT` seconds more than
it took, never less.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from bench.client import FAILED, Answer, Encoder, Reply
from bench.workload import Request

_SHORT = 0.002
"""Seconds to the next request for which answers wait."""
_AT_ONCE = 1 << 18
"""Bytes read of an answer in one call."""

Settle = Callable[[Request, float, float, Reply], None]
"""Is told the request, when it was due, when it was sent, and what came of it."""


class _Link:
    """A connection that one request at a time is on its way through."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex((host, port))
        self.settle: Callable[[Reply], None] | None = None
        """Is told what comes of the request that is on its way; None while there is none."""
        self.unsent = b""
        self._answer = Answer()

    def ask(self, data: bytes, settle: Callable[[Reply], None]) -> None:
        self.settle, self.unsent, self._answer = settle, data, Answer()

    def send(self) -> None:
        with suppress(BlockingIOError):
            self.unsent = self.unsent[self.socket.send(self.unsent) :]

    def hear(self) -> Reply | None:
        data = self.socket.recv(_AT_ONCE)
        return self._answer.feed(data) if data else self._answer.end()

    @property
    def closing(self) -> bool:
        return self._answer.closing


class Timetable:
    """Sends requests to one server, each on a connection that is idle then, or a new one."""

    def __init__(self, host: str, port: int, settle: Settle) -> None:
        self._host, self._port = host, port
        self._encode = Encoder(host, port)
        self._settle = settle
        self._events = selectors.DefaultSelector()
        # Mutable state: connections that have nothing to do, and how many have.
        self._idle: list[_Link] = []
        self._busy = 0

    def run(self, arrivals: Sequence[tuple[float, Request]], clock: Callable[[], float]) -> None:
        """Send each request when the clock says that it is due, and wait for all answers."""
        for due, request in arrivals:
            while (ahead := due - clock()) > 0:
                if ahead > _SHORT:
                    self._hear(ahead - _SHORT)
                else:
                    time.sleep(ahead)
            self._hear(0)
            self._ask(request, due, clock())
        while self._busy:
            self._hear(1)
        for link in self._idle:
            link.socket.close()
        self._events.close()

    def _ask(self, request: Request, due: float, now: float) -> None:
        new = not self._idle
        link = _Link(self._host, self._port) if new else self._idle.pop()
        self._busy += 1
        link.ask(self._encode(request), lambda reply: self._settle(request, due, now, reply))
        if new:  # sent when it is connected
            self._events.register(link.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, link)
        else:
            self._go_on(link, selectors.EVENT_WRITE)

    def _hear(self, seconds: float) -> None:
        for key, event in self._events.select(seconds):
            self._go_on(key.data, event)

    def _go_on(self, link: _Link, event: int) -> None:
        """Send, or read, as far as that can be done now."""
        if link.settle is None:  # closed by the server while it was idle
            self._idle.remove(link)
            self._close(link)
            return
        reply = None
        try:
            if event & selectors.EVENT_WRITE:
                link.send()
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.unsent else 0)
                if self._events.get_key(link.socket).events != wanted:
                    self._events.modify(link.socket, wanted, link)
            if event & selectors.EVENT_READ:
                reply = link.hear()
        except OSError:
            reply = FAILED
        if reply is not None:
            self._finish(link, link.settle, reply)

    def _finish(self, link: _Link, settle: Callable[[Reply], None], reply: Reply) -> None:
        self._busy -= 1
        link.settle = None
        if reply is FAILED or link.closing:
            self._close(link)
        else:
            self._idle.append(link)
        settle(reply)

    def _close(self, link: _Link) -> None:
        self._events.unregister(link.socket)
        link.socket.close()

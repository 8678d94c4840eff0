"""Send each request at its time, with as little as can be done for it.

On the cores that the server needs, an event loop that wakes for every answer takes a tenth of one at 650 requests a
second, and so much is missing where pictures are made: clients have machines of their own in real life. Here the sender
sleeps until the next request is due and looks for answers then. So an answer may count up to `_SHORT` seconds more than
it took, never less.
"""

from __future__ import annotations

import select
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
    """A connection that one request is on its way through."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connected = False
        self._address = host, port
        self.settle: Callable[[Reply], None] = lambda _: None
        self._answer, self._unsent = Answer(), b""

    def ask(self, data: bytes, settle: Callable[[Reply], None]) -> None:
        self.settle, self._answer, self._unsent = settle, Answer(), data
        if self.connected:
            self.send()
        else:
            self.socket.connect_ex(self._address)

    @property
    def is_sent(self) -> bool:
        return not self._unsent

    def send(self) -> None:
        self.connected = True
        with suppress(BlockingIOError):
            self._unsent = self._unsent[self.socket.send(self._unsent) :]

    def hear(self) -> Reply | None:
        data = self.socket.recv(_AT_ONCE)
        return self._answer.feed(data) if data else self._answer.end()

    @property
    def usable(self) -> bool:
        return not self._answer.closing


class Timetable:
    """Sends requests to one server, each on a connection that is idle then, or a new one."""

    def __init__(self, host: str, port: int, settle: Settle) -> None:
        self._host, self._port = host, port
        self._encode = Encoder(host, port)
        self._settle = settle
        self._events = select.epoll()
        # Mutable state: connections by descriptor, and those that have nothing to do.
        self._busy: dict[int, _Link] = {}
        self._idle: list[_Link] = []

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
        self._events.close()
        for link in self._idle:
            link.socket.close()

    def _ask(self, request: Request, due: float, now: float) -> None:
        link = self._idle.pop() if self._idle else None
        fresh = link is None
        link = link or _Link(self._host, self._port)
        number = link.socket.fileno()
        self._busy[number] = link
        try:
            link.ask(self._encode(request), lambda reply: self._settle(request, due, now, reply))
        except OSError:
            self._finish(number, link, FAILED)
            return
        wanted = select.EPOLLIN if link.is_sent else select.EPOLLIN | select.EPOLLOUT
        if fresh:
            self._events.register(number, wanted)
        elif not link.is_sent:
            self._events.modify(number, wanted)

    def _hear(self, seconds: float) -> None:
        for number, event in self._events.poll(seconds):
            link = self._busy.get(number)
            if link is None:  # closed by the server while it was idle
                self._forget(number)
                continue
            try:
                if event & select.EPOLLOUT:
                    link.send()
                    if link.is_sent:
                        self._events.modify(number, select.EPOLLIN)
                reply = link.hear() if event & ~select.EPOLLOUT else None
            except OSError:
                reply = FAILED
            if reply is not None:
                self._finish(number, link, reply)

    def _finish(self, number: int, link: _Link, reply: Reply) -> None:
        del self._busy[number]
        if reply is not FAILED and link.usable:
            self._idle.append(link)
        else:
            link.socket.close()  # which takes it out of what is listened to
        link.settle(reply)

    def _forget(self, number: int) -> None:
        for link in [one for one in self._idle if one.socket.fileno() == number]:
            self._idle.remove(link)
            link.socket.close()

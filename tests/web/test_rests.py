"""Connections that were refused rest for a moment: they are not read, and then they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

import pytest
import uvloop

from proxy.web.rests import SECONDS, Rests


class Connection(asyncio.Transport):
    """Counts; closed, it fails as asyncio's do."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = False
        self.closed = False
        self.woken = 0

    def pause_reading(self) -> None:
        if self.closed:
            raise RuntimeError("closed")
        self.paused = True

    def resume_reading(self) -> None:
        if self.closed:
            raise RuntimeError("closed")
        self.paused = False
        self.woken += 1


async def test_all_are_woken_together() -> None:
    """Also who came later, and who rests twice; and from then on it begins anew."""
    rests, first, second = Rests(), Connection(), Connection()
    rests.begin(first)
    await asyncio.sleep(SECONDS / 2)
    rests.begin(second)
    rests.begin(first)
    assert first.paused
    assert second.paused

    async with asyncio.timeout(5):
        while first.paused:
            await asyncio.sleep(0.001)
    assert not second.paused
    assert second.woken == 1

    rests.begin(second)
    assert second.paused
    await asyncio.sleep(SECONDS * 3)
    assert not second.paused
    assert second.woken == 2


async def test_a_closed_connection_disturbs_nobody() -> None:
    """Neither one that is closed before nor one that is closed while it rests."""
    rests, gone, leaving, staying = Rests(), Connection(), Connection(), Connection()
    gone.closed = True
    rests.begin(gone)
    assert rests._resting == []
    rests.begin(leaving)
    rests.begin(staying)
    leaving.closed = True

    await asyncio.sleep(SECONDS * 3)
    assert not staying.paused
    assert rests._resting == []


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("abrupt", [False, True])
def test_a_real_connection_is_heard_again(loop: Callable[[], asyncio.AbstractEventLoop], abrupt: bool) -> None:
    """What comes meanwhile is read afterwards, and so is that the client has left."""
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_talk(abrupt))


async def _talk(abrupt: bool) -> None:
    rests, heard, lost = Rests(), [], asyncio.Event()

    class Server(asyncio.Protocol):
        transport: asyncio.Transport

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.Transport", transport)

        def data_received(self, data: bytes) -> None:
            heard.append((time.monotonic(), data))
            rests.begin(self.transport)

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    async with server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"1")
        async with asyncio.timeout(5):
            while not heard:
                await asyncio.sleep(0.001)
            writer.write(b"2")
            while len(heard) < 2:
                await asyncio.sleep(0.001)
            if abrupt:
                writer.transport.abort()
            else:
                writer.close()
            await lost.wait()

    assert [data for _, data in heard] == [b"1", b"2"]
    assert heard[1][0] - heard[0][0] >= SECONDS / 2

"""Overwrites and purges at random moments, while three replicas serve at random speeds."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tests.delivery.kitchen import Kitchen, plan_of
from tests.fakes import MemoryStore
from tests.fleet.conftest import Join
from tests.servers.redis import RedisServer

ROUNDS = 8


class UnevenStore(MemoryStore):
    """Every call takes its own time, before and after it happens."""

    async def _call(self, verb: str) -> None:
        await asyncio.sleep(random.random() * 0.02)
        await super()._call(verb)
        await asyncio.sleep(random.random() * 0.02)


async def test_after_a_purge_nothing_older_is_anywhere(redis: RedisServer, join: Join, tmp_path: Path) -> None:
    """When things are quiet after a purge, no replica and no store has a picture from before it."""
    source, store = UnevenStore(), UnevenStore()
    async with AsyncExitStack() as stack:
        kitchens = []
        for name in "abc":
            fleet = await join(redis)
            kitchen = Kitchen(tmp_path / name, source=source, store=store, fleet=fleet, clock=time.monotonic)
            kitchens.append(await stack.enter_async_context(kitchen))
            fleet.heard.heed = kitchen.purger.heed
        source.add("a.jpg", b"0")
        for number in range(1, ROUNDS + 1):
            quiet = asyncio.Event()
            clients = [asyncio.create_task(ask_on(kitchen, quiet)) for kitchen in kitchens * 3]
            await asyncio.sleep(random.random() * 0.1)
            source.add("a.jpg", str(number).encode())
            await asyncio.sleep(random.random() * 0.02)
            await random.choice(kitchens).purger.key("a.jpg")
            await asyncio.sleep(0.15)
            quiet.set()
            await asyncio.gather(*clients)
            for kitchen in kitchens:
                await kitchen.settle()
            await asyncio.sleep(0.05)

            current = {b"rendered " + str(number).encode()}
            assert {held.body for held in store.objects.values()} <= current
            served = {await kitchen.serve(plan_of(width=width)) for kitchen in kitchens for width in (1, 2, 3)}
            assert served == current


async def ask_on(kitchen: Kitchen, quiet: asyncio.Event) -> None:
    """Ask for one of three sizes, again and again."""
    while not quiet.is_set():
        await kitchen.serve(plan_of(width=random.randint(1, 3)))
        await asyncio.sleep(random.random() * 0.01)

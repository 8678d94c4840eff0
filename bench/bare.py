"""The least an aiohttp server can do: bodies from memory, 304 to every condition. `python -m bench.bare FILE…`."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import uvloop
from aiohttp import web


async def _serve(bodies: list[bytes]) -> None:
    async def get(request: web.Request) -> web.Response:
        if "If-None-Match" in request.headers:
            return web.Response(status=304, headers={"ETag": '"bare"'})
        return web.Response(body=bodies[int(request.match_info["number"])], content_type="image/jpeg")

    app = web.Application()
    app.router.add_get(r"/{number:\d+}", get)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(_serve([Path(name).read_bytes() for name in sys.argv[1:]]))

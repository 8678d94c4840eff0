"""The way to Redis: short, counted, and given up at once when nobody answers.

    there ── a call fails, or three in a row take too long ──> away ── after about 2 s, a greeting is answered ──> there

While Redis is away no request asks it: only the greeting does, in the background. So an outage costs a few requests a
tenth of a second once, and all others nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from proxy import logs
from proxy.fleet import scripts
from proxy.metrics import Metrics

_log = logs.get("fleet")

TIMEOUT = 0.1
"""Seconds for one call, connecting included."""
MOST_LATE = 3
"""Calls in a row that may take too long before Redis counts as away: one may be our own fault, on a busy machine."""
CONNECTIONS = 16

T = TypeVar("T")


class Link:
    """Runs scripts; knows whether Redis is there, and how its clock relates to ours."""

    def __init__(self, url: str, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        # RESP 2: what every server speaks. No retries: a call that failed is not worth a second one. The library's own
        # time-outs are longer than ours: a stall of this process would ring them, see `_in_time`.
        settings: Mapping[str, Any] = {
            "decode_responses": True,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": 10 * TIMEOUT,
            "socket_timeout": None,
        }
        pool = BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, timeout=None, **settings)
        self._redis: Redis = Redis.from_pool(pool)
        # Reading messages waits for them, so it has a connection of its own.
        self._listener: Redis = Redis.from_url(url, max_connections=1, **settings)
        self._scripts = {
            name: self._redis.register_script(text)
            for name, text in vars(scripts).items()
            if name.isupper() and isinstance(text, str) and not name.startswith("_")
        }
        # Mutable state: whether Redis is there, what the log says of that, calls in a row that were late, and Redis's
        # clock minus ours in milliseconds, rather too small than too large.
        self.there = False
        self._logged: bool | None = None
        self._late = 0
        self._offset = 0.0

    def theirs(self, at: float) -> int:
        """A time of our clock on Redis's, in milliseconds; rather too early than too late."""
        return int(at * 1000 + self._offset)

    async def call(self, name: str, keys: Sequence[str], arguments: Sequence[str | int]) -> list[Any] | None:
        """Run a script; its reply, or None where Redis is away or does not answer."""
        return await self._run(name, keys, arguments) if self.there else None

    async def greet(self, keys: Sequence[str], arguments: Sequence[str | int]) -> list[Any] | None:
        """Run the greeting, whether Redis is there or not; if it is answered, Redis is there."""
        if not self.there:
            await self._redis.connection_pool.disconnect(inuse_connections=False)  # they are of another time
        reply = await self._run("GREET", keys, arguments)
        if reply is not None and not self.there:
            self.there = self._logged = True
            _log.info("redis_there")
        return reply

    async def listen(self, stream: str, after: str, *, seconds: float) -> list[tuple[str, Mapping[str, str]]] | None:
        """Messages that came after one, within so many seconds; None where Redis does not answer."""
        try:
            async with asyncio.timeout(seconds + 10 * TIMEOUT):
                reply: Any = await self._listener.xread({stream: after}, count=100, block=int(seconds * 1000))
        except (RedisError, OSError, TimeoutError) as error:
            await self._listener.connection_pool.disconnect()
            self.leave(error)
            return None
        return [message for _, messages in reply for message in messages]

    def leave(self, error: BaseException | None = None) -> None:
        """Redis is away: do without."""
        self.there = False
        if self._logged is not False:
            self._logged = False
            # Without Redis's own words: they may hold its address and more.
            _log.warning("redis_away", cause=type(error).__name__, serving="as a single replica")
        self._late = 0

    async def close(self) -> None:
        """Close every connection."""
        self.there = False
        await asyncio.gather(self._redis.aclose(), self._listener.aclose(), return_exceptions=True)
        await asyncio.gather(
            self._redis.connection_pool.disconnect(),
            self._listener.connection_pool.disconnect(),
            return_exceptions=True,
        )

    async def _run(self, name: str, keys: Sequence[str], arguments: Sequence[str | int]) -> list[Any] | None:
        outcome = "cancelled"
        try:
            reply: list[Any] = await _in_time(self._scripts[name](keys=list(keys), args=list(arguments)))
            outcome = "ok"
        except TimeoutError as error:
            outcome = "late"
            self._late += 1
            if self._late >= MOST_LATE:
                self.leave(error)
            return None
        except (RedisError, OSError) as error:
            outcome = "failed"
            self.leave(error)
            return None
        finally:
            self._metrics.fleet_calls.labels(name.lower(), outcome).inc()
        self._late = 0
        self._offset = float(reply[0]) - self._clock() * 1000
        return reply


async def _in_time(call: Awaitable[T]) -> T:
    """What the call returns within `TIMEOUT`, in two halves.

    After a stall of this process a timer rings before what has arrived meanwhile is read: the second half reads it.
    """
    task = asyncio.ensure_future(call)
    try:
        for _ in range(2):
            done, _ = await asyncio.wait((task,), timeout=TIMEOUT / 2)
            if done:
                return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    raise TimeoutError

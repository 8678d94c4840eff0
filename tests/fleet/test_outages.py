"""Redis never there, dead, frozen, slow, refusing, full, and back: nobody waits for it, and nothing is wrong after it."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.fleet.base import Known, Purge, Standing
from proxy.fleet.link import TIMEOUT, Link
from proxy.metrics import Metrics
from tests.fleet.conftest import Join, Replica, until
from tests.servers.nginx import free_ports
from tests.servers.redis import RedisServer

ACL = "~imgbang:* +@read +@write +@scripting +@connection +time"
GREETING = ("epoch", "said", "probe")


async def timed(replica: Replica) -> tuple[Standing, float]:
    """Ask for a turn; its standing and the seconds it took."""
    since = time.monotonic()
    claim = await replica.claim("a.jpg", "a", past="")
    return claim.standing, time.monotonic() - since


async def alone(replica: Replica) -> None:
    """Without Redis every call answers at once as if there was nobody else."""
    since = time.monotonic()
    replica.tell("a.jpg", Known("v1", 1.0, time.monotonic()))
    replica.change_presets()
    assert (await replica.claim("a.jpg", "a", past="")).standing is Standing.OURS
    assert (await replica.recall("a.jpg", elect=True)).ours
    assert await replica.saved("a.jpg", "a", "token", version="v1", age=1)
    replica.end("a", "token", Standing.UNSAVED)
    await replica.purge(Purge(keys=("a.jpg",)))
    assert time.monotonic() - since < 0.5 * TIMEOUT
    assert replica.away


async def test_never_there(join: Join, redis: RedisServer) -> None:
    """A Redis that is not there delays the start by less than a second, and then nothing."""
    since = time.monotonic()
    replica = await join(redis, url=f"redis://127.0.0.1:{free_ports(1)[0]}")

    assert time.monotonic() - since < 1
    await alone(replica)


@pytest.mark.parametrize(
    "url",
    ["redis://:wrong@127.0.0.1:{port}/0", "redis://nobody:secret@127.0.0.1:{port}/0", "redis://127.0.0.1:{port}/999"],
)
async def test_refused(join: Join, tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A Redis that refuses us is no Redis; the log says so once, and no password."""
    with RedisServer(tmp_path / "redis", arguments=("--requirepass", "right")) as server:
        replica = await join(server, url=url.format(port=server.port))
        await alone(replica)
        await replica.close()

    said = capsys.readouterr()
    assert (said.out + said.err).count("redis_away") == 1
    assert "wrong" not in said.out + said.err
    assert "secret" not in said.out + said.err


async def test_a_password(join: Join, tmp_path: Path) -> None:
    """With the right password it is there."""
    with RedisServer(tmp_path / "redis", arguments=("--requirepass", "right")) as server:
        replica = await join(server, url=f"redis://:right@127.0.0.1:{server.port}/3")

        assert not replica.away


async def test_encrypted(join: Join, tmp_path: Path) -> None:
    """TLS, with an authority that is named in the URL; a certificate of a stranger is refused."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: Redis with TLS was not proven")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    port = free_ports(1)[0]
    arguments = ("--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key))
    with RedisServer(tmp_path / "redis", arguments=(*arguments, "--tls-auth-clients", "no")) as server:
        url = f"rediss://localhost:{port}/0"
        trusting = await join(server, url=f"{url}?ssl_ca_certs={certificate}")
        careful = await join(server, url=url)

        assert (trusting.away, careful.away) == (False, True)
        await alone(careful)


async def test_nonsense_in_redis(join: Join, redis: RedisServer) -> None:
    """What no version of ours wrote is nothing that is known, and nobody's turn."""
    replica = await join(redis)
    now = int(time.time() * 1000)
    redis.ask("SET", replica._of("v", "a.jpg"), f"{now}|0|v|yesterday|v1")
    redis.ask("SET", replica._of("t", "a"), f"pondered|token|{now}|")
    redis.ask("SET", replica._of("t", "b"), f'failed|token|{now}|["Nonsense", 1]')
    redis.ask("XADD", replica._said, "*", "what", "seen", "data", "[]")
    redis.ask("XADD", replica._said, "*", "what", "purge", "data", "{}")
    redis.ask("XADD", replica._said, "*", "nothing", "at all")
    redis.ask("XADD", replica._said, "*", "from", "x", "what", "presets", "data", "")
    await until(lambda: replica.heard.presets)

    assert (await replica.recall("a.jpg")).known is None
    assert [(await replica.claim("a.jpg", name, past="")).standing for name in "ab"] == [Standing.UNSAVED] * 2
    assert (replica.away, replica.heard.purges, replica.heard.sights) == (False, [], [])


async def test_few_rights(join: Join, tmp_path: Path) -> None:
    """A user with no more rights than the documentation says can do everything."""
    rights = ("--user", "img", "on", ">secret", *ACL.split())
    with RedisServer(tmp_path / "redis", arguments=rights) as server:
        url = f"redis://img:secret@127.0.0.1:{server.port}/0"
        a, b = await join(server, url=url), await join(server, url=url)
        claim = await a.claim("a.jpg", "a", past="")
        assert await a.saved("a.jpg", "a", claim.token, version="v1", age=1)
        await a.purge(Purge(prefixes=("x",)))
        await until(lambda: b.heard.purges)
        await b._link.call("RENEW", (b._epoch,), (1,))
        await asyncio.sleep(0.2)  # it was seen after the purge beyond doubt
        a.tell("a.jpg", Known("v1", 1.0, time.monotonic()))
        await until(lambda: not a._notes)
        await a.recall("x")

        assert (await b.recall("a.jpg", elect=True)).known is not None
        assert not a.away
        assert not b.away


async def test_full(join: Join, tmp_path: Path) -> None:
    """A Redis that takes no writes is no Redis."""
    with RedisServer(tmp_path / "redis", arguments=("--maxmemory", "1", "--maxmemory-policy", "noeviction")) as server:
        await alone(await join(server))


async def test_dead_and_back(join: Join, own_redis: RedisServer) -> None:
    """When it dies, the first call that notices fails at once; when it is back, everybody finds that out alone.

    What was purged meanwhile is told then. What else was said is lost, and each replica is told so.
    """
    a, b = await join(own_redis), await join(own_redis)
    own_redis.kill()
    first, seconds = await timed(a)
    await a.purge(Purge(keys=("x.jpg",)))

    assert (first, seconds < 2 * TIMEOUT) == (Standing.OURS, True)
    await alone(a)
    own_redis.start()
    await until(lambda: not a.away and not b.away, seconds=8)
    assert [replica.heard.missed for replica in (a, b)] == [1, 1]
    await until(lambda: Purge(keys=("x.jpg",)) in b.heard.purges)
    assert await timed(a) < (Standing.OURS, 2 * TIMEOUT)
    assert (await timed(b))[0] is Standing.THEIRS


async def test_frozen(join: Join, own_redis: RedisServer) -> None:
    """A Redis that hangs costs a few calls a tenth of a second and all later ones nothing; what it missed is told."""
    a, b = await join(own_redis), await join(own_redis)
    own_redis.freeze()
    times = [await timed(a) for _ in range(20)]
    own_redis.thaw()
    await until(lambda: not a.away, seconds=8)
    a.change_presets()
    await until(lambda: b.heard.presets, seconds=8)

    assert {standing for standing, _ in times} == {Standing.OURS}
    assert sum(seconds for _, seconds in times) < 5 * TIMEOUT
    assert (a.heard.missed, b.heard.missed) == (0, 0)


async def test_a_frozen_redis_is_noticed_by_whoever_only_listens(join: Join, own_redis: RedisServer) -> None:
    """A replica without misses finds out, too, before its next miss."""
    replica = await join(own_redis)
    own_redis.freeze()
    await until(lambda: replica.away, seconds=8)

    await alone(replica)
    own_redis.thaw()


@asynccontextmanager
async def slow_way(server: RedisServer, seconds: float) -> AsyncIterator[str]:
    """A Redis behind a way that delays each answer; its URL."""
    ways: set[asyncio.Task[object]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ways.add(asyncio.current_task())
        there, back = await asyncio.open_connection("127.0.0.1", server.port)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float) -> None:
            while data := await source.read(65536):
                await asyncio.sleep(delay)
                sink.write(data)

        both = [asyncio.create_task(copy(reader, back, 0)), asyncio.create_task(copy(there, writer, seconds))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            back.close()
            writer.close()
            await asyncio.gather(*both, back.wait_closed(), writer.wait_closed(), return_exceptions=True)

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/0"
    finally:
        proxy.close()
        await asyncio.wait(ways, timeout=2)


async def test_slow(join: Join, redis: RedisServer) -> None:
    """A Redis that takes longer than a call may is no Redis, though it answers."""
    async with slow_way(redis, 2 * TIMEOUT) as url:
        replica = await join(redis, url=url)
        await alone(replica)
        await replica.close()


async def test_cancelled_calls_mix_up_nothing(redis: RedisServer) -> None:
    """A thousand calls on a slow way, cancelled at random: each that is answered got its own answer."""
    wrong = answered = 0
    async with slow_way(redis, 0.01) as url:
        link = Link(url, Metrics())
        await link.greet(GREETING, ("me", ""))
        assert link.there

        async def ask(number: int) -> None:
            nonlocal wrong, answered
            name = f"mixed-{number}"
            reply = await link.call("CLAIM", ("no-epoch", f"v:{name}", f"t:{name}"), (f"token-{number}", 60_000, ""))
            if reply is not None:
                answered += 1
                wrong += reply[3] != f"token-{number}"

        for start in range(0, 1000, 40):
            tasks = [asyncio.create_task(ask(number)) for number in range(start, start + 40)]
            for task in tasks:
                if random.random() < 0.3:
                    asyncio.get_running_loop().call_later(random.random() * 0.03, task.cancel)
            await asyncio.gather(*tasks, return_exceptions=True)
            if not link.there:
                await link.greet(GREETING, ("me", ""))
        await link.close()

    assert wrong == 0
    assert answered > 300

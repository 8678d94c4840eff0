"""Real nginx with our configuration before scripted replicas: what it asks them, and whom."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from tests.servers.faults import Received, Script, ScriptedServer, reply, then_close
from tests.servers.imgbang import Reply
from tests.servers.nginx import NginxServer, free_ports

pytestmark = pytest.mark.integration

PICTURE = reply(200, b"picture", X_Accel_Expires="1", Cache_Control="public, max-age=3600", ETag='"1"')


@pytest.fixture(autouse=True)
async def _many_threads() -> AsyncIterator[None]:
    """So many clients may wait at the same time."""
    with ThreadPoolExecutor(120) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        yield


async def ask(nginx: NginxServer, target: str, method: str = "GET", **headers: str) -> Reply:
    return await asyncio.to_thread(
        nginx.get, target, {name.replace("_", "-"): value for name, value in headers.items()}, method=method
    )


def targets(server: ScriptedServer) -> list[str]:
    return [request.target for request in server.received]


RAW = [
    "/a//b.jpg!thumb",
    "//a.jpg",
    "/a%2Fb.jpg!thumb",
    "/a%2fb.jpg",
    "/a%252Fb.jpg",
    "/cat.jpg%21thumb",
    "/cat.jpg!thumb",
    "/a|b.jpg",
    "/a%7Cb.jpg",
    "/cat.jpg?imageMogr2/thumbnail/!50p|watermark/1/image/bG9nbw==",
    "/cat.jpg?imageMogr2/thumbnail/!50p%7CimageView2/1/w/2",
    "/cat.jpg?x-oss-process=image/resize,w_200",
    "/cat.jpg!/fw/200",
    "/a+b%20c.jpg",
    "/%E7%8C%AB.jpg",
    "/a/./b.jpg",
    "/a/../b.jpg",
    "/a%5Cb.jpg",
    "/%ff.jpg",
    "/cat.jpg?",
    "/cat.jpg?a=1&a=2&=&",
]


async def test_paths_go_through_untouched(tmp_path: Path) -> None:
    """What the client wrote is what imgbang reads, byte for byte, and each spelling is a copy of its own."""
    async with ScriptedServer(PICTURE) as replica:
        with NginxServer(tmp_path, [replica.port]) as nginx:
            for target in RAW * 2:
                assert (await ask(nginx, target)).status == 200, target

    assert targets(replica) == RAW


async def test_nothing_else_can_change_an_answer(tmp_path: Path) -> None:
    """Of a request's headers, imgbang sees those that an answer may depend on, and no body."""
    async with ScriptedServer(PICTURE) as replica:
        with NginxServer(tmp_path, [replica.port]) as nginx:
            await ask(
                nginx,
                "/a.jpg",
                Host="img.example.com:8443",
                Accept="image/webp",
                Cookie="a=b",
                Authorization="Bearer x",
                Range="bytes=0-1",
                If_None_Match='"x"',
                X_Forwarded_Host="evil.example",
                X_Original_URL="/-/metrics",
                X_HTTP_Method_Override="DELETE",
                X_Request_Id="mine",
                Cache_Control="no-cache",
                Accept_Encoding="gzip",
                Connection="X-Accel-Expires",
            )

    seen = replica.received[0].headers
    assert seen.keys() == {"host", "accept", "x-request-id", "x-forwarded-for", "x-forwarded-proto"}
    assert seen["host"] == "img.example.com:8443"
    assert (seen["accept"], seen["x-forwarded-for"], seen["x-forwarded-proto"]) == ("image/webp", "127.0.0.1", "http")
    assert len(seen["x-request-id"]) == 32


def first_then(first: Callable[[int], Script], then: Callable[[int], Script]) -> Script:
    """Answer each target, `/<status>.jpg`, in one way the first time and in another way from then on."""
    seen = set[str]()

    async def script(request: Received, writer: asyncio.StreamWriter) -> None:
        way = then if request.target in seen else first
        seen.add(request.target)
        await way(int(request.target[1:4]))(request, writer)

    return script


def failure(status: int) -> Script:
    return reply(status, b"no", Cache_Control="no-store")


async def test_errors_are_not_kept(tmp_path: Path) -> None:
    """After an error the very next request is asked again, and a good answer is kept."""
    async with ScriptedServer(first_then(failure, lambda _: PICTURE)) as replica:
        with NginxServer(tmp_path, [replica.port]) as nginx:
            for status in (400, 401, 403, 413, 429, 500, 502, 503, 504):
                statuses = [(await ask(nginx, f"/{status}.jpg")).status for _ in range(3)]
                assert statuses == [status, 200, 200]
                assert targets(replica).count(f"/{status}.jpg") == 2


async def test_stale_instead_of_errors_only(tmp_path: Path) -> None:
    """An old copy stands in for a replica in trouble; never for one that says that the picture is gone or refused."""
    seen = {404: 404, 410: 410, 403: 403, 401: 401, 415: 415, 429: 200, 500: 200, 502: 200, 503: 200, 504: 200}
    async with ScriptedServer(first_then(lambda _: PICTURE, failure)) as replica:
        with NginxServer(tmp_path, [replica.port]) as nginx:
            assert {(await ask(nginx, f"/{status}.jpg")).status for status in seen} == {200}
            await asyncio.sleep(2.2)
            assert {status: (await ask(nginx, f"/{status}.jpg")).status for status in seen} == seen


async def test_long_cache_control_without_a_word_for_nginx(tmp_path: Path) -> None:
    """Without X-Accel-Expires, Cache-Control counts as it does in any nginx: nothing that is no-store or private."""
    kept, unkept = reply(200, b"1", Cache_Control="max-age=60"), reply(200, b"1", Cache_Control="private, max-age=60")
    async with ScriptedServer(kept) as one, ScriptedServer(unkept) as other:
        with NginxServer(tmp_path / "1", [one.port]) as first, NginxServer(tmp_path / "2", [other.port]) as second:
            for _ in range(3):
                await ask(first, "/a.jpg")
                await ask(second, "/a.jpg")

    assert (len(one.received), len(other.received)) == (1, 3)


IMAGES = [f"/album-{number % 7}/photo-{number}.jpg" for number in range(120)]
VARIANTS = ["", "!thumb", "%21thumb", "!small?v=2", "?imageView2/1/w/200", "!/fw/200", "!100x100"]


async def routes(home: Path, replicas: Sequence[ScriptedServer], images: Sequence[str]) -> dict[str, set[int]]:
    """Which replicas were asked for variants of each image."""
    with NginxServer(home, [replica.port for replica in replicas]) as nginx:
        await asyncio.to_thread(lambda: [nginx.get(image + variant) for image in images for variant in VARIANTS])
    found: dict[str, set[int]] = {image: set() for image in images}
    for number, replica in enumerate(replicas):
        for target in targets(replica):
            found[target.partition("?")[0].partition("!")[0].partition("%21")[0]].add(number)
        replica.received.clear()
    return found


async def test_variants_of_an_image_share_a_replica(tmp_path: Path) -> None:
    """All variants go to one of three replicas, the images evenly; with a fourth, only a share of the images moves."""
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(ScriptedServer(PICTURE)) for _ in range(4)]
        three = await routes(tmp_path / "3", replicas[:3], IMAGES)
        four = await routes(tmp_path / "4", replicas, IMAGES)

    assert all(len(found) == 1 for found in three.values())
    spread = Counter(next(iter(found)) for found in three.values())
    assert min(spread.values()) >= len(IMAGES) / 3 / 2
    moved = [image for image in IMAGES if three[image] != four[image]]
    assert all(four[image] == {3} for image in moved)
    assert 0 < len(moved) < len(IMAGES) / 2


async def test_a_dead_replica_is_passed_over(tmp_path: Path) -> None:
    """One of three refuses connections, or dies while it is asked: every request is answered by another."""
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(ScriptedServer(PICTURE)) for _ in range(2)]
        dying = await stack.enter_async_context(ScriptedServer(then_close(reply(200, b"half", length=0), reset=True)))
        dying.scripts = [_reset]
        nginx = ExitStack()
        with nginx:
            refused = nginx.enter_context(NginxServer(tmp_path / "1", [one.port, free_ports(1)[0], other.port]))
            reset = nginx.enter_context(NginxServer(tmp_path / "2", [one.port, dying.port, other.port]))
            for server in (refused, reset):
                statuses = [(await ask(server, image)).status for image in IMAGES[:40]]
                assert statuses == [200] * 40
    assert dying.received


async def _reset(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def test_a_full_replica_is_not_passed_over(tmp_path: Path) -> None:
    """503 is the answer, with its Retry-After: overload must not walk from replica to replica."""
    full = reply(503, b"full", Retry_After="2", Cache_Control="no-store")
    async with ScriptedServer(full) as one, ScriptedServer(full) as other:
        with NginxServer(tmp_path, [one.port, other.port]) as nginx:
            replies = [await ask(nginx, image) for image in IMAGES[:10]]

    assert {(each.status, each.headers["retry-after"]) for each in replies} == {(503, "2")}
    assert len(one.received) + len(other.received) == 10


async def test_a_herd_at_a_slow_replica(tmp_path: Path) -> None:
    """A hundred wait for one request; when its copy expires, they are served the old one while one of them asks."""

    async def slow(request: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        await PICTURE(request, writer)

    async with ScriptedServer(slow) as replica:
        with NginxServer(tmp_path, [replica.port]) as nginx:
            first = await asyncio.gather(*(ask(nginx, "/a.jpg") for _ in range(100)))
            assert {each.status for each in first} == {200}
            assert len(replica.received) == 1
            await asyncio.sleep(2.2)
            second = await asyncio.gather(*(ask(nginx, "/a.jpg") for _ in range(100)))
            assert {each.status for each in second} == {200}
            assert len(replica.received) == 2


async def test_private_urls_do_not_queue(tmp_path: Path) -> None:
    """Signed URLs and saveas are passed on at once, side by side, whatever their number, and keep their conditions."""
    arrived = 0
    everybody = asyncio.Event()

    async def together(request: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        if arrived == 20:
            everybody.set()
        await asyncio.wait_for(everybody.wait(), 10)
        await PICTURE(request, writer)

    target = "/a.jpg?e=1&token=a:b"
    async with ScriptedServer(together) as replica:
        with NginxServer(tmp_path, [replica.port]) as nginx:
            asked = [
                ask(nginx, target if number % 2 else "/a.jpg?imageView2/0|saveas/x/sign/y") for number in range(20)
            ]
            assert {each.status for each in await asyncio.gather(*asked)} == {200}
            await ask(nginx, target, If_None_Match='"1"', Range="bytes=0-1", Cookie="no")
            assert nginx.cached_files() == 0

    assert len(replica.received) == 21
    last = replica.received[-1].headers
    assert (last["if-none-match"], last["range"]) == ('"1"', "bytes=0-1")
    assert "cookie" not in last


async def test_other_methods(tmp_path: Path) -> None:
    """HEAD is asked as GET; OPTIONS and what imgbang refuses go through, without their bodies."""
    async with ScriptedServer(PICTURE, reply(204), reply(405, b"no")) as replica:
        with NginxServer(tmp_path, [replica.port]) as nginx:
            statuses = [(await ask(nginx, "/a.jpg", method)).status for method in ("HEAD", "OPTIONS", "DELETE")]

    assert statuses == [200, 204, 405]
    assert [request.method for request in replica.received] == ["GET", "OPTIONS", "DELETE"]


async def test_a_replica_that_breaks_off(tmp_path: Path) -> None:
    """A broken picture is not kept: the next client gets a whole one."""
    async with ScriptedServer(then_close(reply(200, b"half", length=100, X_Accel_Expires="9")), PICTURE) as replica:
        with NginxServer(tmp_path, [replica.port]) as nginx:
            with pytest.raises(Exception, match="IncompleteRead"):
                await ask(nginx, "/a.jpg")
            assert (await ask(nginx, "/a.jpg")).body == b"picture"


async def test_large_headers(tmp_path: Path) -> None:
    """A header or URL that nginx refuses never reaches imgbang; one that imgbang takes passes."""
    async with ScriptedServer(PICTURE) as replica:
        with NginxServer(tmp_path, [replica.port]) as nginx:
            long = await ask(nginx, "/a.jpg", X_Long="x" * 9000)
            uri = await ask(nginx, "/a.jpg?" + "x" * 9000)
            fits = await ask(nginx, "/a.jpg?" + "x" * 8000)

    assert (long.status, uri.status, fits.status) == (400, 414, 200)
    assert len(replica.received) == 1

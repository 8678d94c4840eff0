"""Herds: what is asked for while it is being rendered for another is the same answer, and one render."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from aiohttp import web

from proxy.plan.preset_file import read_presets
from proxy.plan.signing import sign
from proxy.web.state import FAILED
from tests.pictures import coordinates, encoded
from tests.web.site import PRESETS, SECRET, THUMB, Site, parsed, said, site_with


@pytest.fixture(name="site")
async def _site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_with(tmp_path) as site:
        yield site


async def begun(site: Site, target: str = THUMB, **headers: str) -> asyncio.Task[web.StreamResponse]:
    """A first request, under way."""
    task = asyncio.create_task(site.app._handle(site.request(target, headers)))
    await asyncio.sleep(0)
    assert not task.done()
    return task


def renders(site: Site, outcome: str = "ok") -> float:
    return site.running.metrics.value("imgbang_renders_total", {"outcome": outcome})


async def test_a_herd_gets_one_answer(site: Site) -> None:
    """One render; the others get what the whole story would have told them, and are counted as joined."""
    first = await begun(site)
    while not site.running.renderer.flights:
        await asyncio.sleep(0)
    others = [asyncio.create_task(site.herds.answer(site.request(THUMB))) for _ in range(50)]
    whole = asyncio.create_task(site.whole(THUMB))

    answers = [parsed(response) for response in await asyncio.gather(*others) if response is not None]

    assert (await first).status == 200
    assert [said(answer) for answer in answers] == [said(await whole)] * 50
    assert answers[0].headers["Cache-Status"] == "imgbang; fwd=miss; collapsed; detail=rendered"
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 50
    assert renders(site) == 1
    shown = site.running.metrics.exposition().decode()
    assert 'imgbang_requests_total{outcome="joined",status="200"} 51.0' in shown


async def test_nobody_waits_for_what_nobody_makes(site: Site) -> None:
    """Without a first request, and after its end, the application answers."""
    assert await site.herds.answer(site.request(THUMB)) is None
    await site.whole(THUMB)
    assert await site.herds.answer(site.request(THUMB)) is None


@pytest.mark.parametrize(
    ("headers", "method"),
    [
        ({"Range": "bytes=0-1"}, "GET"),
        ({"If-None-Match": '"x"'}, "GET"),
        ({"If-Match": '"x"'}, "GET"),
        ({"Accept": "image/webp"}, "GET"),
        ({}, "HEAD"),
    ],
)
async def test_others_go_the_whole_way(site: Site, headers: dict[str, str], method: str) -> None:
    """Who asks for something else, or in another way."""
    first = await begun(site)
    assert await site.herds.answer(site.request(THUMB, headers, method)) is None
    await first


async def test_special_requests_are_not_joined(site: Site) -> None:
    """Conditions, ranges, marks and signatures: what those get is not for everybody."""
    signed = f"{THUMB}?e={int(time.time()) + 600}"
    signed += f"&token=tests:{sign(f'http://x{signed}', SECRET)}"
    for target, headers in (
        ("/a.jpg!marked", {}),
        (signed, {}),
        (f"{THUMB}?v=1", {"If-None-Match": '"x"'}),
        (f"{THUMB}?v=2", {"Range": "bytes=0-1"}),
    ):
        await site.running.purger.key("a.jpg")
        first = await begun(site, target, **headers)
        assert await site.herds.answer(site.request(target)) is None, target
        await first


async def test_new_presets_are_not_missed(site: Site) -> None:
    """After an edit the URL may mean something else."""
    first = await begun(site)
    site.running.book.replace(read_presets(PRESETS.replace("width = 20", "width = 30")))
    assert await site.herds.answer(site.request(THUMB)) is None
    await first


async def test_the_first_may_leave(site: Site) -> None:
    """The render goes on for those who joined it; nothing is rendered twice."""
    first = await begun(site)
    other = asyncio.create_task(site.herds.answer(site.request(THUMB)))
    while not site.running.metrics.value("imgbang_joined_total"):
        await asyncio.sleep(0)
    first.cancel()

    answer = await other

    assert answer is not None
    assert parsed(answer).status == 200
    assert first.cancelled()
    assert (renders(site), renders(site, "cancelled")) == (1, 0)


async def test_who_leaves_is_noted(site: Site) -> None:
    """A client of the herd that goes away is a line and a count like any other."""
    first = await begun(site)
    with structlog.testing.capture_logs() as events:
        other = asyncio.create_task(site.herds.answer(site.request(THUMB)))
        await asyncio.sleep(0)
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)

    assert [(event["status"], event["outcome"]) for event in events] == [(499, "client-gone")]
    assert (await first).status == 200


async def test_a_failure_is_answered_by_the_application(site: Site) -> None:
    """All get the error of the one render, told in the one place that tells errors; it is not tried again for each."""
    (site.originals / "broken.jpg").write_bytes(b"no picture at all")
    first = await begun(site, "/broken.jpg!thumb")
    requests = [site.request("/broken.jpg!thumb") for _ in range(20)]

    answers = await asyncio.gather(*map(site.herds.answer, requests))

    assert (await first).status == 415
    assert answers == [None] * 20
    assert all(FAILED in request for request in requests)
    told = [await site.app._handle(request) for request in requests]
    assert [answer.status for answer in told] == [415] * 20
    assert renders(site, "not_an_image") == 1


async def test_a_missing_original_may_be_another_reading(site: Site) -> None:
    """`!thumb` may be a preset or a part of the name: the first reading is missing for all, the second is there."""
    (site.originals / "b.jpg!thumb").write_bytes(encoded(coordinates(30, 20), "JPEG"))
    first = await begun(site, "/b.jpg!thumb")
    request = site.request("/b.jpg!thumb")

    assert await site.herds.answer(request) is None

    assert FAILED not in request
    assert (await first).status == 200
    assert (await site.app._handle(request)).status == 200


async def test_a_server_that_stops_says_goodbye(site: Site) -> None:
    """Which is said on the whole way; the render is not lost by it."""
    first = await begun(site)
    other = asyncio.create_task(site.herds.answer(site.request(THUMB)))
    await asyncio.sleep(0)
    site.running.grace.begin()

    assert await other is None
    assert (await first).status == 200
    assert (await site.whole(THUMB)).status == 200
    assert renders(site) == 1

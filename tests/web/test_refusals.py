"""Refusals at once: what the whole story would come to, and only where it surely would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from proxy.delivery import turns
from proxy.delivery.admission import Gate
from proxy.delivery.deadline import Deadline
from proxy.errors import NotAnImage
from proxy.plan.preset_file import read_presets
from proxy.plan.signing import sign
from proxy.web import rests
from tests.delivery.test_result import result_of
from tests.pictures import coordinates, encoded
from tests.web.site import PRESETS, SECRET, THUMB, Site, parsed, said, site_with

OTHER = "/b.jpg!thumb"


@pytest.fixture(name="site")
async def _site(tmp_path: Path) -> AsyncIterator[Site]:
    """Without a store of results, so that what memory has not is known to be absent on every file system."""
    async with site_with(tmp_path, results="none", render_queue=0) as site:
        yield site


@contextmanager
def full(site: Site) -> Iterator[None]:
    """For the block, every place to render is taken."""
    gate = site.running.renderer._maker._render_gate
    with gate.at_once(gate.statistics.limit) as entered:
        assert entered
        yield


async def refused(site: Site, target: str = THUMB, headers: dict[str, str] | None = None, method: str = "GET") -> bool:
    return await site.refusals.answer(site.request(target, headers, method)) is not None


def counted(site: Site) -> dict[str, str]:
    """Every count; without the times, which differ."""
    lines = site.running.metrics.exposition().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {
        name: value for name, value in pairs if "_total" in name and "process_" not in name and "python_" not in name
    }


def gained(before: dict[str, str], after: dict[str, str]) -> dict[str, float]:
    grown = {name: float(value) - float(before.get(name, 0)) for name, value in after.items()}
    return {name: growth for name, growth in grown.items() if growth}


@pytest.mark.parametrize("target", [THUMB, "/a.jpg!chosen", f"{THUMB}?v=3", "/none.jpg!thumb"])
async def test_it_is_the_answer_of_the_application(site: Site, target: str) -> None:
    """Status, body, headers, line of the log and counts."""
    with full(site), structlog.testing.capture_logs() as lines:
        counts = [counted(site)]
        whole = await site.whole(target)
        counts.append(counted(site))
        at_once = await site.refusals.answer(site.request(target))
        counts.append(counted(site))

    assert at_once is not None
    assert said(parsed(at_once)) == said(whole)
    assert (whole.status, whole.headers["Retry-After"]) == (503, "1")
    growth = gained(*counts[:2])
    assert gained(*counts[1:]) == growth
    assert growth['imgbang_requests_total{outcome="error",status="503"}'] == 1
    assert growth['imgbang_renders_total{outcome="overloaded"}'] == 1
    assert growth['imgbang_results_found_total{where="nowhere"}'] == 1
    told = [{name: value for name, value in line.items() if name not in ("ms", "id")} for line in lines]
    assert told[0] == told[1]
    assert told[0]["code"] == "overloaded"


async def test_who_was_refused_rests(site: Site) -> None:
    """Its connection is not read for a moment; not where a body is still to come, which aiohttp reads in turns."""
    whole, with_body = site.request(THUMB), site.request(THUMB)
    whole._payload, with_body._payload = EMPTY_PAYLOAD, StreamReader(with_body.protocol, 1024)
    with full(site):
        for request in (whole, with_body):
            assert await site.refusals.answer(request) is not None
    await asyncio.sleep(rests.SECONDS * 5)

    assert whole.transport is not None
    assert with_body.transport is not None
    turns_of = [name for name, *_ in whole.transport.method_calls if name.endswith("_reading")]
    assert turns_of == ["pause_reading", "resume_reading"]
    assert not with_body.transport.pause_reading.called


async def test_who_is_not_refused_does_not_rest(site: Site) -> None:
    """What goes the whole way is read as ever."""
    early, hit = site.request(THUMB), site.request(THUMB)
    early._payload = hit._payload = EMPTY_PAYLOAD
    assert await site.refusals.answer(early) is None
    await site.whole(THUMB)
    with full(site):
        assert await site.refusals.answer(hit) is None

    for request in (early, hit):
        assert request.transport is not None
        assert not request.transport.pause_reading.called


async def test_with_places_nobody_is_refused(site: Site) -> None:
    """Neither before all places are taken nor after."""
    assert not await refused(site)
    with full(site):
        assert await refused(site)
    assert not await refused(site)
    assert (await site.whole(THUMB)).status == 200


async def test_the_store_is_asked_as_often(tmp_path: Path) -> None:
    """Where results are stored, too, an early refusal counts what that of the application counts."""
    async with site_with(tmp_path, render_queue=0) as site:
        await site.whole("/a.jpg!chosen")  # so that there is a folder
        await site.running.results.drain(5)
        with full(site):
            for number in range(3):
                counts = [counted(site)]
                assert (await site.whole(THUMB)).status == 503
                counts.append(counted(site))
                assert await refused(site)
                counts.append(counted(site))
                assert gained(*counts[1:]) == gained(*counts[:2]), number


async def test_a_result_is_answered(site: Site) -> None:
    """What memory has needs no place; another size of it does."""
    await site.whole(THUMB)
    with full(site):
        assert not await refused(site)
        assert await refused(site, "/a.jpg!chosen")
        assert (await site.whole(THUMB)).status == 200


async def test_a_stored_result_is_answered(tmp_path: Path) -> None:
    """What only the store has, too; what it has not is refused."""
    async with site_with(tmp_path, cache_bytes=0, render_queue=0) as site:
        await site.whole(THUMB)
        await site.running.results.drain(5)
        site.running.results._recent.drop_where(lambda _: True)
        with full(site):
            assert not await refused(site)
            whole = await site.whole(THUMB)
            assert whole.status == 200
            assert "detail=store" in whole.headers["Cache-Status"]
            assert await refused(site, "/a.jpg!chosen")


async def test_what_must_be_opened_goes_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is not sure may have the result."""

    async def unsure(_: str) -> bool:
        return False

    async with site_with(tmp_path, render_queue=0) as site:
        monkeypatch.setattr(site.running.results, "_glance", lambda _: None)
        monkeypatch.setattr(site.running.results, "_lacks", unsure)
        with full(site):
            assert not await refused(site)
            assert (await site.whole(THUMB)).status == 503


def slow_look(site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Have the store tell that it lacks everything, but not soon: when it was asked, and when it may answer."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def lacks(_: str) -> bool:
        asked.set()
        await answered.wait()
        return True

    monkeypatch.setattr(site.running.results, "_glance", lambda _: None)
    monkeypatch.setattr(site.running.results, "_lacks", lacks)
    return asked, answered


async def test_a_place_that_becomes_free_is_taken(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store was asked, somebody has left: then it is no refusal any more."""
    asked, answered = slow_look(site, monkeypatch)
    with full(site):
        waiting = asyncio.create_task(refused(site))
        await asyncio.wait_for(asked.wait(), 5)
    answered.set()
    assert not await waiting


@pytest.mark.parametrize("meanwhile", ["made", "failed"])
async def test_what_is_decided_meanwhile_is_no_refusal(
    site: Site, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """While the store was asked, the result was made, or known to fail: that is the answer, with no place free."""
    asked, answered = slow_look(site, monkeypatch)
    plan = site.running.planner.plan(site.running.planner.read(THUMB)[0], None)
    with full(site):
        waiting = asyncio.create_task(refused(site))
        await asyncio.wait_for(asked.wait(), 5)
        if meanwhile == "made":
            await site.running.results.keep(plan, result_of(plan=plan))
        else:
            site.running.renderer._failures.remember(plan, NotAnImage("no image"))
        answered.set()
        assert not await waiting


async def test_a_place_is_for_one_of_those_who_were_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several who came while there was one place left are told in the same moment: one renders, the rest is refused."""
    answered, early, targets = asyncio.Event(), list[bool](), [THUMB, OTHER, "/a.jpg!chosen", "/b.jpg!chosen"]
    asked = list[str]()

    async def lacks(name: str) -> bool:
        asked.append(name)
        await answered.wait()
        return True

    async def ask(site: Site, target: str) -> int:
        """As the server does."""
        refusal = await site.refusals.answer(site.request(target))
        early.append(refusal is not None)
        return 503 if refusal is not None else (await site.whole(target)).status

    async with site_with(tmp_path, render_queue=2) as site:
        (site.originals / "b.jpg").write_bytes(encoded(coordinates(30, 20), "JPEG"))
        monkeypatch.setattr(site.running.results, "_glance", lambda _: None)
        monkeypatch.setattr(site.running.results, "_lacks", lacks)
        gate = site.running.renderer._maker._render_gate
        with full(site):
            waiting = asyncio.create_task(asyncio.wait_for(_wait_in(gate), 5))
            await asyncio.sleep(0)
            asking = [asyncio.create_task(ask(site, target)) for target in targets]
            while len(asked) < len(targets):
                await asyncio.sleep(0)
            answered.set()
            while len(early) < len(targets):
                await asyncio.sleep(0)
        await waiting
        statuses = await asyncio.wait_for(asyncio.gather(*asking), 10)

    assert early == [False, True, True, True]
    assert sorted(statuses) == [200, 503, 503, 503]
    assert site.running.metrics.value("imgbang_results_found_total", {"where": "nowhere"}) == len(targets)


async def _wait_in(gate: Gate) -> None:
    async with gate.slot(Deadline.after(5)):
        pass


async def test_a_store_that_does_not_answer_is_not_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application has its own time for that; and a client that leaves meanwhile is noted."""

    async def lacks(_: str) -> bool:
        await asyncio.sleep(60)
        return True

    monkeypatch.setattr(site.running.results, "_glance", lambda _: None)
    monkeypatch.setattr(site.running.results, "_lacks", lacks)
    with full(site), structlog.testing.capture_logs() as lines:
        assert not await asyncio.wait_for(refused(site), 5)
        leaving = asyncio.create_task(refused(site))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    assert [(line["status"], line["outcome"]) for line in lines] == [(499, "client-gone")]


async def test_who_can_join_is_not_refused(site: Site) -> None:
    """What is being rendered for another needs no place of its own."""
    (site.originals / "b.jpg").write_bytes(encoded(coordinates(30, 20), "JPEG"))
    first = asyncio.create_task(site.whole(THUMB))
    gate = site.running.renderer._maker._render_gate
    while not gate.statistics.inside:
        assert not first.done()
        await asyncio.sleep(0)
    with gate.at_once(gate.statistics.limit - gate.statistics.inside):
        assert await refused(site, OTHER)
        assert not await refused(site)
    assert (await first).status == 200


async def test_what_is_known_to_fail_is_told(site: Site) -> None:
    """A broken original and a missing one are 415 and 404 as before: coming back later would not help."""
    (site.originals / "broken.jpg").write_bytes(b"no picture at all")
    for target in ("/broken.jpg!thumb", "/missing.jpg!thumb"):
        await site.whole(target)
    with full(site):
        for target, status in (("/broken.jpg!thumb", 415), ("/missing.jpg!thumb", 404)):
            assert not await refused(site, target)
            assert (await site.whole(target)).status == status


@pytest.mark.parametrize(
    "target",
    ["/a.jpg", "/a.jpg!marked", "/a.jpg!other", "/-/live", "/-/explain/a.jpg!thumb", "/%2D/live", "/", "/..!thumb"],
)
async def test_only_pictures_are_refused(site: Site, target: str) -> None:
    """Originals, pages, what cannot be read, and what needs more than its own original go the whole way."""
    with full(site):
        assert not await refused(site, target)


@pytest.mark.parametrize("target", ["/-/live", "/%2D/live", "/%2d%2Flive", "/-/ready?x", "/-/metrics", "/-/100x100"])
async def test_pages_are_never_taken_for_presets(site: Site, target: str) -> None:
    """Where `/` is a separator and presets have their names: a probe that is refused would end the process."""
    presets = "".join(f"[presets.{name}]\nwidth = 5\n" for name in ("live", "ready", "metrics"))
    site.running.book.replace(read_presets(f'separators = ["/", "!"]\nadhoc = "any"\n{presets}'))
    with full(site):
        assert await refused(site, "/a.jpg/live")
        assert not await refused(site, target)


@pytest.mark.parametrize(
    ("headers", "method"),
    [
        ({"Range": "bytes=0-1"}, "GET"),
        ({"If-None-Match": '"x"'}, "GET"),
        ({"If-Modified-Since": "Thu, 26 Nov 2026 18:45:05 GMT"}, "GET"),
        ({}, "HEAD"),
        ({}, "DELETE"),
    ],
)
async def test_what_says_more_goes_the_whole_way(site: Site, headers: dict[str, str], method: str) -> None:
    """A condition may be answered by a look; other methods are read elsewhere."""
    with full(site):
        assert await refused(site)
        assert not await refused(site, THUMB, headers, method)


async def test_signatures_are_read_elsewhere(site: Site) -> None:
    """A wrong one is 401 in a full house, too."""
    signed = f"{THUMB}?e={int(time.time()) + 600}"
    signed += f"&token=tests:{sign(f'http://x{signed}', SECRET)}"
    wrong = f"{THUMB}?e={int(time.time()) + 600}&token=tests:{sign('http://y', SECRET)}"
    with full(site):
        assert not await refused(site, signed)
        assert not await refused(site, wrong)
        assert not await refused(site, f"{THUMB}?imageView2/1/w/10|saveas/eA==/sign/tests:x")
        assert (await site.whole(wrong)).status == 401


async def test_another_replica_may_have_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are others, the whole way asks them."""
    monkeypatch.setattr(turns.Turns, "alone", False)
    with full(site):
        assert not await refused(site)


async def test_a_server_that_stops_says_goodbye(site: Site) -> None:
    """Which is said on the whole way."""
    with full(site):
        site.running.grace.begin()
        assert not await refused(site)


async def test_new_presets_count(site: Site) -> None:
    """The URL is read by the presets of the moment."""
    with full(site):
        assert not await refused(site, "/a.jpg!new")
        site.running.book.replace(read_presets(PRESETS.replace("thumb", "new")))
        assert await refused(site, "/a.jpg!new")

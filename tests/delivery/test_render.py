"""The story of a request: find, stage, admit, render, save."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.delivery.answer import Outcome
from proxy.delivery.result import etag_of, result_name
from proxy.errors import (
    CannotRender,
    DeadlinePassed,
    NotAnImage,
    OriginalChanged,
    OriginalNotFound,
    OriginalTooLarge,
    OriginUnavailable,
    Overloaded,
    ProxyError,
    RenderCrashed,
)
from proxy.imaging.job import RenderJob, RenderReport
from proxy.plan.operations import Watermark
from proxy.plan.output import OnError, Output, Target
from proxy.plan.plan import Plan
from tests.delivery.kitchen import NEGATIVE_TTL, WINDOW, Has, Kitchen, plan_of
from tests.fakes import FakeWorkers, MemoryStore

if TYPE_CHECKING:
    from _typeshed import HasFileno


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def until(happened: Callable[[], bool]) -> None:
    """Let others work until it has happened: threads take part in it."""
    async with asyncio.timeout(5):
        while not happened():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def another(kitchen: Kitchen, directory: Path) -> AsyncIterator[Kitchen]:
    """Another replica on the same buckets."""
    async with Kitchen(directory, source=kitchen.source, store=kitchen.store) as other:
        yield other


# A miss, a hit, a crowd.


async def test_miss_then_hit(kitchen: Kitchen) -> None:
    """The first request renders and saves; the second touches neither bucket nor worker."""
    kitchen.source.add("a.jpg", b"pixels")
    first = await kitchen.answer()
    await kitchen.settle()
    second = await kitchen.answer()

    assert (first.outcome, second.outcome) == (Outcome.MISS, Outcome.HIT)
    assert first.result is not None
    assert first.result.body == b"rendered pixels"
    assert second.result == first.result
    assert (second.detail, second.etag) == ("memory", first.etag)
    assert kitchen.source.calls == {"open": 1}
    assert kitchen.store.calls == {"open": 1, "put": 1}
    assert (kitchen.workers.inspected, kitchen.workers.rendered) == (1, 1)
    assert {"find", "fetch", "queue", "render"} == set(first.stages.seconds)


async def test_hit_in_the_store_touches_nothing_else(kitchen: Kitchen, tmp_path: Path) -> None:
    """What another replica has just rendered is answered with one read."""
    kitchen.source.add("a.jpg", b"pixels")
    await kitchen.answer()
    await kitchen.settle()
    async with another(kitchen, tmp_path / "other") as other:
        answer = await other.answer()

        assert (answer.outcome, answer.detail) == (Outcome.HIT, "store")
        assert kitchen.source.calls == {"open": 1}
        assert other.workers.rendered == 0


async def test_crowd_renders_once(kitchen: Kitchen) -> None:
    """500 requests for one cold picture: one read of each bucket, one render, one save."""
    kitchen.source.add("a.jpg", b"pixels")
    answers = await asyncio.gather(*(kitchen.answer() for _ in range(500)))
    await kitchen.settle()

    assert {answer.result.body for answer in answers if answer.result} == {b"rendered pixels"}
    assert sorted({answer.outcome for answer in answers}) == [Outcome.JOINED, Outcome.MISS]
    assert kitchen.source.calls == {"open": 1}
    assert kitchen.store.calls == {"open": 1, "put": 1}
    assert kitchen.workers.rendered == 1
    assert kitchen.metrics.value("imgbang_joined_total") == 499
    assert kitchen.renderer.flights == 0


async def test_latecomers_ask_the_store_nothing(kitchen: Kitchen) -> None:
    """Who comes while a picture is rendered joins at once: it was looked for a moment ago."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.workers.barrier.close()
    first = asyncio.create_task(kitchen.answer())
    await kitchen.workers.barrier.reached()
    late = [asyncio.create_task(kitchen.answer()) for _ in range(20)]
    await asyncio.sleep(0.01)
    late += [asyncio.create_task(kitchen.answer()) for _ in range(20)]
    await asyncio.sleep(0.01)
    kitchen.workers.barrier.open()
    answers = await asyncio.gather(first, *late)
    await kitchen.settle()

    assert {answer.result.body for answer in answers if answer.result} == {b"rendered pixels"}
    assert kitchen.store.calls == {"open": 1, "put": 1}


async def test_variants_share_the_original_and_its_header(kitchen: Kitchen) -> None:
    """Ten sizes of one photo: one download, one look at the header, ten renders, two at a time."""
    kitchen.source.add("a.jpg", b"pixels")
    await asyncio.gather(*(kitchen.answer(plan_of(width=width)) for width in range(1, 11)))

    assert kitchen.source.calls == {"open": 1}
    assert (kitchen.workers.inspected, kitchen.workers.rendered) == (1, 10)
    assert kitchen.workers.most_running <= 2


async def test_hit_does_not_wait_behind_renders(kitchen: Kitchen) -> None:
    """With every slot busy and a queue, a hit is answered at once."""
    for key in "abcde":
        kitchen.source.add(key, b"pixels")
    await kitchen.answer(plan_of("a"))
    kitchen.workers.barrier.close()
    renders = [asyncio.create_task(kitchen.answer(plan_of(key))) for key in "bcde"]
    await kitchen.workers.barrier.reached(3)

    answer = await kitchen.answer(plan_of("a"), deadline=0.05)

    assert answer.outcome is Outcome.HIT
    kitchen.workers.barrier.open()
    await asyncio.gather(*renders)


async def test_look_up_that_began_before_the_render_ended(kitchen: Kitchen) -> None:
    """A miss that comes late from the store does not render a second time."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.store.barriers["open"].close()
    late = asyncio.create_task(kitchen.answer())
    await kitchen.store.barriers["open"].reached()
    known = await kitchen.freshness.look("a.jpg")
    assert known.version is not None
    flight = asyncio.create_task(kitchen.answer(conditions=Has("other")))
    await settle()
    kitchen.store.barriers["open"].open()
    await asyncio.gather(late, flight)

    assert kitchen.workers.rendered == 1


async def test_without_a_results_store(tmp_path: Path) -> None:
    """Results `none`: memory alone."""
    async with Kitchen(tmp_path, with_store=False) as kitchen:
        kitchen.source.add("a.jpg", b"pixels")
        assert [(await kitchen.answer()).outcome for _ in range(2)] == [Outcome.MISS, Outcome.HIT]
        assert kitchen.store.calls == {}


async def test_too_large_for_memory(tmp_path: Path) -> None:
    """Without a store, what does not fit into memory is rendered again, but not for those who came just before."""
    async with Kitchen(tmp_path, with_store=False, cache_entry_bytes=600) as kitchen:
        kitchen.source.add("a.jpg", b"p" * 1000)
        first = await kitchen.answer()
        assert (await kitchen.answer()).outcome is Outcome.HIT
        assert first.result is not None
        await kitchen.results.forget(plan_of(), first.result)
        assert (await kitchen.answer()).outcome is Outcome.MISS


# Freshness.


async def test_stale_is_served_while_one_look_revalidates(kitchen: Kitchen) -> None:
    """After the window the result is served at once, and one HEAD in the background renews it."""
    kitchen.source.add("a.jpg", b"pixels")
    await kitchen.answer()
    kitchen.clock.advance(WINDOW)
    kitchen.source.barriers["stat"].close()
    answers = await asyncio.gather(*(kitchen.answer() for _ in range(50)))
    await settle()

    assert {answer.outcome for answer in answers} == {Outcome.STALE}
    assert kitchen.source.calls["stat"] == 1
    kitchen.source.barriers["stat"].open()
    await settle()
    assert (await kitchen.answer()).outcome is Outcome.HIT
    assert kitchen.workers.rendered == 1


async def test_within_the_window_nothing_is_asked(kitchen: Kitchen) -> None:
    """A changed original may be served in its old form for the window, and no longer than one look after it."""
    kitchen.source.add("a.jpg", b"old")
    await kitchen.answer()
    kitchen.source.add("a.jpg", b"new")
    kitchen.clock.advance(WINDOW - 0.1)
    assert await kitchen.serve() == b"rendered old"
    await settle()
    assert kitchen.source.calls["stat"] == 0
    kitchen.clock.advance(0.1)
    assert await kitchen.serve() == b"rendered old"
    await settle()
    assert await kitchen.serve() == b"rendered new"


async def test_changed_original_is_rendered_once(kitchen: Kitchen) -> None:
    """Once the change is known, a crowd gets the new picture from one render, and the store has it."""
    kitchen.source.add("a.jpg", b"old")
    await kitchen.answer()
    await kitchen.settle()
    kitchen.source.add("a.jpg", b"new")
    await kitchen.freshness.look("a.jpg")
    answers = await asyncio.gather(*(kitchen.answer() for _ in range(50)))
    await kitchen.settle()

    assert {answer.result.body for answer in answers if answer.result} == {b"rendered new"}
    assert kitchen.workers.rendered == 2
    assert kitchen.store.objects[result_name(plan_of())].body == b"rendered new"
    assert len({answer.etag for answer in answers}) == 1


async def test_deleted_original(kitchen: Kitchen) -> None:
    """A deleted original is a 404 as soon as it is known, and its results are purged."""
    kitchen.source.add("a.jpg", b"pixels")
    await kitchen.answer()
    await kitchen.settle()
    del kitchen.source.objects["a.jpg"]
    kitchen.clock.advance(WINDOW)
    assert (await kitchen.answer()).outcome is Outcome.STALE
    await settle()

    with pytest.raises(OriginalNotFound):
        await kitchen.answer()
    assert kitchen.gone == ["a.jpg"]
    assert kitchen.store.objects == {}
    calls = kitchen.source.calls.total()
    with pytest.raises(OriginalNotFound):
        await kitchen.answer(plan_of(width=99))
    assert kitchen.source.calls.total() == calls


async def test_result_of_an_original_that_was_missing_before(kitchen: Kitchen, tmp_path: Path) -> None:
    """A replica that knew of the 404 only, and then finds a stored result, says 404 again and purges."""
    kitchen.source.add("a.jpg", b"pixels")
    await kitchen.answer()
    await kitchen.settle()
    kitchen.age(plan_of(), 2 * WINDOW)
    del kitchen.source.objects["a.jpg"]
    async with another(kitchen, tmp_path / "other") as other:
        with pytest.raises(OriginalNotFound):
            await other.answer(plan_of(width=99))
        other.clock.advance(NEGATIVE_TTL)
        with pytest.raises(OriginalNotFound):
            await other.answer()
        await settle()
        assert other.gone == ["a.jpg"]
        assert kitchen.store.objects == {}


async def test_purge_that_fails_does_not_hide_the_404(kitchen: Kitchen) -> None:
    """Deleting results is not the client's business."""
    kitchen.source.add("a.jpg", b"pixels")
    await kitchen.answer()
    await kitchen.settle()
    del kitchen.source.objects["a.jpg"]
    kitchen.clock.advance(WINDOW)
    kitchen.store.fail("list")
    await kitchen.answer()
    await settle()
    with pytest.raises(OriginalNotFound):
        await kitchen.answer()


async def test_upload_after_a_404(kitchen: Kitchen) -> None:
    """A missing original is remembered for a short time only."""
    with pytest.raises(OriginalNotFound):
        await kitchen.answer()
    kitchen.source.add("a.jpg", b"pixels")
    with pytest.raises(OriginalNotFound):
        await kitchen.answer()
    assert kitchen.source.calls["open"] == 1
    kitchen.clock.advance(NEGATIVE_TTL)
    assert await kitchen.serve() == b"rendered pixels"


async def test_unavailable_source_keeps_stale(kitchen: Kitchen) -> None:
    """While the originals' bucket is down, hits go on being served, stale if need be."""
    kitchen.source.add("a.jpg", b"pixels")
    await kitchen.answer()
    kitchen.clock.advance(10 * WINDOW)
    kitchen.source.fail("stat", "open")
    for _ in range(3):
        answer = await kitchen.answer()
        await settle()
        assert answer.outcome is Outcome.STALE
    with pytest.raises(OriginUnavailable):
        await kitchen.answer(plan_of(width=99))


async def test_unavailable_source_and_a_doubtful_result(kitchen: Kitchen, tmp_path: Path) -> None:
    """Stored and remembered versions differ, and nobody can be asked: stale, and said to be."""
    kitchen.source.add("a.jpg", b"old")
    await kitchen.answer()
    await kitchen.settle()
    kitchen.age(plan_of(), 2 * WINDOW)
    async with another(kitchen, tmp_path / "other") as other:
        kitchen.source.add("a.jpg", b"new")
        await other.freshness.look("a.jpg")
        other.clock.advance(WINDOW)
        for error in (OriginUnavailable("down"), Overloaded("closing")):
            kitchen.source.fail("stat", error=error)
            answer = await other.answer()
            assert answer.outcome is Outcome.STALE
            assert answer.result is not None
            assert answer.result.body == b"rendered old"
        kitchen.source.recover()
        assert await other.serve() == b"rendered new"


async def test_old_picture_of_another_replica_is_not_trusted(kitchen: Kitchen, tmp_path: Path) -> None:
    """A replica that renders from an old copy says when that copy was fetched, not when it rendered."""
    kitchen.source.add("a.jpg", b"old")
    await kitchen.answer(plan_of(width=99))
    async with another(kitchen, tmp_path / "other") as other:
        kitchen.source.add("a.jpg", b"new")
        await asyncio.sleep(0.01)
        await other.freshness.look("a.jpg")
        await asyncio.sleep(0.01)
        other.clock.advance(0.02)
        await kitchen.answer()
        await kitchen.settle()
        assert kitchen.store.objects[result_name(plan_of())].body == b"rendered old"

        assert await other.serve() == b"rendered new"


async def test_fresh_result_of_another_replica_is_trusted(kitchen: Kitchen, tmp_path: Path) -> None:
    """A result whose original was seen within the window needs no look; an older one does."""
    kitchen.source.add("a.jpg", b"pixels")
    await kitchen.answer()
    await kitchen.settle()
    kitchen.age(plan_of(), WINDOW - 1)
    async with another(kitchen, tmp_path / "other") as other:
        assert (await other.answer()).outcome is Outcome.HIT
        other.clock.advance(2)
        assert (await other.answer()).outcome is Outcome.STALE
    kitchen.age(plan_of(), 2)
    async with another(kitchen, tmp_path / "third") as third:
        assert (await third.answer()).outcome is Outcome.STALE


async def test_store_without_versions(kitchen: Kitchen) -> None:
    """An origin that cannot tell versions apart: nothing is served unchecked beyond the window."""
    kitchen.source.add("a.jpg", b"one", version="")
    first = await kitchen.answer()
    assert (await kitchen.answer()).outcome is Outcome.HIT
    kitchen.source.add("a.jpg", b"two", version="")
    kitchen.clock.advance(WINDOW)
    assert (await kitchen.answer()).outcome is Outcome.STALE
    await settle()
    second = await kitchen.answer(conditions=Has(first.etag))

    assert second.result is not None
    assert second.result.body == b"rendered two"
    assert second.etag != first.etag


# Conditions.


async def test_not_modified_from_knowledge(kitchen: Kitchen) -> None:
    """A client that has the current representation: nothing is found, fetched or rendered."""
    kitchen.source.add("a.jpg", b"pixels", version="v1")
    await kitchen.freshness.look("a.jpg")
    etag = etag_of("v1", plan_of(), "fake 1")
    answer = await kitchen.answer(conditions=Has(etag))

    assert (answer.outcome, answer.result, answer.etag) == (Outcome.NOT_MODIFIED, None, etag)
    assert kitchen.source.calls == {"stat": 1}
    assert kitchen.store.calls == {}


async def test_not_modified_from_a_look(kitchen: Kitchen) -> None:
    """Nothing is known and nothing stored: one HEAD tells, without a render or a download."""
    kitchen.source.add("a.jpg", b"pixels", version="v1")
    answer = await kitchen.answer(conditions=Has(etag_of("v1", plan_of(), "fake 1")))

    assert answer.outcome is Outcome.NOT_MODIFIED
    assert kitchen.source.calls == {"stat": 1}
    assert kitchen.workers.rendered == 0
    assert kitchen.store.calls == {}


async def only_stored(kitchen: Kitchen) -> str:
    """Have a result in the store alone, made before the window; its entity tag."""
    kitchen.source.add("a.jpg", b"pixels")
    etag = (await kitchen.answer()).etag
    await kitchen.settle()
    kitchen.clock.advance(WINDOW)
    await kitchen.memory.delete_where(lambda _: True)
    kitchen.results._recent.drop_where(lambda _: True)
    return etag


async def test_a_look_spares_reading_the_result(kitchen: Kitchen) -> None:
    """After the window, a client that has the picture costs one HEAD; the stored bytes are not read for it."""
    etag = await only_stored(kitchen)
    kitchen.store.calls.clear()
    kitchen.source.calls.clear()

    answer = await kitchen.answer(conditions=Has(etag))

    assert (answer.outcome, answer.detail) == (Outcome.NOT_MODIFIED, "known")
    assert kitchen.source.calls == {"stat": 1}
    assert kitchen.store.calls == {}


async def test_a_look_that_hangs_is_given_up(kitchen: Kitchen) -> None:
    """Who asks with a condition waits for the original's store half of the time, then has what is stored, unchanged."""
    etag = await only_stored(kitchen)
    kitchen.source.barriers["stat"].close()

    answer = await kitchen.answer(conditions=Has(etag), deadline=0.2)

    assert (answer.outcome, answer.detail) == (Outcome.NOT_MODIFIED, "store")
    kitchen.source.barriers["stat"].open()


async def test_not_modified_from_a_stored_result(kitchen: Kitchen) -> None:
    """A stored result of an older renderer is what the client has; it stays good."""
    kitchen.source.add("a.jpg", b"pixels")
    etag = (await kitchen.answer()).etag
    kitchen.workers.versions = "fake 2"
    answer = await kitchen.answer(conditions=Has(etag))
    assert (answer.outcome, answer.detail) == (Outcome.NOT_MODIFIED, "memory")


async def test_outdated_condition_costs_no_extra_look(kitchen: Kitchen) -> None:
    """Within the window nothing is asked, whatever a client has."""
    kitchen.source.add("a.jpg", b"pixels")
    await kitchen.answer(plan_of(width=99))
    answer = await kitchen.answer(conditions=Has('"old"'))
    assert answer.outcome is Outcome.MISS
    assert kitchen.source.calls == {"open": 1}


async def test_condition_on_what_is_missing(kitchen: Kitchen) -> None:
    """A 404 comes before a 304, from a look and from knowledge."""
    for _ in range(2):
        with pytest.raises(OriginalNotFound):
            await kitchen.answer(conditions=Has('"any"'))
    assert kitchen.source.calls == {"stat": 1}


async def test_not_modified_after_rendering(kitchen: Kitchen) -> None:
    """Where the entity tag is known only after the render, a match is still a 304."""
    kitchen.source.add("a.jpg", b"pixels", version="")
    etag = (await kitchen.answer()).etag
    await kitchen.purger.key("a.jpg")
    assert (await kitchen.answer(conditions=Has(etag))).outcome is Outcome.NOT_MODIFIED


# Failures.


@pytest.mark.parametrize("error", [NotAnImage("no image"), CannotRender("broken"), RenderCrashed("crashed")])
async def test_failure_that_lies_in_the_picture_is_remembered(kitchen: Kitchen, error: ProxyError) -> None:
    """A broken original is tried once in a while, not by everybody who asks."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.workers.failure = error
    for _ in range(3):
        with pytest.raises(type(error), match=error.message):
            await kitchen.answer()
    assert kitchen.workers.rendered == 1
    assert kitchen.metrics.value("imgbang_renders_total", {"outcome": error.code}) == 1
    kitchen.workers.failure = None
    kitchen.clock.advance(NEGATIVE_TTL)
    assert await kitchen.serve() == b"rendered pixels"


@pytest.mark.parametrize("error", [Overloaded("busy", retry_after=4), OriginUnavailable("down")])
async def test_failure_that_passes_is_not_remembered(kitchen: Kitchen, error: ProxyError) -> None:
    """What asking again may change is asked again; everybody who waited gets it as it was."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.workers.failure = error
    caught = await asyncio.gather(*(kitchen.answer() for _ in range(5)), return_exceptions=True)
    assert [(type(one), vars(one)) for one in caught] == [(type(error), vars(error))] * 5
    kitchen.workers.failure = None
    assert await kitchen.serve() == b"rendered pixels"


async def test_first_fetch_fails(kitchen: Kitchen) -> None:
    """A bucket that fails once fails that flight; the next request is answered and nothing was remembered."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.source.fail("open")
    caught = await asyncio.gather(*(kitchen.answer() for _ in range(10)), return_exceptions=True)
    kitchen.source.recover()

    assert {type(one) for one in caught} == {OriginUnavailable}
    assert await kitchen.serve() == b"rendered pixels"


async def test_more_memory_than_there_is(kitchen: Kitchen) -> None:
    """A picture whose decoding needs more than the whole budget is refused before it is decoded."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.workers.estimated_bytes = 10_001
    for _ in range(2):
        with pytest.raises(OriginalTooLarge, match="more memory"):
            await kitchen.answer()
    assert (kitchen.workers.inspected, kitchen.workers.rendered) == (1, 0)


async def test_small_pictures_are_one_task(kitchen: Kitchen) -> None:
    """What a share of the memory is enough for is looked at and rendered in one task of a worker."""
    for key in "ab":
        kitchen.source.add(key, b"pixels")
    kitchen.workers.estimated_bytes = 2_500  # a quarter of all: two slots, and half is left to larger ones
    await asyncio.gather(*(kitchen.answer(plan_of(key)) for key in "ab"))
    await kitchen.answer(plan_of("a", width=7))

    assert len(kitchen.workers.timeouts) == 3  # tasks of workers
    assert [job.header is None for job in kitchen.workers.jobs] == [True, True, False]


async def test_large_pictures_ask_first(kitchen: Kitchen) -> None:
    """What needs more is looked at, waits for as much as it needs, and is rendered then."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.workers.estimated_bytes = 2_501
    kitchen.workers.barrier.close()
    render = asyncio.create_task(kitchen.answer())
    await kitchen.workers.barrier.reached()
    held = kitchen.memory_gate.statistics.inside
    kitchen.workers.barrier.open()
    await render

    assert held > 2_500
    assert kitchen.memory_gate.statistics.inside == 0
    assert (kitchen.workers.inspected, kitchen.workers.rendered) == (1, 1)


async def test_memory_budget_is_shared(kitchen: Kitchen) -> None:
    """Two pictures that do not fit together are rendered one after the other."""
    for key in "ab":
        kitchen.source.add(key, b"pixels")
    kitchen.workers.estimated_bytes = 6_000
    await asyncio.gather(*(kitchen.answer(plan_of(key)) for key in "ab"))
    assert kitchen.workers.most_running == 1


async def test_full_queue_refuses(tmp_path: Path) -> None:
    """What finds no place to wait is refused at once, and gives its original back."""
    async with Kitchen(tmp_path, render_slots=1, render_queue=1) as kitchen:
        for key in "abc":
            kitchen.source.add(key, b"pixels")
        kitchen.workers.barrier.close()
        renders = [asyncio.create_task(kitchen.answer(plan_of(key))) for key in "abc"]
        await until(lambda: any(render.done() for render in renders))
        kitchen.workers.barrier.open()
        outcomes = await asyncio.gather(*renders, return_exceptions=True)

        assert sum(isinstance(outcome, Overloaded) for outcome in outcomes) == 1
        assert kitchen.render_gate.statistics.inside == 0


async def test_refused_before_anything_begins(tmp_path: Path) -> None:
    """While the queue is full, neither flight nor fetch is begun for who comes; what is stored is answered all the same."""
    async with Kitchen(tmp_path, render_slots=1, render_queue=1) as kitchen:
        for key in "abcd":
            kitchen.source.add(key, b"pixels")
        stored = await kitchen.answer(plan_of("d"))
        kitchen.workers.barrier.close()
        renders = [asyncio.create_task(kitchen.answer(plan_of(key))) for key in "ab"]
        await until(lambda: kitchen.render_gate.statistics.waiting == 1)
        fetches = kitchen.metrics.value("imgbang_fetches_total", {"outcome": "ok"})
        assert kitchen.renderer.flights == 2

        with pytest.raises(Overloaded):
            await kitchen.answer(plan_of("c"))
        assert (await kitchen.answer(plan_of("d"))).result is stored.result

        assert kitchen.metrics.value("imgbang_turns_total", {"outcome": "alone"}) == 3  # one for each flight
        assert kitchen.metrics.value("imgbang_fetches_total", {"outcome": "ok"}) == fetches == 3
        assert kitchen.metrics.value("imgbang_renders_total", {"outcome": "overloaded"}) == 1
        kitchen.workers.barrier.open()
        await asyncio.gather(*renders)


async def test_render_that_takes_too_long_is_remembered(kitchen: Kitchen) -> None:
    """A picture that used up the time of a render is not tried again by everybody."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.workers.failure = DeadlinePassed("the render took too long")
    for _ in range(2):
        with pytest.raises(DeadlinePassed):
            await kitchen.answer()
    assert kitchen.workers.rendered == 1
    assert kitchen.workers.timeouts == [4.0]


async def test_header_that_takes_too_long_is_remembered(kitchen: Kitchen) -> None:
    """A hostile header costs a worker once, too."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.workers.inspect_failure = DeadlinePassed("took too long")
    for _ in range(2):
        with pytest.raises(DeadlinePassed):
            await kitchen.answer()
    assert kitchen.workers.inspected == 1


async def test_hostile_picture_under_a_short_deadline_is_remembered(tmp_path: Path) -> None:
    """Also where the deadline is shorter than the render's own limit, which then is never reached."""
    async with Kitchen(tmp_path, deadline=1.0, render_timeout=4.0) as kitchen:
        kitchen.source.add("a.jpg", b"pixels")
        kitchen.workers.failure = DeadlinePassed("took too long")
        for _ in range(2):
            with pytest.raises(DeadlinePassed):
                await kitchen.answer()
        assert kitchen.workers.rendered == 1


async def test_time_lost_in_the_queue_is_not_the_pictures_fault(tmp_path: Path) -> None:
    """A render that had little time left because it waited is tried again."""
    async with Kitchen(tmp_path, deadline=0.1, render_timeout=0.09, render_slots=1) as kitchen:
        kitchen.source.add("a.jpg", b"pixels")
        kitchen.workers.barrier.close()
        blocker = asyncio.create_task(kitchen.answer(plan_of(width=99)))
        await kitchen.workers.barrier.reached()
        waiting = asyncio.create_task(kitchen.answer())
        await asyncio.sleep(0.05)
        kitchen.workers.failure = DeadlinePassed("took too long")
        kitchen.workers.barrier.open()
        await asyncio.gather(blocker, waiting, return_exceptions=True)
        kitchen.workers.failure = None

        assert await kitchen.serve() == b"rendered pixels"


async def test_waiting_for_a_header_has_a_deadline(tmp_path: Path) -> None:
    """A variant that waits for another one's look at the header waits no longer than its own deadline."""
    async with Kitchen(tmp_path, deadline=0.03) as kitchen:
        kitchen.source.add("a.jpg", b"pixels")
        kitchen.workers.inspect_barrier.close()
        started = time.monotonic()
        caught = await asyncio.gather(
            kitchen.answer(plan_of(width=1)), kitchen.answer(plan_of(width=2)), return_exceptions=True
        )
        assert [type(one) for one in caught] == [DeadlinePassed] * 2
        assert time.monotonic() - started < 1
        kitchen.workers.inspect_barrier.open()


async def test_deadline_of_a_caller(kitchen: Kitchen) -> None:
    """A caller in a hurry is told so; the render goes on for who has more time."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.workers.barrier.close()
    patient = asyncio.create_task(kitchen.answer())
    await kitchen.workers.barrier.reached()
    with pytest.raises(DeadlinePassed):
        await kitchen.answer(deadline=0.01)
    kitchen.workers.barrier.open()

    assert (await patient).outcome is Outcome.MISS
    assert kitchen.workers.rendered == 1


async def stall_source(kitchen: Kitchen) -> None:
    kitchen.source.barriers["open"].close()


async def stall_body(kitchen: Kitchen) -> None:
    kitchen.source.barriers["read"].close()


async def stall_results(kitchen: Kitchen) -> None:
    kitchen.store.barriers["open"].close()
    kitchen.source.barriers["open"].close()


async def stall_look(kitchen: Kitchen) -> None:
    kitchen.source.barriers["stat"].close()
    kitchen.source.barriers["open"].close()


async def stall_inspection(kitchen: Kitchen) -> None:
    kitchen.workers.inspect_barrier.close()


async def stall_render(kitchen: Kitchen) -> None:
    kitchen.workers.barrier.close()


@pytest.mark.parametrize("stall", [stall_source, stall_body, stall_results, stall_look, stall_inspection, stall_render])
async def test_every_stage_ends_at_the_deadline(kitchen: Kitchen, stall: Callable[[Kitchen], Awaitable[None]]) -> None:
    """Wherever it hangs, the answer is in time, and what it held is given back."""
    kitchen.source.add("a.jpg", b"pixels")
    await stall(kitchen)
    started = time.monotonic()
    with pytest.raises(DeadlinePassed):
        await kitchen.answer(deadline=0.04, conditions=Has('"other"') if stall is stall_look else Has())
    assert time.monotonic() - started < 0.5
    await until(lambda: kitchen.gate.statistics.inside == kitchen.render_gate.statistics.inside == 0)
    assert kitchen.renderer.flights == 0


async def test_stalled_save_holds_nobody_up(kitchen: Kitchen) -> None:
    """The client does not wait for the bucket."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.store.barriers["put"].close()
    assert (await kitchen.answer(deadline=0.5)).outcome is Outcome.MISS
    kitchen.store.barriers["put"].open()


async def test_failed_save_is_no_failure(kitchen: Kitchen, tmp_path: Path) -> None:
    """A result that cannot be saved is answered; other replicas render it themselves."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.store.fail("put")
    assert await kitchen.serve() == b"rendered pixels"
    await kitchen.settle()
    async with another(kitchen, tmp_path / "other") as other:
        assert (await other.answer()).outcome is Outcome.MISS


class ForgetfulWorkers(FakeWorkers):
    """Workers whose results are gone before anybody has read them."""

    async def run(self, job: RenderJob, *, timeout: float, lent: Sequence[HasFileno] = ()) -> RenderReport:
        report = await super().run(job, timeout=timeout, lent=lent)
        Path(job.result_path).unlink()
        return report


async def test_result_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A local disk that loses the result is our trouble, not an internal error."""
    async with Kitchen(tmp_path, workers=ForgetfulWorkers()) as kitchen:
        kitchen.source.add("a.jpg", b"pixels")
        with pytest.raises(Overloaded):
            await kitchen.answer()


# Callers that leave.


async def test_last_caller_leaves_a_queued_render(tmp_path: Path) -> None:
    """100 callers, 99 leave: the last gets its picture. When all leave in the queue, nothing is decoded."""
    async with Kitchen(tmp_path, render_slots=1) as kitchen:
        kitchen.source.add("a.jpg", b"pixels")
        kitchen.workers.barrier.close()
        blocker = asyncio.create_task(kitchen.answer(plan_of(width=99)))
        await kitchen.workers.barrier.reached()
        stay = [asyncio.create_task(kitchen.answer(plan_of(width=1))) for _ in range(100)]
        kitchen.source.add("b.jpg", b"pixels")
        leave = [asyncio.create_task(kitchen.answer(plan_of("b.jpg"))) for _ in range(100)]
        await until(lambda: kitchen.render_gate.statistics.waiting == 2)
        for caller in [*stay[:99], *leave]:
            caller.cancel()
        await until(lambda: kitchen.render_gate.statistics.waiting == 1)
        kitchen.workers.barrier.open()
        await blocker

        assert (await stay[99]).result is not None
        assert kitchen.workers.rendered == 2


async def test_last_caller_leaves_a_running_render(kitchen: Kitchen) -> None:
    """The work ends, everything it held is given back, and the next request starts anew."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.workers.barrier.close()
    caller = asyncio.create_task(kitchen.answer())
    await kitchen.workers.barrier.reached()
    caller.cancel()
    await settle()

    assert kitchen.workers.running == 0
    assert kitchen.render_gate.statistics.inside == kitchen.memory_gate.statistics.inside == 0
    assert kitchen.metrics.value("imgbang_renders_total", {"outcome": "cancelled"}) == 1
    kitchen.workers.barrier.open()
    assert await kitchen.serve() == b"rendered pixels"


async def test_callers_that_leave_at_every_moment(kitchen: Kitchen) -> None:
    """A storm of callers that leave at any step leaks neither slots nor bytes, and an honest one is answered."""
    kitchen.source.add("a.jpg", b"pixels" * 500)
    for steps in range(80):
        callers = [asyncio.create_task(kitchen.answer(plan_of(width=steps + 1))) for _ in range(3)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    assert await kitchen.serve() == b"rendered " + b"pixels" * 500
    await until(lambda: kitchen.renderer.flights == 0 and kitchen.render_gate.statistics.inside == 0)
    assert kitchen.memory_gate.statistics.inside == kitchen.gate.statistics.inside == 0


async def test_close_answers_those_who_wait(kitchen: Kitchen) -> None:
    """At shutdown a caller is told so, as an error that the web layer knows."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.workers.barrier.close()
    caller = asyncio.create_task(kitchen.answer())
    await kitchen.workers.barrier.reached()
    await kitchen.renderer.close()
    with pytest.raises(Overloaded):
        await caller


# Purges.


async def test_purge_during_a_render(kitchen: Kitchen) -> None:
    """Neither those who wait nor those who come after the purge get the old picture, and it is kept nowhere."""
    kitchen.source.add("a.jpg", b"old")
    kitchen.workers.barrier.close()
    before = asyncio.create_task(kitchen.answer())
    await kitchen.workers.barrier.reached()
    kitchen.source.add("a.jpg", b"new")
    await kitchen.purger.key("a.jpg")
    after = asyncio.create_task(kitchen.answer())
    await settle()
    kitchen.workers.barrier.open()
    bodies = {answer.result.body for answer in await asyncio.gather(before, after) if answer.result}
    await kitchen.settle()

    assert bodies == {b"rendered new"}
    assert kitchen.store.objects[result_name(plan_of())].body == b"rendered new"
    assert await kitchen.serve() == b"rendered new"


async def test_purge_of_a_key_shows_the_new_picture_at_once(kitchen: Kitchen) -> None:
    """After a purge nothing old is left: not in memory, in the store, staged, known or remembered as broken."""
    kitchen.source.add("a.jpg", b"old")
    kitchen.source.add("broken", b"old")
    await kitchen.answer()
    await kitchen.settle()
    kitchen.workers.failure = CannotRender("broken")
    with pytest.raises(CannotRender):
        await kitchen.answer(plan_of("broken"))
    kitchen.workers.failure = None
    for key in ("a.jpg", "broken"):
        kitchen.source.add(key, b"new")
        await kitchen.purger.key(key)
        assert await kitchen.serve(plan_of(key)) == b"rendered new"


async def test_dead_results_store(kitchen: Kitchen) -> None:
    """A results store that is down costs renders, never answers."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.store.fail("open", "put", "list", "delete")
    assert await kitchen.serve() == b"rendered pixels"
    assert await kitchen.serve(plan_of(width=99)) == b"rendered pixels"


class Overwriting(FakeWorkers):
    """Under whose hands originals are written over, so many times."""

    source: MemoryStore
    times = 0
    of_halves: ProxyError | None = None
    """How they fail then."""

    async def run(self, job: RenderJob, *, timeout: float, lent: Sequence[HasFileno] = ()) -> RenderReport:
        if not self.times:
            return await super().run(job, timeout=timeout, lent=lent)
        self.times -= 1
        self.failure = self.of_halves
        try:
            return await super().run(job, timeout=timeout, lent=lent)
        finally:
            self.failure = None
            for one in self.source.lent:
                one.is_intact = False
            self.source.add("a.jpg", b"new")


@pytest.fixture
async def overwriting(tmp_path: Path) -> AsyncIterator[Kitchen]:
    """A kitchen of such workers, and of originals that are lent."""
    async with Kitchen(tmp_path / "staging", workers=Overwriting()) as kitchen:
        kitchen.workers.source = kitchen.source
        kitchen.source.lends = True
        kitchen.source.add("a.jpg", b"old")
        yield kitchen
    assert all(one.closed for one in kitchen.source.lent)


@pytest.mark.parametrize("failure", [None, CannotRender("half a picture"), RenderCrashed("crashed twice")])
async def test_an_original_that_is_written_over_while_it_is_read(
    overwriting: Kitchen, failure: ProxyError | None
) -> None:
    """What was made of half of each, a failure, too, is nobody's: it is rendered again, and only that is kept."""
    overwriting.workers.of_halves = failure
    overwriting.workers.times = 1
    first = await overwriting.answer()

    assert first.result is not None
    assert (first.result.body, first.outcome) == (b"rendered new", Outcome.MISS)
    assert first.etag == (await overwriting.answer()).etag
    await overwriting.settle()
    assert [one.body for one in overwriting.store.objects.values()] == [b"rendered new"]
    assert overwriting.failures.has(plan_of()) is False


async def test_an_original_that_is_written_over_again_and_again(overwriting: Kitchen) -> None:
    """Twice is enough: it is said, nothing is kept, and the next request tries again."""
    overwriting.workers.times = 2
    with pytest.raises(OriginalChanged, match="changed while it was read"):
        await overwriting.answer()
    assert overwriting.store.objects == {}
    assert await overwriting.serve() == b"rendered new"


async def test_a_page_of_an_original_that_is_written_over(overwriting: Kitchen) -> None:
    """All of what was made from one decode is made again."""
    overwriting.workers.times = 1
    bodies = await asyncio.gather(*(overwriting.serve(plan_of(width=width)) for width in (100, 80, 60)))

    assert set(bodies) == {b"rendered new"}
    assert overwriting.workers.together[0] == 3


async def test_a_mark_that_is_written_over(overwriting: Kitchen) -> None:
    """So is what a mark was drawn on."""
    overwriting.source.add("logo", b"logo", version="l1")
    plan = Plan("a.jpg", (Watermark("logo"),), Output(Target.JPEG))
    overwriting.workers.times = 1

    assert await overwriting.serve(plan) == b"rendered new with logo"
    assert overwriting.workers.rendered == 2


async def test_a_lent_original_in_place_of_a_result(overwriting: Kitchen) -> None:
    """What cannot be rendered is answered as it is, from the file that was lent."""
    body = b"GIF89a" + b"x" * 100
    overwriting.source.add("a.jpg", body)
    overwriting.workers.failure = CannotRender("broken")
    plan = plan_of()

    assert await overwriting.serve(replace(plan, output=replace(plan.output, on_error=OnError.ORIGINAL))) == body


class WrittenOver(MemoryStore):
    """Whose originals are written over while they are copied, so many times."""

    times = 0

    async def _call(self, verb: str) -> None:
        await super()._call(verb)
        if verb == "open" and self.times:
            self.times -= 1
            raise OriginalChanged("the object changed while it was read")


@pytest.mark.parametrize(("times", "calls"), [(1, 2), (2, 2)])
async def test_an_original_that_is_written_over_while_it_is_copied(tmp_path: Path, times: int, calls: int) -> None:
    """As one that is lent: it is copied again, once."""
    source = WrittenOver()
    async with Kitchen(tmp_path, source=source) as kitchen:
        source.times = times
        source.add("a.jpg", b"pixels")
        if times == 1:
            assert await kitchen.serve() == b"rendered pixels"
        else:
            with pytest.raises(OriginalChanged):
                await kitchen.serve()
        assert source.calls["open"] == calls

"""Several sizes of one original at about the same time: one worker, one decode, and each caller its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.delivery.batches import can_share
from proxy.errors import CannotRender, DeadlinePassed, Overloaded, ProxyError, RenderCrashed
from proxy.imaging.job import RenderJob, RenderReport, SourceInfo
from proxy.plan.operations import AutoOrient, Crop, Resize
from proxy.plan.output import Output, Target
from proxy.plan.plan import Plan
from tests.delivery.kitchen import Kitchen, plan_of
from tests.fakes import FakeWorkers

if TYPE_CHECKING:
    from _typeshed import HasFileno

PAGE = (1200, 800, 400, 200, 50)


@pytest.fixture(name="kitchen")
async def _kitchen(tmp_path: Path) -> AsyncIterator[Kitchen]:
    async with Kitchen(tmp_path) as kitchen:
        kitchen.source.add("a.jpg", b"pixels")
        yield kitchen


def asked(kitchen: Kitchen, *plans: Plan, deadline: float = 5.0) -> list[asyncio.Task[bytes]]:
    async def body(plan: Plan) -> bytes:
        result = (await kitchen.answer(plan, deadline=deadline)).result
        assert result is not None
        return result.body

    return [asyncio.create_task(body(plan)) for plan in plans]


async def test_a_page_is_one_task(kitchen: Kitchen) -> None:
    """Five sizes of one photo: one fetch, one look at the header, one task of a worker."""
    bodies = await asyncio.gather(*asked(kitchen, *(plan_of(width=width) for width in PAGE)))

    assert bodies == [b"rendered pixels"] * 5
    assert kitchen.workers.together == [5]
    assert (kitchen.workers.inspected, kitchen.source.calls["open"]) == (1, 1)


async def test_those_who_come_late_form_the_next_batch(kitchen: Kitchen) -> None:
    """What is asked for while the first is being rendered waits, together."""
    async with Kitchen(kitchen.directory / "own", render_slots=1) as narrow:
        narrow.source.add("a.jpg", b"pixels")
        narrow.workers.barrier.close()
        first = asked(narrow, plan_of(width=1))
        await narrow.workers.barrier.reached()
        late = asked(narrow, *(plan_of(width=width) for width in (2, 3, 4)))
        await asyncio.sleep(0.01)
        narrow.workers.barrier.open()
        await asyncio.gather(*first, *late)

        assert narrow.workers.together == [3]
        assert narrow.workers.rendered == 4


async def test_other_originals_do_not_join(kitchen: Kitchen) -> None:
    """A batch is of one original."""
    kitchen.source.add("b.jpg", b"others")

    bodies = await asyncio.gather(*asked(kitchen, plan_of(), plan_of("b.jpg")))

    assert bodies == [b"rendered pixels", b"rendered others"]
    assert kitchen.workers.together == []


class Picky(FakeWorkers):
    """Cannot make one width; and is crashed by another."""

    unmade = 0
    deadly = 0

    async def run(self, job: RenderJob, *, timeout: float, lent: Sequence[HasFileno] = ()) -> RenderReport:
        width = next(operation.width for operation in job.operations if isinstance(operation, Resize))
        if width == self.unmade:
            raise CannotRender("not this one")
        if width == self.deadly:
            raise RenderCrashed("crashed twice")
        return await super().run(job, timeout=timeout, lent=lent)


async def test_a_failure_is_its_own(tmp_path: Path) -> None:
    """One picture that cannot be made leaves the others as they are."""
    workers = Picky()
    workers.unmade = 400
    async with Kitchen(tmp_path, workers=workers) as kitchen:
        kitchen.source.add("a.jpg", b"pixels")
        outcomes = await asyncio.gather(
            *asked(kitchen, *(plan_of(width=width) for width in PAGE)), return_exceptions=True
        )

        assert [type(outcome) for outcome in outcomes] == [bytes, bytes, CannotRender, bytes, bytes]
        assert workers.together == [5]


async def test_one_that_crashes_the_worker_is_found(tmp_path: Path) -> None:
    """A worker that is crashed by one of five pictures: each is tried alone, and four are made."""
    workers = Picky()
    workers.deadly = 200
    async with Kitchen(tmp_path, workers=workers) as kitchen:
        kitchen.source.add("a.jpg", b"pixels")
        outcomes = await asyncio.gather(
            *asked(kitchen, *(plan_of(width=width) for width in PAGE)), return_exceptions=True
        )

        assert [type(outcome) for outcome in outcomes] == [bytes, bytes, bytes, RenderCrashed, bytes]
        assert workers.together == [5]


async def test_a_header_that_crashes_the_worker_fails_all(kitchen: Kitchen) -> None:
    """It is not tried again by each of five pictures."""
    kitchen.workers.inspect_failure = RenderCrashed("crashed twice")
    outcomes = await asyncio.gather(*asked(kitchen, *(plan_of(width=width) for width in PAGE)), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {RenderCrashed}
    assert (kitchen.workers.inspected, kitchen.workers.rendered) == (2, 0)


async def test_what_does_not_move_is_not_known_before(tmp_path: Path) -> None:
    """An original that turns out to be an animation: each of its pictures goes its own way, now and from then on."""

    class Moving(FakeWorkers):
        async def header_of(self, path: str, lent: Sequence[HasFileno] = ()) -> SourceInfo:
            return replace(await super().header_of(path, lent), frames=5)

    async with Kitchen(tmp_path, workers=Moving()) as kitchen:
        kitchen.source.add("a.gif", b"pixels")
        await asyncio.gather(*asked(kitchen, *(plan_of("a.gif", width=width) for width in PAGE)))
        await asyncio.gather(*asked(kitchen, *(plan_of("a.gif", width=width + 1) for width in PAGE)))

        assert (kitchen.workers.rendered, kitchen.workers.together) == (10, [])
        assert kitchen.workers.inspected == 1


async def test_a_caller_leaves_its_batch(kitchen: Kitchen) -> None:
    """The others get their pictures; when all have left, the work ends and everything is given back."""
    kitchen.workers.barrier.close()
    tasks = asked(kitchen, *(plan_of(width=width) for width in PAGE))
    await kitchen.workers.barrier.reached()
    tasks[0].cancel()
    await asyncio.sleep(0.01)
    kitchen.workers.barrier.open()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, bytes, bytes, bytes, bytes]

    kitchen.workers.barrier.close()
    arrived = kitchen.workers.barrier.arrived
    tasks = asked(kitchen, *(plan_of(width=width + 1) for width in PAGE))
    await kitchen.workers.barrier.reached(arrived + 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.01)

    assert kitchen.render_gate.statistics.inside == 0
    assert kitchen.memory_gate.statistics.inside == 0
    kitchen.workers.barrier.open()
    assert await kitchen.serve(plan_of(width=51)) == b"rendered pixels"


async def test_a_batch_that_is_too_late_is_late_for_all(tmp_path: Path) -> None:
    """Each of them is told, nothing is left, and none is tried again at once."""
    async with Kitchen(tmp_path, deadline=0.1, render_timeout=0.1) as kitchen:
        kitchen.source.add("a.jpg", b"pixels")
        kitchen.workers.barrier.close()
        tasks = asked(kitchen, *(plan_of(width=width) for width in PAGE))
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        kitchen.workers.barrier.open()

        assert [type(outcome) for outcome in outcomes] == [DeadlinePassed] * 5


async def test_a_refusal_is_told_to_all(kitchen: Kitchen) -> None:
    """What a gate says to a batch, it says to each of it; and to each by an error of its own."""
    kitchen.workers.inspect_failure = Overloaded("too busy")

    outcomes = await asyncio.gather(*asked(kitchen, plan_of(width=1), plan_of(width=2)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Overloaded] * 2
    assert outcomes[0] is not outcomes[1]
    assert all(isinstance(outcome, ProxyError) for outcome in outcomes)


async def test_who_joins_late_does_not_leave_with_the_first(tmp_path: Path) -> None:
    """The turn of a batch does not come: the first has waited long enough, who has just joined goes on by itself."""
    async with Kitchen(tmp_path, render_slots=1, queue_wait=0.3) as kitchen:
        kitchen.source.add("a.jpg", b"pixels")
        kitchen.source.add("b.jpg", b"others")
        kitchen.workers.barrier.close()
        (busy,) = asked(kitchen, plan_of("b.jpg"))
        await kitchen.workers.barrier.reached()
        (first,) = asked(kitchen, plan_of(width=1))
        await asyncio.sleep(0.2)
        (late,) = asked(kitchen, plan_of(width=2))
        with pytest.raises(Overloaded):
            await first
        kitchen.workers.barrier.open()

        assert await late == b"rendered pixels"
        assert await busy == b"rendered others"


async def test_memory_is_held_for_all_of_it(kitchen: Kitchen) -> None:
    """A batch that needs more than a share is admitted by the shared pixels and by the largest picture."""
    kitchen.workers.estimated_bytes = 3000
    kitchen.workers.barrier.close()
    tasks = asked(kitchen, plan_of(width=8), plan_of(width=4))
    await kitchen.workers.barrier.reached()
    held = kitchen.memory_gate.statistics.inside
    kitchen.workers.barrier.open()
    await asyncio.gather(*tasks)

    # The fake header: 3000 bytes, 10x10 pixels of three channels.
    assert held == 3000 + 10 * 10 * 3 + (4 + 12) * 8 * 8 + 2 * 10 * 10 * 3


@pytest.mark.parametrize(
    ("plan", "shares"),
    [
        (Plan("a", (Resize(5),), Output(Target.JPEG)), True),
        (Plan("a", (AutoOrient(), Resize(5), Crop(2, 2)), Output(Target.WEBP)), True),
        (Plan("a", (Crop(2, 2), Resize(5)), Output(Target.JPEG)), False),
        (Plan("a", (), Output(Target.JPEG)), False),
        (Plan("a", (Resize(5),), Output(Target.AVIF)), False),
        (Plan("a", (Resize(5),), Output(Target.JPEG, max_bytes=1000)), False),
        (Plan("a", (Resize(5),), Output(Target.JPEG, ssimulacra2=80)), False),
        (Plan("a", (Resize(5),), Output(Target.JPEG, candidates=(Target.WEBP,))), False),
    ],
    ids=str,
)
def test_what_can_share(plan: Plan, shares: bool) -> None:
    """What is first of all scaled, and written faster than it is decoded."""
    assert can_share(plan) is shares

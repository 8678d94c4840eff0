"""Single-flight: equal work once, everybody gets its outcome."""

from __future__ import annotations

import asyncio
import gc
import traceback

import pytest

from proxy.delivery.deadline import Deadline
from proxy.delivery.singleflight import SingleFlight
from proxy.errors import CannotRender, DeadlinePassed, OriginUnavailable, Overloaded, RangeRefused


class Work:
    """Work that ends when it is told how."""

    def __init__(self) -> None:
        self.started = 0
        self.cancelled = 0
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> str:
        self.started += 1
        try:
            return await asyncio.shield(self.outcome)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_crowd_gets_one_work() -> None:
    """500 callers at once: the work is done once, and each gets its outcome."""
    joined = []
    flights: SingleFlight[str] = SingleFlight(on_join=lambda: joined.append(1))
    work = Work()
    callers = [asyncio.create_task(flights.run("key", work)) for _ in range(500)]
    await settle()
    work.outcome.set_result("done")

    assert await asyncio.gather(*callers) == ["done"] * 500
    assert (work.started, len(joined), len(flights)) == (1, 499, 0)


async def test_different_keys_do_not_share() -> None:
    """Each key has a flight of its own."""
    flights: SingleFlight[str] = SingleFlight()

    async def say(word: str) -> str:
        return word

    assert await asyncio.gather(*(flights.run(word, lambda word=word: say(word)) for word in "ab")) == ["a", "b"]


async def test_first_caller_leaves() -> None:
    """The caller that started a flight can leave without disturbing those who joined."""
    flights: SingleFlight[str] = SingleFlight()
    work = Work()
    first, second = (asyncio.create_task(flights.run("key", work)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    work.outcome.set_result("done")

    assert await second == "done"
    assert first.cancelled()
    assert (work.started, work.cancelled) == (1, 0)


async def test_all_callers_leave() -> None:
    """When the last one has left, the work is cancelled, and who comes then starts anew."""
    flights: SingleFlight[str] = SingleFlight()
    work, again = Work(), Work()
    callers = [asyncio.create_task(flights.run("key", work)) for _ in range(10)]
    await settle()
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    newcomer = asyncio.create_task(flights.run("key", again))
    await settle()
    again.outcome.set_result("new")

    assert await newcomer == "new"
    assert (work.started, work.cancelled) == (1, 1)


async def test_a_caller_has_its_own_time() -> None:
    """Who cannot wait any longer is told so and leaves; the last one to leave ends the flight."""
    flights: SingleFlight[str] = SingleFlight()
    work, again = Work(), Work()
    patient = asyncio.create_task(flights.run("key", work, deadline=Deadline.after(5), stage="oven"))
    with pytest.raises(DeadlinePassed, match="the oven took too long"):
        await flights.run("key", work, deadline=Deadline.after(0.005), stage="oven")
    assert (work.started, work.cancelled) == (1, 0)
    work.outcome.set_result("done")
    assert await patient == "done"

    with pytest.raises(DeadlinePassed):
        await flights.run("key", again, deadline=Deadline.after(0.005), stage="oven")
    await settle()
    assert (again.started, again.cancelled) == (1, 1)
    assert not len(flights)


async def test_failure_reaches_each_caller_as_its_own() -> None:
    """Every caller raises a copy with all attributes and the cause."""
    flights: SingleFlight[str] = SingleFlight()
    work = Work()
    callers = [asyncio.create_task(flights.run("key", work)) for _ in range(20)]
    await settle()
    original = Overloaded("too busy", retry_after=7)
    original.__cause__ = ValueError("why")
    work.outcome.set_exception(original)

    caught = await asyncio.gather(*callers, return_exceptions=True)

    assert len({id(error) for error in [original, *caught]}) == 21
    assert {(type(error), error.message, error.retry_after) for error in caught} == {(Overloaded, "too busy", 7)}
    assert {str(error.__cause__) for error in caught} == {"why"}


async def test_size_of_a_refused_range_survives() -> None:
    """Attributes of other errors travel, too."""
    flights: SingleFlight[str] = SingleFlight()

    async def refuse() -> str:
        raise RangeRefused("beyond the end", 42)

    with pytest.raises(RangeRefused) as caught:
        await flights.run("key", refuse)

    assert caught.value.size == 42


async def test_failed_flight_is_not_joined() -> None:
    """A caller that asks again from its own error handling starts a new flight."""
    flights: SingleFlight[str] = SingleFlight()
    attempts = []

    async def fail_once() -> str:
        attempts.append(1)
        await asyncio.sleep(0)
        if len(attempts) == 1:
            raise CannotRender("broken")
        return "done"

    async def insist() -> str:
        try:
            return await flights.run("key", fail_once)
        except CannotRender:
            return await flights.run("key", fail_once)

    assert await asyncio.gather(insist(), insist()) == ["done", "done"]
    assert len(attempts) == 2


async def test_tracebacks_do_not_grow() -> None:
    """An error that is raised by a thousand flights and callers has a traceback of constant depth, and no context."""
    flights: SingleFlight[str] = SingleFlight()
    shared = OriginUnavailable("the bucket failed")

    async def fail() -> str:
        raise shared.with_traceback(None)

    depths, contexts = set(), set()
    for _ in range(1000):
        for error in await asyncio.gather(*(flights.run("key", fail) for _ in range(2)), return_exceptions=True):
            depths.add(len(traceback.extract_tb(error.__traceback__)))
            contexts.add(error.__context__)

    assert len(depths) == 1
    assert contexts == {None}


async def test_failure_nobody_waits_for_is_silent() -> None:
    """A flight that everybody left and that fails then is not reported as never retrieved."""
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    flights: SingleFlight[str] = SingleFlight()

    async def fail_when_cancelled() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            raise OriginUnavailable("while cleaning up") from None
        return ""

    caller = asyncio.create_task(flights.run("key", fail_when_cancelled))
    await settle()
    caller.cancel()
    await settle()
    await flights.close()
    gc.collect()

    assert reports == []


async def test_close_answers_the_callers() -> None:
    """At shutdown callers are told so; they are not cancelled, because nobody cancelled them."""
    flights: SingleFlight[str] = SingleFlight()
    work = Work()
    caller = asyncio.create_task(flights.run("key", work))
    await settle()

    await flights.close()

    with pytest.raises(Overloaded):
        await caller
    assert work.cancelled == 1


async def test_close_waits_for_flights_that_were_left() -> None:
    """What everybody left still cleans up; closing waits for that."""
    flights: SingleFlight[str] = SingleFlight()
    cleaned = []

    async def clean_slowly() -> str:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.002)
            cleaned.append(1)
        return ""

    caller = asyncio.create_task(flights.run("key", clean_slowly))
    await settle()
    caller.cancel()
    await settle()
    await flights.close()

    assert cleaned == [1]

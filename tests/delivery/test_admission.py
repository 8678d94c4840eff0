"""Gates: who may work, who waits, who is refused."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from proxy.delivery.admission import LONGEST_RETRY, Gate
from proxy.delivery.deadline import Deadline
from proxy.errors import DeadlinePassed, Overloaded


def gate_of(slots: int = 1, queue: int = 10, longest_wait: float = 5.0) -> Gate:
    return Gate("render", slots=slots, queue=queue, longest_wait=longest_wait)


def soon() -> Deadline:
    return Deadline.after(5.0)


class Visitor:
    """Somebody who enters a gate and stays until sent away."""

    def __init__(self, gate: Gate, *, weight: int = 1, deadline: Deadline | None = None, log: list[str] | None = None, name: str = "") -> None:  # fmt: skip
        self._gate, self._weight, self._deadline = gate, weight, deadline or soon()
        self._log = [] if log is None else log
        self._name = name
        self._leave = asyncio.Event()
        self.inside = asyncio.Event()
        self.task = asyncio.create_task(self._visit())

    async def _visit(self) -> None:
        async with self._gate.slot(self._deadline, weight=self._weight):
            self._log.append(self._name)
            self.inside.set()
            await self._leave.wait()

    async def leave(self) -> None:
        self._leave.set()
        await self.task


async def settle() -> None:
    """Let everything that can happen now happen."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_waiters_enter_in_order() -> None:
    """First come, first served."""
    gate, log = gate_of(), []
    visitors = [Visitor(gate, log=log, name=name) for name in "abcd"]
    await settle()

    for visitor in visitors:
        await visitor.leave()

    assert log == list("abcd")
    assert (gate.statistics.inside, gate.statistics.waiting) == (0, 0)


async def test_newcomer_does_not_overtake() -> None:
    """While somebody waits, a place that is free for less is not given to who comes later."""
    gate, log = gate_of(slots=3), []
    first = Visitor(gate, weight=2, log=log, name="first")
    heavy = Visitor(gate, weight=3, log=log, name="heavy")
    await settle()
    light = Visitor(gate, weight=1, log=log, name="light")
    await settle()

    assert log == ["first"]
    await first.leave()
    await heavy.inside.wait()
    await heavy.leave()
    await light.leave()
    assert log == ["first", "heavy", "light"]


async def test_full_queue_refuses_at_once() -> None:
    """Who does not even find a place to wait is told so without waiting."""
    gate = gate_of(queue=1)
    visitors = [Visitor(gate), Visitor(gate)]
    await settle()

    started = time.monotonic()
    with pytest.raises(Overloaded) as refused:
        async with gate.slot(soon()):
            pass

    assert time.monotonic() - started < 0.05
    assert 1 <= refused.value.retry_after <= LONGEST_RETRY
    assert gate.statistics.refused == 1
    for visitor in visitors:
        await visitor.leave()


async def test_no_queue_at_all() -> None:
    """A gate without places to wait refuses as soon as it is full."""
    gate = gate_of(queue=0)
    async with gate.slot(soon()):
        with pytest.raises(Overloaded):
            async with gate.slot(soon()):
                pass


async def test_retry_after_follows_from_the_work() -> None:
    """What a refusal says grows with the queue and with how long the work takes."""
    gate = gate_of(slots=1, queue=30)
    for _ in range(30):
        async with gate.slot(soon()):
            await asyncio.sleep(0.002)
    quick = [Visitor(gate) for _ in range(31)]
    await settle()
    with pytest.raises(Overloaded) as refused:
        await gate.slot(soon()).__aenter__()

    assert refused.value.retry_after == 1
    for visitor in quick:
        await visitor.leave()


async def test_retry_after_of_weights_counts_workers() -> None:
    """A gate of a million bytes in which one works at a time is as slow as a gate with one slot."""
    bytes_gate, slot_gate = gate_of(slots=1_000_000, queue=40), gate_of(slots=1, queue=40)
    said = []
    for gate in (bytes_gate, slot_gate):
        visitors = [Visitor(gate, weight=1_000_000) for _ in range(41)]
        await settle()
        with pytest.raises(Overloaded) as refused:
            await gate.slot(soon(), weight=1_000_000).__aenter__()
        said.append(refused.value.retry_after)
        for visitor in visitors:
            await visitor.leave()

    assert said[0] == said[1] == 3  # 41 times the 50 ms that work is taken to need at first


async def test_longest_wait() -> None:
    """Nobody waits longer than the gate allows, however much time they have."""
    gate = gate_of(longest_wait=0.01)
    async with gate.slot(soon()):
        with pytest.raises(Overloaded, match="too slow"):
            async with gate.slot(soon()):
                pass
    assert (gate.statistics.inside, gate.statistics.waiting, gate.statistics.refused) == (0, 0, 1)


async def test_deadline_shorter_than_the_wait() -> None:
    """Whose deadline passes in the queue is told so: coming back would be the same."""
    gate = gate_of()
    async with gate.slot(soon()):
        with pytest.raises(DeadlinePassed):
            async with gate.slot(Deadline.after(0.01)):
                pass
    assert (gate.statistics.inside, gate.statistics.waiting, gate.statistics.refused) == (0, 0, 0)


async def test_cancelled_waiter_leaves_no_hole() -> None:
    """Who gives up in the queue is neither waited for nor counted."""
    gate = gate_of()
    holder, quitter, patient = Visitor(gate), Visitor(gate), Visitor(gate)
    await settle()

    quitter.task.cancel()
    await settle()
    assert gate.statistics.waiting == 1
    await holder.leave()
    await patient.leave()

    assert gate.statistics.inside == 0


async def test_admitted_while_cancelled_hands_on() -> None:
    """A place given to somebody who leaves in the same moment goes to the next."""
    gate = gate_of()
    holder, quitter, patient = Visitor(gate), Visitor(gate), Visitor(gate)
    await settle()

    holder._leave.set()
    while gate.statistics.waiting == 2:  # until the quitter has been admitted, but has not run yet
        await asyncio.sleep(0)
    assert not quitter.inside.is_set()
    quitter.task.cancel()
    await patient.inside.wait()

    assert not quitter.inside.is_set()
    await patient.leave()
    assert gate.statistics.inside == 0


async def test_failure_inside_gives_the_place_back() -> None:
    """Work that fails or is cancelled frees its weight."""
    gate = gate_of(slots=5)
    with pytest.raises(ValueError):
        async with gate.slot(soon(), weight=3):
            raise ValueError
    worker = Visitor(gate, weight=4)
    await settle()
    worker.task.cancel()
    await settle()

    assert gate.statistics.inside == 0


async def test_weights() -> None:
    """As much goes in as fits, by weight."""
    gate = gate_of(slots=10)
    visitors = [Visitor(gate, weight=weight) for weight in (6, 4, 1)]
    await settle()

    assert [visitor.inside.is_set() for visitor in visitors] == [True, True, False]
    assert gate.statistics.inside == 10
    for visitor in visitors:
        await visitor.leave()


async def test_more_than_the_limit_runs_alone() -> None:
    """A weight above the limit counts as the limit."""
    gate = gate_of(slots=10)
    giant = Visitor(gate, weight=1_000)
    other = Visitor(gate)
    await settle()

    assert giant.inside.is_set()
    assert not other.inside.is_set()
    await giant.leave()
    await other.leave()


async def test_heavy_waiter_is_not_starved() -> None:
    """A stream of light work does not keep a heavy waiter out."""
    gate = gate_of(slots=4, queue=100)
    async with AsyncExitStack() as stack:
        for _ in range(4):
            light = Visitor(gate)
            stack.push_async_callback(light.leave)
        await settle()
        heavy = Visitor(gate, weight=4)
        await settle()
        stream = [Visitor(gate) for _ in range(20)]
        await settle()
    await heavy.inside.wait()

    assert not any(visitor.inside.is_set() for visitor in stream)
    await heavy.leave()
    for visitor in stream:
        await visitor.leave()


async def test_storm_leaves_the_gate_as_it_was() -> None:
    """After hundreds of entries, refusals and cancellations nothing is inside and nobody waits."""
    gate = gate_of(slots=3, queue=50, longest_wait=0.02)
    visitors = [Visitor(gate, weight=1 + number % 3) for number in range(300)]
    await settle()
    for visitor in visitors[::3]:
        visitor.task.cancel()
    for visitor in visitors:
        visitor._leave.set()
    await asyncio.gather(*(visitor.task for visitor in visitors), return_exceptions=True)

    assert (gate.statistics.inside, gate.statistics.waiting) == (0, 0)
    async with gate.slot(soon(), weight=3):
        assert gate.statistics.inside == 3


async def test_who_would_wait_in_vain_is_refused_at_once() -> None:
    """Once work is known to take long, whoever would wait longer than anybody may is refused without waiting."""
    gate = gate_of(queue=100, longest_wait=0.02)
    slow = Visitor(gate)
    await slow.inside.wait()
    await asyncio.sleep(0.4)
    await slow.leave()
    busy = Visitor(gate)
    await busy.inside.wait()

    with pytest.raises(Overloaded), gate.coming():
        pass
    newcomer = Visitor(gate)
    await settle()

    assert newcomer.task.done()  # without having waited for anything
    assert isinstance(newcomer.task.exception(), Overloaded)
    await busy.leave()
    with gate.coming():
        pass


async def test_a_place_is_promised_once() -> None:
    """While one is on the way to the only place in the queue, the next would come in vain; not so while nobody waits."""
    gate = gate_of(queue=2)
    with gate.coming(), gate.coming():  # whether anybody will have to wait, nobody knows yet
        first = Visitor(gate)
        second = Visitor(gate)
        await settle()
        assert gate.statistics.waiting == 1
        with pytest.raises(Overloaded), gate.coming():
            pass
    with gate.coming():
        with pytest.raises(Overloaded), gate.coming():
            pass
        third = Visitor(gate)  # who is there already does not have to stand back
        await settle()
        assert gate.statistics.waiting == 2
    for visitor in (first, second, third):
        await visitor.leave()


async def test_who_is_known_to_come_before_is_counted() -> None:
    """Those whose work has not begun, so that they could not announce themselves; once anybody waits."""
    gate = gate_of(queue=3)
    assert not gate.refuses(behind=100)
    first = Visitor(gate)
    await settle()
    assert not gate.refuses(behind=100)  # whether anybody will have to wait, nobody knows yet
    second = Visitor(gate)
    await settle()
    assert [gate.refuses(behind=more) for more in range(4)] == [False, False, True, True]
    with gate.coming():
        assert [gate.refuses(behind=more) for more in range(4)] == [False, True, True, True]
        assert gate.refusal(behind=0) is None
        refusal = gate.refusal(behind=1)
        assert refusal is not None
        assert refusal.retry_after >= 1
    assert gate.statistics.refused == 1
    for visitor in (first, second):
        await visitor.leave()

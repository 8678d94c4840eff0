"""Deadlines."""

from __future__ import annotations

import asyncio

import pytest

from proxy.delivery.deadline import Deadline
from proxy.errors import DeadlinePassed


async def test_block_gets_what_is_left() -> None:
    """What is not done by then fails, and the error names the stage."""
    with pytest.raises(DeadlinePassed, match="the oven took too long"):
        async with Deadline.after(0.005).bound("oven"):
            await asyncio.sleep(5)


async def test_block_gets_no_more_than_its_share() -> None:
    """A stage may be given less than what is left."""
    with pytest.raises(DeadlinePassed):
        async with Deadline.after(60).bound("oven", at_most=0.005):
            await asyncio.sleep(5)


async def test_cancellation_passes() -> None:
    """A caller that is cancelled is not told of a deadline."""

    async def wait() -> None:
        async with Deadline.after(60).bound("oven"):
            await asyncio.sleep(5)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_future_gets_what_is_left() -> None:
    """Its result or error in time, DeadlinePassed after it; no timer is left."""
    loop = asyncio.get_running_loop()
    answers: list[asyncio.Future[str]] = [loop.create_future() for _ in range(3)]
    loop.call_soon(answers[0].set_result, "done")
    loop.call_soon(answers[1].set_exception, ValueError("burnt"))

    assert await Deadline.after(0.02).wait_for(answers[0], "oven") == "done"
    with pytest.raises(ValueError, match="burnt"):
        await Deadline.after(0.02).wait_for(answers[1], "oven")
    with pytest.raises(DeadlinePassed, match="the oven took too long"):
        await Deadline.after(0.005).wait_for(answers[2], "oven")
    assert isinstance(answers[2].exception(), DeadlinePassed)
    with pytest.raises(DeadlinePassed):
        await Deadline.after(-1).wait_for(loop.create_future(), "oven")
    await asyncio.sleep(0.03)  # what is left would set an error where there is a result


async def test_whoever_waits_for_a_future_can_be_cancelled() -> None:
    """That is no deadline, and the future is cancelled with it."""
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(Deadline.after(0.01).wait_for(answer, "oven"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert answer.cancelled()
    await asyncio.sleep(0.02)


def test_remaining_is_never_negative() -> None:
    """A deadline that has passed leaves nothing."""
    assert Deadline.after(-5).remaining == 0
    assert 4 < Deadline.after(5).remaining <= 5

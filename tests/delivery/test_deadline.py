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


def test_remaining_is_never_negative() -> None:
    """A deadline that has passed leaves nothing."""
    assert Deadline.after(-5).remaining == 0
    assert 4 < Deadline.after(5).remaining <= 5

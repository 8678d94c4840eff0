"""One point in time by which an answer must be ready; it flows through every stage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from proxy.errors import DeadlinePassed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self.at - time.monotonic())

    @asynccontextmanager
    async def bound(self, stage: str, *, at_most: float = float("inf")) -> AsyncIterator[None]:
        """Give the block what is left, and never more than `at_most` seconds; DeadlinePassed names the stage."""
        try:
            async with asyncio.timeout(min(self.remaining, at_most)):
                yield
        except TimeoutError as error:
            raise _passed(stage) from error

    async def wait_for(self, answer: asyncio.Future[T], stage: str) -> T:
        """What comes of a future that only the caller waits for; DeadlinePassed, which is set on it, names the stage.

        A timer is all it takes, where `bound` cancels a task: hundreds may wait for one render.
        """
        timer = asyncio.get_running_loop().call_later(self.remaining, _give_up, answer, stage)
        try:
            return await answer
        finally:
            timer.cancel()


def _give_up(answer: asyncio.Future[T], stage: str) -> None:
    if not answer.done():
        answer.set_exception(_passed(stage))


def _passed(stage: str) -> DeadlinePassed:
    return DeadlinePassed(f"not ready in time: the {stage} took too long")

"""Renders of one original that are wanted at about the same time go to one worker together, which decodes it once.

Rules:

1. A batch is open from its first order until its turn to render comes; whoever asks for the same original meanwhile
   joins it. Those who were woken by the same fetch are in before it begins.
2. An order is its caller's: it has its own deadline, file and failure. When the last caller has left, the batch ends,
   and what it staged is gone before that caller goes on.
3. What cannot be done together (an animation, a worker that crashed) is answered with None: each is to be made alone.
   So is who joined a batch whose turn never came: it has not waited as long as those that are refused.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from proxy.delivery.answer import Stages
from proxy.delivery.deadline import Deadline
from proxy.delivery.originals import Staged
from proxy.imaging.job import RenderReport
from proxy.imaging.sizes import SCALING
from proxy.plan.operations import AutoOrient
from proxy.plan.output import Answer, Format
from proxy.plan.plan import Plan

_MOST_ORDERS = 8
"""In one batch: the first one has to wait for the last."""
_QUICK = (Format.JPEG, Format.WEBP)
"""Formats that are written faster than an original is decoded. The others gain more from several workers."""

Overlays = tuple[tuple[str, Staged], ...]
"""What is drawn on the picture, each with its name in the plan."""
Made = tuple[RenderReport, bytes]


@dataclass(slots=True)
class Order:
    """One render that somebody waits for."""

    plan: Plan
    overlays: Overlays
    deadline: Deadline
    stages: Stages
    answer: asyncio.Future[Made | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Cancelled when its caller has left."""


class Batch:
    """The orders for one original, until they are rendered."""

    def __init__(self, staged: Staged) -> None:
        self.staged = staged
        # Mutable state.
        self.orders: list[Order] = []
        self.task: asyncio.Task[None] | None = None

    @property
    def wanted(self) -> list[Order]:
        """The orders that somebody still waits for."""
        return [order for order in self.orders if not order.answer.done()]

    @property
    def deadline(self) -> Deadline:
        """When the last of them gives up."""
        return max((order.deadline for order in self.orders), key=lambda deadline: deadline.at)

    def refuse(self, error: Exception) -> None:
        """Answer every order that waits with this error."""
        for order in self.wanted:
            order.answer.set_exception(copy.copy(error))


class Batches:
    """The batches that are open; `work` renders one, calls `close` when its turn has come, and answers its orders."""

    def __init__(self, work: Callable[[Batch], Awaitable[None]]) -> None:
        self._work = work
        self._open: dict[int, Batch] = {}

    async def join(self, staged: Staged, order: Order) -> Made | None:
        """Wait for what a batch makes of the order; None if it is to be made alone."""
        batch = self._open.get(id(staged))
        if batch is None or len(batch.orders) >= _MOST_ORDERS:
            batch = self._open[id(staged)] = Batch(staged)
            batch.task = asyncio.ensure_future(self._run(batch))
        batch.orders.append(order)
        try:
            return await order.deadline.wait_for(order.answer, "render")
        finally:
            order.answer.cancel()
            task = batch.task
            if task is not None and not task.done() and not batch.wanted:
                self.close(batch)
                task.cancel()
                await asyncio.wait((task,))

    def close(self, batch: Batch) -> None:
        """Let nobody join any more."""
        if self._open.get(id(batch.staged)) is batch:
            del self._open[id(batch.staged)]

    async def _run(self, batch: Batch) -> None:
        founders = len(batch.orders)
        try:
            await asyncio.sleep(0)  # those who were woken with the first are about to join
            founders = len(batch.orders)
            await self._work(batch)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the answer to those who wait
            if self._open.get(id(batch.staged)) is batch:
                for order in batch.orders[founders:]:
                    if not order.answer.done():
                        order.answer.set_result(None)
            batch.refuse(error)
        finally:
            self.close(batch)
            batch.refuse(RuntimeError("a batch ended without an answer"))


def can_share(plan: Plan) -> bool:
    """Whether a picture of this plan may come from the same decode as others: one that is first of all scaled."""
    output = plan.output
    first = next((operation for operation in plan.operations if not isinstance(operation, AutoOrient)), None)
    return (
        isinstance(first, SCALING)
        and output.answer is Answer.PICTURE
        and output.target.known_format in _QUICK
        and output.ssimulacra2 is None
        and output.max_bytes is None
        and not output.candidates
    )

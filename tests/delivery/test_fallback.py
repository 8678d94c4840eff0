"""The original in place of a picture that cannot be rendered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.errors import CannotRender, NotAnImage, Overloaded
from proxy.plan.output import OnError
from proxy.plan.plan import Plan
from tests.delivery.kitchen import Kitchen, plan_of

GIF = b"GIF89a" + b"x" * 100


def forgiving() -> Plan:
    plan = plan_of()
    return replace(plan, output=replace(plan.output, on_error=OnError.ORIGINAL))


async def test_original_instead(kitchen: Kitchen) -> None:
    """A picture that is broken is answered as it is, under its true type, and kept like a result."""
    kitchen.source.add("a.jpg", GIF)
    kitchen.workers.failure = CannotRender("broken")
    first, second = await kitchen.answer(forgiving()), await kitchen.answer(forgiving())

    assert first.result is not None
    assert (first.result.body, first.result.media_type) == (GIF, "image/gif")
    assert (first.result.width, first.result.height) == (10, 10)  # its header could be read
    assert second.outcome == "hit"
    assert kitchen.workers.rendered == 1


async def test_what_is_no_image_is_not_handed_out(kitchen: Kitchen) -> None:
    """An original that is no picture of a known kind is refused all the same."""
    kitchen.source.add("a.jpg", b"<html><script>")
    kitchen.workers.inspect_failure = NotAnImage("no image")
    with pytest.raises(NotAnImage):
        await kitchen.answer(forgiving())


async def test_what_passes_is_no_reason(kitchen: Kitchen) -> None:
    """Being busy is not the picture's fault: the original must not be cached in its place."""
    kitchen.source.add("a.jpg", GIF)
    kitchen.workers.failure = Overloaded("busy")
    with pytest.raises(Overloaded):
        await kitchen.answer(forgiving())

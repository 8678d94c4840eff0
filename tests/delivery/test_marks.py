"""Pictures with marks: other originals that are drawn on them."""

from __future__ import annotations

import asyncio

import pytest

from proxy.delivery.answer import Outcome
from proxy.errors import Forbidden, InvalidKey, MarkMissing
from proxy.plan.operations import Watermark
from proxy.plan.output import Output, Target
from proxy.plan.plan import Plan
from tests.delivery.kitchen import NEGATIVE_TTL, WINDOW, Kitchen


def marked(*images: str) -> Plan:
    return Plan("a.jpg", tuple(Watermark(image) for image in images or ("logo",)), Output(Target.JPEG))


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


@pytest.fixture
async def shop(kitchen: Kitchen) -> Kitchen:
    """A picture and a logo."""
    kitchen.source.add("a.jpg", b"pixels")
    kitchen.source.add("logo", b"logo 1", version="l1")
    return kitchen


async def test_marks_are_drawn_from_the_same_store(shop: Kitchen) -> None:
    """By key, or by a URL of a host that is ours; nothing is fetched from such a URL."""
    shop.source.add("dir/b c", b"other")
    plan = marked("logo", "https://IMG.example.com/dir/b%20c?x=1")
    assert await shop.serve(plan) == b"rendered pixels with logo 1 with other"
    assert (await shop.answer(plan)).outcome is Outcome.HIT


@pytest.mark.parametrize(
    ("image", "error"),
    [
        ("http://169.254.169.254/latest/meta-data", Forbidden),
        ("https://img.example.com.evil.example/logo", Forbidden),
        ("https://img.example.com:8080/logo", Forbidden),
        ("https://user@img.example.com/logo", Forbidden),
        ("ftp://img.example.com/logo", Forbidden),
        ("https://img.example.com/../logo", InvalidKey),
        ("https://img.example.com/", InvalidKey),
    ],
)
async def test_urls_of_others_are_refused(shop: Kitchen, image: str, error: type[Exception]) -> None:
    """The attack: a command that has us read from an address of the client's choice."""
    with pytest.raises(error):
        await shop.answer(marked(image))
    assert shop.source.calls.total() == 0


async def test_missing_mark(shop: Kitchen) -> None:
    """A mark that does not exist is the command's fault, not a missing original; an upload shows up soon."""
    for _ in range(2):
        with pytest.raises(MarkMissing):
            await shop.answer(marked("missing"))
    shop.source.add("missing", b"found")
    shop.clock.advance(NEGATIVE_TTL)
    assert await shop.serve(marked("missing")) == b"rendered pixels with found"


async def test_changed_mark_makes_a_new_picture(shop: Kitchen) -> None:
    """Within the window the old logo serves; after one look in the background, the new one is drawn."""
    first = await shop.answer(marked())
    shop.source.add("logo", b"logo 2", version="l2")
    shop.clock.advance(WINDOW)
    await shop.answer(marked())
    await settle()
    second = await shop.answer(marked())

    assert second.result is not None
    assert second.result.body == b"rendered pixels with logo 2"
    assert second.etag != first.etag


async def test_mark_that_changes_while_it_is_staged(shop: Kitchen) -> None:
    """What was drawn with a newer logo is not kept under the name of the older one, which may come back."""
    await shop.freshness.look("logo")
    shop.source.add("logo", b"logo 2", version="l2")
    assert await shop.serve(marked()) == b"rendered pixels with logo 2"
    await shop.settle()
    assert shop.store.objects == {}

    shop.source.add("logo", b"logo 1", version="l1")
    shop.clock.advance(WINDOW)
    await shop.freshness.look("logo")
    assert await shop.serve(marked()) == b"rendered pixels with logo 1"

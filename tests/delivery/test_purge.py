"""Purges, through everything they touch."""

from __future__ import annotations

import pytest

from proxy.delivery.purge import fingerprints
from proxy.errors import OriginUnavailable
from proxy.plan.operations import Resize, Watermark
from proxy.plan.output import Animation, Output, Target
from proxy.plan.plan import Plan
from proxy.plan.planner import Planner, PresetBook
from proxy.plan.presets import Preset, PresetSnapshot
from tests.delivery.kitchen import Kitchen, plan_of

ACCEPTS = [None, "*/*", "image/webp", "image/avif", "image/avif,image/webp,*/*"]


@pytest.mark.parametrize("animation", list(Animation))
def test_fingerprints_of_a_preset(animation: Animation) -> None:
    """Every plan that a preset can come to, whatever the client accepts, is purged with it."""
    preset = Preset("thumb", (Resize(50),), Output(Target.PLAIN, animation=animation), auto_format=True)
    planner = Planner(PresetBook(PresetSnapshot({"thumb": preset})))
    [request, *_] = planner.read("/a.jpg!thumb")
    assert {planner.plan(request, accept).fingerprint for accept in ACCEPTS} <= fingerprints(preset)


async def test_purge_by_preset(kitchen: Kitchen) -> None:
    """The results of a preset go for every original; those of others stay."""
    for key in ("a", "b"):
        kitchen.source.add(key, b"pixels")
        await kitchen.answer(plan_of(key))
        await kitchen.answer(plan_of(key, width=99))
    await kitchen.settle()

    assert await kitchen.purger.preset(Preset("thumb", (Resize(50),), Output(Target.JPEG))) == 2
    assert len(kitchen.store.objects) == 2
    assert (await kitchen.answer(plan_of("a", width=99))).outcome == "hit"
    assert (await kitchen.answer(plan_of("a"))).outcome == "miss"


async def test_purge_by_prefix(kitchen: Kitchen) -> None:
    """Everything known and made of originals below a prefix goes."""
    for key in ("dir/a", "dir/b", "else"):
        kitchen.source.add(key, b"old")
        await kitchen.answer(plan_of(key))
        kitchen.source.add(key, b"new")
    await kitchen.settle()

    assert await kitchen.purger.prefix("dir/") == 2
    assert await kitchen.serve(plan_of("dir/a")) == b"rendered new"
    assert await kitchen.serve(plan_of("else")) == b"rendered old"


async def test_purge_that_cannot_reach_the_store(kitchen: Kitchen) -> None:
    """A purge that was not complete says so; running it again is harmless."""
    kitchen.source.add("a.jpg", b"pixels")
    await kitchen.answer()
    await kitchen.settle()
    kitchen.store.fail("delete")
    with pytest.raises(OriginUnavailable):
        await kitchen.purger.key("a.jpg")
    kitchen.store.recover()
    assert await kitchen.purger.key("a.jpg") == 1
    assert kitchen.metrics.value("imgbang_purged_total") == 1


async def test_purge_of_a_preset_with_a_mark(kitchen: Kitchen) -> None:
    """What a preset made with any version of its logo goes with the preset."""
    preset = Preset("marked", (Watermark("logo"),), Output(Target.JPEG))
    kitchen.source.add("a.jpg", b"pixels")
    for version in ("l1", "l2"):
        kitchen.source.add("logo", version.encode(), version=version)
        await kitchen.purger.key("logo")
        await kitchen.answer(Plan("a.jpg", preset.operations, preset.output))
        await kitchen.settle()
    stored = len(kitchen.store.objects)

    assert stored == 2
    assert await kitchen.purger.preset(preset) == 2
    assert kitchen.store.objects == {}

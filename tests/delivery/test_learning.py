"""What is remembered of searches."""

from __future__ import annotations

from proxy.delivery.learning import MOST_PLANS, Learnt
from proxy.plan.output import Format, Output, Target
from proxy.plan.plan import Plan


def plan(key: str = "a.jpg", score: int = 70, **more: object) -> Plan:
    """A plan that searches."""
    return Plan(key, (), Output(Target.JPEG, ssimulacra2=score), **more)


def test_pictures_of_one_plan_learn_from_each_other() -> None:
    """The key and the version of a logo do not matter; the plan does."""
    learnt = Learnt()
    learnt.learn(plan("a.jpg"), ((Format.JPEG, 71),))

    assert learnt.starts(plan("b.jpg", overlay_versions=("v2",))) == ((Format.JPEG, 71),)
    assert learnt.starts(plan(score=80)) == ()


def test_odd_picture_does_not_mislead() -> None:
    """What is remembered moves towards what was found, a quarter of the way."""
    learnt = Learnt()
    for quality in (70, 70, 30):
        learnt.learn(plan(), ((Format.JPEG, quality), (Format.WEBP, quality)))

    assert dict(learnt.starts(plan())) == {Format.JPEG: 60, Format.WEBP: 60}


def test_memory_is_bounded() -> None:
    """The plans that were not used for longest are forgotten."""
    learnt = Learnt()
    for number in range(MOST_PLANS + 10):
        learnt.learn(Plan("a.jpg", (), Output(Target.JPEG, max_bytes=1000 + number)), ((Format.JPEG, 50),))
        learnt.learn(plan(), ((Format.JPEG, 50),))

    assert len(learnt) == MOST_PLANS
    assert learnt.starts(plan())
    learnt.learn(plan(score=11), ())
    assert len(learnt) == MOST_PLANS

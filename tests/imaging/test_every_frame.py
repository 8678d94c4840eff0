"""Every frame of every animation of the corpus, against Pillow's own composition of it."""

from __future__ import annotations

import pytest

from proxy.plan.operations import AutoOrient, Resize
from proxy.plan.output import Output, Target
from tests.corpus import ROOT, corpus_files, require_corpus
from tests.imaging.conftest import Studio
from tests.imaging.timeline import difference, scaled, timeline

NAMES = [path.name for path in corpus_files("animated") if path.suffix in (".gif", ".webp")] or ["star.gif"]
STILL = {"animated-one-frame.gif", "trans-x-interlaced.gif", "1024-pages.gif"}
"""One frame, or a thousand that look alike, which encoders make one of."""
PLAYS = {"duplicate_number_of_loops.gif": 4}
"""Browsers believe the last of two counts, Pillow the first."""
TO_BACKGROUND = "dispose_bgnd.gif"
"""Its frames are cleared to a background colour without any transparency: Pillow makes that black."""
LARGE = {"screen-recording-125-frames.gif", "rotating-earth-44-frames.gif", "1024-pages.gif"}
"""At their own size they take minutes; scaled, they are tried like all others."""
TOLERANCE = {Target.WEBP: 2.5, Target.GIF: 9.0}
"""Lanczos of two libraries; for GIF also 256 colours and opaque or not, nothing between."""


@pytest.mark.parametrize("target", [Target.WEBP, Target.GIF])
@pytest.mark.parametrize("name", NAMES)
def test_scaled(studio: Studio, name: str, target: Target) -> None:
    """Scaled, each moment shows what it should, and the whole lasts and repeats as before."""
    require_corpus()
    before = timeline(ROOT / "animated" / name)

    studio.render(ROOT / "animated" / name, AutoOrient(), Resize(60, 60), output=Output(target, lossless=True))

    after = timeline(studio.result.read_bytes())
    size = after.frames[0].size
    for moment in before.moments():
        if name == TO_BACKGROUND and moment > 0.4:
            continue
        assert difference(after.at(moment), scaled(before.at(moment), size)) < TOLERANCE[target], moment
    if name not in STILL:
        assert after.total == pytest.approx(before.total, abs=10)
        assert after.plays == min(PLAYS.get(name, before.plays), 65_535 + (target is Target.GIF))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LARGE])
def test_at_its_own_size(studio: Studio, name: str) -> None:
    """Nothing is lost where nothing is scaled and WebP is lossless: disposal and transparency to the pixel."""
    require_corpus()
    before = timeline(ROOT / "animated" / name)

    studio.render(ROOT / "animated" / name, output=Output(Target.WEBP, lossless=True))

    after = timeline(studio.result.read_bytes())
    for moment in before.moments():
        if name == TO_BACKGROUND and moment > 0.4:
            continue
        assert difference(after.at(moment), before.at(moment)) == 0, moment


def test_clearing_to_the_background(studio: Studio) -> None:
    """A frame that is cleared to the background, in a GIF without transparency, leaves the background colour."""
    require_corpus()

    studio.render(ROOT / "animated" / TO_BACKGROUND, output=Output(Target.WEBP, lossless=True))

    third = timeline(studio.result.read_bytes()).frames[2]
    assert third.getpixel((10, 12)) == (30, 144, 255, 255)  # where the balloon was
    assert third.getpixel((50, 35)) != (30, 144, 255, 255)  # the new picture

"""Chinese texts: the characters themselves are drawn, not boxes in their place.

Pango's box for a character that no font has carries its code point, so boxes differ from one another, too. What was
drawn is therefore read: it must be nearest to what Pillow draws for that character from the font's own file.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from proxy.plan.geometry import Gravity
from proxy.plan.operations import Text
from proxy.plan.output import Target
from tests.imaging.conftest import Studio
from tests.pictures import encoded

TEXT = "七牛云存储"
UNASSIGNED = "\u0378"
PIXELS = 64
FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".local/share/fonts")
FILES = ("wqy-*.tt[cf]", "NotoSansCJK*-Regular.ttc", "NotoSerifCJK*-Regular.ttc", "DroidSansFallback*.ttf")


@pytest.fixture(name="fonts", scope="module")
def _fonts() -> list[Path]:
    """The files of the CJK fonts here; skips (or, in CI, fails) the test without any."""
    found = [path for folder in FOLDERS for name in FILES for path in sorted(folder.rglob(name))]
    if not found:
        reason = "no CJK font is installed: that Chinese is drawn was not proven"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def ink(picture: Image.Image) -> Image.Image:
    """What is black on white, cropped to it, white on black."""
    dark = picture.convert("L").point(lambda value: 255 - value)
    box = dark.getbbox()
    assert box is not None, "nothing was drawn"
    return dark.crop(box)


def drawn(studio: Studio, text: str, font: str) -> Image.Image:
    """A text as the step draws it."""
    ground = encoded(Image.new("RGB", (6 * PIXELS, 2 * PIXELS), "white"), "PNG")
    operation = Text(text, font=font, size_px=PIXELS, gravity=Gravity.NORTHWEST)
    studio.render(ground, operation, target=Target.PNG)
    with Image.open(studio.result) as picture:
        return ink(picture)


def in_file(font: Path, character: str) -> Image.Image:
    """A character as Pillow draws it."""
    ground = Image.new("L", (2 * PIXELS, 2 * PIXELS), "white")
    ImageDraw.Draw(ground).text((PIXELS // 2, PIXELS // 4), character, "black", ImageFont.truetype(font, PIXELS))
    return ink(ground)


def distance(one: Image.Image, other: Image.Image) -> float:
    """How far two shapes are apart, whatever their size."""
    shapes = [np.asarray(shape.resize((48, 48)), dtype=float) for shape in (one, other)]
    return float(np.abs(shapes[0] - shapes[1]).mean())


@pytest.mark.parametrize("font", ["", "宋体", "SimSun", "KaiTi", "黑体", "wqy-zenhei", "Arial", "Nobody's Font"])
def test_chinese_is_drawn(studio: Studio, fonts: list[Path], font: str) -> None:
    """Whatever the vendor's font is called, each character can be read, and none is the box for a missing one."""
    box = drawn(studio, UNASSIGNED, font)
    known = [(character, in_file(path, character)) for path in fonts for character in TEXT] + [("a box", box)]
    shapes = [drawn(studio, character, font) for character in TEXT]
    assert len({shape.tobytes() for shape in (*shapes, box)}) == len(TEXT) + 1
    read = [min(known, key=lambda candidate: distance(shape, candidate[1]))[0] for shape in shapes]
    assert read == list(TEXT)


def test_a_chinese_text_stands_in_one_line(studio: Studio, fonts: list[Path]) -> None:
    """Five characters take the room of five, one after the other."""
    line = drawn(studio, TEXT, "宋体")
    assert 4.5 * PIXELS < line.width <= 5 * PIXELS
    assert line.height < 1.2 * PIXELS

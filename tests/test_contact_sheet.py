"""docs/operations.md: the pictures are what the code makes of its examples today."""

from __future__ import annotations

import importlib.util

import pytest
from PIL import ImageChops, ImageStat

from docs.contact_sheet import Example, examples, missing, picture_of, plan_of, rendered
from proxy.imaging import library
from proxy.plan.operations import MarkRow, Text
from tests.pictures import decoded

if importlib.util.find_spec("cv2") is None:
    pytest.skip("the extra vision is not installed: the examples of operations were not tried", allow_module_level=True)


@pytest.fixture(scope="module", autouse=True)
def _libvips() -> None:
    library.start()


def test_every_operation_has_a_picture() -> None:
    """An operation that is added shows itself."""
    assert missing() == []


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.preset.name)
def test_the_picture_is_what_comes_out(example: Example) -> None:
    """Same size, same transparency, and the same to the eye; of texts, whose fonts differ by machine, the size."""
    body, extension = rendered(example)
    ours, shown = decoded(body), decoded(picture_of(example).read_bytes())

    assert (picture_of(example).suffix, ours.size, ours.mode) == (f".{extension}", shown.size, shown.mode)
    if not any(isinstance(operation, Text | MarkRow) for operation in plan_of(example).operations):
        difference = ImageStat.Stat(ImageChops.difference(ours.convert("RGBA"), shown.convert("RGBA"))).mean
        assert max(difference) < 2

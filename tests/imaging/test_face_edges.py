"""Looking for faces where there can be none, and where nobody can look."""

from __future__ import annotations

import pytest
import pyvips
from PIL import Image

from proxy.errors import CannotRender
from proxy.imaging.cropping import crop
from proxy.imaging.hiding import redact
from proxy.imaging.picture import Picture
from proxy.plan.geometry import Gravity, Size
from proxy.plan.operations import Crop, Redact
from tests.imaging.conftest import Studio
from tests.pictures import encoded


@pytest.mark.parametrize("size", [(1, 1), (19, 19), (3, 2000), (2000, 3)], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "1", "P", "I;16"])
def test_pictures_too_small_for_a_face(studio: Studio, size: tuple[int, int], mode: str) -> None:
    """Whatever they are made of, they are rendered without."""
    original = encoded(Image.new(mode, size), "PNG")

    report = studio.render(original, Redact(faces=True), Crop(2, 2, Gravity.FACE))

    assert (report.width, report.height) == (min(2, size[0]), min(2, size[1]))
    assert "0 faces hidden" in report.notes


def test_without_a_detector_a_crop_falls_through() -> None:
    """The next in the list is taken, and a note says why."""
    picture = Picture((pyvips.Image.black(90, 40, bands=3).copy(interpretation="srgb"),))

    cut = crop(picture, Crop(40, 40, Gravity.EAST, seek=(Gravity.FACE,)))

    assert cut.size == Size(40, 40)
    assert cut.view.point(1, 0) == (1, 0)  # the east end is still the end
    assert cut.notes == ("no faces looked for: imgbang[vision] is not installed",)


def test_without_a_detector_nothing_is_hidden_silently() -> None:
    """Hiding faces never turns into not hiding them."""
    picture = Picture((pyvips.Image.black(90, 40, bands=3).copy(interpretation="srgb"),))

    with pytest.raises(CannotRender, match="imgbang\\[vision\\]"):
        redact(picture, Redact(faces=True))

"""Orientation: eight ways to store one picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderLimits
from proxy.plan.geometry import Gravity
from proxy.plan.operations import AutoOrient, Crop, Fit, Operation, Resize
from proxy.plan.output import Metadata, Output, Target
from tests.corpus import ROOT, require_corpus
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

STORED = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
"""EXIF orientation → Pillow's transposition that stores a picture so."""


def stored(picture: Image.Image, orientation: int, kind: str = "PNG") -> bytes:
    """The picture, stored turned, with the orientation that turns it back."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = picture.transpose(Image.Transpose(STORED[orientation])) if orientation > 1 else picture
    assert ImageOps.exif_transpose(Image.open(_file(turned, kind, exif))).size == picture.size
    return encoded(turned, kind, exif=exif.tobytes())


def _file(picture: Image.Image, kind: str, exif: Image.Exif) -> object:
    import io

    return io.BytesIO(encoded(picture, kind, exif=exif.tobytes()))


CHAINS: dict[str, tuple[Operation, ...]] = {
    "alone": (AutoOrient(),),
    "resized": (AutoOrient(), Resize(width=40)),
    "cropped": (AutoOrient(), Resize(40, 40, Fit.COVER), Crop(40, 40, Gravity.NORTHEAST)),
    "cropped first": (AutoOrient(), Crop(60, 50, Gravity.NORTHWEST), Resize(30, 30)),
    "resized first": (Resize(50, 50), AutoOrient()),
}


@pytest.mark.parametrize("operations", CHAINS.values(), ids=CHAINS)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_all_eight_are_equal(studio: Studio, kind: str, operations: tuple[Operation, ...]) -> None:
    """A picture stored in any of the eight orientations renders to the same pixels, nearly, in every chain."""
    picture = coordinates(120, 80)
    results = []

    for orientation in range(1, 9):
        options = (AutoOrient(), *operations) if orientation == 1 else operations
        studio.render(stored(picture, orientation, kind), *options, target=Target.PNG)
        results.append(np.asarray(decoded(studio.result.read_bytes()), int))

    for result in results[1:]:
        assert result.shape == results[0].shape
        assert np.abs(result - results[0]).max() <= (2 if kind in ("PNG", "TIFF") else 16)


def test_without_auto_orient_pixels_stay_as_stored(studio: Studio) -> None:
    """Nobody asked to turn it: the pixels stay, and the orientation is not passed on either."""
    report = studio.render(stored(coordinates(60, 40), 6, "JPEG"), output=Output(metadata=Metadata.COPYRIGHT))

    result = decoded(studio.result.read_bytes())
    assert (report.width, report.height) == result.size == (40, 60)
    assert 0x0112 not in result.getexif()


@pytest.mark.parametrize("name", [f"{kind}_{turn}.jpg" for kind in ("Landscape", "Portrait") for turn in range(2, 9)])
def test_corpus_orientations(studio: Studio, name: str) -> None:
    """The eight sample photos come out alike but for the digit printed on them."""
    require_corpus()
    kind = name.split("_", maxsplit=1)[0]
    pictures = []

    for path in (ROOT / "orientation" / f"{kind}_1.jpg", ROOT / "orientation" / name):
        studio.render(path, AutoOrient(), Resize(150, 150), target=Target.PNG)
        pictures.append(np.asarray(decoded(studio.result.read_bytes()), int))

    assert pictures[0].shape == pictures[1].shape
    assert np.abs(pictures[0] - pictures[1]).mean() < 3


@pytest.mark.parametrize("name", ["avif-orientation-6.avif", "rot0mir1.avif", "rot1mir0.avif"])
def test_avif_is_turned_by_its_decoder(studio: Studio, name: str) -> None:
    """AVIF turns in the container: what the header says is upright already, and is not turned again."""
    require_corpus()
    path = ROOT / "orientation" / name

    info = inspect(str(path), RenderLimits())
    report = studio.render(path, AutoOrient(), Resize(100, 100))

    assert info.orientation == 1
    assert (report.width > report.height) == (info.width > info.height)

"""The sizes: what comes out is what the operation promised, to the pixel."""

from __future__ import annotations

import pytest
from PIL import Image

from proxy.errors import InvalidCommand, ResultTooLarge
from proxy.imaging.job import RenderLimits, SourceInfo
from proxy.imaging.sizes import begin
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity, Size
from proxy.plan.operations import (
    Area,
    AutoOrient,
    Blur,
    Crop,
    Extent,
    Fit,
    Flatten,
    Flip,
    Grayscale,
    Operation,
    Resize,
    Rotate,
    Scale,
    Sharpen,
    final_size,
)
from proxy.plan.output import Format, Target
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

SIZES = ((1, 1), (2, 1), (3, 7), (1, 300), (100, 75), (213, 320), (640, 427))

LISTS: dict[str, tuple[Operation, ...]] = {
    "nothing": (),
    "auto-orient": (AutoOrient(),),
    "inside": (Resize(50, 50),),
    "inside, oriented": (AutoOrient(), Resize(33, 47)),
    "width": (Resize(width=77),),
    "height": (Resize(height=1),),
    "enlarged": (Resize(700, 900, enlarge=True),),
    "cover": (Resize(60, 40, Fit.COVER), Crop(60, 40, Gravity.CENTRE)),
    "cover, enlarged": (AutoOrient(), Resize(60, 40, Fit.COVER, enlarge=True), Crop(60, 40, Gravity.SOUTHEAST)),
    "fill": (Resize(31, 17, Fit.FILL, enlarge=True),),
    "fill one side": (Resize(width=20, fit=Fit.FILL),),
    "crop, resize": (Crop(50, 30, Gravity.NORTH), Resize(20, 20)),
    "crop past the edge": (Crop(40, 40, Gravity.SOUTHEAST),),
    "attention": (Resize(40, 40, Fit.COVER), Crop(40, 40, Gravity.ATTENTION)),
    "entropy": (Crop(50, 20, Gravity.ENTROPY),),
    "extent": (Resize(90, 60), Extent(100, 80, Gravity.SOUTHWEST, 3, 4, Colour.TRANSPARENT)),
    "extent that cuts": (Extent(30, 200),),
    "right angle": (Rotate(90), Resize(width=30)),
    "upside down": (Rotate(-180),),
    **{f"rotated by {angle}": (Resize(120, 120), Rotate(angle)) for angle in (1, 30, 45, 89.5, 200, -33, 359)},
    "flip": (Flip("vertical"), Flip("horizontal")),
    "blur": (Resize(200, 200), Blur(3)),
    "sharpen": (Sharpen(1, 2),),
    "grey": (Grayscale(), Flatten()),
}


@pytest.mark.parametrize("operations", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_sizes_are_as_promised(studio: Studio, size: tuple[int, int], operations: tuple[Operation, ...]) -> None:
    """For every operation and size of picture, report and file have the size that the plan computed."""
    promised = final_size(operations, Size(*size))

    report = studio.render(encoded(coordinates(*size), "PNG"), *operations)

    assert Size(report.width, report.height) == promised
    assert decoded(studio.result.read_bytes()).size == (promised.width, promised.height)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("side", [1, 2, 39, 63, 100, 155, 156, 310, 619, 1239])
def test_shrinking_decoders_do_not_change_sizes(studio: Studio, kind: str, side: int) -> None:
    """However far the decoder shrinks odd sizes by itself, the result has the promised size."""
    operations = (AutoOrient(), Resize(side, side))

    report = studio.render(encoded(coordinates(1239, 827), kind), *operations, target=Target.PNG)

    assert Size(report.width, report.height) == final_size(operations, Size(1239, 827))


@pytest.mark.parametrize("gravity", Gravity)
def test_crops_are_where_the_gravity_says(studio: Studio, gravity: Gravity) -> None:
    """A crop by an anchor has the pixels of that place; by attention or entropy, some place."""
    picture = coordinates(90, 60)
    crop = Crop(30, 20, gravity)

    studio.render(encoded(picture, "PNG"), crop)

    result = decoded(studio.result.read_bytes()).convert("RGB")
    assert result.size == (30, 20)
    if not gravity.looks_at_pixels:
        left = {"west": 0, "east": 60}.get(gravity.value.removeprefix("north").removeprefix("south"), 30)
        top = 0 if gravity.value.startswith("north") else 40 if gravity.value.startswith("south") else 20
        assert result.tobytes() == picture.crop((left, top, left + 30, top + 20)).tobytes()


def test_crop_outside_is_refused(studio: Studio) -> None:
    """A crop box that misses the picture is the request's mistake, and leaves no file."""
    with pytest.raises(InvalidCommand, match="outside"):
        studio.render(encoded(coordinates(20, 20), "PNG"), Crop(10, 10, dx=500))

    assert not studio.result.exists()


@pytest.mark.parametrize(
    ("operations", "limits", "words"),
    [
        ((Resize(9000, 1, Fit.FILL, enlarge=True),), RenderLimits(), "a side"),
        ((Extent(7000, 7000),), RenderLimits(), "40000000 pixels"),
        ((Resize(20_000, 20_000, enlarge=True), Crop(10, 10)), RenderLimits(), "40000000 pixels"),
        ((), RenderLimits(max_result_side=50), "50 pixels a side"),
        ((Rotate(45),), RenderLimits(max_result_pixels=10_000), "10000 pixels"),
    ],
)
def test_large_results_are_refused_before_pixels(
    studio: Studio, operations: tuple[Operation, ...], limits: RenderLimits, words: str
) -> None:
    """A result over the limits is refused from the header, also when it would only be made on the way."""
    damaged = encoded(coordinates(100, 90), "PNG")
    damaged = damaged[: damaged.index(b"IDAT") + 20]  # whoever decoded it would notice

    with pytest.raises(ResultTooLarge, match=words):
        studio.render(damaged, *operations, limits=limits)


def test_formats_have_limits_of_their_own(studio: Studio) -> None:
    """An icon of more than 256 pixels is refused, in words about icons."""
    with pytest.raises(ResultTooLarge, match="ICO has at most 256"):
        studio.render(encoded(coordinates(300, 10), "PNG"), target=Target.ICO)

    with pytest.raises(ResultTooLarge, match="WEBP has at most 16383"):
        studio.render(
            encoded(Image.new("RGB", (16_390, 1)), "PNG"),
            target=Target.WEBP,
            limits=RenderLimits(max_result_side=20_000),
        )


@pytest.mark.parametrize("operation", [Scale(12.5, 12.5), Scale(100, 7), Area(9_000), Resize(99, 99)], ids=str)
def test_all_that_only_scales_is_decoded_smaller(operation: Operation) -> None:
    """Lists that begin with an operation that only scales are given to the decoder as a size."""
    info = SourceInfo(Format.JPEG, 1000, 800, 1, 3, has_alpha=False, orientation=6, interlaced=False, estimated_bytes=0)

    beginning = begin((AutoOrient(), operation, Flip()), info)

    assert beginning.target == operation.size(Size(800, 1000)).turned()
    assert beginning.operations == (AutoOrient(), Flip())

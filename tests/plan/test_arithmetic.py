"""Sizes, boxes and colours: the arithmetic of the operations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidCommand
from proxy.plan.adhoc import AdhocBox, looks_like_box
from proxy.plan.colour import NAMES, Colour
from proxy.plan.geometry import Box, Gravity, Size, place, round_side
from proxy.plan.operations import (
    OPERATIONS,
    Blur,
    Crop,
    Extent,
    Fit,
    Flip,
    Operation,
    Resize,
    Rotate,
    Sharpen,
    canonical_value,
    final_size,
)
from proxy.plan.output import Format, Output, Target
from proxy.plan.presets import Preset, PresetSnapshot


@pytest.mark.parametrize(
    ("operation", "picture", "result"),
    [
        (Resize(200), Size(640, 427), Size(200, 133)),
        (Resize(200, 200), Size(640, 427), Size(200, 133)),
        (Resize(None, 200), Size(640, 427), Size(300, 200)),
        (Resize(200, 200, Fit.COVER), Size(640, 427), Size(300, 200)),
        (Resize(200, 200, Fit.FILL), Size(640, 427), Size(200, 200)),
        (Resize(200), Size(100, 50), Size(100, 50)),
        (Resize(200, enlarge=True), Size(100, 50), Size(200, 100)),
        (Resize(200, 30, Fit.FILL), Size(100, 50), Size(100, 30)),
        (Resize(200, 30, Fit.FILL, enlarge=True), Size(100, 50), Size(200, 30)),
        (Resize(1), Size(1000, 3), Size(1, 1)),
        (Crop(50, 50, Gravity.CENTRE), Size(75, 50), Size(50, 50)),
        (Crop(50), Size(30, 20), Size(30, 20)),
        (Crop(50, 50, Gravity.ATTENTION), Size(60, 40), Size(50, 40)),
        (Crop(50, 50, dx=-10, dy=70), Size(100, 100), Size(40, 30)),
        (Extent(9, 8), Size(100, 1), Size(9, 8)),
        (Rotate(90), Size(4, 3), Size(3, 4)),
        (Rotate(180), Size(4, 3), Size(4, 3)),
        (Rotate(45), Size(100, 100), Size(141, 141)),
        (Blur(1), Size(4, 3), Size(4, 3)),
    ],
)
def test_operation_makes_size(operation: Operation, picture: Size, result: Size) -> None:
    """Each operation knows the size it makes before any pixel is touched."""
    assert operation.size(picture) == result


def test_sizes_follow_one_another() -> None:
    """The size of a list is the size of its last operation."""
    assert final_size(AdhocBox(50, 50).operations, Size(640, 427)) == Size(50, 50)
    assert final_size(AdhocBox(50, 50).operations, Size(30, 427)) == Size(30, 50)
    assert final_size(AdhocBox(50, None).operations, Size(640, 427)) == Size(50, 33)


def test_crop_outside_is_refused() -> None:
    """A box that does not meet the picture has no pixels."""
    with pytest.raises(InvalidCommand, match="outside of the picture, which is 10x10"):
        Crop(5, 5, dx=10).size(Size(10, 10))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (Resize, "resize needs a width, a height or both"),
        (lambda: Resize(0), "width must be 1 to 30000 pixels, got 0"),
        (lambda: Crop(height=30_001), "height must be 1 to 30000 pixels, got 30001"),
        (lambda: Crop(dx=-30_001), "dx must be -30000 to 30000 pixels"),
        (lambda: Extent(1, 1, Gravity.ENTROPY), "extent takes one of the nine anchors"),
        (lambda: Rotate(float("nan")), "rotate takes -360 to 360 degrees"),
        (lambda: Flip("sideways"), "flip takes vertical or horizontal"),
        (lambda: Blur(0), "blur takes a sigma above 0"),
        (lambda: Sharpen(11), "sharpen takes a sigma"),
        (lambda: Sharpen(amount=0), "sharpen takes an amount"),
        (lambda: Output(quality=0), "quality must be 1 to 100, got 0"),
        (lambda: Output(effort=10), "effort must be 0 to 9, got 10"),
        (lambda: AdhocBox(None, None), "is not a box"),
        (lambda: AdhocBox(0, 5), "is not a box"),
    ],
)
def test_impossible_values_cannot_be_made(make: object, says: str) -> None:
    """A value that exists is a value that makes sense."""
    with pytest.raises(InvalidCommand, match=says):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("gravity", "left", "top"),
    [
        (Gravity.NORTHWEST, 5, 7), (Gravity.NORTH, 175, 7), (Gravity.NORTHEAST, 334, 7),
        (Gravity.WEST, 5, 145), (Gravity.CENTRE, 175, 145), (Gravity.EAST, 334, 145),
        (Gravity.SOUTHWEST, 5, 270), (Gravity.SOUTH, 175, 270), (Gravity.SOUTHEAST, 334, 270),
        (Gravity.ATTENTION, 175, 145),
    ],
)  # fmt: skip
def test_box_is_placed_as_the_vendors_do(gravity: Gravity, left: int, top: int) -> None:
    """Offsets move inwards; the middle is floor(W/2) - floor(w/2): 170 for 301 of 640."""
    assert place(Size(301, 150), Size(640, 427), gravity, 5, 7) == Box(left, top, 301, 150)


@pytest.mark.parametrize(("value", "rounded"), [(0.1, 1), (1.49, 1), (1.5, 2), (2.5, 3)])
def test_sides_round_half_up(value: float, rounded: int) -> None:
    """Round half up and never below one pixel, not to even as Python's round does."""
    assert round_side(value) == rounded


@given(st.sampled_from(list(Fit)), st.integers(1, 999), st.integers(1, 999), st.integers(1, 9999), st.integers(1, 9999))
def test_resize_keeps_its_promise(fit: Fit, width: int, height: int, across: int, down: int) -> None:
    """Without enlarge nothing grows; inside fits the box; fill is the box as far as the picture reaches."""
    size = Resize(width, height, fit).size(Size(across, down))

    assert size.width <= across
    assert size.height <= down
    if fit is Fit.INSIDE:
        assert size.width <= width
        assert size.height <= height
    if fit is Fit.FILL:
        assert size == Size(min(width, across), min(height, down))


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("white", Colour(255, 255, 255)),
        ("#FFF", Colour(255, 255, 255)),
        ("f00c", Colour(255, 0, 0, 204)),
        ("#12345678", Colour(0x12, 0x34, 0x56, 0x78)),
        (" Transparent ", Colour(0, 0, 0, 0)),
    ],
)
def test_colour_is_read(text: str, colour: Colour) -> None:
    """Hexadecimal digits or a name."""
    assert Colour.parse(text) == colour


def test_colour_has_one_spelling() -> None:
    """What is read is written in one way, which reads back."""
    for name in NAMES:
        assert Colour.parse(str(Colour.parse(name))) == Colour.parse(name)


@pytest.mark.parametrize("text", ["", "#", "#12", "#12345", "rgb(0,0,0)", "#ggg"])
def test_colour_is_refused(text: str) -> None:
    """Anything else is told what a colour may be."""
    with pytest.raises(InvalidCommand, match="a colour must be #rgb"):
        Colour.parse(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1.50, "1.5"),
        (2.0, "2"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.1234567, "0.123457"),
        (100.0, "100"),
        (Fit.COVER, "cover"),
        (7, "7"),
    ],
)
def test_canonical_values(value: object, text: str) -> None:
    """Equal values have equal texts, however they were written."""
    assert canonical_value(value) == text


def test_operations_are_listed_under_their_names() -> None:
    """The registry's names are the operations' own."""
    assert all(name == operation.name for name, operation in OPERATIONS.items())


def test_targets_and_formats_agree() -> None:
    """Every target is a format or one of the two rules; every format but HEIC, SVG and PDF can be asked for."""
    known = {target.known_format for target in Target} - {None}

    assert known == set(Format) - {Format.HEIC, Format.SVG, Format.PDF}
    assert all(format_.media_type.startswith(("image/", "application/pdf")) and format_.extension for format_ in Format)


@pytest.mark.parametrize(
    ("text", "box_like"),
    [("50x50", True), ("0x0", True), ("50x", True), ("x50", True), ("-5x5", True), ("1x2x3", True), ("x", False),
     ("50", False), ("50x50a", False), ("٥x٥", False)],
)  # fmt: skip
def test_what_looks_like_a_box(text: str, box_like: bool) -> None:
    """Who writes digits around an `x` means a box, legal or not."""
    assert looks_like_box(text) is box_like


@pytest.mark.parametrize("text", ["50x50", "50x", "x50", "8192x8192"])
def test_box_has_one_spelling(text: str) -> None:
    """A box is written as it was read."""
    assert str(AdhocBox.parse(text)) == text


def test_snapshot_refuses_names_with_separators() -> None:
    """The grammar rests on it, so no snapshot exists without it."""
    with pytest.raises(ValueError, match="cannot contain the separator '!'"):
        PresetSnapshot({"a!b": Preset("a!b")})

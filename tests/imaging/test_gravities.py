"""Crops that know the picture: around faces, focal points, what draws the eye; in the order that is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from proxy.imaging.job import RenderJob, RenderLimits, RenderReport
from proxy.imaging.transform import render
from proxy.plan.geometry import Gravity
from proxy.plan.operations import (
    AutoOrient,
    Border,
    Crop,
    CutTo,
    Extent,
    Fit,
    Flip,
    Operation,
    Reframe,
    Resize,
    Rotate,
    Trim,
)
from proxy.plan.output import Output, Target
from proxy.plan.region import Region
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

PORTRAIT = Path(__file__).parent / "data" / "eileen-collins.jpg"
FACE, ATTENTION, FOCAL, CENTRE = Gravity.FACE, Gravity.ATTENTION, Gravity.FOCAL, Gravity.CENTRE


def scene(left: int, top: int, *, size: tuple[int, int] = (1200, 500)) -> Image.Image:
    """A plain wall with the portrait on it."""
    wall = Image.new("RGB", size, "#8090a0")
    wall.paste(Image.open(PORTRAIT), (left, top))
    return wall


def marked(x: int, y: int, *, size: tuple[int, int] = (400, 200)) -> Image.Image:
    """A grey picture with a red spot around a point."""
    picture = Image.new("RGB", size, "#808080")
    ImageDraw.Draw(picture).rectangle((x - 6, y - 6, x + 5, y + 5), "red")
    return picture


def spot(body: bytes) -> tuple[float, float]:
    """The middle of what is red; fails if nothing is."""
    pixels = np.asarray(decoded(body).convert("RGB"), dtype=int)
    rows, columns = np.nonzero((pixels[..., 0] > 180) & (pixels[..., 1] < 90))
    assert len(rows), "the spot was cut off"
    return float(columns.mean()) + 0.5, float(rows.mean()) + 0.5


def shoot(studio: Studio, original: bytes, *operations: Operation, focus: Region | None = None) -> RenderReport:
    """Render with a focal point that is stored with the original."""
    path = studio.store(original)
    job = RenderJob(str(path), str(studio.result), operations, Output(Target.PNG), RenderLimits())
    return render(replace(job, focus=focus))


@pytest.mark.parametrize("left", [40, 480, 900])
def test_a_thumbnail_is_cut_around_the_face(studio: Studio, left: int) -> None:
    """A square of 60 pixels out of a wide scene has the face in its middle, too small to be found in it."""
    operations = (AutoOrient(), Resize(60, 60, Fit.COVER), Crop(60, 60, FACE))

    report = shoot(studio, encoded(scene(left, 120), "JPEG", quality=92), *operations)

    assert any(note.startswith("cut around") for note in report.notes)
    after = np.asarray(decoded(studio.result.read_bytes()).convert("RGB"), dtype=int)
    wanted = np.asarray(scene(left, 120).resize((144, 60), Image.Resampling.LANCZOS), dtype=int)
    face = (left + 132) * 60 / 500
    start = round(min(max(0, face - 30), 84))
    differences = [np.abs(wanted[:, x : x + 60] - after).mean() for x in range(85)]
    assert abs(int(np.argmin(differences)) - start) <= 4


def test_every_size_shows_the_same_face(studio: Studio) -> None:
    """The face is found once in the original: the middle of the crop does not depend on the size asked for."""
    original = encoded(scene(700, 150), "JPEG", quality=92)
    middles = []
    for side in (40, 120, 400):
        shoot(studio, original, AutoOrient(), Resize(side, side, Fit.COVER), Crop(side, side, FACE))
        after = np.asarray(decoded(studio.result.read_bytes()).convert("RGB"), dtype=float)
        scaled = np.asarray(scene(700, 150).resize((side * 1200 // 500, side), Image.Resampling.LANCZOS), dtype=float)
        last = scaled.shape[1] - side
        differences = [np.abs(scaled[:, x : x + side] - after).mean() for x in range(last + 1)]
        middles.append((int(np.argmin(differences)) + side / 2) / scaled.shape[1])

    assert max(middles) - min(middles) < 0.02
    assert middles[0] > 0.6  # at the face, and not in the middle of the picture


def test_of_several_faces_all_are_inside(studio: Studio) -> None:
    """A crop that has room for all faces holds all of them."""
    wall = scene(200, 100)
    wall.paste(Image.open(PORTRAIT), (600, 120))

    shoot(studio, encoded(wall, "JPEG", quality=92), AutoOrient(), Crop(620, 400, FACE))

    after = np.asarray(decoded(studio.result.read_bytes()).convert("RGB"), dtype=int)
    whole = np.asarray(wall, dtype=int)
    places = [(x, y) for y in range(0, 101, 2) for x in range(581)]
    left, top = min(
        places,
        key=lambda at: np.abs(whole[at[1] : at[1] + 400 : 40, at[0] : at[0] + 620 : 31] - after[::40, ::31]).sum(),
    )
    assert left <= 200 + 92
    assert left + 620 >= 600 + 172
    assert top <= 100 + 52


def test_without_a_face_the_next_is_tried(studio: Studio) -> None:
    """No face on a plain wall with a red spot: attention finds the spot, and the notes say so."""
    report = shoot(studio, encoded(marked(340, 100), "PNG"), Crop(100, 100, ATTENTION, seek=(FACE,)))

    assert "no face found" in report.notes
    spot(studio.result.read_bytes())


def test_a_face_alone_falls_back_to_the_middle(studio: Studio) -> None:
    """There is always an answer."""
    shoot(studio, encoded(marked(200, 100), "PNG"), Crop(100, 100, FACE))

    assert spot(studio.result.read_bytes()) == (50, 50)


@pytest.mark.parametrize(
    ("at", "expected"),
    [((200, 100), (50, 50)), ((120, 80), (50, 50)), ((10, 10), (10, 10)), ((390, 190), (90, 90))],
    ids=["middle", "aside", "corner", "far corner"],
)
def test_a_literal_point_is_centred_and_clamped(studio: Studio, at: tuple[int, int], expected: tuple[int, int]) -> None:
    """The box is centred on the point as far as the picture reaches."""
    point = Region(at[0] / 400, at[1] / 200)

    shoot(studio, encoded(marked(*at), "PNG"), Crop(100, 100, CENTRE, seek=(point,)))

    assert spot(studio.result.read_bytes()) == expected


STORED = Region(0.85, 0.5)
"""The spot of `marked(340, 100)`, which a crop in the middle cuts off."""


@pytest.mark.parametrize(
    "operations",
    [
        (Resize(100, 100, Fit.COVER), Crop(100, 100, CENTRE)),
        (Crop(100, 100, Gravity.ENTROPY),),
        (Crop(100, 100, FOCAL),),
        (Crop(100, 100, CENTRE, seek=(FACE, FOCAL)),),
        (CutTo(1, 1),),
        (Reframe(100, 100),),
        (Border(50, 50), Crop(100, 100, CENTRE)),
        (Extent(600, 300), Crop(100, 100, CENTRE)),
        (Flip("horizontal"), Crop(100, 100, CENTRE)),
        (Flip("vertical"), Crop(100, 100, CENTRE)),
        (Rotate(90), Crop(100, 100, CENTRE)),
        (Rotate(180), Crop(100, 100, CENTRE)),
        (Rotate(-90), Crop(100, 100, CENTRE)),
        (Rotate(30), Crop(100, 100, CENTRE)),
        (Crop(200, 200, Gravity.EAST), Crop(60, 60, CENTRE)),
        (Trim(), Rotate(90), Flip("vertical"), Crop(5, 5, CENTRE)),
    ],
    ids=lambda operations: "|".join(operation.canonical() for operation in operations),
)
def test_a_stored_focal_point_is_followed(studio: Studio, operations: tuple[Operation, ...]) -> None:
    """Whatever happened before, a crop in the middle is centred on the point."""
    shoot(studio, encoded(marked(340, 100), "PNG"), *operations, focus=STORED)

    spot(studio.result.read_bytes())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_focal_point_is_one_of_the_upright_picture(studio: Studio, orientation: int) -> None:
    """In whatever orientation the original is stored, and whether or not it is turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    upright = marked(340, 100)
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(turned[orientation]))
    original = encoded(stored, "PNG", exif=exif.tobytes())

    for first in ((AutoOrient(),), ()):
        shoot(studio, original, *first, Crop(60, 60, CENTRE), focus=STORED)
        assert spot(studio.result.read_bytes()) == (30, 30)


@pytest.mark.parametrize(
    "crop",
    [
        Crop(100, 100, CENTRE, focal=False),
        Crop(100, 100, Gravity.NORTH),
        Crop(100, 100, CENTRE, seek=(Region(0.5, 0.5),), focal=False),
        Crop(100, 100, Gravity.WEST, dx=150),
    ],
    ids=lambda crop: crop.canonical(),
)
def test_what_is_placed_on_purpose_stays_there(studio: Studio, crop: Crop) -> None:
    """An anchor, a point or a refusal is stronger than what is stored."""
    shoot(studio, encoded(marked(340, 100), "PNG"), crop, focus=STORED)
    with_focus = studio.result.read_bytes()
    shoot(studio, encoded(marked(340, 100), "PNG"), crop)

    assert with_focus == studio.result.read_bytes()
    with pytest.raises(AssertionError):
        spot(with_focus)


def test_a_stored_box_is_kept_whole(studio: Studio) -> None:
    """A face box at the edge: all of it stays inside where it fits."""
    picture = coordinates(400, 200)

    shoot(studio, encoded(picture, "PNG"), Crop(100, 200, CENTRE), focus=Region(0.75, 0.1, 0.2, 0.3))

    after = decoded(studio.result.read_bytes()).convert("RGB")
    assert after.getpixel((0, 0)) == picture.getpixel((290, 0))  # 0.85 of 400 is the middle of 100


def test_all_frames_are_cut_alike(studio: Studio) -> None:
    """An animation is cut by its focal point in every frame."""
    frames = [marked(340, 100), marked(340, 110)]
    original = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=70, lossless=True)
    path = studio.store(original)
    job = RenderJob(str(path), str(studio.result), (Crop(80, 80, CENTRE),), Output(Target.WEBP), RenderLimits())

    report = render(replace(job, focus=STORED))

    assert report.frames == 2
    result = decoded(studio.result.read_bytes())
    for index, height in enumerate((40, 50)):
        result.seek(index)
        x, y = spot(encoded(result.convert("RGB"), "PNG"))
        assert (x, y) == pytest.approx((40, height), abs=1)

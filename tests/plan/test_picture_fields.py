"""The fields of a preset that say what the picture looks like: which operations, in which order."""

from __future__ import annotations

import json

import pytest

from proxy.plan.geometry import Gravity
from proxy.plan.operations import Crop
from proxy.plan.picture_table import PictureTable
from proxy.plan.preset_file import PresetProblems, read_presets
from proxy.plan.region import Region

BOX = 'width = 9\nheight = 8\nfit = "cover"\n'
COVER = "resize(width=9,height=8,fit=cover)|"
FIELDS: dict[str, tuple[str, str]] = {
    "redact": ('redact = "faces"', "redact(faces=true)"),
    "redact areas": (
        'redact = { areas = [[0.1, 0, 0.2, 0.5]], by = "fill", colour = "red" }',
        "redact(areas=[[0.1;0;0.2;0.5]],by=fill,colour=#ff0000)",
    ),
    "trim": ("trim = true", "trim()"),
    "trim table": ('trim = { threshold = 30, background = "white" }', "trim(threshold=30,background=#ffffff)"),
    "normalise": ("normalise = true", "normalise()"),
    "normalise table": ("normalise = { clip = 0.5 }", "normalise(clip=0.5)"),
    "brightness": ("brightness = 10", "brightness(amount=10)"),
    "contrast": ("contrast = -10", "contrast(amount=-10)"),
    "gamma": ("gamma = 2", "gamma(value=2)"),
    "saturation": ("saturation = 20", "saturation(amount=20)"),
    "hue": ("hue = -90", "hue(degrees=270)"),
    "sepia": ("sepia = true", "sepia()"),
    "some sepia": ("sepia = 40", "sepia(amount=40)"),
    "tint": ('tint = "navy"', "tint(colour=#000080)"),
    "some tint": ('tint = { colour = "navy", amount = 30 }', "tint(colour=#000080,amount=30)"),
    "duotone": ('duotone = ["#123", "white"]', "duotone(dark=#112233,light=#ffffff)"),
    "invert": ("invert = true", "invert()"),
    "pixelate": ("pixelate = 8", "pixelate(size_px=8)"),
    "watermark": (
        'watermark = { image = "logo.png", opacity = 50, tile = true }',
        'watermark(image="logo.png",opacity=50,tile=true)',
    ),
    "text": ('text = { text = "猫", colour = "white" }', 'text(text="\\u732b",colour=#ffffff)'),
    "padding": ('padding = 7\nbackground = "red"', "border(width=7,height=7,colour=#ff0000)"),
    "border": ('border = { width = 2, color = "#333" }', "border(width=2,height=2,colour=#333333)"),
    "radius": ("radius = 12", "round-corners(x=12,y=12)"),
    "radius in percent": ('radius = "12.5%"', "round-corners(x=12.5,y=12.5,unit=percent)"),
    "circle": ("circle = true", "circle(radius=30000)"),
    "blurred pad": (
        'width = 9\nheight = 8\nfit = "pad"\nbackground = "blur"',
        f"{COVER}backdrop(width=9,height=8)",
    ),
    "cover": (BOX, f"{COVER}crop(width=9,height=8,gravity=centre)"),
    "cover, focal off": (f"{BOX}focal = false", f"{COVER}crop(width=9,height=8,gravity=centre,focal=false)"),
    "cover, on purpose": (f'{BOX}gravity = "centre"', f"{COVER}crop(width=9,height=8,gravity=centre,focal=false)"),
    "cover, anchor": (f'{BOX}gravity = "north"', f"{COVER}crop(width=9,height=8,gravity=north)"),
    "cover, attention": (f'{BOX}gravity = "attention"', f"{COVER}crop(width=9,height=8,gravity=attention)"),
    "cover, face": (f'{BOX}gravity = "face"', f"{COVER}crop(width=9,height=8,gravity=face)"),
    "cover, in order": (
        f'{BOX}gravity = ["focal", "face", "attention"]',
        f"{COVER}crop(width=9,height=8,gravity=attention,seek=[focal;face],focal=false)",
    ),
    "cover, face or middle": (
        f'{BOX}gravity = ["face", "centre"]',
        f"{COVER}crop(width=9,height=8,gravity=centre,seek=[face])",
    ),
    "cover, point": (
        f"{BOX}gravity = {{ x = 0.3, y = 1 }}",
        f"{COVER}crop(width=9,height=8,gravity=centre,seek=[0.3,1],focal=false)",
    ),
    "crop in a list": (
        'operations = [{ crop = { width = 9, gravity = "east", seek = ["face", { x = 0, y = 0.5 }] } }]',
        "crop(width=9,gravity=east,seek=[face;0,0.5])",
    ),
}


def compiled(fields: str) -> str:
    """The operations of a preset, without the first: turning upright."""
    operations = read_presets(f"[presets.p]\n{fields}", faces=True).presets["p"].operations
    return "|".join(operation.canonical() for operation in operations[1:])


@pytest.mark.parametrize("case", FIELDS)
def test_field(case: str) -> None:
    """Each field compiles to its operation."""
    fields, operations = FIELDS[case]

    assert compiled(fields) == operations


def test_every_field_is_tried() -> None:
    """A new field needs a case here, or one in the test of its own."""
    elsewhere = {"width", "height", "enlarge", "auto_orient", "rotate", "flip", "grayscale", "blur", "sharpen"}
    tried = {line.partition(" =")[0] for fields, _ in FIELDS.values() for line in fields.splitlines()}

    assert set(PictureTable.model_fields) - elsewhere <= tried


def test_the_order_is_fixed() -> None:
    """However the file orders its fields, hiding comes first and corners come last."""
    fields = [
        fields for case, (fields, _) in FIELDS.items() if case != "circle" and " " not in case and "," not in case
    ]
    forwards, backwards = compiled("\n".join(fields)), compiled("\n".join(reversed("\n".join(fields).splitlines())))

    assert forwards == backwards
    names = [text.partition("(")[0] for text in forwards.split("|")]
    assert names == [
        "redact", "trim", "resize", "crop", "normalise", "brightness", "contrast", "gamma", "saturation", "hue",
        "sepia", "tint", "duotone", "invert", "pixelate", "watermark", "text", "border", "border", "round-corners",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        (f'{BOX}gravity = "face"', "presets.p.gravity"),
        ('redact = "faces"', "presets.p.redact"),
        ("operations = [{ redact = { faces = true } }]", "presets.p.operations"),
    ],
)
def test_faces_need_their_extra(fields: str, where: str) -> None:
    """Without it, what rests on faces alone is refused, and the message says what to install."""
    with pytest.raises(PresetProblems, match="imgbang\\[vision\\]") as refused:
        read_presets(f"[presets.p]\n{fields}", faces=False)

    assert [problem.field for problem in refused.value.problems] == [where]


@pytest.mark.parametrize(
    "fields",
    [
        f'{BOX}gravity = ["face", "attention"]',
        f'{BOX}gravity = ["face", "north"]',
        "redact = { areas = [[0, 0, 1, 0.5]] }",
        'operations = [{ crop = { width = 9, seek = ["face"] } }]',
    ],
)
def test_what_falls_through_does_not(fields: str) -> None:
    """A list goes on to its next entry; areas need no detector."""
    assert compiled(fields)
    assert read_presets(f"[presets.p]\n{fields}", faces=False)


@pytest.mark.parametrize(
    ("crop", "aims"),
    [
        (Crop(9, 9, Gravity.CENTRE), (Gravity.FOCAL, Gravity.CENTRE)),
        (Crop(9, 9, Gravity.CENTRE, focal=False), (Gravity.CENTRE,)),
        (Crop(9, 9, Gravity.CENTRE, dx=3), (Gravity.CENTRE,)),
        (Crop(9, 9, Gravity.NORTH), (Gravity.NORTH,)),
        (Crop(9, 9, Gravity.FACE), (Gravity.FOCAL, Gravity.FACE)),
        (Crop(9, 9, Gravity.NORTH, seek=(Gravity.FACE,)), (Gravity.FOCAL, Gravity.FACE, Gravity.NORTH)),
        (Crop(9, 9, Gravity.NORTH, seek=(Gravity.FACE, Gravity.FOCAL)), (Gravity.FACE, Gravity.FOCAL, Gravity.NORTH)),
        (Crop(9, 9, Gravity.NORTH, seek=(Region(0, 0),)), (Region(0, 0), Gravity.NORTH)),
    ],
)
def test_aims(crop: Crop, aims: tuple[Gravity | Region, ...]) -> None:
    """What is stored comes first unless the crop is placed by an anchor or a point, or says when it counts."""
    assert crop.aims == aims


@pytest.mark.parametrize("text", ["0.3,0.6", "0,1", "0.1,0.2,0.25,0.4", "0.333333,0.5"])
def test_region_has_one_spelling(text: str) -> None:
    """What is written is what was read, in text and in JSON."""
    region = Region.parse(text)

    assert str(region) == text
    assert Region.from_json(json.dumps(region.as_json()).encode()) == region

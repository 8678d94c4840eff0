"""Sample pictures, made by code: something to serve on a machine that has no pictures and no network.

Landscapes are a height map seen through a camera: slices are painted from far to near, each hazier the farther it
is, over a sky and the sky's own reflection. Fruit and moons are lit spheres. All chance is seeded, so that every
machine gets the same pictures. Only Pillow is used, and no loop here runs per pixel: a slow core needs seconds.
"""

from __future__ import annotations

import io
import os
import sys
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil, cos, pi, sin, sqrt
from pathlib import Path
from random import Random
from statistics import NormalDist

from PIL import ExifTags, Image, ImageChops, ImageDraw, ImageFilter, ImageMath, ImageOps
from PIL.TiffImagePlugin import IFDRational

Picture = Image.Image
Colour = tuple[int, int, int]
Draw = Callable[[io.BytesIO], None]
MAP = 1024
"""Cells along one side of a height map; the camera stands at the middle of its near edge."""


def generate(directory: Path) -> list[Path]:
    """Write the samples that `directory` lacks; return the files written. A file that exists is left alone."""
    directory.mkdir(parents=True, exist_ok=True)
    return [write(directory / name, draw) for name, draw in SAMPLES.items() if not (directory / name).exists()]


def write(path: Path, draw: Draw) -> Path:
    """Write a sample under a hidden name first: a run that is killed leaves no half picture to be served."""
    for leftover in path.parent.glob(f".{path.name}.*.part"):
        # Writing takes milliseconds: what is a minute old belongs to a run that was killed, not to a parallel one.
        if time.time() - leftover.stat().st_mtime > 60:
            leftover.unlink(missing_ok=True)
    content = io.BytesIO()
    draw(content)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content.getbuffer())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


@dataclass(frozen=True, slots=True)
class Scene:
    """A landscape: what the land is like, and the light on it. Lengths are map cells, places are fractions."""

    size: tuple[int, int]
    seed: int
    horizon: float
    eye: float
    """Height of the camera above the water."""
    relief: tuple[tuple[float, ...], ...]
    """How mountainous it is, nearest row first; what is below 0 is under water."""
    peak: float
    trees: float
    sky: tuple[Colour, ...]
    """From the zenith to the horizon."""
    sun: tuple[float, float]
    glow: Colour
    sun_size: float
    clouds: tuple[int, int]
    """Noise levels at which clouds begin and are dense."""
    cloud: Colour
    haze: Colour
    clear: float
    """How far one sees before half is haze."""
    wood: Colour
    rock: Colour
    snow: Colour
    snow_line: float
    shade: Colour
    light: Colour
    light_side: float
    """-1: the sun shines from the right, 1: from the left."""
    water: Colour = (255, 255, 255)
    waves: float = 1.0
    stars: int = 0


def landscape(scene: Scene) -> Picture:
    """Paint a scene: sky, its reflection with the land's in it, waves over that, land."""
    height = scene.size[1]
    horizon = round(height * scene.horizon)
    land, colours = shape_land(scene)
    sky = paint_sky(scene)
    # Below the water stands a second camera as deep as the first is high: what it sees is the mirror image.
    # A third of the size will do: waves blur it anyway.
    mirror = paint_land(sky.reduce(3), scene, land, colours, eye=-scene.eye).resize(scene.size)
    mirror = ImageChops.offset(ImageOps.flip(mirror), 0, 2 * horizon - height)
    picture = sky
    picture.paste(waves(mirror, scene).crop((0, horizon, *scene.size)), (0, horizon))
    return paint_land(picture, scene, land, colours, eye=scene.eye)


@cache
def fractal(size: tuple[int, int], seed: int, cell: float, *, stretch: float = 1, ridged: bool = False) -> Picture:
    """Return fractal noise from 0 to 1 in mode F: octaves from `cell` pixels down to single ones."""
    # effect_noise has no seed: random bytes, enlarged smoothly, are its seeded kin.
    rng = Random(seed)  # noqa: S311  chance for pictures
    total = Image.new("F", size)
    weight = Image.new("F", size, 1.0)
    share = 0.5
    while cell >= 1:
        columns, rows = ceil(size[0] / cell / stretch) + 2, ceil(size[1] / cell) + 2
        octave = Image.frombytes("L", (columns, rows), rng.randbytes(columns * rows)).convert("F")
        octave = octave.resize(size, Image.Resampling.BICUBIC, (1, 1, 1 + size[0] / cell / stretch, 1 + size[1] / cell))
        if ridged:  # Folded noise has crests; valleys are smooth because each octave is weighted by the one before.
            octave = compute(lambda v: (1 - abs(v["o"] / 127.5 - 1)) ** 2 * v["w"], o=octave, w=weight)
            weight = compute(lambda v: v["min"](v["o"] * 1.6, 1.0), o=octave)
        total = compute(lambda v, s=share: v["t"] + v["o"] * s, t=total, o=octave)
        cell, share = cell / 2, share * 0.52
    low, high = extent(total)
    return compute(lambda v: (v["t"] - low) / (high - low), t=total)


def compute(formula: Callable[..., object], **images: Picture) -> Picture:
    """Calculate with whole images."""
    result: Picture = ImageMath.lambda_eval(formula, **images)
    return result


def extent(field: Picture) -> tuple[float, float]:
    """Return the lowest and the highest number of a field."""
    low, high = field.getextrema()
    assert not isinstance(low, tuple)
    assert not isinstance(high, tuple)
    return low, high


def grey(field: Picture, low: float = 0, high: float = 1) -> Picture:
    """Return a field of numbers as an 8-bit mask; `low` becomes black, `high` white."""
    return field.point(lambda v: v * (255 / (high - low)) - low * (255 / (high - low))).convert("L")


def ramp(low: int, high: int) -> list[int]:
    """Return a look-up table that rises softly between two levels."""
    steps = [min(max((level - low) / (high - low), 0), 1) for level in range(256)]
    return [round(255 * s * s * (3 - 2 * s)) for s in steps]


def shape_land(scene: Scene) -> tuple[Picture, Picture]:
    """Return the height map, with ridges where the relief is high and woods on low ground, and its colours."""
    relief = Image.new("F", (len(scene.relief[0]), len(scene.relief)))
    relief.putdata([value for row in scene.relief for value in row])
    relief = relief.resize((MAP, MAP), Image.Resampling.BICUBIC)
    ridges = fractal((MAP, MAP), scene.seed, 256, ridged=True)
    trees, rough = fractal((MAP, MAP), 1, 3), fractal((MAP, MAP), 2, 32)
    ground = compute(
        lambda v: v["e"] * scene.peak * (v["r"] + v["d"] * 0.12 + 0.06) + v["r"] * 26 - 8, e=relief, r=ridges, d=rough
    )
    wooded = compute(lambda v: v["max"](v["min"](v["g"] / 3, 1 - v["g"] / scene.snow_line * 2), 0.0), g=ground)
    land = compute(lambda v: v["g"] + v["t"] * v["w"] * scene.trees, g=ground, t=trees, w=wooded)
    return land, land_colours(scene, ground, land, rough)


def land_colours(scene: Scene, ground: Picture, land: Picture, patches: Picture) -> Picture:
    """Return the map's colours: woods, rock and snow by height and slope, lit from one side."""
    slope = {"x": change(ground, 1, 0), "z": change(ground, 0, 1), "h": ground, "p": patches}
    slope["s"] = compute(lambda v: (v["x"] ** 2 + v["z"] ** 2) ** 0.5, **slope)
    bare = compute(lambda v: v["h"] / scene.snow_line + v["s"] * 0.3 + v["p"] * 0.8 - 0.9, **slope)
    snowy = compute(lambda v: v["h"] / scene.snow_line - v["s"] * 0.22 + v["p"] * 0.7 - 0.95, **slope)
    side = 0.42 * scene.light_side
    lit = compute(lambda v: 0.5 + v["x"] * side - v["z"] * 0.1, x=change(land, 1, 0), z=change(land, 0, 1))
    mottled = grey(patches, 0.2, 0.8)
    colours = ImageOps.colorize(mottled, darker(scene.wood, 0.5), scene.wood)
    colours.paste(ImageOps.colorize(mottled, darker(scene.rock, 0.7), scene.rock), mask=grey(bare, 0, 0.3))
    colours.paste(scene.snow, mask=grey(snowy, 0, 0.18))
    return ImageChops.multiply(colours, ImageOps.colorize(grey(lit), scene.shade, scene.light))


def change(field: Picture, dx: int, dz: int) -> Picture:
    """Return by how much a field grows from each cell to the one beside or behind it."""
    beyond = field.transform(field.size, Image.Transform.AFFINE, (1, 0, dx, 0, 1, dz))
    return compute(lambda v: v["b"] - v["a"], a=field, b=beyond)


def darker(colour: Colour, share: float) -> Colour:
    """Return a colour at a share of its brightness."""
    return round(colour[0] * share), round(colour[1] * share), round(colour[2] * share)


def paint_land(picture: Picture, scene: Scene, land: Picture, colours: Picture, *, eye: float) -> Picture:
    """Paint slices of the land over a picture, far to near, each from its crest down to the water."""
    width, height = picture.size
    lens = max(width, height * 0.75) * 1.1
    horizon = height * scene.horizon
    depth = 980.0
    while depth > 40:
        scale = lens / depth
        half = width / scale / 2
        box = (MAP / 2 - half, depth, MAP / 2 + half, depth + 1)
        levels = land.transform((width, 1), Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)
        lowest, highest = extent(levels)
        top = max(0, int(horizon + (eye - highest) * scale))
        # Nearer slices will cover what is well below this one's lowest crest.
        foot = min(round(horizon + eye * scale), int(horizon + (eye - lowest + 8) * scale), height)
        if top < foot:
            strip = colours.transform((width, 1), Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)
            haze = Image.new("RGB", strip.size, scene.haze)
            strip = Image.blend(strip, haze, 1 - 0.5 ** (depth / scene.clear))
            crests = levels.point(lambda level, s=scale, t=top: level * -s + (horizon + eye * s - t))
            wall = strip.resize((width, foot - top), Image.Resampling.NEAREST)
            picture.paste(wall, (0, top), below(crests, foot - top))
        # Long steps would show cliffs as flat boards, all the more where a cell is large: in big pictures, and near.
        depth -= min(94, depth * 0.32) / sqrt(height)
    return picture


def below(crests: Picture, height: int) -> Picture:
    """Return a mask that is white below a line given by its distance from the top in each column, antialiased."""
    # Cutting each column out of one long black-and-white strip is far faster than drawing a polygon.
    strips = [bytes(height) + bytes([255 - part * 16]) + b"\xff" * height for part in range(16)]
    starts = compute(lambda v: v["int"](v["min"](v["max"](v["c"], 0.0), float(height)) * 16.0), c=crests)
    columns = [strips[at & 15][height - (at >> 4) : 2 * height - (at >> 4)] for at in array("i", starts.tobytes())]
    return Image.frombytes("L", (height, len(columns)), b"".join(columns)).transpose(Image.Transpose.TRANSPOSE)


def plane(field: Picture, scene: Scene, *, zoom: float) -> Picture:
    """Lay a map on a level plane above the camera, as clouds are; flipped, it is the water."""
    width, height = scene.size
    edge = height * scene.horizon * 1.12
    data = (zoom / width, -MAP / 2 / edge, MAP / 2 - zoom / 2, 0, 0, zoom * 0.9, 0, -1 / edge)
    return field.transform(scene.size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BICUBIC)


def paint_sky(scene: Scene) -> Picture:
    """Paint the sky: a gradient, stars, the sun and its glow, clouds lit from the sun's side."""
    width, height = scene.size
    horizon = round(height * scene.horizon)
    column = Image.new("RGB", (1, len(scene.sky)))
    column.putdata(scene.sky)
    sky = Image.new("RGB", scene.size, scene.sky[-1])
    sky.paste(column.resize((width, horizon), Image.Resampling.BICUBIC))
    rng = Random(scene.seed)  # noqa: S311  chance for pictures
    pen = ImageDraw.Draw(sky)
    for _ in range(scene.stars):
        x, y, shine = rng.random() * width, rng.random() * horizon, rng.random() ** 6
        pen.ellipse((x, y, x + shine * 3, y + shine * 3), fill=(150 + int(shine * 90), 165 + int(shine * 80), 230))
    sun = Image.new("L", scene.size)
    disc = Image.radial_gradient("L").point(lambda level: max(0, round(255 - level * 255 / 179)))
    for radius, power, strength in ((9.0, 2.2, 0.75), (2.6, 2.0, 0.7), (0.75, 0.3, 1.0)):
        side = round(radius * scene.sun_size * height)
        halo = disc.resize((side, side), Image.Resampling.BICUBIC).point(
            lambda v, p=power, s=strength: round(255 * s * (v / 255) ** p)
        )
        spot = Image.new("L", scene.size)
        spot.paste(halo, (round(scene.sun[0] * width - side / 2), round(scene.sun[1] * height - side / 2)))
        sun = ImageChops.screen(sun, spot)
    sky = ImageChops.screen(sky, ImageOps.colorize(sun, (0, 0, 0), scene.glow))
    puffs = grey(fractal((MAP, MAP), scene.seed, 128, stretch=1.6))
    cover = plane(puffs, scene, zoom=130)
    shifted = ImageChops.offset(cover, 0, -height // 90)
    body = ImageOps.colorize(
        shifted.point(ramp(scene.clouds[0], 230)),
        scene.cloud,
        tuple((c + 2 * s) // 3 for c, s in zip(scene.cloud, scene.haze, strict=True)),
    )
    sky.paste(body, mask=cover.point(ramp(*scene.clouds)))
    return sky


def waves(mirror: Picture, scene: Scene) -> Picture:
    """Ruffle a mirror image: where a wave leans, one sees what is reflected higher up."""
    field = grey(fractal((MAP, MAP), 3, 12, stretch=3), 0.25, 0.75)
    for turn, shift in enumerate((2, 5, 11, 23)):
        field = ImageOps.flip(field) if turn % 2 else ImageOps.mirror(field)
        ripples = ImageOps.flip(plane(field, scene, zoom=260))
        ripples = ImageChops.offset(ripples, 0, round(scene.size[1] * (2 * scene.horizon - 1)))
        moved = ImageChops.offset(mirror, 0, -round(shift * scene.waves * scene.size[1] / 1000))
        mirror = Image.composite(moved, mirror, ripples.point(ramp(90, 180)))
    return ImageChops.multiply(mirror, Image.new("RGB", scene.size, scene.water))


LAKE = Scene(
    size=(1350, 1800), seed=7, horizon=0.54, eye=9, peak=300, trees=9,
    relief=(
        (-.2, -.3, -.2, -.3, -.2), (.4, -.04, -.12, .02, .3), (.5, .1, -.05, .15, .5),
        (.7, .6, .5, .6, .8), (.9, .9, 1.1, 1, .8),
    ),
    sky=((30, 78, 148), (72, 128, 190), (138, 180, 216), (208, 222, 228)),
    sun=(.14, .1), glow=(255, 244, 220), sun_size=.035,
    clouds=(105, 190), cloud=(255, 253, 248), haze=(166, 194, 222), clear=1100,
    wood=(62, 84, 36), rock=(158, 144, 130), snow=(252, 252, 255), snow_line=150,
    shade=(40, 50, 84), light=(255, 246, 226),
    light_side=1, water=(160, 190, 196),
)  # fmt: skip

VALLEY = Scene(
    size=(1680, 1120), seed=23, horizon=0.53, eye=44, peak=250, trees=7,
    relief=(
        (-.1, -.1, .02, -.1, -.1), (.3, .2, .06, .2, .3), (.4, .15, .3, .1, .4),
        (.5, .5, .2, .5, .6), (.6, .7, .6, .8, .7),
    ),
    sky=((70, 92, 138), (148, 140, 164), (232, 178, 150), (255, 214, 160)),
    sun=(.62, .36), glow=(255, 214, 150), sun_size=.05,
    clouds=(120, 220), cloud=(255, 206, 178), haze=(228, 182, 170), clear=620,
    wood=(62, 84, 50), rock=(150, 122, 112), snow=(255, 236, 226), snow_line=260,
    shade=(44, 46, 92), light=(255, 222, 176),
    light_side=-1, water=(225, 215, 220), waves=0.7,
)  # fmt: skip
BAY = Scene(
    size=(1200, 800), seed=44, horizon=0.56, eye=10, peak=130, trees=4,
    relief=(
        (-.3, -.3, -.3, -.3, -.3), (-.2, -.2, -.3, -.3, -.2), (.5, .1, -.3, -.4, -.2),
        (.7, .3, -.4, -.4, .3), (.9, .5, -.5, -.5, .8),
    ),
    sky=((44, 58, 112), (118, 98, 146), (238, 138, 112), (255, 206, 130)),
    sun=(.6, .5), glow=(255, 206, 130), sun_size=.06,
    clouds=(128, 225), cloud=(250, 150, 130), haze=(236, 156, 128), clear=420,
    wood=(52, 56, 50), rock=(110, 84, 78), snow=(200, 160, 140), snow_line=300,
    shade=(40, 30, 60), light=(255, 190, 140),
    light_side=-1, water=(215, 200, 220), waves=1.6,
)  # fmt: skip
NIGHT = Scene(
    size=(1080, 720), seed=81, horizon=0.6, eye=8, peak=230, trees=8,
    relief=(
        (-.3, -.3, -.3, -.3, -.3), (.2, -.1, -.2, -.1, .2), (.4, .1, .1, .2, .4),
        (.6, .5, .4, .6, .8), (.7, .8, .6, .9, .7),
    ),
    sky=((8, 14, 38), (16, 30, 66), (40, 62, 104), (104, 116, 140)), sun=(.26, .2), glow=(214, 226, 255), sun_size=.04,
    clouds=(130, 235), cloud=(70, 84, 120), haze=(52, 72, 112), clear=700,
    wood=(34, 50, 52), rock=(90, 102, 126), snow=(214, 226, 250), snow_line=120,
    shade=(40, 50, 90), light=(235, 240, 255),
    light_side=1, water=(170, 186, 205), stars=1500,
)  # fmt: skip


def lake(file: io.BytesIO) -> None:
    """Save twelve megapixels as a camera held upright does: lying on the side, with a note of which way is up."""
    picture = meadow(landscape(LAKE).resize((3000, 4000), Image.Resampling.LANCZOS))
    picture = grain(picture, 3.2).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "imgbang"
    exif[ExifTags.Base.Model] = "Fractal Camera 12"
    exif[ExifTags.Base.DateTime] = "2024:06:21 09:41:00"
    exif[ExifTags.Base.Artist] = "imgbang samples"
    exif[ExifTags.Base.Copyright] = "CC0"
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "2024:06:21 09:41:00"
    details[ExifTags.Base.ExposureTime] = IFDRational(1, 250)
    details[ExifTags.Base.FNumber] = IFDRational(8)
    details[ExifTags.Base.ISOSpeedRatings] = 100
    # A place, so that one can see it is gone from every result.
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({
        ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (IFDRational(46), IFDRational(33), IFDRational(0)),
        ExifTags.GPS.GPSLongitudeRef: "E", ExifTags.GPS.GPSLongitude: (IFDRational(8), IFDRational(0), IFDRational(0)),
    })  # fmt: skip
    picture.save(file, "JPEG", quality=90, exif=exif)


def meadow(picture: Picture) -> Picture:
    """Draw grass and daisies along the lower edge, blade by blade from far to near."""
    width, height = picture.size
    rng = Random(5)  # noqa: S311  chance for pictures
    depth = round(height * 0.24)
    # Transparent, yet green: the blur mixes in the colour of what is transparent too.
    layer = Image.new("RGBA", (width, depth), (44, 62, 20, 0))
    pen = ImageDraw.Draw(layer)
    banks = [(x, depth * (0.52 + 0.1 * sin(x / width * 5 + 2.2))) for x in range(0, width + 50, 50)]
    pen.polygon([(0, depth), *banks, (width, depth)], (44, 58, 18, 255))
    for index in range(9000):
        near = index / 9000
        post, bank = rng.choice(banks)
        x = post + rng.uniform(-25, 25)
        y = bank + (depth * 1.1 - bank) * near**1.3
        length = height * (0.012 + 0.036 * near) * rng.uniform(0.5, 1.4)
        lean, half = length * rng.gauss(0.12, 0.28), 2 + 6 * near
        fill = darker((150 + rng.randrange(40), 172, 66), rng.uniform(0.35, 1) * (0.55 + 0.45 * near))
        bend, bow = (x + lean * 0.3, y - length * 0.6), half * 0.8
        tip = (x + lean, y - length)
        pen.polygon([(x - half, y), (bend[0] - bow, bend[1]), tip, (bend[0] + bow, bend[1]), (x + half, y)], fill)
        if index % 45 == 0:
            daisy(pen, tip, 5 + 15 * near)
    layer = layer.filter(ImageFilter.GaussianBlur(1.1))
    picture.paste(layer, (0, height - depth), layer)
    return picture


def daisy(pen: ImageDraw.ImageDraw, middle: tuple[float, float], petal: float) -> None:
    """Draw a flower seen aslant."""
    ring = [(middle[0] + petal * cos(turn * 0.7), middle[1] + petal * 0.6 * sin(turn * 0.7)) for turn in range(9)]
    for (x, y), colour in [*((at, (246, 246, 238)) for at in ring), (middle, (240, 190, 40))]:
        pen.ellipse((x - petal / 2, y - petal / 3, x + petal / 2, y + petal / 3), colour)


def grain(picture: Picture, strength: float) -> Picture:
    """Add film grain: bell-shaped noise, the same in all three colours."""
    rng = Random(9)  # noqa: S311  chance for pictures
    bell = [round(128 + strength * NormalDist().inv_cdf((level + 0.5) / 256)) for level in range(256)]
    noise = Image.frombytes("L", picture.size, rng.randbytes(picture.width * picture.height)).point(bell)
    return Image.merge("RGB", [ImageChops.add(band, noise, 1, -128) for band in picture.split()])


def valley(file: io.BytesIO) -> None:
    """Save a progressive JPEG of two megapixels."""
    grain(landscape(VALLEY), 2.5).save(file, "JPEG", quality=86, progressive=True)


def bay(file: io.BytesIO) -> None:
    """Save a common JPEG under an uncommon name."""
    grain(landscape(BAY), 2.5).save(file, "JPEG", quality=86)


def night(file: io.BytesIO) -> None:
    """Save a WebP picture."""
    grain(landscape(NIGHT), 1.5).save(file, "WEBP", quality=82, method=3)


def sphere(size: int) -> dict[str, Picture]:
    """Return the direction in which each point of a sphere faces: x right, y down, z to the viewer; r from its axis."""
    steps = array("f", ((2 * step + 1) / size - 1 for step in range(size)))
    x = Image.frombytes("F", (size, 1), steps.tobytes()).resize((size, size))
    y = x.transpose(Image.Transpose.TRANSPOSE)
    r = compute(lambda v: (v["x"] ** 2 + v["y"] ** 2) ** 0.5, x=x, y=y)
    z = compute(lambda v: v["max"](1 - v["r"] ** 2, 0.0) ** 0.5, r=r)
    edge = compute(lambda v: (1 - v["r"]) * size / 2, r=r)
    return {"x": x, "y": y, "z": z, "r": r, "edge": edge}


@dataclass(frozen=True, slots=True)
class Skin:
    """What a fruit looks like: two colours in spots (streaks, if stretched by less than 1), pores and gloss."""

    dark: Colour
    bright: Colour
    stretch: float
    pores: float
    gloss: float


APPLE = Skin(dark=(150, 18, 22), bright=(226, 66, 40), stretch=0.2, pores=0.1, gloss=26)
ORANGE = Skin(dark=(226, 112, 10), bright=(255, 152, 26), stretch=1, pores=1.1, gloss=10)
LIME = Skin(dark=(84, 128, 22), bright=(158, 186, 50), stretch=1, pores=0.5, gloss=16)
GRAPE = Skin(dark=(52, 20, 60), bright=(104, 48, 100), stretch=1, pores=0.05, gloss=40)


def fruit(size: int, skin: Skin) -> Picture:
    """Paint a fruit lit from a window at the upper left, with the table's light from below."""
    ball = sphere(size)
    spots = fractal((size, size), size, size / 6, stretch=skin.stretch)
    pores = fractal((size, size), size + 1, 5)
    ball["b"] = compute(lambda v: (v["x"] + v["z"]) * skin.pores, x=change(pores, 1, 0), z=change(pores, 0, 1))
    facing = compute(lambda v: v["max"](v["z"] * 0.58 - v["x"] * 0.56 - v["y"] * 0.6 + v["b"], 0.0), **ball)
    shine = compute(lambda v: v["max"](v["z"] * 0.88 - v["x"] * 0.31 - v["y"] * 0.36 + v["b"] * 0.3, 0.0), **ball)
    bounce = compute(lambda v: v["max"](v["x"] * 0.35 + v["y"] * 0.75 - v["z"] * 0.1, 0.0) ** 2 * 0.5, **ball)
    picture = ImageOps.colorize(grey(spots, 0.15, 0.85), skin.dark, skin.bright)
    picture = ImageChops.multiply(picture, ImageOps.colorize(grey(facing, -0.02, 0.95), (34, 26, 34), (255, 250, 238)))
    picture = ImageChops.screen(picture, ImageOps.colorize(grey(bounce), (0, 0, 0), darker(skin.bright, 0.5)))
    spot = compute(lambda v: v["f"] ** (skin.gloss * 4) * 0.55 + v["f"] ** skin.gloss * 0.16, f=shine)
    picture = ImageChops.screen(picture, ImageOps.colorize(grey(spot), (0, 0, 0), (255, 252, 244)))
    picture.putalpha(grey(ball["edge"]))
    return picture


def still_life(file: io.BytesIO) -> None:
    """Save a square with its subject off the middle: for crops that look for what matters."""
    side, table = 1000, 560
    wall = ImageOps.colorize(Image.radial_gradient("L").resize((1800, 1800)), (186, 178, 160), (46, 48, 54))
    picture = wall.crop((650, 500, 650 + side, 500 + side))
    wood = fractal((side, side - table), 6, 22, stretch=26)
    boards = ImageOps.colorize(grey(wood, 0.1, 0.9), (62, 36, 22), (158, 104, 62))
    light = Image.linear_gradient("L").resize(boards.size).point(lambda level: 110 + level * 0.56)
    picture.paste(ImageChops.multiply(boards, Image.merge("RGB", [light] * 3)), (0, table))
    bunch = [(640 + 66 * column + 33 * row, 770 - 46 * row, 86) for row in (2, 1, 0) for column in range(4 - row)]
    fruits = [(470, 410, 300, ORANGE), (690, 440, 250, APPLE), (390, 620, 190, LIME)]
    fruits += [(x, y, size, GRAPE) for x, y, size in bunch]
    shadow = Image.new("L", picture.size)
    for x, y, size, _ in fruits:
        spot = Image.new("L", picture.size)
        ImageDraw.Draw(spot).ellipse((x + size * 0.1, y + size * 0.72, x + size * 1.3, y + size * 1.06), fill=190)
        shadow = ImageChops.lighter(shadow, spot)
    picture.paste((18, 10, 8), mask=shadow.filter(ImageFilter.GaussianBlur(14)))
    for x, y, size, skin in fruits:
        ball = fruit(size, skin)
        picture.paste(ball, (x, y), ball)
        if skin is APPLE:
            dip = Image.new("L", picture.size)
            ImageDraw.Draw(dip).ellipse((x + 88, y + 8, x + 162, y + 34), fill=170)
            picture.paste((60, 10, 10), mask=dip.filter(ImageFilter.GaussianBlur(8)))
            ImageDraw.Draw(picture).line((x + 124, y + 24, x + 127, y, x + 138, y - 26), (66, 44, 26), 9, "curve")
    grain(picture, 2.2).save(file, "JPEG", quality=90)


def marble(file: io.BytesIO) -> None:
    """Save a glass marble that one can see through, with a soft shadow: a PNG for every background."""
    size = 560
    ball = sphere(size)
    picture = Image.new("RGBA", (800, 800))
    shadow = Image.new("L", picture.size)
    ImageDraw.Draw(shadow).ellipse((190, 590, 740, 730), fill=150)
    picture.paste((10, 24, 44, 255), mask=shadow.filter(ImageFilter.GaussianBlur(28)))
    picture.putalpha(shadow.filter(ImageFilter.GaussianBlur(28)))
    swirl = fractal((size, size), 12, 160, stretch=2)
    glass = ImageOps.colorize(grey(swirl, 0.2, 0.8), (4, 70, 140), (60, 200, 220))
    glow = compute(lambda v: v["max"](v["x"] * 0.5 + v["y"] * 0.62 + v["z"] * 0.5, 0.0) ** 7 * 0.9, **ball)
    glass = ImageChops.screen(glass, ImageOps.colorize(grey(glow), (0, 0, 0), (190, 255, 240)))
    rim = compute(lambda v: v["r"] ** 6 * 0.55, **ball)
    glass = ImageChops.multiply(glass, ImageOps.colorize(grey(rim), (255, 255, 255), (0, 10, 50)))
    window = compute(lambda v: v["max"](v["z"] * 0.76 - v["x"] * 0.42 - v["y"] * 0.5, 0.0) ** 60 * 3, **ball)
    glass = ImageChops.screen(glass, ImageOps.colorize(grey(window), (0, 0, 0), (255, 255, 255)))
    body = compute(lambda v: 0.42 + v["r"] ** 4 * 0.5 + v["w"] + v["g"] * 0.3, w=window, g=glow, **ball)
    glass.putalpha(ImageChops.multiply(grey(body), grey(ball["edge"])))
    picture.alpha_composite(glass, (110, 90))
    picture.save(file, "PNG")


def moon(file: io.BytesIO) -> None:
    """Save an animation: the moon through its phases, for ever."""
    size, rng = 200, Random(3)  # noqa: S311  chance for pictures
    ball = sphere(size)
    ground = grey(fractal((size, size), 31, 70), -0.6, 1).point(ramp(40, 270))
    pen = ImageDraw.Draw(ground)
    for _ in range(70):
        x, y, radius = rng.uniform(0, size), rng.uniform(0, size), 1 + 9 * rng.random() ** 4
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=rng.randrange(90, 190), outline=205)
    ground = ImageChops.multiply(ground.filter(ImageFilter.GaussianBlur(0.7)), grey(ball["edge"]))
    frames = []
    for phase in range(12):  # The first is full: it is what stands for all in a still thumbnail.
        across, along = -sin(2 * pi * phase / 12), cos(2 * pi * phase / 12)
        light = compute(lambda v, a=across, b=along: v["max"](v["x"] * a + v["z"] * b, 0.0) ** 0.6 + 0.05, **ball)
        frame = Image.new("L", (240, 240), 8)
        frame.paste(ImageChops.multiply(ground, grey(light)), (20, 20), grey(ball["edge"]))
        frames.append(frame.point(lambda level: level // 6 * 6))
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=160, loop=0)


SAMPLES: dict[str, Draw] = {
    "mountain-lake.jpg": lake,
    "evening-valley.jpg": valley,
    "bahía al amanecer.jpg": bay,
    "still-life.jpg": still_life,
    "moonlit-lake.webp": night,
    "glass-marble.png": marble,
    "moon-phases.gif": moon,
}

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m proxy.samples DIRECTORY")
    for written in generate(Path(sys.argv[1])):
        print(written.name)  # noqa: T201  a command's answer

"""Landscapes: a height map seen through a camera.

Slices are painted from far to near, each hazier the farther it is, over a sky and the sky's own reflection.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from math import sqrt
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageOps

from proxy.samples.fields import Colour, Picture, change, compute, darker, extent, fractal, grey, ramp

MAP = 1024
"""Cells along one side of a height map; the camera stands at the middle of its near edge."""


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

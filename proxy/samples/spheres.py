"""Lit spheres: fruit, a glass marble, the phases of the moon."""

from __future__ import annotations

import io
from array import array
from dataclasses import dataclass
from math import cos, pi, sin
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from proxy.samples.fields import Colour, Picture, change, compute, darker, fractal, grain, grey, ramp


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

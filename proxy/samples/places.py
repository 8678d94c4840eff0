"""The landscapes among the samples: a lake, a valley, a bay, a night."""

from __future__ import annotations

import io
from math import cos, sin
from random import Random

from PIL import ExifTags, Image, ImageDraw, ImageFilter
from PIL.TiffImagePlugin import IFDRational

from proxy.samples.fields import Picture, darker, grain
from proxy.samples.landscape import (
    Scene,
    landscape,
)

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


def valley(file: io.BytesIO) -> None:
    """Save a progressive JPEG of two megapixels."""
    grain(landscape(VALLEY), 2.5).save(file, "JPEG", quality=86, progressive=True)


def bay(file: io.BytesIO) -> None:
    """Save a common JPEG under an uncommon name."""
    grain(landscape(BAY), 2.5).save(file, "JPEG", quality=86)


def night(file: io.BytesIO) -> None:
    """Save a WebP picture."""
    grain(landscape(NIGHT), 1.5).save(file, "WEBP", quality=82, method=3)

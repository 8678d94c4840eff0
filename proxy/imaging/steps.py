"""The steps: how each operation changes the pixels; `STEPS` lists one for every operation of the plan.

Rules: a step gives exactly the size that its operation promised; it works on 8-bit sRGB or grey frames, with or without
alpha; it mixes neighbouring pixels only with alpha multiplied in, or the colour of invisible pixels would bleed into
visible ones; and what it places by looking at the pixels, it places by the first frame, alike in all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pyvips

from proxy.imaging.colours import bands_of, fits_grey, to_grey, to_rgb, with_alpha
from proxy.imaging.picture import Picture
from proxy.imaging.scaling import premultiplied, scale_to
from proxy.imaging.view import FLIPPED, MIRRORED, TURNS, UPRIGHT, framed, rotated
from proxy.plan.colour import Colour
from proxy.plan.geometry import Box, Size, place
from proxy.plan.operations import (
    AutoOrient,
    Blur,
    Extent,
    Flatten,
    Flip,
    Grayscale,
    Operation,
    Resize,
    Rotate,
    Sharpen,
)

# Each step takes its own operation; a mapping cannot say so, and the coverage test checks the pairs.
Step = Callable[[Picture, Any], Picture]


def auto_orient(picture: Picture, _: AutoOrient) -> Picture:
    """Turn upright as the EXIF orientation says."""
    if picture.orientation == 1:
        return picture
    orientation = picture.orientation
    turned = picture.in_memory().each(lambda frame: upright(frame, orientation)).seen(UPRIGHT[orientation])
    return replace(turned, orientation=1)


def upright(image: pyvips.Image, orientation: int) -> pyvips.Image:
    """Undo an EXIF orientation of 1 to 8."""
    match orientation:
        case 2:
            return image.fliphor()
        case 3:
            return image.rot180()
        case 4:
            return image.flipver()
        case 5:
            return image.rot90().fliphor()
        case 6:
            return image.rot90()
        case 7:
            return image.rot270().fliphor()
        case 8:
            return image.rot270()
        case _:
            return image


def resize(picture: Picture, operation: Resize) -> Picture:
    """Scale to the size the operation computes."""
    return scale_to(picture, operation.size(picture.size))


def extent(picture: Picture, operation: Extent) -> Picture:
    """Put each frame on a canvas; transparent parts show the canvas, too."""
    canvas = operation.size(picture.size)
    box = place(picture.size, canvas, operation.gravity, operation.dx, operation.dy)
    if box == Box(0, 0, canvas.width, canvas.height) and not picture.has_alpha:
        return picture

    def onto(frame: pyvips.Image) -> pyvips.Image:
        frame = ready_for(frame, operation.background)
        if operation.background.alpha == 255 and frame.hasalpha():
            frame = flattened(frame, operation.background)
        background = bands_of(operation.background, frame)
        return frame.embed(box.left, box.top, canvas.width, canvas.height, extend="background", background=background)

    return picture.each(onto).seen(framed(box, canvas))


def ready_for(image: pyvips.Image, background: Colour) -> pyvips.Image:
    """The image with the bands that the background needs."""
    if not fits_grey(background):
        image = to_rgb(image)
    return with_alpha(image) if background.alpha < 255 else image


def flattened(image: pyvips.Image, background: Colour) -> pyvips.Image:
    """The image on an opaque background."""
    if not image.hasalpha():
        return image
    image = image if fits_grey(background) else to_rgb(image)
    return image.flatten(background=bands_of(background, image)[:-1]).cast("uchar")


def rotate(picture: Picture, operation: Rotate) -> Picture:
    """Turn clockwise: exactly for right angles, else with the corners filled."""
    angle = operation.degrees % 360
    if angle == 0:
        return picture
    picture = picture.in_memory()
    if angle in (90, 180, 270):
        return picture.each(lambda frame: frame.rot(f"d{angle:.0f}")).seen(TURNS[int(angle)])
    before, size = picture.size, operation.size(picture.size)
    picture = picture.each(
        lambda frame: turned(ready_for(frame, operation.background), angle, size, operation.background)
    )
    return picture.seen(rotated(angle, before, size))


def turned(image: pyvips.Image, degrees: float, size: Size, background: Colour) -> pyvips.Image:
    """Turn about the middle onto a canvas of `size`."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # Where the middle of the picture goes when it turns about its corner; the offset moves it into the canvas' middle.
    middle_x = (image.width * cosine - image.height * sine) / 2
    middle_y = (image.width * sine + image.height * cosine) / 2
    filling = bands_of(background, image)
    if image.hasalpha():
        opacity = background.alpha / 255
        filling = [*(value * opacity for value in filling[:-1]), filling[-1]]
    return premultiplied(
        image,
        lambda flat: flat.affine(
            [cosine, -sine, sine, cosine],
            oarea=[0, 0, size.width, size.height],
            odx=size.width / 2 - middle_x,
            ody=size.height / 2 - middle_y,
            interpolate=pyvips.Interpolate.new("bicubic"),
            background=filling,
            extend="background",
            premultiplied=True,
        ),
    )


def flip(picture: Picture, operation: Flip) -> Picture:
    """Mirror each frame."""
    if operation.direction == "horizontal":
        return picture.each(lambda frame: frame.fliphor()).seen(MIRRORED)
    return picture.in_memory().each(lambda frame: frame.flipver()).seen(FLIPPED)


def blur(picture: Picture, operation: Blur) -> Picture:
    """Gaussian blur, in integers: within 2 of 255, and up to twenty times as fast as in floats."""
    radius, sigma = operation.radius, operation.sigma

    def soften(flat: pyvips.Image) -> pyvips.Image:
        return flat.gaussblur(sigma) if radius is None else short_blur(flat, sigma, radius)

    return picture.in_memory().each(lambda frame: premultiplied(frame, soften).cast("uchar"))


def short_blur(image: pyvips.Image, sigma: float, radius: int) -> pyvips.Image:
    """Gaussian blur with a kernel that ends `radius` pixels from the middle."""
    weights = [round(1000 * math.exp(-(at**2) / (2 * sigma**2))) for at in range(-radius, radius + 1)]
    return image.convsep(pyvips.Image.new_from_list([weights], scale=sum(weights)), precision="integer")


def sharpen(picture: Picture, operation: Sharpen) -> Picture:
    """Unsharp mask on lightness; flat areas stay as they are, so noise is not raised."""
    slope = 3 * operation.amount  # libvips' own default, 3, is the light touch that amount 1 promises
    return picture.in_memory().each(lambda frame: frame.sharpen(sigma=operation.sigma, m1=0, m2=slope).cast("uchar"))


def grayscale(picture: Picture, _: Grayscale) -> Picture:
    """Take the colour out."""
    return picture.each(to_grey)


def flatten(picture: Picture, operation: Flatten) -> Picture:
    """Put each frame on an opaque background."""
    return picture.each(lambda frame: flattened(frame, operation.background))


STEPS: Mapping[type[Operation], Step] = {
    AutoOrient: auto_orient,
    Resize: resize,
    Extent: extent,
    Rotate: rotate,
    Flip: flip,
    Blur: blur,
    Sharpen: sharpen,
    Grayscale: grayscale,
    Flatten: flatten,
}

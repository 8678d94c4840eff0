"""Steps that cut a part out: a box at an anchor or around what matters, or the picture without its margins."""

from __future__ import annotations

import math

import pyvips

from proxy.imaging.colours import bands_of, to_rgb
from proxy.imaging.picture import Picture
from proxy.imaging.steps import flattened
from proxy.plan.colour import Colour
from proxy.plan.geometry import Box, Gravity, Size, place
from proxy.plan.operations import Crop, Trim
from proxy.plan.region import Region


def crop(picture: Picture, operation: Crop) -> Picture:
    """Cut the box out, around the first of the crop's aims that the picture has."""
    size = operation.size(picture.size)
    if size == picture.size:
        return picture
    for aim in operation.aims:
        picture, box = _aimed(picture, operation, size, aim)
        if box is not None:
            return picture.cut(box)
    return picture.cut(place(size, picture.size, Gravity.CENTRE))


def _aimed(picture: Picture, operation: Crop, size: Size, aim: Gravity | Region) -> tuple[Picture, Box | None]:
    """Where one aim puts the box; None if the picture does not have what is looked for."""
    match aim:
        case Region():
            return picture, box_around(picture, (aim,), size)
        case Gravity.FOCAL:
            return picture, box_around(picture, (picture.focus,), size) if picture.focus else None
        case Gravity.FACE:
            faces = picture.faces.sure()
            if faces is None:
                return picture.noting("no faces looked for: imgbang[vision] is not installed"), None
            if not faces:
                return picture.noting("no face found"), None
            return picture.noting(f"cut around {len(faces)} faces"), box_around(picture, faces, size)
        case Gravity.ATTENTION | Gravity.ENTROPY:
            picture = picture.in_memory()
            return picture, interesting_box(picture.first, size, aim)
    wanted = Size(operation.width or picture.size.width, operation.height or picture.size.height)
    placed = place(wanted, picture.size, aim, operation.dx, operation.dy).within(picture.size)
    return picture, placed or Box(0, 0, size.width, size.height)  # `size` has refused a box outside of the picture


def box_around(picture: Picture, regions: tuple[Region, ...], size: Size) -> Box:
    """A box of this size with the middle of the regions in its own, as far as the picture reaches.

    Of several, the larger ones count more; but all are inside if they fit.
    """
    edges = [picture.view.box(region.x, region.y, region.right, region.bottom) for region in regions]
    weights = [region.width * region.height or 1.0 for region in regions]
    whole = picture.size
    left = _along([(edge[0], edge[2]) for edge in edges], weights, size.width, whole.width)
    top = _along([(edge[1], edge[3]) for edge in edges], weights, size.height, whole.height)
    return Box(left, top, size.width, size.height)


def _along(spans: list[tuple[float, float]], weights: list[float], side: int, whole: int) -> int:
    """Where a side of the box begins: `spans` are the regions, in fractions of the `whole` side."""
    middle = sum((low + high) / 2 * weight for (low, high), weight in zip(spans, weights, strict=True)) / sum(weights)
    first, last = whole * min(low for low, _ in spans), whole * max(high for _, high in spans)
    start = middle * whole - side / 2
    if last - first <= side:
        start = min(max(start, last - side), first)
    return min(max(0, math.floor(start + 0.5)), whole - side)


def interesting_box(image: pyvips.Image, size: Size, gravity: Gravity) -> Box:
    """Where libvips would cut a box of this size by attention or entropy."""
    cut = image.smartcrop(size.width, size.height, interesting=gravity.value)
    return Box(-cut.xoffset, -cut.yoffset, size.width, size.height)


def trim(picture: Picture, operation: Trim) -> Picture:
    """Cut off the margins that all frames have."""
    picture = picture.in_memory()
    boxes = [box for frame in picture.frames if (box := content(frame, operation)) is not None]
    if not boxes:
        return picture.noting("nothing but margin: not trimmed")
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    right = max(box.left + box.width for box in boxes)
    bottom = max(box.top + box.height for box in boxes)
    box = Box(left, top, right - left, bottom - top)
    return picture if Size(box.width, box.height) == picture.size else picture.cut(box)


def content(image: pyvips.Image, operation: Trim) -> Box | None:
    """What is not margin; None where all is. A speck of one pixel is margin, too: scans are full of them."""
    margin = operation.background
    if image.hasalpha() and (margin.alpha == 0 if margin else image(0, 0)[-1] == 0):
        image, colour = image[image.bands - 1], [0.0]
    elif margin is not None:
        image = to_rgb(flattened(image, margin))
        colour = bands_of(margin, image)
    else:
        corner = image(0, 0)
        colour = corner[:-1] if image.hasalpha() else corner
        image = flattened(image, Colour(*(round(part) for part in (colour * 3)[:3])))
    # What takes the specks out looks at three by three pixels.
    sharp = min(image.width, image.height) < 3
    left, top, width, height = image.find_trim(threshold=operation.threshold, background=colour, line_art=sharp)
    return Box(left, top, width, height) if width and height else None

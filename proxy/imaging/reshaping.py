"""Steps that scale by percent or area, fill boxes exactly, take slices, circles and rounded corners, or add borders."""

from __future__ import annotations

import math

import pyvips

from proxy.imaging import view
from proxy.imaging.colours import bands_of, with_alpha
from proxy.imaging.cropping import crop
from proxy.imaging.picture import Picture
from proxy.imaging.scaling import premultiplied, scale_to, scaled
from proxy.imaging.steps import extent, flattened, ready_for
from proxy.plan.geometry import Box, Gravity, Size, place
from proxy.plan.operations import (
    Area,
    Backdrop,
    Border,
    Circle,
    Crop,
    CutTo,
    Extent,
    Fit,
    How,
    Reframe,
    Resize,
    RoundCorners,
    Scale,
    Slice,
)


def scale(picture: Picture, operation: Scale | Area) -> Picture:
    """Scale to the size the operation computes."""
    return scale_to(picture, operation.size(picture.size))


def reframe(picture: Picture, operation: Reframe) -> Picture:
    """Scale, then cut or pad to the box."""
    target = operation.size(picture.size)
    if target == picture.size:
        # Too small, or already as it should be.
        return picture
    picture = scale_to(picture, operation.scaled(picture.size))
    if operation.how is How.PAD:
        return extent(picture, Extent(target.width, target.height, background=operation.background))
    return crop(picture, Crop(target.width, target.height, Gravity.CENTRE))


def cut_slice(picture: Picture, operation: Slice) -> Picture:
    """Cut one slice out."""
    box = operation.box(picture.size)
    if Size(box.width, box.height) == picture.size:
        return picture
    return picture.cut(box)


def cut_to(picture: Picture, operation: CutTo) -> Picture:
    """Cut to proportions."""
    size = operation.size(picture.size)
    return crop(picture, Crop(size.width, size.height, operation.gravity))


def border(picture: Picture, operation: Border) -> Picture:
    """Put bars around; transparent parts of the picture show their colour, too."""
    size = operation.size(picture.size)

    def framed(frame: pyvips.Image) -> pyvips.Image:
        frame = ready_for(frame, operation.colour)
        if operation.colour.alpha == 255:
            frame = flattened(frame, operation.colour)
        return frame.embed(
            operation.width,
            operation.height,
            size.width,
            size.height,
            extend="background",
            background=bands_of(operation.colour, frame),
        )

    box = Box(operation.width, operation.height, picture.size.width, picture.size.height)
    return picture.each(framed).seen(view.framed(box, size))


def backdrop(picture: Picture, operation: Backdrop) -> Picture:
    """Put each frame, whole, on a blurred enlargement of itself."""
    size = operation.size(picture.size)
    picture = picture.in_memory()
    inside = Resize(size.width, size.height, Fit.INSIDE, enlarge=operation.enlarge).size(picture.size)
    box = place(inside, size, Gravity.CENTRE)

    def over_itself(frame: pyvips.Image) -> pyvips.Image:
        ground = blurred_cover(frame, size, operation.sigma)
        front = scaled(frame, inside)
        if not frame.hasalpha():
            return ground.insert(front, box.left, box.top)
        # Transparent parts show the ground: that is what it is for.
        drawn = ground.composite2(front, "over", x=box.left, y=box.top).cast("uchar")
        return drawn.copy(interpretation=frame.interpretation)

    return picture.each(over_itself).seen(view.framed(box, size))


def blurred_cover(image: pyvips.Image, size: Size, sigma: float) -> pyvips.Image:
    """The image scaled to cover a box, cut to it and blurred.

    Made small, blurred there and enlarged: what a blur of 20 pixels leaves fits into a sixteenth of the pixels.
    """
    factor = max(1.0, sigma / 4)
    small = Size(max(1, math.ceil(size.width / factor)), max(1, math.ceil(size.height / factor)))
    cover = Resize(small.width, small.height, Fit.COVER, enlarge=True).size(Size(image.width, image.height))
    box = place(small, cover, Gravity.CENTRE)
    cut = scaled(image, cover).crop(box.left, box.top, box.width, box.height)

    def soften(flat: pyvips.Image) -> pyvips.Image:
        blurred = flat.gaussblur(sigma / factor)
        return blurred.resize(size.width / small.width, vscale=size.height / small.height, kernel="linear")

    return premultiplied(cut, soften).cast("uchar").copy_memory()


def circle(picture: Picture, operation: Circle) -> Picture:
    """Cut the circle in the middle out of its surroundings."""
    size = operation.size(picture.size)
    box = place(size, picture.size, Gravity.CENTRE)
    cut = picture.cut(box)
    radius = size.width / 2
    return _masked(cut, corner_mask(size, radius, radius))


def round_corners(picture: Picture, operation: RoundCorners) -> Picture:
    """Make the corners transparent."""
    across, down = operation.radii(picture.size)
    return _masked(picture, corner_mask(picture.size, across, down))


def corner_mask(size: Size, across: float, down: float) -> pyvips.Image | None:
    """The opacity of a rectangle with elliptic corners, soft over one pixel; None for square corners.

    Mirrored from one quarter: how far is a pixel beyond the centre of the nearest corner's ellipse, in radii?
    """
    if across <= 0 or down <= 0:
        return None
    at = pyvips.Image.xyz(size.width, size.height) + 0.5
    x = (at[0] - size.width / 2).abs() - (size.width / 2 - across)
    y = (at[1] - size.height / 2).abs() - (size.height / 2 - down)
    distance = ((x / across) ** 2 + (y / down) ** 2) ** 0.5
    # In pixels: what is missing to one radius, by how fast that changes from pixel to pixel.
    slope = ((x / across**2) ** 2 + (y / down**2) ** 2) ** 0.5 / distance
    opacity = (1 - distance) / slope + 0.5
    in_corner = (x > 0) & (y > 0)
    mask = in_corner.ifthenelse(opacity * 255, 255).cast("uchar")
    return mask.copy_memory()


def _masked(picture: Picture, mask: pyvips.Image | None) -> Picture:
    if mask is None:
        return picture

    def masked(frame: pyvips.Image) -> pyvips.Image:
        frame = with_alpha(frame)
        last = frame.bands - 1
        alpha = (frame[last] * mask / 255).cast("uchar")
        shaped = frame.extract_band(0, n=last).bandjoin(alpha)
        return shaped.copy(interpretation=frame.interpretation)

    return picture.each(masked)

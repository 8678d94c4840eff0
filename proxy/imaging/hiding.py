"""Steps that hide detail: pixelate all of the picture, or make parts of it unrecognisable."""

from __future__ import annotations

import math

import pyvips

from proxy.errors import CannotRender
from proxy.imaging.colours import bands_of, fits_grey, to_rgb
from proxy.imaging.faces import searched
from proxy.imaging.picture import Picture
from proxy.imaging.scaling import premultiplied
from proxy.plan.geometry import Box
from proxy.plan.operations import HideBy, Pixelate, Redact
from proxy.plan.operations.hiding import outward
from proxy.plan.region import Region

SQUARES = 6
"""Across the shorter side of what is hidden. A face in 6 by 8 colours is nobody's; from 16 on, faces are recognised."""
AROUND_FACE = 0.2
"""Hidden on each side of a face that was found, as a share of its size: hair, chin and ears tell, too."""


def pixelate(picture: Picture, operation: Pixelate) -> Picture:
    """Draw each frame in squares."""
    return picture.in_memory().each(lambda frame: mosaic(frame, operation.size_px))


def mosaic(image: pyvips.Image, side: int) -> pyvips.Image:
    """Squares of the average colour; those at the right and the bottom may be cut off."""
    return premultiplied(image, lambda flat: squares(flat, side).zoom(side, side).crop(0, 0, image.width, image.height))


def squares(image: pyvips.Image, side: int) -> pyvips.Image:
    """One pixel for each square of this side; the picture's last column and row fill up what is cut off."""
    across, down = math.ceil(image.width / side), math.ceil(image.height / side)
    whole = image.embed(0, 0, across * side, down * side, extend="copy")
    return whole.shrink(side, side).cast(image.format)


def redact(picture: Picture, operation: Redact) -> Picture:
    """Hide boxes and faces, in all frames alike."""
    picture = picture.in_memory()
    boxes = list(operation.placed(picture.size))
    if operation.faces:
        faces = picture.faces.all()
        if faces is None:
            raise CannotRender("faces cannot be hidden here: install imgbang[vision]")
        boxes += [box for face in faces if (box := _around(picture, face)) is not None]
        picture = picture.noting(f"{len(faces)} faces hidden")
        total, looked_at = len(picture.frames), len(searched(tuple(range(len(picture.frames)))))
        if looked_at < total:
            picture = picture.noting(f"faces were looked for in {looked_at} of {total} frames")
    for box in boxes:
        picture = picture.each(lambda frame, box=box: hidden(frame, box, operation))  # type: ignore[misc]
    return picture.in_memory()


def _around(picture: Picture, face: Region) -> Box | None:
    """A face and what lies around it, in pixels of the picture as it is now; None if it has been cut off."""
    across, down = face.width * AROUND_FACE, face.height * AROUND_FACE
    left, top, right, bottom = picture.view.box(face.x - across, face.y - down, face.right + across, face.bottom + down)
    size = picture.size
    return outward(left * size.width, top * size.height, right * size.width, bottom * size.height).within(size)


def hidden(frame: pyvips.Image, box: Box, operation: Redact) -> pyvips.Image:
    """The frame with one box made unrecognisable."""
    if operation.by is HideBy.FILL:
        if not fits_grey(operation.colour):
            frame = to_rgb(frame)
        return frame.draw_rect(bands_of(operation.colour, frame), box.left, box.top, box.width, box.height, fill=True)
    part = frame.crop(box.left, box.top, box.width, box.height)
    side = max(2, math.ceil(min(box.width, box.height) / SQUARES))
    covered = mosaic(part, side) if operation.by is HideBy.PIXELATE else _smooth(part, side)
    return frame.insert(covered, box.left, box.top)


def _smooth(part: pyvips.Image, side: int) -> pyvips.Image:
    """The squares of a mosaic, drawn as one soft gradient."""

    def soften(flat: pyvips.Image) -> pyvips.Image:
        few = squares(flat, side)
        edge = few.embed(1, 1, few.width + 2, few.height + 2, extend="copy")
        grown = edge.resize(side, kernel="linear")
        return grown.crop(side, side, flat.width, flat.height).cast(flat.format)

    return premultiplied(part, soften)

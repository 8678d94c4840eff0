"""Steps that draw marks: other images, texts, or both in a row.

A mark is made once, as sRGB with alpha, and drawn on every frame. The images were staged beside the original; their
pictures' sizes are held against the same limits as an original's.
"""

from __future__ import annotations

import math
from dataclasses import replace
from html import escape

import pyvips

from proxy.errors import CannotRender
from proxy.imaging.colours import in_colours_of, to_rgb, with_alpha
from proxy.imaging.fonts import font_options
from proxy.imaging.picture import Picture
from proxy.imaging.scaling import scaled
from proxy.imaging.steps import turned
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity, Size, place
from proxy.plan.operations import Align, MarkRow, Rotate, ScaleBy, Text, TooLarge, Watermark
from proxy.plan.operations.marks import share_factor, truncated

MAX_MARK_PIXELS = 25_000_000
"""A text may be long and its font large; what lies outside of the picture would be drawn for nothing."""


def draw_image(picture: Picture, operation: Watermark) -> Picture:
    """Draw an image mark."""
    mark = image_mark(picture, operation)
    if operation.too_large is TooLarge.SKIP and (mark.width > picture.size.width or mark.height > picture.size.height):
        return picture.noting("the mark is larger than the picture and was left out")
    mark = faded(mark, operation.opacity)
    if operation.tile:
        cell = apart(mark, operation)
        return draw(picture, tiled(mark, cell, picture.size), Gravity.NORTHWEST, 0, 0)
    return draw(picture, mark, operation.gravity, operation.dx, operation.dy)


def image_mark(picture: Picture, operation: Watermark) -> pyvips.Image:
    """The image of a mark, as large as it is to be drawn."""
    source = picture.overlay(operation)
    mark = with_alpha(to_rgb(source))
    size = operation.mark_size(Size(mark.width, mark.height), picture.size)
    check_mark_size(size)
    if size != Size(mark.width, mark.height):
        mark = scaled(mark, size)
    return rotated(mark, operation.degrees)


def draw_text(picture: Picture, operation: Text) -> Picture:
    """Draw a text mark."""
    mark = faded(text_mark(operation, picture.size), operation.opacity)
    if operation.tile:
        free = apart(mark, operation)
        cell = Size(operation.cell_width or free.width, operation.cell_height or free.height)
        return draw(picture, tiled(mark, cell, picture.size), Gravity.NORTHWEST, 0, 0)
    return draw(picture, mark, operation.gravity, operation.dx, operation.dy)


def text_mark(operation: Text, picture: Size) -> pyvips.Image:
    """A text as an image, turned, with its shadow; as large as its share of the picture, where it has one."""
    if operation.scale_by is ScaleBy.NONE:
        return written(operation)
    upright = replace(operation, degrees=0.0)
    first = written(upright)
    size = Size(first.width, first.height)
    factor = share_factor(operation.scale, operation.scale_by, size, picture) or 1.0
    check_mark_size(size.scaled(factor))
    # Written anew, its edges stay sharp; what its hinting adds or takes is then scaled away.
    again = written(replace(upright, size_px=min(1000.0, max(1.0, operation.size_px * factor))))
    return rotated(scaled(again, truncated(size, factor)), operation.degrees)


def written(operation: Text) -> pyvips.Image:
    """A text as an image, in its own size."""
    estimate = (len(operation.text) * operation.size_px, 2 * operation.size_px)
    check_mark_size(Size(math.ceil(estimate[0]), math.ceil(estimate[1])))
    try:
        # Escaped: Pango would read markup. 72 dots per inch make a point a pixel.
        ink = pyvips.Image.text(
            escape(operation.text, quote=False), dpi=72, **font_options(operation.font, operation.size_px)
        )
    except pyvips.Error as error:
        raise CannotRender("the text of the mark cannot be drawn") from error
    mark = outlined(ink, operation) if operation.outline.alpha else inked(ink, operation.colour)
    if operation.shadow:
        offset = max(1, round(operation.size_px / 20))
        below = faded(inked(ink, Colour.BLACK), operation.shadow)
        canvas = below.embed(offset, offset, mark.width + offset, mark.height + offset)
        mark = canvas.composite2(mark, "over").cast("uchar")
    return rotated(mark, operation.degrees)


def draw_row(picture: Picture, operation: MarkRow) -> Picture:
    """Draw several marks beside one another."""
    parts = [
        image_mark(picture, part) if isinstance(part, Watermark) else text_mark(part, picture.size)
        for part in operation.parts
    ]
    height = max(part.height for part in parts)
    width = sum(part.width for part in parts) + operation.interval * (len(parts) - 1)
    check_mark_size(Size(width, height))
    row = pyvips.Image.black(width, height, bands=4).copy(interpretation="srgb")
    left = 0
    for part in parts:
        room = height - part.height
        top = {Align.TOP: 0, Align.MIDDLE: room // 2, Align.BOTTOM: room}[operation.align]
        row = row.insert(part, left, top)
        left += part.width + operation.interval
    return draw(picture, faded(row, operation.opacity), operation.gravity, operation.dx, operation.dy)


def outlined(ink: pyvips.Image, operation: Text) -> pyvips.Image:
    """A text with a line around its characters, which stands under their soft edges."""
    width = max(1, round(operation.size_px / 24))
    across = 2 * width + 1
    ink = ink.embed(width, width, ink.width + 2 * width, ink.height + 2 * width)
    line = inked(ink.rank(across, across, across * across - 1), operation.outline)
    return line.composite2(inked(ink, operation.colour), "over").cast("uchar").copy(interpretation="srgb")


def inked(ink: pyvips.Image, colour: Colour) -> pyvips.Image:
    """A colour where there is ink; no bytes from the text's own metadata."""
    paint = pyvips.Image.black(ink.width, ink.height, bands=3).linear(1, [colour.red, colour.green, colour.blue])
    alpha = ink if colour.alpha == 255 else ink * (colour.alpha / 255)
    return paint.bandjoin(alpha).cast("uchar").copy(interpretation="srgb")


def faded(mark: pyvips.Image, opacity: int) -> pyvips.Image:
    """The mark with its alpha taken down to a percentage."""
    if opacity >= 100:
        return mark
    return (mark * [1, 1, 1, opacity / 100]).cast("uchar").copy(interpretation="srgb")


def rotated(mark: pyvips.Image, degrees: float) -> pyvips.Image:
    """The mark turned clockwise, on a transparent ground."""
    angle = degrees % 360
    if angle == 0:
        return mark
    if angle in (90, 180, 270):
        return mark.rot(f"d{angle:.0f}")
    size = Rotate(angle).size(Size(mark.width, mark.height))
    return turned(mark, angle, size, Colour.TRANSPARENT)


def apart(mark: pyvips.Image, operation: Watermark | Text) -> Size:
    """The size of a mark with the distance to its repetition."""
    more = 1 + operation.spacing / 100
    return Size(
        max(1, round(mark.width * more) + operation.dx),
        max(1, round(mark.height * more) + operation.dy),
    )


def tiled(mark: pyvips.Image, cell: Size, size: Size) -> pyvips.Image:
    """The mark in the middle of every cell of a picture of this size."""
    box = place(Size(mark.width, mark.height), cell, Gravity.CENTRE)
    one = mark.embed(box.left, box.top, cell.width, cell.height).copy_memory()
    across, down = math.ceil(size.width / cell.width), math.ceil(size.height / cell.height)
    return one.replicate(across, down).crop(0, 0, size.width, size.height)


def draw(picture: Picture, mark: pyvips.Image, gravity: Gravity, dx: int, dy: int) -> Picture:
    """Draw a mark on each frame; what sticks out is cut off."""
    mark = in_colours_of(picture.first, mark).copy_memory()
    box = place(Size(mark.width, mark.height), picture.size, gravity, dx, dy)
    seen = box.within(picture.size)
    if seen is None:
        return picture.noting("the mark lies outside of the picture")
    mark = mark.crop(seen.left - box.left, seen.top - box.top, seen.width, seen.height)

    def drawn(frame: pyvips.Image) -> pyvips.Image:
        frame = to_rgb(frame)
        over = frame.composite2(mark, "over", x=seen.left, y=seen.top)
        return (over if frame.hasalpha() else over.extract_band(0, n=3)).cast("uchar")

    return picture.each(drawn)


def check_mark_size(size: Size) -> None:
    """Refuse a mark that would take minutes to draw."""
    if size.pixels > MAX_MARK_PIXELS:
        raise CannotRender(f"a mark may have {MAX_MARK_PIXELS} pixels, this one would be {size}")

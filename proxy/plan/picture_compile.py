"""From the fields of a preset that say what the picture looks like to operations in order.

The fields have no order of their own; they compile to: auto-orient, redact, trim, resize (with the crop of `cover` or
the canvas of `pad`), rotate, flip, tones and colours, blur, pixelate, sharpen, watermark, text, padding, border, round
corners. Redaction comes before anything is scaled: no result must hold more of a face than its few squares.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.operation_tables import OperationTable
from proxy.plan.operations import (
    MAX_SIDE,
    AutoOrient,
    Backdrop,
    Blur,
    Border,
    Brightness,
    Circle,
    Contrast,
    Crop,
    Duotone,
    Extent,
    Fit,
    Flip,
    Gamma,
    Grayscale,
    Hue,
    Invert,
    Normalise,
    Operation,
    Pixelate,
    Redact,
    Resize,
    Rotate,
    RoundCorners,
    Saturation,
    Sepia,
    Sharpen,
    Tint,
    Trim,
    Unit,
)
from proxy.plan.picture_table import PictureTable, PresetFit, SharpenTable
from proxy.plan.region import Region

_FITS = {
    PresetFit.INSIDE: Fit.INSIDE,
    PresetFit.COVER: Fit.COVER,
    PresetFit.FILL: Fit.FILL,
    PresetFit.PAD: Fit.INSIDE,
}


def picture_operations(table: PictureTable, background: Colour | str | None) -> list[Operation]:
    """The operations; not yet in their one spelling. `background` is the preset's: a colour, or "blur"."""
    colour = background if isinstance(background, Colour) else Colour.WHITE
    upright_first: list[Operation] = [AutoOrient()] if table.auto_orient else []
    return [
        *upright_first,
        *_first(table),
        *_box(table, colour, blurred=background == "blur"),
        *_turns(table, colour),
        *_tones(table),
        *_focus(table),
        *_around(table, colour),
    ]


def _first(table: PictureTable) -> Iterator[Operation]:
    """What looks at the whole original."""
    if isinstance(table.redact, OperationTable):
        yield table.redact.build()
    elif table.redact:
        yield Redact(faces=True)
    if isinstance(table.trim, OperationTable):
        yield table.trim.build()
    elif table.trim:
        yield Trim()


def _box(table: PictureTable, background: Colour, *, blurred: bool) -> Iterator[Operation]:
    if table.width is None and table.height is None:
        return
    if table.fit is PresetFit.PAD and table.width is not None and table.height is not None and blurred:
        # Scaled first, so that the decoder can shrink; to cover, because the backdrop does.
        yield Resize(table.width, table.height, Fit.COVER)
        yield Backdrop(table.width, table.height, enlarge=table.enlarge)
        return
    yield Resize(table.width, table.height, _FITS[table.fit], table.enlarge)
    if table.fit is PresetFit.COVER:
        yield _crop(table)
    if table.fit is PresetFit.PAD and table.width is not None and table.height is not None:
        gravity = table.gravity[-1] if table.gravity else Gravity.CENTRE
        if isinstance(gravity, Gravity):
            yield Extent(table.width, table.height, gravity, background=background)


def _crop(table: PictureTable) -> Crop:
    """The crop of `cover`: around what the gravity names, or what is stored with the original."""
    aims = table.gravity
    if aims is None:
        return Crop(table.width, table.height, Gravity.CENTRE, focal=table.focal)
    last = aims[-1]
    if isinstance(last, Region):
        return Crop(table.width, table.height, Gravity.CENTRE, seek=aims, focal=False)
    # An anchor alone is meant: what is stored must not move it. And where the list itself says when the focal point
    # counts, it does not count before.
    stored = table.focal and aims != (Gravity.CENTRE,) and Gravity.FOCAL not in aims
    return Crop(table.width, table.height, last, seek=aims[:-1], focal=stored)


def _turns(table: PictureTable, background: Colour) -> Iterator[Operation]:
    yield Rotate(table.rotate, background)
    if table.flip:
        yield Flip(table.flip)


def _tones(table: PictureTable) -> Iterator[Operation]:
    if isinstance(table.normalise, OperationTable):
        yield table.normalise.build()
    elif table.normalise:
        yield Normalise()
    if table.brightness:
        yield Brightness(table.brightness)
    if table.contrast:
        yield Contrast(table.contrast)
    if table.gamma != 1:
        yield Gamma(table.gamma)
    if table.saturation:
        yield Saturation(table.saturation)
    if table.hue % 360:
        yield Hue(table.hue % 360)
    if table.grayscale:
        yield Grayscale()
    if table.sepia:
        yield Sepia(100 if table.sepia is True else table.sepia)
    if isinstance(table.tint, OperationTable):
        yield table.tint.build()
    elif table.tint is not None:
        yield Tint(table.tint)
    if table.duotone is not None:
        yield Duotone(*table.duotone)
    if table.invert:
        yield Invert()


def _focus(table: PictureTable) -> Iterator[Operation]:
    if table.blur is not None:
        yield Blur(table.blur)
    if table.pixelate is not None:
        yield Pixelate(table.pixelate)
    if isinstance(table.sharpen, SharpenTable):
        yield Sharpen(table.sharpen.sigma, table.sharpen.amount)
    elif table.sharpen:
        yield Sharpen()


def _around(table: PictureTable, background: Colour) -> Iterator[Operation]:
    """What is drawn on the picture, around it, and cut off its corners."""
    if table.watermark is not None:
        yield table.watermark.build()
    if table.text is not None:
        yield table.text.build()
    if table.padding is not None:
        yield Border(table.padding, table.padding, background)
    if table.border is not None:
        yield Border(table.border.width, table.border.width, table.border.color)
    if table.radius is not None:
        number, percent = table.radius
        yield RoundCorners(number, number, Unit.PERCENT if percent else Unit.PIXELS)
    if table.circle:
        yield Circle(MAX_SIDE)

"""The sizes of a render, computed from the header alone: what is refused, and how small the decoder may go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.errors import OriginalTooLarge, ResultTooLarge
from proxy.imaging.job import RenderLimits, SourceInfo
from proxy.plan.geometry import Size
from proxy.plan.operations import Area, AutoOrient, Operation, Resize, Scale
from proxy.plan.output import Format

SCALING = (Resize, Scale, Area)
"""The operations that do nothing but scale to their size; a list that begins with one is decoded smaller."""

DRAWN = (Format.SVG, Format.PDF)
"""Formats without pixels of their own: they are drawn at the size asked for, which the result's limits bound."""

MOST_DECODED = 128 << 20
"""Bytes of pixels that a JPEG may be decoded to at once; what would be larger is streamed, some lines at a time."""

MOST_AT_ONCE = 2 << 20
"""Pixels of a picture that is computed and encoded to JPEG at once; a larger one is taken some lines at a time."""
_ENCODING_BYTES = 12
"""For each pixel: it is copied twice, and its coefficients and its file are held."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the operations begin with: the size to scale the stored picture to, and what is then left to do."""

    target: Size | None
    """In the stored orientation; None when the operations do not begin with a Resize."""
    operations: tuple[Operation, ...]


def begin(operations: tuple[Operation, ...], info: SourceInfo) -> Beginning:
    """Fuse AutoOrient → Resize into a scaling of the stored picture, to be turned afterwards."""
    stored = Size(info.width, info.height)
    match operations:
        case (scaling, *rest) if isinstance(scaling, SCALING):
            return Beginning(scaling.size(stored), tuple(rest))
        case (AutoOrient() as orient, scaling, *rest) if isinstance(scaling, SCALING):
            if info.orientation < 5:
                return Beginning(scaling.size(stored), (orient, *rest))
            return Beginning(scaling.size(stored.turned()).turned(), (orient, *rest))
        case _:
            return Beginning(None, operations)


_LARGE = 4_000_000
"""Pixels of an original from which on a smaller decode saves more than its false sharpness costs."""
_LEFT_OF_LARGE = {8: 1.8, 4: 1.8, 2: 1.6}
"""By how far the decoder shrinks a large original: the factor that is left at least."""


def shrink_of(info: SourceInfo, target: Size) -> int:
    """How far a JPEG's decoder may shrink for the size `target`: by 1, 2, 4 or 8.

    libvips' own rule for thumbnails leaves at least a factor of two, because block-shrinking adds false sharpness. Of a
    large original that the step divides evenly, less is left. The pixels then score up to 4 points of SSIMULACRA2
    lower, of more than 95; the JPEG of quality 80 that is made of them up to 1, at 2 % fewer bytes. 12 megapixels to
    1200 px take two thirds of the time (`imaging/jpeg.py` has the table). A progressive one keeps its two at a half:
    leaving out its last bits (`jpeg_scans`) saves more, for less.
    """
    factor = reduction(info, target)
    return next((step for step in (8, 4, 2) if factor >= step * _least_left(info, step)), 1)


def reduction(info: SourceInfo, target: Size) -> float:
    """How many times as large as `target` an original is, at least."""
    return min(info.width / target.width, info.height / target.height)


def _least_left(info: SourceInfo, step: int) -> float:
    """The factor that scaling is left with. A part of a column would stretch the picture more where less is left."""
    large = info.width * info.height >= _LARGE
    divides = info.width % step == info.height % step == 0
    reads_all = not info.interlaced or step > 2
    return _LEFT_OF_LARGE[step] if large and divides and reads_all else 2.0


def shrunk_size(info: SourceInfo, step: int) -> Size:
    """The size that comes out of a decoder that shrinks by `step`."""
    return Size(-(-info.width // step), -(-info.height // step))


def decoded_bytes(info: SourceInfo, target: Size | None) -> int:
    """The memory for the pixels of a JPEG that is decoded at once for the size `target`; 0 for what is streamed."""
    if info.format is not Format.JPEG or target is None or info.bands not in (1, 3):
        return 0
    size = shrunk_size(info, shrink_of(info, target)).pixels * info.bands
    return size if size <= MOST_DECODED else 0


def shared_bytes(info: SourceInfo) -> int:
    """The most that the pixels take from which several pictures are scaled: what is decoded, and smaller ones of it."""
    pixels = info.width * info.height * info.bands
    return pixels * 2 if pixels <= MOST_DECODED else 0


def encoding_bytes(pixels: int) -> int:
    """The memory that so many pixels take when they are encoded at once; 0 for what is streamed."""
    return pixels * _ENCODING_BYTES if pixels <= MOST_AT_ONCE else 0


def check_sizes(operations: tuple[Operation, ...], info: SourceInfo, limits: RenderLimits, frames: int) -> Size:
    """The size of the result; ResultTooLarge if it, or a picture on the way to it, would be larger than allowed."""
    size = Size(info.width, info.height)
    if info.format in DRAWN and begin(operations, info).target is None and size.pixels > limits.max_pixels:
        raise OriginalTooLarge(f"an original may have {limits.max_pixels} pixels, this one is {size}")
    for size in counted_sizes(operations, info):
        if size.pixels * frames > limits.max_result_pixels:
            shape = f"{size}" + (f" in {frames} frames" if frames > 1 else "")
            raise ResultTooLarge(f"a result may have {limits.max_result_pixels} pixels, this one would be {shape}")
    # The last one is the result's.
    if max(size.width, size.height) > limits.max_result_side:
        raise ResultTooLarge(f"a result may have {limits.max_result_side} pixels a side, this one would be {size}")
    return size


def counted_sizes(operations: tuple[Operation, ...], info: SourceInfo) -> Iterator[Size]:
    """The sizes that the limits of a result are held against; the last is the result's own.

    On the way, only what an operation enlarges counts: a large original is the original's limits' business. And only
    its area: a narrow picture that is to cover a box is very long for a moment.
    """
    size = Size(info.width, info.height)
    orientation = info.orientation
    for operation in operations:
        before = size
        if isinstance(operation, AutoOrient):
            size, orientation = (size.turned() if orientation >= 5 else size), 1
        else:
            size = operation.size(size)
        if size.pixels > before.pixels:
            yield size
    yield size

"""Read the header of an original and hold it against the limits, before any pixel is decoded.

A 230-byte progressive JPEG can cost nine seconds and two gigabytes; the header tells, and reading it costs a
millisecond.
"""

from __future__ import annotations

import pyvips

from proxy.errors import NotAnImage, OriginalTooLarge
from proxy.imaging.damage import reading
from proxy.imaging.foreign import FOREIGN, open_foreign
from proxy.imaging.job import RenderLimits, SourceInfo
from proxy.imaging.jxl import read_header
from proxy.imaging.loading import open_original
from proxy.imaging.moving import apng_frames, is_avif_sequence, open_moving
from proxy.imaging.pdf import read_page
from proxy.imaging.sizes import DRAWN
from proxy.imaging.sniff import sniff_file
from proxy.imaging.task_files import size_of_file
from proxy.plan.output import Format

_BASE_BYTES = 16 << 20
"""What a render needs besides the picture: line buffers, the codec's tables, the encoder."""
_DRAWING_BYTES = 64 << 20
"""What drawing an SVG or a page needs besides the picture: fonts, and images inside of it."""


def inspect(path: str, limits: RenderLimits) -> SourceInfo:
    """Say what the original at `path` is; NotAnImage, OriginalTooLarge or CannotRender if it is not to be rendered."""
    return inspect_opened(path, limits)[0]


def inspect_opened(path: str, limits: RenderLimits) -> tuple[SourceInfo, pyvips.Image | None]:
    """As `inspect`; and, of a JPEG, the image whose header was read, for who decodes it: `loading.load` takes it."""
    found = sniff_file(path)
    if found is Format.SVG:
        _check_svg(path, limits)
    if found is Format.PDF and not limits.pdf:
        raise NotAnImage("the original is a PDF document, and rendering PDF is switched off here")
    opened = None
    with reading(path, found):
        if found is Format.JPEG:
            opened = open_original(path, found, limits)
        info = _inspect(path, found, limits) if opened is None else _read_header(opened, path, found, limits)
    _check(info, limits)
    return info, opened


def _check_svg(path: str, limits: RenderLimits) -> None:
    if not limits.svg:
        raise NotAnImage("the original is an SVG, and rendering SVG is switched off here")
    if (size := size_of_file(path)) > limits.max_svg_bytes:
        raise OriginalTooLarge(f"an SVG may have {limits.max_svg_bytes} bytes here, this one has {size}")


def _inspect(path: str, found: Format, limits: RenderLimits) -> SourceInfo:
    if found in FOREIGN:
        return _inspect_foreign(path, found)
    if found is Format.AVIF and is_avif_sequence(path):
        return _inspect_sequence(path)
    if found is Format.JXL:
        return _inspect_jxl(path)
    if found is Format.PDF:
        page = read_page(path)
        return SourceInfo(
            Format.PDF, page.width, page.height, frames=1, bands=3, has_alpha=False, orientation=1, interlaced=False,
            estimated_bytes=_DRAWING_BYTES, pages=page.pages,
        )  # fmt: skip
    return _read_header(open_original(path, found, limits), path, found, limits)


def _inspect_jxl(path: str) -> SourceInfo:
    header = read_header(path)
    width, height, orientation = header.width, header.height, header.orientation
    if not header.jpeg:  # the codec turns what is not a JPEG in other clothes
        width, height = (height, width) if orientation > 4 else (width, height)
        orientation = 1
    return SourceInfo(
        Format.JXL, width, height, frames=1, bands=header.channels, has_alpha=header.alpha, orientation=orientation,
        interlaced=False, estimated_bytes=_BASE_BYTES + (12 + 4 * header.channels) * width * height,
    )  # fmt: skip


def _inspect_foreign(path: str, found: Format) -> SourceInfo:
    image = open_foreign(path, found)
    alpha = image.has_transparency_data
    width, height = image.size
    bands = (1 if image.mode in ("1", "L", "LA") else 3) + alpha
    # The file, Pillow's pixels, their conversion, and the copy handed to libvips; measured.
    estimate = _BASE_BYTES + (24 if found is Format.HEIC else 14) * width * height
    return SourceInfo(found, width, height, 1, bands, alpha, 1, interlaced=False, estimated_bytes=estimate)


def _read_header(image: pyvips.Image, path: str, found: Format, limits: RenderLimits) -> SourceInfo:
    counted = _number(image, "n-pages", 1)
    frames = apng_frames(path) if found is Format.PNG else counted if found in (Format.GIF, Format.WEBP) else 1
    interlaced = found in (Format.JPEG, Format.PNG) and _number(image, "interlaced", 0) == 1
    orientation = _number(image, "orientation", 1)
    return SourceInfo(
        format=found,
        width=image.width,
        height=image.height,
        frames=frames,
        bands=image.bands,
        has_alpha=bool(image.hasalpha()),
        orientation=orientation if 1 <= orientation <= 8 else 1,
        interlaced=interlaced,
        estimated_bytes=_BASE_BYTES + _decoder_bytes(image, found, interlaced, min(frames, limits.max_frames)),
        pages=counted if found is Format.TIFF else 1,
    )


def _inspect_sequence(path: str) -> SourceInfo:
    """An AVIF sequence, which libvips does not know: Pillow reads its header."""
    image = open_moving(path, Format.AVIF)
    alpha = image.has_transparency_data
    width, height = image.size
    return SourceInfo(
        Format.AVIF,
        width,
        height,
        frames=getattr(image, "n_frames", 1),
        bands=3 + alpha,
        has_alpha=alpha,
        orientation=1,
        interlaced=False,
        estimated_bytes=_BASE_BYTES + 24 * width * height,
    )


def _number(image: pyvips.Image, name: str, default: int) -> int:
    return int(image.get(name)) if image.get_typeof(name) else default


def _decoder_bytes(image: pyvips.Image, found: Format, interlaced: bool, frames: int) -> int:  # noqa: FBT001 -- a fact
    """What the decoder holds at once: measured as the growth of a fresh worker, and rounded up.

    Strips of a baseline JPEG or a plain PNG count as nothing.
    """
    width: int = image.width
    pixels: int = width * image.height
    bands: int = image.bands
    deep = image.format in ("ushort", "short")
    match found:
        case Format.SVG:
            return _DRAWING_BYTES
        case Format.JPEG:
            return pixels * bands * 2 if interlaced else 0  # every coefficient
        case Format.PNG:
            composed = pixels * 16 if frames > 1 else 0
            return composed + (pixels * bands * (2 if deep else 1) if interlaced else 0)
        case Format.AVIF:
            return pixels * (24 if deep else 16)  # libheif keeps planes, tiles and an interleaved copy
        case Format.GIF | Format.WEBP if frames > 1:
            # Canvases, and the buffers of one pipeline for each frame; the frames themselves pass through.
            return pixels * (24 if found is Format.GIF else 40) + 400 * width * frames
        case Format.GIF:
            return pixels * 13
        case Format.WEBP:
            return pixels * 5
        case _:
            return pixels * (8 if deep else 4)  # TIFF: one strip may be the whole picture


def _check(info: SourceInfo, limits: RenderLimits) -> None:
    # One frame: what the frames of an animation may come to together is a matter of policy, see budget.py. And what is
    # drawn has no pixels of its own: the result's limits bound it.
    if info.width * info.height > limits.max_pixels and info.format not in DRAWN:
        shape = f"{info.width}x{info.height}"
        raise OriginalTooLarge(f"an original may have {limits.max_pixels} pixels, this one is {shape}")
    if info.bands > limits.max_bands:
        raise OriginalTooLarge(f"an original may have {limits.max_bands} channels, this one has {info.bands}")

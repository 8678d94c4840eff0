"""Encode a finished picture: one function per format, each with the default that suits a web page.

Nothing of the original's metadata is written unless the output asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pyvips

from proxy.errors import ResultTooLarge
from proxy.imaging.effort import codec_effort, effort_of
from proxy.imaging.foreign import encode_foreign
from proxy.imaging.jpeg_encoding import encode_jpeg, with_density
from proxy.imaging.jxl import encode_jxl
from proxy.imaging.raster import Raster
from proxy.imaging.task_files import read_file, write_file
from proxy.plan.geometry import Size
from proxy.plan.output import Format, Output, OverLimit

MAX_SIDE: Mapping[Format, int] = {
    Format.JPEG: 65_535, Format.GIF: 65_535, Format.WEBP: 16_383, Format.AVIF: 16_384, Format.ICO: 256,
}  # fmt: skip
"""What the formats themselves can hold."""

HOLDS_PROFILE = frozenset({Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.TIFF})
HOLDS_EXIF = frozenset({Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF})
HOLDS_XMP = frozenset({Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.TIFF})

QUALITY: Mapping[Format, int] = {Format.JPEG: 80, Format.WEBP: 82, Format.AVIF: 64, Format.JXL: 80}
"""Equal to the eye: all come to a SSIMULACRA2 of about 76 on photos of 400 px (docs/quality.md). Lossless formats
ignore the quality."""
_FLAT_TABLES = 3
"""mozjpeg's name for tables that spare less in the fine detail: up to a quality of 85 they cost 6 % fewer bytes for the
same SSIMULACRA2; above, more."""
_FLAT_UP_TO = 85
_OPTIMAL_FROM = 3
"""The effort from which on a JPEG has coding tables of its own."""
_TRELLIS_FROM = 6

GIF_CHANGE = 8
"""Distance between two colours up to which a pixel of a GIF counts as unchanged. Bytes of seven scaled animations, and
the loss of the worst below 50 dB: 4 saves 12 % for 0.2 dB, 8 saves 20 % for 0.8 dB, 16 saves 29 % for 2.9 dB."""


def check_format(size: Size, target: Format) -> None:
    """Refuse a size that the format cannot hold."""
    limit = MAX_SIDE.get(target)
    if limit is not None and max(size.width, size.height) > limit:
        raise ResultTooLarge(f"a {target.value.upper()} has at most {limit} pixels a side, this one would be {size}")


def save(image: pyvips.Image, target: Format, output: Output, path: str, *, keep: str) -> None:
    """Write the image, all frames of it, to `path`; `keep` is what libvips is to keep of its metadata."""
    if target in (Format.BMP, Format.ICO):
        write_file(path, encode_foreign(image, target))
        return
    SAVERS[target](image, output, path, keep)


def _quality(output: Output, target: Format) -> int:
    return output.quality or QUALITY[target]


def _effort(output: Output, target: Format) -> int:
    """The encoder's own effort for ours."""
    return codec_effort(effort_of(output, target), target)


def plain_jpeg(raster: Raster | None, output: Output) -> bytes | None:
    """The JPEG of pixels that nothing else is to be said of; None for what `save` is to write."""
    effort = effort_of(output, Format.JPEG)
    if raster is None or output.progressive or effort >= _TRELLIS_FROM:
        return None
    quality, tables = _quantisation(output)
    body = encode_jpeg(raster, quality=quality, tables=tables, optimal=effort >= _OPTIMAL_FROM)
    return body if body is None or output.density is None else with_density(body, output.density)


def save_jpeg(image: pyvips.Image, output: Output, path: str, keep: str) -> None:
    """Baseline or progressive, with optimal coding tables: 4 % fewer bytes for 0.6 ms at 400 px, 5 % for 4 ms at 1200.

    Trellis quantisation would save 4 % more and take five times as long, so it is for those who ask for effort.
    """
    quality, tables = _quantisation(output)
    effort = effort_of(output, Format.JPEG)
    image.jpegsave(
        path,
        Q=quality,
        quant_table=tables,
        optimize_coding=effort >= _OPTIMAL_FROM,
        trellis_quant=effort >= _TRELLIS_FROM,
        overshoot_deringing=effort >= _TRELLIS_FROM,
        optimize_scans=effort >= 8,
        interlace=output.progressive or effort >= 8,
        keep=keep,
    )
    if output.density is not None and "exif" not in keep:  # in EXIF, libvips says it
        write_file(path, with_density(read_file(path), output.density))


def _quantisation(output: Output) -> tuple[int, int]:
    """The quality of a JPEG, and the number of the tables for it."""
    quality = _quality(output, Format.JPEG)
    # A quality asked for by number keeps the standard's tables, by which others read it back from the file.
    ours = output.quality is None or output.ssimulacra2 is not None or output.over_limit is OverLimit.FIT
    return quality, _FLAT_TABLES if ours and quality <= _FLAT_UP_TO else 0


def save_png(image: pyvips.Image, output: Output, path: str, keep: str) -> None:
    """Lossless whatever the quality says; filters save a fifth on photos and cost nearly nothing on drawings."""
    if output.palette is not None:
        save_palette_png(image, output.palette, output, path, keep)
        return
    image.pngsave(path, compression=_effort(output, Format.PNG), filter="all", interlace=output.progressive, keep=keep)


def save_palette_png(image: pyvips.Image, colours: int, output: Output, path: str, keep: str) -> None:
    """A PNG with at most so many colours. PNG counts them in 1, 2, 4 or 8 bits; between those, GIF's quantiser does."""
    bits = max(1, (colours - 1).bit_length())
    options: dict[str, object] = {"interlace": output.progressive, "keep": keep, "palette": True}
    if bits not in (1, 2, 4, 8) and not image.hasalpha():
        image = pyvips.Image.gifload_buffer(image.gifsave_buffer(bitdepth=bits, effort=7, keep="none"))
        options["dither"] = 0.0
    image.pngsave(path, bitdepth=next(depth for depth in (1, 2, 4, 8) if depth >= bits), **options)


def save_gif(image: pyvips.Image, output: Output, path: str, keep: str) -> None:
    """A palette per frame where needed; libvips' own effort of 7 takes five times as long for 3 % fewer bytes.

    What has hardly changed from frame to frame is not written again (`GIF_CHANGE`): resizing makes noise of what stood
    still in the original, and a GIF of half the size with all of it has more bytes than the original.
    """
    bits = 8 if output.palette is None else max(1, (output.palette - 1).bit_length())
    image.gifsave(
        path,
        bitdepth=bits,
        effort=_effort(output, Format.GIF),
        interlace=output.progressive,
        interframe_maxerror=0 if output.lossless else GIF_CHANGE,
        keep=keep,
        page_height=_page_height(image),
    )


def save_webp(image: pyvips.Image, output: Output, path: str, keep: str) -> None:
    """Lossy with full alpha quality, or lossless."""
    image.webpsave(
        path,
        Q=_quality(output, Format.WEBP),
        lossless=output.lossless,
        effort=_effort(output, Format.WEBP),
        keep=keep,
        page_height=_page_height(image),
    )
    if image.hasalpha() and _page_height(image) < image.height:
        _declare_alpha(path)


def _declare_alpha(path: str) -> None:
    """Set the alpha flag of an animated WebP's header.

    libwebp sets it where a frame has transparent pixels, but not where the frames are opaque and smaller than the
    canvas: readers that believe it then show black around them.
    """
    with Path(path).open("r+b") as file:
        head = file.read(21)
        if head[12:16] == b"VP8X":
            file.seek(20)
            file.write(bytes((head[20] | 0x10,)))


def save_avif(image: pyvips.Image, output: Output, path: str, keep: str) -> None:
    """AV1, eight bits; by default effort 2, of which docs/quality.md has the figures."""
    image.heifsave(
        path,
        compression="av1",
        Q=_quality(output, Format.AVIF),
        lossless=output.lossless,
        effort=_effort(output, Format.AVIF),
        bitdepth=8,
        keep=keep,
    )


def save_jxl(image: pyvips.Image, output: Output, path: str, keep: str) -> None:
    """Lossy or lossless, without metadata; effort 4 is five times as fast as 5, for 3 % more bytes at most."""
    del keep  # the encoder takes sRGB and grey as they are
    effort, quality = _effort(output, Format.JXL), _quality(output, Format.JXL)
    write_file(path, encode_jxl(image, quality=quality, effort=effort, lossless=output.lossless))


def save_tiff(image: pyvips.Image, output: Output, path: str, keep: str) -> None:
    """Lossless and small."""
    del output  # nothing of it concerns a TIFF
    image.tiffsave(path, compression="deflate", predictor="horizontal", keep=keep)


def _page_height(image: pyvips.Image) -> int:
    return int(image.get("page-height")) if image.get_typeof("page-height") else int(image.height)


SAVERS: Mapping[Format, Callable[[pyvips.Image, Output, str, str], None]] = {
    Format.JPEG: save_jpeg,
    Format.PNG: save_png,
    Format.GIF: save_gif,
    Format.WEBP: save_webp,
    Format.AVIF: save_avif,
    Format.JXL: save_jxl,
    Format.TIFF: save_tiff,
}

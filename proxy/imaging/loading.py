"""Open an original: the loader of its format, reading top to bottom, shrinking while decoding where that loses nothing.

How far a decoder may shrink is nearly libvips' own rule for thumbnails: block-shrinking adds false sharpness, so about
a factor of two is left for the good resize that follows (`sizes.shrink_of`).
"""

from __future__ import annotations

from dataclasses import replace

import pyvips

from proxy.imaging.foreign import FOREIGN, load_foreign
from proxy.imaging.job import RenderLimits, SourceInfo
from proxy.imaging.jpeg import decode_jpeg
from proxy.imaging.jxl import load_jxl
from proxy.imaging.lab_tiff import open_lab
from proxy.imaging.moving import MOVING, load_moving
from proxy.imaging.pdf import draw_page
from proxy.imaging.picture import Picture
from proxy.imaging.sizes import reduction, shrink_of
from proxy.imaging.stated_colours import gain_map_note, with_stated_profile
from proxy.imaging.svg import read_svg
from proxy.imaging.task_files import body_in_memory
from proxy.plan.animation import SLOWED_MS, merged, shown
from proxy.plan.geometry import Size
from proxy.plan.output import Format, Output, Truncated

LOADERS = {
    Format.JPEG: (pyvips.Image.jpegload, pyvips.Image.jpegload_source),
    Format.PNG: (pyvips.Image.pngload, pyvips.Image.pngload_source),
    Format.GIF: (pyvips.Image.gifload, pyvips.Image.gifload_source),
    Format.WEBP: (pyvips.Image.webpload, pyvips.Image.webpload_source),
    Format.AVIF: (pyvips.Image.heifload, pyvips.Image.heifload_source),
    Format.TIFF: (pyvips.Image.tiffload, pyvips.Image.tiffload_source),
}
"""Of libvips, for a file and for what is in memory. Which pictures they read, and how, is the same."""


def open_original(path: str, found: Format, limits: RenderLimits, **options: object) -> pyvips.Image:
    """Open with the loader of its format; only the header is read. For those of libvips: see `LOADERS`."""
    if found is Format.SVG:
        # From memory: from a file name, librsvg would resolve references to other files.
        return pyvips.Image.svgload_buffer(read_svg(path, limit=limits.max_svg_bytes).body, **options)
    if found is Format.AVIF:
        primary = _load(path, found)
        options["page"] = primary.get("heif-primary") if primary.get_typeof("heif-primary") else 0
    try:
        return _load(path, found, access="sequential", **options)
    except pyvips.Error:
        if found is Format.TIFF and (lab := open_lab(path)) is not None:
            return lab
        raise


def _load(path: str, found: Format, **options: object) -> pyvips.Image:
    from_file, from_source = LOADERS[found]
    body = body_in_memory(path)
    if body is None:
        return from_file(path, **options)
    # Not copied: the bytes stay where they are until the task ends, and so do all pictures that are read from them.
    return from_source(pyvips.Source.new_from_memory(body), **options)


def load(
    path: str,
    info: SourceInfo,
    output: Output,
    limits: RenderLimits,
    *,
    target: Size | None,
    kept: tuple[int, ...] = (0,),
    opened: pyvips.Image | None = None,
) -> Picture:
    """Open some frames of an original, shrunk on load if the first thing wanted of it is the size `target`.

    `target` is in the original's stored orientation. The picture that comes back is at least that large unless the
    original is smaller; scaling it to `target` is the caller's. `opened` is from `inspect_opened`, if that was asked.
    """
    if info.format in FOREIGN:
        return Picture((load_foreign(path, info.format),))
    if info.format is Format.JXL:
        return load_jxl(path, fail_on=failing(info.format, output))
    if info.format is Format.PDF:
        scale = 1.0 if target is None else min(target.width / info.width, target.height / info.height)
        return Picture((draw_page(path, scale=scale),))
    if info.frames > 1 and info.format in MOVING and (len(kept) > 1 or info.format is Format.AVIF):
        return load_moving(path, info, kept, target)
    options: dict[str, object] = {"fail_on": failing(info.format, output)}
    if target is not None:
        options |= shrinking(info, target)
    if target is not None and (picture := load_jpeg(path, info, limits, target, opened)) is not None:
        return picture
    if len(kept) == 1:
        image = with_stated_profile(open_original(path, info.format, limits, **options), path, info.format)
        notes = gain_map_note(path, info.format)
        if info.format is Format.SVG:
            notes = read_svg(path, limit=limits.max_svg_bytes).notes
        return Picture((image,), orientation=info.orientation, notes=notes)
    strip = open_original(path, info.format, limits, n=kept[-1] + 1, **options)
    return split(strip, info, kept)


def load_jpeg(
    path: str, info: SourceInfo, limits: RenderLimits, target: Size, opened: pyvips.Image | None = None
) -> Picture | None:
    """The pixels of a JPEG, in memory; None for what is no JPEG, or one that is left to libvips."""
    if info.format is not Format.JPEG:
        return None
    header = open_original(path, info.format, limits) if opened is None else opened
    decoded = decode_jpeg(path, info, target, header)
    return None if decoded is None else replace(decoded, notes=gain_map_note(path, info.format))


def failing(found: Format, output: Output) -> str:
    """What in a file makes its loader give up.

    Warnings do not: files with stray bytes or a bad checksum look right in every browser. A TIFF's missing strips and
    unknown compressions are mere errors to libvips, and come out as black pictures.
    """
    if output.truncated is Truncated.RENDER:
        return "none"
    return "error" if found is Format.TIFF else "truncated"


def shrinking(info: SourceInfo, target: Size) -> dict[str, object]:
    """The loader's options that make it decode no more than the size `target` needs."""
    factor = reduction(info, target)
    match info.format:
        case Format.JPEG:
            return {"shrink": shrink_of(info, target)}
        case Format.WEBP if info.frames == 1 and factor >= 4:
            return {"scale": 2 / factor}
        case Format.SVG:
            # The other ratio of the two: a picture 10,000,000 by 10 that is to fill a square must not be drawn larger.
            return {"scale": min(target.width / info.width, target.height / info.height)}
        case _:
            return {}


def split(strip: pyvips.Image, info: SourceInfo, kept: tuple[int, ...]) -> Picture:
    """Some frames of an animation that libvips loaded as one tall image."""
    height = strip.get("page-height")
    frames = tuple(strip.crop(0, index * height, strip.width, height) for index in kept)
    said = strip.get("delay") if strip.get_typeof("delay") else []
    delays = shown([*said, *[SLOWED_MS] * info.frames][: info.frames])
    loop = strip.get("loop") if strip.get_typeof("loop") else 0
    return Picture(frames, delays=merged(delays, kept), loop=loop, orientation=info.orientation)

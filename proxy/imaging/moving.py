"""APNG and AVIF sequences, of which libvips sees the first frame or nothing: Pillow composes their frames.

An APNG of which one frame is wanted is a PNG like any other; its picture for everybody who cannot play it is what the
loader of PNG sees.
"""

from __future__ import annotations

from io import BytesIO

import pyvips
from PIL import AvifImagePlugin, Image, PngImagePlugin, features

from proxy.errors import NotAnImage
from proxy.imaging.fields import PROFILE
from proxy.imaging.job import SourceInfo
from proxy.imaging.picture import Picture
from proxy.imaging.scaling import scaled
from proxy.imaging.task_files import open_file, read_file
from proxy.plan.animation import SLOWED_MS, merged, shown
from proxy.plan.geometry import Size
from proxy.plan.output import Format

MOVING = (Format.PNG, Format.AVIF)
"""The formats whose animations are read here."""

_PLUGINS = {Format.PNG: PngImagePlugin.PngImageFile.format, Format.AVIF: AvifImagePlugin.AvifImageFile.format}
_MOST_CHUNKS = 200_000
"""Of a PNG: honest ones have one for some kilobytes."""

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # one slot is one core


def apng_frames(path: str) -> int:
    """The frames of a PNG: 1 for a still one, and for one whose counts disagree, which browsers show as a still.

    One that ends too early has those that it promises, so that its reader notices.
    """
    counted, frames = 1, 0
    with open_file(path) as file:
        file.seek(8)
        for _ in range(_MOST_CHUNKS):
            length, kind = int.from_bytes((head := file.read(8))[:4], "big"), head[4:]
            if kind == b"acTL":
                counted = int.from_bytes(file.read(4), "big")
                length -= 4
            elif kind == b"IDAT" and counted == 1:
                return 1  # what animates must be said before the first picture
            frames += kind == b"fcTL"
            if len(head) < 8:
                return max(1, counted)
            if kind == b"IEND":
                break
            file.seek(length + 4, 1)
    return counted if counted == frames else 1


def is_avif_sequence(path: str) -> bool:
    """Whether the file's brands say that it holds a sequence; libvips knows none of those."""
    with open_file(path) as file:
        head = file.read(256)
    size = min(int.from_bytes(head[:4], "big"), len(head))
    return b"avis" in (head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4)))


def open_moving(path: str, found: Format) -> Image.Image:
    """Open an APNG or AVIF sequence; of its pixels, nothing is read."""
    if found is Format.AVIF and not features.check("avif"):
        raise NotAnImage("the original is an AVIF sequence; reading it needs a Pillow that was built with AVIF")
    # From memory: the image may outlive this function, and an open file would leak.
    return Image.open(BytesIO(read_file(path)), formats=(_PLUGINS[found],))


def load_moving(path: str, info: SourceInfo, kept: tuple[int, ...], target: Size | None) -> Picture:
    """Some frames of an animation, in memory: as they will be needed, because all at their own size are too much."""
    image = open_moving(path, info.format)
    # A PNG's first picture may be for those who cannot play the others, and no frame at all.
    skipped = 1 if image.info.get("default_image") else 0
    mode = "RGBA" if info.has_alpha else "RGB"
    frames: list[pyvips.Image] = []
    delays: list[int] = []
    for index in range(info.frames if len(kept) > 1 else 1):
        image.seek(index + skipped)
        _load(image)
        delays.append(round(image.info.get("duration") or SLOWED_MS))
        if index in kept:
            frame = _from_pillow(image, mode)
            frames.append(frame if target is None else scaled(frame, target).copy_memory())
    return Picture(tuple(frames), delays=merged(shown(delays), kept), loop=_plays(image))


def _load(image: Image.Image) -> None:
    """Compose the frame, and keep what was there before: it comes back if the frame is to be disposed of that way.

    Pillow (13.0) draws upon its own copy of it, and then has none where every frame is looked at.
    """
    before = getattr(image, "_prev_im", None)
    before = before and before.copy()
    image.load()
    if before is not None:
        image._prev_im = before  # type: ignore[attr-defined]  # noqa: SLF001 -- see above


def _from_pillow(image: Image.Image, mode: str) -> pyvips.Image:
    pixels = image.convert(mode)
    frame = pyvips.Image.new_from_memory(pixels.tobytes(), pixels.width, pixels.height, len(mode), "uchar")
    frame = frame.copy(interpretation="srgb")
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("P", "RGB", "RGBA"):  # another one's profile speaks of grey
        frame.set_type(pyvips.GValue.blob_type, PROFILE, profile)
    return frame


def _plays(image: Image.Image) -> int:
    """How often the animation runs; an AVIF's repetitions are not told, and nearly all run for ever."""
    loop = image.info.get("loop", 0)
    return loop if isinstance(loop, int) and loop > 0 else 0

"""Our own reports: what a picture is, and small stand-ins for it.

Sizes are told as stored and as seen; colours, hashes and codes are of the first frame, upright, in sRGB. Of EXIF only
what says how the picture was taken is told, by a list of what may be said: no position, no names, no serial numbers, no
maker notes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pyvips

from proxy.imaging.barcodes import SIDE, can_read, read_barcodes
from proxy.imaging.colours import settle_colours, to_rgb
from proxy.imaging.faces import FoundFaces
from proxy.imaging.fields import PROFILE
from proxy.imaging.frequent import frequent_colours
from proxy.imaging.job import RenderLimits, SourceInfo
from proxy.imaging.loading import load
from proxy.imaging.scaling import scaled
from proxy.imaging.steps import flattened, upright
from proxy.imaging.task_files import size_of_file
from proxy.plan.colour import Colour
from proxy.plan.geometry import Size
from proxy.plan.output import Answer, ColourPolicy, Metadata, Output

Json = dict[str, object]

_TOLD = (
    "Make", "Model", "LensMake", "LensModel", "DateTime", "DateTimeOriginal", "OffsetTimeOriginal", "ExposureTime",
    "FNumber", "ISOSpeedRatings", "PhotographicSensitivity", "ExposureBiasValue", "ExposureProgram", "MeteringMode",
    "Flash", "FocalLength", "FocalLengthIn35mmFilm", "WhiteBalance", "ColorSpace", "Software",
)  # fmt: skip
_CREDIT = ("Artist", "Copyright")
"""Told with `metadata = "copyright"`."""
_COLOURS = 6
_HASHED = 100
"""Pixels of the longer side of what ThumbHash and BlurHash look at: ThumbHash's own limit."""


@dataclass(frozen=True)  # without slots: copies are made once
class Subject:
    """The file that is reported on."""

    path: str
    info: SourceInfo
    output: Output
    limits: RenderLimits

    @property
    def turned(self) -> bool:
        """Whether it is seen with its sides exchanged."""
        return self.info.orientation > 4

    def copy(self, most: int) -> pyvips.Image:
        """The first frame, upright, in sRGB, at most so many pixels a side."""
        stored = Size(self.info.width, self.info.height)
        target = stored.scaled(min(1.0, most / max(stored.width, stored.height)))
        picture = settle_colours(load(self.path, self.info, self.output, self.limits, target=target), ColourPolicy.SRGB)
        return upright(to_rgb(scaled(picture.first, target)).copy_memory(), self.info.orientation)

    @cached_property
    def small(self) -> pyvips.Image:
        """A copy for hashes."""
        return self.copy(_HASHED)


def write_summary(subject: Subject) -> Json:
    """The report that the subject's output asks for."""
    return _SUMMARIES[subject.output.answer](subject)


def _info(subject: Subject) -> Json:
    # The EXIF reader lives with the vendors' reports, which import this module.
    from proxy.imaging.reports import colour_model, exif_fields  # noqa: PLC0415

    info, path = subject.info, subject.path
    picture = load(path, info, subject.output, subject.limits, target=None)
    width, height = (info.height, info.width) if subject.turned else (info.width, info.height)
    fields = exif_fields(path, info, subject.limits)
    told = (*_TOLD, *(_CREDIT if subject.output.metadata is Metadata.COPYRIGHT else ()))
    return {
        "format": info.format.value,
        "bytes": size_of_file(path),
        "width": width,
        "height": height,
        "stored": {"width": info.width, "height": info.height, "orientation": info.orientation},
        "frames": info.frames,
        **_movement(subject),
        "has_alpha": info.has_alpha,
        "color_model": colour_model(path, info, subject.limits),
        "has_profile": bool(picture.first.get_typeof(PROFILE)),
        "exif": {name: fields[name][0] for name in told if name in fields},
        **_palette(subject),
        **_blurhash(subject),
        **_thumbhash(subject),
        **_phash(subject),
        **_faces(subject),
        **(_barcodes(subject) if can_read() else {}),
    }


def _movement(subject: Subject) -> Json:
    """Delays and loops of an animation."""
    if subject.info.frames == 1:
        return {}
    info = subject.info
    kept = tuple(range(info.frames))
    picture = load(subject.path, info, subject.output, subject.limits, target=None, kept=kept)
    return {"delays_ms": list(picture.delays), "loop": picture.loop}


def _palette(subject: Subject) -> Json:
    image = flattened(subject.small, Colour.WHITE)
    means = image.stats()
    average = [means.getpoint(4, 1 + band)[0] for band in range(3)]
    colours = [_hex(colour) for colour in frequent_colours(subject.copy(512), _COLOURS)]
    return {"dominant": colours[0], "average": _hex(average), "palette": colours}


def _hex(colour: tuple[int, ...] | list[float]) -> str:
    return "#" + "".join(f"{min(255, max(0, round(value))):02x}" for value in colour[:3])


def _blurhash(subject: Subject) -> Json:
    from proxy.imaging import hashes  # noqa: PLC0415 -- numpy is for those who ask

    return {"blurhash": hashes.blurhash(_pixels(flattened(subject.small, Colour.WHITE)))}


def _thumbhash(subject: Subject) -> Json:
    from proxy.imaging import hashes  # noqa: PLC0415 -- as above

    return {"thumbhash": hashes.thumbhash(_pixels(subject.small))}


def _phash(subject: Subject) -> Json:
    from proxy.imaging import hashes  # noqa: PLC0415 -- as above

    grey = flattened(subject.small, Colour.WHITE).colourspace("b-w")[0]
    return {
        "dhash": hashes.dhash(_pixels(_sized(grey, 9, 8))[..., 0]),
        "phash": hashes.phash(_pixels(_sized(grey, 32, 32))[..., 0]),
    }


def _sized(image: pyvips.Image, width: int, height: int) -> pyvips.Image:
    resized = image.resize(width / image.width, vscale=height / image.height)
    return resized.gravity("north-west", width, height, extend="copy")  # rounding of extreme shapes


def _faces(subject: Subject) -> Json:
    found = FoundFaces(subject.path, subject.info, subject.limits, subject.output, (0,)).sure()
    if found is None:
        return {}
    shown = [{name: round(getattr(face, name), 4) for name in ("x", "y", "width", "height")} for face in found]
    return {"faces": shown}


def _barcodes(subject: Subject) -> Json:
    grey = flattened(subject.copy(SIDE), Colour.WHITE).colourspace("b-w")[0].cast("uchar")
    return {"barcodes": read_barcodes(grey)}


def _pixels(image: pyvips.Image):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- numpy is not named before it is needed
    import numpy as np  # noqa: PLC0415 -- as above

    pixels = np.frombuffer(image.cast("uchar").write_to_memory(), np.uint8)
    return pixels.reshape(image.height, image.width, image.bands) / 255


_SUMMARIES: Mapping[Answer, Callable[[Subject], Json]] = {
    Answer.INFO: _info,
    Answer.BLURHASH: _blurhash,
    Answer.THUMBHASH: _thumbhash,
    Answer.PALETTE: _palette,
    Answer.PHASH: _phash,
    Answer.BARCODES: _barcodes,
}

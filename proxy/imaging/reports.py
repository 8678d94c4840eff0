"""Answers that are JSON: what a picture is, in the shape of each vendor.

A report is about the original's file as it is stored; behind operations, about the file that they would give.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping

import pyvips

from proxy.errors import InvalidCommand
from proxy.imaging.colours import settle_colours
from proxy.imaging.damage import reading
from proxy.imaging.exif_texts import enumerated_text
from proxy.imaging.frequent import frequent_colours
from proxy.imaging.job import RenderLimits, SourceInfo
from proxy.imaging.loading import load, open_original
from proxy.imaging.steps import flattened
from proxy.imaging.summaries import Subject, write_summary
from proxy.imaging.task_files import read_file, size_of_file
from proxy.plan.colour import Colour
from proxy.plan.output import OWN_REPORTS, Answer, ColourPolicy, Format, Output

ORIENTATIONS = (
    "Top-left", "Top-right", "Bottom-right", "Bottom-left", "Left-top", "Right-top", "Right-bottom", "Left-bottom",
)  # fmt: skip
"""libexif's names for the EXIF orientations 1 to 8."""

_EXIF_TYPES = {
    "Byte": 1, "ASCII": 2, "Short": 3, "Long": 4, "Rational": 5, "SByte": 6, "Undefined": 7, "SShort": 8, "SLong": 9,
    "SRational": 10, "Float": 11, "Double": 12,
}  # fmt: skip
"""libexif's names of the TIFF types, and their numbers."""
_EXIF_FIELD = re.compile(r"(?P<both>.*), (?P<type>[A-Za-z]+), \d+ components?, \d+ bytes?\)", re.DOTALL)
"""How libvips writes a field: `raw (text, type, n components, n bytes)`."""

_GPS = "3"
"""The directory of positions, in libvips' names."""

Json = dict[str, object]


def write_report(path: str, info: SourceInfo, output: Output, limits: RenderLimits) -> bytes:
    """The report that `output` asks for about the file at `path`."""
    with reading(path, info.format):
        if output.answer in (Answer.UPYUN_COLOURS, Answer.UPYUN_COLOURS_DECIMAL):
            said = _colours(path, info, output, limits)
        elif output.answer in OWN_REPORTS:
            said = write_summary(Subject(path, info, output, limits))
        else:
            said = _REPORTS[output.answer](path, info, limits)
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _qiniu_info(path: str, info: SourceInfo, limits: RenderLimits) -> Json:
    said: Json = {
        "size": size_of_file(path),
        "format": info.format.value,
        "width": info.width,
        "height": info.height,
        "colorModel": colour_model(path, info, limits),
    }
    if info.format in (Format.JPEG, Format.TIFF):
        said["orientation"] = ORIENTATIONS[info.orientation - 1]
    if info.format is Format.GIF or info.frames > 1:
        said["frameNumber"] = info.frames
    return said


def colour_model(path: str, info: SourceInfo, limits: RenderLimits) -> str:
    """The name of Go's colour model for a file, as Go's decoders choose it."""
    if info.format is Format.BMP:
        return "nrgba" if info.has_alpha else "rgba"
    if info.format in (Format.ICO, Format.SVG):
        return "nrgba"
    if info.format is Format.HEIC:
        return "nycbcra" if info.has_alpha else "ycbcr"
    image = open_original(path, info.format, limits)
    palette = image.get("palette") if image.get_typeof("palette") else 0
    wide = "64" if image.format == "ushort" else ""
    match info.format:
        case Format.GIF:
            depth = int(image.get("bits-per-sample")) if image.get_typeof("bits-per-sample") else 8
            return f"palette{1 << min(8, depth)}"
        case Format.PNG if palette:
            depth = int(image.get("bits-per-sample")) if image.get_typeof("bits-per-sample") else 8
            return f"palette{1 << min(8, depth)}"
        case Format.JPEG | Format.WEBP | Format.AVIF:
            if image.interpretation == "cmyk":
                return "cmyk"
            return "gray" if info.bands == 1 else "nycbcra" if info.has_alpha else "ycbcr"
        case _:
            if info.bands <= 2:
                return f"nrgba{wide}" if info.has_alpha else ("gray16" if wide else "gray")
            return f"nrgba{wide}" if info.has_alpha else f"rgba{wide}"


def _tencent_info(path: str, info: SourceInfo, limits: RenderLimits) -> Json:
    body = read_file(path)
    return {
        "format": info.format.value,
        "width": str(info.width),
        "height": str(info.height),
        "size": str(len(body)),
        "md5": hashlib.md5(body, usedforsecurity=False).hexdigest(),
        "frame_count": str(info.frames),
        "photo_rgb": str(average(path, info, limits)),
    }


def _aliyun_info(path: str, info: SourceInfo, limits: RenderLimits) -> Json:
    said: dict[str, str] = {
        "FileSize": str(size_of_file(path)),
        "Format": "jpg" if info.format is Format.JPEG else info.format.value,
        "FrameCount": str(info.frames),
        "ImageHeight": str(info.height),
        "ImageWidth": str(info.width),
    }
    fields = {name: text for name, (text, _) in exif_fields(path, info, limits).items()}
    return {name: {"value": text} for name, text in sorted({**fields, **said}.items())}


def _huawei_info(path: str, info: SourceInfo, limits: RenderLimits) -> Json:
    del limits
    size = size_of_file(path)
    return {"format": info.format.value.upper(), "height": info.height, "size": size, "width": info.width}


def _upyun_info(path: str, info: SourceInfo, limits: RenderLimits) -> Json:
    del path, limits
    return {"width": info.width, "height": info.height, "type": info.format.value.upper(), "frames": info.frames}


def _upyun_meta(path: str, info: SourceInfo, limits: RenderLimits) -> Json:
    fields = {name: text for name, (text, _) in exif_fields(path, info, limits).items()}
    return {**_upyun_info(path, info, limits), "EXIF": fields}


def _exif(path: str, info: SourceInfo, limits: RenderLimits) -> Json:
    found = exif_fields(path, info, limits)
    if not found:
        raise InvalidCommand("no exif data")
    return {name: {"val": text, "type": kind} for name, (text, kind) in found.items()}


def exif_fields(path: str, info: SourceInfo, limits: RenderLimits) -> dict[str, tuple[str, int]]:
    """EXIF fields: name, libexif's text, TIFF type. Not the thumbnail's; positions only if they may be told."""
    if info.format not in (Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF, Format.AVIF):
        return {}
    image = open_original(path, info.format, limits)
    found: dict[str, tuple[str, int]] = {}
    for name in _field_names(image):
        match = re.fullmatch(r"exif-ifd([0234])-(.+)", name)
        if match is None or (match[1] == _GPS and not limits.exif_gps):
            continue
        try:
            said = _EXIF_FIELD.fullmatch(image.get(name))
        except UnicodeDecodeError:
            continue
        if said is not None and said["type"] in _EXIF_TYPES:
            text = _exif_text(match[2], said["both"], said["type"])
            found.setdefault(match[2], (text, _EXIF_TYPES[said["type"]]))
    return found


def _exif_text(name: str, both: str, kind: str) -> str:
    """Return libexif's text for a value out of `raw (text`."""
    if kind == "ASCII":
        return both[: (len(both) - 2) // 2].strip()  # text and raw value are the same, and may hold brackets
    raw, _, text = both.partition(" (")
    return enumerated_text(name, raw, text.strip())


def _field_names(image: pyvips.Image) -> list[str]:
    try:
        return list(image.get_fields())
    except UnicodeDecodeError:  # a PNG's text keyword in Latin-1; EXIF names are libexif's own
        return []


def _colours(path: str, info: SourceInfo, output: Output, limits: RenderLimits) -> Json:
    image = load(path, info, Output(), limits, target=None)
    found = frequent_colours(settle_colours(image, ColourPolicy.SRGB).first, output.entries or 256)
    if output.answer is Answer.UPYUN_COLOURS:
        return {"theme_color": [f"#{red:02X}{green:02X}{blue:02X}" for red, green, blue in found]}
    return {"theme_color": [f"{(red << 16) | (green << 8) | blue:08d}" for red, green, blue in found]}


def _average(path: str, info: SourceInfo, limits: RenderLimits) -> Json:
    return {"RGB": average(path, info, limits)}


def average(path: str, info: SourceInfo, limits: RenderLimits) -> str:
    """The mean of all pixels of the first frame, `0x85694d`; transparent ones count as white."""
    picture = settle_colours(load(path, info, Output(), limits, target=None), ColourPolicy.SRGB)
    image = flattened(picture.first, Colour.WHITE)
    means = image.stats()
    bands = [means.getpoint(4, 1 + min(band, image.bands - 1))[0] for band in range(3)]
    return "0x" + "".join(f"{min(255, int(value + 0.5)):02x}" for value in bands)


_REPORTS: Mapping[Answer, Callable[[str, SourceInfo, RenderLimits], Json]] = {
    Answer.QINIU_INFO: _qiniu_info,
    Answer.TENCENT_INFO: _tencent_info,
    Answer.ALIYUN_INFO: _aliyun_info,
    Answer.HUAWEI_INFO: _huawei_info,
    Answer.UPYUN_INFO: _upyun_info,
    Answer.UPYUN_META: _upyun_meta,
    Answer.EXIF: _exif,
    Answer.AVERAGE: _average,
}

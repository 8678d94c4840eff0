"""Colours that a file states in numbers instead of a profile: PNG's cICP, sRGB, gAMA and cHRM, and AVIF's nclx.

libvips and libheif leave these alone. As browsers do, and the PNG specification (third edition) asks:

- cICP counts before an embedded profile, a profile before sRGB, that before gAMA and cHRM; in an AVIF a profile counts
  before nclx.
- gAMA with cHRM is a colour space. gAMA alone is a correction for a display of gamma 2.2, so that 1/2.2 changes
  nothing; with the primaries of sRGB, 1/2.2 is what writers put beside sRGB, and means it. cHRM alone is ignored.
- The transfer of BT.709 and its kin is shown as sRGB's: what was graded on a display is not linear light of a camera.
- PQ and HLG are high dynamic range: their reference white (203 cd/m², ITU-R BT.2408) becomes white, and what is
  brighter is clipped. Nothing is darkened to make room.
- A JPEG's EXIF colour space is ignored.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache

import pyvips

from proxy.imaging.fields import PROFILE
from proxy.imaging.icc import DISPLAY_P3, REC_2020, SRGB, Primaries, profile
from proxy.imaging.task_files import open_file
from proxy.plan.output import Format

_MOST_HEADER_BYTES = 8 << 20
_MOST_JPEG_HEAD = 256 << 10
"""EXIF with its thumbnail takes 64 KiB at most, and XMP comes after it."""
_GAIN_MAPS = (b"ns.adobe.com/hdr-gain-map/1.0/", b"urn:iso:std:iso:ts:21496:-1", b"ns.apple.com/HDRGainMap/")
"""Android's Ultra HDR, ISO 21496-1, and Apple."""
_PRIMARIES = {1: SRGB, 9: REC_2020, 12: DISPLAY_P3, 2: SRGB, 5: SRGB, 6: SRGB}
"""ITU-T H.273, table 2. The two of old television (5, 6) are near enough to sRGB's and come from encoders' defaults."""
_WHITE = 203.0


def with_stated_profile(image: pyvips.Image, path: str, found: Format) -> pyvips.Image:
    """The image with a profile for the colours that its file states in numbers, if it does."""
    grey = image.interpretation in ("b-w", "grey16")
    stated = stated_profile(path, found, grey=grey, has_profile=bool(image.get_typeof(PROFILE)))
    if stated is None:
        return image
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, PROFILE, stated)
    return image


def gain_map_note(path: str, found: Format) -> tuple[str, ...]:
    """A note where a JPEG carries a gain map, which is left behind: what is rendered is its picture for any display."""
    if found is not Format.JPEG:
        return ()
    with open_file(path) as file:
        head = file.read(_MOST_JPEG_HEAD)
    if any(name in head for name in _GAIN_MAPS):
        return ("gain map dropped: the picture for standard displays is rendered",)
    return ()


def stated_profile(path: str, found: Format, *, grey: bool, has_profile: bool) -> bytes | None:
    """A profile for what the file states; None if it states nothing, sRGB, or what an embedded profile outranks."""
    try:
        if found is Format.PNG:
            return _png(path, grey=grey, has_profile=has_profile)
        if found is Format.AVIF and not has_profile:
            return _coded(*nclx(path), grey=grey)
    except (ValueError, struct.error, OSError):  # nonsense in numbers is as good as none
        return None
    return None


def _png(path: str, *, grey: bool, has_profile: bool) -> bytes | None:
    chunks = png_chunks(path)
    if (coded := chunks.get(b"cICP")) is not None and len(coded) == 4:
        if coded[2:] != b"\0\1" or coded[0] not in _PRIMARIES or coded[1] not in _TRANSFERS:
            return None
        return _coded(coded[0], coded[1], grey=grey)
    if has_profile or b"sRGB" in chunks or b"gAMA" not in chunks:
        return None
    gamma = struct.unpack(">I", chunks[b"gAMA"])[0] / 100_000
    if not 0.01 <= gamma <= 10:
        return None
    if b"cHRM" not in chunks:
        return None if abs(gamma * 2.2 - 1) < 0.02 else _made(SRGB, ("corrected", gamma), grey=grey)
    numbers = [number / 100_000 for number in struct.unpack(">8I", chunks[b"cHRM"])]
    white, red, green, blue = ((numbers[at], numbers[at + 1]) for at in (0, 2, 4, 6))
    primaries = Primaries(white, red, green, blue)
    if primaries.near(SRGB) and abs(gamma * 2.2 - 1) < 0.02:
        return None
    return _made(primaries, ("power", 1 / gamma), grey=grey)


def _coded(primaries: int, transfer: int, *, grey: bool) -> bytes | None:
    """The profile for code points of H.273; None for sRGB and for codes that nobody uses."""
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS:
        return None
    kind = _TRANSFERS[transfer]
    if kind == ("srgb", 0.0) and (grey or _PRIMARIES[primaries] is SRGB):
        return None
    return _made(_PRIMARIES[primaries], kind, grey=grey)


@lru_cache(maxsize=64)
def _made(primaries: Primaries, kind: tuple[str, float], *, grey: bool) -> bytes:
    name, number = kind
    return profile(primaries, lambda code: _LIGHTS[name](code, number), grey=grey)


def _srgb(code: float, _: float = 0.0) -> float:
    return code / 12.92 if code <= 0.04045 else float(((code + 0.055) / 1.055) ** 2.4)


def _corrected(code: float, gamma: float) -> float:
    return _srgb(code ** (1 / (2.2 * gamma)))


def _power(code: float, exponent: float) -> float:
    return float(code**exponent)


def _pq(code: float, _: float) -> float:
    """SMPTE ST 2084, with reference white as 1."""
    low = code ** (1 / 78.84375)
    light = max(0.0, low - 0.8359375) / (18.8515625 - 18.6875 * low)
    return float(light ** (1 / 0.1593017578125) * 10_000 / _WHITE)


def _hlg(code: float, _: float) -> float:
    """ITU-R BT.2100 on a display of 1000 cd/m², its gamma of 1.2 made for each channel; reference white as 1."""
    scene = code * code / 3 if code <= 0.5 else (math.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return float(scene**1.2 * 1000 / _WHITE)


_LIGHTS: dict[str, Callable[[float, float], float]] = {
    "srgb": _srgb, "corrected": _corrected, "power": _power, "pq": _pq, "hlg": _hlg,
}  # fmt: skip
_TRANSFERS = {
    1: ("srgb", 0.0), 2: ("srgb", 0.0), 6: ("srgb", 0.0), 13: ("srgb", 0.0), 14: ("srgb", 0.0), 15: ("srgb", 0.0),
    4: ("power", 2.2), 5: ("power", 2.8), 8: ("power", 1.0), 16: ("pq", 0.0), 18: ("hlg", 0.0),
}  # fmt: skip
"""ITU-T H.273, table 3."""


def png_chunks(path: str) -> dict[bytes, bytes]:
    """The short chunks before a PNG's pixels, the first of each name."""
    found: dict[bytes, bytes] = {}
    with open_file(path) as file:
        file.seek(8)
        while file.tell() < _MOST_HEADER_BYTES:
            length, name = struct.unpack(">I4s", file.read(8))
            if name in (b"IDAT", b"IEND"):
                break
            if length <= 32:
                found.setdefault(name, file.read(length))
                file.seek(4, 1)
            else:
                file.seek(length + 4, 1)
    return found


def nclx(path: str) -> tuple[int, int]:
    """The code points of an AVIF's first nclx box: primaries and transfer; 2 and 2 (unspecified) without one."""
    with open_file(path) as file:
        head = file.read(1 << 20)
    for name, meta in _boxes(head):
        if name == b"meta":
            for inner in _inside(meta[4:], (b"iprp", b"ipco", b"colr")):
                if inner[:4] == b"nclx":
                    primaries, transfer = struct.unpack(">HH", inner[4:8])
                    return primaries, transfer
    return 2, 2


def _inside(data: bytes, names: tuple[bytes, ...]) -> Iterator[bytes]:
    """The contents of every box down this path."""
    for name, body in _boxes(data):
        if name == names[0]:
            if len(names) == 1:
                yield body
            else:
                yield from _inside(body, names[1:])


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        if length < 8:
            return
        yield name, data[at + 8 : at + length]
        at += length

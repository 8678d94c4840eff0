"""JPEG XL in and out, through pillow-jxl-plugin (extra `formats`).

Its codec decodes while it opens, so the header is read here first, as ISO/IEC 18181-1 has it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

import pyvips

from proxy.errors import CannotRender, NotAnImage
from proxy.imaging.fields import PROFILE
from proxy.imaging.picture import Picture
from proxy.imaging.task_files import open_file, read_file

if importlib.util.find_spec("pillow_jxl"):
    import pillow_jxl

    JXL_VERSION: str | None = version("pillow-jxl-plugin")
else:
    JXL_VERSION = None

_CONTAINER = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_HEADER_BYTES = 512
_MOST_BOXES = 1000
_BANDS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I;16": 1}
"""The codec's own words for what it decodes to; more than eight bits become eight, but for grey."""


@dataclass(frozen=True, slots=True)
class JxlHeader:
    """What the beginning of a file says."""

    width: int
    """As stored."""
    height: int
    orientation: int
    """EXIF 1 to 8."""
    channels: int
    """Colours, of which grey is taken for three here, and everything else."""
    alpha: bool
    moving: bool
    jpeg: bool
    """Whether it is a JPEG in other clothes, which comes out as the JPEG it was."""


class _Bits:
    """Numbers of so many bits, lowest bit first."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("the header ends too early")
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        return value

    def flag(self) -> bool:
        return bool(self.take(1))

    def choose(self, *ways: tuple[int, int]) -> int:
        """One of four ways, chosen by two bits: a number to begin with, and how many bits are added to it."""
        start, count = ways[self.take(2)]
        return start + self.take(count)


def read_header(path: str) -> JxlHeader:
    """Read what stands before the pixels; ValueError where it is nonsense."""
    with open_file(path) as file:
        head = file.read(_HEADER_BYTES)
    if not head.startswith(_CONTAINER):
        return _header(head, jpeg=False)
    codestream, jpeg = b"", False
    for kind, beginning in _boxes(path):
        jpeg = jpeg or kind == b"jbrd"
        if not codestream and kind in (b"jxlc", b"jxlp"):
            codestream = beginning if kind == b"jxlc" else beginning[4:]
    return _header(codestream, jpeg=jpeg)


def _boxes(path: str) -> Iterator[tuple[bytes, bytes]]:
    """The kind and the first bytes of each box of a container."""
    with open_file(path) as file:
        size = file.seek(0, 2)
        at = 0
        for _ in range(_MOST_BOXES):
            file.seek(at)
            box = file.read(16 + _HEADER_BYTES)
            if len(box) < 8:
                return
            length, kind, skip = int.from_bytes(box[:4], "big"), box[4:8], 8
            if length == 1:
                length, skip = int.from_bytes(box[8:16], "big"), 16
            length = length or size - at
            yield kind, box[skip : min(length, skip + _HEADER_BYTES)]
            if length < skip:
                raise ValueError("a box is shorter than its head")
            at += length


_SIDE = ((1, 9), (1, 13), (1, 18), (1, 30))
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def _size(bits: _Bits) -> tuple[int, int]:
    eighths = bits.flag()
    height = 8 * (1 + bits.take(5)) if eighths else bits.choose(*_SIDE)
    if ratio := bits.take(3):
        across, down = _RATIOS[ratio - 1]
        return height * across // down, height
    return 8 * (1 + bits.take(5)) if eighths else bits.choose(*_SIDE), height


def _header(codestream: bytes, *, jpeg: bool) -> JxlHeader:
    if codestream[:2] != b"\xff\x0a":
        raise ValueError("no codestream")
    bits = _Bits(codestream[2:])
    width, height = _size(bits)
    orientation, moving, extra, alpha = 1, False, 0, False
    if not bits.flag():  # not all of the metadata is at its default
        if bits.flag():
            orientation, moving = _extra_fields(bits)
        if bits.flag():
            bits.choose((32, 0), (16, 0), (24, 0), (1, 6))
            bits.take(4)
        else:
            bits.choose((8, 0), (10, 0), (12, 0), (1, 6))
        bits.flag()
        extra = bits.choose((0, 0), (1, 0), (2, 4), (1, 12))
        # The first one says at once that it is plain alpha, or tells its type, of which 0 is alpha.
        alpha = extra > 0 and (bits.flag() or bits.choose((0, 0), (1, 0), (2, 4), (18, 6)) == 0)
    return JxlHeader(width, height, orientation, 3 + extra, alpha, moving, jpeg)


def _extra_fields(bits: _Bits) -> tuple[int, bool]:
    """The orientation, and whether there is an animation."""
    orientation = 1 + bits.take(3)
    if bits.flag():
        _size(bits)  # of the picture as it is meant to be shown
    if bits.flag():  # a preview, whose size comes here
        eighths = bits.flag()
        side = ((16, 0), (32, 0), (1, 5), (33, 9)) if eighths else ((1, 6), (65, 8), (321, 10), (1345, 12))
        bits.choose(*side)
        if not bits.take(3):
            bits.choose(*side)
    return orientation, bits.flag() and _skip_animation(bits)


def _skip_animation(bits: _Bits) -> bool:
    bits.choose((100, 0), (1000, 0), (1, 10), (1, 30))
    bits.choose((1, 0), (1001, 0), (1, 8), (1, 10))
    bits.choose((0, 0), (0, 3), (0, 16), (0, 32))
    bits.flag()
    return True


def load_jxl(path: str, *, fail_on: str) -> Picture:
    """The picture, upright unless it was a JPEG; the first frame of one that moves."""
    header = read_header(path)
    if JXL_VERSION is None:
        raise NotAnImage("the original is a JPEG XL picture; reading it needs the extra imgbang[formats]")
    decode = pillow_jxl.Decoder(num_threads=0)  # none beside this one: a slot is one core
    is_jpeg, info, data, profile, _ = decode(read_file(path))
    if is_jpeg:
        image = pyvips.Image.jpegload_buffer(data, fail_on=fail_on)
        if {image.width, image.height} != {header.width, header.height}:
            raise CannotRender("the original is a JPEG XL picture that holds another JPEG than it says")
        orientation = image.get("orientation") if image.get_typeof("orientation") else 1
        return Picture((image,), orientation=orientation if 1 <= orientation <= 8 else 1)
    bands = _BANDS.get(info.mode)
    if bands is None:
        raise CannotRender("the original is a JPEG XL picture of a kind that cannot be decoded")
    deep = info.mode == "I;16"
    image = pyvips.Image.new_from_memory(data, info.width, info.height, bands, "ushort" if deep else "uchar")
    image = image.copy(interpretation="grey16" if deep else "b-w" if bands < 3 else "srgb")
    if profile and bands > 2:
        image.set_type(pyvips.GValue.blob_type, PROFILE, bytes(profile))
    picture = Picture((image,))
    return picture.noting("first frame: animations in JPEG XL are not read") if header.moving else picture


def encode_jxl(image: pyvips.Image, *, quality: int, effort: int, lossless: bool) -> bytes:
    """An 8-bit sRGB or grey image as a JPEG XL file, without metadata."""
    if JXL_VERSION is None:
        raise CannotRender("writing JPEG XL needs the extra imgbang[formats]")
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[image.bands]
    encode = pillow_jxl.Encoder(
        mode=mode,
        lossless=lossless,
        quality=100 if lossless else quality,
        decoding_speed=0,
        effort=effort,
        use_container=False,
        use_original_profile=lossless,
        num_threads=0,
    )
    body = encode(
        bytes(image.write_to_memory()), image.width, image.height, jpeg_encode=False, exif=None, jumb=None, xmp=None,
        compress=False,
    )  # fmt: skip
    return bytes(body)

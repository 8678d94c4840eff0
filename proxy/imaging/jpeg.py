"""Decode a JPEG that is to become smaller: by libjpeg-turbo, at a scale that leaves scaling enough to do.

libvips reads the header, so orientation, colour profile and everything a file may say of itself come from one place;
the pixels come from `simplejpeg`, in all of the size, a half, a quarter or an eighth (`sizes.shrink_of`; other scales
shift the picture by parts of a pixel, which cost 5 points of SSIMULACRA2). What it cannot do exactly is left to
libvips: CMYK, more than eight bits, damage of any kind (so that one place decides what damage is bearable), and
pictures that would fill the memory.

Of a progressive JPEG that is decoded at an eighth, only the mean of each block is looked at. So the scans that refine
the rest are left out before decoding: the pixels are the same, to the bit, and most of the work is gone.

Whole renders, means of 14 photos of 0.3 to 33 megapixels, four of them progressive (one thread of a shared machine, so
compare within a row); SSIMULACRA2, mean and lowest, against a full decode and Lanczos. "Two left" is libvips' own rule
of how far to shrink, for all originals:

| box | libvips `thumbnail` | without this | two left | with this | score of `thumbnail` | two left | with this |
| --- | --- | --- | --- | --- | --- | --- | --- |
| 50 px | 97 ms | 98 ms | 46 ms | 45 ms | 94.9 (82.4) | 95.3 (88.0) | 95.3 (88.0) |
| 400 px | 103 ms | 104 ms | 76 ms | 67 ms | 95.5 (89.9) | 95.6 (90.0) | 95.6 (90.0) |
| 1200 px | 133 ms | 136 ms | 128 ms | 110 ms | 97.1 (96.2) | 97.1 (96.2) | 96.2 (93.7) |
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyvips

# A worker is one core; and numpy, which comes with the decoder, would start a pool of threads on import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import simplejpeg

from proxy.imaging.job import SourceInfo
from proxy.imaging.sizes import decoded_bytes, shrink_of, shrunk_size
from proxy.plan.geometry import Size

VERSION = simplejpeg.__version__
_MOST_SCANS = 100
"""As libvips: a progressive JPEG of thousands of scans is an attack."""
_KEPT = ("icc-profile-data", "exif-ifd0-Artist", "exif-ifd0-Copyright", "xmp-data", "iptc-data")
"""What of the header is looked at after decoding."""


def decode_jpeg(path: str, info: SourceInfo, target: Size, header: pyvips.Image) -> pyvips.Image | None:
    """The pixels, at least twice the size `target` where there are so many; None if libvips is to decode them."""
    step = shrink_of(info, target)
    size = shrunk_size(info, step)
    if info.bands not in (1, 3) or header.format != "uchar" or decoded_bytes(info, target) == 0:
        return None
    body: bytes | None = Path(path).read_bytes()
    try:
        if info.interlaced and (body := without_unread_scans(body or b"", step)) is None:
            return None
        pixels = simplejpeg.decode_jpeg(
            body, "RGB" if info.bands == 3 else "GRAY", min_width=size.width, min_height=size.height, min_factor=1.0
        )
    except (ValueError, IndexError, ZeroDivisionError):  # also what is a mere warning: libvips is to look at it
        return None
    if pixels.shape != (size.height, size.width, info.bands):
        return None
    image = pyvips.Image.new_from_memory(pixels.data, size.width, size.height, info.bands, "uchar")
    # The decoder rounds up. A last column of which an eighth is in the picture stretches a thumbnail by half a pixel,
    # which cost one photo 18 points of SSIMULACRA2 at 50 px.
    image = image.crop(0, 0, _nearest(info.width, step), _nearest(info.height, step))
    image = image.copy(interpretation=header.interpretation, xres=header.xres, yres=header.yres)
    for name in _KEPT:
        if kind := header.get_typeof(name):
            image.set_type(kind, name, header.get(name))
    return image


def _nearest(length: int, step: int) -> int:
    return max(1, (length + step // 2) // step)


@dataclass(frozen=True, slots=True)
class _Segment:
    """A marker segment; of a scan, with the coded pixels behind it."""

    marker: int
    start: int
    end: int


_SOF2, _EOI, _SOS = 0xC2, 0xD9, 0xDA
_NO_RESTARTS = b"\xff\xdd\x00\x04\x00\x00"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""What ends coded pixels: not a stuffed byte, a restart or padding."""


def without_unread_scans(body: bytes, step: int) -> bytes | None:
    """A progressive JPEG without what is not looked at when it is decoded at 1/`step`; None for one to be wary of."""
    kept: list[bytes] = [body[:2]]
    unread: tuple[_Component, ...] = ()
    scans = 0
    for segment in _segments(body):
        part = body[segment.start : segment.end]
        if segment.marker == _SOF2 and step == 8:
            unread = _read_by_mean_only(part)
        if segment.marker == _SOS:
            scans += 1
            # Its header: length, number of components, two bytes for each, then the first coefficient of the scan.
            if part[4] == 1 and part[7] > 0 and any(component.number == part[5] for component in unread):
                continue
        if segment.marker == _EOI:
            if unread:
                kept += [_NO_RESTARTS, *(component.no_details() for component in unread)]
            return b"".join((*kept, part)) if scans <= _MOST_SCANS else None
        kept.append(part)
    return None  # it has no end


def _segments(body: bytes) -> Iterator[_Segment]:
    """The marker segments up to the end of the picture; fewer where the file is damaged."""
    at = 2
    while at + 4 <= len(body) and body[at] == 0xFF:
        marker = body[at + 1]
        if marker == _EOI:
            break
        end = at + 2 + int.from_bytes(body[at + 2 : at + 4], "big")
        if marker == _SOS:
            found = _MARKER.search(body, end)
            if found is None:
                return
            end = found.start()
        yield _Segment(marker, at, end)
        at = end
    if body[at : at + 2] == b"\xff\xd9":
        yield _Segment(_EOI, at, at + 2)


@dataclass(frozen=True, slots=True)
class _Component:
    """A channel of a JPEG, and how many blocks it has."""

    number: int
    blocks: int

    def no_details(self) -> bytes:
        """A scan that says that every block is flat.

        Without it the decoder would take the details for still to come, and guess them from the blocks around.
        """
        # One code: `0`, for runs of 2^14 and more blocks that end at once; 14 bits follow for how many more.
        table = b"\xff\xc4\x00\x14\x10\x01" + bytes(15) + b"\xe0"
        longest = (1 << 15) - 1
        whole, rest = divmod(self.blocks, longest)
        runs = [longest] * whole + ([max(rest, 1 << 14)] if rest else [])
        bits = "".join(f"0{run - (1 << 14):014b}" for run in runs)
        bits += "1" * (-len(bits) % 8)
        coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
        return table + b"\xff\xda\x00\x08\x01" + bytes((self.number, 0x00, 1, 63, 0)) + coded


def _read_by_mean_only(frame: bytes) -> tuple[_Component, ...]:
    """The components of which a decoder at an eighth takes one pixel from each block.

    From one that has half the resolution both ways it takes four, and needs some of the details.
    """
    high, wide = int.from_bytes(frame[5:7], "big"), int.from_bytes(frame[7:9], "big")
    said = [(frame[at], frame[at + 1] >> 4, frame[at + 1] & 15) for at in range(10, 10 + 3 * frame[9], 3)]
    across, down = max(one[1] for one in said), max(one[2] for one in said)
    return tuple(
        _Component(number, _blocks(wide, x, across) * _blocks(high, y, down))
        for number, x, y in said
        if across % (2 * x) or down % (2 * y)
    )


def _blocks(length: int, share: int, whole: int) -> int:
    """How many blocks of eight samples a component has along a side of the picture."""
    samples = math.ceil(length * share / whole)
    return math.ceil(samples / 8)

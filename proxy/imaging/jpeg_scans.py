"""What need not be read of a progressive JPEG that becomes smaller.

Such a file tells the picture in scans: a few coefficients of each block, or all but their last bits, and later the
rest. Two kinds of scans are left out before decoding:

1. At an eighth, the decoder looks at nothing but the mean of each block. The scans that refine the rest are not read;
   the pixels are the same, to the bit.
2. The last bit of the coefficients takes half of the bytes, and half of the time. Where many pixels become one, it is
   averaged away. The coefficients are then read as if they were all, of a coarser quantisation.

What the second costs in SSIMULACRA2, against a full decode and Lanczos, follows from how coarse the quantisation is
(the mean of the five quantisers after that of the mean) and how far the picture is reduced. The largest loss of ten
photos of 6 to 24 megapixels, as they are and encoded anew with qualities of 95, 85, 70 and 50 (quantisers of 1 to 12):

| reduced by | last bit of brightness | two bits of it, one of colours |
| --- | --- | --- |
| 3.2 | 1.0 for each unit of coarseness | 4.0, of fine ones; 2.4 of coarse ones |
| 5 | 0.4 | 1.9; 1.2 |
| 7 | 0.3 | 1.3; 0.7 |
| 10 | 0.1 | 0.6; 0.4 |
| 15 | 0.1 | 0.4; 0.2 |

So the loss is about 10 times the coarseness through the square of the reduction for one bit, and 45 to 65 times for
two. Within the bounds below, the worst of 14 photos, made progressive, is 3.7 points below libvips' thumbnail, of more
than 95. The JPEGs of quality 80 that are made of it score 0.65 less at most for it, and have up to 2 % fewer bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_MOST_SCANS = 100
"""As libvips: a progressive JPEG of thousands of scans is an attack."""
_ONE_BIT, _TWO_BITS = 0.3, 0.06
"""The most coarseness, through the square of the reduction, at which one bit is left out, and two."""

_MOST_QUANTISER = 255
"""Larger ones are allowed, but nobody writes them, and four times one of them may be too large for a decoder."""

_SOF2, _EOI, _SOS, _DQT, _APP14 = 0xC2, 0xD9, 0xDA, 0xDB, 0xEE
_NO_RESTARTS = b"\xff\xdd\x00\x04\x00\x00"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""What ends coded pixels: not a stuffed byte, a restart or padding."""


def less_to_read(body: bytes, *, step: int, factor: float) -> bytes | None:
    """A progressive JPEG without what is not worth reading; None for one without an end, or with too many scans.

    It is to be decoded at 1/`step`, and reduced by `factor` in all. ValueError, IndexError or ZeroDivisionError for
    what is damaged.
    """
    segments = list(_segments(body))
    if not segments or segments[-1].marker != _EOI or sum(one.marker == _SOS for one in segments) > _MOST_SCANS:
        return None
    frame = next((_Frame.of(one.part) for one in segments if one.marker == _SOF2), None)
    if frame is not None:
        if bits := _bits_to_leave(segments, frame, factor):
            segments = _without_last_bits(segments, frame, bits)
        if step == 8:
            segments = _without_details(segments, frame, frame.read_by_mean_only())
    return b"".join((body[:2], *(one.part for one in segments)))


@dataclass(frozen=True, slots=True)
class _Segment:
    """A marker segment; of a scan, with the coded pixels behind it."""

    marker: int
    part: bytes


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
        yield _Segment(marker, body[at:end])
        at = end
    if body[at : at + 2] == b"\xff\xd9":
        yield _Segment(_EOI, body[at : at + 2])


@dataclass(frozen=True, slots=True)
class _Scan:
    """The header of a scan (T.81, B.2.3 and G.1.1.1)."""

    components: tuple[int, ...]
    first: int
    """Its first coefficient in the order of the file; 0 is the mean of a block."""
    high: int
    """The last bits that were missing before it; 0 for the first scan of these coefficients."""
    low: int
    """The last bits that are missing after it."""

    @classmethod
    def of(cls, part: bytes) -> _Scan:
        """Read it."""
        rest = 5 + 2 * part[4]
        return cls(tuple(part[5:rest:2]), part[rest], part[rest + 2] >> 4, part[rest + 2] & 15)

    def details_of(self) -> int | None:
        """The component of which it tells more than the means; None if it does not."""
        return self.components[0] if self.first > 0 and len(self.components) == 1 else None

    def shifted(self, part: bytes, bits: int) -> bytes:
        """The scan, as if the coefficients had so many bits less."""
        at = 5 + 2 * len(self.components) + 2
        high = self.high - bits if self.high else 0
        return part[:at] + bytes((high << 4 | self.low - bits,)) + part[at + 1 :]


@dataclass(frozen=True, slots=True)
class _Component:
    """A channel of a JPEG, as its frame header has it."""

    number: int
    across: int
    down: int
    """Its resolution, relative to the others'."""
    table: int
    """The number of its quantisers."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """The frame header (T.81, B.2.2)."""

    width: int
    height: int
    components: tuple[_Component, ...]

    @classmethod
    def of(cls, part: bytes) -> _Frame:
        """Read it."""
        height, width = int.from_bytes(part[5:7], "big"), int.from_bytes(part[7:9], "big")
        said = (part[at : at + 3] for at in range(10, 10 + 3 * part[9], 3))
        return cls(width, height, tuple(_Component(one[0], one[1] >> 4, one[1] & 15, one[2]) for one in said))

    def read_by_mean_only(self) -> tuple[_Component, ...]:
        """The components of which a decoder at an eighth takes one pixel from each block.

        From one that has half the resolution both ways it takes four, and needs some of the details.
        """
        across, down = self._most
        return tuple(one for one in self.components if across % (2 * one.across) or down % (2 * one.down))

    def blocks(self, component: _Component) -> int:
        """How many blocks of eight by eight samples a component has."""
        across, down = self._most
        wide = math.ceil(self.width * component.across / across)
        high = math.ceil(self.height * component.down / down)
        return math.ceil(wide / 8) * math.ceil(high / 8)

    @property
    def _most(self) -> tuple[int, int]:
        return max(one.across for one in self.components), max(one.down for one in self.components)


def _without_details(segments: list[_Segment], frame: _Frame, flat: tuple[_Component, ...]) -> list[_Segment]:
    """Without the scans that tell more than the means of some components, and with one that says that this is all."""
    if not flat:
        return segments
    numbers = {one.number for one in flat}
    kept = [one for one in segments if one.marker != _SOS or _Scan.of(one.part).details_of() not in numbers]
    ends = [_Segment(_SOS, _no_details(one.number, frame.blocks(one))) for one in flat]
    return [*kept[:-1], _Segment(_SOS, _NO_RESTARTS), *ends, kept[-1]]


def _no_details(number: int, blocks: int) -> bytes:
    """A scan that says that every block of a component is flat.

    Without it the decoder would take the details for still to come, and guess them from the blocks around.
    """
    # One code: `0`, for runs of 2^14 and more blocks that end at once; 14 bits follow for how many more.
    table = b"\xff\xc4\x00\x14\x10\x01" + bytes(15) + b"\xe0"
    longest = (1 << 15) - 1
    whole, rest = divmod(blocks, longest)
    runs = [longest] * whole + ([max(rest, 1 << 14)] if rest else [])
    bits = "".join(f"0{run - (1 << 14):014b}" for run in runs)
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    return table + b"\xff\xda\x00\x08\x01" + bytes((number, 0x00, 1, 63, 0)) + coded


def _bits_to_leave(segments: list[_Segment], frame: _Frame, factor: float) -> dict[int, int]:
    """How many of the last bits of the coefficients are not worth reading, by component; empty for none at all."""
    tables = _quantisers(segments)
    if _may_be_rgb(segments, frame) or not all(one.table in tables for one in frame.components):
        return {}
    if max(map(max, tables.values())) > _MOST_QUANTISER:
        return {}
    lost = sum(tables[frame.components[0].table][1:6]) / 5 / factor**2
    if lost > _ONE_BIT:
        return {}
    wanted = (2, 1, 1) if lost <= _TWO_BITS else (1, 0, 0)
    scans = [_Scan.of(one.part) for one in segments if one.marker == _SOS]
    bits = {}
    for component, most in zip(frame.components, wanted, strict=False):
        # What the first scan of some coefficients tells is there at once.
        there = [scan.low for scan in scans if scan.details_of() == component.number and scan.high == 0]
        bits[component.number] = min((most, *there)) if there else 0
    return bits if any(bits.values()) else {}


def _quantisers(segments: list[_Segment]) -> dict[int, list[int]]:
    """The tables of 64 quantisers, in the order of the file (T.81, B.2.4.1); none if some are told after the frame."""
    tables = {}
    framed = False
    for segment in segments:
        framed = framed or segment.marker == _SOF2
        if segment.marker != _DQT:
            continue
        if framed:
            return {}
        part, at = segment.part, 4
        while at < len(part):
            width, number = 1 + (part[at] >> 4), part[at] & 15
            end = at + 1 + 64 * width
            tables[number] = [int.from_bytes(part[i : i + width], "big") for i in range(at + 1, end, width)]
            at = end
    return tables


def _may_be_rgb(segments: list[_Segment], frame: _Frame) -> bool:
    """Whether all components tell of brightness: less of one of them would tint the picture."""
    said = [one.part[15] for one in segments if one.marker == _APP14 and one.part[4:9] == b"Adobe"]
    return 0 in said or [one.number for one in frame.components] == [*b"RGB"]


def _without_last_bits(segments: list[_Segment], frame: _Frame, bits: Mapping[int, int]) -> list[_Segment]:
    """Without the scans of the last bits, and with quantisers that are larger accordingly, but for the means."""
    tables = _quantisers(segments)
    kinds = [*dict.fromkeys((one.table, bits.get(one.number, 0)) for one in frame.components)]
    new = b"".join(_table(number, tables[table], left) for number, (table, left) in enumerate(kinds))
    kept = []
    for segment in segments:
        part = segment.part
        if segment.marker == _SOF2:
            numbers = [kinds.index((one.table, bits.get(one.number, 0))) for one in frame.components]
            for at, number in enumerate(numbers):
                part = part[: 12 + 3 * at] + bytes((number,)) + part[13 + 3 * at :]
            kept.append(_Segment(_DQT, new))
        elif segment.marker == _SOS:
            scan = _Scan.of(part)
            component = scan.details_of()
            left = 0 if component is None else bits.get(component, 0)
            if scan.low < left:
                continue
            part = scan.shifted(part, left) if left else part
        kept.append(_Segment(segment.marker, part))
    return kept


def _table(number: int, quantisers: list[int], bits: int) -> bytes:
    """A segment with a table of 16-bit quantisers."""
    larger = [quantisers[0], *(one << bits for one in quantisers[1:])]
    return b"\xff\xdb\x00\x83" + bytes((0x10 | number,)) + b"".join(one.to_bytes(2, "big") for one in larger)

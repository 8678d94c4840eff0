"""Look into ICC profiles; and write one for colours that a file describes in numbers.

A profile is what the rest of the program understands: it is converted from, recognised as sRGB, kept and attached like
one that came in the file. Version 2 of the format, matrix and curves (ICC.1:2001-04): every reader knows those.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

Matrix = tuple[tuple[float, float, float], ...]

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_CURVE_POINTS = 4096
"""lcms interpolates between them; a steep curve near black needs many."""


@dataclass(frozen=True, slots=True)
class Primaries:
    """CIE x and y of white and of the three primaries."""

    white: tuple[float, float]
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]

    def near(self, other: Primaries) -> bool:
        """Whether the two differ by no more than files round them."""
        pairs = zip(self._flat(), other._flat(), strict=True)
        return all(abs(one - two) < 0.002 for one, two in pairs)

    def _flat(self) -> tuple[float, ...]:
        return (*self.white, *self.red, *self.green, *self.blue)


SRGB = Primaries((0.3127, 0.3290), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
DISPLAY_P3 = Primaries((0.3127, 0.3290), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
REC_2020 = Primaries((0.3127, 0.3290), (0.708, 0.292), (0.170, 0.797), (0.131, 0.046))


def profile(primaries: Primaries, light: Callable[[float], float], *, grey: bool) -> bytes:
    """A display profile; `light` gives the light (0 to 1) of a code (0 to 1). ValueError for impossible primaries."""
    curve = _curve(light)
    tags = {b"desc": _description("from the picture's own numbers"), b"cprt": b"text\0\0\0\0public domain\0"}
    tags[b"wtpt"] = _xyz(_D50)
    if grey:
        tags[b"kTRC"] = curve
    else:
        red, green, blue = zip(*_to_d50(primaries), strict=True)
        tags |= {b"rXYZ": _xyz(red), b"gXYZ": _xyz(green), b"bXYZ": _xyz(blue)}
        tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    return _assembled(tags, b"GRAY" if grey else b"RGB ")


def fits(profile: bytes, interpretation: str) -> bool:
    """Whether a profile is one that LittleCMS reads, for pixels of this kind.

    To be asked first: where libvips cannot use an embedded profile, it takes sRGB for it and says nothing.
    """
    if profile[36:40] != b"acsp" or profile[8] > 4 or profile[12:16] not in _CLASSES:
        return False
    match profile[16:20]:
        case b"RGB ":
            return interpretation != "cmyk"  # on grey, too: editors leave it there
        case b"GRAY":
            return interpretation in ("b-w", "grey16")
        case b"CMYK":
            return interpretation == "cmyk"
        case _:
            return False


_CLASSES = (b"mntr", b"scnr", b"prtr", b"spac")


def intent_of(profile: bytes) -> str:
    """The rendering intent to convert by: relative colorimetric, or what the profile has.

    libvips itself turns to the intent that a profile names in its header. Some name one that they have no table for;
    libvips then takes sRGB for them and says nothing.
    """
    count = min(100, int.from_bytes(profile[128:132], "big"))
    tags = {profile[at : at + 4] for at in range(132, 132 + 12 * count, 12)}
    perceptual_alone = b"A2B0" in tags and not tags & {b"A2B1", b"rTRC", b"kTRC"}
    return "perceptual" if perceptual_alone and profile[64:68] != bytes(4) else "relative"


def _assembled(tags: dict[bytes, bytes], colours: bytes) -> bytes:
    """Header, table and data; equal data is stored once."""
    table, data, places = b"", b"", dict[bytes, int]()
    start = 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        if body not in places:
            places[body] = start + len(data)
            data += body + bytes(-len(body) % 4)
        table += struct.pack(">4sII", name, places[body], len(body))
    header = struct.pack(">I4sI4s4s4s", start + len(data), bytes(4), 0x02400000, b"mntr", colours, b"XYZ ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp")  # a fixed date: equal pictures, equal bytes
    header = header.ljust(68, b"\0") + _fixed(_D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _to_d50(primaries: Primaries) -> Matrix:
    """The matrix from linear RGB to XYZ, its white adapted to D50 (Bradford), as profiles want it."""
    corners = _transposed(tuple(_to_xyz(point) for point in (primaries.red, primaries.green, primaries.blue)))
    white = _to_xyz(primaries.white)
    amounts = _times(_inverse(corners), white)
    matrix = tuple((row[0] * amounts[0], row[1] * amounts[1], row[2] * amounts[2]) for row in corners)
    here, there = _times(_BRADFORD, white), _times(_BRADFORD, _D50)
    gains = tuple(tuple(there[row] / here[row] if row == column else 0.0 for column in range(3)) for row in range(3))
    adapted = _product(_inverse(_BRADFORD), _product(_rows(gains), _BRADFORD))
    return _product(adapted, matrix)


def _to_xyz(point: tuple[float, float]) -> tuple[float, float, float]:
    x, y = point
    if not 0 < y <= 1 or not 0 <= x <= 1:
        raise ValueError("a chromaticity outside of the diagram")
    return x / y, 1.0, (1 - x - y) / y


def _rows(rows: tuple[tuple[float, ...], ...]) -> Matrix:
    return tuple((row[0], row[1], row[2]) for row in rows)


def _transposed(matrix: Matrix) -> Matrix:
    return _rows(tuple(zip(*matrix, strict=True)))


def _times(matrix: Matrix, vector: tuple[float, float, float]) -> tuple[float, float, float]:
    one, two, three = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return one, two, three


def _product(left: Matrix, right: Matrix) -> Matrix:
    return _transposed(tuple(_times(left, column) for column in _transposed(right)))


def _inverse(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if abs(determinant) < 1e-9:
        raise ValueError("primaries on one line")
    cofactors = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return _rows(tuple(tuple(cell / determinant for cell in row) for row in cofactors))


def _curve(light: Callable[[float], float]) -> bytes:
    levels = (min(1.0, max(0.0, light(index / (_CURVE_POINTS - 1)))) for index in range(_CURVE_POINTS))
    points = [round(level * 65535) for level in levels]
    return struct.pack(f">4sII{len(points)}H", b"curv", 0, len(points), *points)


def _fixed(values: tuple[float, ...]) -> bytes:
    """Numbers in ICC's fixed point, s15.16."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _description(text: str) -> bytes:
    ascii_text = text.encode("ascii") + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(ascii_text)) + ascii_text + bytes(78)

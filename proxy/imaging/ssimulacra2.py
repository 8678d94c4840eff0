"""SSIMULACRA2: how much of a picture's quality an encoder has left, as people would judge it.

100 is the picture itself, 90 cannot be told apart side by side, 70 is a good JPEG, 50 a middling one, and below 30 it
is plainly bad (https://github.com/cloudinary/ssimulacra2, from where the weights are). The published metric compares
six scales in the three channels of XYB, each by six features. Most of the 108 weights are next to nothing; what they
could add is below 0.01 points, so their features are not computed: of the full-size picture only the brightness is
looked at. That makes it fast enough to be asked between two encodes (45 ms at 800x600), which the implementation on
PyPI, in double precision on two files, is not. The same metric with all weights and in double precision differs by
0.01 points; the crate `ssimulacra2`, as far as its own single precision carries, by 0.07 (docs/quality.md has the
table).

Of more than 2.4 megapixels, nine tiles of 512 pixels are judged: a point or two too mild, in bounded time.

Importing this module costs a worker 20 MB, so only a search for a score does it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pyvips

# A worker is one core; and the pool of threads would be started on import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]

_SMALLEST_SIDE = 8
_SCALES = 5
"""The published metric has a sixth, whose weights are all next to nothing."""
_MOST_PIXELS = 2_400_000
_TILE = 512
_TILES = 9

_WEIGHTS: dict[tuple[int, int], tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    # (scale, channel): weights of structure, new edges and lost edges, in the mean, then in the 4-norm.
    (0, 1): ((0.0, 0.0, 0.0), (7.466890328078848, 0.0, 17.445833984131262)),
    (1, 0): ((0.0, 0.0, 0.0), (1.1041726426657346, 0.0, 0.0)),
    (1, 1): ((0.0, 0.0, 0.0), (6.683678146179332, 0.0, 1.027889937768264)),
    (2, 0): ((0.0, 0.0, 0.0), (1.8422455520539298, 11.441172603757666, 0.0)),
    (2, 1): ((225.20515300849274, 0.0, 0.0), (19.213238186143016, 0.0, 0.0)),
    (3, 0): ((0.0, 0.0, 0.0), (1.8787594979546387, 10.94906990605142, 0.0)),
    (3, 1): ((176.39317598450694, 0.0, 0.0), (24.43300999870476, 0.28520802612117757, 0.0)),
    (3, 2): ((0.0, 0.0, 0.0), (8.826982764996862, 23.19243343998926, 0.0)),
    (4, 0): ((0.0, 0.9677937080626833, 0.0), (0.0, 0.9981766977854967, 0.0)),
    (4, 1): ((0.0, 0.0, 0.0), (34.77906344483772, 44.835625328877896, 0.0)),
    (4, 2): (
        (95.1080498811086, 0.9863978034400682, 0.9834382792465353),
        (0.0, 171.2667255897307, 0.9807858872435379),
    ),
}  # fmt: skip
_CHANNELS = tuple(tuple(c for c in range(3) if (scale, c) in _WEIGHTS) for scale in range(_SCALES))

_LINEAR = np.array(
    [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (i / 255 for i in range(256))], np.float32
)
"""sRGB (IEC 61966-2-1) of eight bits to linear light."""
_OPSIN = np.array(
    [
        [0.30, 0.622, 0.078],
        [0.23, 0.692, 0.078],
        [0.24342268924547819, 0.20476744424496821, 0.5518098665095536],
    ],
    np.float32,
)
"""Linear light to the cones' answers, as JPEG XL's XYB has it."""
_BIAS = np.float32(0.0037930732552754493)
_BIAS_ROOT = np.cbrt(_BIAS)
_C2 = np.float32(0.0009)
_TAPS = tuple(
    np.float32(tap)
    for tap in (0.2646211054881984, 0.21292859201042208, 0.10933537277746025, 0.03601111465836436, 0.00941436780965373)
)
"""The recursive Gaussian of libjxl (sigma 1.5) answers an impulse with exactly these nine numbers, centre first."""
_BACKGROUNDS = (0.1, 0.9)
"""Of light, behind what is transparent; the worse score counts."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What of the reference does not depend on what it is compared with."""

    plane: Plane
    mean: Plane
    variance: Plane
    edges: Plane
    """1 / (1 + |plane - mean|)."""


class Reference:
    """A picture in memory, ready to be compared with what encoders make of it."""

    def __init__(self, image: pyvips.Image) -> None:
        self._size = (image.width, image.height)
        self._views = [_known(linear) for linear in _linear_views(image)]

    def score(self, image: pyvips.Image) -> float:
        """The score of `image`, of the same size; it is read once, from the top down."""
        if (image.width, image.height) != self._size:
            raise ValueError("only pictures of one size can be compared")
        views = list(_linear_views(image, alike=len(self._views)))
        return min(_score(known, view) for known, view in zip(self._views, views, strict=True))


def _linear_views(image: pyvips.Image, *, alike: int = 0) -> Iterator[Plane]:
    """Linear light, three planes: once for an opaque picture, before two backgrounds for any other."""
    pixels = _pixels(image)
    light = np.ascontiguousarray(_LINEAR[pixels[..., :3]].transpose(2, 0, 1))
    if pixels.shape[2] == 4 and (alike == 2 or (alike == 0 and pixels[..., 3].min() < 255)):
        alpha = pixels[..., 3].astype(np.float32) / np.float32(255)
        for background in _BACKGROUNDS:
            yield light * alpha + np.float32(background) * (np.float32(1) - alpha)
    else:
        for _ in range(max(1, alike)):
            yield light


def _pixels(image: pyvips.Image) -> npt.NDArray[np.uint8]:
    """Rows of RGB or RGBA, eight bits; of a large picture, tiles."""
    image = image.colourspace("srgb")
    if image.format != "uchar":
        image = image.cast("uchar", shift=image.format == "ushort")
    if image.width * image.height > _MOST_PIXELS:
        image = _tiled(image.copy_memory())
    return np.frombuffer(image.write_to_memory(), np.uint8).reshape(image.height, image.width, image.bands)


def _tiled(image: pyvips.Image) -> pyvips.Image:
    """Tiles from all over a picture, side by side."""
    width, height = min(image.width, _TILE), min(image.height, _TILE)
    across = round((_TILES * image.width / image.height) ** 0.5)
    across = max(1, min(across, image.width // width, _TILES))
    down = max(1, min(_TILES // across, image.height // height))
    tiles = [
        image.crop(left, top, width, height)
        for top in _spread(image.height - height, down)
        for left in _spread(image.width - width, across)
    ]
    return pyvips.Image.arrayjoin(tiles, across=across)


def _spread(room: int, count: int) -> list[int]:
    return [room * index // (count - 1) if count > 1 else room // 2 for index in range(count)]


def _known(light: Plane) -> list[dict[int, _Known]]:
    scales = []
    for scale, planes in _scales(light):
        known = {}
        for channel in _CHANNELS[scale]:
            plane = planes[channel]
            mean = _blurred(plane)
            known[channel] = _Known(plane, mean, _blurred(plane * plane) - mean * mean, 1 / (1 + np.abs(plane - mean)))
        scales.append(known)
    return scales


def _scales(light: Plane) -> Iterator[tuple[int, dict[int, Plane]]]:
    """The channels that count of each scale, each half as large as the one before."""
    for scale in range(_SCALES):
        if min(light.shape[1:]) < _SMALLEST_SIDE:
            return
        if scale:
            light = _halved(light)
        yield scale, _xyb(light, _CHANNELS[scale])


def _halved(light: Plane) -> Plane:
    height, width = light.shape[1:]
    if height % 2 or width % 2:
        light = np.pad(light, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    total = light[:, ::2, ::2] + light[:, 1::2, ::2]
    total += light[:, ::2, 1::2]
    total += light[:, 1::2, 1::2]
    total *= np.float32(0.25)
    return total


def _xyb(light: Plane, channels: tuple[int, ...]) -> dict[int, Plane]:
    """XYB, scaled and shifted to about 0 to 1."""
    long, middle = _cone(light, 0), _cone(light, 1)
    luma = (long + middle) * np.float32(0.5)
    planes = {1: luma + np.float32(0.01)}
    if 0 in channels:
        planes[0] = (long - middle) * np.float32(7) + np.float32(0.42)
    if 2 in channels:
        planes[2] = _cone(light, 2) - luma + np.float32(0.55)
    return planes


def _cone(light: Plane, row: int) -> Plane:
    mixed: Plane = light[0] * _OPSIN[row, 0]
    mixed += light[1] * _OPSIN[row, 1]
    mixed += light[2] * _OPSIN[row, 2]
    mixed += _BIAS
    np.maximum(mixed, 0, out=mixed)
    np.cbrt(mixed, out=mixed)
    mixed -= _BIAS_ROOT
    return mixed


def _blurred(plane: Plane) -> Plane:
    """The nine taps down, then across; beyond the edges there is nothing."""
    height, width = plane.shape
    padded = np.pad(plane, ((4, 4), (0, 0)))
    down = plane * _TAPS[0]
    for reach in range(1, 5):
        pair = padded[4 - reach : 4 - reach + height] + padded[4 + reach : 4 + reach + height]
        pair *= _TAPS[reach]
        down += pair
    padded = np.pad(down, ((0, 0), (4, 4)))
    down *= _TAPS[0]
    for reach in range(1, 5):
        pair = padded[:, 4 - reach : 4 - reach + width] + padded[:, 4 + reach : 4 + reach + width]
        pair *= _TAPS[reach]
        down += pair
    return down


def _score(known: list[dict[int, _Known]], light: Plane) -> float:
    distance = sum(
        _difference(of_reference, planes[channel], *_WEIGHTS[scale, channel])
        for (scale, planes), channels in zip(_scales(light), known, strict=True)
        for channel, of_reference in channels.items()
    )
    distance *= 0.9562382616834844
    distance = 2.326765642916932 * distance - 0.020884521182843837 * distance**2 + 6.248496625763138e-05 * distance**3
    return float(100 - 10 * distance**0.6276336467831387) if distance > 0 else 100.0


def _difference(
    known: _Known, plane: Plane, mean_weights: tuple[float, float, float], peak_weights: tuple[float, float, float]
) -> float:
    """What one channel of one scale adds."""
    mean = _blurred(plane)
    total = 0.0
    if mean_weights[0] or peak_weights[0]:
        total += _pooled(_structure(known, plane, mean), mean_weights[0], peak_weights[0])
    if any(mean_weights[1:] + peak_weights[1:]):
        edges = plane - mean
        np.abs(edges, out=edges)
        edges += 1
        edges *= known.edges
        edges -= 1
        total += _pooled(np.maximum(edges, 0), mean_weights[1], peak_weights[1])
        total += _pooled(np.maximum(-edges, 0), mean_weights[2], peak_weights[2])
    return total


def _structure(known: _Known, plane: Plane, mean: Plane) -> Plane:
    """How unlike the two are around each pixel: SSIM without the term that makes dark places count more."""
    both = _blurred(known.plane * plane)
    both -= known.mean * mean
    both *= 2
    both += _C2
    spread = _blurred(plane * plane)
    spread -= mean * mean
    spread += known.variance
    spread += _C2
    alike = known.mean - mean
    alike *= alike
    np.subtract(1, alike, out=alike)
    alike *= both
    alike /= spread
    np.subtract(1, alike, out=alike)
    np.maximum(alike, 0, out=alike)
    return alike


def _pooled(errors: Plane, mean_weight: float, peak_weight: float) -> float:
    """The errors of all pixels in one number: their mean, and their 4-norm, which the worst places rule."""
    total = mean_weight * float(errors.mean(dtype=np.float64)) if mean_weight else 0.0
    if peak_weight:
        squares = (errors * errors).ravel()
        total += peak_weight * (float(np.dot(squares, squares)) / squares.size) ** 0.25
    return total

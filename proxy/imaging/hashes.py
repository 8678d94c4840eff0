"""Small stand-ins for a picture: BlurHash, ThumbHash, and two perceptual hashes.

BlurHash (https://github.com/woltapp/blurhash, `Algorithm.md`) and ThumbHash (https://evanw.github.io/thumbhash/) are
blurred placeholders in some twenty bytes: both are a few cosine transforms and their packing, which is shorter than
what it takes to feed a library, and the libraries for Python loop over pixels or have rested for years. The perceptual
hashes tell alike pictures by the number of bits in which they differ.
"""

from __future__ import annotations

import base64
import math

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float64]
"""Rows of RGB or RGBA, 0 to 1."""

_BASE83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def blurhash(pixels: Pixels) -> str:
    """The BlurHash of an opaque picture, four components along its longer side and three along the other."""
    height, width = pixels.shape[:2]
    across, down = (4, 3) if width >= height else (3, 4)
    light = np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    columns = np.cos(np.pi * np.outer(np.arange(across), np.arange(width)) / width)
    rows = np.cos(np.pi * np.outer(np.arange(down), np.arange(height)) / height)
    factors = np.einsum("jy,ix,yxc->jic", rows, columns, light, optimize=True) / (width * height)
    factors *= 2
    factors[0, 0] /= 2
    waves = factors.reshape(-1, 3)[1:]
    strongest = float(np.abs(waves).max())
    step = max(0, min(82, math.floor(strongest * 166 - 0.5)))
    scale = (step + 1) / 166
    mean = sum(_encoded_light(value) << shift for value, shift in zip(factors[0, 0], (16, 8, 0), strict=True))
    text = _base83((across - 1) + (down - 1) * 9, 1) + _base83(step, 1) + _base83(mean, 4)
    return text + "".join(_base83(_packed_wave(wave, scale), 2) for wave in waves)


def _encoded_light(value: float) -> int:
    value = min(1.0, max(0.0, float(value)))
    encoded = value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return int(encoded * 255 + 0.5)


def _packed_wave(wave: Pixels, scale: float) -> int:
    packed = 0
    for value in wave:
        root = math.copysign(math.sqrt(abs(value / scale)), value)
        packed = packed * 19 + max(0, min(18, math.floor(root * 9 + 9.5)))
    return packed


def _base83(value: int, length: int) -> str:
    return "".join(_BASE83[value // 83**place % 83] for place in range(length - 1, -1, -1))


def thumbhash(pixels: Pixels) -> str:
    """The ThumbHash of a picture of at most 100 pixels a side, with its transparency, in base64."""
    height, width = pixels.shape[:2]
    alpha = pixels[..., 3] if pixels.shape[2] == 4 else np.ones((height, width))
    total = float(alpha.sum())
    mean = (pixels[..., :3] * alpha[..., None]).sum((0, 1)) / total if total else np.zeros(3)
    clear = total < width * height
    over = mean * (1 - alpha[..., None]) + pixels[..., :3] * alpha[..., None]
    red, green, blue = over[..., 0], over[..., 1], over[..., 2]
    most = 5 if clear else 7
    across = max(1, _rounded(most * width / max(width, height)))
    down = max(1, _rounded(most * height / max(width, height)))
    light = _waves((red + green + blue) / 3, max(3, across), max(3, down))
    yellow, purple = _waves((red + green) / 2 - blue, 3, 3), _waves(red - green, 3, 3)
    landscape = width > height
    head = (
        _rounded(63 * light[0]) | _rounded(31.5 + 31.5 * yellow[0]) << 6 | _rounded(31.5 + 31.5 * purple[0]) << 12
        | _rounded(31 * light[2]) << 18 | clear << 23
    )  # fmt: skip
    more = (
        (down if landscape else across) | _rounded(63 * yellow[2]) << 3 | _rounded(63 * purple[2]) << 9
        | landscape << 15
    )  # fmt: skip
    packed = bytearray(head.to_bytes(3, "little") + more.to_bytes(2, "little"))
    waves = [*light[1], *yellow[1], *purple[1]]
    if clear:
        mask = _waves(alpha, 5, 5)
        packed.append(_rounded(15 * mask[0]) | _rounded(15 * mask[2]) << 4)
        waves += mask[1]
    nibbles = [_rounded(15 * wave) for wave in waves]
    packed += bytes(low | high << 4 for low, high in zip(nibbles[::2], [*nibbles[1::2], 0], strict=False))
    return base64.b64encode(packed).decode()


def _waves(channel: Pixels, across: int, down: int) -> tuple[float, list[float], float]:
    """The mean of a channel, its triangle of waves as 0 to 1, and their scale."""
    height, width = channel.shape
    columns = np.cos(np.pi / width * np.outer(np.arange(across), np.arange(width) + 0.5))
    rows = np.cos(np.pi / height * np.outer(np.arange(down), np.arange(height) + 0.5))
    table = rows @ channel @ columns.T / (width * height)
    waves = [
        float(table[y, x]) for y in range(down) for x in range(across) if x * down < across * (down - y) and (x or y)
    ]
    scale = max(map(abs, waves), default=0.0)
    return float(table[0, 0]), [0.5 + 0.5 / scale * wave if scale else wave for wave in waves], scale


def _rounded(value: float) -> int:
    """Half rounds up, as in the reference implementation, and so does what is half but for the order of a sum."""
    return math.floor(value + 0.5 + 1e-9)


def dhash(grey: Pixels) -> str:
    """Which of neighbours across is brighter, of 9x8 grey pixels: 64 bits in hexadecimal."""
    return _bits(grey[:, 1:] > grey[:, :-1])


def phash(grey: Pixels) -> str:
    """The signs of the lowest 8x8 waves around their median, of 32x32 grey pixels: 64 bits in hexadecimal."""
    size = len(grey)
    basis = np.cos(np.pi / size * np.outer(np.arange(8), np.arange(size) + 0.5))
    waves = basis @ grey @ basis.T
    return _bits(waves > np.median(waves))


def _bits(signs: npt.NDArray[np.bool_]) -> str:
    return np.packbits(signs.ravel()).tobytes().hex()

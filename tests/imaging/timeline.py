"""What an animation shows when: read by Pillow, which composes the frames independently of libvips."""

from __future__ import annotations

import io
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence


@dataclass(frozen=True)
class Timeline:
    """The frames of an animation as RGBA, and how long each is shown, in milliseconds."""

    frames: tuple[Image.Image, ...]
    delays: tuple[int, ...]
    plays: int
    """0: for ever."""

    @property
    def total(self) -> int:
        """How long one run takes."""
        return sum(self.delays)

    def at(self, moment: float) -> Image.Image:
        """What is shown at a moment, as a part of the whole from 0 to 1: encoders merge equal frames."""
        ends = list(accumulate(self.delays))
        return self.frames[min(len(ends) - 1, bisect_right(ends, moment * ends[-1]))]

    def moments(self) -> list[float]:
        """The middle of each frame, as a part of the whole."""
        ends = list(accumulate(self.delays))
        return [(end - delay / 2) / ends[-1] for end, delay in zip(ends, self.delays, strict=True)]


def timeline(source: Path | bytes) -> Timeline:
    """Read an animation; delays count as browsers take them."""
    body = source if isinstance(source, bytes) else source.read_bytes()
    with Image.open(io.BytesIO(body)) as image:
        frames, delays = [], []
        skipped = bool(image.info.get("default_image"))
        for frame in ImageSequence.Iterator(image):
            frame.load()
            frames.append(frame.convert("RGBA"))
            said = round(frame.info.get("duration") or 0)
            delays.append(said if said > 10 else 100)
        loop = image.info.get("loop")
        # GIF says how often it is repeated, and plays once where it says nothing.
        plays = 1 if loop is None else loop + 1 if image.format == "GIF" and loop else loop
    return Timeline(tuple(frames[skipped:]), tuple(delays[skipped:]), plays)


def scaled(frame: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Another library's scaling, with alpha multiplied in."""
    if frame.size == size:
        return frame
    return frame.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")


def difference(one: Image.Image, other: Image.Image) -> float:
    """How much two pictures differ as seen on black and on white, 0 to 255: the mean over all pixels."""
    apart = [_on(one, shade) - _on(other, shade) for shade in (0, 255)]
    return float(max(np.abs(part).mean() for part in apart))


def _on(frame: Image.Image, shade: int) -> NDArray[np.float64]:
    pixels = np.asarray(frame, float)
    opacity = pixels[..., 3:] / 255
    return np.asarray(pixels[..., :3] * opacity + shade * (1 - opacity))

"""What imgbang is compared with on cold requests: the decoder alone, and plain libvips, each in two processes.

Neither speaks HTTP, checks limits, converts colours or writes files. The decode floor is libjpeg-turbo decoding at the
smallest n/8 scale that still covers the box, and nothing after it: no server can be faster with this decoder.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from bench.workload import Box

DECODER = "simplejpeg" if find_spec("simplejpeg") else "Pillow draft"
QUALITY = 80


@dataclass(frozen=True, slots=True)
class Work:
    """What a batch took."""

    images: int
    seconds: float
    cpu: float
    """CPU seconds of the workers."""

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds per image."""
        return self.cpu / self.images * 1000


class Workers:
    """Processes that do one image at a time. A context manager."""

    def __init__(self, count: int = 2) -> None:
        # Names of this module are imported by the workers, not inherited: they start clean.
        self._pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=_settle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run(self, task: Callable[[str, Box], float], paths: Sequence[Path], box: Box) -> Work:
        """Do the task for every path."""
        began = time.perf_counter()
        cpu = sum(self._pool.map(task, map(str, paths), [box] * len(paths)))
        return Work(len(paths), time.perf_counter() - began, cpu)

    def run_pairs(self, task: Callable[[str, Box], float], pairs: Sequence[tuple[Path, Box]]) -> Work:
        """Do the task for every path with a size of its own."""
        began = time.perf_counter()
        cpu = sum(self._pool.map(task, [str(path) for path, _ in pairs], [box for _, box in pairs]))
        return Work(len(pairs), time.perf_counter() - began, cpu)


def _settle() -> None:
    os.environ["VIPS_CONCURRENCY"] = "1"


def least_size(width: int, height: int, box: Box) -> tuple[int, int]:
    """The size that a picture is scaled to before a cover is cut; never larger than it is."""
    pick = max if box.cover else min
    factor = min(1.0, pick(box.width / width, box.height / height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def decode(path: str, box: Box) -> float:
    """Decode at the smallest sufficient scale; returns the CPU seconds."""
    began = time.process_time()
    (_decode_simplejpeg if DECODER == "simplejpeg" else _decode_pillow)(path, box)
    return time.process_time() - began


def _decode_simplejpeg(path: str, box: Box) -> None:
    import simplejpeg  # noqa: PLC0415 -- optional

    data = Path(path).read_bytes()
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    least_width, least_height = least_size(width, height, box)
    simplejpeg.decode_jpeg(data, min_width=least_width, min_height=least_height, min_factor=1)


def _decode_pillow(path: str, box: Box) -> None:
    from PIL import Image  # noqa: PLC0415 -- in the workers only

    with Image.open(path) as image:
        image.draft("RGB", least_size(*image.size, box))
        image.load()


def thumbnail(path: str, box: Box) -> float:
    """What a libvips server does at least: thumbnail, then JPEG; returns the CPU seconds."""
    began = time.process_time()
    import pyvips  # noqa: PLC0415 -- in the workers only

    pyvips.cache_set_max(0)
    crop = "centre" if box.cover else "none"
    image = pyvips.Image.thumbnail(path, box.width, height=box.height, crop=crop, size="down")
    if image.hasalpha():
        image = image.flatten(background=255)
    image.jpegsave_buffer(Q=QUALITY, keep="none")
    return time.process_time() - began

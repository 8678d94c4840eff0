"""How much freed memory a render worker keeps for its next picture, and when it gives it back.

A picture is decoded into tens of megabytes. Freed, they go back to the kernel, which has to clear every page before it
gives it out again: for the next picture, a moment later. So a worker keeps some while it is busy.

Two servers by turns, cold pictures of 14 photos to 1200 px on two cores, by the bytes that a worker keeps, in MiB:

| kept | pictures/s, of those with 16 | both workers, resident |
| --- | --- | --- |
| 16 | 1 | 178 |
| 32 | 1.045 | 180 |
| 64 | 1.09 | 250 |
| 96 | 1.13 | 265 to 350 |
| 128 | 1.18 | 360 |

The most that a worker has at any moment is the same in all rows, 250 MiB: it is what the largest photo needs. At 50 and
400 px 128 MiB gain 10 and 2 %, pages of small photos 2 %.

The functions are those of the GNU C library; with another, nothing is changed.
"""

from __future__ import annotations

import ctypes

LEAST_KEPT = 16 << 20
"""Bytes that are always kept. With 1 MB a worker was no smaller than 79 instead of 90, and took a tenth more CPU."""
MOST_KEPT = 128 << 20
_LARGEST_KEPT = 32 << 20
"""Bytes of a buffer that can be kept: the C library's own limit. Larger ones are always had from the kernel anew."""

_M_ARENA_MAX = -8
_M_MMAP_THRESHOLD = -3
_M_TRIM_THRESHOLD = -1


def kept_bytes(budget: int, workers: int) -> int:
    """What each of so many workers may keep, of a budget for the pixels that all of them decode together: a quarter."""
    return max(LEAST_KEPT, min(MOST_KEPT, budget // (4 * workers)))


def keep(kept: int) -> None:
    """Keep so many freed bytes, in this process, from now on."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)  # libvips' threads would each keep an arena of freed memory
        # Left alone, the C library raises both with each large buffer it frees, and keeps up to twice the largest.
        mallopt(_M_MMAP_THRESHOLD, min(kept, _LARGEST_KEPT))
        mallopt(_M_TRIM_THRESHOLD, kept)


def give_back() -> None:
    """Give freed memory back, but for what is always kept."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(LEAST_KEPT))

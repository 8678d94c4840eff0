"""How much freed memory a render worker keeps for its next picture, and when it gives it back.

A picture is decoded into tens of megabytes. Freed, they go back to the kernel, which has to clear every page before it
gives it out again: for the next picture, a moment later. So a worker keeps some while it is busy.

Two servers by turns, cold pictures of 14 photos on two cores, medians of 12 pairs, by the MiB that a worker keeps:

| box | kept | pictures/s | CPU |
| --- | --- | --- | --- |
| 1200 px | 32 instead of 16 | 1.045 | 1/1.045 |
| 1200 px | 96 instead of 32 | 1.134 | 1/1.132 |
| 1200 px | 96 instead of 64 | 1.043 | 1/1.033 |
| 1200 px | 128 instead of 96 | 1.047 | 1/1.043 |
| 400 px | 128 instead of 16 | 1.021 | 1/1.019 |
| 50 px | 128 instead of 16 | 1.102 | 1/1.059 |

Both workers together had 180, 250 and 360 MiB between pictures with 16, 64 and 128. The most that one has at any moment
is the same, 250 MiB: what the largest photo needs.

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

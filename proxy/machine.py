"""What this process may use of the machine it runs on."""

from __future__ import annotations

import gc
import importlib.util
import os
from functools import cache
from importlib import metadata
from pathlib import Path


def usable_cpus() -> int:
    """The processors this process may use: the cgroup's quota where there is one, else its affinity."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            available = min(available, max(1, -(-int(quota) // int(period))))
    except (OSError, ValueError):
        pass  # cgroup v1 or no cgroup at all: affinity is what is known
    return max(1, available)


def usable_memory() -> int:
    """Bytes of memory this process may use: the cgroup's limit where there is one, else the machine's."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        return min(total, int(limit)) if limit != "max" else total
    except (OSError, ValueError):
        return total


@cache
def vision_version() -> str | None:
    """The version of OpenCV, which is not loaded to ask it; None without the extra `vision`."""
    if importlib.util.find_spec("cv2") is None:
        return None
    for name in ("opencv-python-headless", "opencv-python"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def spare_collections() -> None:
    """Take what exists now out of the garbage collector's sight: call it once, when all is loaded.

    The modules of a front are a hundred thousand objects that never go. Each full collection would look at all of them,
    and stop the event loop for 35 to 50 ms on an idle machine. What comes later is looked at less often than usual: at
    the usual pace that took 43 of the 643 µs of a request for a new URL that is refused.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)

"""Die with the parent: the front's fork server with the front, render workers with the fork server.

The kernel sees to it, so it holds in the middle of a decode and after a SIGKILL. Elsewhere than on Linux, workers end
when they next look at their pipe.
"""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have this process killed when the thread that started it is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

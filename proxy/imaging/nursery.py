"""Where render workers are born: a fork server that is small, single-threaded and free of the front's code."""

from __future__ import annotations

import os
import sys
import threading
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

HUGE_PAGES = "glibc.malloc.hugetlb=1"
"""Large buffers of a worker in pages of 2 MB instead of 4 kB, where the kernel gives those who ask (`madvise`).

The coefficients of a progressive JPEG of 33 megapixels are 100 MB: to be given them page by page took 112 ms of 480, in
large pages 24. They go back after the picture as before. For the GNU C library from 2.35 on; others ignore it.
"""

_swap = threading.Lock()


class BareProcess(ForkServerProcess):
    """A process that does not run the front's main module again.

    multiprocessing tells every child to import the parent's `__main__`. Ours is the command line with the whole web
    server behind it: half a second and tens of megabytes per worker, for nothing.
    """

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:  # noqa: N802 -- multiprocessing's hook
        with _swap:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                return ForkServerProcess._Popen(process_obj)  # noqa: SLF001 -- the hook itself
            finally:
                sys.modules["__main__"] = main


class Nursery(ForkServerContext):
    """The multiprocessing context of render workers."""

    Process = BareProcess


def nursery() -> Nursery:
    """The context, its fork server told what to preload; that holds from its first child on."""
    # The C library reads it when a program starts: it is for the fork server, and for nothing in this process.
    os.environ.setdefault("GLIBC_TUNABLES", HUGE_PAGES)
    context = Nursery()
    context.set_forkserver_preload(["proxy.imaging.preload"])
    return context


def open_nursery() -> None:
    """Start the fork server now, in the background, and not with the first worker. Only from the main thread.

    It is told to die with the thread that started it.
    """
    nursery()
    forkserver.ensure_running()

"""Where render workers are born: a fork server that is small, single-threaded and free of the front's code."""

from __future__ import annotations

import sys
import threading
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

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
    context = Nursery()
    context.set_forkserver_preload(["proxy.imaging.preload"])
    return context


def open_nursery() -> None:
    """Start the fork server now, in the background, and not with the first worker. Only from the main thread.

    It is told to die with the thread that started it.
    """
    nursery()
    forkserver.ensure_running()

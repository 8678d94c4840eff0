"""Whether files are lacking, asked in a thread: what is asked while one look is under way is looked up by the next one.

A hop to a thread and back costs several times what a look does, and most in a busy process. So there is one hop at a
time, with all that was asked meanwhile, but for what the last one has made known; nobody waits for others to come.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from concurrent.futures import Executor
from pathlib import Path
from typing import Protocol

from proxy.stores import files

_Waiting = dict[str, list[asyncio.Future[bool]]]
"""Who waits to hear of which path."""


class Memory(Protocol):
    """What is known without looking; see `cached_reads.py`."""

    def lacks(self, path: str) -> bool:
        """Whether there surely is no file at this path."""
        ...

    def learn_folders(self, paths: Iterable[str]) -> None:
        """Find out what is in the folders of these files, which are lacking. Blocks."""
        ...


class GatheredLooks:
    """Looks below one root. Belongs to the event loop."""

    def __init__(self, root: Path, threads: Executor, memory: Memory) -> None:
        self._root = root
        self._threads = threads
        self._memory = memory
        # Mutable state: what the next look is for, and whether one is under way or about to begin.
        self._waiting: _Waiting = {}
        self._under_way = False

    async def is_lacking(self, path: str) -> bool:
        """Whether there surely is no file at this path below the root (`files.lacking`)."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(path, []).append(answer)
        if not self._under_way:
            self._begin()
        return await answer

    def _begin(self) -> None:
        self._under_way = True
        # Not at once: others may ask in the same turn of the loop.
        loop = asyncio.get_running_loop()
        loop.call_soon(self._submit, loop)

    def _submit(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting = self._waiting, {}
        try:
            self._threads.submit(self._look, waiting, loop)
        except RuntimeError:  # the store is closed: nobody can tell
            self._tell(waiting, set())

    def _look(self, waiting: _Waiting, loop: asyncio.AbstractEventLoop) -> None:
        lacking = set[str]()
        try:
            lacking = files.lacking(self._root, waiting)
            self._memory.learn_folders(lacking)
        finally:  # whatever fails: nobody else would tell those who wait, nor begin the next look
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._tell, waiting, lacking)

    def _tell(self, waiting: _Waiting, lacking: set[str]) -> None:
        _answer(waiting, lacking)
        self._under_way = False
        # The look may have told of others in the same folder.
        known = {path for path in self._waiting if self._memory.lacks(path)}
        _answer({path: self._waiting.pop(path) for path in known}, known)
        if self._waiting:
            self._begin()


def _answer(waiting: _Waiting, lacking: set[str]) -> None:
    for path, answers in waiting.items():
        for answer in answers:
            if not answer.done():
                answer.set_result(path in lacking)

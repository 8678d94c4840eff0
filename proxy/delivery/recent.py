"""Results made in the last moments, whatever their size.

A look-up that began before one was there may come back empty after it: it asks here before it renders again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.delivery.result import Result

_SECONDS = 2.0
"""How long a result is held…"""
_MOST_BYTES = 32 * 1024 * 1024
"""…and how many bytes of them; who comes when it is full is not held."""


class RecentResults:
    """Results by name, each for a moment. Belongs to the event loop."""

    def __init__(self) -> None:
        self._results: dict[str, Result] = {}  # mutable state
        self._bytes = 0

    def get(self, name: str) -> Result | None:
        """The result of this name, if it is held."""
        return self._results.get(name)

    def hold(self, name: str, result: Result) -> None:
        """Hold it for a moment, instead of another of this name."""
        if self._bytes + len(result.body) > _MOST_BYTES:
            return
        before = self._results.get(name)
        if before is not None:
            self.drop(name, before)
        self._results[name] = result
        self._bytes += len(result.body)
        asyncio.get_running_loop().call_later(_SECONDS, self.drop, name, result)

    def drop(self, name: str, result: Result) -> None:
        """Hold it no more, unless there is another of this name."""
        if self._results.get(name) is result:
            del self._results[name]
            self._bytes -= len(result.body)

    def drop_where(self, wanted: Callable[[str], bool]) -> None:
        """Hold none of the wanted names."""
        for name, result in [item for item in self._results.items() if wanted(item[0])]:
            self.drop(name, result)

"""Connections that rest: a client that has just been refused is not read for a moment.

Under ten times the load that it can take, the front is woken for each of hundreds of refusals a second, beside busy
workers. What arrives at resting connections waits in the kernel and is taken together. Goodput then, in runs of 15 and
20 s: 0.80 without, 0.84 with rests of 10 ms (medians of five). Later, when a refusal cost half as much: 0.907 with 10
and 0.934 with 20 ms (means of six, by turns), and CPU of the front for a refusal 0.20 and 0.17 ms. The price is that
what comes next on such a connection waits, a hit, too: 10 ms in the mean, and the longer the rests, the longer.

No connection is refused more than fifty times a second, either.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

SECONDS = 0.02
"""How long at most."""


class Rests:
    """The connections that rest now. They are all woken together. Belongs to the event loop."""

    def __init__(self) -> None:
        # Mutable state: who is woken next. While it is empty, nobody is.
        self._resting: list[asyncio.Transport] = []

    def begin(self, transport: asyncio.Transport) -> None:
        """Read nothing from this connection until the next time that all are woken."""
        with suppress(RuntimeError):  # it is being closed
            transport.pause_reading()
            if not self._resting:
                asyncio.get_running_loop().call_later(SECONDS, self._wake)
            self._resting.append(transport)

    def _wake(self) -> None:
        resting, self._resting = self._resting, []
        for transport in resting:
            with suppress(RuntimeError):  # it was closed meanwhile
                transport.resume_reading()

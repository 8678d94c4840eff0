"""A slot for a render worker, and what the slots come to in figures."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.imaging.process import RenderProcess


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """How the workers are, for metrics and health."""

    workers: int
    """Slots with a living process."""
    busy: int
    waiting: int
    restarts: int
    """Processes started to replace a dead one."""
    crashes: int
    timeouts: int
    recycled: int
    resident_bytes: tuple[int, ...]
    """Of each living worker, as of its last task."""


class Slot:
    """A place for one process."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: RenderProcess | None = None
        self.successor: RenderProcess | None = None
        self.recycling = False
        self.busy = False

    @property
    def alive(self) -> bool:
        """Whether a task can be given to it."""
        return self.process is not None and self.process.alive

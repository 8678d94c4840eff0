"""Write a picture in each of several formats at about equal quality, and keep the smallest file.

The quick formats come first. One for which the time is too short even with the least effort is left out, and the notes
say so: a larger file in time is better than none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from proxy.imaging.effort import Pace, least
from proxy.imaging.equal_quality import QUALITIES, equal_quality
from proxy.imaging.file_limits import Written
from proxy.imaging.searching import USUAL_TRIES, TimeLimit
from proxy.imaging.task_files import read_file, size_of_file, write_file
from proxy.plan.output import Format, Output


@dataclass(frozen=True, slots=True)
class Entry:
    """A format that takes part, and what came of it."""

    format: Format
    written: Written
    size: int

    @property
    def rank(self) -> tuple[bool, int]:
        """The lower the better: what keeps to the limits, then what is smaller."""
        return not self.written.kept, self.size


@dataclass(frozen=True, slots=True)
class Outcome:
    """The winner, whose file stays, and what is to be said of all."""

    winner: Entry
    found: tuple[tuple[Format, int], ...]
    notes: tuple[str, ...]


def hold(
    formats: tuple[Format, ...],
    output: Output,
    write: Callable[[Format, Output], Written],
    *,
    path: str,
    pixels: int,
    limit: TimeLimit,
    pace: Pace,
) -> Outcome:
    """Let `write` make a file at `path` in each of the formats; the smallest stays there."""
    tries = USUAL_TRIES if output.ssimulacra2 is not None or output.max_bytes is not None else 1
    entries: list[Entry] = []
    notes: list[str] = []
    best = b""
    for target in sorted(formats, key=lambda target: pace.seconds(target, output, pixels)):
        if entries and pace.seconds(target, least(output, target), pixels) * tries > limit.left:
            notes.append(f"{target.value} left out: no time for it")
            continue
        written = write(target, _alike(output, target))
        entry = Entry(target, written, size_of_file(path))
        if len(formats) > 1 and all(entry.rank < other.rank for other in entries):
            best = read_file(path)
        entries.append(entry)
    winner = min(entries, key=lambda entry: entry.rank)
    if winner is not entries[-1]:
        write_file(path, best)
    if len(entries) > 1:
        notes.insert(0, f"smallest of {', '.join(f'{entry.format.value} {entry.size}' for entry in entries)} bytes")
    found = tuple((entry.format, entry.written.learnt) for entry in entries if entry.written.learnt is not None)
    return Outcome(winner, found, (*winner.written.notes, *notes))


def _alike(output: Output, target: Format) -> Output:
    """The output with the quality of this format that looks like the one asked for, which is on JPEG's scale."""
    if not output.candidates or output.quality is None or target not in QUALITIES:
        return output
    return replace(output, quality=equal_quality(output.quality, target))

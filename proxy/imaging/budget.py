"""Which frames of an animation a render works on: all, or what the limits and the output's policy leave of them.

Three budgets, each for the animation as a whole: frames; pixels, of the original and of the result; and the time that
reading takes, estimated from the header. (The time that writing takes is measured while it passes: `pacing.py`.) One
frame must keep within the limits of a still picture, whatever the policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.errors import OriginalTooLarge, ProxyError, ResultTooLarge
from proxy.imaging.job import RenderLimits, SourceInfo
from proxy.imaging.sizes import counted_sizes
from proxy.plan.animation import OverBudget, evenly
from proxy.plan.operations import Operation
from proxy.plan.output import Animation, Format, Output, Target

READ_PER_SECOND = 40_000_000
"""Pixels that are decoded and scaled in a second; 45 to 90 million of GIF and WebP were measured. A frame that is left
out costs as much, because the next ones are drawn upon it."""
_READING_SHARE = 0.5
"""Of the time for an animation."""
_LONGEST_STRIP = 90_000_000
"""libvips reads all frames as one tall picture, of at most so many lines."""


@dataclass(frozen=True, slots=True)
class Frames:
    """The numbers of the frames to work on, and a word for people where those are not all."""

    kept: tuple[int, ...] = (0,)
    note: str = ""

    @property
    def reading(self) -> int:
        """How many frames of the file must be read."""
        return self.kept[-1] + 1


def choose_frames(info: SourceInfo, operations: tuple[Operation, ...], output: Output, limits: RenderLimits) -> Frames:
    """The frames to work on; OriginalTooLarge or ResultTooLarge where the policy is to refuse."""
    if info.frames == 1:
        return Frames()
    if not _moves(info, output):
        return Frames(note=f"first of {info.frames} frames")
    most, error = min(_budgets(info, operations, output, limits), key=lambda budget: budget[0])
    policy = output.over_budget or limits.over_budget
    if most >= info.frames:
        return Frames(tuple(range(info.frames)))
    if policy is OverBudget.REFUSE:
        raise error
    if policy is OverBudget.FIRST or most < 2:
        return Frames(note=f"first of {info.frames} frames: {error.message}")
    return Frames(evenly(info.frames, most), f"{most} of {info.frames} frames: {error.message}")


def _moves(info: SourceInfo, output: Output) -> bool:
    """Whether all frames are wanted, and the target can hold them."""
    target = output.target_for(info.frames)
    known = info.format if target in (Target.SOURCE, Target.FAMILIAR) else target.known_format
    holds = target is Target.PLAIN or (known is not None and known.holds_animation)
    return holds and output.animation is Animation.KEEP


def _budgets(
    info: SourceInfo, operations: tuple[Operation, ...], output: Output, limits: RenderLimits
) -> Iterator[tuple[int, ProxyError]]:
    """How many frames each budget allows, and what is to be said where those are not all."""
    own = output.max_frames
    if own is not None and own < limits.max_frames:
        yield own, OriginalTooLarge(f"an animation may have {own} frames here, this one has {info.frames}")
    yield (
        limits.max_frames,
        OriginalTooLarge(f"an original may have {limits.max_frames} frames, this one has {info.frames}"),
    )
    shape = f"{info.width}x{info.height} in {info.frames} frames"
    yield (
        limits.max_pixels // (info.width * info.height),
        OriginalTooLarge(f"an original may have {limits.max_pixels} pixels, this one is {shape}"),
    )
    for size in counted_sizes(operations, info):
        text = f"a result may have {limits.max_result_pixels} pixels, this one would be {size} in {info.frames} frames"
        yield limits.max_result_pixels // size.pixels, ResultTooLarge(text)
    readable = limits.animation_seconds * _READING_SHARE * READ_PER_SECOND
    lines = info.height * info.frames if info.format in (Format.GIF, Format.WEBP) else 0
    if info.width * info.height * info.frames > readable or lines > _LONGEST_STRIP:
        yield 1, OriginalTooLarge(f"reading {shape} takes longer than an animation may take here")

"""Operations on the frames of a picture rather than on their pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from proxy.errors import InvalidCommand
from proxy.plan.geometry import Size
from proxy.plan.operations.operation import Operation, check_between

MAX_ANIMATED = 20
"""Most pictures of an animation, and the longest side of one: Qiniu's numbers."""
MAX_ANIMATED_SIDE = 1080


@dataclass(frozen=True, slots=True)
class FirstFrames(Operation):
    """Keep so many frames of an animation at most: the first ones."""

    name: ClassVar[str] = "first-frames"
    count: int

    def __post_init__(self) -> None:
        check_between("the number of frames", self.count, 1, 1000)


@dataclass(frozen=True, slots=True)
class Animate(Operation):
    """Show other pictures one after the other, in the middle of this one's size; larger ones are scaled down to it."""

    name: ClassVar[str] = "animate"
    images: tuple[str, ...] = field(metadata={"written": False})
    delay: int
    """Milliseconds for each."""
    backwards: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.images) <= MAX_ANIMATED:
            raise InvalidCommand(f"an animation takes 1 to {MAX_ANIMATED} pictures, got {len(self.images)}")
        check_between("the delay", self.delay, 10, 655_350)

    def size(self, picture: Size) -> Size:
        """The picture's own."""
        if max(picture.width, picture.height) > MAX_ANIMATED_SIDE:
            raise InvalidCommand(
                f"an animation is at most {MAX_ANIMATED_SIDE} pixels a side, this one would be {picture}"
            )
        return picture

    @property
    def boxes(self) -> tuple[str, ...]:
        """What no list of sizes can hold: there are as many animations as there are lists of keys."""
        return (f"an animation of {len(self.images)} pictures",)

    @property
    def overlays(self) -> tuple[str, ...]:
        """The pictures."""
        return self.images

"""A picture in the making: one image per frame, and how the frames are shown.

Steps work frame by frame, so an edge of one frame never bleeds into the next. Frames are lazy libvips pipelines on
a decoder that reads top to bottom, once: a step that reads in another order, or twice, asks for `in_memory` first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pyvips

from proxy.errors import CannotRender
from proxy.plan.geometry import Size
from proxy.plan.operations import Watermark


def no_overlays(_: Watermark) -> pyvips.Image:
    """Open the image of a mark where none was brought."""
    raise CannotRender("the image of the mark was not brought")


@dataclass(frozen=True, slots=True)
class Picture:
    """The frames of a picture; a still has one."""

    frames: tuple[pyvips.Image, ...]
    delays: tuple[int, ...] = ()
    """Milliseconds per frame; empty for a still."""
    loop: int = 0
    """How often the animation runs; 0 is for ever."""
    orientation: int = 1
    """EXIF 1 to 8: what `AutoOrient` will do, then 1."""
    notes: tuple[str, ...] = ()
    overlay: Callable[[Watermark], pyvips.Image] = field(default=no_overlays, compare=False, repr=False)
    """Opens the image of a mark."""

    @property
    def first(self) -> pyvips.Image:
        """The first frame; all others have its size and bands."""
        return self.frames[0]

    @property
    def size(self) -> Size:
        """The size of a frame."""
        return Size(self.first.width, self.first.height)

    @property
    def has_alpha(self) -> bool:
        """Whether the frames have an alpha channel."""
        return bool(self.first.hasalpha())

    def each(self, change: Callable[[pyvips.Image], pyvips.Image]) -> Picture:
        """The picture with `change` made to each frame."""
        return replace(self, frames=tuple(change(frame) for frame in self.frames))

    def in_memory(self) -> Picture:
        """The picture with its pixels computed: they can be read in any order, and the decoder's work is over."""
        return self.each(lambda frame: frame.copy_memory())

    def noting(self, note: str) -> Picture:
        """The picture with one more note for people."""
        return replace(self, notes=(*self.notes, note))

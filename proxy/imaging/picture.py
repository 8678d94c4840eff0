"""A picture in the making: one image per frame, and how the frames are shown.

Steps work frame by frame, so an edge of one frame never bleeds into the next. Frames are lazy libvips pipelines on
a decoder that reads top to bottom, once: a step that reads in another order, or twice, asks for `in_memory` first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import pyvips

from proxy.errors import CannotRender
from proxy.imaging.raster import Raster, read_raster
from proxy.imaging.view import View, cut
from proxy.plan.geometry import Box, Size
from proxy.plan.operations import Watermark
from proxy.plan.region import Region


def no_overlays(_: Watermark) -> pyvips.Image:
    """Open the image of a mark where none was brought."""
    raise CannotRender("the image of the mark was not brought")


class Faces(Protocol):
    """The faces in the original, in fractions of it as it is upright; None where no detector is installed."""

    def sure(self) -> tuple[Region, ...] | None:
        """What surely is a face, the largest first."""
        ...

    def all(self) -> tuple[Region, ...] | None:
        """What may be a face, in any frame."""
        ...


class NoFaces:
    """The faces where nobody looks for any."""

    def sure(self) -> tuple[Region, ...] | None:
        """None."""
        return None

    def all(self) -> tuple[Region, ...] | None:
        """None."""
        return None


@dataclass(frozen=True)  # without slots, for what is cached
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
    view: View = field(default=View())
    """Where the parts of the upright original lie now."""
    focus: Region | None = None
    """The focal point that is stored with the original, in fractions of it as it is upright."""
    faces: Faces = field(default=NoFaces(), compare=False, repr=False)
    rasters: tuple[Raster | None, ...] = field(default=(), compare=False, repr=False)
    """Not empty if the frames are in memory; then the pixels of each, where they have been read as bytes."""

    @property
    def first(self) -> pyvips.Image:
        """The first frame; all others have its size and bands."""
        return self.frames[0]

    @cached_property
    def size(self) -> Size:
        """The size of a frame. Asked for again and again, and a question to libvips takes 7 us."""
        raster = self.rasters[0] if self.rasters else None
        return Size(self.first.width, self.first.height) if raster is None else raster.size

    @property
    def has_alpha(self) -> bool:
        """Whether the frames have an alpha channel."""
        return bool(self.first.hasalpha())

    def each(self, change: Callable[[pyvips.Image], pyvips.Image]) -> Picture:
        """The picture with `change` made to each frame."""
        frames = tuple(change(frame) for frame in self.frames)
        same = all(after is before for after, before in zip(frames, self.frames, strict=True))
        return self if same else self.with_frames(frames)

    def with_frames(self, frames: tuple[pyvips.Image, ...], rasters: tuple[Raster | None, ...] = ()) -> Picture:
        """The picture with other frames, and with their pixels if those are in memory."""
        return replace(self, frames=frames, rasters=rasters)

    def relabelled(self, change: Callable[[pyvips.Image], pyvips.Image]) -> Picture:
        """The same pixels, of which `change` says something else: they stay where they are."""
        return self.with_frames(tuple(change(frame) for frame in self.frames), self.rasters)

    def cut(self, box: Box) -> Picture:
        """The part of each frame inside `box`."""
        return self.each(lambda frame: frame.crop(box.left, box.top, box.width, box.height)).seen(cut(box, self.size))

    def seen(self, change: View) -> Picture:
        """The picture after a change of where its parts lie."""
        return replace(self, view=self.view.then(change))

    def in_memory(self) -> Picture:
        """The picture with its pixels computed: they can be read in any order, and the decoder's work is over."""
        if self.rasters:
            return self
        return self.with_frames(tuple(frame.copy_memory() for frame in self.frames), (None,) * len(self.frames))

    @cached_property
    def raster(self) -> Raster | None:
        """The pixels of a still, if they are in memory and few enough to be taken at once."""
        if len(self.rasters) != 1:
            return None
        return self.rasters[0] or read_raster(self.first)

    def noting(self, note: str) -> Picture:
        """The picture with one more note for people."""
        return replace(self, notes=(*self.notes, note))

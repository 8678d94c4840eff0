"""Steps that drop frames, or put pictures together as frames."""

from __future__ import annotations

from dataclasses import replace

import pyvips

from proxy.imaging.colours import to_rgb, with_alpha
from proxy.imaging.picture import Picture
from proxy.imaging.scaling import scaled
from proxy.plan.geometry import Gravity, Size, place
from proxy.plan.operations import Animate, FirstFrames, Fit, Resize, Watermark


def first_frames(picture: Picture, operation: FirstFrames) -> Picture:
    """Drop what comes after the first frames."""
    total, count = len(picture.frames), operation.count
    if total <= count:
        return picture
    kept = picture.with_frames(picture.frames[:count], picture.rasters[:count])
    return replace(kept, delays=picture.delays[:count]).noting(f"the first {count} of {total} frames")


def animate(picture: Picture, operation: Animate) -> Picture:
    """Put pictures together; what one of them leaves free of the size is transparent."""
    size = operation.size(picture.size)
    frames = [_framed(picture.overlay(Watermark(key)), size) for key in operation.images]
    frames = frames[::-1] if operation.backwards else frames
    delays = (operation.delay,) * len(frames)
    return replace(picture.with_frames(tuple(frames)), delays=delays, loop=0, orientation=1)


def _framed(image: pyvips.Image, size: Size) -> pyvips.Image:
    image = with_alpha(to_rgb(image))
    inside = Resize(size.width, size.height, Fit.INSIDE).size(Size(image.width, image.height))
    if inside != Size(image.width, image.height):
        image = scaled(image, inside)
    box = place(inside, size, Gravity.CENTRE)
    return image.embed(box.left, box.top, size.width, size.height)

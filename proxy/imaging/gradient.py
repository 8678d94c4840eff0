"""The step that lays a colour gradient over the picture."""

from __future__ import annotations

import pyvips

from proxy.imaging.colours import to_rgb
from proxy.imaging.picture import Picture
from proxy.plan.operations import Gradient, Towards


def gradient(picture: Picture, operation: Gradient) -> Picture:
    """Draw the gradient on each frame; its first line has the first colour, its last line the last."""
    upright = operation.towards in (Towards.TOP, Towards.BOTTOM)
    length = picture.size.height if upright else picture.size.width
    stop = min(operation.stop or length, length)
    if operation.start >= stop:
        return picture.noting("the gradient lies outside of the picture")
    line = pyvips.Image.xyz(stop - operation.start, 1)[0]
    share = line / max(1, stop - operation.start - 1)
    first, last = operation.start_colour, operation.stop_colour
    bands = [
        share * (end - begin) + begin
        for begin, end in zip(
            (first.red, first.green, first.blue, first.alpha),
            (last.red, last.green, last.blue, last.alpha),
            strict=True,
        )
    ]
    ramp = (bands[0].bandjoin(bands[1:]) + 0.5).cast("uchar").copy(interpretation="srgb").copy_memory()
    ramp = ramp.fliphor() if operation.towards in (Towards.TOP, Towards.LEFT) else ramp
    ramp = ramp.rot90() if upright else ramp
    across = ramp.replicate(1, picture.size.height) if not upright else ramp.replicate(picture.size.width, 1)
    at = length - stop if operation.towards in (Towards.TOP, Towards.LEFT) else operation.start
    x, y = (0, at) if upright else (at, 0)

    def drawn(frame: pyvips.Image) -> pyvips.Image:
        frame = to_rgb(frame)
        over = frame.composite2(across, "over", x=x, y=y)
        return (over if frame.hasalpha() else over.extract_band(0, n=3)).cast("uchar")

    return picture.each(drawn)

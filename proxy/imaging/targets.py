"""Which format a picture is written in: what the output's rule means for it, and what is ready in time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from proxy.imaging.effort import Pace, least
from proxy.imaging.job import SourceInfo
from proxy.imaging.picture import Picture
from proxy.imaging.saving import MAX_SIDE, check_format
from proxy.plan.output import Format, Output, Target


def settle_format(picture: Picture, info: SourceInfo, output: Output) -> Format:
    """The format a rule like SOURCE or PLAIN means for this picture."""
    target = output.target_for(len(picture.frames))
    if (known := target.known_format) is not None:
        return known
    if target is Target.FAMILIAR and info.format in (Format.TIFF, Format.AVIF, Format.JXL):
        return Format.JPEG
    if target in (Target.SOURCE, Target.FAMILIAR) and info.format not in (Format.HEIC, Format.PDF):
        return Format.PNG if info.format is Format.SVG else info.format
    if len(picture.frames) > 1:
        return Format.GIF
    return Format.PNG if _shows_through(picture) else Format.JPEG


def contenders(picture: Picture, info: SourceInfo, output: Output) -> tuple[Format, ...]:
    """The formats to be written, of which the smallest is kept: one, unless the output has candidates.

    What cannot hold the picture does not take part as long as something else can.
    """
    usual = settle_format(picture, info, output)
    outputs = [replace(output, target=target, animated=None) for target in output.candidates]
    named = dict.fromkeys(settle_format(picture, info, candidate) for candidate in outputs)
    found = tuple(target for target in named if _holds(picture, target))
    if not found:
        check_format(picture.size, usual)
    return found or (usual,)


def ready_in_time(
    target: Format, picture: Picture, info: SourceInfo, output: Output, *, seconds: float, pace: Pace
) -> Format:
    """The format, or the next that is ready in so many seconds even if `target` is not with the least effort.

    Only where `target` was chosen from an Accept header, which `animated` tells: it is what the same client was found
    to read as its next choice. A format that was asked for by name is never another, and where nothing is ready in time
    what is ready first is tried.
    """
    if output.animated is None or len(picture.frames) > 1:
        return target

    def takes(each: Format) -> float:
        return pace.seconds(each, least(output, each), picture.size.pixels)

    if takes(target) <= seconds:
        return target
    choices = [target, *_next(picture, info, output)]
    return next((each for each in choices if takes(each) <= seconds), min(choices, key=takes))


def _next(picture: Picture, info: SourceInfo, output: Output) -> Iterator[Format]:
    """What else the client of a negotiated still reads, the best first."""
    for rule in (output.animated, Target.PLAIN):
        if rule is not None:
            found = settle_format(picture, info, replace(output, target=rule, animated=None))
            if _holds(picture, found):
                yield found


def _holds(picture: Picture, target: Format) -> bool:
    if max(picture.size.width, picture.size.height) > MAX_SIDE.get(target, sys.maxsize):
        return False
    if len(picture.frames) > 1:
        return target.holds_animation
    return target.holds_alpha or not _shows_through(picture)


def _shows_through(picture: Picture) -> bool:
    """Whether any pixel is transparent; many pictures carry an alpha channel that never is."""
    return picture.has_alpha and picture.first[picture.first.bands - 1].min() < 255

"""Open the images of marks: staged beside the original, and held against the same limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pyvips

from proxy.errors import CannotRender, NotAnImage, OriginalTooLarge
from proxy.imaging.colours import settle_colours
from proxy.imaging.damage import reading
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderLimits
from proxy.imaging.loading import load
from proxy.imaging.step_table import STEPS
from proxy.imaging.steps import auto_orient
from proxy.plan.operations import AutoOrient, Watermark
from proxy.plan.output import ColourPolicy, Output

Opener = Callable[[Watermark], pyvips.Image]


def opener(paths: Mapping[str, str], limits: RenderLimits) -> Opener:
    """What opens marks whose images were staged at these paths."""

    def open_mark(mark: Watermark) -> pyvips.Image:
        path = paths.get(mark.image)
        if path is None:
            raise CannotRender("the image of the mark was not staged")
        try:
            info = inspect(path, limits)
            with reading(path, info.format):
                picture = load(path, info, Output(), limits, target=None)
                picture = auto_orient(settle_colours(picture, ColourPolicy.SRGB), AutoOrient())
                for operation in mark.operations:
                    picture = STEPS[type(operation)](replace(picture, overlay=open_mark), operation)
                return picture.in_memory().first
        except (NotAnImage, OriginalTooLarge, CannotRender) as error:
            raise CannotRender(f"the image of the mark cannot be drawn: {error.message}") from error

    return open_mark

"""How much memory a render needs, told by the header of its original: before any pixel is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.errors import ProxyError
from proxy.imaging.budget import choose_frames
from proxy.imaging.job import RenderLimits, SourceInfo
from proxy.imaging.sizes import begin, decoded_bytes, encoding_bytes, shared_bytes
from proxy.plan.operations import Operation, Size, final_size
from proxy.plan.output import Output


class Wanted(Protocol):
    """A picture to be made: a plan, or a job."""

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What is done to the original, in order."""
        ...

    @property
    def output(self) -> Output:
        """What is written."""
        ...


def needed_bytes(pictures: Sequence[Wanted], header: SourceInfo, limits: RenderLimits) -> int:
    """Memory for pictures of one original that are made one after the other, from one decode if there are several."""
    shared = shared_bytes(header) if len(pictures) > 1 else 0
    return header.estimated_bytes + shared + max(pixel_bytes(picture, header, limits) for picture in pictures)


def pixel_bytes(picture: Wanted, header: SourceInfo, limits: RenderLimits) -> int:
    """Memory that pixels need: decoded at once, four bytes for each of the finished frames, and to encode them."""
    size = Size(header.width, header.height)
    try:
        decoded = decoded_bytes(header, begin(picture.operations, header).target)
        pixels = final_size(picture.operations, size.turned() if header.orientation > 4 else size).pixels
        frames = choose_frames(header, picture.operations, picture.output, limits)
    except ProxyError:
        return 0  # an operation that does not fit this picture, or a picture that is too much: the worker says so
    return decoded + 4 * pixels * len(frames.kept) + (encoding_bytes(pixels) if len(frames.kept) == 1 else 0)

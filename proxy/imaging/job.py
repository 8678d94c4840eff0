"""What the front process and the render workers say to each other: plain values, no pixels, no pyvips."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from proxy.plan.animation import OverBudget
from proxy.plan.operations import Operation
from proxy.plan.output import Format, Output
from proxy.plan.region import Region


def lent_path(number: int) -> str:
    """The path by which a worker knows the open file that goes to it as this one of several; there is nothing at it."""
    return f"/proc/lent/{number}"


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """What a worker refuses, checked on the header before pixels are read."""

    max_pixels: int = 100_000_000
    """Of the original, all frames that are worked on together."""
    max_frames: int = 300
    max_bands: int = 5
    max_result_side: int = 8192
    max_result_pixels: int = 40_000_000
    """Of the result, all frames together."""
    svg: bool = False
    max_svg_bytes: int = 524_288
    pdf: bool = False
    over_budget: OverBudget = OverBudget.FEWER
    """What happens to an animation over these limits, where the output does not say."""
    exif_gps: bool = False
    """Whether reports tell the position that a picture was taken at."""
    animation_seconds: float = 7.0
    """What an animation may take."""
    cpu_seconds: float = math.inf
    """What a worker may use for one render."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What the header of an original says."""

    format: Format
    width: int
    """As stored: before the orientation is applied."""
    height: int
    frames: int
    bands: int
    has_alpha: bool
    orientation: int
    """EXIF 1 to 8."""
    interlaced: bool
    """Progressive JPEG or interlaced PNG: the decoder must hold the whole picture."""
    estimated_bytes: int
    """Memory that decoding is estimated to need."""
    pages: int = 1
    """Of a document; the first is what is read."""


@dataclass(frozen=True, slots=True)
class RenderJob:
    """One render: a staged original, the operations in order, the output, the limits."""

    path: str
    """Of the staged original on the local disk, or of a file that is lent (`lent_path`)."""
    result_path: str
    """Where the result lies in the end, if it is too large to go with the report."""
    operations: tuple[Operation, ...]
    output: Output
    limits: RenderLimits
    overlays: tuple[tuple[str, str], ...] = ()
    """What the operations read besides: its name in the plan, and its path on the local disk."""
    seconds: float = math.inf
    """What is left of the request's time."""
    focus: Region | None = None
    """The focal point that is stored with the original."""
    starts: tuple[tuple[Format, int], ...] = ()
    """The quality that was found for pictures like this, by format: where a search begins."""
    header: SourceInfo | None = None
    """What the original's header says, where that is known already."""
    allowance: float = math.inf
    """The bytes of memory that it may need if its header is not known: for more, the worker asks (`NotAdmitted`)."""


@dataclass(frozen=True, slots=True)
class RenderReport:
    """What a worker says of a finished render."""

    format: Format
    """What the target was settled to."""
    size: int
    """Bytes written."""
    width: int
    height: int
    frames: int
    decode_seconds: float
    encode_seconds: float
    resident_bytes: int
    """Of the worker process, after the render."""
    notes: tuple[str, ...] = field(default=())
    """For people: what was decided on the way (animation dropped, profile converted …)."""
    media_type: str = ""
    """Of the result; empty: that of its format. Set where the result is no picture."""
    found: tuple[tuple[Format, int], ...] = ()
    """The qualities that were searched for, by format."""
    header: SourceInfo | None = None
    """What the original's header says, where the job did not know."""
    body: bytes | None = None
    """The result itself, if it is small; otherwise it lies at the job's `result_path`."""


class NotAdmitted(Exception):
    """The header tells of more than the jobs may do without asking; nothing was decoded."""

    def __init__(self, header: SourceInfo) -> None:
        super().__init__(header)
        self.header = header

"""The names by which the front asks for work. They travel by name, and what they do is imported in the worker only.

The front must not load libvips: it would bring threads, memory and every codec's risk into the process that holds the
sockets. So the imports of this module are inside its functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.errors import ProxyError
from proxy.imaging.allocator import LEAST_KEPT
from proxy.imaging.fences import Fences
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport, SourceInfo


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker is told when it starts."""

    svg: bool = False
    """Whether it is to open SVG."""
    fences: Fences = field(default_factory=Fences)
    kept_bytes: int = LEAST_KEPT
    """How much freed memory it keeps while it is busy."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a worker says when it is ready."""

    versions: str
    resident_bytes: int
    fences: tuple[str, ...]
    """The names of those that hold around it."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a worker says of an original, and of itself."""

    info: SourceInfo
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Together:
    """What came of several renders, in the order of the jobs, and how large the worker is now."""

    outcomes: tuple[RenderReport | ProxyError, ...]
    resident_bytes: int


def start(setup: Setup) -> None:
    """Make this process a render worker."""
    from proxy.imaging import worker  # noqa: PLC0415 -- see above

    worker.start(setup)


def warm_up() -> Greeting:
    """Render a small picture and introduce this worker."""
    from proxy.imaging import worker  # noqa: PLC0415 -- see above

    return worker.warm_up()


def inspect_original(path: str, limits: RenderLimits) -> Inspected:
    """Read the header of an original."""
    from proxy.imaging import worker  # noqa: PLC0415 -- see above

    return worker.inspect_original(path, limits)


def render_job(job: RenderJob) -> RenderReport:
    """Render."""
    from proxy.imaging import worker  # noqa: PLC0415 -- see above

    return worker.render_job(job)


def render_together(jobs: tuple[RenderJob, ...]) -> Together:
    """Render several pictures of one original from one decode."""
    from proxy.imaging import worker  # noqa: PLC0415 -- see above

    return worker.render_together(jobs)


@dataclass(frozen=True, slots=True)
class Tasks:
    """What a worker can be asked; tests put tasks in here that crash, hang or grow."""

    start: Callable[[Setup], None] = start
    warm_up: Callable[[], Greeting] = warm_up
    inspect: Callable[[str, RenderLimits], Inspected] = inspect_original
    render: Callable[[RenderJob], RenderReport] = render_job
    together: Callable[[tuple[RenderJob, ...]], Together] = render_together

"""What a URL asks for, read but not yet planned.

A URL can have several readings: `/cat.jpg!thumb` is the preset `thumb` of `cat.jpg`, or an original that is really
called `cat.jpg!thumb`. `dialects.parse` returns them in order of preference. The caller takes the first whose original
exists; when none does, `readings[0].not_found()` is the error to answer with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.errors import OriginalNotFound, ProxyError
from proxy.plan.keys import shown
from proxy.plan.operations import Operation
from proxy.plan.output import Output
from proxy.plan.presets import Preset


@dataclass(frozen=True, slots=True)
class AskOriginal:
    """The original as it is."""


@dataclass(frozen=True, slots=True)
class AskPreset:
    """A preset, as it was when the URL was read."""

    preset: Preset


@dataclass(frozen=True, slots=True)
class AskAdhoc:
    """Operations written in the URL itself; `label` is what was written, for people."""

    operations: tuple[Operation, ...]
    output: Output
    label: str
    auto_format: bool = False
    """Whether the target of `output` is a placeholder for one that is negotiated."""
    save_as: str | None = None
    """A key under which the result is to be stored as well: only if the URL carries a signature for that."""


Asked = AskOriginal | AskPreset | AskAdhoc


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One reading of a URL: a key, what is asked of it, and the two query parameters that concern the answer."""

    key: str
    asked: Asked
    version_token: str | None = None
    """The text after `v=`: the page says which version it means, so the answer may be kept for long."""
    attname: str | None = None
    """The file name to download as; the empty text stands for the key's own last segment."""
    missing: Callable[[], ProxyError | None] | None = field(default=None, compare=False, repr=False)
    """Finds a better explanation than "no original". A function, because looking for similar names takes a while and
    most originals exist."""

    def not_found(self) -> ProxyError:
        """The error to raise when neither this reading's original exists nor that of a reading after it."""
        explained = self.missing() if self.missing else None
        return explained or OriginalNotFound(f"no original {shown(self.key, 200)}")

"""What a simulation counts: where answers came from, calls, renders, bytes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

CDN, SHIELD, NGINX, KNOWN, MEMORY, JOINED, BUCKET, COLD = LAYERS = (
    "CDN", "shield", "nginx", "304 from a replica", "memory", "joined", "results' bucket", "render",
)  # fmt: skip
"""Where an answer comes from, the outermost first."""
READ, MISSED, WRITE, FETCH, LOOK = CALLS = (
    "results: read", "results: nothing there", "results: write", "originals: read", "originals: look",
)  # fmt: skip


@dataclass
class Tally:
    """What happened."""

    seconds: float = 0.0
    requests: int = 0
    layers: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    renders: Counter[int] = field(default_factory=Counter)
    """By preset; duplicates included."""
    duplicates: int = 0
    """Renders of what another replica was rendering."""
    megapixels: float = 0.0
    """Of originals rendered, summed."""
    edge_bytes: float = 0.0
    """To browsers."""
    origin_bytes: float = 0.0
    """From nginx to the CDN, or to browsers where there is none."""
    original_bytes: float = 0.0
    bins: dict[str, Counter[int]] = field(
        default_factory=lambda: {"requests": Counter(), "calls": Counter(), "renders": Counter()}
    )
    """Requests to nginx, bucket calls and renders, by time."""

    @property
    def stored(self) -> int:
        """Calls to buckets."""
        return sum(self.calls.values())

    def rate(self, what: str, first: float, last: float, width: float) -> float:
        """How many a second between two times."""
        bins = self.bins[what]
        return sum(bins[number] for number in range(int(first / width), int(last / width))) / max(last - first, width)

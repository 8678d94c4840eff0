"""What handlers find in the application: the parts they talk to, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from proxy.delivery.answer import Stages
from proxy.delivery.focal import FocalPoints
from proxy.delivery.missing_page import MissingPage
from proxy.delivery.passthrough import Passthrough
from proxy.delivery.purge import Purger
from proxy.delivery.render import Renderer
from proxy.delivery.saving import Saver
from proxy.errors import ProxyError
from proxy.metrics import Metrics
from proxy.plan.planner import Planner, PresetBook
from proxy.web.headers import CacheDefaults


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this process should get requests, and what an operator wants to know beside."""

    ready: bool
    checks: dict[str, str]


@dataclass(frozen=True, slots=True)
class Site:
    """The parts of one running proxy, as the web layer sees them."""

    book: PresetBook
    planner: Planner
    renderer: Renderer
    passthrough: Passthrough
    missing_page: MissingPage
    purger: Purger
    metrics: Metrics
    cache: CacheDefaults
    deadline: float
    """Seconds for one answer."""
    admin_token: str | None
    signing_keys: Mapping[str, str]
    """Secrets by access key; empty: signatures are not looked at."""
    readiness: Callable[[], Readiness]
    samples: tuple[str, ...]
    """The keys that the start page shows."""
    saver: Saver | None = None
    """Stores results as originals; None where nobody could sign for that."""
    focal_points: FocalPoints | None = None
    """Focal points that the admin API stores; None where there is no place for them."""


SITE = web.AppKey("site", Site)

# What handlers leave on a request for the access log.
REQUEST_ID = web.RequestKey("id", str)
OUTCOME = web.RequestKey("outcome", str)
STAGES = web.RequestKey("stages", Stages)
ERROR = web.RequestKey("error", ProxyError)
# What the render that a request joined has failed with.
FAILED = web.RequestKey("failed", ProxyError)
# And for each other: until when the URL's signature is valid (Unix time), if it has one.
SIGNED_UNTIL = web.RequestKey("signed_until", int)

"""What is wired to what: services and routes become an aiohttp application."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from proxy.config import Settings
from proxy.services import Services
from proxy.states import watch_states
from proxy.web.access import access_middleware
from proxy.web.errors import error_middleware
from proxy.web.explain import PREFIX as EXPLAIN
from proxy.web.explain import get_explanation
from proxy.web.headers import CacheDefaults
from proxy.web.health import get_live, get_metrics, get_ready
from proxy.web.images import get_image
from proxy.web.purging import post_purge
from proxy.web.start_page import get_start_page
from proxy.web.state import SITE, Readiness, Site


@dataclass(frozen=True, slots=True)
class _Samples:
    """What the start page shows: the names that were generated, whatever else lies beside them."""

    keys: tuple[str, ...]

    def __call__(self) -> list[str]:
        return list(self.keys)


def build_app(services: Services, *, samples: tuple[str, ...] | None = None) -> web.Application:
    """The application over running services; `samples` are the keys that the start page shows."""
    settings = services.settings
    watch_states(services)
    cache = cache_defaults(settings)
    app = web.Application(middlewares=[access_middleware(services.metrics), error_middleware(cache)])
    app[SITE] = Site(
        book=services.book,
        planner=services.planner,
        renderer=services.renderer,
        passthrough=services.passthrough,
        purger=services.purger,
        metrics=services.metrics,
        cache=cache,
        deadline=settings.deadline,
        admin_token=settings.admin_token.get_secret_value() if settings.admin_token else None,
        readiness=lambda: _readiness(services),
        list_samples=None if samples is None else _Samples(samples),
    )
    app.router.add_get("/", get_start_page)
    app.router.add_get("/-/live", get_live)
    app.router.add_get("/-/ready", get_ready)
    app.router.add_get("/-/metrics", get_metrics)
    app.router.add_get(EXPLAIN + "/{path:.*}", get_explanation)
    app.router.add_post("/-/api/purge", post_purge)
    app.router.add_route("*", "/-/{path:.*}", _no_such_page)
    app.router.add_route("*", "/{path:.*}", get_image)
    app.on_response_prepare.append(_name_the_server)
    return app


def cache_defaults(settings: Settings) -> CacheDefaults:
    """The caching section of the settings, in whole seconds."""
    return CacheDefaults(
        max_age=int(settings.max_age),
        cdn_max_age=int(settings.cdn_max_age),
        stale_while_revalidate=int(settings.stale_while_revalidate),
        stale_if_error=int(settings.stale_if_error),
        negative=int(settings.negative_ttl),
    )


def _readiness(services: Services) -> Readiness:
    problem = services.book.problem
    checks = {
        "presets": "ok" if problem is None else f"the last edit is not in use: {problem}",
        "presets_generation": str(services.book.generation),
        "renderer": services.workers.versions,
        "state": "draining" if services.draining else "serving",
    }
    return Readiness(not services.draining, checks)


async def _no_such_page(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


async def _name_the_server(_: web.Request, response: web.StreamResponse) -> None:
    # aiohttp would name itself and Python with their versions.
    response.headers["Server"] = "imgbang"

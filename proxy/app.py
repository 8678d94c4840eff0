"""What is wired to what: services and routes become an aiohttp application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler

from proxy.config import Settings
from proxy.delivery.missing_page import MissingPage
from proxy.services import Grace, Services
from proxy.setting_values import parse_signing_keys
from proxy.states import watch_states
from proxy.web.access import access_middleware
from proxy.web.errors import error_middleware
from proxy.web.explain import PREFIX as EXPLAIN
from proxy.web.explain import get_explanation
from proxy.web.focal import PREFIX as FOCAL
from proxy.web.focal import delete_focal, get_focal, put_focal
from proxy.web.headers import SERVER, CacheDefaults
from proxy.web.health import get_live, get_metrics, get_ready
from proxy.web.herds import HERDS, Herds
from proxy.web.images import get_image
from proxy.web.purging import post_purge
from proxy.web.refusals import REFUSALS, Refusals
from proxy.web.repeats import REPEATS, Repeats
from proxy.web.server import Before
from proxy.web.start_page import get_start_page
from proxy.web.state import SITE, Readiness, Site

ANYTHING = "{path:(?s:.*)}"
"""The rest of a path, line ends included: what is wrong with those is said by the reader of keys, not by the router."""
PAGES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/", get_start_page),
    ("GET", "/-/live", get_live),
    ("GET", "/-/ready", get_ready),
    ("GET", "/-/metrics", get_metrics),
    ("GET", f"{EXPLAIN}/{ANYTHING}", get_explanation),
    ("POST", "/-/api/purge", post_purge),
    ("GET", f"{FOCAL}/{ANYTHING}", get_focal),
    ("PUT", f"{FOCAL}/{ANYTHING}", put_focal),
    ("DELETE", f"{FOCAL}/{ANYTHING}", delete_focal),
)
"""Everything but pictures."""


def build_app(services: Services, *, samples: tuple[str, ...] = ()) -> web.Application:
    """The application over running services; `samples` are the keys that the start page shows."""
    settings = services.settings
    watch_states(services)
    cache = cache_defaults(settings)
    app = web.Application(middlewares=[access_middleware(services.metrics), error_middleware(cache)])
    site = app[SITE] = Site(
        book=services.book,
        planner=services.planner,
        renderer=services.renderer,
        passthrough=services.passthrough,
        missing_page=MissingPage(services.passthrough, lifetime=settings.freshness),
        purger=services.purger,
        saver=services.saver,
        focal_points=services.focal_points,
        metrics=services.metrics,
        cache=cache,
        deadline=settings.deadline,
        admin_token=settings.admin_token.get_secret_value() if settings.admin_token else None,
        signing_keys=parse_signing_keys(settings.signing_keys.get_secret_value()) if settings.signing_keys else {},
        readiness=lambda: _readiness(services),
        samples=samples,
    )
    app[REPEATS] = Repeats(site, ending=lambda: services.grace.begun)
    app[HERDS] = Herds(site, ending=lambda: services.grace.begun)
    app[REFUSALS] = Refusals(site, ending=lambda: services.grace.begun)
    methods: dict[str, list[str]] = {}
    for method, path, handler in PAGES:
        for each in ("GET", "HEAD") if method == "GET" else (method,):
            app.router.add_route(each, path, handler, expect_handler=_expect)
            methods.setdefault(path, []).append(each)
    for path, known in methods.items():
        app.router.add_route("*", path, _refuse(tuple(known)), expect_handler=_expect)
    app.router.add_route("*", f"/-/{ANYTHING}", _no_such_page, expect_handler=_expect)
    app.router.add_route("*", f"/{ANYTHING}", get_image, expect_handler=_expect)
    app.on_response_prepare.append(_name_the_server)
    app.on_response_prepare.append(_say_goodbye(services.grace))
    return app


def before(app: web.Application) -> Before:
    """Who answers before the application does: what comes again, and what there is no place for."""
    herds, refusals = app[HERDS], app[REFUSALS]

    async def waiting(request: web.BaseRequest) -> web.StreamResponse | None:
        return await herds.answer(request) or await refusals.answer(request)

    return Before(app[REPEATS].answer, waiting)


def cache_defaults(settings: Settings) -> CacheDefaults:
    """The caching section of the settings, in whole seconds."""
    return CacheDefaults(
        max_age=int(settings.max_age),
        cdn_max_age=int(settings.cdn_max_age),
        stale_while_revalidate=int(settings.stale_while_revalidate),
        stale_if_error=int(settings.stale_if_error),
        negative=int(settings.negative_ttl),
        nginx=int(settings.nginx_max_age),
    )


def _readiness(services: Services) -> Readiness:
    problem = services.book.problem
    checks = {
        "presets": "ok" if problem is None else f"the last edit is not in use: {problem}",
        "presets_generation": str(services.book.generation),
        "renderer": services.workers.versions,
        "fences": ", ".join(services.workers.fences) or "none",
        "state": "draining" if services.grace.begun else "serving",
    }
    if services.settings.redis is not None:
        checks["redis"] = "away: serving as a single replica" if services.fleet.away else "ok"
    return Readiness(not services.grace.begun, checks)


def _refuse(methods: tuple[str, ...]) -> Handler:
    """The answer to every other method: 405."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, methods)

    return refuse


async def _expect(request: web.Request) -> None:
    """Say that a body may come where one is read; ignore what else a client expects (RFC 9110 section 10.1.1).

    aiohttp would answer 417 here, before our middlewares: without caching headers, quoting the client.
    """
    if request.method in ("POST", "PUT") and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer has not begun


async def _no_such_page(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


def _say_goodbye(grace: Grace) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Once the process has been asked to stop, each answer is the last on its connection, and says so."""

    async def say_goodbye(_: web.Request, response: web.StreamResponse) -> None:
        if grace.begun:
            response.force_close()
            response.headers["Connection"] = "close"

    return say_goodbye


async def _name_the_server(_: web.Request, response: web.StreamResponse) -> None:
    # aiohttp would name itself and Python with their versions.
    response.headers["Server"] = SERVER

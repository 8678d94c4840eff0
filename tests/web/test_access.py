"""One line in the log for each request, and one count."""

from __future__ import annotations

import json

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from proxy.errors import DeadlinePassed, OriginalNotFound
from proxy.metrics import Metrics
from proxy.web.access import access_middleware
from proxy.web.errors import error_middleware
from proxy.web.headers import CacheDefaults
from proxy.web.state import OUTCOME

DEFAULTS = CacheDefaults(max_age=1, cdn_max_age=0, stale_while_revalidate=0, stale_if_error=0, negative=10)


async def _picture(request: web.Request) -> web.Response:
    request[OUTCOME] = "hit"
    return web.Response(body=b"12345")


async def _missing(_: web.Request) -> web.Response:
    raise OriginalNotFound("no original 'x'") from OSError("the disk's own words")


async def _late(_: web.Request) -> web.Response:
    raise DeadlinePassed("too late")


async def _bug(_: web.Request) -> web.Response:
    raise RuntimeError("secret words")


@pytest.fixture(name="metrics")
def _metrics() -> Metrics:
    return Metrics()


@pytest.fixture(name="client")
async def _client(metrics: Metrics) -> TestClient[web.Request, web.Application]:
    app = web.Application(middlewares=[access_middleware(metrics), error_middleware(DEFAULTS)])
    app.router.add_get("/picture", _picture)
    app.router.add_get("/missing", _missing)
    app.router.add_get("/late", _late)
    app.router.add_get("/bug", _bug)
    app.router.add_get("/-/live", _picture)
    app.router.add_get("/-/other", _picture)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        (
            "GET",
            "/picture?v=1",
            {"path": "/picture?v=1", "status": 200, "outcome": "hit", "bytes": 5, "log_level": "info"},
        ),
        ("HEAD", "/picture", {"method": "HEAD", "status": 200, "bytes": 0}),
        ("GET", "/-/other", {"path": "/-/other", "status": 200}),
        (
            "GET",
            "/missing",
            {
                "status": 404,
                "outcome": "error",
                "code": "original_not_found",
                "detail": "no original 'x'",
                "cause": "OSError: the disk's own words",
                "log_level": "info",
            },
        ),
        ("GET", "/late", {"status": 504, "code": "deadline_passed", "log_level": "warning"}),
        ("GET", "/nowhere", {"status": 404, "outcome": "other"}),
    ],
)
async def test_one_line(
    client: TestClient[web.Request, web.Application], method: str, path: str, said: dict[str, object]
) -> None:
    """Each request is one event with its fields; our own trouble is a warning, everybody else's is not."""
    with structlog.testing.capture_logs() as events:
        reply = await client.request(method, path, headers={"X-Request-Id": "abc"})

    assert len(events) == 1
    (event,) = events
    assert said.items() <= event.items()
    assert {"method", "path", "status", "outcome", "bytes", "ms", "id"} <= set(event)
    assert event["event"] == "request"
    assert event["id"] == reply.headers["X-Request-Id"] == "abc"
    json.dumps(event)


async def test_probes_are_not_logged(client: TestClient[web.Request, web.Application], metrics: Metrics) -> None:
    """Liveness probes are counted, but would drown the log."""
    with structlog.testing.capture_logs() as events:
        await client.get("/-/live")

    assert events == []
    assert metrics.value("imgbang_requests_total", {"status": "200", "outcome": "hit"}) == 1


async def test_counts(client: TestClient[web.Request, web.Application], metrics: Metrics) -> None:
    """Each request is counted once, by status and outcome."""
    for path in ("/picture", "/picture", "/missing", "/late"):
        await client.get(path)

    assert metrics.value("imgbang_requests_total", {"status": "200", "outcome": "hit"}) == 2
    assert metrics.value("imgbang_requests_total", {"status": "404", "outcome": "error"}) == 1
    assert metrics.value("imgbang_requests_total", {"status": "504", "outcome": "error"}) == 1


async def test_a_bug_is_logged_whole_and_answered_with_nothing(
    client: TestClient[web.Request, web.Application],
) -> None:
    """The log has the traceback; the client learns only that it is our fault."""
    with structlog.testing.capture_logs() as events:
        reply = await client.get("/bug")
        body = await reply.json()

    assert [event["event"] for event in events] == ["internal_error", "request"]
    assert isinstance(events[0]["exc_info"], RuntimeError)
    assert (reply.status, body["code"]) == (500, "internal_error")
    assert reply.headers["Cache-Control"] == "no-store"
    assert "secret" not in json.dumps(body)

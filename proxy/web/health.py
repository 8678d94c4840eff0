"""For machines that watch: liveness, readiness, metrics. None of them touches a bucket or waits in a queue."""

from __future__ import annotations

import json

from aiohttp import web

from proxy.metrics import CONTENT_TYPE
from proxy.web.headers import PRIVATE
from proxy.web.state import SITE


async def get_live(_: web.Request) -> web.Response:
    """Alive: the event loop answers. Overload must never restart a pod, so nothing else is asked."""
    return web.json_response({"status": "live"}, headers=PRIVATE)


async def get_ready(request: web.Request) -> web.Response:
    """Ready: started, presets loaded once, workers have rendered, not shutting down. 503 otherwise."""
    readiness = request.app[SITE].readiness()
    body = {"status": "ready" if readiness.ready else "not ready", **readiness.checks}
    return web.Response(
        status=200 if readiness.ready else 503,
        body=json.dumps(body, indent=1).encode(),
        headers={**PRIVATE, "Content-Type": "application/json"},
    )


async def get_metrics(request: web.Request) -> web.Response:
    """Prometheus's text format."""
    return web.Response(body=request.app[SITE].metrics.exposition(), headers={**PRIVATE, "Content-Type": CONTENT_TYPE})

"""`/-/api/focal/<key>`: the focal point that is stored with an original. Needs the admin token.

PUT takes `{"x": 0.3, "y": 0.6}` or `{"box": [0.1, 0.2, 0.25, 0.4]}`, fractions of the upright picture; GET shows what
counts now, also where it comes from the original's metadata; DELETE forgets what was PUT.

After a change the original is looked at once more, so that its new version is known here: a result of the old point
that another replica, which has not heard of it, saves after the purge is then not served by this one.
"""

from __future__ import annotations

import json
from contextlib import suppress

from aiohttp import web

from proxy.delivery.deadline import Deadline
from proxy.delivery.focal import FocalPoints, focus_of
from proxy.errors import Forbidden, InvalidCommand, InvalidRequest, OriginalNotFound
from proxy.plan.keys import decode_key
from proxy.plan.region import Region
from proxy.web.headers import PRIVATE
from proxy.web.purging import read_body, require_admin
from proxy.web.state import SITE, Site

PREFIX = "/-/api/focal"
MOST_BYTES = 1024


async def get_focal(request: web.Request) -> web.Response:
    """Show the focal point that crops of this original use."""
    site, key, _ = _begin(request)
    info = await site.passthrough.stat(key, Deadline.after(site.deadline))
    return _answer(key, focus_of(info))


async def put_focal(request: web.Request) -> web.Response:
    """Store a focal point, and purge what was cut without it."""
    site, key, points = _begin(request)
    try:
        region = Region.from_json(await read_body(request, MOST_BYTES))
    except InvalidCommand as error:
        raise InvalidRequest(error.message) from error
    deadline = Deadline.after(site.deadline)
    await site.passthrough.stat(key, deadline)  # a typing mistake must not store a point for nothing
    async with deadline.bound("focal points' store"):
        await points.write(key, region)
    await site.purger.key(key)
    return _answer(key, focus_of(await site.passthrough.stat(key, deadline)))


async def delete_focal(request: web.Request) -> web.Response:
    """Forget what was stored, and purge what was cut with it."""
    site, key, points = _begin(request)
    deadline = Deadline.after(site.deadline)
    async with deadline.bound("focal points' store"):
        await points.delete(key)
    await site.purger.key(key)
    with suppress(OriginalNotFound):
        await site.passthrough.stat(key, deadline)
    return web.Response(status=204, headers=PRIVATE)


def _begin(request: web.Request) -> tuple[Site, str, FocalPoints]:
    site = request.app[SITE]
    require_admin(request, site.admin_token)
    if site.focal_points is None:
        raise Forbidden("focal points cannot be stored here: set IMGBANG_FOCAL_POINTS to where they are to be kept")
    raw = request.raw_path.partition("?")[0].removeprefix(f"{PREFIX}/")
    return site, decode_key(raw), site.focal_points


def _answer(key: str, region: Region | None) -> web.Response:
    said = {"key": key, "focal": None if region is None else region.as_json()}
    body = json.dumps(said, ensure_ascii=False).encode()
    return web.Response(body=body, headers={**PRIVATE, "Content-Type": "application/json"})

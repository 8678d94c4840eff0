"""A whole application without sockets, asked by hand: for what answers before the application does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict
from pydantic import SecretStr

from proxy import app as composition
from proxy.config import Settings
from proxy.services import Services, services
from proxy.web.herds import HERDS
from proxy.web.ready import ReadyResponse
from proxy.web.refusals import REFUSALS
from proxy.web.repeats import REPEATS
from tests.pictures import coordinates, encoded

PRESETS = """
separators = ["!"]
[presets.thumb]
width = 20
[presets.chosen]
width = 20
format = "auto"
[presets.marked]
operations = [{ resize = { width = 20 } }, { watermark = { image = "logo.png" } }]
"""
SECRET = "a secret of tests"
THUMB = "/a.jpg!thumb"
CHANGING = ("Date", "Server-Timing", "X-Request-Id")
"""Headers that differ from one answer to the next."""


class Site:
    """A whole application without sockets, asked by hand."""

    def __init__(self, app: web.Application, running: Services, originals: Path) -> None:
        self.app = app
        self.running = running
        self.originals = originals
        self.repeats = app[REPEATS]
        self.herds = app[HERDS]
        self.refusals = app[REFUSALS]

    def request(self, target: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> web.Request:
        return make_mocked_request(method, target, headers={"Host": "x", **(headers or {})}, app=self.app)

    async def whole(self, target: str, headers: Mapping[str, str] | None = None) -> web.Response:
        """The answer of the whole story."""
        response = await self.app._handle(self.request(target, headers))
        assert isinstance(response, web.Response)
        response.headers["Server"] = "imgbang"  # by a signal, when it is sent
        return response

    def again(self, target: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> web.Response | None:
        """The answer that comes again, if it does."""
        response = self.repeats.answer(self.request(target, headers, method))
        return None if response is None else parsed(response)


def parsed(response: web.StreamResponse) -> web.Response:
    """What goes over the wire as a response of aiohttp's."""
    assert isinstance(response, ReadyResponse)
    status, *lines = response._head.decode().removesuffix("\r\n\r\n").split("\r\n")
    headers = CIMultiDict(line.split(": ", 1) for line in lines)
    body = response._content
    assert headers.pop("Content-Length", "") == (str(len(body)) if body else "")
    assert headers.pop("Date")
    number = int(status.removeprefix("HTTP/1.1 ")[:3])
    return web.Response(status=number, body=None if number == 304 else body, headers=headers)


@asynccontextmanager
async def site_with(tmp_path: Path, **more: Any) -> AsyncIterator[Site]:
    originals = tmp_path / "images"
    originals.mkdir()
    (originals / "a.jpg").write_bytes(encoded(coordinates(60, 40), "JPEG"))
    (originals / "logo.png").write_bytes(encoded(coordinates(8, 8), "PNG"))
    (tmp_path / "presets.toml").write_text(PRESETS)
    settings: dict[str, Any] = {
        "originals": originals.as_uri(),
        "results": (tmp_path / "results").as_uri(),
        "presets": str(tmp_path / "presets.toml"),
        "staging_dir": str(tmp_path / "staging"),
        "render_workers": 1,
        "freshness": 3600,
        "signing_keys": SecretStr(f"tests:{SECRET}"),
    }
    async with services(Settings(**settings | more)) as running:
        app = composition.build_app(running)
        app.freeze()
        yield Site(app, running, originals)


def said(response: web.Response | None) -> tuple[int, object, dict[str, str]]:
    """What a response says, but for what differs each time."""
    assert response is not None
    return response.status, response.body, {k: v for k, v in response.headers.items() if k not in CHANGING}

"""Watermark images from elsewhere: from allowed hosts only."""

from __future__ import annotations

import http.server
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from tests.pictures import decoded, encoded
from tests.servers.imgbang import ImgbangServer

pytestmark = pytest.mark.integration


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Iterator[str]:
    """A web server with a logo."""
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    (directory / "logo é.png").write_bytes(encoded(Image.new("RGB", (40, 40), (250, 0, 0)), "PNG"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def marked(host: str, path: str = "logo%20%C3%A9.png") -> str:
    url = urlsafe_b64encode(f"http://{host}/{path}".encode()).decode()
    return f"/photo.png?watermark/1/image/{url}/gravity/NorthWest/dx/0/dy/0"


def serve(tmp_path: Path, **environment: str) -> ImgbangServer:
    server = ImgbangServer(tmp_path / "imgbang", env=environment, presets='adhoc = "any"\n')
    server.originals.mkdir(parents=True)
    (server.originals / "photo.png").write_bytes(encoded(Image.new("RGB", (200, 100), (0, 0, 250)), "PNG"))
    return server


def test_a_logo_from_an_allowed_host(tmp_path: Path, host: str) -> None:
    """It is fetched once, drawn, and missing ones are said to be missing."""
    with serve(tmp_path, IMGBANG_MARK_ORIGINS=host, IMGBANG_HTTP_PRIVATE="true") as server:
        reply = server.get(marked(host))
        missing = server.get(marked(host, "none.png"))

        assert reply.status == 200
        assert decoded(reply.body).convert("RGB").getpixel((5, 5))[0] > 200
        assert decoded(reply.body).convert("RGB").getpixel((150, 50))[2] > 200
        assert (missing.status, missing.json["code"]) == (422, "mark_missing")
        assert server.get(f"/http%3A%2F%2F{host}%2Flogo.png").status == 400


def test_other_hosts_and_private_addresses(tmp_path: Path, host: str) -> None:
    """A host that is not named is refused, and a named one whose address is private is not reached."""
    with serve(tmp_path, IMGBANG_MARK_ORIGINS=f"{host},example.com") as server:
        other = server.get(marked("169.254.169.254", "latest/meta-data"))
        private = server.get(marked(host))

        assert (other.status, other.json["code"]) == (403, "forbidden")
        assert private.status in (403, 502)

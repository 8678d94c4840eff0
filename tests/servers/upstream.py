"""A web server of originals that tells little, breaks off and falls silent; in threads of its own."""

from __future__ import annotations

import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.pictures import coordinates, encoded


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    photo = b""
    closing = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        photo = self.server.photo
        match name:
            case "photo.jpg" | "half.jpg":
                self._begin(200, {"Content-Length": str(len(photo)), "ETag": '"one"'})
                self._send(photo if name == "photo.jpg" else photo[: len(photo) // 2])
                self.close_connection = name == "half.jpg"
            case "chunked.jpg":
                self._begin(200, {"Transfer-Encoding": "chunked"})
                self._send(b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (photo[:5000], photo[5000:])) + b"0\r\n\r\n")
            case "silent.jpg":
                self.server.closing.wait(30)
                self.close_connection = True
            case "broken.jpg":
                self._begin(500, {"Content-Length": "0"})
            case _:
                self._begin(404, {"Content-Length": "0"})

    do_HEAD = do_GET  # noqa: N815 -- the base class calls it so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class calls it so
        """Say nothing."""

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Date", formatdate(usegmt=True))
        self.end_headers()

    def _send(self, body: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(body)


class Upstream:
    """Start it, read `url`; `photo` is what it serves."""

    def __init__(self) -> None:
        self.photo = encoded(coordinates(640, 480), "JPEG", quality=95)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.photo = self.photo
        self._server.closing = threading.Event()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """Where the originals are."""
        return f"http://127.0.0.1:{self._server.server_port}/pictures"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

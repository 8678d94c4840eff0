"""Who may see what: protected, sealed and private originals, by extension, through marks; and what a 404 shows."""

from __future__ import annotations

import time

import pytest

from proxy.plan.signing import sign
from tests.dialects.cases import b64
from tests.dialects.conftest import Servers
from tests.pictures import coordinates, encoded
from tests.servers.imgbang import ImgbangServer

STYLES = '[presets.small]\ncommand = "imageView2/1/w/50/h/50"\n'
QINIU = 'adhoc = "any"\ndialects = ["qiniu", "aliyun", "upyun"]\nseparators = ["-", "!"]\n'
KEYS = {"IMGBANG_SIGNING_KEYS": "AK:MY_SECRET_KEY"}


class Buckets:
    """A server for each presets.toml, all over one directory of originals."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        for key in ("a.jpg", "a.png", "a.pdf.JPG", "exact.jpg", "exact.jpg!small"):
            (servers.originals / key).write_bytes(encoded(coordinates(64, 48), "PNG" if key == "a.png" else "JPEG"))
        (servers.originals / "notes.txt").write_bytes(b"plain")

    def status(self, presets: str, target: str) -> int:
        """The status of an answer."""
        return self._servers.get(presets + STYLES, KEYS).get(target).status

    def signed(self, presets: str, target: str, *, scheme: str = "http") -> int:
        """The status of an answer to a signed URL."""
        server = self._servers.get(presets + STYLES, KEYS)
        target += f"{'&' if '?' in target else '?'}e={int(time.time() + 60)}"
        url = f"{scheme}://127.0.0.1:{server.port}{target}"
        return server.get(f"{target}&token=AK:{sign(url, 'MY_SECRET_KEY')}").status


@pytest.fixture(scope="module")
def buckets(servers: Servers) -> Buckets:
    """The servers of this module."""
    return Buckets(servers)


PROTECTED = f'{QINIU}originals = "protected"\n'
SEALED = f'{QINIU}originals = "sealed"\n'
PRIVATE = f'{QINIU}originals = "private"\n'
EVERYTHING = (
    "/a.jpg",
    "/a.jpg?imageInfo",
    "/a.jpg?imageView2/2/w/20",
    "/a.jpg?x-oss-process=image/resize,w_9",
    "/a.jpg!/fw/20",
)


@pytest.mark.parametrize("target", EVERYTHING)
def test_protected(target: str, buckets: Buckets) -> None:
    """Originals and commands need a token, presets do not."""
    assert buckets.status(PROTECTED, target) == 401
    assert buckets.signed(PROTECTED, target) == 200
    assert buckets.status(PROTECTED, "/a.jpg-small") == 200


@pytest.mark.parametrize("target", EVERYTHING)
def test_sealed(target: str, buckets: Buckets) -> None:
    """No token opens them."""
    assert buckets.status(SEALED, target) == 401
    assert buckets.signed(SEALED, target) == 401
    assert buckets.status(SEALED, "/a.jpg-small") == 200
    assert buckets.signed(SEALED, "/a.jpg-small") == 200


@pytest.mark.parametrize(
    "target", [*EVERYTHING, "/a.jpg-small", "/a.jpg?x-oss-process=style/small", "/nothing.jpg-small"]
)
def test_private(target: str, buckets: Buckets) -> None:
    """Everything needs a token, styles too, and what is missing is not told without one."""
    assert buckets.status(PRIVATE, target) == 401
    assert buckets.signed(PRIVATE, target) == (404 if "nothing" in target else 200)
    assert buckets.signed(PRIVATE, target, scheme="https") == (404 if "nothing" in target else 200)


def test_private_answers_as_the_vendor_does(servers: Servers, buckets: Buckets) -> None:
    """The text that its clients know, in an answer that nobody keeps."""
    reply = servers.get(PRIVATE + STYLES, KEYS).get("/a.jpg-small")

    assert reply.json["error"] == "download token not specified"
    assert "no-store" in reply.headers["cache-control"]


def test_private_without_keys_serves_nothing(servers: Servers, buckets: Buckets) -> None:
    """Nobody can sign, so nobody gets in: the mistake is safe."""
    server = servers.get(PRIVATE + STYLES + "# without keys")

    assert server.get("/a.jpg-small").status == 401
    assert server.get("/a.jpg?e=9999999999&token=AK:AAAA").status == 401


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/a.jpg", 401),
        ("/a.pdf.JPG", 401),
        ("/a.jpg?imageInfo", 401),
        ("/a.png", 200),
        ("/a.png?imageInfo", 200),
        ("/notes.txt", 200),
        ("/a.jpg-small", 200),
        (f"/a.png?watermark/1/image/{b64('a.jpg')}/ws/1", 401),
        (f"/a.png?watermark/1/image/{b64('https://img.example.com/a.jpg?v=1')}/ws/1", 401),
        (f"/a.png?watermark/1/image/{b64('logo.png')}/ws/1", 200),
        ("/a.jpg!/fw/20", 401),
        ("/a.png!/fw/20", 200),
    ],
)
def test_protection_by_extension(target: str, status: int, buckets: Buckets) -> None:
    """As Tencent, Aliyun and TOS have it; a protected original is not drawn on an open one either."""
    assert buckets.status(f'{PROTECTED}protected_extensions = ["jpg", ".jpeg"]\n', target) == status


def test_exact_keys_can_come_first(servers: Servers, buckets: Buckets) -> None:
    """`originals_first` turns the order of the two readings round, where both exist."""
    usual = servers.get(QINIU + STYLES, KEYS)
    turned = servers.get(QINIU + "originals_first = true\n" + STYLES, KEYS)

    assert "original" not in usual.get("/exact.jpg!small").headers["cache-status"]
    assert "original" in turned.get("/exact.jpg!small").headers["cache-status"]
    assert turned.get("/a.png!small").status == 200


def page_server(servers: Servers, name: str, body: bytes, presets: str = QINIU) -> ImgbangServer:
    """A bucket of its own with a page for what is not there."""
    home = servers.originals.parent / name
    (home / "images").mkdir(parents=True)
    (home / "images" / "errno-404").write_bytes(body)
    (home / "images" / "a.jpg").write_bytes(encoded(coordinates(64, 48), "JPEG"))
    return servers.keep(
        ImgbangServer(home, {"IMGBANG_RESULTS": "none", "IMGBANG_NEGATIVE_TTL": "7"}, presets=presets + STYLES)
    )


def test_missing_pictures_show_the_buckets_page(servers: Servers) -> None:
    """The object `errno-404` is the body of every 404, and of nothing else."""
    gif = encoded(coordinates(8, 8), "GIF")
    server = page_server(servers, "gif404", gif)

    for target in ("/nothing.jpg", "/nothing.jpg-small", "/nothing.jpg?imageView2/2/w/20", "/a.jpg-smal"):
        reply = server.get(target)
        assert reply.status == 404, target
        assert reply.body == gif
        assert reply.headers["content-type"] == "image/gif"
        assert reply.headers["cache-control"] == "public, max-age=7"
    assert server.get("/a.jpg-small").status == 200
    assert server.get("/a.jpg?imageView2/9").json["code"] == "invalid_command"
    assert server.get("/nothing.jpg", method="HEAD").status == 404


def test_missing_page_may_be_a_web_page(servers: Servers) -> None:
    """It is shown as one, and sandboxed: scripts in a bucket are nobody's."""
    server = page_server(servers, "html404", b"<!doctype html><script>alert(1)</script>")

    reply = server.get("/nothing.jpg")

    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "sandbox" in reply.headers["content-security-policy"]


def test_only_qiniu_has_such_a_page(servers: Servers) -> None:
    """Other buckets may hold an object of that name."""
    server = page_server(servers, "oss404", b"page", 'dialects = ["aliyun"]\nseparators = ["-", "!"]\n')

    assert server.get("/nothing.jpg").json["code"] == "original_not_found"

"""How pictures are addressed as Qiniu does it: styles, separators, protection, tokens, file names; through HTTP."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from proxy.plan.signing import sign
from tests.dialects.cases import b64
from tests.dialects.conftest import Servers
from tests.pictures import coordinates, decoded, encoded
from tests.servers.imgbang import ImgbangServer

PRESETS = """
separators = ["-", "_", "!", "/"]
adhoc = "any"
[presets.imageFop]
command = "imageView2/0/w/48/h/48"
[presets.pipeline]
command = "imageView2/2/h/200|watermark/1/image/bG9nby5wbmc=|imageMogr2/rotate/90"
[presets.small]
command = "imageView2/1/w/50/h/50"
[presets."160x160.jpeg"]
command = "imageView2/1/w/160/h/160"
"""
KEYS = {"AK": "MY_SECRET_KEY"}


@pytest.fixture(scope="module")
def server(servers: Servers) -> ImgbangServer:
    """A bucket with several separators and styles."""
    photo = encoded(coordinates(640, 427), "JPEG")
    for key in ("qiniu-picture1.jpg", "gogopher.jpg", "a_b-c.jpg", "a.jpg", "dir/pic"):
        path = servers.originals / key
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo)
    return servers.get(PRESETS)


@pytest.mark.parametrize(
    ("target", "size"),
    [
        ("/qiniu-picture1.jpg-imageFop", (48, 32)),
        ("/gogopher.jpg-pipeline", (200, 300)),
        ("/a_b-c.jpg_small", (50, 50)),
        ("/a_b-c.jpg!small", (50, 50)),
        ("/a.jpg%21small", (50, 50)),
        ("/a.jpg%2Dsmall", (50, 50)),
        ("/dir/pic/160x160.jpeg", (160, 160)),
        ("/a_b-c.jpg", (640, 427)),
        ("/a.jpg?imageView2/1/w/200/h/200%7CimageMogr2/crop/50x50", (50, 50)),
        ("/a.jpg?imageView2/1/w/200/h/200|imageMogr2/crop/50x50", (50, 50)),
        ("/a.jpg?imageMogr2/thumbnail/%2150x50r", (75, 50)),
        ("/a.jpg?imageMogr2/thumbnail/700x300%3C", (640, 427)),
        ("/a.jpg?imageMogr2/thumbnail/100000%40", (387, 258)),
        ("/a.jpg-small?v=3&x=1", (50, 50)),
    ],
)
def test_style_is_found(target: str, size: tuple[int, int], server: ImgbangServer) -> None:
    """Separators split where a style follows, and nowhere else."""
    reply = server.get(target)

    assert reply.status == 200, reply.body[:200]
    assert decoded(reply.body).size == size


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/a.jpg-huge", 404),
        ("/nothing.jpg-small", 404),
        ("/a.jpg-small?imageMogr2/thumbnail/3x3", 400),
        ("/a.jpg?imageView2/9", 400),
        ("/nothing.jpg?imageInfo", 404),
    ],
)
def test_error_has_an_error_member(target: str, status: int, server: ImgbangServer) -> None:
    """What clients of the vendor read: a status, and `error` in a JSON body that nobody keeps for long."""
    reply = server.get(target)

    assert reply.status == status
    assert isinstance(reply.json["error"], str)


def test_download_name(server: ImgbangServer) -> None:
    """`attname` names the file; empty, it is the key's own name."""
    named = server.get("/a.jpg?imageView2/1/w/200/h/200&attname=down2.jpg")
    own = server.get("/a.jpg?imageView2/1/w/200/h/200&attname=")

    assert named.headers["content-disposition"].replace(" ", "") == 'attachment;filename="down2.jpg"'
    assert own.headers["content-disposition"].replace(" ", "") == 'attachment;filename="a.jpg"'


def test_report_is_json_that_nobody_keeps(server: ImgbangServer) -> None:
    """imageInfo, exif and imageAve: `application/json`, `no-store`; found again as JSON."""
    for _ in range(2):
        reply = server.get("/a.jpg?imageInfo")

        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.json["width"] == 640


@pytest.fixture(scope="module")
def private(server: ImgbangServer, tmp_path_factory: pytest.TempPathFactory) -> ImgbangServer:
    """The same bucket, protected, with a signing key."""
    home = tmp_path_factory.mktemp("private")
    env = {**server.env, "IMGBANG_SIGNING_KEYS": "AK:MY_SECRET_KEY,OLD:other"}
    started = ImgbangServer(home, env, presets=PRESETS.replace('"any"', '"signed"\noriginals = "protected"')).start()
    yield started
    started.stop()


def signed(private: ImgbangServer, target: str, *, seconds: float = 60, scheme: str = "http") -> str:
    """The target with a token."""
    target += f"{'&' if '?' in target else '?'}e={int(time.time() + seconds)}"
    token = "AK:" + sign(f"{scheme}://127.0.0.1:{private.port}{target}", KEYS["AK"])
    return f"{target}&token={token}"


def test_protected_original_needs_a_token(private: ImgbangServer) -> None:
    """Without one only styles work; with one, everything."""
    assert private.get("/a.jpg").status == 401
    assert private.get("/a.jpg?imageInfo").status == 401
    assert private.get("/a.jpg?imageView2/2/w/200").status == 401
    assert private.get("/a.jpg-small").status == 200
    assert private.get(signed(private, "/a.jpg")).status == 200
    assert private.get(signed(private, "/a.jpg?imageView2/2/w/200")).status == 200
    assert private.get(signed(private, "/a.jpg-small", scheme="https")).status == 200


def test_result_is_stored_under_a_key_by_signature(private: ImgbangServer, servers: Servers) -> None:
    """A signed `saveas` answers the picture and makes it an original; an unsigned or forged one does neither."""
    entry = b64("any-bucket:saved/a-200.jpg")
    target = f"/a.jpg?imageView2/2/w/200|saveas/{entry}"
    token = "AK:" + sign(f"127.0.0.1:{private.port}{target}", KEYS["AK"])
    stored = servers.originals / "saved" / "a-200.jpg"

    assert private.get(target).status == 400
    assert private.get(f"{target}/sign/AK:AAAA").status == 401
    assert not stored.exists()
    reply = private.get(f"{target}/sign/{token}")

    assert reply.status == 200
    assert decoded(reply.body).size == (200, 133)
    assert stored.read_bytes() == reply.body
    assert decoded(private.get("/saved/a-200.jpg-small").body).size == (50, 50)


def test_bad_token_is_refused(private: ImgbangServer) -> None:
    """Forged, expired, moved to another picture: 401, never kept by caches."""
    good = signed(private, "/a.jpg?imageView2/2/w/200")
    for target in (
        good[:-6] + "AAAAA=",
        good.replace("w/200", "w/201"),
        good.replace("token=AK", "token=OLD"),
        signed(private, "/a.jpg", seconds=-5),
        "/a.jpg-small?e=1&token=" + quote("x:y"),
    ):
        reply = private.get(target)

        assert reply.status == 401, target
        assert "no-store" in reply.headers["cache-control"]
        assert "download token" in str(reply.json["error"]) or "expired" in str(reply.json["error"])

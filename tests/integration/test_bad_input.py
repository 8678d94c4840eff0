"""What strangers send, and what they get: a status, a code and a message; never a path, a traceback, a library's name."""

from __future__ import annotations

import io
import re
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image, ImageSequence

from tests.pictures import coordinates, decoded, encoded, make_samples, png_header
from tests.servers.imgbang import PRESETS, ImgbangServer, Reply

pytestmark = pytest.mark.integration

TOKEN = "a token of tests, 32 characters.."
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
PHOTO = encoded(coordinates(120, 90), "JPEG")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="80" height="60"><rect width="80" height="60" fill="#008080"/></svg>'
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
MORE = """
[presets.lenient]
width = 50
height = 50
fit = "cover"
truncated = "render"
"""
_LEAKS = re.compile(rb"libvips|pyvips|Traceback|/tmp|/usr|/home|aiohttp|site-packages|errno|File \"", re.IGNORECASE)


def _files() -> dict[str, bytes]:
    photo = coordinates(120, 90)
    png = encoded(photo, "PNG")
    jpeg = encoded(coordinates(800, 600), "JPEG", quality=90)
    bomb = bytearray(PHOTO)
    frame = bomb.index(b"\xff\xc0")
    bomb[frame + 5 : frame + 9] = struct.pack(">HH", 65_500, 65_500)
    gif = bytearray(encoded(photo.convert("P"), "GIF"))
    gif[6:10] = struct.pack("<HH", 65_535, 65_535)
    return {
        "png-named.jpg": png,
        "jpeg-named.png": PHOTO,
        "no-extension": PHOTO,
        "webp.txt": encoded(photo, "WEBP"),
        "lfs.jpg": LFS,
        "zero.png": b"",
        "one-byte.jpg": b"\xff",
        "magic-only.jpg": b"\xff\xd8\xff",
        "text.jpg": b"just some text, no picture at all",
        "script.png": b"<script>alert(document.domain)</script>",
        "page.html": b"<!DOCTYPE html><html><body>hello</body></html>",
        "styles.css": b"body { color: red }",
        "half.jpg": jpeg[: len(jpeg) * 2 // 3],
        "half.png": png[: len(png) // 2],
        "wide.png": png_header(50_000, 50_000),
        "wide8.png": png_header(50_000, 50_000, bits=8),
        "wide.jpg": bytes(bomb),
        "wide.gif": bytes(gif),
        "frames.gif": _frames(1000),
        "drawing.svg": SVG,
        "scripted.svg": SVG.replace(b"<rect", b"<script>alert(1)</script><rect"),
        "noise.png": b"\x89PNG\r\n\x1a\n" + zlib.compress(b"noise") * 50,
        "archive.jpg": b"PK\x03\x04" + bytes(200),
        "document.jpg": b"%PDF-1.7\n" + bytes(200),
    }


def _frames(count: int) -> bytes:
    out = io.BytesIO()
    frames = [Image.new("L", (4, 4), number * 97 % 256) for number in range(count)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=20, optimize=False)
    return out.getvalue()


@pytest.fixture(name="bad", scope="module")
def _bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImgbangServer]:
    """A server full of originals that are not what they seem; its results live inside of the originals' directory."""
    home: Path = tmp_path_factory.mktemp("bad")
    env = {
        "IMGBANG_ADMIN_TOKEN": TOKEN,
        "IMGBANG_RESULTS": (home / "images" / "made" / "results").as_uri(),
        "IMGBANG_FRESHNESS": "1h",
    }
    server = ImgbangServer(home, env=env, presets=PRESETS + MORE)
    make_samples(server.originals)
    for name, content in _files().items():
        (server.originals / name).write_bytes(content)
    (home / "secret.jpg").write_bytes(PHOTO)
    (server.originals / "link.jpg").symlink_to(home / "secret.jpg")
    with server:
        yield server


def check_clean(reply: Reply) -> None:
    """No answer to an error tells about the inside."""
    assert reply.headers["content-type"] == "application/problem+json"
    assert not _LEAKS.search(reply.body), reply.body
    assert not _LEAKS.search(repr(dict(reply.headers)).encode()), reply.headers


LONG = "a" * 250 + "/"
TARGETS = [
    # escapes
    ("/a%zz.jpg", 400, "invalid_key", "bad percent escape '%zz'"),
    ("/a%", 400, "invalid_key", "bad percent escape '%'"),
    ("/a%2", 400, "invalid_key", "bad percent escape '%2'"),
    ("/photo.jpg!thumb%", 400, "invalid_key", "bad percent escape"),
    ("/%u0041.jpg", 400, "invalid_key", "bad percent escape"),
    ("/%ff.jpg", 400, "invalid_key", "not valid UTF-8"),
    ("/%c0%ae%c0%ae/x.jpg", 400, "invalid_key", "not valid UTF-8"),
    ("/%ed%a0%80.jpg!thumb", 400, "invalid_key", "not valid UTF-8"),
    # control characters
    ("/a%00.jpg", 400, "invalid_key", "control character U+0000"),
    ("/photo.jpg%00!thumb", 400, "invalid_key", "control character U+0000"),
    ("/a%0d%0aSet-Cookie:x", 400, "invalid_key", "control character U+000D"),
    ("/a%7f.jpg", 400, "invalid_key", "control character U+007F"),
    # walking
    ("/../secret.jpg", 400, "invalid_key", "the segment '..'"),
    ("/../secret.jpg!thumb", 400, "invalid_key", "the segment '..'"),
    ("/albums/../../secret.jpg", 400, "invalid_key", "the segment '..'"),
    ("/%2e%2e/secret.jpg", 400, "invalid_key", "the segment '..'"),
    ("/%2e%2e%2fsecret.jpg", 400, "invalid_key", "the segment '..'"),
    ("/albums%2f..%2f..%2fsecret.jpg!thumb", 400, "invalid_key", "the segment '..'"),
    ("/./photo.jpg", 400, "invalid_key", "the segment '.'"),
    ("/..%5csecret.jpg", 400, "invalid_key", "a backslash"),
    ("/albums\\photo.jpg", 400, "invalid_key", "a backslash"),
    ("/link.jpg", 404, "original_not_found", "no original 'link.jpg'"),
    ("/link.jpg!thumb", 404, "original_not_found", "no original 'link.jpg'"),
    # decoded once and only once
    ("/%252e%252e/secret.jpg", 404, "original_not_found", "no original '%2e%2e/secret.jpg'"),
    ("/photo%252ejpg!thumb", 404, "original_not_found", "no original 'photo%2ejpg'"),
    ("/a%252500.jpg", 404, "original_not_found", "no original 'a%2500.jpg'"),
    # segments
    ("//photo.jpg", 400, "invalid_key", "begins with a slash"),
    ("/albums//photo.jpg", 400, "invalid_key", "an empty segment"),
    ("/albums/", 400, "invalid_key", "ends with a slash"),
    ("/%2fetc/passwd", 400, "invalid_key", "begins with a slash"),
    ("/albums", 404, "original_not_found", "no original 'albums'"),
    ("/photo.jpg/x.jpg", 404, "original_not_found", "no original 'photo.jpg/x.jpg'"),
    # lengths
    ("/" + LONG * 5 + ".jpg", 400, "invalid_key", "1259 bytes long; at most 1024"),
    ("/" + LONG * 5 + ".jpg!thumb", 400, "invalid_key", "at most 1024"),
    ("/" + quote("ü" * 513), 400, "invalid_key", "1026 bytes long"),
    ("/" + "a" * 256 + ".jpg", 404, "original_not_found", "no original 'aaaa"),
    ("/" + "a" * 1024 + "!thumb", 404, "original_not_found", "no original 'aaaa"),
    # reserved
    ("/-/nothing", 404, "not_found", "not found"),
    ("/%2D/metrics/x", 404, "not_found", "not found"),
    ("/-%2Fmetrics", 400, "invalid_key", "begins with '-/', which is reserved"),
    # presets
    ("/photo.jpg!thmb", 404, "unknown_preset", "'thmb' is not a preset; did you mean 'thumb'?"),
    ("/photo.jpg!nothing-like-it", 404, "unknown_preset", "'nothing-like-it' is not a preset"),
    ("/photo.jpg!THUMB", 404, "unknown_preset", "'THUMB' is not a preset"),
    ("/photo.jpg!%3Cscript%3E", 404, "unknown_preset", "'<script>' is not a preset"),
    ("/nope.jpg!thumb", 404, "original_not_found", "no original 'nope.jpg'"),
    ("/nope.jpg", 404, "original_not_found", "no original 'nope.jpg'"),
    # sizes
    ("/photo.jpg!77x77", 403, "adhoc_refused", "ad-hoc size 77x77 is not allowed; allowed are 50x50, 100x"),
    ("/photo.jpg!9999x9999", 400, "invalid_command", "'9999x9999' is not a box"),
    ("/photo.jpg!0x0", 400, "invalid_command", "'0x0' is not a box; a box is written 50x50, 50x or x50"),
    ("/photo.jpg!-5x5", 400, "invalid_command", "'-5x5' is not a box"),
    ("/photo.jpg!99999999999999999999x1", 400, "invalid_command", "is not a box"),
    ("/photo.jpg!1e3x5", 404, "unknown_preset", "'1e3x5' is not a preset"),
    ("/photo.jpg!050x50", 400, "invalid_command", "'050x50' is not a box"),
    # queries
    ("/photo.jpg!thumb?attname=a%0d%0aX:y", 400, "invalid_request", "attname contains the control character U+000D"),
    ("/photo.jpg?attname=%ff", 400, "invalid_request", "attname is not valid UTF-8"),
    ("/photo.jpg?attname=" + "a" * 256, 400, "invalid_request", "attname must be at most 255 characters"),
    ("/photo.jpg?v=" + "1" * 256, 400, "invalid_request", "v must be at most 255 characters"),
    ("/photo.jpg#thumb", 400, "invalid_key", "'#' in a path must be written as %23"),
]


@pytest.mark.parametrize(("target", "status", "code", "message"), TARGETS, ids=lambda value: str(value)[:40])
def test_targets(bad: ImgbangServer, target: str, status: int, code: str, message: str) -> None:
    """A target that names nothing is refused with what is wrong about it, before or after looking."""
    reply = bad.get(target)

    assert (reply.status, reply.json["code"]) == (status, code)
    assert message in str(reply.json["detail"])
    check_clean(reply)
    assert bad.get(target, method="HEAD").status == status


ORIGINALS = [
    ("page.jpg", 415, "not_an_image", "HTML page"),
    ("page.html", 415, "not_an_image", "HTML page"),
    ("script.png", 415, "not_an_image", "not an image"),
    ("text.jpg", 415, "not_an_image", ""),
    ("styles.css", 415, "not_an_image", ""),
    ("lfs.jpg", 415, "not_an_image", "git-lfs pointer"),
    ("archive.jpg", 415, "not_an_image", ""),
    ("document.jpg", 415, "not_an_image", "PDF document"),
    ("zero.png", 415, "not_an_image", "empty"),
    ("empty.jpg", 415, "not_an_image", "empty"),
    ("one-byte.jpg", 415, "not_an_image", ""),
    ("magic-only.jpg", 422, "", ""),
    ("noise.png", 422, "", ""),
    ("half.jpg", 422, "truncated_image", "ends too early"),
    ("half.png", 422, "truncated_image", "ends too early"),
    ("truncated.jpg", 422, "truncated_image", "ends too early"),
    ("wide.png", 413, "original_too_large", "50000"),
    ("wide8.png", 413, "original_too_large", "50000"),
    ("wide.jpg", 413, "original_too_large", "65500"),
    ("drawing.svg", 415, "not_an_image", "SVG"),
    ("scripted.svg", 415, "not_an_image", "SVG"),
]


@pytest.mark.parametrize(("name", "status", "code", "message"), ORIGINALS, ids=str)
def test_originals_that_are_no_pictures(bad: ImgbangServer, name: str, status: int, code: str, message: str) -> None:
    """A preset of what cannot be rendered is a clear 4xx, quickly, and a worker survives it."""
    started = time.monotonic()
    reply = bad.get(f"/{name}!thumb")

    assert time.monotonic() - started < 3
    assert reply.status == status
    check_clean(reply)
    assert str(reply.json["code"]).startswith(code)
    assert message.lower() in str(reply.json["detail"]).lower()
    assert bad.get("/photo.jpg!thumb").status == 200


def test_frames_beyond_the_limit(bad: ImgbangServer) -> None:
    """A thousand frames become three hundred that last as long, and everybody who wants to know is told."""
    reply = bad.get("/frames.gif!thumb")
    page = bad.get("/-/explain/frames.gif!thumb").json
    kept = bad.get("/frames.gif!thumb")

    with Image.open(io.BytesIO(reply.body)) as image:
        assert (reply.status, image.n_frames) == (200, 300)
        assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(image)) == 1000 * 20
    note = "300 of 1000 frames: an original may have 300 frames, this one has 1000"
    assert page["result"]["notes"] == [note]
    assert f'note;desc="{note}"' in reply.headers["server-timing"]
    assert f'note;desc="{note}"' in kept.headers["server-timing"]


def test_no_worker_died(bad: ImgbangServer) -> None:
    """None of the hostile originals killed a worker or took all of its time."""
    for name, *_ in ORIGINALS:
        bad.get(f"/{name}!small")

    assert bad.metric("imgbang_worker_events", event="crash") == 0
    assert bad.metric("imgbang_worker_events", event="timeout") == 0


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("png-named.jpg", "image/png"),
        ("jpeg-named.png", "image/jpeg"),
        ("no-extension", "image/jpeg"),
        ("webp.txt", "image/webp"),
        ("wide.gif", "image/gif"),
        ("drawing.svg", "image/svg+xml"),
    ],
)
def test_names_lie(bad: ImgbangServer, name: str, media_type: str) -> None:
    """An original is served as what it is, whatever its name says."""
    reply = bad.get(f"/{name}")

    assert (reply.status, reply.headers["content-type"]) == (200, media_type)
    assert reply.headers["content-disposition"].startswith("inline; ")


@pytest.mark.parametrize("name", ["png-named.jpg", "jpeg-named.png", "no-extension", "webp.txt", "wide.gif"])
def test_pictures_with_wrong_names(bad: ImgbangServer, name: str) -> None:
    """A picture with a wrong name is rendered all the same; so is a GIF whose screen is wrong, but whose frames are not."""
    reply = bad.get(f"/{name}!thumb")

    assert reply.status == 200
    assert decoded(reply.body).size == (50, 50)
    assert decoded(reply.body).get_format_mimetype() == reply.headers["content-type"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "name", ["page.jpg", "page.html", "script.png", "styles.css", "text.jpg", "lfs.jpg", "document.jpg", "zero.png"]
)
@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-"}])
def test_pages_are_only_downloads(bad: ImgbangServer, method: str, name: str, headers: dict[str, str]) -> None:
    """Nobody runs a page or a script from this origin: what is no image is a download."""
    reply = bad.get(f"/{name}", headers, method=method)

    assert reply.status in (200, 206)
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment; ")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["half.jpg", "truncated.jpg"])
def test_truncated_by_policy(bad: ImgbangServer, name: str) -> None:
    """Half a picture is refused, unless the preset wants what is there."""
    assert bad.get(f"/{name}!thumb").status == 422
    lenient = bad.get(f"/{name}!lenient")

    assert lenient.status == 200
    assert decoded(lenient.body).size == (50, 50)


def test_svg_switched_on(tmp_path: Path) -> None:
    """With SVG on, a drawing becomes a PNG; scripts in it never reach anybody, and what it links to is not read."""
    server = ImgbangServer(tmp_path, env={"IMGBANG_SVG": "true"})
    make_samples(server.originals)
    linking = SVG.replace(b"<rect", b'<image href="photo.jpg" width="80" height="60"/><rect fill-opacity="0"', 1)
    for name, content in {"a.svg": SVG, "scripted.svg": _files()["scripted.svg"], "linking.svg": linking}.items():
        (server.originals / name).write_bytes(content)
    with server:
        replies = {name: server.get(f"/{name}!small") for name in ("a.svg", "scripted.svg", "linking.svg")}

    for reply in replies.values():
        assert (reply.status, reply.headers["content-type"]) == (200, "image/png")
    assert decoded(replies["a.svg"].body).convert("RGB").getpixel((40, 30)) == (0, 128, 128)
    assert decoded(replies["linking.svg"].body).getextrema()[3] == (0, 0)


class TestResultsAmongOriginals:
    """Results that live in the originals' own directory."""

    def test_hidden(self, bad: ImgbangServer) -> None:
        """Stored results are no originals: no thumbnails of thumbnails, nothing to read past a protection."""
        assert bad.get("/photo.jpg!small").status == 200
        bad.wait_quiet()
        stored = [path for path in (bad.originals / "made").rglob("photo.jpg!*") if path.is_file()]
        assert stored

        for path in stored:
            target = "/" + quote(str(path.relative_to(bad.originals)))
            for asked in (target, f"{target}!thumb", target.replace("made/", "made%2F"), target.replace("m", "%6d", 1)):
                reply = bad.get(asked)
                assert (reply.status, reply.headers["content-type"]) == (404, "application/problem+json"), asked


JUNK = {
    "length and chunked": (b"POST /-/live HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked twice": (b"POST /-/live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "unknown coding": (b"POST /-/live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    "negative length": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", 400),
    "length with plus": (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "folded header": (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", 400),
    "bare line feeds": (b"GET /photo.jpg!thumb HTTP/1.1\nHost: a\n\n", 400),
    "blank before colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "no colon": (b"GET / HTTP/1.1\r\nHost\r\n\r\n", 400),
    "control in header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x07b\r\n\r\n", 400),
    "NUL in header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
    "blank in target": (b"GET /a b.jpg HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "raw UTF-8": ("GET /bahía.jpg HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 400),
    "raw bytes": (b"GET /\xff.jpg HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "NUL in target": (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no target": (b"GET HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "unknown version": (b"GET / HTTP/3.7\r\nHost: a\r\n\r\n", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "lower case": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)) + b"\r\n\r\n", 400),
    "9 KB line": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "9 KB header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 400),
    "9 KB name": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X" * 9000 + b": a\r\n\r\n", 400),
    "200 headers": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n", 400),
    "1 MB header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1_000_000, 400),
    "absolute form": (b"GET http://evil.example/photo.jpg HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /photo.jpg!thumb\r\n\r\n", 400),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
    "bad chunk": (b"POST /-/live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}", 400),
    "HTTP/1.0": (b"GET /photo.jpg!thumb HTTP/1.0\r\n\r\n", 200),
    "websocket": (b"GET /photo.jpg!thumb HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n", 200),
}  # fmt: skip


@pytest.mark.parametrize("name", JUNK)
def test_raw_sockets(bad: ImgbangServer, name: str) -> None:
    """What is not quite HTTP is refused with the connection closed, and says nothing about the inside."""
    data, status = JUNK[name]

    received = bad.raw(data, seconds=5)

    head, _, body = received.partition(b"\r\n\r\n")
    assert head.split()[1] == str(status).encode(), received[:300]
    assert b"cache-control:" in head.lower()
    assert b"Server: imgbang" in head
    assert not _LEAKS.search(head)
    if status >= 400:
        assert len(re.findall(rb"HTTP/[0-9.]+ [0-9]{3} ", received)) == 1
        assert b"application/problem+json" in head
        assert not _LEAKS.search(body)
        assert b"evil" not in body or b"request target" in body


def test_junk_does_not_fill_the_log(bad: ImgbangServer) -> None:
    """Malformed requests leave no traceback, and a line now and then."""
    before = len(bad.log_lines())
    for _ in range(50):
        bad.raw(JUNK["folded header"][0])

    new = bad.log_lines()[before:]
    assert len([line for line in new if line["event"] == "malformed_http"]) <= 3
    assert not [line for line in new if "exception" in line or line["event"] == "internal_error"]


def test_pipelining(bad: ImgbangServer) -> None:
    """Forty requests in one packet are answered in order on one connection."""
    targets = [b"/photo.jpg!thumb", b"/nope.jpg", b"/-/live"]
    requests = [b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % targets[number % 3] for number in range(39)]
    last = b"GET /photo.jpg HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    received = bad.raw(b"".join(requests) + last)

    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]
    assert statuses == [200, 404, 200] * 13 + [200]


def test_keep_alive_after_errors(bad: ImgbangServer) -> None:
    """A refused picture does not cost the connection."""
    data = b"GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\nGET /photo.jpg!77x77 HTTP/1.1\r\nHost: a\r\n\r\n"

    received = bad.raw(data + b"GET /photo.jpg!thumb HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)] == [400, 403, 200]


def test_body_on_get(bad: ImgbangServer) -> None:
    """A body nobody asked for is not kept in memory and changes nothing."""
    reply = bad.get("/photo.jpg!thumb", method="GET", body=b"x" * 5_000_000)

    assert reply.status == 200


class TestAdmin:
    """`POST /-/api/purge` to strangers and to clumsy friends."""

    @pytest.mark.parametrize(
        "authorization",
        [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", b"Bearer \xff\xfe"],
    )  # fmt: skip
    def test_no_token(self, bad: ImgbangServer, authorization: str | bytes | None) -> None:
        """Without the very token nothing is read or done."""
        headers = {} if authorization is None else {"Authorization": authorization}

        reply = bad.get("/-/api/purge", headers, method="POST", body=b'{"keys":["photo.jpg"]}')  # type: ignore[arg-type]

        assert (reply.status, reply.json["code"]) == (401, "unauthorized")
        assert TOKEN.encode() not in reply.body
        check_clean(reply)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", "a purge is JSON"),
            (b"{}", "a purge is JSON"),
            (b"[]", "a purge is JSON"),
            (b"null", "a purge is JSON"),
            (b"{", "a purge is JSON"),
            (b"\xff\xfe", "a purge is JSON"),
            (b"[" * 500_000, "a purge is JSON"),
            (b'{"key": ["a.jpg"]}', "a purge is JSON"),
            (b'{"keys": "a.jpg"}', "keys must be a list of texts"),
            (b'{"keys": [1]}', "keys must be a list of texts"),
            (b'{"keys": [""]}', "keys must be a list of texts"),
            (b'{"keys": null}', "keys must be a list of texts"),
            (b'{"prefixes": [""]}', "prefixes must be a list of texts that are not empty"),
            (b'{"prefixes": ["\\ud800"]}', "prefixes must be a list of texts"),
            (b'{"prefixes": ["a\\u0000"]}', "prefixes must be a list of texts"),
            (b'{"keys": ["../secret.jpg"]}', "contains the segment '..'"),
            (b'{"keys": ["a//b"]}', "an empty segment"),
            (b'{"presets": ["nope"]}', "there is no preset 'nope'"),
            (b'{"keys": [' + b'"a",' * 1000 + b'"a"]}', "at most 1000 entries"),
            (b'{"keys": ["' + b"a" * 1_100_000 + b'"]}', "at most 1048576 bytes"),
        ],
        ids=lambda value: repr(value)[:30],
    )
    def test_wrong_shapes(self, bad: ImgbangServer, body: bytes, message: str) -> None:
        """What is no purge is refused whole, with what was expected."""
        reply = bad.get("/-/api/purge", ADMIN, method="POST", body=body)

        assert reply.status == 400
        assert message in str(reply.json["detail"])
        check_clean(reply)

    def test_prefixes_do_not_walk(self, bad: ImgbangServer) -> None:
        """A prefix outside of the results deletes nothing."""
        reply = bad.get("/-/api/purge", ADMIN, method="POST", body=b'{"prefixes": ["../", "/", "albums/../../"]}')

        assert (reply.status, reply.json["purged"]) == (200, 0)
        assert bad.get("/photo.jpg").status == 200

    def test_off_without_a_token(self, tmp_path: Path) -> None:
        """Without a token in the settings there is no admin API at all."""
        with ImgbangServer(tmp_path) as server:
            reply = server.get("/-/api/purge", {"Authorization": "Bearer "}, method="POST", body=b'{"keys":["a"]}')

        assert (reply.status, reply.json["code"]) == (403, "forbidden")
        check_clean(reply)


LEGAL = [chr(code) for code in range(0x20, 0x7F) if chr(code) not in "/\\"]
UNICODE = ["é", "e\u0301", "日本", "🙂", "\u00a0", "\u200b", "\u202e", "ß", "İ"]


def odd_keys(number: int, character: str) -> list[str]:
    """Keys with the character in every place; numbers keep them apart on file systems that fold case or accents."""
    return [
        f"{number}/{character}x.jpg",
        f"{number}/x{character}",
        f"{number}/{character}y{character}/x{character}thumb",
    ]


@pytest.fixture(name="odd", scope="module")
def _odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImgbangServer]:
    """A server with every separator, and originals of every odd name."""
    presets = 'separators = ["!", "-", "_", "/", "@", ","]\n[presets.thumb]\nwidth = 50\nheight = 50\nfit = "cover"\n'
    server = ImgbangServer(tmp_path_factory.mktemp("odd"), presets=presets)
    for number, character in enumerate(LEGAL + UNICODE):
        for key in odd_keys(number, character):
            path = server.originals / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(PHOTO + key.encode())  # trailing bytes tell the originals apart
    with server:
        yield server


@pytest.mark.parametrize(("number", "character"), list(enumerate(LEGAL + UNICODE)), ids=repr)
def test_every_key_can_be_asked_for(odd: ImgbangServer, number: int, character: str) -> None:
    """Every character that S3 allows, in every place: the original, and a preset of it after each separator."""
    for key, separator in zip(odd_keys(number, character) * 2, "!-_/@,", strict=True):
        path = "/" + quote(key, safe="/")
        original, result = odd.get(path), odd.get(f"{path}{separator}thumb")

        assert (original.status, original.body) == (200, PHOTO + key.encode()), key
        assert (result.status, result.headers["content-type"]) == (200, "image/jpeg"), key
        assert result.headers["surrogate-key"].split()[0] == original.headers["surrogate-key"]

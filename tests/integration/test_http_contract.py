"""What browsers, CDNs and nginx may rely on: validators, conditions, ranges, caching, negotiation."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pictures import coordinates, decoded, encoded, make_samples, png_header
from tests.servers.imgbang import PRESETS, ImgbangServer, Reply
from tests.servers.upstream import Upstream

pytestmark = pytest.mark.integration

RESULT = "/photo.jpg!thumb"
ORIGINAL = "/photo.jpg"
BOTH = pytest.mark.parametrize("target", [RESULT, ORIGINAL])
LONG_AGO = "Sat, 01 Jan 2000 00:00:00 GMT"
FAR_AHEAD = "Fri, 01 Jan 2100 00:00:00 GMT"
TOKEN = "a token of tests, 32 characters.."
EXTRA = """
[presets.week]
width = 60
cache = "7d"
stale_while_revalidate = "1m"
stale_if_error = 0
[presets.forever]
width = 61
cache = "immutable"
[presets.secret]
width = 62
cache = "no-store"
[presets.webp]
width = 63
format = "webp"
"""


@pytest.fixture(name="rich", scope="module")
def _rich(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImgbangServer]:
    """A server whose presets use every cache policy."""
    server = ImgbangServer(tmp_path_factory.mktemp("rich"), env={"IMGBANG_ADMIN_TOKEN": TOKEN}, presets=PRESETS + EXTRA)
    make_samples(server.originals)
    (server.originals / "wide.png").write_bytes(png_header(50_000, 50_000))
    with server:
        yield server


class TestValidators:
    """ETag and Last-Modified."""

    @BOTH
    def test_strong(self, server: ImgbangServer, target: str) -> None:
        """Every representation has a strong tag of at most 128 bytes, and the time of its original."""
        headers = server.get(target).headers

        assert headers["etag"].startswith('"')
        assert headers["etag"].endswith('"')
        assert 6 <= len(headers["etag"]) <= 128
        assert headers["last-modified"].endswith(" GMT")

    def test_one_for_each_representation(self, rich: ImgbangServer) -> None:
        """No two presets, formats or originals share a tag."""
        asked = [
            ("/photo.jpg", "*/*"),
            ("/photo.webp", "*/*"),
            ("/photo.jpg!thumb", "*/*"),
            ("/photo.jpg!small", "*/*"),
            ("/photo.webp!thumb", "*/*"),
            ("/photo.jpg!auto", "*/*"),
            ("/photo.jpg!auto", "image/webp"),
            ("/photo.jpg!auto", "image/avif"),
        ]

        tags = [rich.get(target, {"Accept": accept}).headers["etag"] for target, accept in asked]

        assert len(set(tags)) == len(asked)

    def test_equal_plans_share_one(self, rich: ImgbangServer) -> None:
        """However a plan is spelled, its result has one tag."""
        tags = {rich.get(target).headers["etag"] for target in ("/photo.jpg!50x50", "/photo.jpg%2150x50", RESULT)}

        assert len(tags) == 1


@dataclass(frozen=True)
class Restarted:
    """A server that was started again without its results, and what it answered before."""

    server: ImgbangServer
    before: dict[str, Reply]


@pytest.fixture(name="restarted", scope="module")
def _restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    server = ImgbangServer(tmp_path_factory.mktemp("restarted"), env={"IMGBANG_FRESHNESS": "50ms"})
    make_samples(server.originals)
    targets = (
        RESULT,
        ORIGINAL,
        "/alpha.png!auto",
        "/animated.gif!thumb",
        "/albums/2026/bah%C3%ADa%20al%20amanecer.jpg!100x",
    )
    with server:
        before = {target: server.get(target) for target in targets}
    shutil.rmtree(server.results)
    with server:
        yield Restarted(server, before)


class TestRestart:
    """What a new process without any results answers. The order matters: the first test must find it cold."""

    def test_not_modified_without_work(self, restarted: Restarted) -> None:
        """What a client has already is confirmed without fetching or rendering anything."""
        for target, reply in restarted.before.items():
            again = restarted.server.get(target, {"If-None-Match": reply.headers["etag"]})
            assert again.status == 304

        assert restarted.server.metric("imgbang_fetches_total") == 0
        assert restarted.server.metric("imgbang_renders_total") == 0

    def test_same_tags_and_bytes(self, restarted: Restarted) -> None:
        """Tags are the same after a restart, and so are the bytes they stand for, rendered again."""
        for target, reply in restarted.before.items():
            again = restarted.server.get(target)
            assert (again.headers["etag"], again.body) == (reply.headers["etag"], reply.body)

        assert restarted.server.metric("imgbang_renders_total", outcome="ok") == len(restarted.before) - 1

    @BOTH
    def test_changed_original(self, restarted: Restarted, target: str) -> None:
        """A new version of the original has new tags; the old ones no longer match."""
        server = restarted.server
        old = server.get(target).headers["etag"]
        (server.originals / "photo.jpg").write_bytes(encoded(coordinates(300, 200 + len(target)), "JPEG"))
        deadline = time.monotonic() + 10
        while server.get(target).headers["etag"] == old and time.monotonic() < deadline:
            time.sleep(0.02)

        new = server.get(target, {"If-None-Match": old})

        assert new.status == 200
        assert new.headers["etag"] != old
        assert decoded(new.body).size in [(300, 213), (300, 210), (50, 50)]


class TestConditions:
    """RFC 9110 section 13, for results and originals alike."""

    @BOTH
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize(
        ("form", "status"),
        [
            ("{tag}", 304),
            ("W/{tag}", 304),
            ("*", 304),
            ('"x", {tag}', 304),
            ('"x" , W/{tag},"y"', 304),
            (', "x",, {tag}', 304),
            ('"x"', 200),
            ("junk", 200),
            ("", 200),
        ],
    )
    def test_if_none_match(self, server: ImgbangServer, target: str, method: str, form: str, status: int) -> None:
        """A list of tags, weak ones included, or `*`; junk matches nothing."""
        tag = server.get(target).headers["etag"]

        reply = server.get(target, {"If-None-Match": form.format(tag=tag)}, method=method)

        assert reply.status == status

    @BOTH
    def test_several_lines(self, server: ImgbangServer, target: str) -> None:
        """A list may come in several header lines."""
        tag = server.get(target).headers["etag"]
        lines = f'GET {target} HTTP/1.1\r\nHost: a\r\nIf-None-Match: "x"\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n'

        assert server.raw(lines.encode()).startswith(b"HTTP/1.1 304 ")

    @BOTH
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"If-Modified-Since": "{time}"}, 304),
            ({"If-Modified-Since": FAR_AHEAD}, 304),
            ({"If-Modified-Since": LONG_AGO}, 200),
            ({"If-Modified-Since": "yesterday"}, 200),
            ({"If-None-Match": '"x"', "If-Modified-Since": "{time}"}, 200),
            ({"If-None-Match": "{tag}", "If-Modified-Since": LONG_AGO}, 304),
            ({"If-Match": "{tag}"}, 200),
            ({"If-Match": "*"}, 200),
            ({"If-Match": "W/{tag}"}, 412),
            ({"If-Match": '"x"'}, 412),
            ({"If-Match": "junk"}, 412),
            ({"If-Match": '"x"', "If-None-Match": "*"}, 412),
            ({"If-Match": "{tag}", "If-None-Match": "{tag}"}, 304),
            ({"If-Unmodified-Since": LONG_AGO}, 412),
            ({"If-Unmodified-Since": "{time}"}, 200),
            ({"If-Unmodified-Since": LONG_AGO, "If-Match": "{tag}"}, 200),
        ],
    )
    def test_precedence(self, server: ImgbangServer, target: str, headers: dict[str, str], status: int) -> None:
        """If-Match before If-Unmodified-Since before If-None-Match before If-Modified-Since (13.2.2)."""
        known = server.get(target).headers
        sent = {name: form.format(tag=known["etag"], time=known["last-modified"]) for name, form in headers.items()}

        assert server.get(target, sent).status == status

    @pytest.mark.parametrize("target", [RESULT, ORIGINAL, "/photo.jpg!auto"])
    def test_not_modified(self, server: ImgbangServer, target: str) -> None:
        """A 304 repeats what caches update (15.4.5), and has neither a body nor anything that describes one."""
        full = server.get(target).headers

        reply = server.get(target, {"If-None-Match": full["etag"]})

        assert reply.status == 304
        assert reply.body == b""
        assert "date" in reply.headers
        for name in (
            "etag",
            "last-modified",
            "cache-control",
            "cdn-cache-control",
            "vary",
            "cache-tag",
            "surrogate-key",
        ):
            assert reply.headers.get(name) == full.get(name), name
        assert not {"content-type", "content-length", "content-disposition", "transfer-encoding"} & set(reply.headers)

    def test_missing_is_missing(self, server: ImgbangServer) -> None:
        """A condition does not bring back what does not exist."""
        assert server.get("/nope.jpg!thumb", {"If-None-Match": "*"}).status == 404
        assert server.get("/nope.jpg", {"If-None-Match": "*"}).status == 404


HEAD_TARGETS = [
    "/",
    "/photo.jpg",
    "/photo.jpg!thumb",
    "/photo.jpg!small",
    "/photo.jpg!auto",
    "/photo.jpg!50x50",
    "/photo.jpg!thumb?v=1",
    "/photo.jpg?attname=cat.jpg",
    "/turned.jpg!small",
    "/alpha.png",
    "/alpha.png!thumb",
    "/animated.gif!thumb",
    "/photo.webp!auto",
    "/albums/2026/bah%C3%ADa%20al%20amanecer.jpg",
    "/albums/2026/bah%C3%ADa%20al%20amanecer.jpg!large",
    "/looks!thumb",
    "/page.jpg",
    "/page.jpg!thumb",
    "/truncated.jpg!thumb",
    "/nope.jpg",
    "/nope.jpg!thumb",
    "/photo.jpg!thmb",
    "/photo.jpg!77x77",
    "/a/../b.jpg",
    "/-/live",
    "/-/ready",
    "/-/nothing",
]


@pytest.mark.parametrize("target", HEAD_TARGETS)
def test_head(server: ImgbangServer, target: str) -> None:
    """HEAD says all that GET says, Content-Length included, and sends no body."""
    server.get(target)  # warm: both of the next are hits
    full = server.get(target)

    request = f"HEAD {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    head, _, body = server.raw(request.encode()).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    assert body == b""
    assert int(status.split()[1]) == full.status
    assert headers["content-length"] == str(len(full.body))
    changing = {"date", "server-timing", "x-request-id", "connection"}
    assert {n: v for n, v in headers.items() if n not in changing} == {
        n: v for n, v in full.headers.items() if n not in changing
    }


def test_head_of_a_cold_result(server: ImgbangServer) -> None:
    """HEAD of what was never rendered tells the length that the GET after it has."""
    head = server.get("/photo.webp!large", method="HEAD")

    assert head.status == 200
    assert int(head.headers["content-length"]) == len(server.get("/photo.webp!large").body) > 0


class TestRanges:
    """RFC 9110 section 14."""

    @BOTH
    @pytest.mark.parametrize(
        ("span", "first", "end"),
        [("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=100-", 100, None), ("bytes=-7", -7, None), ("BYTES=0-9", 0, 10), ("bytes=5-99999999", 5, None), ("bytes=-99999999", 0, None)],
    )  # fmt: skip
    def test_one(self, server: ImgbangServer, target: str, span: str, first: int, end: int | None) -> None:
        """One range is answered with exactly those bytes."""
        whole = server.get(target)

        part = server.get(target, {"Range": span})

        size = len(whole.body)
        begin = first if first >= 0 else size + first
        assert part.status == 206
        assert part.body == whole.body[begin:end]
        assert part.headers["content-range"] == f"bytes {begin}-{begin + len(part.body) - 1}/{size}"
        assert part.headers["etag"] == whole.headers["etag"]
        assert part.headers["content-type"] == whole.headers["content-type"]
        assert part.headers["cache-control"] == whole.headers["cache-control"]

    @BOTH
    @pytest.mark.parametrize(
        "span",
        [
            "bytes=0-1,5-6",
            "bytes=9-5",
            "bytes=-",
            "bytes=a-b",
            "lines=0-5",
            "0-5",
            "bytes=0-" + "9" * 5000,
            "bytes=٣-٤",
        ],
    )
    def test_ignored(self, server: ImgbangServer, target: str, span: str) -> None:
        """Several ranges, other units and junk are ignored: the whole is a correct answer."""
        whole = server.get(target)

        reply = server.get(target, {"Range": span.encode()})  # type: ignore[dict-item]

        assert (reply.status, reply.body) == (200, whole.body)
        assert reply.headers["accept-ranges"] == "bytes"

    @BOTH
    @pytest.mark.parametrize("span", ["bytes=99999999-", "bytes=99999999-999999999", "bytes=-0"])
    def test_beyond_the_end(self, server: ImgbangServer, target: str, span: str) -> None:
        """A range outside of the representation is 416 and tells the size."""
        size = len(server.get(target).body)

        reply = server.get(target, {"Range": span})

        assert reply.status == 416
        assert reply.headers["content-range"] == f"bytes */{size}"

    @BOTH
    def test_only_for_get(self, server: ImgbangServer, target: str) -> None:
        """HEAD knows no ranges (14.2)."""
        for span in ("bytes=0-1", "bytes=99999999-"):
            reply = server.get(target, {"Range": span}, method="HEAD")
            assert reply.status == 200
            assert reply.headers["content-length"] == str(len(server.get(target).body))

    @BOTH
    @pytest.mark.parametrize(
        ("form", "status"),
        [
            ("{tag}", 206),
            ("W/{tag}", 200),
            ('"x"', 200),
            ("{time}", 206),
            (LONG_AGO, 200),
            (FAR_AHEAD, 200),
            ("junk", 200),
        ],
    )
    def test_if_range(self, server: ImgbangServer, target: str, form: str, status: int) -> None:
        """If-Range compares strongly: anything but the very tag or the very date means the whole."""
        known = server.get(target).headers

        reply = server.get(
            target,
            {"Range": "bytes=0-9", "If-Range": form.format(tag=known["etag"], time=known["last-modified"])},
        )

        assert reply.status == status

    @BOTH
    def test_not_modified_wins(self, server: ImgbangServer, target: str) -> None:
        """Conditions come before ranges."""
        tag = server.get(target).headers["etag"]

        assert server.get(target, {"Range": "bytes=0-9", "If-None-Match": tag}).status == 304


CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
ACCEPTS = [
    (CHROME, "image/avif"),
    ("image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", "image/avif"),  # Firefox 128
    ("image/avif,image/webp,*/*", "image/avif"),  # Firefox 92
    ("image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", "image/avif"),  # Safari 17
    ("image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", "image/webp"),  # Safari 14
    ("image/webp,image/apng,image/*,*/*;q=0.8", "image/webp"),  # Chrome 80
    ("image/webp,*/*", "image/webp"),  # Firefox 65
    ("image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", "image/jpeg"),  # Safari 13
    ("image/png, image/svg+xml, image/jxr, image/*;q=0.8, */*;q=0.5", "image/jpeg"),  # Internet Explorer 11
    ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7", "image/avif"),  # Chrome, typed into the address bar
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "image/jpeg"),  # Safari, likewise
    ("*/*", "image/jpeg"),
    ("image/*", "image/jpeg"),
    ("", "image/jpeg"),
    ("image/avif;q=0, image/webp", "image/webp"),
    ("image/avif;q=0.1, image/webp;q=0.9", "image/webp"),
    ("image/webp;q=0", "image/jpeg"),
    ("junk;;;,,/", "image/jpeg"),
]  # fmt: skip


@pytest.mark.parametrize(("accept", "expected"), ACCEPTS)
def test_negotiation(server: ImgbangServer, accept: str, expected: str) -> None:
    """`format = "auto"` gives each browser the smallest format that it names, and says that Accept matters."""
    reply = server.get("/photo.jpg!auto", {"Accept": accept})

    assert reply.headers["content-type"] == expected
    assert reply.headers["vary"] == "Accept"
    assert decoded(reply.body).get_format_mimetype() == expected


def test_no_accept_header(server: ImgbangServer) -> None:
    """Whoever sends no Accept gets what everybody can read."""
    assert server.get("/photo.jpg!auto").headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("target", [RESULT, ORIGINAL, "/photo.jpg!50x50", "/", "/nope.jpg"])
def test_vary_only_where_negotiated(server: ImgbangServer, target: str) -> None:
    """What is the same for everybody does not split caches."""
    plain, modern = server.get(target), server.get(target, {"Accept": CHROME})

    assert "vary" not in modern.headers
    assert plain.headers.get("content-type") == modern.headers.get("content-type")


class TestCaching:
    """How long answers may be kept, and by whom."""

    STALE = "stale-while-revalidate=60, stale-if-error=86400"
    WEEK = "public, max-age=604800, stale-while-revalidate=60, stale-if-error=0"

    @pytest.mark.parametrize(
        ("target", "browsers", "cdns"),
        [
            (RESULT, f"public, max-age=3600, {STALE}", f"public, max-age=86400, {STALE}"),
            (ORIGINAL, f"public, max-age=3600, {STALE}", f"public, max-age=86400, {STALE}"),
            ("/photo.jpg!week", WEEK, WEEK),
            ("/photo.jpg!forever", "public, max-age=31536000, immutable", None),
            ("/photo.jpg!secret", "no-store", None),
            ("/photo.jpg!thumb?v=2", "public, max-age=31536000, immutable", None),
            ("/photo.jpg?v=abc", "public, max-age=31536000, immutable", None),
            ("/photo.jpg!thumb?v=", f"public, max-age=3600, {STALE}", f"public, max-age=86400, {STALE}"),
            ("/photo.jpg!secret?v=2", "no-store", None),
            ("/photo.jpg!thumb?x=1", f"public, max-age=3600, {STALE}", f"public, max-age=86400, {STALE}"),
        ],
    )  # fmt: skip
    def test_policies(self, rich: ImgbangServer, target: str, browsers: str, cdns: str | None) -> None:
        """The preset's policy, else the settings'; a version token means a year."""
        headers = rich.get(target).headers

        assert headers["cache-control"] == browsers
        assert headers.get("cdn-cache-control") == cdns

    @BOTH
    @pytest.mark.parametrize("asked", ["no-cache", "no-store", "max-age=0", "only-if-cached"])
    def test_clients_change_nothing(self, server: ImgbangServer, target: str, asked: str) -> None:
        """A client's own Cache-Control neither renders again nor changes what others may keep."""
        full = server.get(target)
        server.wait_quiet()
        renders = server.metric("imgbang_renders_total")

        reply = server.get(target, {"Cache-Control": asked, "Pragma": "no-cache"})

        assert (reply.status, reply.body) == (200, full.body)
        assert reply.headers["cache-control"] == full.headers["cache-control"]
        assert server.metric("imgbang_renders_total") == renders

    def test_cache_status(self, rich: ImgbangServer) -> None:
        """Cache-Status (RFC 9211) tells a miss from a hit."""
        target = "/photo.jpg!webp"
        first, again = rich.get(target), rich.get(target)
        confirmed = rich.get(target, {"If-None-Match": first.headers["etag"]})

        assert first.headers["cache-status"] == "imgbang; fwd=miss; stored; detail=rendered"
        assert again.headers["cache-status"] == "imgbang; hit; detail=memory"
        assert confirmed.headers["cache-status"] == "imgbang; hit; detail=known-304"
        assert rich.get(ORIGINAL).headers["cache-status"] == "imgbang; fwd=bypass; detail=original"

    def test_server_timing(self, rich: ImgbangServer) -> None:
        """Server-Timing names the stages that took place."""
        cold = rich.get("/turned.jpg!webp").headers["server-timing"]

        assert {part.partition(";")[0] for part in cold.split(", ")} >= {"find", "fetch", "queue", "render"}
        assert rich.get("/turned.jpg!webp").headers["server-timing"].startswith("find;dur=")
        assert rich.get(ORIGINAL).headers["server-timing"].startswith("open;dur=")

    def test_tags(self, server: ImgbangServer) -> None:
        """All answers of one original share a tag, those of one preset another, in both dialects of CDNs."""
        result, original, other = (server.get(t).headers for t in (RESULT, ORIGINAL, "/alpha.png!thumb"))

        source, preset = result["surrogate-key"].split()
        assert result["cache-tag"] == f"{source},{preset}"
        assert original["surrogate-key"] == source
        assert other["surrogate-key"].split()[0] != source
        assert other["surrogate-key"].split()[1] == preset == "p-thumb"

    @BOTH
    def test_hardening(self, server: ImgbangServer, target: str) -> None:
        """Nothing that is served can run as a page of this origin, and anybody may embed it."""
        headers = server.get(target).headers

        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["content-security-policy"].endswith("sandbox")
        assert headers["cross-origin-resource-policy"] == "cross-origin"
        assert headers["access-control-allow-origin"] == "*"
        assert headers["content-disposition"] == 'inline; filename="photo.jpg"'
        assert headers["server"] == "imgbang"
        assert "set-cookie" not in headers

    @pytest.mark.parametrize(
        ("target", "disposition"),
        [
            ("/photo.jpg?attname=cat.jpg", 'attachment; filename="cat.jpg"'),
            ("/photo.jpg!thumb?attname=", 'attachment; filename="photo.jpg"'),
            ("/photo.webp!thumb?attname=b%C3%A4r.webp", "attachment; filename=\"b_r.webp\"; filename*=UTF-8''b%C3%A4r.webp"),
            ("/alpha.png!50x50", 'inline; filename="alpha.png"'),
        ],
    )  # fmt: skip
    def test_names(self, server: ImgbangServer, target: str, disposition: str) -> None:
        """`attname` makes a download of it."""
        assert server.get(target).headers["content-disposition"] == disposition


class TestMethods:
    """Pictures are read; everything else is refused."""

    @BOTH
    def test_options(self, server: ImgbangServer, target: str) -> None:
        """A CORS preflight is answered without looking anything up."""
        server.wait_quiet()
        calls = server.metric("imgbang_store_calls_total")

        reply = server.get(
            target, {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}, method="OPTIONS"
        )

        assert (reply.status, reply.body) == (204, b"")
        assert reply.headers["allow"] == reply.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "vary" not in reply.headers
        assert server.metric("imgbang_store_calls_total") == calls

    @BOTH
    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
    def test_others(self, server: ImgbangServer, target: str, method: str) -> None:
        """Any other method is 405, says what is allowed, and is not cached."""
        reply = server.get(target, method=method)

        assert reply.status == 405
        assert reply.headers["allow"] == "GET, HEAD, OPTIONS"
        assert reply.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize(
        ("method", "target", "allowed"),
        [
            ("POST", "/-/live", "GET,HEAD"),
            ("POST", "/", "GET,HEAD"),
            ("GET", "/-/api/purge", "POST"),
            ("OPTIONS", "/-/api/purge", "POST"),
        ],
    )
    def test_pages(self, server: ImgbangServer, method: str, target: str, allowed: str) -> None:
        """Our own pages have methods of their own."""
        reply = server.get(target, method=method)

        assert (reply.status, reply.headers["allow"]) == (405, allowed)

    def test_override_headers(self, server: ImgbangServer) -> None:
        """Headers that override a method, host or path elsewhere do nothing here (CPDoS)."""
        plain = server.get(RESULT)

        reply = server.get(
            RESULT,
            {
                "X-HTTP-Method-Override": "DELETE",
                "X-Forwarded-Host": "evil.example",
                "X-Original-URL": "/-/metrics",
                "X-Rewrite-URL": "/nope",
                "Expect": "a surprise",
                "Cookie": "a=b",
            },
        )

        assert (reply.status, reply.body) == (200, plain.body)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-123", True),
        ("Root=1-67891233-abcdef012345678912345678", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("with blank", False),
        ('quote"', False),
        ("", False),
    ],
)
@pytest.mark.parametrize("target", [RESULT, ORIGINAL, "/nope.jpg"])
def test_request_id(server: ImgbangServer, target: str, sent: str, kept: bool) -> None:
    """A harmless request id is echoed; anything else is replaced."""
    got = server.get(target, {"X-Request-Id": sent}).headers["x-request-id"]

    assert (got == sent) is kept
    assert got.isascii()
    assert len(got) >= 7


class TestStatuses:
    """Every status says whether it may be kept."""

    @pytest.mark.parametrize(
        ("status", "target", "headers", "caching"),
        [
            (200, RESULT, {}, "public, max-age=3600, stale-while-revalidate=60, stale-if-error=86400"),
            (206, RESULT, {"Range": "bytes=0-9"}, "public, max-age=3600, stale-while-revalidate=60, stale-if-error=86400"),
            (304, RESULT, {"If-None-Match": "*"}, "public, max-age=3600, stale-while-revalidate=60, stale-if-error=86400"),
            (400, "/a/../b.jpg", {}, "no-store"),
            (403, "/photo.jpg!77x77", {}, "private, no-store"),
            (404, "/nope.jpg", {}, "public, max-age=10"),
            (404, "/nope.jpg!thumb", {}, "public, max-age=10"),
            (404, "/-/nothing", {}, "no-store"),
            (412, RESULT, {"If-Match": '"x"'}, "no-store"),
            (413, "/wide.png!thumb", {}, "public, max-age=10"),
            (415, "/page.jpg!thumb", {}, "public, max-age=10"),
            (416, RESULT, {"Range": "bytes=99999999-"}, "no-store"),
            (422, "/truncated.jpg!thumb", {}, "public, max-age=10"),
        ],
    )  # fmt: skip
    def test_caching(
        self, rich: ImgbangServer, status: int, target: str, headers: dict[str, str], caching: str
    ) -> None:
        """What lies in the original may be kept for a moment, what lies in the request not at all."""
        for _ in range(2):  # the first time, and remembered
            reply = rich.get(target, headers)

            assert (reply.status, reply.headers["cache-control"]) == (status, caching)
            if status >= 400:
                assert reply.headers["content-type"] == "application/problem+json"
                assert reply.json["status"] == status
                assert reply.json["error"] == reply.json["detail"]

    def test_unauthorized(self, rich: ImgbangServer) -> None:
        """401 says how to authenticate, and is nobody's to keep."""
        reply = rich.get("/-/api/purge", method="POST", body=b"{}")

        assert (reply.status, reply.headers["cache-control"]) == (401, "private, no-store")
        assert reply.headers["www-authenticate"].startswith("Bearer ")

    def test_overloaded(self, tmp_path: Path) -> None:
        """With no queue, all that do not find a free worker are 503 at once, told when to come back, never cached."""
        server = ImgbangServer(tmp_path, env={"IMGBANG_RENDER_WORKERS": "1", "IMGBANG_RENDER_QUEUE": "0"})
        server.originals.mkdir()
        photo = encoded(coordinates(3000, 2000), "JPEG", quality=90)
        for number in range(8):
            (server.originals / f"{number}.jpg").write_bytes(photo)
        with server, ThreadPoolExecutor(8) as threads:
            replies = list(threads.map(lambda n: server.get(f"/{n}.jpg!large"), range(8)))

        refused = [reply for reply in replies if reply.status != 200]
        assert 1 <= len(refused) <= 7
        for reply in refused:
            assert (reply.status, reply.json["code"]) == (503, "overloaded")
            assert reply.headers["cache-control"] == "no-store"
            assert 1 <= int(reply.headers["retry-after"]) <= 30


@pytest.fixture(name="upstream", scope="module")
def _upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(name="fronting", scope="module")
def _fronting(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[ImgbangServer]:
    """A server whose originals are on a web server that tells little, breaks off and falls silent."""
    env = {"IMGBANG_ORIGINALS": upstream.url, "IMGBANG_HTTP_PRIVATE": "1", "IMGBANG_DEADLINE": "700ms"}
    with ImgbangServer(tmp_path_factory.mktemp("fronting"), env=env) as server:
        yield server


class TestUpstream:
    """Originals on a web server that is not ours."""

    @pytest.mark.parametrize("suffix", ["", "!thumb"])
    @pytest.mark.parametrize(
        ("name", "status", "code"),
        [("broken.jpg", 502, "origin_unavailable"), ("silent.jpg", 504, "deadline_passed"), ("nope.jpg", 404, "original_not_found")],
    )  # fmt: skip
    def test_failures(self, fronting: ImgbangServer, name: str, status: int, code: str, suffix: str) -> None:
        """A web server that fails is 502, one that is silent 504; neither is cached, and nobody learns its address."""
        reply = fronting.get(f"/{name}{suffix}")

        assert (reply.status, reply.json["code"]) == (status, code)
        assert reply.headers["cache-control"] == ("no-store" if status > 500 else "public, max-age=10")
        assert b"127.0.0.1" not in reply.body

    def test_unknown_length(self, fronting: ImgbangServer, upstream: Upstream) -> None:
        """An original of unknown length arrives whole; HEAD invents no length, and ranges are not offered."""
        full = fronting.get("/chunked.jpg")
        head = fronting.get("/chunked.jpg", method="HEAD")
        part = fronting.get("/chunked.jpg", {"Range": "bytes=0-9"})

        assert (full.status, full.body) == (200, upstream.photo)
        assert "content-length" not in full.headers | head.headers
        assert "accept-ranges" not in full.headers | head.headers
        assert (part.status, part.body) == (200, upstream.photo)

    def test_nothing_known(self, fronting: ImgbangServer) -> None:
        """Without tag and time from the web server there are none from us, and no condition on them holds."""
        full = fronting.get("/chunked.jpg")
        later = fronting.get("/chunked.jpg", {"If-Modified-Since": FAR_AHEAD})

        assert not {"etag", "last-modified"} & set(full.headers)
        assert later.status == 200

    def test_breaks_off(self, fronting: ImgbangServer) -> None:
        """An original that breaks off cuts the connection: nobody takes half of it for the whole."""
        received = fronting.raw(b"GET /half.jpg HTTP/1.1\r\nHost: a\r\n\r\n")

        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        promised = int(head.lower().partition(b"content-length: ")[2].split()[0])
        assert len(body) < promised
        assert b"HTTP/1.1" not in body

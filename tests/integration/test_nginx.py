"""Real nginx with our configuration before a whole imgbang."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from proxy.plan.signing import sign
from tests.pictures import coordinates, decoded, encoded
from tests.servers.imgbang import ImgbangServer, Reply, ask
from tests.servers.nginx import NginxServer, free_ports

pytestmark = pytest.mark.integration

TOKEN = "a token of tests, 32 characters.."
SECRET = "a secret of tests"
EXPIRED = 2.2
"""Seconds after which nginx asks again: it keeps a result for one, and counts whole seconds."""


class Site:
    """imgbang behind nginx."""

    def __init__(self, imgbang: ImgbangServer, nginx: NginxServer) -> None:
        self.imgbang = imgbang
        self.nginx = nginx
        self._number = 0

    def new_photo(self, width: int = 300, height: int = 200) -> str:
        """Put a new original into the store; its key."""
        self._number += 1
        key = f"new-{self._number}.jpg"
        (self.imgbang.originals / key).write_bytes(encoded(coordinates(width, height), "JPEG", quality=90))
        return key

    def asked(self, target: str) -> list[int]:
        """The statuses that imgbang answered to this target, in order."""
        # Its log is written late, but in order: what was asked before the mark stands before it.
        self._number += 1
        mark = f"/mark-{self._number}.jpg"
        self.imgbang.get(mark)
        deadline = time.monotonic() + 10
        while mark not in {line.get("path") for line in self.imgbang.log_lines()}:
            assert time.monotonic() < deadline, "the log never came"
            time.sleep(0.02)
        lines = self.imgbang.log_lines()
        return [int(str(line["status"])) for line in lines if line.get("path") == target and "status" in line]

    def purge(self, key: str) -> None:
        """Purge a key through imgbang's API."""
        reply = self.imgbang.get(
            "/-/api/purge",
            {"Authorization": f"Bearer {TOKEN}"},
            method="POST",
            body=json.dumps({"keys": [key]}).encode(),
        )
        assert reply.status == 200, reply.body


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("nginx")
    env = {"IMGBANG_ADMIN_TOKEN": TOKEN, "IMGBANG_SIGNING_KEYS": f"tests:{SECRET}", "IMGBANG_FRESHNESS": "1h"}
    with ImgbangServer(home / "imgbang", env=env) as imgbang, NginxServer(home / "nginx", [imgbang.port]) as nginx:
        yield Site(imgbang, nginx)


@pytest.fixture(name="own_site")
def _own_site(tmp_path: Path) -> Iterator[Site]:
    """For tests that hurt it."""
    env = {"IMGBANG_ADMIN_TOKEN": TOKEN, "IMGBANG_PORT": str(free_ports(1)[0])}
    with (
        ImgbangServer(tmp_path / "imgbang", env=env) as imgbang,
        NginxServer(tmp_path / "nginx", [imgbang.port]) as nginx,
    ):
        yield Site(imgbang, nginx)


def how(reply: Reply) -> str:
    """What nginx says about where the answer came from."""
    return reply.headers["cache-status"].rpartition("nginx; ")[2]


def test_miss_then_hit(site: Site) -> None:
    """The second answer is nginx's own: the same bytes, with an id of its own, and nothing that was meant for nginx."""
    target = f"/{site.new_photo()}!thumb"

    first, second = site.nginx.get(target), site.nginx.get(target)

    assert (how(first), how(second)) == ("fwd=uri-miss", "hit")
    assert first.status == second.status == 200
    assert first.body == second.body
    assert decoded(second.body).size == (50, 50)
    assert site.asked(target) == [200]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert not {"x-accel-expires", "server-timing"} & second.headers.keys()
    for header in ("etag", "cache-control", "cdn-cache-control", "cache-tag", "content-disposition", "last-modified"):
        assert second.headers[header] == first.headers[header]
    assert "max-age=3600" in second.headers["cache-control"]


def test_head(site: Site) -> None:
    """HEAD for what nobody has asked for yet has a GET's headers, and fills the cache."""
    target = f"/{site.new_photo()}!thumb"

    head = site.nginx.get(target, method="HEAD")
    get = site.nginx.get(target)

    assert (head.status, head.body, how(get)) == (200, b"", "hit")
    assert head.headers["content-length"] == str(len(get.body))
    assert head.headers["etag"] == get.headers["etag"]


def test_ranges(site: Site) -> None:
    """Imgbang is asked for the whole, and nginx cuts: also for the first request, and with If-Range."""
    key = site.new_photo()
    target = f"/{key}"
    whole = (site.imgbang.originals / key).read_bytes()

    first = site.nginx.get(target, {"Range": "bytes=10-19"})
    second = site.nginx.get(target, {"Range": "bytes=-7"})
    same = site.nginx.get(target, {"Range": "bytes=0-3", "If-Range": first.headers["etag"]})
    other = site.nginx.get(target, {"Range": "bytes=0-3", "If-Range": '"another"'})
    beyond = site.nginx.get(target, {"Range": "bytes=99999999-"})

    assert (first.status, first.body) == (206, whole[10:20])
    assert first.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert (second.status, second.body, how(second)) == (206, whole[-7:], "hit")
    assert (same.status, same.body) == (206, whole[:4])
    assert (other.status, other.body) == (200, whole)
    assert beyond.status == 416
    assert site.asked(target) == [200]


def test_conditions(site: Site) -> None:
    """Nginx answers conditions itself when it has the picture; a condition on a cold picture is answered, too."""
    key = site.new_photo()
    target = f"/{key}!thumb"
    whole = site.nginx.get(target)
    tag, time_of = whole.headers["etag"], whole.headers["last-modified"]

    assert site.nginx.get(target, {"If-None-Match": tag}).status == 304
    assert site.nginx.get(target, {"If-None-Match": f'"x", W/{tag}'}).status == 304
    assert site.nginx.get(target, {"If-None-Match": '"x"'}).status == 200
    assert site.nginx.get(target, {"If-Modified-Since": time_of}).status == 304
    assert site.nginx.get(target, {"If-Match": '"x"'}).status == 412
    assert site.asked(target) == [200]
    cold = site.nginx.get(f"/{key}!small", {"If-None-Match": '"x"'})
    assert (cold.status, how(cold)) == (200, "fwd=uri-miss")
    unchanged = site.nginx.get(target, {"If-None-Match": tag})
    assert unchanged.headers["cache-control"] == whole.headers["cache-control"]
    assert unchanged.headers["etag"] == tag


def test_asks_again_and_is_told_304(site: Site) -> None:
    """After its second, nginx asks whether its copy is right; no picture travels, and the copy is good for another."""
    target = f"/{site.new_photo()}!thumb"
    first = site.nginx.get(target)
    time.sleep(EXPIRED)

    again, then = site.nginx.get(target), site.nginx.get(target)

    assert how(again) == "fwd=stale; fwd-status=304"
    # nginx answers before it has noted that the copy is good: who comes in between gets the copy as "updating".
    assert how(then) in ("hit", "hit; detail=updating")
    assert again.body == then.body == first.body
    assert site.asked(target) == [200, 304]


def test_purge_reaches_nginx(site: Site) -> None:
    """A changed original after a purge, and a deleted one: nginx has neither's old picture after two seconds."""
    key = site.new_photo(300, 200)
    thumb, small = f"/{key}!thumb", f"/{key}!small"
    before = site.nginx.get(thumb), site.nginx.get(small)
    assert decoded(before[1].body).size == (300, 200)

    (site.imgbang.originals / key).write_bytes(encoded(coordinates(200, 300), "JPEG"))
    site.purge(key)
    time.sleep(EXPIRED)
    after = site.nginx.get(thumb), site.nginx.get(small)

    assert decoded(after[1].body).size == (200, 300)
    assert after[0].headers["etag"] != before[0].headers["etag"]

    (site.imgbang.originals / key).unlink()
    site.purge(key)
    time.sleep(EXPIRED)
    assert [site.nginx.get(target).status for target in (thumb, small)] == [404, 404]


def test_edit_of_presets_reaches_nginx(own_site: Site) -> None:
    """Three seconds after an edit, no answer is of the old preset, not even of a URL that was asked for before."""
    targets = [f"/{own_site.new_photo()}!thumb" for _ in range(5)]
    assert {decoded(own_site.nginx.get(target).body).width for target in targets} == {50}
    presets = own_site.imgbang.home / "presets.toml"
    edited = time.monotonic()

    presets.write_text("[presets.thumb]\nwidth = 70\n", encoding="utf-8")
    time.sleep(max(0.0, edited + 3.0 - time.monotonic()))

    assert {decoded(own_site.nginx.get(target).body).width for target in targets} == {70}


def test_missing_then_there(site: Site) -> None:
    """A 404 is kept for a moment; after an upload and a purge the picture is there within two seconds."""
    target = "/later.jpg!thumb"
    assert [site.nginx.get(target).status for _ in range(3)] == [404, 404, 404]
    assert site.asked(target) == [404]

    (site.imgbang.originals / "later.jpg").write_bytes(encoded(coordinates(60, 60), "JPEG"))
    site.purge("later.jpg")
    time.sleep(EXPIRED)

    assert site.nginx.get(target).status == 200


def test_herd(site: Site) -> None:
    """A hundred who want the same new picture: one request reaches imgbang."""
    target = f"/{site.new_photo(1500, 1500)}!large"
    with ThreadPoolExecutor(100) as pool:
        replies = list(pool.map(lambda _: site.nginx.get(target), range(100)))

    assert {reply.status for reply in replies} == {200}
    assert len({reply.body for reply in replies}) == 1
    assert site.asked(target) == [200]


def test_stale_while_imgbang_is_dead(own_site: Site) -> None:
    """What nginx has is served on, however long imgbang is away; the rest is 502 and not kept; then all is well again."""
    known, unknown = (f"/{own_site.new_photo()}!thumb" for _ in range(2))
    before = own_site.nginx.get(known)
    own_site.imgbang.stop()
    time.sleep(EXPIRED)

    stale = [own_site.nginx.get(known) for _ in range(5)]
    assert {(reply.status, reply.body) for reply in stale} == {(200, before.body)}
    assert {how(reply) for reply in stale} <= {"hit; detail=stale", "hit; detail=updating"}
    assert own_site.nginx.get(unknown).status == 502

    own_site.imgbang.start()
    deadline = time.monotonic() + 10  # three failures, and nginx leaves a replica alone for two seconds
    while (reply := own_site.nginx.get(unknown)).status != 200:
        assert time.monotonic() < deadline, reply.body
        time.sleep(0.1)
    back = own_site.nginx.get(known)
    assert (back.status, how(back)) == (200, "fwd=stale; fwd-status=304")


ACCEPTS = {"image/avif,image/webp,*/*": "image/avif", "image/webp,*/*": "image/webp", "*/*": "image/jpeg"}


def test_negotiated(site: Site) -> None:
    """One copy for each Accept header where imgbang negotiates, one copy where it does not."""
    key = site.new_photo()
    for expected in ("fwd=uri-miss", "hit"):
        for accept, media_type in ACCEPTS.items():
            reply = site.nginx.get(f"/{key}!auto", {"Accept": accept})
            assert (reply.headers["content-type"], how(reply)) == (media_type, expected)
            assert reply.headers["vary"] == "Accept"
    for number, accept in enumerate(ACCEPTS):
        reply = site.nginx.get(f"/{key}!thumb", {"Accept": accept})
        assert how(reply) == ("hit" if number else "fwd=uri-miss")
        assert "vary" not in reply.headers


def test_accept_classes(site: Site, tmp_path: Path) -> None:
    """With accept.conf, three hundred different headers make four copies at most, each of the right format."""
    chance = random.Random(7)
    key = site.new_photo()
    with NginxServer(tmp_path, [site.imgbang.port], classes=True) as nginx:
        for number in range(300):
            avif, webp = chance.random() < 0.5, chance.random() < 0.5
            kinds = ["image/avif"] * avif + ["image/webp"] * webp + ["image/avif;q=0"] * (not avif) + ["*/*;q=0.8"]
            reply = nginx.get(f"/{key}!auto", {"Accept": f"{','.join(kinds)},text/x-{number}"})
            expected = "image/avif" if avif else "image/webp" if webp else "image/jpeg"
            assert reply.headers["content-type"] == expected, kinds
            assert reply.headers["vary"] == "Accept"
        assert nginx.cached_files() <= 4
        assert how(nginx.get(f"/{key}!thumb")) == "fwd=uri-miss"
        assert len(nginx.get(f"/{key}!auto").body) > 0


CLOSED = [
    "/-/metrics",
    "/-/metrics?a=b.jpg",
    "/-/metrics/",
    "/%2d/metrics",
    "/-%2Fmetrics",
    "/-/live",
    "/-/ready",
    "/-/api/purge",
    "/-/studio",
    "/-/explain/photo.jpg!thumb",
    "/-/./metrics",
    "/x/../-/metrics",
    "/x/..%2f-/metrics",
    "/./-/metrics",
    "//-/metrics",
    "/-//metrics",
    "/-/metrics;a.jpg",
    "/-/metrics%00.jpg",
    "/-/metrics%3f.jpg",
    "/-\\metrics",
]


@pytest.mark.parametrize("target", CLOSED)
def test_closed_from_outside(site: Site, target: str) -> None:
    """However it is decorated, no page of imgbang's own is reached, and nothing about it is kept."""
    for _ in range(2):
        reply = site.nginx.get(target)
        assert reply.status in (400, 404), reply.body
        for said_inside in (b"imgbang_requests_total", b'"live"', b'"ready"', b'"fingerprint"', b"admin"):
            assert said_inside not in reply.body
    posted = site.nginx.get(target, {"Authorization": f"Bearer {TOKEN}"}, method="POST")
    assert posted.status in (400, 404, 405)


def test_for_machines_that_watch(site: Site) -> None:
    """Nginx's own life and counters stand on a port of their own, which does not serve pictures."""
    status = site.nginx.get("/status")
    assert status.status == 404
    assert ask(site.nginx.status_port, "/live").body == b"live\n"
    assert b"Active connections" in ask(site.nginx.status_port, "/status").body
    assert ask(site.nginx.status_port, "/photo.jpg!thumb").status == 404


def signed(site: Site, path: str, *, seconds: int = 60, host: str = "img.example.com:8443") -> str:
    base = f"{path}?e={int(time.time()) + seconds}"
    return f"{base}&token=tests:{sign(f'https://{host}{base}', SECRET)}"


def test_signed_urls(site: Site) -> None:
    """The signed host reaches imgbang with its port; conditions and ranges work; nothing is kept, so an end is an end."""
    host = {"Host": "img.example.com:8443"}
    target = signed(site, f"/{site.new_photo()}!thumb", seconds=3)
    copies = site.nginx.cached_files()

    whole = site.nginx.get(target, host)
    assert (whole.status, how(whole)) == (200, "fwd=bypass")
    assert site.nginx.get(target, {**host, "If-None-Match": whole.headers["etag"]}).status == 304
    part = site.nginx.get(target, {**host, "Range": "bytes=1-4"})
    assert (part.status, part.body) == (206, whole.body[1:5])
    head = site.nginx.get(target, host, method="HEAD")
    assert (head.status, head.headers["content-length"]) == (200, str(len(whole.body)))
    assert site.nginx.get(target, {"Host": "other.example.com"}).status == 401
    assert site.nginx.cached_files() == copies

    time.sleep(3.5)
    assert site.nginx.get(target, host).status == 401


def test_large_original(site: Site) -> None:
    """Twenty megabytes go through, and out of the cache, unharmed."""
    body = encoded(coordinates(64, 64), "PNG") + random.Random(1).randbytes(20 * 1024 * 1024)
    (site.imgbang.originals / "large.png").write_bytes(body)

    first, second = site.nginx.get("/large.png"), site.nginx.get("/large.png")

    assert first.body == second.body == body
    assert (how(first), how(second)) == ("fwd=uri-miss", "hit")


@pytest.mark.parametrize(
    "name", ["a b.jpg", "猫.jpg", "wow!cat.jpg", "a|b.jpg", "a+b.jpg", "100%.jpg", "a%2Fb.jpg", "q?.jpg", "a;b,c.jpg"]
)
def test_odd_keys(site: Site, name: str) -> None:
    """Keys with letters that a proxy could change mean the same original through nginx."""
    (site.imgbang.originals / name).write_bytes(encoded(coordinates(90, 80), "JPEG"))

    reply = site.nginx.get(f"/{quote(name, safe='!')}!thumb")

    assert (reply.status, decoded(reply.body).size) == (200, (50, 50))


def test_half_a_header(site: Site) -> None:
    """A client that does not come to the end of its header is sent away after five seconds."""
    with socket.create_connection(("127.0.0.1", site.nginx.port), timeout=20) as connection:
        began = time.monotonic()
        connection.sendall(b"GET /photo.jpg HTTP/1.1\r\nHost: x\r\nX-Slow:")
        try:
            said = connection.recv(1000)
        except ConnectionResetError:
            said = b""
        seconds = time.monotonic() - began
    assert said == b"" or b" 408 " in said
    assert 4 < seconds < 12


def test_log(site: Site) -> None:
    """One object a line, with the id that imgbang logs, too."""
    target = f"/{site.new_photo()}!thumb"
    reply = site.nginx.get(target, {"User-Agent": 'a "quoted" one\\'})
    deadline = time.monotonic() + 5
    while not (lines := [line for line in site.nginx.log_lines() if line["uri"] == target]):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert lines[0]["id"] == reply.headers["x-request-id"]
    assert (lines[0]["cache"], lines[0]["status"], lines[0]["agent"]) == ("MISS", "200", 'a "quoted" one\\')
    assert site.asked(target) == [200]
    assert [line["id"] for line in site.imgbang.log_lines() if line.get("path") == target] == [lines[0]["id"]]

"""Answers that come again: the same as the whole story gives, and only as long as what they rest on is true."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import HttpVersion10
from aiohttp.test_utils import make_mocked_request

from proxy.delivery.results import Stored
from proxy.plan.preset_file import read_presets
from proxy.plan.signing import sign
from proxy.web import repeats as repeating
from tests.pictures import coordinates, encoded
from tests.web.site import PRESETS, SECRET, THUMB, Site, said, site_with


@pytest.fixture(name="site")
async def _site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_with(tmp_path) as site:
        yield site


@pytest.fixture(name="stored")
async def _stored(tmp_path: Path) -> AsyncIterator[Site]:
    """A site without results in memory, whose hit in the results' directory would come again."""
    async with site_with(tmp_path, cache_bytes=0) as site:
        await site.whole(THUMB)
        await site.running.results.drain(5)
        site.running.results._recent.drop_where(lambda _: True)
        await site.whole(THUMB)
        if site.again(THUMB) is None:
            pytest.skip("files cannot be read without waiting here: hits in the directory do not come again")
        yield site


def result_in(site: Site) -> Path:
    (path,) = (site.originals.parent / "results").glob("a.jpg!*")
    return path


@pytest.mark.parametrize("target", [THUMB, f"{THUMB}?v=7", "/a.jpg!chosen", f"{THUMB}?attname=b.jpg"])
async def test_it_is_the_same_answer(site: Site, target: str) -> None:
    """Status, body and headers of a hit and of a 304; and both are counted as what they are."""
    accept = {"Accept": "image/webp,*/*"}
    first = await site.whole(target, accept)
    assert site.again(target, accept) is None, "a miss was remembered"
    hit = await site.whole(target, accept)
    conditional = {**accept, "If-None-Match": first.headers["ETag"]}
    unchanged = await site.whole(target, conditional)

    again = [site.again(target, accept), site.again(target, conditional)]

    assert [said(one) for one in again] == [said(hit), said(unchanged)]
    assert [one.status for one in again if one] == [200, 304]
    shown = site.running.metrics.exposition().decode()
    assert 'imgbang_requests_total{outcome="hit",status="200"} 2.0' in shown
    assert 'imgbang_requests_total{outcome="not-modified",status="304"} 2.0' in shown
    assert 'imgbang_results_found_total{where="memory"} 2.0' in shown
    assert again[0] is not None
    assert again[0].headers["X-Request-Id"] != hit.headers["X-Request-Id"]


async def test_a_negotiated_format_follows_the_header(site: Site) -> None:
    """What one browser takes is not given to another."""
    for accept in ("image/webp", "image/png"):
        await site.whole("/a.jpg!chosen", {"Accept": accept})
        await site.whole("/a.jpg!chosen", {"Accept": accept})

    types = [site.again("/a.jpg!chosen", {"Accept": accept}) for accept in ("image/webp", "image/png")]

    assert [one.headers["Content-Type"] for one in types if one] == ["image/webp", "image/jpeg"]
    assert site.again("/a.jpg!chosen") is None


@pytest.fixture(name="warm")
async def _warm(site: Site) -> Site:
    """A site whose hit and whose 304 would come again."""
    etag = (await site.whole(THUMB)).headers["ETag"]
    await site.whole(THUMB)
    await site.whole(THUMB, {"If-None-Match": etag})
    assert comes_again(site, etag) == [True, True]
    return site


def comes_again(site: Site, etag: str) -> list[bool]:
    return [site.again(THUMB, headers) is not None for headers in ({}, {"If-None-Match": etag})]


def etag_in(site: Site) -> str:
    again = site.again(THUMB)
    assert again is not None
    return again.headers["ETag"]


@pytest.mark.parametrize(
    ("headers", "method"),
    [
        ({"Range": "bytes=0-1"}, "GET"),
        ({"If-Match": '"x"'}, "GET"),
        ({"If-None-Match": '"x"'}, "GET"),
        ({"If-None-Match": "*"}, "GET"),
        ({"If-Modified-Since": "Thu, 26 Nov 2026 18:45:05 GMT"}, "GET"),
        ({"If-Unmodified-Since": "Thu, 26 Nov 2026 18:45:05 GMT"}, "GET"),
        ({"Expect": "100-continue"}, "GET"),
        ({}, "HEAD"),
        ({}, "DELETE"),
    ],
)
async def test_what_says_more_goes_the_whole_way(warm: Site, headers: dict[str, str], method: str) -> None:
    """Ranges, other conditions and other methods are not read here."""
    assert warm.again(THUMB, headers, method) is None


async def test_old_versions_of_http_go_the_whole_way(warm: Site) -> None:
    """HTTP/0.9 is refused there, and HTTP/1.0 has no persistent connections to be quick on."""
    request = make_mocked_request("GET", THUMB, headers={"Host": "x"}, app=warm.app, version=HttpVersion10)
    assert warm.repeats.answer(request) is None


async def test_a_connection_that_ends_goes_the_whole_way(warm: Site) -> None:
    """Its end is said in a header that is not remembered."""
    request = warm.request(THUMB)
    request._message = request._message._replace(should_close=True)
    assert warm.repeats.answer(request) is None


async def test_a_purge_ends_it(warm: Site) -> None:
    """After a purge nothing comes again; after the next look and render, it does."""
    etag = etag_in(warm)
    await warm.running.purger.key("a.jpg")
    assert comes_again(warm, etag) == [False, False]

    await warm.whole(THUMB)
    await warm.whole(THUMB)

    assert comes_again(warm, etag) == [True, True]


async def test_another_version_ends_it(warm: Site) -> None:
    """As soon as another version of the original is known, the old picture is not shown any more, nor confirmed."""
    etag = etag_in(warm)
    path = warm.originals / "a.jpg"
    path.write_bytes(encoded(coordinates(40, 60), "JPEG"))
    os.utime(path, (1, 1))
    await warm.running.purger.freshness.look("a.jpg")
    assert comes_again(warm, etag) == [False, False]

    await warm.whole(THUMB)
    await warm.whole(THUMB)

    assert comes_again(warm, etag) == [True, False]
    assert etag_in(warm) != etag


async def test_the_end_of_freshness_ends_it(warm: Site) -> None:
    """When nobody has looked at the original for so long, the next request must see to that."""
    etag = etag_in(warm)
    warm.running.purger.freshness._clock = lambda: time.monotonic() + 3601
    assert comes_again(warm, etag) == [False, False]


async def test_new_presets_end_it(warm: Site) -> None:
    """Whatever has been edited: the URL is read anew."""
    etag = etag_in(warm)
    warm.running.book.replace(read_presets(PRESETS.replace("width = 20", "width = 30")))
    assert comes_again(warm, etag) == [False, False]


async def test_what_memory_has_lost_goes_the_whole_way(warm: Site) -> None:
    """The bytes are memory's, and its limit counts; that nothing changed can be said without them."""
    etag = etag_in(warm)
    await warm.running.results._memory.delete_where(lambda _: True)
    assert comes_again(warm, etag) == [False, True]


async def test_a_stored_answer_is_the_same(stored: Site) -> None:
    """Without memory, a hit in the directory comes again as the whole story gives it; its bytes are not kept here."""
    whole = await stored.whole(THUMB)

    assert said(stored.again(THUMB)) == said(whole)
    assert "detail=store" in whole.headers["Cache-Status"]
    (kept,) = (one.result for one in stored.repeats._answered.values() if one.result)
    assert isinstance(kept, Stored)
    assert kept.outline.body == b""


@pytest.mark.parametrize("damage", ["body", "label", "gone"])
async def test_a_stored_answer_is_verified(stored: Site, damage: str) -> None:
    """Bytes that are not whole, another label, or nothing: it goes the whole way."""
    path = result_in(stored)
    sidecar, before = path.parent / ".meta" / path.name, path.stat()
    if damage == "body":
        path.write_bytes(bytes(before.st_size))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif damage == "label":
        sidecar.write_text(sidecar.read_text().replace('"width": "20"', '"width": "21"'))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # nobody writes a label without its body
    else:
        path.unlink()

    assert stored.again(THUMB) is None


async def test_what_ends_a_stored_answer(stored: Site) -> None:
    """A purge, and another version of the original, as in memory."""
    stored.running.purger.freshness.forget_where(lambda _: True)
    assert stored.again(THUMB) is None

    path = stored.originals / "a.jpg"
    path.write_bytes(encoded(coordinates(40, 60), "JPEG"))
    os.utime(path, (1, 1))
    await stored.running.purger.freshness.look("a.jpg")
    assert stored.again(THUMB) is None


async def test_what_was_made_anew_goes_before_what_is_stored(stored: Site) -> None:
    """While a newer result is being saved, the stored one is the older."""
    answered = next(iter(stored.repeats._answered.values()))
    assert isinstance(answered.result, Stored)
    stored.running.results._recent.hold(result_in(stored).name, answered.result.outline)

    assert stored.again(THUMB) is None


async def test_a_server_that_stops_says_goodbye(warm: Site) -> None:
    """Which is said on the whole way."""
    etag = etag_in(warm)
    warm.running.grace.begin()
    assert comes_again(warm, etag) == [False, False]


async def test_marks_go_the_whole_way(site: Site) -> None:
    """The image of a mark has a version of its own."""
    for _ in range(3):
        assert (await site.whole("/a.jpg!marked")).status == 200
    assert site.again("/a.jpg!marked") is None


async def test_signed_answers_go_the_whole_way(site: Site) -> None:
    """They end when their signature does."""
    target = f"{THUMB}?e={int(time.time()) + 600}"
    target += f"&token=tests:{sign(f'http://x{target}', SECRET)}"
    for _ in range(3):
        assert (await site.whole(target)).status == 200
    assert site.again(target) is None


async def test_strangers_cannot_fill_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many answers, the latest; and none under a name that a stranger made long."""
    monkeypatch.setattr(repeating, "MOST_REMEMBERED", 3)
    targets = [f"{THUMB}?v={number}" for number in range(5)]
    for target in (*targets, *targets):
        await site.whole(target)
    for _ in range(2):
        await site.whole(THUMB, {"Accept": "image/webp," * 60})

    assert [site.again(target) is not None for target in targets] == [False, False, True, True, True]
    assert len(site.repeats._answered) == 3

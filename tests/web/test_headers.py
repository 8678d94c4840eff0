"""How long answers may be kept, and what they are called."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from proxy.plan.plan import CachePolicy
from proxy.web.headers import CacheDefaults, cache_headers, disposition, file_name, negative_headers, tag_headers

DEFAULTS = CacheDefaults(max_age=3600, cdn_max_age=86400, stale_while_revalidate=60, stale_if_error=600, negative=10)
NGINX = replace(DEFAULTS, nginx=2)


def test_defaults() -> None:
    """Without a policy the settings count, and caches that a purge reaches may keep it longer."""
    assert cache_headers(CachePolicy(), DEFAULTS, versioned=False) == {
        "Cache-Control": "public, max-age=3600, stale-while-revalidate=60, stale-if-error=600",
        "CDN-Cache-Control": "public, max-age=86400, stale-while-revalidate=60, stale-if-error=600",
    }


def test_preset_policy() -> None:
    """A preset's own times win, in both headers."""
    policy = CachePolicy(max_age=604800, stale_while_revalidate=5, stale_if_error=0)

    headers = cache_headers(policy, DEFAULTS, versioned=False)

    assert headers["Cache-Control"] == "public, max-age=604800, stale-while-revalidate=5, stale-if-error=0"
    assert headers["CDN-Cache-Control"].startswith("public, max-age=604800")


def test_versioned() -> None:
    """A URL with a version token may be kept for a year and never asked about again."""
    assert cache_headers(CachePolicy(), DEFAULTS, versioned=True) == {
        "Cache-Control": "public, max-age=31536000, immutable"
    }


def test_no_store_wins() -> None:
    """A preset that must not be stored is not, whatever the URL promises."""
    assert cache_headers(CachePolicy(max_age=0, no_store=True), DEFAULTS, versioned=True) == {
        "Cache-Control": "no-store"
    }


def test_negative_caching_can_be_off() -> None:
    """Without negative caching, errors are not stored at all."""
    off = CacheDefaults(max_age=1, cdn_max_age=0, stale_while_revalidate=0, stale_if_error=0, negative=0)

    assert negative_headers(off) == {"Cache-Control": "no-store"}
    assert "CDN-Cache-Control" not in cache_headers(CachePolicy(), off, versioned=False)


@pytest.mark.parametrize(
    ("policy", "versioned", "expected"),
    [
        (CachePolicy(), False, "2"),
        (CachePolicy(max_age=1), False, "1"),
        (CachePolicy(max_age=0), False, "0"),
        (CachePolicy(), True, "2"),
        (CachePolicy(immutable=True), False, "2"),
        (CachePolicy(no_store=True), True, None),
    ],
)
def test_nginx_asks_again_soon(policy: CachePolicy, versioned: bool, expected: str | None) -> None:
    """Nginx asks again after its own time, however long a browser may keep the answer; never later than a browser."""
    assert cache_headers(policy, NGINX, versioned=versioned).get("X-Accel-Expires") == expected
    assert negative_headers(NGINX)["X-Accel-Expires"] == "2"


def test_nginx_keeps_nothing_signed() -> None:
    """Nginx serves stale answers when nobody answers it: none of them may have been to a signed URL."""
    assert "X-Accel-Expires" not in cache_headers(CachePolicy(), NGINX, versioned=False, until=int(time.time()) + 9)
    assert "X-Accel-Expires" not in cache_headers(CachePolicy(), DEFAULTS, versioned=False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat.jpg", 'inline; filename="cat.jpg"'),
        ("bahía.jpg", "inline; filename=\"bah_a.jpg\"; filename*=UTF-8''bah%C3%ADa.jpg"),
        ('a"b\\c.jpg', "inline; filename=\"a_b_c.jpg\"; filename*=UTF-8''a%22b%5Cc.jpg"),
        ("a\r\nSet-Cookie: x", "inline; filename=\"a__Set-Cookie_ x\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x"),
    ],
)
def test_disposition(name: str, expected: str) -> None:
    """A file name can break out of its header neither by quotes nor by line ends (RFC 6266, RFC 8187)."""
    assert disposition("inline", name) == expected


@pytest.mark.parametrize(
    ("key", "extension", "expected"),
    [
        ("a/b/cat.jpg", None, "cat.jpg"),
        ("a/cat.jpg", "webp", "cat.webp"),
        ("cat.JPG", "jpg", "cat.JPG"),
        ("cat", "png", "cat.png"),
        (".hidden", "png", ".hidden.png"),
    ],
)
def test_file_names(key: str, extension: str | None, expected: str) -> None:
    """A result is called like its original, with the extension of what it is."""
    assert file_name(key, extension) == expected


def test_tags_are_ascii() -> None:
    """Cache tags survive any key and preset name."""
    tags = tag_headers("bahía/über, all.jpg", ("größe", "a,b"))

    assert all(value.isascii() for value in tags.values())
    assert len(tags["Surrogate-Key"].split()) == len(tags["Cache-Tag"].split(",")) == 3


def test_signed_answers_end_with_their_signature() -> None:
    """Whatever is kept of an answer to a signed URL does not outlive the signature, not even as stale."""
    soon = int(time.time()) + 100

    headers = cache_headers(CachePolicy(), DEFAULTS, versioned=True, until=soon)

    assert set(headers) == {"Cache-Control"}
    assert headers["Cache-Control"] in {"public, max-age=100", "public, max-age=99"}
    assert cache_headers(CachePolicy(max_age=5), DEFAULTS, versioned=False, until=soon)["Cache-Control"].endswith("=5")

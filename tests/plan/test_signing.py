"""Signed URLs."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from proxy.errors import Unauthorized
from proxy.plan.signing import may_save, sign, signed_until

KEYS = {"abcdefghklmnopq": "1234567890", "AK": "MY_SECRET_KEY"}


@pytest.mark.parametrize(
    ("url", "secret", "signature"),
    [
        ("http://www.qiniu.com?go=1&e=1234571490", "1234567890", "8vzBeLZ9W3E4kbBLFLW0Xe0u7v4="),
        (
            "http://img.example.com/a.jpg?imageView2/2/w/200&e=1893456000",
            "MY_SECRET_KEY",
            "8gFEx1FBQiufWqpMpL6HowcJHyg=",
        ),
        ("http://img.example.com/a.jpg-small?e=1893456000", "MY_SECRET_KEY", "f0Ra9eWHRnjMR_zLb5jwwtycqOo="),
    ],
)
def test_signatures_are_those_of_the_vendor(url: str, secret: str, signature: str) -> None:
    """The values that the vendor's libraries compute."""
    assert sign(url, secret) == signature


def test_vendor_example_is_valid_until_its_end() -> None:
    """The example of the vendor's libraries passes before its end, and not after."""
    target = "/?go=1&e=1234571490&token=abcdefghklmnopq:8vzBeLZ9W3E4kbBLFLW0Xe0u7v4="

    assert signed_until(target, "www.qiniu.com", KEYS, 1234571490)
    with pytest.raises(Unauthorized, match="expired"):
        signed_until(target, "www.qiniu.com", KEYS, 1234571491)


SAVING = "/a.jpg?imageView2/2/w/200|saveas/Ymt0OmEtMjAwLmpwZw=="


def test_saving_needs_its_own_signature() -> None:
    """The value that the vendor's rule comes to; with the bar escaped or not; for no other picture."""
    token = "AK:lZs3G8pd-C49Bol6c--d0MOJsfM="

    assert may_save(f"{SAVING}/sign/{token}", "img.example.com", KEYS)
    assert may_save(f"{SAVING}/sign/{token}".replace("|", "%7C"), "img.example.com", KEYS)
    assert not may_save("/a.jpg?imageView2/2/w/200", "img.example.com", KEYS)
    for target in (
        f"{SAVING}/sign/AK:AAAA",
        f"{SAVING}/sign/other:x",
        f"{SAVING}/sign/{token}".replace("200|", "201|"),
    ):
        with pytest.raises(Unauthorized):
            may_save(target, "img.example.com", KEYS)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("digest", ["sha1", "sha256"])
@pytest.mark.parametrize("escape", [False, True])
def test_both_schemes_and_digests(scheme: str, digest: str, escape: bool) -> None:
    """The scheme is not known behind a proxy; a token may be percent-encoded."""
    target = "/a%20b.jpg!small?imageView2/2/w/200%7CimageInfo&e=2000"
    token = "AK:" + sign(f"{scheme}://img.example.com{target}", "MY_SECRET_KEY", digest)

    assert signed_until(f"{target}&token={quote(token, safe='') if escape else token}", "img.example.com", KEYS, 1999)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("/a.jpg?e=2000&token=AK:AAAA", "auth failed"),
        ("/a.jpg?e=2000&token=other:8vzBeLZ9W3E4kbBLFLW0Xe0u7v4=", "auth failed"),
        ("/a.jpg?e=2000&token=", "auth failed"),
        ("/a.jpg?e=2000&token=AK:%ff%fe", "auth failed"),
        ("/a.jpg?token=AK:8vzBeLZ9W3E4kbBLFLW0Xe0u7v4=", "needs an end"),
        ("/a.jpg?e=2000&token=AK:8vzBeLZ9W3E4kbBLFLW0Xe0u7v4=&v=3", "must be the last parameter"),
    ],
)
def test_bad_tokens_are_refused(target: str, says: str) -> None:
    """A token that is there must be right: the page meant to sign."""
    with pytest.raises(Unauthorized, match=says):
        signed_until(target, "img.example.com", KEYS, 1000)


def test_without_keys_tokens_mean_nothing() -> None:
    """Links with tokens survive a move to a service that checks none."""
    assert not signed_until("/a.jpg?e=2000&token=AK:AAAA", "img.example.com", {}, 1000)


def test_without_token_nothing_signed_until() -> None:
    """A token in the key or another parameter is none."""
    assert not signed_until("/token=3.jpg?e=2000", "img.example.com", KEYS, 1000)

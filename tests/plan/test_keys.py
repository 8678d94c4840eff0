"""Keys: one decoding, strict, and back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import InvalidKey
from proxy.plan.keys import MAX_KEY_BYTES, check_key, decode_key, encode_key


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ("photos/cat.jpg", "photos/cat.jpg"),
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("a%2fb", "a/b"),
        ("a%252fb", "a%2fb"),
        ("caf%c3%a9", "café"),
        ("cafe%cc%81", "cafe\u0301"),
        ("café", "café"),
        ("caf\udcc3\udca9", "café"),
        ("...", "..."),
        ("a/.b/c..", "a/.b/c.."),
    ],
)
def test_raw_path_means_key(raw: str, key: str) -> None:
    """A path is decoded once, as UTF-8, and not normalised."""
    assert decode_key(raw) == key


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("", "the key is empty"),
        ("%", "bad percent escape '%'"),
        ("a%g1b", "bad percent escape '%g1'"),
        ("%ff", "is not valid UTF-8"),
        ("%ed%a0%80", "is not valid UTF-8"),
        ("\ud800", "is not valid UTF-8"),
        ("raw \udcff byte", "is not valid UTF-8"),
        ("a%0ab", "control character U+000A"),
        ("a\\b", "a backslash"),
        ("..", "the segment '..'"),
        ("a/%2e/b", "the segment '.'"),
        ("a//b", "an empty segment"),
        ("/a", "begins with a slash"),
        ("a%2f", "ends with a slash"),
        ("a?b", "must be written as %3F"),
        ("-/live", "reserved"),
        ("é" * 513, "1026 bytes long; at most 1024"),
    ],
)
def test_raw_path_is_refused(raw: str, says: str) -> None:
    """What no store may hold is refused, and the message names the reason."""
    with pytest.raises(InvalidKey) as caught:
        decode_key(raw)

    assert says in caught.value.message


def test_message_shows_a_long_key_cut() -> None:
    """A hostile key does not fill the log."""
    with pytest.raises(InvalidKey) as caught:
        check_key("x" * 100_000)

    assert len(caught.value.message) < 200


def test_half_a_surrogate_pair_is_no_key() -> None:
    """Keys from other doors than HTTP are checked for Unicode, too."""
    with pytest.raises(InvalidKey, match="surrogate"):
        check_key("a\ud800b")


def test_separators_are_escaped() -> None:
    """An encoded key never splits at `!`: the escaped form asks for the key as it stands."""
    assert encode_key("a!b/c@d é") == "a%21b/c%40d%20%C3%A9"


RAW = st.text(max_size=60) | st.lists(
    st.sampled_from(
        ["a", "/", ".", "..", "%2e", "%2F", "%00", "%5c", "%c3%a9", "%ff", "%25", "%", "é", "+", "-", "\\"]
    ),
    max_size=12,
).map("".join)


@settings(max_examples=1500, deadline=None)
@given(RAW)
def test_accepted_keys_keep_the_rules(raw: str) -> None:
    """Whatever is accepted is a key under every rule, and its encoded form gives it back."""
    try:
        key = decode_key(raw)
    except InvalidKey:
        return

    assert not {"", ".", ".."} & set(key.split("/"))
    assert not any(ord(character) < 0x20 or character in "\x7f\\" for character in key)
    assert len(key.encode()) <= MAX_KEY_BYTES
    assert decode_key(encode_key(key)) == key


@settings(max_examples=600, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_different_keys_have_different_paths(one: str, other: str) -> None:
    """Encoding merges nothing: two keys share a path only if they are one key."""
    try:
        paths = encode_key(one), encode_key(other)
    except InvalidKey:
        return

    assert (one == other) == (paths[0] == paths[1])


def test_decoding_is_fast() -> None:
    """Every request pays for it: far below 50 microseconds."""
    started = time.perf_counter()
    for _ in range(2000):
        decode_key("photos/2024/%E7%8C%AB/cat%20picture.jpg")

    assert (time.perf_counter() - started) / 2000 < 50e-6

"""Names and metadata of results."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.delivery.result import Result, etag_of, result_base, result_name, tag_of_made
from proxy.plan.operations import Resize
from proxy.plan.output import Output, Target
from proxy.plan.plan import Plan
from proxy.stores.keys import printable_metadata
from tests.delivery.kitchen import plan_of


def result_of(body: bytes = b"pixels", *, version: str = "v1", plan: Plan | None = None) -> Result:
    etag = etag_of(version, plan or plan_of(), "vips 8")
    return Result(body, "image/jpeg", 50, 40, 1, version, 1.5, 2.5, 2.0, "vips 8", etag)


@pytest.mark.parametrize(
    ("key", "target", "extension"),
    [
        ("a.png", Target.WEBP, "webp"),
        ("a.png", Target.JPEG, "jpg"),
        ("a.PNG", Target.SOURCE, "png"),
        ("a.svg", Target.SOURCE, "img"),
        ("a", Target.SOURCE, "img"),
        ("a.jpeg", Target.PLAIN, "jpg"),
        ("a.png", Target.PLAIN, "img"),
        ("a.tar/gz", Target.SOURCE, "img"),
    ],
)
def test_name(key: str, target: Target, extension: str) -> None:
    """A result is named by its original's key, its plan's fingerprint, and what can be told of its format."""
    plan = plan_of(key, target=target)
    assert result_name(plan) == f"{key}!{plan.fingerprint}.{extension}"


@pytest.mark.parametrize("key", ["k" * 1024, "目" * 341, "d/" * 511 + "x", "é" * 432 + ".jpg"])
def test_name_of_a_long_key_fits(key: str) -> None:
    """However long the key, there is room for a prefix within the 1,024 bytes of S3."""
    name = result_name(plan_of(key))
    assert len(name.encode()) <= 1024 - 128
    assert re.search(r"![a-z2-7]{16}\.jpg\Z", name)


def test_long_keys_that_begin_alike_have_different_names() -> None:
    """Only the beginning of a long key is kept; the rest still counts."""
    assert result_name(plan_of("k" * 1000 + "a")) != result_name(plan_of("k" * 1000 + "b"))


def test_key_that_looks_like_a_shortened_one() -> None:
    """The attack: an upload under the shortened name of another original, to share its results."""
    long = "k" * 1000
    assert result_base(result_base(long)) != result_base(long)


@given(st.lists(st.text(st.sampled_from("ab!~0é"), min_size=1, max_size=12), min_size=2, max_size=2, unique=True))
def test_bases_are_never_equal(keys: list[str]) -> None:
    """No two keys share the name of a result."""
    first, second = keys
    assert result_name(plan_of(first)) != result_name(plan_of(second))


def test_restored_result_is_the_saved_one() -> None:
    """What is stored beside the bytes is enough to rebuild the value."""
    result, plan = result_of(), plan_of()
    assert Result.restore(plan, result.body, "image/jpeg", printable_metadata(result.metadata(plan))) == result


@pytest.mark.parametrize(
    "change",
    [
        {"bytes": "7"},
        {"crc32": "00000000"},
        {"crc32": "junk"},
        {"width": "wide"},
        {"seen": "nan"},
        {"modified": "inf"},
        {"version": None},
        {"seen": None},
    ],
)
def test_damaged_metadata_is_refused(change: dict[str, str | None]) -> None:
    """A result that does not say what it is must be rendered again."""
    result, plan = result_of(), plan_of()
    metadata = {name: value for name, value in {**result.metadata(plan), **change}.items() if value is not None}
    assert Result.restore(plan, result.body, "image/jpeg", metadata) is None


@pytest.mark.parametrize("body", [b"", b"pixel", b"pixels and more", b"pixelS"])
def test_damaged_body_is_refused(body: bytes) -> None:
    """Truncated, padded or changed bytes are noticed."""
    plan = plan_of()
    assert Result.restore(plan, body, "image/jpeg", result_of().metadata(plan)) is None


@pytest.mark.parametrize("media_type", [None, "", "text/html", "application/octet-stream"])
def test_what_is_no_picture_is_refused(media_type: str | None) -> None:
    """A stored result can never become a page of this origin."""
    plan = plan_of()
    assert Result.restore(plan, b"pixels", media_type, result_of().metadata(plan)) is None


def test_metadata_fits_into_s3() -> None:
    """S3 refuses more than 2 KB of names and values; the longest plan, presets and version stay below that."""
    plan = replace(
        plan_of("a.jpg"), operations=tuple(Resize(width) for width in range(1, 400)), presets=("图" * 64,) * 50
    )
    metadata = printable_metadata(result_of(version="v" * 256).metadata(plan))
    assert sum(len(name) + len(value) for name, value in metadata.items()) < 2048
    assert all(value.isascii() for value in metadata.values())


def test_etag_follows_from_what_determines_the_bytes() -> None:
    """Another version, plan, target or renderer is another representation; nothing else is."""
    plan = plan_of()
    tags = {
        etag_of("v1", plan, "vips 8"),
        etag_of("v2", plan, "vips 8"),
        etag_of("v1", plan_of(width=51), "vips 8"),
        etag_of("v1", replace(plan, output=Output(Target.WEBP)), "vips 8"),
        etag_of("v1", plan, "vips 9"),
    }
    assert len(tags) == 5
    assert etag_of("v1", replace(plan, presets=("thumb",), negotiated=True), "vips 8") in tags
    assert all(re.fullmatch(r'"[a-z2-7]{24}"', tag) for tag in tags)


def test_etag_of_a_format_that_gave_way() -> None:
    """A still that is not of the format that was negotiated has a tag of its own; what moves, and the rest, has not."""
    negotiated = replace(plan_of(), output=Output(Target.AVIF, animated=Target.WEBP))
    named = replace(plan_of(), output=Output(Target.JPEG))

    def tag(plan: Plan, media_type: str, frames: int = 1) -> str:
        return tag_of_made("v1", plan, "vips 8", media_type=media_type, frames=frames)

    usual = etag_of("v1", negotiated, "vips 8")
    assert tag(negotiated, "image/avif") == tag(negotiated, "image/webp", frames=2) == usual
    assert len({usual, tag(negotiated, "image/jpeg"), tag(negotiated, "image/webp")}) == 3
    assert tag(named, "image/png") == etag_of("v1", named, "vips 8")


def test_what_gave_way_is_restored_with_its_tag() -> None:
    """A stored result answers with the tag that it was made with."""
    plan = replace(plan_of(), output=Output(Target.AVIF, animated=Target.PLAIN))
    tag = tag_of_made("v1", plan, "vips 8", media_type="image/jpeg", frames=1)
    made = replace(result_of(version="v1"), renderer="vips 8", frames=1, etag=tag)

    restored = Result.restore(plan, made.body, "image/jpeg", made.metadata(plan))

    assert restored is not None
    assert restored.etag == tag != etag_of("v1", plan, "vips 8")

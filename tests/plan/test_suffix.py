"""The suffix grammar, case by case from tests/cases/suffix.toml, and with whatever chance brings."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import errors
from proxy.errors import ProxyError
from proxy.plan.dialects import parse
from proxy.plan.keys import MAX_KEY_BYTES, encode_key
from proxy.plan.preset_file import read_presets
from proxy.plan.presets import LEGAL_SEPARATORS, Preset, PresetSnapshot
from proxy.plan.request import AskAdhoc, AskOriginal, AskPreset, ImageRequest

TABLE = tomllib.loads((Path(__file__).parents[1] / "cases" / "suffix.toml").read_text())
WORLDS = {name: read_presets(text) for name, text in TABLE["worlds"].items()}
CASES = TABLE["case"]


def told(reading: ImageRequest) -> str:
    """One reading in the words of the table."""
    match reading.asked:
        case AskPreset(preset):
            return f"preset {preset.name} of {reading.key}"
        case AskAdhoc(label=label):
            return f"box {label} of {reading.key}"
        case AskOriginal():
            return f"original {reading.key}"


def world_of(case: dict[str, Any]) -> PresetSnapshot:
    return WORLDS[case.get("world", "plain")]


@pytest.mark.parametrize("case", [case for case in CASES if "readings" in case], ids=lambda case: case["target"])
def test_target_has_these_readings(case: dict[str, Any]) -> None:
    """A target has exactly the readings of the table, in its order, and says the right thing when none exists."""
    readings = parse(case["target"], world_of(case), signed=case.get("signed", False))

    assert [told(reading) for reading in readings] == case["readings"]
    query = case.get("query", {})
    assert {reading.version_token for reading in readings} == {query.get("version_token")}
    assert {reading.attname for reading in readings} == {query.get("attname")}
    if "missing" in case:
        assert type(readings[0].not_found()).__name__ == case["missing"]
    assert case.get("says", "") in readings[0].not_found().message


@pytest.mark.parametrize("case", [case for case in CASES if "error" in case], ids=lambda case: case["target"])
def test_target_is_refused(case: dict[str, Any]) -> None:
    """A target that cannot be understood or is not allowed is refused with the class and words of the table."""
    with pytest.raises(getattr(errors, case["error"])) as caught:
        parse(case["target"], world_of(case))

    assert type(caught.value).__name__ == case["error"]
    assert case.get("says", "") in caught.value.message


def test_suffix_does_not_count_towards_the_key() -> None:
    """A key of the maximal length keeps its presets; only the reading as an original is too long then."""
    key = "k" * MAX_KEY_BYTES

    readings = parse(f"/{key}!thumb", WORLDS["plain"])

    assert [told(reading) for reading in readings] == [f"preset thumb of {key}"]


def test_key_one_byte_too_long_is_refused() -> None:
    """The limit holds for a key with a suffix as well."""
    with pytest.raises(errors.InvalidKey, match="at most 1024"):
        parse(f"/{'k' * (MAX_KEY_BYTES + 1)}!thumb", WORLDS["plain"])


@pytest.mark.parametrize("separator", sorted(set(LEGAL_SEPARATORS) - {"|", "^"}))
def test_every_legal_separator_splits(separator: str) -> None:
    """Each character that presets.toml allows works as a separator."""
    snapshot = PresetSnapshot({"thumb": Preset("thumb")}, separators=(separator,))

    readings = parse(f"/cat.jpg{separator}thumb", snapshot)

    assert told(readings[0]) == "preset thumb of cat.jpg"


def test_unknown_preset_is_explained_quickly_among_many() -> None:
    """Looking for a similar name is bounded: a scanner that guesses costs no more with 2,000 presets than with 200."""
    names = [f"preset{number:04}" for number in range(2000)]
    snapshot = PresetSnapshot({name: Preset(name) for name in names})
    readings = parse("/cat.jpg!" + "p" * 60, snapshot)

    started = time.perf_counter()
    readings[0].not_found()

    assert time.perf_counter() - started < 0.05


def test_names_are_not_listed() -> None:
    """An unknown preset's message names at most one other preset: the list is nobody's business."""
    message = parse("/cat.jpg!thumbs", WORLDS["plain"])[0].not_found().message

    assert "thumb'" in message
    assert "note" not in message


RAW = (
    st.text(max_size=80)
    | st.text("!%2165ax0/.-?&=", max_size=40)
    | st.binary(max_size=60).map(lambda data: data.decode("utf-8", "surrogateescape"))
)


@settings(max_examples=1500, deadline=None)
@given(RAW, st.sampled_from(sorted(WORLDS)), st.booleans())
def test_no_target_breaks_the_parser(raw: str, world: str, signed: bool) -> None:
    """Whatever arrives is understood or refused; there is no third outcome."""
    for target in (raw, f"/{raw}", f"/cat.jpg!{raw}", f"/cat.jpg?{raw}"):
        try:
            readings = parse(target, WORLDS[world], signed=signed)
        except ProxyError:
            continue
        assert 1 <= len(readings) <= 2
        assert isinstance(readings[0].not_found(), ProxyError)


SEGMENT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=20
).filter(lambda segment: segment not in (".", ".."))
KEYS = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join).filter(lambda key: not key.startswith("-/"))


@settings(max_examples=200, deadline=None)
@given(KEYS)
def test_every_key_is_reachable_as_it_stands(key: str) -> None:
    """The encoded form of any key has the key itself as its first reading where `!` separates."""
    readings = parse(f"/{encode_key(key)}", WORLDS["plain"])

    assert told(readings[0]) == f"original {key}"


@settings(max_examples=200, deadline=None)
@given(KEYS, st.sampled_from(["thumb", "note", "50x60", "猫"]))
def test_every_key_has_every_preset(key: str, preset: str) -> None:
    """A raw separator and a preset after any encoded key mean that preset of that key."""
    readings = parse(f"/{encode_key(key)}!{preset}", WORLDS["plain"])

    assert told(readings[0]) == f"preset {preset} of {key}"

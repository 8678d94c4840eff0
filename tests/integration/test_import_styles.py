"""`imgbang import-styles`: what vendors' calls print becomes a presets.toml that can be used as it is."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from proxy.cli.commands import app
from proxy.cli.import_styles import UnknownShape, read_bucket
from proxy.plan.preset_file import read_presets
from proxy.plan.presets import Originals

QINIU = {
    "source": "",
    "styles": {
        "small": "imageView2/2/w/200",
        "50x50": "imageView2/1/w/50/h/50|imageslim",
        "water.marked.jpg": "watermark/2/text/5LiD54mb5LqR5a2Y5YKo",
    },
    "separator": "-!",
    "protected": 1,
    "private": 0,
}
ALIYUN = """<?xml version="1.0" encoding="UTF-8"?>
<StyleList xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com">
  <Style><Name>half</Name><Content>image/resize,p_50</Content><Category>image</Category></Style>
  <Style><Name>box_1</Name><Content>image/resize,m_fill,w_200,h_100/format,webp</Content></Style>
</StyleList>"""
STYLES = ["half", "box_1"]


def run(text: str | bytes, *arguments: str) -> Result:
    """Feed a text to the command."""
    return CliRunner().invoke(app, ["import-styles", *arguments], input=text)


def test_qiniu_bucket() -> None:
    """Styles, separators and protection of a Qiniu bucket are taken over."""
    done = run(json.dumps(QINIU))

    snapshot = read_presets(done.stdout)
    assert done.exit_code == 0
    assert set(snapshot.presets) == {"small", "50x50", "water.marked.jpg"}
    assert snapshot.separators == ("-", "!")
    assert snapshot.originals is Originals.PROTECTED
    assert tomllib.loads(done.stdout)["presets"]["50x50"]["command"] == "imageView2/1/w/50/h/50|imageslim"


def test_aliyun_xml() -> None:
    """The XML of Aliyun's ListStyle, with or without a namespace."""
    done = run(ALIYUN)

    snapshot = read_presets(done.stdout)
    assert done.exit_code == 0
    assert list(snapshot.presets) == STYLES
    assert snapshot.originals is Originals.OPEN
    assert "2 of 2 styles imported" in done.stderr


TENCENT = """<?xml version="1.0" encoding="UTF-8"?>
<GetStyleResult>
  <StyleRule><StyleName>half</StyleName><StyleBody>imageMogr2/thumbnail/!50p</StyleBody></StyleRule>
  <StyleRule><StyleName>box_1</StyleName><StyleBody>imageMogr2/crop/200x100</StyleBody></StyleRule>
</GetStyleResult>"""


@pytest.mark.parametrize(
    "text",
    [
        TENCENT,
        json.dumps({"StyleRule": [{"StyleName": "half", "StyleBody": "imageMogr2/thumbnail/!50p"},
                                  {"StyleName": "box_1", "StyleBody": "imageMogr2/crop/200x100"}]}),
    ],
    ids=["xml", "json"],
)  # fmt: skip
def test_tencent_styles(text: str) -> None:
    """They are known by their words, and read as Tencent's: its crop scales, Qiniu's does not."""
    done = run(text)

    snapshot = read_presets(done.stdout)
    assert done.exit_code == 0
    assert list(snapshot.presets) == STYLES
    assert snapshot.dialects == ("tencent",)
    assert snapshot.presets["box_1"].operations[0].name == "resize"


def test_one_tencent_style() -> None:
    """The answer about one style is one element."""
    done = run("<AddStyle><StyleName>half</StyleName><StyleBody>imageMogr2/thumbnail/!50p</StyleBody></AddStyle>")

    assert list(read_presets(done.stdout).presets) == ["half"]


def test_private_bucket() -> None:
    """A private bucket stays private, protected or not."""
    for protected in (0, 1):
        done = run(json.dumps({**QINIU, "private": 1, "protected": protected}))

        assert read_presets(done.stdout).originals is Originals.PRIVATE


@pytest.mark.parametrize(
    "shape",
    [
        {"StyleList": {"Style": [{"Name": name, "Content": "image/resize,p_50"} for name in STYLES]}},
        {"Style": [{"Name": name, "Content": "image/resize,p_50"} for name in STYLES]},
        {"styles": [{"name": name, "content": "image/resize,p_50"} for name in STYLES]},
        [{"name": name, "body": "image/resize,p_50"} for name in STYLES],
        {"data": {"styles": dict.fromkeys(STYLES, "image/resize,p_50")}},
        dict.fromkeys(STYLES, "image/resize,p_50"),
        dict.fromkeys(STYLES, "/fw/200/quality/80"),
    ],
    ids=lambda shape: json.dumps(shape)[:40],
)
def test_shapes_of_json(shape: object) -> None:
    """Tools print the same in different shapes."""
    done = run(json.dumps(shape))

    assert done.exit_code == 0
    assert list(read_presets(done.stdout).presets) == STYLES


def test_one_style_in_json() -> None:
    """XML turned into JSON has no list where there is one style."""
    done = run(json.dumps({"StyleList": {"Style": {"Name": "half", "Content": "image/resize,p_50"}}}))

    assert list(read_presets(done.stdout).presets) == ["half"]


def test_what_cannot_be_a_preset_is_commented_out() -> None:
    """A style that is not understood is named with its reason; the rest is usable."""
    done = run(json.dumps({"styles": {"ok": "imageView2/2/w/9", "a!b": "imageView2/2/w/9", "old": "avthumb/mp4\n[x]"}}))

    assert done.exit_code == 1
    assert list(read_presets(done.stdout).presets) == ["ok"]
    assert '# [presets."a!b"]' in done.stdout
    assert "# not imported: 'avthumb/mp4" in done.stdout
    assert "style 'old'" in done.stderr
    assert "1 of 3 styles imported" in done.stderr


def test_dialect_can_be_said() -> None:
    """Qiniu and Tencent mean different things by one command."""
    done = run('{"styles": {"cut": "imageMogr2/crop/50x50"}}', "--dialect", "tencent")

    snapshot = read_presets(done.stdout)
    assert snapshot.dialects == ("tencent",)
    assert [operation.name for operation in snapshot.presets["cut"].operations] == ["resize", "crop"]
    assert run("{}", "--dialect", "nobody").exit_code == 2


@pytest.mark.parametrize(
    "text",
    ["", "hello", "[1]", "3", '{"size": 3}', '{"styles": [{"name": "x"}]}', "<StyleList/>", "<StyleList>", b"\xff{}",
     '<!DOCTYPE x [<!ENTITY a "aa">]><StyleList><Style><Name>&a;</Name><Content>image/info</Content></Style></StyleList>'],
)  # fmt: skip
def test_other_texts_are_refused(text: str | bytes) -> None:
    """What no vendor prints ends with status 2 and says so on one line."""
    done = run(text)

    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("imgbang: ")


def test_missing_file(tmp_path) -> None:
    """A file that is not there is a mistake of the command line."""
    assert run("", str(tmp_path / "nothing.json")).exit_code == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["styles", "style", "name", "content", "data", "separator"]) | st.text(max_size=5), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_no_json_breaks_it(value: object) -> None:
    """Whatever the JSON says, there are styles or an explanation."""
    try:
        bucket = read_bucket(json.dumps(value).encode())
    except UnknownShape:
        return
    assert all(isinstance(name, str) and isinstance(text, str) for name, text in bucket.styles.items())


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20) | st.just("imageView2/2/w/200"), max_size=4)
)
def test_output_is_always_toml(styles: dict[str, str]) -> None:
    """No name and no command breaks out of its string or its comment."""
    done = run(json.dumps({"styles": styles}))

    assert done.exit_code in (0, 1)
    assert set(read_presets(done.stdout).presets) <= set(styles)

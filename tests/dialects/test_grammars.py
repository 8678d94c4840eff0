"""The grammars themselves: random text never breaks a compiler, and one meaning has one plan."""

from __future__ import annotations

import base64
import contextlib
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import AdhocRefused, InvalidCommand, InvalidRequest, OriginalsProtected, TokenRequired, UnknownPreset
from proxy.plan.dialects import DIALECTS, compile_command, parse
from proxy.plan.dialects.dialect import Context
from proxy.plan.geometry import Size
from proxy.plan.operations import OPERATIONS, Crop, final_size
from proxy.plan.planner import Planner, PresetBook
from proxy.plan.preset_file import read_presets
from proxy.plan.request import AskAdhoc

WORDS = st.sampled_from(
    [
        "imageView2", "imageMogr2", "watermark", "roundPic", "imageslim", "imageInfo", "thumbnail", "crop", "gravity",
        "rotate", "extent", "border", "w", "h", "q", "1", "2", "3", "200", "!50p", "200x300!", "!300x300a30-100", "350000@",
        "Center", "image", "text", "bG9nby5wbmc=", "cmVk", "image/resize", "m_fill", "w_100", "auto-orient", "strip", "size-limit",
        "20k!", "3x5", "iradius", "cut", "100x100x1x1", "pad", "/", "|", "!", "fw", "both", "style", "format", "png", "info",
    ]
)  # fmt: skip
RAW = st.text(max_size=60) | st.lists(WORDS, max_size=8).map("/".join) | st.lists(WORDS, max_size=8).map("|".join)


@settings(max_examples=600, deadline=None)
@given(RAW, st.sampled_from(sorted(DIALECTS)))
def test_no_text_breaks_a_compiler(text: str, dialect: str) -> None:
    """Whatever a command says, it is compiled or refused as the client's mistake."""
    try:
        asked = DIALECTS[dialect].compile(text, Context())
    except (InvalidRequest, UnknownPreset):
        return
    assert isinstance(asked, AskAdhoc)
    for operation in asked.operations:
        assert operation.canonical().startswith(operation.name)


@settings(max_examples=300, deadline=None)
@given(RAW)
def test_no_query_breaks_the_parser(text: str) -> None:
    """A whole target either has a reading or an error for the client."""
    snapshot = read_presets('adhoc = "any"\ndialects = "all"')
    for target in (
        f"/cat.jpg?{text}",
        f"/cat.jpg?{quote(text)}",
        f"/cat.jpg!/{quote(text)}",
        f"/cat.jpg?x-oss-process={text}",
    ):
        with contextlib.suppress(InvalidRequest, UnknownPreset):
            assert parse(target, snapshot)


SIDES = st.integers(1, 3000)
GRAVITY = st.sampled_from(
    ["NorthWest", "North", "NorthEast", "West", "Center", "East", "SouthWest", "South", "SouthEast"]
)
OFFSETS = st.tuples(st.sampled_from("a-"), st.integers(0, 99), st.sampled_from("a-"), st.integers(0, 99)).map(
    lambda parts: "".join(map(str, parts))
)
BOX = st.one_of(
    SIDES.map("{}x".format), SIDES.map("x{}".format), st.tuples(SIDES, SIDES).map(lambda box: f"{box[0]}x{box[1]}")
)
THUMBNAIL = st.one_of(
    BOX,
    st.integers(1, 999).map("!{}p".format),
    st.integers(1, 999).map("!{}px".format),
    st.integers(1, 999).map("!x{}p".format),
    st.tuples(SIDES, SIDES, st.sampled_from("!<>")).map(lambda box: f"{box[0]}x{box[1]}{box[2]}"),
    st.tuples(SIDES, SIDES).map(lambda box: f"!{box[0]}x{box[1]}r"),
    st.integers(1, 9_000_000).map("{}@".format),
)
MOGR = st.lists(
    st.one_of(
        THUMBNAIL.map("thumbnail/{}".format),
        st.tuples(BOX, OFFSETS).map(lambda crop: f"crop/!{crop[0]}{crop[1]}"),
        BOX.map("crop/{}".format),
        GRAVITY.map("gravity/{}".format),
        st.integers(1, 360).map("rotate/{}".format),
        BOX.map("extent/{}".format),
        st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda bars: f"border/{bars[0]}x{bars[1]}"),
        st.sampled_from(
            ["auto-orient", "strip", "blur/3x5", "sharpen/1", "format/png", "quality/70!", "colors/16", "interlace/1"]
        ),
    ),
    min_size=1,
    max_size=6,
).map(lambda parts: "imageMogr2/" + "/".join(parts))
VIEW = st.tuples(st.integers(0, 5), st.permutations(["w/200", "h/100", "q/80", "format/webp"])).map(
    lambda view: f"imageView2/{view[0]}/" + "/".join(view[1])
)


@settings(max_examples=400, deadline=None)
@given(MOGR | VIEW | st.tuples(VIEW, MOGR).map("|".join))
def test_one_meaning_has_one_plan(command: str) -> None:
    """However a command is escaped, it is one plan; and what it compiles to is as short as it gets."""
    plain = compile_command(command)
    snapshot = read_presets('adhoc = "any"')
    planner = Planner(PresetBook(snapshot))
    escaped = planner.plan(planner.read("/cat.jpg?" + quote(command, safe="/"))[0])
    raw = planner.plan(planner.read("/cat.jpg?v=3&" + quote(command, safe="/!@|<>^") + "&e=1")[0])
    trailing = compile_command(command + "|")

    assert escaped.canonical() == raw.canonical()
    assert escaped.fingerprint == raw.fingerprint
    assert trailing.operations == plain.operations == escaped.operations
    assert trailing.output == plain.output


@settings(max_examples=300, deadline=None)
@given(MOGR | VIEW, st.integers(1, 2000), st.integers(1, 2000))
def test_every_size_is_a_size(command: str, width: int, height: int) -> None:
    """No picture becomes empty; a crop that meets nothing is refused."""
    operations = compile_command(command).operations
    try:
        size = final_size(operations, Size(width, height))
    except InvalidCommand:  # a crop may lie outside of the picture; nothing else depends on it
        assert any(isinstance(operation, Crop) for operation in operations)
        return
    assert size.width >= 1
    assert size.height >= 1


SHARED = [
    (
        "imageView2/2/w/200",
        "imageMogr2/auto-orient/thumbnail/200x>",
        "!200x",
        "x-oss-process=image/resize,w_200",
        "!/rotate/auto/fw/200",
    ),
    ("imageView2/1/w/50/h/50", "imageView2/5/w/50", "!50x50"),
    ("imageView2/0/w/200", "imageView2/2/w/200/h/200"),
    ("imageView2/4/w/200", "imageView2/3/w/200", "imageView2/3/w/200/h/200"),
]


@pytest.mark.parametrize("spellings", SHARED, ids=lambda row: row[0])
def test_spellings_share_a_fingerprint(spellings: tuple[str, ...]) -> None:
    """Different words for one picture are rendered and stored once, whoever's words they are."""
    planner = Planner(PresetBook(read_presets('adhoc = "any"')))

    prints = {
        planner.plan(planner.read(f"/cat.jpg{text}" if text[0] == "!" else f"/cat.jpg?{text}")[0]).fingerprint
        for text in spellings
    }

    assert len(prints) == 1


@pytest.mark.parametrize(
    ("command", "written"),
    [
        ("imageView2/1/w/100", "imageView2/1/w/100/h/100"),
        ("imageView2/2/w/200", "imageMogr2/auto-orient/thumbnail/200x>"),
        ("imageView2/5/w/300/h/200/format/webp", "imageView2/5/w/300/h/200|imageMogr2/format/webp"),
        ("imageMogr2/crop/300x300", "imageMogr2/gravity/NorthWest/crop/!300x300a0a0"),
        ("imageInfo", "imageInfo"),
    ],
)
def test_plan_is_written_shortly(command: str, written: str) -> None:
    """What `/-/explain` shows is what a person would write."""
    asked = compile_command(command)

    assert DIALECTS["qiniu"].write(asked.operations, asked.output) == written


def test_preset_may_be_a_command() -> None:
    """A vendor's command in presets.toml is the preset, under any policy and whatever dialects are on."""
    snapshot = read_presets(
        'dialects = ["aliyun"]\n[presets.small]\ncommand = "imageView2/1/w/200/h/200|imageMogr2/rotate/90"\nquality = 60'
    )

    preset = snapshot.presets["small"]

    assert [operation.name for operation in preset.operations] == ["auto-orient", "resize", "crop", "rotate"]
    assert preset.output.quality == 60
    assert parse("/cat.jpg!small", snapshot)[0].asked.preset is preset  # type: ignore[union-attr]


def test_order_of_dialects_decides_who_reads() -> None:
    """Qiniu and Tencent share names: the one listed first reads them, in URLs and in presets."""
    for order, name in (('["qiniu", "tencent"]', "crop"), ('["tencent", "qiniu"]', "resize")):
        snapshot = read_presets(f'adhoc = "any"\ndialects = {order}\n[presets.p]\ncommand = "imageMogr2/crop/50x50"')
        asked = parse("/cat.jpg?imageMogr2/crop/50x50", snapshot)[0].asked

        assert isinstance(asked, AskAdhoc)
        assert asked.operations[0].name == snapshot.presets["p"].operations[0].name == name


@pytest.mark.parametrize(
    ("policy", "command", "allowed"),
    [
        ('"off"', "imageView2/1/w/200/h/200", False),
        ('"any"', "imageView2/1/w/200/h/200", True),
        ('"signed"', "imageView2/1/w/200/h/200", False),
        ('{ sizes = ["200x200"] }', "imageView2/1/w/200/h/200", True),
        ('{ sizes = ["200x200"] }', "imageView2/1/w/200/h/201", False),
        ('{ sizes = ["200x200"] }', "imageView2/1/w/200/h/200|imageMogr2/crop/50x50", False),
        ('{ sizes = ["200x200", "50x50"] }', "imageView2/1/w/200/h/200|imageMogr2/crop/50x50", True),
        ('{ sizes = ["200x"] }', "imageView2/2/w/200", True),
        ('{ sizes = ["200x"] }', "imageMogr2/thumbnail/!51p", False),
        ('{ sizes = ["200x"] }', "imageMogr2/thumbnail/20000@", False),
        ('{ sizes = ["200x"] }', "imageMogr2/border/3x3", False),
        ('{ sizes = ["200x"] }', "imageInfo", True),
    ],
)
def test_policy_decides(policy: str, command: str, allowed: bool) -> None:
    """A command is as ad hoc as a box; of listed sizes, each box in it must be one."""
    snapshot = read_presets(f"adhoc = {policy}")

    if allowed:
        assert parse(f"/cat.jpg?{command}", snapshot)
    else:
        with pytest.raises(AdhocRefused):
            parse(f"/cat.jpg?{command}", snapshot)


def test_signature_lifts_the_policy_and_the_protection() -> None:
    """Who can sign may ask for anything but sizes that are not listed."""
    for text in ('adhoc = "signed"', 'adhoc = "signed"\noriginals = "protected"'):
        assert parse("/cat.jpg?imageView2/2/w/200", read_presets(text), signed=True)
    with pytest.raises(AdhocRefused):
        parse("/cat.jpg?imageView2/2/w/200", read_presets('adhoc = { sizes = ["1x1"] }'), signed=True)


def test_protected_originals_refuse_commands() -> None:
    """The refusal is a 401 where Qiniu comes first, and a 403 elsewhere."""
    for dialects, error in (('["qiniu"]', TokenRequired), ('["tencent"]', OriginalsProtected)):
        snapshot = read_presets(f'originals = "protected"\nadhoc = "any"\ndialects = {dialects}')
        for target in ("/cat.jpg", "/cat.jpg?imageView2/2/w/200", "/cat.jpg?imageInfo"):
            with pytest.raises(error):
                parse(target, snapshot)


def test_command_after_a_preset_is_refused() -> None:
    """Which of the two should count could only be guessed."""
    snapshot = read_presets('adhoc = "any"\n[presets.small]\nwidth = 3')

    with pytest.raises(InvalidCommand, match="cannot follow a preset"):
        parse("/cat.jpg!small?imageMogr2/thumbnail/50x", snapshot)


def test_texts_cannot_pose_as_fields() -> None:
    """Two texts that differ have canonical forms that differ, whatever punctuation they hold."""
    texts = ["a", "a,dx=3", 'a",dx=3', "a)|text(text=b", "A"]
    commands = [f"watermark/2/text/{base64.urlsafe_b64encode(text.encode()).decode()}" for text in texts]

    canonical = {compile_command(command).operations[0].canonical() for command in commands}

    assert len(canonical) == len(texts)


def test_operations_are_known_by_their_names() -> None:
    """The vocabulary is one table."""
    assert all(name == operation.name for name, operation in OPERATIONS.items())

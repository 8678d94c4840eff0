"""Aliyun OSS: sizes by arithmetic, where marks stand, what shares a result, and random commands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from proxy.errors import OriginalsProtected, UnknownPreset
from proxy.plan.dialects import compile_command, parse
from proxy.plan.dialects.aliyun import ALIYUN
from proxy.plan.operations import MarkRow, Size, Text, Watermark, final_size
from proxy.plan.output import Animation, QualityRule
from proxy.plan.preset_file import PresetProblems, read_presets
from proxy.plan.request import AskPreset
from tests.dialects.arithmetic import check_computed, fingerprints, size_or_none, sized_cases
from tests.dialects.cases import Case, b64
from tests.dialects.conftest import Servers
from tests.pictures import decoded, encoded

PRESETS = next(case.presets for case in sized_cases("aliyun"))
GREY = (90, 90, 90)


def ask(servers: Servers, process: str, image: Image.Image | None = None, kind: str = "PNG") -> Image.Image:
    """What a process makes of a picture; of an even grey one of 250x200 unless told otherwise."""
    picture = image or Image.new("RGB", (250, 200), GREY)
    body = encoded(picture, kind)
    key = f"aliyun-{hash(body) & 0xFFFFFFFF:x}.{kind.lower()}"
    (servers.originals / key).write_bytes(body)
    reply = servers.get(PRESETS).get(f"/{key}?x-oss-process={process}")
    assert reply.status == 200, reply.body[:300]
    return decoded(reply.body)


def box_of(picture: Image.Image) -> tuple[int, int, int, int]:
    """Left, top, width and height of all that is not grey."""
    other = np.abs(np.asarray(picture.convert("RGB")).astype(int) - 90).max(axis=2) > 40
    rows, columns = np.flatnonzero(other.any(axis=1)), np.flatnonzero(other.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


@pytest.mark.parametrize("case", sized_cases("aliyun"), ids=lambda case: f"{case.source} {case.request}"[:100])
def test_size_is_arithmetic(case: Case) -> None:
    """The size is known before a pixel is touched."""
    check_computed(case)


@pytest.mark.parametrize(
    ("parameters", "box"),
    [
        ("", (149, 129, 91, 61)),
        ("g_nw", (10, 10, 91, 61)),
        ("g_nw,x_0,y_0", (0, 0, 91, 61)),
        ("g_north,x_50,y_5", (80, 5, 91, 61)),
        ("g_ne,x_3,y_5", (156, 5, 91, 61)),
        ("g_west,x_3,y_50", (3, 70, 91, 61)),
        ("g_west,x_3,voffset_-20", (3, 50, 91, 61)),
        ("g_center,voffset_20", (80, 90, 91, 61)),
        ("g_sw,x_0,y_0", (0, 139, 91, 61)),
        ("g_nw,x_0,y_0,P_40", (0, 0, 100, 67)),
    ],
)
def test_image_mark_stands_where_it_should(parameters: str, box: tuple[int, ...], servers: Servers) -> None:
    """A mark of 91x61 on a picture of 250x200; offsets count only along the edges that an anchor touches."""
    picture = ask(servers, f"image/watermark,image_{b64('logo.png')},{parameters}")

    assert picture.size == (250, 200)
    assert box_of(picture) == box


def test_mark_scales_with_the_picture(servers: Servers) -> None:
    """The vendor's example: with P_10 a square mark on 100x100 is 10x10."""
    mark = b64("logo.png?x-oss-process=image/crop,w_50,h_50/resize,P_10")

    picture = ask(servers, f"image/watermark,image_{mark},x_0,y_0", Image.new("RGB", (100, 100), GREY))

    assert box_of(picture) == (90, 90, 10, 10)


def test_mark_is_processed_first(servers: Servers) -> None:
    """The key of a mark may carry a process: here it is cut, turned and scaled."""
    mark = b64("logo.png?x-oss-process=image/crop,w_80,h_20/rotate,90/resize,h_40")

    picture = ask(servers, f"image/watermark,image_{mark},g_nw,x_0,y_0")

    assert box_of(picture) == (0, 0, 10, 40)


def test_mark_is_repeated(servers: Servers) -> None:
    """`fill_1` covers the picture, `padx` and `pady` apart."""
    picture = ask(servers, f"image/watermark,image_{b64('logo.png')},fill_1").convert("RGB")

    assert {picture.getpixel(at) for at in [(0, 0), (249, 0), (0, 199), (249, 199), (120, 77)]} == {(255, 0, 0)}


def test_text_is_drawn(servers: Servers) -> None:
    """A text of 40 pixels stands 10 pixels from the corner."""
    left, top, width, height = box_of(ask(servers, f"image/watermark,text_{b64('Hg')},color_FFFFFF"))

    assert left + width <= 240
    assert top + height <= 190
    assert 20 <= height <= 45
    assert 20 <= width <= 80


def test_pad_is_white_or_coloured(servers: Servers) -> None:
    """A picture of 250x200 in a box of 100x100: bars of 10 above and below."""
    white = ask(servers, "image/resize,m_pad,w_100,h_100").convert("RGB")
    red = ask(servers, "image/resize,m_pad,w_100,h_100,color_FF0000").convert("RGB")

    assert [white.getpixel((50, y)) for y in (0, 9, 10, 89, 90, 99)] == [
        *[(255, 255, 255)] * 2, *[GREY] * 2, *[(255, 255, 255)] * 2,
    ]  # fmt: skip
    assert red.getpixel((0, 0)) == (255, 0, 0)


def test_circle_is_white_outside_in_a_jpeg(servers: Servers) -> None:
    """Transparent where the format can be, else white."""
    jpeg = ask(servers, "image/circle,r_50/format,jpg")
    png = ask(servers, "image/circle,r_50/format,png").convert("RGBA")

    assert min(jpeg.getpixel((0, 0))) >= 250
    assert png.getpixel((0, 0))[3] == 0
    assert png.getpixel((50, 50)) == (*GREY, 255)


@pytest.mark.parametrize(
    ("process", "moves"),
    [
        ("image/resize,w_20", True),
        ("image/format,gif", True),
        ("image/resize,w_20/quality,q_80", True),
        ("image/resize,w_20/crop,w_10/format,gif", True),
        ("image/resize,p_50", False),
        ("image/crop,w_10", False),
        ("image/resize,w_20/rotate,90", False),
    ],
)
def test_what_keeps_an_animation_moving(process: str, moves: bool) -> None:
    """Nothing but one resize to a box, or a wish for GIF."""
    assert (compile_command(process).output.animation is Animation.KEEP) is moves


@pytest.mark.parametrize(
    "targets",
    [
        ("?x-oss-process=image/resize,w_200", "?imageView2/2/w/200", "!200x", "!/fw/200/rotate/auto"),
        ("?x-oss-process=image/resize,w_200", "?x-oss-process=image/resize,m_lfit,limit_1,w_200/auto-orient,1"),
        ("?x-oss-process=image/resize,l_200", "?imageView2/2/w/200/h/200", "!/rotate/auto/max/200"),
        ("?x-oss-process=image/resize,s_200", "?imageView2/3/w/200", "!/rotate/auto/min/200"),
        ("?x-oss-process=image/resize,w_200,h_100,m_mfit", "?imageView2/3/w/200/h/100"),
        ("?x-oss-process=image/resize,w_200", "?x-tos-process=image/resize,w_200", "?x-image-process=image/resize,w_200"),
        ("?x-oss-process=image/resize,w_200,h_90,m_fill,limit_0", "?imageView/1/w/200/h/90", "!/both/200x90/rotate/auto"),
        ("?x-image-process=image/resize,h_100,m_fixed", "?x-tos-process=image/resize,h_100,m_fixed"),
        ("?x-oss-process=image/rotate,0", "?x-oss-process=image/rotate,360/bright,0/contrast,0"),
        ("?x-oss-process=image%2Fresize%2Cw_200", "?v=3&x-oss-process=image/resize,w_200&utm=1"),
        ("?x-oss-process=image/average-hue", "?imageAve"),
    ],
    ids=lambda targets: targets[0],
)  # fmt: skip
def test_one_meaning_has_one_fingerprint(targets: tuple[str, ...]) -> None:
    """Where vendors mean the same, the result is made and kept once."""
    presets = 'adhoc = "any"\ndialects = ["qiniu", "aliyun", "upyun", "huawei", "volcengine"]'

    assert len(fingerprints(*(f"/cat.jpg{target}" for target in targets), presets=presets)) == 1


def test_marks_compile_to_the_shared_operations() -> None:
    """An image, a text, and both in a row."""
    image, text, row = (
        compile_command(f"image/watermark,{fields}").operations[-1]
        for fields in (
            f"image_{b64('a/logo.png?x-oss-process=image/resize,P_30')},t_50",
            f"text_{b64('猫')},type_{b64('fangzhengkaiti')},size_30,shadow_50,rotate_360,g_west,voffset_7",
            f"image_{b64('logo.png')},text_{b64('cat')},order_1,interval_9",
        )
    )

    assert isinstance(image, Watermark)
    assert (image.image, image.scale, image.opacity, image.overlays) == ("a/logo.png", 0.3, 50, ("a/logo.png",))
    assert isinstance(text, Text)
    assert (text.font, text.size_px, text.shadow, text.degrees, text.dx, text.dy) == (
        "fangzhengkaiti",
        30,
        50,
        0,
        10,
        7,
    )
    assert isinstance(row, MarkRow)
    assert [type(part) for part in row.parts] == [Text, Watermark]


def test_quality_has_vendors_rules() -> None:
    """`q` is relative, `Q` absolute but at most the original's, and wins."""
    assert compile_command("image/quality,q_80").output.quality_rule is QualityRule.RELATIVE
    assert compile_command("image/quality,q_80,Q_70").output.quality == 70
    assert compile_command("image/quality,q_80,Q_70").output.quality_rule is QualityRule.AT_MOST


def test_style_is_as_good_as_the_preset() -> None:
    """It needs no leave for ad-hoc commands, passes under protection, and cannot be a preset's command."""
    snapshot = read_presets('dialects = ["aliyun"]\noriginals = "protected"\n[presets.thumb]\nwidth = 50')

    asked = parse("/cat.jpg?x-oss-process=style/thumb", snapshot)[0].asked

    assert isinstance(asked, AskPreset)
    assert asked.preset is snapshot.presets["thumb"]
    with pytest.raises(OriginalsProtected):
        parse("/cat.jpg?x-oss-process=image/resize,w_50", snapshot)
    with pytest.raises(UnknownPreset):
        parse("/cat.jpg?x-oss-process=style/other", snapshot)
    for command in ("style/thumb", "x-oss-process=style/other"):
        with pytest.raises(PresetProblems, match="cannot name another preset"):
            read_presets(f'[presets.thumb]\ncommand = "{command}"')


@pytest.mark.parametrize(
    "key", ["../x", "a//b", "", "x?x-oss-process=image/watermark,text_YQ", "x?x-oss-process=image/circle,r_3"]
)
def test_marks_are_keys_of_the_store(key: str) -> None:
    """A mark names a key, and is changed by nothing that could read another."""
    with pytest.raises(Exception) as caught:
        compile_command(f"image/watermark,image_{b64(key)}")
    assert caught.value.code in ("invalid_command", "invalid_key")  # type: ignore[attr-defined]


SIDE = st.integers(1, 3000)
RESIZE = st.builds(
    lambda mode, fields, limit: ",".join(
        ["resize", f"m_{mode}", *(f"{n}_{v}" for n, v in fields.items()), f"limit_{limit}"]
    ),
    st.sampled_from(["lfit", "mfit", "fill", "pad", "fixed"]),
    st.dictionaries(st.sampled_from("whls"), SIDE, min_size=1),
    st.integers(0, 1),
)
ACTION = st.one_of(
    RESIZE,
    st.integers(1, 300).map("resize,p_{}".format),
    st.builds("crop,w_{},h_{},x_{},y_{},g_{}".format, SIDE, SIDE, st.integers(0, 99), st.integers(0, 99),
              st.sampled_from(["nw", "north", "ne", "west", "center", "east", "sw", "south", "se"])),
    st.builds("indexcrop,{}_{},i_{}".format, st.sampled_from("xy"), SIDE, st.integers(0, 9)),
    st.integers(1, 4096).map("circle,r_{}".format),
    st.integers(1, 4096).map("rounded-corners,r_{}".format),
    st.integers(0, 360).map("rotate,{}".format),
    st.sampled_from(["blur,r_3,s_2", "sharpen,100", "bright,50", "contrast,-50", "format,png", "quality,q_80", "interlace,1"]),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTION, min_size=1, max_size=5), SIDE, SIDE)
def test_every_legal_command_has_a_size(actions: list[str], width: int, height: int) -> None:
    """Whatever is chained, no picture becomes empty; only a crop that meets nothing is refused. Spelling is free."""
    asked = compile_command("image/" + "/".join(actions))
    again = compile_command(
        "x-oss-process=image/"
        + "/".join(f"{action},unknown_1" if "_" in action else action for action in actions)
        + "/"
    )

    assert asked.operations == again.operations
    assert asked.output == again.output
    size = size_or_none(asked.operations, Size(width, height))
    assert size is None or min(size.width, size.height) >= 1


@settings(max_examples=300, deadline=None)
@given(RESIZE, SIDE, SIDE)
def test_resize_never_enlarges_by_itself(command: str, width: int, height: int) -> None:
    """With limit_1 neither side grows; exact modes give the box or the picture."""
    size = final_size(compile_command("image/" + command.replace("limit_0", "limit_1")).operations, Size(width, height))

    assert size.width <= width
    assert size.height <= height


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTION, min_size=1, max_size=5), st.booleans())
def test_what_was_read_can_be_written(actions: list[str], upright: bool) -> None:
    """Every plan without marks has a text in the language it came from, which comes to the same plan."""
    asked = compile_command("/".join(["image", *actions] if upright else ["image", "auto-orient,0", *actions]))

    text = ALIYUN.write(asked.operations, asked.output)

    assert text is not None
    again = compile_command(text)
    assert (again.operations, again.output) == (asked.operations, asked.output)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("imageView2/2/w/200", "image/resize,w_200"),
        ("imageView/1/w/200/h/90/format/webp", "image/resize,m_fill,w_200,h_90,limit_0/format,webp"),
        ("imageMogr2/auto-orient/thumbnail/!50p", None),
        ("/fw/9/rotate/auto/format/png", "image/resize,w_9/format,png"),
        ("imageView2/1/w/200/h/90", None),
        ("imageAve", "image/average-hue"),
        ("image/resize,m_pad,w_9,h_8,color_FF0000", "image/resize,m_pad,w_9,h_8,color_FF0000"),
    ],
)
def test_plans_of_others_are_written_where_there_are_words(command: str, text: str | None) -> None:
    """What /-/explain shows; None where Aliyun would do something else, were it only to an animation."""
    asked = compile_command(command)

    assert ALIYUN.write(asked.operations, asked.output) == text

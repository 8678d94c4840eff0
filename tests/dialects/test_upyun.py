"""Upyun: sizes by arithmetic, where pixels come out, versions, and random commands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from proxy.errors import InvalidCommand, OriginalsProtected, ProxyError, UnknownPreset
from proxy.plan.dialects import compile_command, parse
from proxy.plan.dialects.upyun import UPYUN
from proxy.plan.operations import Size
from proxy.plan.output import Orientation
from proxy.plan.preset_file import read_presets
from proxy.plan.request import AskAdhoc, AskOriginal, AskPreset, ImageRequest
from tests.dialects.arithmetic import check_computed, fingerprints, size_or_none, sized_cases
from tests.dialects.cases import Case, coded, place_of
from tests.dialects.conftest import Servers
from tests.pictures import decoded, encoded

PRESETS = next(case.presets for case in sized_cases("upyun"))
GREY = (90, 90, 90)


def ask(servers: Servers, command: str, image: Image.Image | None = None) -> Image.Image:
    """What a command makes of a picture; of an even grey one of 250x200 unless told otherwise."""
    body = encoded(image or Image.new("RGB", (250, 200), GREY), "PNG")
    key = f"upyun-{hash(body) & 0xFFFFFFFF:x}.png"
    (servers.originals / key).write_bytes(body)
    reply = servers.get(PRESETS).get(f"/{key}!{command}")
    assert reply.status == 200, reply.body[:300]
    return decoded(reply.body)


def box_of(picture: Image.Image) -> tuple[int, int, int, int]:
    """Left, top, width and height of all that is not grey."""
    other = np.abs(np.asarray(picture.convert("RGB")).astype(int) - 90).max(axis=2) > 40
    rows, columns = np.flatnonzero(other.any(axis=1)), np.flatnonzero(other.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


@pytest.mark.parametrize("case", sized_cases("upyun"), ids=lambda case: f"{case.source} {case.request}"[:100])
def test_size_is_arithmetic(case: Case) -> None:
    """The size is known before a pixel is touched."""
    check_computed(case)


@pytest.mark.parametrize(
    ("parameters", "box"),
    [
        ("", (20, 20, 91, 61)),
        ("/align/north/margin/0x5", (80, 5, 91, 61)),
        ("/align/southeast/margin/15x10", (144, 129, 91, 61)),
        ("/align/center/margin/0x0", (80, 70, 91, 61)),
        ("/align/northwest/margin/0x0/percent/50", (0, 0, 149, 100)),
    ],
)
def test_image_mark_stands_where_it_should(parameters: str, box: tuple[int, ...], servers: Servers) -> None:
    """A mark of 91x61 on a picture of 250x200."""
    assert box_of(ask(servers, f"/watermark/url/L2xvZ28ucG5n{parameters}")) == box


def test_text_has_a_line_around_it(servers: Servers) -> None:
    """`border` in a watermark is the colour of its outline: grey ink, red line."""
    plain = ask(servers, "/watermark/text/SGc=/size/60/color/5a5a5a").convert("RGB")
    lined = ask(servers, "/watermark/text/SGc=/size/60/color/5a5a5a/border/FF000000").convert("RGB")

    assert np.abs(np.asarray(plain).astype(int) - 90).max() <= 2
    assert (255, 0, 0) in {colour for _, colour in lined.getcolors(50_000) or []}
    left, top, _, _ = box_of(lined)
    assert 10 <= left <= 40
    assert 10 <= top <= 60


def test_border_and_canvas_surround_the_picture(servers: Servers) -> None:
    """Bars of 10 and 5 in red, then a half transparent canvas with the picture 20 and 30 from its corner."""
    framed = ask(servers, "/border/10x5/brdcolor/FF000000").convert("RGB")
    placed = ask(servers, "/canvas/400x300a20a30/cvscolor/00FF0080").convert("RGBA")

    assert [framed.getpixel(at) for at in [(9, 100), (10, 100), (100, 4), (100, 5)]] == [(255, 0, 0), GREY] * 2
    assert placed.getpixel((19, 100)) == (0, 255, 0, 127)
    assert placed.getpixel((20, 30)) == (*GREY, 255)
    assert placed.getpixel((269, 229)) == (*GREY, 255)
    assert placed.getpixel((270, 229)) == (0, 255, 0, 127)


def test_turns_and_mirrors(servers: Servers) -> None:
    """The top left pixel of the result, by where it was."""
    picture = coded(250, 200)

    assert place_of(ask(servers, "/flip/left,right", picture).getpixel((0, 0))) == (249, 0)
    assert place_of(ask(servers, "/flip/top,down", picture).getpixel((0, 0))) == (0, 199)
    assert place_of(ask(servers, "/rotate/90", picture).getpixel((0, 0))) == (0, 199)
    assert place_of(ask(servers, "/rotate/270", picture).getpixel((0, 0))) == (249, 0)


def test_both_stretches_small_pictures_with_force(servers: Servers) -> None:
    """Half red, half blue, in a taller box: without force the middle is enlarged, with it all of it is stretched."""
    picture = Image.new("RGB", (100, 50), (255, 0, 0))
    picture.paste((0, 0, 255), (75, 0, 100, 50))

    cut = ask(servers, "/both/60x120", picture).convert("RGB")
    stretched = ask(servers, "/both/60x120/force/true", picture).convert("RGB")

    assert cut.size == stretched.size == (60, 120)
    assert cut.getpixel((55, 60)) == (255, 0, 0)
    assert stretched.getpixel((55, 60)) == (0, 0, 255)


def told(reading: ImageRequest) -> str:
    match reading.asked:
        case AskPreset(preset):
            return f"{preset.name} of {reading.key}"
        case AskAdhoc(operations=operations):
            return f"{'|'.join(each.canonical() for each in operations)} of {reading.key}"
        case AskOriginal():
            return f"original {reading.key}"


@pytest.mark.parametrize(
    ("target", "readings"),
    [
        ("/a.jpg!/fw/9", ["resize(width=9) of a.jpg", "original a.jpg!/fw/9"]),
        ("/a.jpg%21%2Ffw%2F9", ["resize(width=9) of a.jpg", "original a.jpg!/fw/9"]),
        ("/a.jpg_/fw/9", ["resize(width=9) of a.jpg", "original a.jpg_/fw/9"]),
        ("/x!/a.jpg!/fw/9", ["resize(width=9) of x!/a.jpg", "original x!/a.jpg!/fw/9"]),
        ("/a.jpg-/fw/9/ignore-error/true", ["resize(width=9) of a.jpg", "original a.jpg-/fw/9/ignore-error/true"]),
        ("/a.jpg!v", ["v of a.jpg", "original a.jpg!v"]),
        ("/a.jpg!v/fw/9", ["resize(width=9)|sharpen() of a.jpg", "original a.jpg!v/fw/9"]),
        ("/a.jpg!v/fh/9", ["resize(width=300)|resize(height=9)|sharpen() of a.jpg", "original a.jpg!v/fh/9"]),
        ("/a.jpg!v/unsharp/false", ["resize(width=300) of a.jpg", "original a.jpg!v/unsharp/false"]),
        ("/a.jpg!w/rotate/90", ["auto-orient()|resize(width=50)|rotate(degrees=90) of a.jpg", "original a.jpg!w/rotate/90"]),
        ("/x!/a.jpg", ["original x!/a.jpg"]),
        ("/my-dir/a.jpg", ["original my-dir/a.jpg"]),
        ("/my_/a.jpg", ["original my_/a.jpg"]),
        ("/a.jpg@/fw/9", ["original a.jpg@/fw/9"]),
    ],
)  # fmt: skip
def test_readings(target: str, readings: list[str]) -> None:
    """Parameters are found behind the last separator that parameters follow; a key that looks so is still a key."""
    snapshot = read_presets(
        'adhoc = "any"\nseparators = ["!", "-", "_", "@"]\n'
        '[presets.v]\ncommand = "/fw/300/unsharp/true"\n[presets.w]\nwidth = 50'
    )

    assert [told(reading) for reading in parse(target, snapshot)] == readings


def test_malformed_parameters_are_explained_if_no_original_has_the_name() -> None:
    """`a!/b.jpg` may be a key; if it is none, the mistake is named."""
    snapshot = read_presets('adhoc = "any"\n[presets.v]\ncommand = "/fw/300"')

    assert isinstance(parse("/a!/b.jpg", snapshot)[0].not_found(), InvalidCommand)
    assert isinstance(parse("/a!nope/fw/3", snapshot)[0].not_found(), UnknownPreset)


def test_version_keeps_what_its_table_adds() -> None:
    """Fields beside the command, and a negotiated format, hold for a changed version as well."""
    snapshot = read_presets('adhoc = "any"\n[presets.v]\ncommand = "/fw/300"\nformat = "auto"\nquality = 60')

    changed, other = (parse(f"/a.jpg!v{words}", snapshot)[0].asked for words in ("/fw/9", "/fw/9/format/png"))

    assert isinstance(changed, AskAdhoc)
    assert isinstance(other, AskAdhoc)
    assert (changed.auto_format, changed.output.quality) == (True, 60)
    assert (other.auto_format, other.output.target.value) == (False, "png")


def test_changed_version_is_ad_hoc() -> None:
    """A version is a preset; with a word changed it is a command like any other."""
    text = '[presets.v]\ncommand = "/fw/300"\n'
    closed = 'adhoc = "any"\noriginals = "protected"\ndialects = ["upyun"]\n'
    off, protected = read_presets(text), read_presets(closed + text)

    assert isinstance(parse("/a.jpg!v", protected)[0].asked, AskPreset)
    with pytest.raises(OriginalsProtected):
        parse("/a.jpg!v/fw/9", protected)
    assert parse("/a.jpg!v/fw/9", off)[0].not_found().code == "adhoc_refused"


def test_orientation() -> None:
    """Dropped with the EXIF unless it is kept or applied."""
    assert compile_command("/fw/9").output.orientation is Orientation.DROP
    assert compile_command("/fw/9/exifswitch/true").output.orientation is Orientation.KEEP
    assert compile_command("/fw/9/exifswitch/true/rotate/auto").output.orientation is Orientation.DROP


@pytest.mark.parametrize(
    "targets",
    [
        ("!/rotate/auto/fwfh/200x100", "?imageView2/2/w/200/h/100", "?x-oss-process=image/resize,w_200,h_100"),
        ("!/rotate/auto/fxfn/200x100", "?imageView2/0/w/200/h/100", "?x-oss-process=image/resize,l_200,s_100"),
        ("!/rotate/auto/fxfn2/200x100", "?imageView2/4/w/200/h/100", "?x-oss-process=image/resize,m_mfit,l_200,s_100"),
        ("!/fw/200/strip/true", "!/strip/true/fw/200", "!/fw/9/fw/200", "?imageMogr2/thumbnail/200x>/strip"),
        ("!/scale/50", "!/wscale/50/hscale/50", "?imageMogr2/thumbnail/!50p/strip"),
        ("!/crop/300x200a10a5/gravity/southeast", "?imageMogr2/gravity/SouthEast/crop/!300x200-10-5/strip"),
        ("!/canvas/300x200", "?imageMogr2/extent/!300x200/strip"),
        ("!/border/3x2", "?imageMogr2/border/3x2/strip"),
        ("!/fp/20000/force/true", "?imageMogr2/thumbnail/20000@/strip"),
    ],
    ids=lambda targets: targets[0],
)
def test_one_meaning_has_one_fingerprint(targets: tuple[str, ...]) -> None:
    """Where vendors mean the same, the result is made and kept once."""
    presets = 'adhoc = "any"\ndialects = ["qiniu", "aliyun", "upyun"]'

    assert len(fingerprints(*(f"/cat.jpg{target}" for target in targets), presets=presets)) == 1


SIZES = {
    "fw", "fh", "max", "min", "sq", "fwfh", "fwfh2", "both", "fxfn", "fxfn2", "scale", "wscale", "hscale", "fp",
}  # fmt: skip
SIDE = st.integers(1, 3000)
PAIR = st.builds("{}x{}".format, SIDE, SIDE)
SIGN = st.sampled_from("as")
PLACED = st.builds("{}{}{}{}{}".format, PAIR, SIGN, st.integers(0, 99), SIGN, st.integers(0, 99))
GRAVITY = st.sampled_from(
    ["northwest", "north", "northeast", "west", "center", "east", "southwest", "south", "southeast"]
)
WORD = st.one_of(
    st.builds("{}/{}".format, st.sampled_from(["fw", "fh", "max", "min", "sq"]), SIDE),
    st.builds("{}/{}".format, st.sampled_from(["fwfh", "fwfh2", "both", "fxfn", "fxfn2", "canvas", "border"]), PAIR),
    st.builds("{}/{}".format, st.sampled_from(["scale", "wscale", "hscale"]), st.integers(1, 1000)),
    st.integers(1, 25_000_000).map("fp/{}".format),
    st.builds("{}/{}/gravity/{}".format, st.sampled_from(["crop", "clip"]), PLACED | PAIR, GRAVITY),
    st.integers(1, 360).map("rotate/{}".format),
    st.sampled_from(
        ["force/true", "rotate/auto", "flip/left,right", "unsharp/true", "gaussblur/5x2", "roundrect/9", "format/png"]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORD, min_size=1, max_size=6), SIDE, SIDE, st.randoms(use_true_random=False))
def test_order_has_no_meaning(words: list[str], width: int, height: int, random) -> None:
    """Parameters come in any order; what they say can be written; and no picture becomes empty by it."""
    once = list({word.partition("/")[0]: word for word in words}.values())
    shuffled = random.sample(once, len(once))

    asked, again = compile_command("/" + "/".join(once)), compile_command("/" + "/".join(shuffled))

    assert asked.operations == again.operations
    assert asked.output == again.output
    text = UPYUN.write(asked.operations, asked.output)
    if len(SIZES & {word.partition("/")[0] for word in once}) <= 1:  # several cannot always be told apart
        assert text is not None
        assert compile_command(text).operations == asked.operations
    size = size_or_none(asked.operations, Size(width, height))
    assert size is None or min(size.width, size.height) >= 1


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=40),
    st.sampled_from(["!", "-", "_", "!v", "-v"]),
    st.sampled_from(["", "/fw/", "/watermark/text/"]),
)
def test_no_path_breaks_the_parser(text: str, separator: str, begin: str) -> None:
    """Whatever follows a separator, there is a reading or an error for the client."""
    snapshot = read_presets('adhoc = "any"\nseparators = ["!", "-", "_"]\n[presets.v]\ncommand = "/fw/300"')
    try:
        assert parse(f"/a.jpg{separator}{begin}{text}", snapshot)
    except ProxyError as error:
        assert error.code in ("invalid_key", "invalid_command", "invalid_request", "unknown_preset")  # noqa: PT017 -- one of many texts

"""Frames dropped and put together, gradients, and lists of colours; through HTTP, frame by frame."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from tests.dialects.cases import b64
from tests.dialects.conftest import Servers
from tests.pictures import decoded, encoded

QINIU = 'adhoc = "any"\ndialects = ["qiniu", "aliyun", "upyun"]'
TENCENT = 'adhoc = "any"\ndialects = ["tencent"]'
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def frames_of(body: bytes) -> list[tuple[Image.Image, int]]:
    """The frames of an animation and how long each is shown, in milliseconds."""
    found = Image.open(io.BytesIO(body))
    return [(frame.convert("RGB"), frame.info["duration"]) for frame in ImageSequence.Iterator(found)]


def shade(index: int) -> tuple[int, int, int]:
    """The colour of a frame: far enough from its neighbours for Pillow not to take them for one."""
    return 6 * index, 255 - 6 * index, 97 * index % 256


def moving(servers: Servers, count: int) -> str:
    """A GIF of so many frames of different colours, 100 ms each."""
    key = f"moving-{count}.gif"
    frames = [Image.new("RGB", (16, 12), shade(index)) for index in range(count)]
    (servers.originals / key).write_bytes(
        encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100, loop=0)
    )
    return key


@pytest.mark.parametrize(
    ("cgif", "kept", "delays"),
    [
        ("1", range(30), [100] * 30),
        ("2", [0, 20], [2000, 2000]),
        ("3", [0, 13, 26], [1300, 1300, 1400]),
        ("100", range(40), [100] * 40),
    ],
)
def test_cgif(cgif: str, kept: list[int], delays: list[int], servers: Servers) -> None:
    """1: the first thirty; more: so many, spread, and the animation takes as long as before."""
    body = servers.get(TENCENT).get(f"/{moving(servers, 40)}?imageMogr2/cgif/{cgif}").body

    frames = frames_of(body)
    assert [delay for _, delay in frames] == delays
    for (frame, _), index in zip(frames, kept, strict=True):
        assert max(abs(a - b) for a, b in zip(frame.getpixel((3, 3)), shade(index), strict=True)) <= 4


def test_cgif_leaves_stills(servers: Servers) -> None:
    """What has one frame keeps it."""
    (servers.originals / "still.png").write_bytes(encoded(Image.new("RGB", (16, 12)), "PNG"))

    assert decoded(servers.get(TENCENT).get("/still.png?imageMogr2/cgif/2").body).format == "PNG"


@pytest.fixture
def pictures(servers: Servers) -> str:
    """The keys of an animation: red and as large as the first picture, green and wide, blue and small."""
    for name, size, colour in (("a", (60, 40), RED), ("b", (120, 40), GREEN), ("c", (20, 10), BLUE)):
        (servers.originals / f"frame-{name}.png").write_bytes(encoded(Image.new("RGB", size, colour), "PNG"))
    return "".join(f"/key/{b64(f'frame-{name}.png')}" for name in "abc")


@pytest.mark.parametrize(("effect", "order"), [("", [0, 1, 2]), ("/effect/0", [0, 1, 2]), ("/effect/1", [2, 1, 0])])
def test_animation(effect: str, order: list[int], pictures: str, servers: Servers) -> None:
    """A GIF as large as the picture of the URL, of the pictures that are listed, for ever."""
    reply = servers.get(QINIU).get(f"/frame-a.png?animate/duration/50/merge{pictures}{effect}")

    assert reply.headers["content-type"] == "image/gif"
    animation = Image.open(io.BytesIO(reply.body))
    assert animation.info["loop"] == 0
    frames = frames_of(reply.body)
    assert {frame.size for frame, _ in frames} == {(60, 40)}
    assert [delay for _, delay in frames] == [500, 500, 500]
    colours = [(RED, GREEN, BLUE)[index] for index in order]
    assert [frame.getpixel((30, 20)) for frame, _ in frames] == colours
    wide = frames[order.index(1)][0]
    assert wide.getpixel((1, 20)) == GREEN
    assert wide.getpixel((30, 2)) != GREEN


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        ("animate/merge/key/YQ==", 400, "needs a duration"),
        ("animate/duration/0/merge/key/YQ==", 400, "1 to 65535"),
        ("animate/duration/5/merge", 400, "1 to 20 pictures"),
        ("animate/duration/5/merge" + "/key/YQ==" * 21, 400, "1 to 20 pictures, got 21"),
        ("animate/duration/5/merge/key/YQ==/effect/2", 400, "0 or 1"),
        (f"animate/duration/5/merge/key/{b64('missing.png')}", 422, "missing.png"),
        (f"animate/duration/5/merge/key/{b64('../x')}", 400, ""),
    ],
)
def test_bad_animation(command: str, status: int, says: str, servers: Servers) -> None:
    """Each mistake by its name."""
    (servers.originals / "frame-a.png").write_bytes(encoded(Image.new("RGB", (60, 40), RED), "PNG"))
    reply = servers.get(QINIU).get(f"/frame-a.png?{command}")

    assert reply.status == status, reply.body
    assert says in str(reply.json["error"])


def test_animation_is_bounded(servers: Servers, pictures: str) -> None:
    """1080 pixels a side, and no list of sizes allows it."""
    (servers.originals / "large.png").write_bytes(encoded(Image.new("RGB", (1081, 4)), "PNG"))
    command = f"animate/duration/5/merge{pictures}"

    assert servers.get(QINIU).get(f"/large.png?{command}").status == 400
    assert servers.get('adhoc = { sizes = ["60x40"] }').get(f"/frame-a.png?{command}").status == 403


@pytest.mark.parametrize(
    ("direction", "first", "last"),
    [
        ("top,down", (5, 10), (5, 29)),
        ("top-down", (5, 10), (5, 29)),
        ("bottom,up", (5, 29), (5, 10)),
        ("left,right", (10, 5), (29, 5)),
        ("right-left", (29, 5), (10, 5)),
    ],
)
def test_gradient(direction: str, first: tuple[int, int], last: tuple[int, int], servers: Servers) -> None:
    """Between two positions it goes from one colour to the other; around them the picture stays as it is."""
    (servers.originals / "square.png").write_bytes(encoded(Image.new("RGB", (40, 40), (90, 90, 90)), "PNG"))
    words = f"/gdori/{direction}/gdpos/10,30/gdstartcolor/FF000000/gdstopcolor/0000FF00"

    picture = decoded(servers.get(QINIU).get(f"/square.png!{words}").body).convert("RGB")

    assert picture.getpixel(first) == RED
    assert picture.getpixel(last) == BLUE
    assert picture.getpixel((9, 9)) == picture.getpixel((30, 30)) == (90, 90, 90)
    middle = picture.getpixel(((first[0] + last[0]) // 2, (first[1] + last[1]) // 2))
    assert 100 < middle[0] < 155
    assert 100 < middle[2] < 155


def test_gradient_fades(servers: Servers) -> None:
    """A colour that is missing is the other one, unseen: white at the top, black at the bottom."""
    (servers.originals / "white.png").write_bytes(encoded(Image.new("RGB", (10, 100), "white"), "PNG"))

    column = np.asarray(decoded(servers.get(QINIU).get("/white.png!/gdstopcolor/00000000").body).convert("L"))[:, 5]

    assert column[0] == 255
    assert column[-1] == 0
    assert (np.diff(column.astype(int)) <= 0).all()


@pytest.mark.parametrize(
    "words", ["/gdori/top,down", "/gdori/up/gdstartcolor/FF000000", "/gdpos/30,10/gdstartcolor/FF000000"]
)
def test_bad_gradient(words: str, servers: Servers) -> None:
    """It needs a colour, a direction that exists, and a stop behind its start."""
    (servers.originals / "white.png").write_bytes(encoded(Image.new("RGB", (10, 100), "white"), "PNG"))

    assert servers.get(QINIU).get(f"/white.png!{words}").status == 400


def test_frequent_colours(servers: Servers) -> None:
    """The most frequent first, exactly as they are; as texts of hexadecimal or decimal digits."""
    flag = Image.new("RGB", (100, 100), "#cc9966")
    flag.paste("#102030", (0, 0, 100, 30))
    flag.paste("#fefefe", (0, 30, 100, 40))
    (servers.originals / "flag.png").write_bytes(encoded(flag, "PNG"))
    server = servers.get(QINIU)

    assert server.get("/flag.png!/excolor/2").json == {"theme_color": ["#CC9966", "#102030"]}
    assert server.get("/flag.png!/excolor/128").json == {"theme_color": ["#CC9966", "#102030", "#FEFEFE"]}
    assert server.get("/flag.png!/excolor/1/exformat/dec").json == {"theme_color": ["13408614"]}
    assert server.get("/flag.png!/excolor/0").status == 400
    assert server.get("/flag.png!/excolor/9/exformat/oct").status == 400

"""Which pixels come out where: marks, canvases, borders, corners and colours, through HTTP on lossless pictures."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from PIL import Image

from tests.dialects.cases import b64
from tests.dialects.conftest import Servers
from tests.pictures import decoded, encoded
from tests.servers.imgbang import Reply

QINIU = 'adhoc = "any"\ndialects = ["qiniu", "aliyun", "upyun"]'
TENCENT = 'adhoc = "any"\ndialects = ["tencent"]'
GREY = (90, 90, 90)
RED = (255, 0, 0)


def ask(servers: Servers, command: str, size: tuple[int, int] = (250, 250), presets: str = QINIU) -> Image.Image:
    """What a command makes of an even grey PNG of this size."""
    key = f"grey-{size[0]}x{size[1]}.png"
    path = servers.originals / key
    if not path.exists():
        path.write_bytes(encoded(Image.new("RGB", size, GREY), "PNG"))
    reply = servers.get(presets).get(f"/{key}?{command}")
    assert reply.status == 200, reply.body[:300]
    return decoded(reply.body)


def box_of(picture: Image.Image, ground: tuple[int, ...] = GREY) -> tuple[int, int, int, int]:
    """Left, top, width and height of all that is not ground."""
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    other = np.abs(pixels - np.array(ground)).max(axis=2) > 40
    rows, columns = np.flatnonzero(other.any(axis=1)), np.flatnonzero(other.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


@pytest.mark.parametrize(
    ("parameters", "box"),
    [
        ("", (149, 179, 91, 61)),
        ("/gravity/NorthWest", (10, 10, 91, 61)),
        ("/gravity/North/dx/0/dy/5", (80, 5, 91, 61)),
        ("/gravity/NorthEast/dx/3/dy/5", (156, 5, 91, 61)),
        ("/gravity/West/dx/3/dy/0", (3, 95, 91, 61)),
        ("/gravity/Center/dx/7/dy/0", (87, 95, 91, 61)),
        ("/gravity/SouthWest/dx/0/dy/0", (0, 189, 91, 61)),
        ("/gravity/SouthEast/dx/-20/dy/0", (179, 189, 71, 61)),
        ("/gravity/NorthWest/dx/0/dy/0/ws/0.1", (0, 0, 37, 25)),
        ("/gravity/NorthWest/dx/0/dy/0/ws/0.1/wst/1", (0, 0, 25, 16)),
        ("/gravity/NorthWest/dx/0/dy/0/ws/0.1/wst/2", (0, 0, 25, 16)),
        ("/gravity/NorthWest/dx/0/dy/0/ws/0.1/wst/3", (0, 0, 37, 25)),
        ("/gravity/NorthWest/dx/0/dy/0/ws/1", (0, 0, 250, 250)),
    ],
)
def test_image_mark_stands_where_it_should(parameters: str, box: tuple[int, ...], servers: Servers) -> None:
    """Gravity, offsets and scale of `watermark/1`: a mark of 91x61 on a picture of 250x250."""
    picture = ask(servers, f"watermark/1/image/{b64('logo.png')}{parameters}")

    assert picture.size == (250, 250)
    assert box_of(picture) == box


def test_mark_larger_than_the_picture_is_left_out(servers: Servers) -> None:
    """Without a scale, Qiniu answers the picture as it is."""
    picture = ask(servers, f"watermark/1/image/{b64('logo.png')}", (80, 300))

    assert picture.getcolors() == [(80 * 300, GREY)]


def test_opacity_mixes(servers: Servers) -> None:
    """At 50 % the mark and the picture count the same."""
    picture = ask(servers, f"watermark/1/image/{b64('logo.png')}/dissolve/50/gravity/Center")

    assert np.abs(np.subtract(picture.convert("RGB").getpixel((125, 125)), (172, 45, 45))).max() <= 2


def test_several_marks_are_drawn_in_order(servers: Servers) -> None:
    """`watermark/3` draws what comes later over what came before."""
    logo = b64("logo.png")
    picture = ask(
        servers, f"watermark/3/image/{logo}/gravity/NorthWest/dx/0/dy/0/image/{logo}/gravity/SouthEast/dx/0/dy/0"
    )

    assert picture.convert("RGB").getpixel((5, 5)) == RED
    assert picture.convert("RGB").getpixel((245, 245)) == RED
    assert picture.convert("RGB").getpixel((125, 125)) == GREY


def test_tiles_cover_the_picture(servers: Servers) -> None:
    """A tiled mark shows in every quarter."""
    picture = ask(servers, f"watermark/1/image/{b64('logo.png')}/tile/1/dx/9/dy/9", (400, 400))

    for box in ((0, 0, 200, 200), (200, 0, 400, 200), (0, 200, 200, 400), (200, 200, 400, 400)):
        assert RED in {colour for _, colour in picture.convert("RGB").crop(box).getcolors(9999)}


@pytest.mark.parametrize(
    ("gravity", "quarter"), [("NorthWest", (0, 0)), ("NorthEast", (1, 0)), ("SouthWest", (0, 1)), ("SouthEast", (1, 1))]
)
def test_text_stands_in_its_corner(gravity: str, quarter: tuple[int, int], servers: Servers) -> None:
    """A text of 20 pixels is about that high, has its colour, and keeps its distance from the corner."""
    command = f"watermark/2/text/{b64('Hxg')}/fontsize/400/fill/{b64('red')}/gravity/{gravity}/dx/12/dy/15"
    left, top, width, height = box_of(ask(servers, command))

    assert 10 <= height <= 28
    assert 20 <= width <= 80
    assert abs((left if quarter[0] == 0 else 250 - left - width) - 12) <= 4
    assert abs((top if quarter[1] == 0 else 250 - top - height) - 15) <= 6


def test_text_is_not_markup(servers: Servers) -> None:
    """Tags in a text are drawn, not obeyed."""
    marked = ask(servers, f"watermark/2/text/{b64('<b>i</b>')}/fontsize/400")
    plain = ask(servers, f"watermark/2/text/{b64('i')}/fontsize/400")

    assert box_of(marked)[2] > 4 * box_of(plain)[2]


@pytest.mark.parametrize(
    ("command", "inner"),
    [
        ("extent/!252x254", (1, 2, 250, 250)),
        ("extent/!260x270-3-4", (3, 4, 250, 250)),
        ("extent/!-3a0", (3, 0, 247, 250)),
        ("extent/!a3-0", (0, 0, 247, 250)),
        ("extent/!a0-3", (0, 3, 250, 247)),
        ("extent/!-0a3", (0, 0, 250, 247)),
        ("extent/!300x200-10a20", (10, 0, 250, 200)),
    ],
)
def test_canvas_shows_its_background(command: str, inner: tuple[int, ...], servers: Servers) -> None:
    """Where the picture is on a red canvas."""
    picture = ask(servers, f"imageMogr2/{command}/background/{b64('red')}")

    assert box_of(picture, RED) == inner


def test_border_has_its_colour(servers: Servers) -> None:
    """Bars of 7 and 5 pixels, blue."""
    picture = ask(servers, f"imageMogr2/border/7x5/bordercolor/{b64('#00f')}")

    assert picture.size == (264, 260)
    assert box_of(picture, (0, 0, 255)) == (7, 5, 250, 250)


def test_turning_fills_the_corners(servers: Servers) -> None:
    """Corners are white, or the background wherever it stands in the command; transparent if it is."""
    white = ask(servers, "imageMogr2/rotate/45").convert("RGB")
    red = ask(servers, f"imageMogr2/rotate/45/background/{b64('red')}").convert("RGB")
    clear = ask(servers, f"imageMogr2/background/{b64('transparent')}/rotate/45")

    assert white.getpixel((2, 2)) == (255, 255, 255)
    assert red.getpixel((2, 2)) == RED
    assert clear.mode == "RGBA"
    assert clear.getpixel((2, 2))[3] == 0
    assert clear.getpixel((176, 176)) == (*GREY, 255)


@pytest.mark.parametrize(
    ("command", "clear", "opaque"),
    [
        ("roundPic/radius/50", [(3, 3), (246, 246), (246, 3)], [(15, 15), (125, 0), (0, 125), (50, 0)]),
        ("roundPic/radius/!50p", [(10, 10), (30, 30)], [(37, 37), (125, 0), (249, 125)]),
        ("roundPic/radiusx/100/radiusy/10", [(0, 0), (20, 1)], [(6, 9), (100, 1), (60, 4)]),
    ],
)
def test_corners_are_round(
    command: str, clear: list[tuple[int, int]], opaque: list[tuple[int, int]], servers: Servers
) -> None:
    """What lies beyond the corner's ellipse is transparent, everything else is as it was."""
    picture = ask(servers, command)

    assert picture.format == "PNG"
    assert [picture.getpixel(at)[3] for at in clear] == [0] * len(clear)
    assert all(picture.getpixel(at)[:3] == GREY and picture.getpixel(at)[3] > 250 for at in opaque)


def test_circle_is_cut_out_of_the_middle(servers: Servers) -> None:
    """Tencent's inner circle: transparent in a PNG, white in a JPEG."""
    cut = ask(servers, "imageMogr2/iradius/50", presets=TENCENT)
    flat = ask(servers, "imageMogr2/iradius/50/format/jpg", presets=TENCENT)

    assert cut.size == flat.size == (100, 100)
    assert cut.getpixel((5, 5))[3] == 0
    assert cut.getpixel((50, 1)) == (*GREY, 255)
    assert min(flat.getpixel((2, 2))) > 245


def test_padding_has_its_colour(servers: Servers) -> None:
    """Tencent pads with #3D3D3D around a picture in the middle."""
    picture = ask(servers, "imageMogr2/thumbnail/600x600/pad/1", (960, 540), TENCENT).convert("RGB")

    assert picture.size == (600, 600)
    assert picture.getpixel((0, 0)) == (61, 61, 61)
    assert picture.getpixel((300, 130)) == (61, 61, 61)
    assert picture.getpixel((300, 131)) == GREY
    assert picture.getpixel((300, 468)) == GREY
    assert picture.getpixel((300, 469)) == (61, 61, 61)


def test_stored_orientation_stays_until_it_is_applied_or_stripped(servers: Servers) -> None:
    """Without auto-orient the tag goes on saying how to show the picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (servers.originals / "turned.jpg").write_bytes(encoded(Image.new("RGB", (64, 48)), "JPEG", exif=exif.tobytes()))

    def orientation(command: str) -> int | None:
        return decoded(servers.get(QINIU).get(f"/turned.jpg?{command}").body).getexif().get(0x0112)

    assert orientation("imageMogr2/thumbnail/32x") == 6
    assert orientation("imageMogr2/strip/thumbnail/32x") in (None, 1)
    assert orientation("imageMogr2/auto-orient/thumbnail/32x") in (None, 1)
    assert orientation("imageView2/2/w/32") in (None, 1)


def quality_of(reply: Reply) -> list[int]:
    """The first quantisation table of a JPEG."""
    return list(Image.open(io.BytesIO(reply.body)).quantization[0])


def test_quality_follows_the_original(servers: Servers) -> None:
    """A JPEG is not written better than its original was, unless `!` says so."""
    noise = Image.frombytes("RGB", (200, 200), os.urandom(120_000))
    (servers.originals / "poor.jpg").write_bytes(encoded(noise, "JPEG", quality=50))
    server = servers.get(QINIU)
    tables = {
        name: quality_of(server.get(f"/poor.jpg?imageMogr2/{name}"))
        for name in ("quality/90", "quality/50!", "quality/90!")
    }

    assert tables["quality/90"] == tables["quality/50!"]
    assert sum(tables["quality/90!"]) < sum(tables["quality/50!"])


def test_size_limit_holds(servers: Servers) -> None:
    """The quality goes down until the picture fits; with `!` the original is the answer when it never does."""
    noise = Image.frombytes("RGB", (200, 200), os.urandom(120_000))
    body = encoded(noise, "JPEG", quality=95)
    (servers.originals / "noise.jpg").write_bytes(body)
    server = servers.get(QINIU)

    assert len(server.get("/noise.jpg?imageMogr2/size-limit/20k").body) <= 20 * 1024
    assert server.get("/noise.jpg?imageMogr2/size-limit/300!").body == body
    assert len(server.get("/noise.jpg?imageslim").body) <= len(body)


def test_changed_mark_changes_the_picture(servers: Servers) -> None:
    """The version of a mark is a part of the picture's entity tag."""
    mark = servers.originals / "changing.png"
    mark.write_bytes(encoded(Image.new("RGB", (20, 20), RED), "PNG"))
    command = f"watermark/1/image/{b64('changing.png')}/gravity/Center"
    ask(servers, command)
    server = servers.get(QINIU + "\n# a server of its own, that looks again at once")
    before = server.get(f"/grey-250x250.png?{command}")

    mark.write_bytes(encoded(Image.new("RGB", (20, 20), (0, 255, 0)), "PNG"))
    server.env["IMGBANG_FRESHNESS"] = "0"
    server.stop()
    server.start()
    after = server.get(f"/grey-250x250.png?{command}")

    assert before.headers["etag"] != after.headers["etag"]
    assert decoded(after.body).convert("RGB").getpixel((125, 125)) == (0, 255, 0)


@pytest.mark.parametrize(
    ("share", "side", "pixels"),
    [("scatype/1/spcent/500", 2, 200), ("scatype/2/spcent/250", 3, 75), ("scatype/1/spcent/100", 2, 40)],
)
def test_text_takes_its_share(share: str, side: int, pixels: int, servers: Servers) -> None:
    """Tencent's text marks can be so many thousandths of the picture wide or high."""
    text = b64("Hello World")
    picture = ask(servers, f"watermark/2/text/{text}/fill/{b64('red')}/dissolve/100/{share}", (400, 300), TENCENT)

    assert abs(box_of(picture)[side] - pixels) <= 3

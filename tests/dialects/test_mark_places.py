"""Where marks stand: random anchors and offsets of every vendor, against arithmetic restated from their pages."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from PIL import Image

from tests.dialects.cases import b64
from tests.dialects.conftest import Servers
from tests.dialects.restated import COMPASS, CORNERS, NAMES, placed
from tests.pictures import decoded, encoded

GROUND, RED, BLUE = (90, 90, 90), (255, 0, 0), (0, 0, 255)
SIZE, MARK = (301, 207), (91, 61)
RENDERED = 25
Box = tuple[int, int, int, int]


def settings(vendor: str) -> str:
    """Presets that read this vendor's commands."""
    return f'adhoc = "any"\ndialects = ["{vendor}"]'


def box_of(picture: Image.Image, colour: tuple[int, int, int]) -> Box | None:
    """Left, top, width and height of what is mostly of this colour; None where nothing is."""
    distance = np.abs(np.asarray(picture.convert("RGB")).astype(int) - np.array(colour)).max(axis=2)
    rows, columns = np.flatnonzero((distance < 100).any(axis=1)), np.flatnonzero((distance < 100).any(axis=0))
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


def ask(servers: Servers, vendor: str, command: str) -> Image.Image:
    """What a command makes of an even picture."""
    (servers.originals / "ground.png").write_bytes(encoded(Image.new("RGB", SIZE, GROUND), "PNG"))
    reply = servers.get(settings(vendor)).get(f"/ground.png{command}")
    assert reply.status == 200, (command, reply.body[:300])
    return decoded(reply.body)


def draw(vendor: str, random: Random) -> tuple[str, int, int, int]:
    """A command with an image mark, its anchor, and how far it is to stand from it, inwards."""
    anchor = random.randrange(9)
    low = -40 if vendor in ("qiniu", "tencent") else 0
    dx, dy = random.randint(low, 60), random.randint(low, 60)
    column, row = anchor % 3, anchor // 3
    match vendor:
        case "qiniu" | "tencent":
            command = f"?watermark/1/image/{b64('logo.png')}/gravity/{NAMES[anchor]}/dx/{dx}/dy/{dy}/dissolve/100"
            return command, anchor, dx, dy
        case "upyun":
            path = b64("/logo.png").replace("_", "|")
            return f"!/watermark/url/{path}/align/{NAMES[anchor].lower()}/margin/{dx}x{dy}", anchor, dx, dy
        case _:
            # In the middle row `voffset` counts and `y` does not; in the middle column neither does `x`.
            parameter = {"aliyun": "x-oss-process", "huawei": "x-image-process", "volcengine": "x-tos-process"}[vendor]
            names = CORNERS if vendor == "huawei" else COMPASS
            voffset = random.randint(-50, 50)
            key = b64("bucket/logo.png" if vendor == "huawei" else "logo.png").rstrip("=")
            words = f"image_{key},g_{names[anchor]},x_{dx},y_{dy},voffset_{voffset}"
            return (
                f"?{parameter}=image/watermark,{words}",
                anchor,
                0 if column == 1 else dx,
                voffset if row == 1 else dy,
            )


@pytest.mark.parametrize("vendor", ["qiniu", "tencent", "aliyun", "huawei", "volcengine", "upyun"])
def test_image_marks(vendor: str, servers: Servers) -> None:
    """The mark covers exactly the box that the anchor and the offsets come to, as far as it lies in the picture."""
    random = Random(f"marks {vendor}")
    for _ in range(RENDERED):
        command, anchor, dx, dy = draw(vendor, random)
        wanted = placed(MARK, SIZE, anchor, dx, dy)

        found = box_of(ask(servers, vendor, command), RED)

        assert found == (wanted and (*wanted[1], *wanted[0])), command


@pytest.mark.parametrize(
    ("share", "size"), [("", MARK), ("P_10", (30, 20)), ("P_50", (150, 100)), ("P_100", (301, 201))]
)
def test_share_of_the_picture(share: str, size: tuple[int, int], servers: Servers) -> None:
    """`P` is a percentage of the picture that the mark fits into, beside the key or in its own process."""
    key = b64("logo.png").rstrip("=")
    inner = b64(f"logo.png?x-oss-process=image/resize,{share}").rstrip("=") if share else key
    for image in (f"image_{key}{f',{share}' if share else ''}", f"image_{inner}"):
        found = box_of(ask(servers, "aliyun", f"?x-oss-process=image/watermark,{image},g_nw,x_0,y_0"), RED)

        assert found is not None
        assert found[:2] == (0, 0)
        assert abs(found[2] - size[0]) <= 1
        assert abs(found[3] - size[1]) <= 1


def row(servers: Servers, words: str, size: int = 60) -> tuple[Box, Box]:
    """The boxes of the image and of the text in a row of both."""
    (servers.originals / "dot.png").write_bytes(encoded(Image.new("RGB", (20, 10), RED), "PNG"))
    marks = f"image_{b64('dot.png').rstrip('=')},text_{b64('H').rstrip('=')},color_0000FF,size_{size}"
    picture = ask(servers, "aliyun", f"?x-oss-process=image/watermark,{marks},g_nw,x_10,y_10{words}")
    image, text = box_of(picture, RED), box_of(picture, BLUE)
    assert image is not None
    assert text is not None
    return image, text


def test_order_of_a_row(servers: Servers) -> None:
    """The image first, unless `order_1` says otherwise; the row stands where its first part stands."""
    image, text = row(servers, ",order_0")
    assert image[0] == 10
    assert text[0] >= 30

    image, text = row(servers, ",order_1")
    assert 10 <= text[0] < 20
    assert image[0] >= text[0] + text[2]


def test_interval_of_a_row(servers: Servers) -> None:
    """So many pixels between the two."""
    near, far = row(servers, ",interval_0")[1], row(servers, ",interval_50")[1]

    assert far[0] - near[0] == 50


def test_align_of_a_row(servers: Servers) -> None:
    """At the top, in the middle, at the bottom, which is where they stand by themselves."""
    tops = [row(servers, words)[0][1] for words in (",align_0", ",align_1", ",align_2", "")]

    assert tops[0] == 10
    assert tops[0] < tops[1] < tops[2] == tops[3]
    assert abs(tops[1] - (tops[0] + tops[2]) / 2) <= 1


@pytest.mark.parametrize(("opacity", "level"), [(0, 0.0), (50, 0.5), (90, 0.9), (100, 1.0)])
def test_opacity(opacity: int, level: float, servers: Servers) -> None:
    """A percentage: the colour lies between the ground's and the mark's."""
    marked = ask(
        servers,
        "aliyun",
        f"?x-oss-process=image/watermark,image_{b64('logo.png').rstrip('=')},g_nw,x_0,y_0,t_{opacity}",
    )

    pixel = marked.convert("RGB").getpixel((40, 30))
    wanted = [ground + (mark - ground) * level for ground, mark in zip(GROUND, RED, strict=True)]
    assert max(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) <= 2


def test_fill_covers_the_picture(servers: Servers) -> None:
    """`fill_1` repeats the mark in cells of its size and the padding, from edge to edge."""
    picture = ask(
        servers, "aliyun", f"?x-oss-process=image/watermark,image_{b64('logo.png').rstrip('=')},fill_1,padx_9,pady_9"
    )
    red = (np.asarray(picture.convert("RGB")).astype(int)[:, :, 0] > 200).mean()

    assert abs(red - (91 * 61) / (100 * 70)) < 0.06
    first, second = (picture.convert("RGB").crop((left, 0, left + 100, 70)).tobytes() for left in (0, 100))
    assert first == second

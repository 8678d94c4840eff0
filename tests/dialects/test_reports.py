"""The reports that vendors document, to the letter: originals are made with the facts that their pages print.

Pillow writes the pictures and their EXIF; what is asked reads them with libvips and libexif.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from tests.dialects.conftest import Servers
from tests.pictures import decoded, encoded

QINIU = 'adhoc = "any"\ndialects = ["qiniu", "aliyun", "upyun"]'
TENCENT = 'adhoc = "any"\ndialects = ["tencent", "huawei", "volcengine"]'


def report(servers: Servers, key: str, body: bytes, request: str, presets: str = QINIU) -> Any:
    """What is reported of an original; checked to be JSON that nobody keeps."""
    (servers.originals / key).write_bytes(body)
    reply = servers.get(presets).get(f"/{key}{request}")
    assert reply.status == 200, reply.body[:300]
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    return json.loads(reply.body)


def photo(width: int, height: int, colour: str, *, size: int = 0, **options: object) -> bytes:
    """A JPEG of one colour, filled up to `size` bytes with comments, of which one holds 65,533 at most."""
    body = encoded(Image.new("RGB", (width, height), colour), "JPEG", **options)
    comments = b""
    while (short := size - len(body) - len(comments)) > 4:
        length = min(short - 4, 65_000)
        if 0 < short - 4 - length < 8:
            length -= 8
        comments += b"\xff\xfe" + (length + 2).to_bytes(2, "big") + b"x" * length
    whole = body[:2] + comments + body[2:]
    assert not size or len(whole) == size
    return whole


def camera_exif() -> bytes:
    """The EXIF of Qiniu's and Aliyun's examples: a Canon EOS 5D, and where it stood."""
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    exif[0x0110] = "Canon EOS 5D Mark II"
    exif[0x0112] = 1
    exif[0x011A] = IFDRational(72, 1)
    exif[0x011B] = IFDRational(72, 1)
    exif[0x0128] = 2
    exif[0x0132] = "2011:11:19 17:09:23"
    camera = exif.get_ifd(0x8769)
    camera[0x829A] = IFDRational(1, 50)
    camera[0x829D] = IFDRational(28, 10)
    camera[0x8827] = 3200
    camera[0x9003] = "2011:11:19 17:09:23"
    camera[0x9204] = IFDRational(1, 3)
    camera[0x9207] = 5
    camera[0x9209] = 16
    camera[0x920A] = IFDRational(50, 1)
    camera[0xA405] = 50
    return exif.tobytes()


def signed_bias(exif: bytes) -> bytes:
    """The same with the exposure bias as a signed rational: Pillow knows unsigned ones only."""
    little = exif[6:8] == b"II"
    entry = (0x9204).to_bytes(2, "little" if little else "big")
    kind = (5).to_bytes(2, "little" if little else "big")
    at = exif.index(entry + kind)
    return exif[: at + 2] + (10).to_bytes(2, "little" if little else "big") + exif[at + 4 :]


EXIF = {
    "Make": ("Canon", 2),
    "Model": ("Canon EOS 5D Mark II", 2),
    "Orientation": ("Top-left", 3),
    "XResolution": ("72", 5),
    "YResolution": ("72", 5),
    "ResolutionUnit": ("Inch", 3),
    "DateTime": ("2011:11:19 17:09:23", 2),
    "ExposureTime": ("1/50 sec.", 5),
    "FNumber": ("f/2.8", 5),
    "ISOSpeedRatings": ("3200", 3),
    "DateTimeOriginal": ("2011:11:19 17:09:23", 2),
    "ExposureBiasValue": ("0.33 EV", 10),
    "MeteringMode": ("Pattern", 3),
    "Flash": ("Flash did not fire, compulsory flash mode", 3),
    "FocalLength": ("50.0 mm", 5),
    "FocalLengthIn35mmFilm": ("50", 3),
}
"""Names, texts and types as the vendors' pages print them, where they do."""


def test_qiniu_info(servers: Servers) -> None:
    """QR-10, all of it: the numbers are numbers, and there is nothing else."""
    body = photo(640, 427, "#85694d", size=214_513)

    assert report(servers, "gogopher.jpg", body, "?imageInfo") == {
        "size": 214513, "format": "jpeg", "width": 640, "height": 427, "colorModel": "ycbcr", "orientation": "Top-left",
    }  # fmt: skip


def test_qiniu_average(servers: Servers) -> None:
    """QR-11: the mean of all pixels, not a pixel; lower-case hexadecimal."""
    halves = Image.new("RGB", (640, 428), (0x85 - 100, 0x69 - 90, 0x4D - 70))
    halves.paste((0x85 + 100, 0x69 + 90, 0x4D + 70), (0, 0, 640, 214))

    assert report(servers, "halves.png", encoded(halves, "PNG"), "?imageAve") == {"RGB": "0x85694d"}


@pytest.mark.parametrize("presets", [QINIU, TENCENT], ids=["qiniu", "tencent"])
def test_exif(presets: str, servers: Servers) -> None:
    """Every field with libexif's text and its TIFF type; the same at both vendors."""
    body = photo(64, 48, "white", exif=signed_bias(camera_exif()))

    found = report(servers, "camera.jpg", body, "?exif", presets)

    for name, (text, kind) in EXIF.items():
        assert found[name] == {"val": text, "type": kind}, name


def test_no_exif(servers: Servers) -> None:
    """A picture without EXIF is an error that says so."""
    (servers.originals / "bare.jpg").write_bytes(photo(64, 48, "white"))
    for presets in (QINIU, TENCENT):
        reply = servers.get(presets).get("/bare.jpg?exif")

        assert reply.status == 400
        assert reply.json["error"] == "no exif data"
        assert "no-store" in reply.headers["cache-control"]


def test_tencent_info(servers: Servers) -> None:
    """All values are texts, and the digest is that of the file."""
    body = photo(960, 540, "#736246", size=158_421, quality=100, subsampling=0)
    mean = "0x" + "".join(f"{band[0][0]:02x}" for band in zip(decoded(body).getextrema(), strict=True))

    assert report(servers, "tencent.jpg", body, "?imageInfo", TENCENT) == {
        "format": "jpeg", "width": "960", "height": "540", "size": "158421", "md5": hashlib.md5(body).hexdigest(),
        "frame_count": "1", "photo_rgb": mean,
    }  # fmt: skip


def test_tencent_average(servers: Servers) -> None:
    """The colour of the documentation's example."""
    body = encoded(Image.new("RGB", (96, 54), "#736246"), "PNG")

    assert report(servers, "tencent.png", body, "?imageAve", TENCENT) == {"RGB": "0x736246"}


def test_aliyun_info(servers: Servers) -> None:
    """The file without EXIF: four texts, and the number of frames."""
    body = photo(400, 267, "white", size=21_839)

    assert report(servers, "example.jpg", body, "?x-oss-process=image/info") == {
        "FileSize": {"value": "21839"}, "Format": {"value": "jpg"}, "FrameCount": {"value": "1"},
        "ImageHeight": {"value": "267"}, "ImageWidth": {"value": "400"},
    }  # fmt: skip


def test_aliyun_info_with_exif(servers: Servers) -> None:
    """The EXIF's texts beside them, in the order of the alphabet."""
    body = photo(64, 48, "white", exif=signed_bias(camera_exif()))

    found = report(servers, "camera.jpg", body, "?x-oss-process=image/info")

    assert list(found) == sorted(found)
    assert found["ImageWidth"] == {"value": "64"}
    for name, (text, _) in EXIF.items():
        assert found[name] == {"value": text}, name


def test_aliyun_hue(servers: Servers) -> None:
    """The colour of the documentation's example."""
    body = encoded(Image.new("RGB", (40, 30), "#5c783b"), "PNG")

    assert report(servers, "hue.png", body, "?x-oss-process=image/average-hue") == {"RGB": "0x5c783b"}


def test_huawei_info(servers: Servers) -> None:
    """Numbers are numbers, and the format is written large."""
    body = photo(2668, 2000, "white", size=1_046_583)

    assert report(servers, "huawei.jpg", body, "?x-image-process=image/info", TENCENT) == {
        "format": "JPEG", "height": 2000, "size": 1046583, "width": 2668,
    }  # fmt: skip


def test_upyun_info_and_meta(servers: Servers) -> None:
    """Width, height, type and frames; `meta` adds the EXIF."""
    body = photo(64, 48, "white", exif=signed_bias(camera_exif()))

    info = report(servers, "camera.jpg", body, "!/info")
    meta = report(servers, "camera.jpg", body, "!/meta")

    assert info == {"width": 64, "height": 48, "type": "JPEG", "frames": 1}
    assert {name: meta[name] for name in info} == info
    assert meta["EXIF"] == meta["EXIF"] | {name: text for name, (text, _) in EXIF.items()}


@pytest.mark.parametrize(
    ("key", "image", "model", "kind"),
    [
        ("grey.jpg", Image.new("L", (8, 8)), "gray", "jpeg"),
        ("cmyk.jpg", Image.new("CMYK", (8, 8)), "cmyk", "jpeg"),
        ("plain.png", Image.new("RGB", (8, 8)), "rgba", "png"),
        ("clear.png", Image.new("RGBA", (8, 8)), "nrgba", "png"),
        ("grey.png", Image.new("L", (8, 8)), "gray", "png"),
        ("wide.png", Image.new("I;16", (8, 8)), "gray16", "png"),
        ("still.gif", Image.new("P", (8, 8)), "palette2", "gif"),
        ("plain.webp", Image.new("RGB", (8, 8)), "ycbcr", "webp"),
        ("clear.webp", Image.new("RGBA", (8, 8)), "nycbcra", "webp"),
        ("plain.bmp", Image.new("RGB", (8, 8)), "rgba", "bmp"),
        ("plain.tiff", Image.new("RGB", (8, 8)), "rgba", "tiff"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_colour_models(key: str, image: Image.Image, model: str, kind: str, servers: Servers) -> None:
    """The names of Go's colour models, which Qiniu's service is written in."""
    format_name = {"jpg": "JPEG"}.get(key.rpartition(".")[2], key.rpartition(".")[2].upper())
    found = report(servers, f"model-{key}", encoded(image, format_name), "?imageInfo")

    assert (found["format"], found["colorModel"]) == (kind, model)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations(orientation: int, servers: Servers) -> None:
    """Libexif's names; width and height are those of the file."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    names = [
        "Top-left",
        "Top-right",
        "Bottom-right",
        "Bottom-left",
        "Left-top",
        "Right-top",
        "Right-bottom",
        "Left-bottom",
    ]

    found = report(servers, f"turned-{orientation}.jpg", photo(64, 48, "white", exif=exif.tobytes()), "?imageInfo")

    assert (found["width"], found["height"], found["orientation"]) == (64, 48, names[orientation - 1])


def test_frames(servers: Servers) -> None:
    """A GIF says how many frames it has."""
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 100, 200)]
    body = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80)

    assert report(servers, "moving.gif", body, "?imageInfo")["frameNumber"] == 3
    assert report(servers, "moving.gif", body, "?imageInfo", TENCENT)["frame_count"] == "3"
    assert report(servers, "moving.gif", body, "?x-oss-process=image/info")["FrameCount"] == {"value": "3"}
    assert report(servers, "moving.gif", body, "!/info")["frames"] == 3


def test_report_at_the_end_is_about_the_result(servers: Servers) -> None:
    """Behind other commands, what they make is described, not the original."""
    (servers.originals / "big.jpg").write_bytes(photo(640, 427, "white"))
    server = servers.get(QINIU)

    said = server.get("/big.jpg?imageView2/2/w/200/format/png|imageInfo").json
    made = server.get("/big.jpg?imageView2/2/w/200/format/png").body

    assert (said["format"], said["width"], said["height"]) == ("png", 200, 133)
    assert said["size"] == len(made)

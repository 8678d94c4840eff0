"""Cases of the dialects: where they come from, the pictures they are about, and how an answer is measured.

`tests/cases/<dialect>.toml` holds them: `source` is the size of an original made for the case, `request` what follows in
the URL, and then what must come out. With `at` the original is a PNG whose pixels say where they are, and the corners of
the result must be those of the box that begins there.
"""

from __future__ import annotations

import base64
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from tests.pictures import encoded

CASES = Path(__file__).resolve().parent.parent / "cases"
FILES = ("qiniu", "tencent", "aliyun", "upyun", "huawei", "volcengine")


@dataclass(frozen=True)
class Case:
    """One row."""

    dialect: str
    presets: str
    url: str
    source: str
    request: str
    size: str | None = None
    tolerance: int = 0
    status: int = 200
    at: str | None = None
    """`x,y` of the box in the original."""
    orientation: int = 1
    kind: str = "jpg"
    """Of the original."""
    format: str | None = None
    """Of the result, as Pillow names it."""
    json: dict[str, Any] = field(default_factory=dict)
    """Members that a report must have."""
    says: str = ""
    """A part of the error's text."""
    evidence: str = "inferred"
    id: str = ""

    @property
    def key(self) -> str:
        """The key of the original."""
        kind = "png" if self.at else self.kind
        return f"{self.source}-{self.orientation}-{'coded' if self.at else 'plain'}.{kind}"

    @property
    def target(self) -> str:
        """The request target."""
        request = self.request.replace("<logo>", b64("logo.png"))
        return self.url.format(key=self.key, request=quote(request, safe="/!@$()*,;:=&?~+|<>'-._^%"))


def b64(text: str) -> str:
    """URL-safe base64."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def load_cases() -> list[Case]:
    """Every case of every file there is."""
    found = []
    for name in FILES:
        path = CASES / f"{name}.toml"
        if path.exists():
            file = tomllib.loads(path.read_text(encoding="utf-8"))
            found += [
                Case(dialect=name, presets=file["presets"], **{"url": file["url"], **case}) for case in file["case"]
            ]
    return found


def ensure_source(case: Case, folder: Path) -> None:
    """Make the original of a case, once."""
    path = folder / case.key
    if path.exists():
        return
    width, height = sides(case.source)
    image = coded(width, height) if case.at else Image.new("P" if case.kind == "gif" else "RGB", (width, height), 90)
    options: dict[str, Any] = {}
    if case.orientation != 1:
        exif = Image.Exif()
        exif[0x0112] = case.orientation
        options["exif"] = exif.tobytes()
    kind = {"jpg": "JPEG", "tif": "TIFF"}.get(path.suffix[1:], path.suffix[1:].upper())
    path.write_bytes(encoded(image, kind, **options))


def write_fixed_sources(folder: Path) -> None:
    """The marks."""
    (folder / "logo.png").write_bytes(encoded(Image.new("RGB", (91, 61), (255, 0, 0)), "PNG"))


def coded(width: int, height: int) -> Image.Image:
    """A picture whose pixels say where they are: low bytes in red and green, the rest in blue."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x & 255, y & 255, (x >> 8) | ((y >> 8) << 4)], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels, "RGB")


def place_of(pixel: tuple[int, ...]) -> tuple[int, int]:
    """Where in a coded picture a pixel was."""
    red, green, blue = pixel[:3]
    return red | ((blue & 15) << 8), green | ((blue >> 4) << 8)


def sides(text: str) -> tuple[int, int]:
    """Read `640x427`."""
    match = re.match(r"(\d+)x(\d+)", text)
    assert match is not None, text
    return int(match[1]), int(match[2])

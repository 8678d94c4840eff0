"""The first page of a PDF, drawn by PDFium (extra `pdf`); off unless the settings say otherwise.

PDFium comes without JavaScript and without XFA in its wheel, which is checked here; it fetches nothing, and forms,
attachments and further pages are not looked at. A page has no pixels of its own: it is drawn at the size asked for.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass

import pyvips

from proxy.errors import CannotRender, NotAnImage
from proxy.imaging.task_files import read_file

if importlib.util.find_spec("pypdfium2"):
    import pypdfium2
    from pypdfium2.version import PDFIUM_INFO

    _ALIVE = {"V8", "XFA"} & set(PDFIUM_INFO.flags or ())
    PDF_VERSION: str | None = None if _ALIVE else str(PDFIUM_INFO.build)
else:
    PDF_VERSION = None

DOTS_PER_POINT = 2
"""A page's own size is at 144 dots per inch: what a screen shows of it, sharply."""


@dataclass(frozen=True, slots=True)
class Page:
    """The first page, as its document describes it."""

    width: int
    height: int
    pages: int


def read_page(path: str) -> Page:
    """The size of the first page, at 144 dots per inch; what is on it is not looked at."""
    document = _open(path)
    try:
        width, height = document.get_page_size(0)
        return Page(_dots(width), _dots(height), len(document))
    finally:
        document.close()


def draw_page(path: str, *, scale: float) -> pyvips.Image:
    """The first page on white, at so many times its own size."""
    document = _open(path)
    try:
        page = document[0]
        try:
            drawn = page.render(
                scale=scale * DOTS_PER_POINT, may_draw_forms=False, rev_byteorder=True, prefer_bgrx=True,
                fill_color=(255, 255, 255, 255),
            )  # fmt: skip
            image = pyvips.Image.new_from_memory(bytes(drawn.buffer), drawn.stride // 4, drawn.height, 4, "uchar")
            # One of the four is padding.
            image = image.extract_band(0, n=3).crop(0, 0, drawn.width, drawn.height)
            return image.copy(interpretation="srgb")
        finally:
            page.close()
    finally:
        document.close()


def _open(path: str) -> pypdfium2.PdfDocument:
    if PDF_VERSION is None:
        raise NotAnImage("the original is a PDF document; reading it needs the extra imgbang[pdf]")
    try:
        # From memory: nothing beside the file can be read by a name in it.
        document = pypdfium2.PdfDocument(read_file(path))
    except pypdfium2.PdfiumError as error:
        text = "is encrypted" if "password" in str(error).lower() else "is damaged, or cannot be read"
        raise CannotRender(f"the original is a PDF document that {text}") from error
    if len(document) < 1:
        document.close()
        raise CannotRender("the original is a PDF document without pages")
    return document


def _dots(points: float) -> int:
    if not math.isfinite(points) or points <= 0:
        raise CannotRender("the first page of the original has no size")
    return max(1, math.ceil(points * DOTS_PER_POINT))

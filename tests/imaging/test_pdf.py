"""The first page of a PDF, which needs the extra `pdf` and is off by default."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from PIL import Image

from proxy.errors import CannotRender, NotAnImage, OriginalTooLarge, ProxyError, ResultTooLarge
from proxy.imaging import pdf as pdf_module
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderLimits
from proxy.plan.operations import AutoOrient, Resize
from proxy.plan.output import Format, Target
from tests.corpus import ROOT, require_corpus
from tests.imaging.conftest import Studio
from tests.pictures import decoded

pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed: PDF was not tried")


def document(drawing: bytes, *, box: str = "0 0 200 100", page: bytes = b"", root: bytes = b"") -> bytes:
    """A PDF of one page that draws this."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R%s>>" % root,
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents 4 0 R/Resources<<>>%s>>" % (box.encode(), page),
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawing), drawing),
    ]
    body = b"%PDF-1.7\n"
    offsets = []
    for number, text in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj%s endobj\n" % (number, text)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(body)
    body += b"xref\n0 5\n0000000000 65535 f \n" + table
    return body + b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start


LEFT_HALF_RED = b"1 0 0 rg 0 0 100 100 re f"


def test_off_by_default(studio: Studio) -> None:
    """A PDF is refused, and the answer says that it could be switched on."""
    with pytest.raises(NotAnImage, match="rendering PDF is switched off here"):
        studio.render(document(LEFT_HALF_RED))


def test_it_is_drawn_at_the_size_asked_for(studio: Studio, pdf: RenderLimits) -> None:
    """A page has sharp edges at any size, is 144 dots per inch by itself, and is white where nothing is drawn."""
    own = studio.render(document(LEFT_HALF_RED), AutoOrient(), limits=pdf)
    assert (own.format, own.width, own.height) == (Format.JPEG, 400, 200)

    report = studio.render(
        document(LEFT_HALF_RED), AutoOrient(), Resize(1000, enlarge=True), target=Target.PNG, limits=pdf
    )
    page = decoded(studio.result.read_bytes()).convert("RGB")
    assert (report.width, report.height) == page.size == (1000, 500)
    assert [page.getpixel((x, 250)) for x in (0, 498, 501, 999)] == [(255, 0, 0)] * 2 + [(255, 255, 255)] * 2


def test_a_turned_page(studio: Studio, pdf: RenderLimits) -> None:
    """A page that says it is to be turned is upright."""
    report = studio.render(document(LEFT_HALF_RED, page=b"/Rotate 90"), target=Target.PNG, limits=pdf)

    page = decoded(studio.result.read_bytes()).convert("RGB")
    assert (report.width, report.height) == (200, 400)
    assert (page.getpixel((100, 20)), page.getpixel((100, 380))) == ((255, 0, 0), (255, 255, 255))


def test_more_pages(studio: Studio, pdf: RenderLimits) -> None:
    """A document of several pages is its first, and the report says so."""
    require_corpus()

    report = studio.render(ROOT / "formats" / "lighthouses.pdf", Resize(200, 300), target=Target.PNG, limits=pdf)

    page = decoded(studio.result.read_bytes()).convert("RGB")
    assert (report.width, report.height) == (200, 283)
    assert "first of 2 pages" in report.notes
    assert len(page.getcolors(1 << 20) or ()) > 1000  # the photo


def test_sizes_are_limited(studio: Studio, pdf: RenderLimits) -> None:
    """A huge page is fine as a thumbnail, and refused at its own size."""
    huge = document(LEFT_HALF_RED, box="0 0 14400 14400")

    assert studio.render(huge, Resize(100, 100), target=Target.PNG, limits=pdf).width == 100
    with pytest.raises((OriginalTooLarge, ResultTooLarge), match="pixels"):
        studio.render(huge, limits=pdf)


def test_nothing_runs(studio: Studio, pdf: RenderLimits) -> None:
    """The library has neither JavaScript nor XFA, and an action at opening changes nothing."""
    assert pdf_module.PDF_VERSION
    assert not {"V8", "XFA"} & set(pdf_module.PDFIUM_INFO.flags)
    action = b"/OpenAction<</S/JavaScript/JS(while(1);)>>"

    assert studio.render(document(LEFT_HALF_RED, root=action), limits=pdf).width == 400


def test_encrypted(studio: Studio, pdf: RenderLimits) -> None:
    """A document that needs a password says so."""
    body = document(LEFT_HALF_RED).replace(
        b"trailer<<",
        b"trailer<</ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>" % (b"11" * 32, b"22" * 32),
    )

    with pytest.raises(CannotRender, match="is encrypted"):
        studio.render(body, limits=pdf)


def test_damaged(studio: Studio, pdf: RenderLimits) -> None:
    """Whatever a byte becomes, and wherever it ends, the answer is a picture or a clear error."""
    whole = document(LEFT_HALF_RED)
    broken = [whole[: len(whole) * part // 12] for part in range(1, 12)]
    broken += [bytes((*whole[:at], whole[at] ^ 0x11, *whole[at + 1 :])) for at in range(9, len(whole), 9)]
    for body in broken:
        try:
            studio.render(body, Resize(30, 30), limits=replace(pdf, max_pixels=1_000_000))
        except ProxyError:
            continue
        assert Image.open(io.BytesIO(studio.result.read_bytes())).size[0] <= 30


def test_the_header_counts_pages(studio: Studio, pdf: RenderLimits) -> None:
    """What the header says, without drawing."""
    info = inspect(str(studio.store(document(LEFT_HALF_RED))), pdf)

    assert (info.format, info.width, info.height, info.pages, info.frames) == (Format.PDF, 400, 200, 1, 1)

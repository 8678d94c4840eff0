"""SVG in: what is drawn, and what is taken out first."""

from __future__ import annotations

from pathlib import Path

import pytest
import pyvips
from PIL import Image

from proxy.errors import CannotRender, NotAnImage, OriginalTooLarge, ProxyError
from proxy.imaging.job import RenderLimits
from proxy.imaging.svg import clean
from proxy.plan.operations import AutoOrient, Crop, Resize
from proxy.plan.output import Format
from tests.corpus import ROOT, corpus_files, require_corpus
from tests.imaging.conftest import Studio
from tests.pictures import decoded, encoded

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="20" height="20" fill="red"/>%s</svg>'
)


def test_svg_is_off_by_default(studio: Studio) -> None:
    """An SVG is refused, and the answer says that it could be switched on."""
    with pytest.raises(NotAnImage, match="SVG is switched off"):
        studio.render(SVG % b"")


def test_svg_is_drawn_at_the_size_asked_for(studio: Studio, svg: RenderLimits) -> None:
    """Switched on, an SVG has sharp edges at any size, becomes PNG and stays transparent."""
    report = studio.render(SVG % b"", Resize(width=1000, enlarge=True), limits=svg)

    result = decoded(studio.result.read_bytes())
    assert (report.format, result.size) == (Format.PNG, (1000, 500))
    assert [result.getpixel((x, 250)) for x in (0, 499, 501, 999)] == [
        (255, 0, 0, 255), (255, 0, 0, 255), (0, 0, 0, 0), (0, 0, 0, 0),
    ]  # fmt: skip


def test_svg_reads_no_other_file(studio: Studio, svg: RenderLimits) -> None:
    """An image beside the SVG, by relative, absolute or file: reference, is not drawn."""
    secret = studio.folder / "secret.png"
    secret.write_bytes(encoded(Image.new("RGB", (20, 20), (0, 255, 0)), "PNG"))
    references = "".join(
        f'<image x="20" width="20" height="20" href="{name}"/>'
        for name in ("secret.png", str(secret), f"file://{secret}")
    )

    studio.render(SVG % references.encode(), limits=svg)

    assert decoded(studio.result.read_bytes()).getpixel((30, 10))[3] == 0


def test_large_svg_needs_a_size(studio: Studio, svg: RenderLimits) -> None:
    """A 127-byte SVG of ten million pixels a side is fine as a thumbnail and refused at its own size."""
    require_corpus()
    bomb = ROOT / "broken" / "bomb-10000000x10000000.svg"

    report = studio.render(bomb, AutoOrient(), Resize(200, 200), limits=svg)

    assert (report.width, report.height) == (200, 200)
    for operations in ((), (Crop(10, 10),)):
        with pytest.raises(Exception, match="pixels"):
            studio.render(bomb, *operations, limits=svg)


def test_packed_svg_is_unpacked_within_the_limit(studio: Studio, svg: RenderLimits) -> None:
    """A gzip-packed SVG works; one that unpacks to more than the limit is refused before it is unpacked."""
    import gzip

    assert studio.render(gzip.compress(SVG % b""), limits=svg).width == 40
    with pytest.raises(Exception, match="unpacked"):
        studio.render(gzip.compress(SVG % (b" " * 50_000_000)), limits=svg)
    with pytest.raises(NotAnImage):
        studio.render(gzip.compress(b"just text"), limits=svg)


def document(body: str, *, before: str = "", attributes: str = "") -> bytes:
    """An SVG with something in it."""
    return (
        f'{before}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="40" '
        f'height="20"{attributes}>{body}</svg>'
    ).encode()


HOSTILE = {
    "script": ("<script>alert(1)</script>", ("script",)),
    "script elsewhere": ('<s:script xmlns:s="http://www.w3.org/2000/svg">alert(1)</s:script>', ("script",)),
    "script of another space": ('<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>', ()),
    "handler": ('<g ONclick="alert(1)" onload="alert(2)"/>', ("ONclick", "onload")),
    "foreignObject": ("<foreignObject><b xmlns='http://www.w3.org/1999/xhtml'>alert</b></foreignObject>", ("foreignObject",)),
    "animation": ('<a><set attributeName="href" to="javascript:alert(1)"/></a>', ("set",)),
    "link": ('<a href="javascript:alert(1)"><path/></a>', ()),
    "image": ('<image href="http://evil.example/x.png"/>', ("a reference to somewhere else",)),
    "image by xlink": ('<image xlink:href="file:///etc/passwd"/>', ("a reference to somewhere else",)),
    "image that is an SVG": ('<image href="data:image/svg+xml,alert"/>', ("a reference to somewhere else",)),
    "use": ('<use href="evil.svg#x"/>', ("a reference to somewhere else",)),
    "base": ('<g xml:base="http://evil.example/"/>', ()),
    "style": ('<g style="fill:url(http://evil.example/#p)"/>', ("CSS that fetches",)),
    "presentation": ('<g fill="URL( &quot;//evil.example/#p&quot; )"/>', ("CSS that fetches",)),
    "escapes": ('<g style="fill:u\\72l(//evil.example)"/>', ("CSS with escapes",)),
    "comment in CSS": ('<style>@import/**/ "//evil.example";</style>', ("CSS that fetches",)),
    "import": ("<style><![CDATA[@import '//evil.example'; rect{fill:red}]]></style>", ("CSS that fetches",)),
    "font": ("<style>@font-face{font-family:x;src:url(//evil.example)}</style>", ("CSS that fetches",)),
    "processing": ("<?xml-stylesheet href='//evil.example'?>", ()),
    "include": ('<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>', ()),
}  # fmt: skip


@pytest.mark.parametrize(("body", "removed"), HOSTILE.values(), ids=HOSTILE)
def test_what_does_not_draw_is_taken_out(body: str, removed: tuple[str, ...]) -> None:
    """Nothing that runs or fetches is left, and the note names what would have been seen."""
    cleaned = clean(document(body))

    for word in (b"alert", b"evil", b"passwd", b"include"):
        assert word not in cleaned.body.replace(b"xmlns", b"")
    assert cleaned.removed == removed


def test_what_draws_is_left() -> None:
    """References within the document, embedded pictures, styles and the text around what is taken out."""
    inside = (
        '<style>rect { fill: url(#g) } g > rect { stroke: red }</style><g fill="url( #g )" style="mask:url(\'#m\')">'
        '<use href="#r"/><use xlink:href="#r"/><image href="data:image/png;base64,AAAA"/></g>'
        '<text xml:space="preserve">before <foreignObject/>after</text>'
    )

    cleaned = clean(document(inside)).body.decode()

    for part in (
        "fill: url(#g)",
        "g &gt; rect",
        'fill="url( #g )"',
        "url('#m')",
        'href="#r"',
        "data:image/png",
        "before after",
    ):
        assert part in cleaned


def test_entities(tmp_path: Path) -> None:
    """Entities of files are not read; a bomb of them is refused; a DOCTYPE alone is what half of the world's SVGs have."""
    secret = tmp_path / "secret"
    secret.write_text("very secret")
    external = f'<!DOCTYPE svg [<!ENTITY x SYSTEM "file://{secret}">]>'
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol" * 100}">' for n in range(10))

    assert b"secret" not in clean(document("<text>&x;</text>", before=external)).body
    with pytest.raises(CannotRender, match="unfolds too far"):
        clean(document("", before=f"<!DOCTYPE svg [{bomb}]>", attributes=' id="&e9;"'))
    doctype = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
    assert b"DOCTYPE" not in clean(document("", before=doctype)).body


@pytest.mark.parametrize("broken", [b"<svg", b"<svg><g></svg>", b"<svg>" * 300, b"<svg a='1' a='2'/>"])
def test_what_is_not_well_formed(broken: bytes) -> None:
    """Refused in words that say what it is."""
    with pytest.raises(CannotRender, match="not well-formed"):
        clean(broken)


def test_nobody_waits_for_a_regular_expression() -> None:
    """Half a megabyte of what looks like the beginning of something is read in a moment."""
    for text in ("url(" * 120_000, "url(" + " " * 400_000, "/*" * 200_000, "@font-face" * 40_000, "@import " * 60_000):
        clean(document(f"<style>{text}</style>"))


def test_the_corpus_looks_the_same(svg: RenderLimits) -> None:
    """Cleaning changes no pixel of any SVG of the corpus that librsvg draws."""
    assert svg.svg
    require_corpus()
    drawn = 0
    for path in (path for path in [*corpus_files("formats"), *corpus_files("broken")] if path.suffix == ".svg"):
        body = path.read_bytes()
        if path.name.startswith(("bomb", "xxe", "bug515")):
            continue
        before, after = pyvips.Image.svgload_buffer(body), pyvips.Image.svgload_buffer(clean(body).body)
        assert (before - after).abs().max() == 0, path.name
        drawn += 1
    assert drawn > 10


def test_the_report_says_what_was_taken_out(studio: Studio, svg: RenderLimits) -> None:
    """What a person misses in the picture is explained."""
    report = studio.render(SVG % b"<script>1</script>", limits=svg)

    assert report.notes == ("taken out of the SVG: script",)


def test_size_limit(studio: Studio, svg: RenderLimits) -> None:
    """An SVG of more bytes than allowed is refused before it is read."""
    with pytest.raises(OriginalTooLarge, match="may have 524288 bytes"):
        studio.render(SVG % (b" " * 600_000), limits=svg)


def test_damaged(studio: Studio, svg: RenderLimits) -> None:
    """Whatever a byte becomes, the answer is a picture or a clear error."""
    body = bytearray(SVG % b'<g style="fill:url(#a)"/>')
    for at in range(5, len(body), 2):
        broken = bytes((*body[:at], body[at] ^ 0x15, *body[at + 1 :]))
        try:
            studio.render(broken, Resize(30, 30), limits=svg)
        except ProxyError:
            continue

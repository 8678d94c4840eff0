"""Clean an SVG before it is drawn: what draws stays, and everything that runs, fetches or unfolds is taken out.

librsvg runs no scripts and, given bytes, opens no files. This is the second wall: an allow-list, so that what the
standard or the library learns tomorrow is out until somebody has thought about it.

1. Elements: those of SVG's namespace (or none) that draw or define. No scripts, foreignObject, animation, audio, video.
2. Attributes: no event handlers, no xml:base. References lead into the document (`#id`); an image may also be a PNG,
   JPEG, GIF or WebP within a `data:` URL.
3. CSS, in style elements and in every attribute: no @import and no other @-rule that fetches; `url()` leads into the
   document; a text with backslashes is dropped, because escapes could spell anything.
4. References that unfold into more than a renderer can draw in a second: see `unfolding.py`.
5. No DOCTYPE, no entities in texts, no processing instructions, no XInclude. Entities in attributes unfold within
   libxml2's limits, because Illustrator writes namespaces that way.

An original that is served as it is stays as it is, and goes out under a Content-Security-Policy that runs and fetches
nothing.
"""

from __future__ import annotations

import importlib.util
import re
import zlib
from dataclasses import dataclass

from proxy.errors import CannotRender, NotAnImage, OriginalTooLarge
from proxy.imaging.task_files import read_file

if importlib.util.find_spec("lxml"):
    from lxml import etree

    from proxy.imaging.unfolding import MOST_DRAWN, unfolded

    CLEANER_VERSION: str | None = etree.__version__
else:
    CLEANER_VERSION = None

_SVG = "http://www.w3.org/2000/svg"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_ELEMENTS = frozenset(
    """
    svg g defs symbol use a switch marker pattern clipPath mask filter linearGradient radialGradient stop rect circle
    ellipse line polyline polygon path text tspan textPath tref image style title desc view
    feBlend feColorMatrix feComponentTransfer feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap
    feDistantLight feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feImage feMerge feMergeNode
    feMorphology feOffset fePointLight feSpecularLighting feSpotLight feTile feTurbulence
    """.split()  # noqa: SIM905 -- seventy names in quotes would be a page
)
_HOLDS_IMAGE = frozenset({"image", "feImage"})
_EMBEDDED = re.compile(r"\s*data:image/(png|jpe?g|gif|webp)[;,]", re.IGNORECASE)
_CSS_COMMENT = re.compile(r"/\*.*?(\*/|\Z)", re.DOTALL)
_CSS_FETCHES = re.compile(
    r"@(import|charset|namespace)[^;{}]*;?|@(font-face|document)[^{}]*(\{[^{}]*\}?)?", re.IGNORECASE
)
_CSS_URL = re.compile(r"""(url|src|image|image-set)\((?!\s*(?:['"]\s*)?\#)[^)]*\)?""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CleanSvg:
    """A document that may be drawn, and the names of what was taken out, sorted."""

    body: bytes
    removed: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """For people; none where nothing was taken out."""
        return (f"taken out of the SVG: {', '.join(self.removed)}",) if self.removed else ()


def read_svg(path: str, *, limit: int) -> CleanSvg:
    """Read an SVG of at most `limit` bytes, unpacked if need be, and clean it."""
    if CLEANER_VERSION is None:
        raise NotAnImage("the original is an SVG; reading it needs the extra imgbang[formats]")
    data = read_file(path)
    return clean(_unpacked(data, limit) if data.startswith(b"\x1f\x8b") else data)


def _unpacked(data: bytes, limit: int) -> bytes:
    try:
        unpacking = zlib.decompressobj(wbits=31)
        text = unpacking.decompress(data, limit + 1)
    except zlib.error as error:
        raise NotAnImage("the original is not an image of a known kind") from error
    if len(text) > limit:
        raise OriginalTooLarge(f"an SVG may have {limit} bytes here, unpacked")
    if b"<svg" not in text[:4096].lower():
        raise NotAnImage("the original is not an image of a known kind")
    return text


def clean(data: bytes) -> CleanSvg:
    """Take everything out that does not draw."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, attribute_defaults=False,
        huge_tree=False, remove_comments=True, remove_pis=True, recover=False,
    )  # fmt: skip
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise CannotRender("the original is an SVG that is not well-formed, or that unfolds too far") from error
    if _local(root) != "svg":
        raise NotAnImage("the original is not an image of a known kind")
    removed: set[str] = set()
    for element in list(root.iter()):
        _clean_element(element, removed)
    if unfolded(root) > MOST_DRAWN:
        raise OriginalTooLarge(f"an SVG may unfold into {MOST_DRAWN} elements, this one has more")
    return CleanSvg(etree.tostring(root, encoding="utf-8", with_tail=False), tuple(sorted(removed)))


def _local(element: etree._Element) -> str | None:
    """The name of an element of SVG; None for anything else."""
    if not isinstance(element.tag, str):
        return None
    name = etree.QName(element)
    return name.localname if name.namespace in (None, _SVG) else None


def _clean_element(element: etree._Element, removed: set[str]) -> None:
    name = _local(element)
    if name not in _ELEMENTS:
        # Of what editors say to themselves nobody needs to know: nothing of it is seen.
        if name != "metadata" and (name is not None or not isinstance(element.tag, str)):
            removed.add(name or "an entity")
        _drop(element)
        return
    for key, value in list(element.attrib.items()):
        _clean_attribute(element, name, str(key), str(value), removed)
    if name == "style":
        for child in list(element):
            element.remove(child)
        element.text = _clean_css(element.text or "", removed)


def _drop(element: etree._Element) -> None:
    """Remove an element and keep the text behind it."""
    parent = element.getparent()
    if parent is None:
        return  # its parent was dropped before it
    before, tail = element.getprevious(), element.tail or ""
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    parent.remove(element)


def _clean_attribute(element: etree._Element, name: str, key: str, value: str, removed: set[str]) -> None:
    if key in ("href", _XLINK_HREF):
        inside = value.strip().startswith("#") or (name in _HOLDS_IMAGE and _EMBEDDED.match(value))
        if not inside and name != "a":
            removed.add("a reference to somewhere else")
        if not inside:
            del element.attrib[key]
    elif key.startswith("{") and not (key.startswith(_XML) and key != f"{_XML}base"):
        del element.attrib[key]
    elif key.lower().startswith("on"):
        removed.add(key)
        del element.attrib[key]
    elif "(" in value or "@" in value or "\\" in value:
        element.attrib[key] = _clean_css(value, removed)


def _clean_css(text: str, removed: set[str]) -> str:
    text = _CSS_COMMENT.sub(" ", text)
    if "\\" in text:
        removed.add("CSS with escapes")
        return ""
    cleaned = _CSS_URL.sub("none", _CSS_FETCHES.sub(" ", text))
    if cleaned != text:
        removed.add("CSS that fetches")
    return cleaned

"""What of an original's metadata reaches a result: nothing, or who made it and whose it is.

Everything else stays behind, the orientation (consumed) and the place (private) before all. Metadata is dropped by
taking a short list along, not by deleting a long one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from xml.sax.saxutils import escape

import pyvips

from proxy.imaging.damage import reading
from proxy.imaging.fields import ARTIST, COPYRIGHT, IPTC, PROFILE, XMP
from proxy.imaging.foreign import FOREIGN, open_foreign
from proxy.imaging.job import RenderLimits, SourceInfo
from proxy.imaging.loading import open_original
from proxy.plan.output import Format

_MAX_LENGTH = 1024
_TAIL = re.compile(r", ASCII, \d+ components, \d+ bytes\)$")
_PLACES = (b"GPSL", b"GPSA", b"Iptc4xmpExt:Location", b"photoshop:City", b"LocationCreated", b"LocationShown")
"""What XMP calls positions and places."""


@dataclass(frozen=True, slots=True)
class Credit:
    """Who made a picture, and whose it is."""

    artist: str = ""
    copyright: str = ""

    def attach(self, image: pyvips.Image) -> None:
        """Write it on an image that is about to be saved: as EXIF, and as XMP, which knows more than ASCII."""
        for name, text in ((ARTIST, self.artist), (COPYRIGHT, self.copyright)):
            if text:
                # libvips drops what it takes for its own tail, from the last " (" on: even where that is a "(c)".
                image.set_type(pyvips.GValue.gstr_type, name, f"{text} (kept)")
        image.set_type(pyvips.GValue.blob_type, XMP, self._xmp())

    def _xmp(self) -> bytes:
        creator = f"<dc:creator><rdf:Seq><rdf:li>{escape(self.artist)}</rdf:li></rdf:Seq></dc:creator>"
        language = '<rdf:li xml:lang="x-default">'
        rights = f"<dc:rights><rdf:Alt>{language}{escape(self.copyright)}</rdf:li></rdf:Alt></dc:rights>"
        body = (creator if self.artist else "") + (rights if self.copyright else "")
        return (
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
            '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
            f'xmlns:dc="http://purl.org/dc/elements/1.1/">{body}</rdf:Description></rdf:RDF></x:xmpmeta>'
            '<?xpacket end="r"?>'
        ).encode()


def credit_of(image: pyvips.Image) -> Credit | None:
    """Who is credited by an image's EXIF, or else its XMP, or else its IPTC; None if nobody is."""
    xmp, iptc = _blob(image, XMP), _blob(image, IPTC)
    artist = _exif(image, ARTIST) or _from_xmp(xmp, b"creator") or _from_iptc(iptc, 80)
    rights = _exif(image, COPYRIGHT) or _from_xmp(xmp, b"rights") or _from_iptc(iptc, 116)
    return Credit(artist[:_MAX_LENGTH], rights[:_MAX_LENGTH]) if artist or rights else None


def _exif(image: pyvips.Image, name: str) -> str:
    try:
        return _value(image.get(name)) if image.get_typeof(name) else ""
    except UnicodeDecodeError:  # Latin-1 in a field that should be ASCII
        return ""


def _blob(image: pyvips.Image, name: str) -> bytes:
    return bytes(image.get(name)) if image.get_typeof(name) else b""


def _from_xmp(xmp: bytes, name: bytes) -> str:
    """The first value of a Dublin Core property. By pattern: a parser would believe the file's entities."""
    found = re.search(rb"<dc:%b>.{0,400}?<rdf:li[^>]{0,100}>([^<]{1,4096})</rdf:li>" % name, xmp, re.DOTALL)
    return unescape(found[1].decode(errors="replace")).strip() if found else ""


def _from_iptc(iptc: bytes, number: int) -> str:
    """The value of a field of IPTC's second record, inside Photoshop's blocks or not."""
    at = iptc.find(bytes((0x1C, 2, number)))
    if at < 0:
        return ""
    length = int.from_bytes(iptc[at + 3 : at + 5], "big")
    value = iptc[at + 5 : at + 5 + length] if length < 0x8000 else b""
    try:
        return value.decode().strip("\0 ")
    except UnicodeDecodeError:
        return value.decode("latin-1").strip("\0 ")


def tells_position(path: str, info: SourceInfo, limits: RenderLimits) -> bool:
    """Whether a file says where its picture was taken: such a file is never given out as a result."""
    if info.format is Format.SVG:
        return False
    if info.format in FOREIGN:
        with reading(path, info.format):
            image = open_foreign(path, info.format)
            xmp = image.info.get("xmp") or b""
            return bool(image.getexif().get_ifd(_GPS_IFD)) or any(word in xmp for word in _PLACES)
    opened = open_original(path, info.format, limits)
    if any(name.startswith(b"exif-ifd3-") for name in field_names(opened)):
        return True
    iptc = _blob(opened, IPTC)
    place = any(_from_iptc(iptc, number) for number in (90, 92, 95, 101))
    return place or any(word in _blob(opened, XMP) for word in _PLACES)


_GPS_IFD = 0x8825


def _value(text: str) -> str:
    """The value in libvips' text for a field, `value (value, ASCII, n components, n bytes)`."""
    twice = _TAIL.sub("", text)
    return twice[: (len(twice) - len(" (")) // 2].strip() if twice != text else ""


def stripped(image: pyvips.Image) -> pyvips.Image:
    """The same pixels without any metadata but the colour profile."""
    image = image.copy()
    for name in field_names(image):
        if name != PROFILE.encode():
            pyvips.vips_lib.vips_image_remove(image.pointer, name)  # leaves width, height, … alone
    return image


def field_names(image: pyvips.Image) -> list[bytes]:
    """The names of all metadata of an image, as bytes: pyvips' get_fields() fails on one that is not UTF-8."""
    ffi, vips = pyvips.ffi, pyvips.vips_lib
    names = vips.vips_image_get_fields(image.pointer)
    found: list[bytes] = []
    while names[len(found)] != ffi.NULL:
        found.append(bytes(ffi.string(names[len(found)])))
        pyvips.glib_lib.g_free(names[len(found) - 1])
    pyvips.glib_lib.g_free(names)
    return found

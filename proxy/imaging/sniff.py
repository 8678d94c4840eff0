"""Tell a file's format from its first bytes, before any codec sees it.

Names and Content-Types lie; and libvips' own detection would be a second opinion that an attacker can play off against
ours. So what is not recognised here is refused, and what is goes to the one loader of that name.
"""

from __future__ import annotations

from proxy.errors import NotAnImage
from proxy.imaging.task_files import open_file
from proxy.plan.output import Format

HEAD_BYTES = 4096
"""How much of a file `sniff` wants to see."""

_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", Format.JPEG),
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
    (b"II*\x00", Format.TIFF),
    (b"MM\x00*", Format.TIFF),
    (b"II+\x00", Format.TIFF),
    (b"MM\x00+", Format.TIFF),
    (b"\x00\x00\x01\x00", Format.ICO),
    (b"\xff\x0a", Format.JXL),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", Format.JXL),
    (b"%PDF-", Format.PDF),
)

_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 picture, which is not supported"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture, which is not supported"),
    (b"\x00\x00\x02\x00", "a mouse cursor"),
    (b"version https://git-lfs", "a git-lfs pointer; the picture itself was never uploaded"),
)

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_GZIP = b"\x1f\x8b\x08"


def sniff(head: bytes) -> Format:
    """The format of a file that begins with `head`; NotAnImage says what it is instead, where we know."""
    if not head:
        raise NotAnImage("the original is empty")
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.WEBP
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return Format.BMP
    if head[4:8] == b"ftyp":
        return _sniff_heif(head)
    if _is_svg(head):
        return Format.SVG
    raise NotAnImage(_describe(head))


def _sniff_heif(head: bytes) -> Format:
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))}
    if brands & _AVIF_BRANDS:
        return Format.AVIF
    if brands & _HEIC_BRANDS:
        return Format.HEIC
    raise NotAnImage("the original is a video or another ISO media file, not an image")


def _is_svg(head: bytes) -> bool:
    if head.startswith(_GZIP):
        return True  # svgz, if anything; whether it really is one shows when it is unpacked
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return text.startswith(b"<") and b"<svg" in text and not text.startswith((b"<!doctype html", b"<html"))


def _describe(head: bytes) -> str:
    """What an unknown file is, for people."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "the original is an HTML page, not an image"
    for magic, what in _REFUSED:
        if head.startswith(magic):
            return f"the original is {what}"
    return "the original is not an image of a known kind"


def sniff_file(path: str) -> Format:
    """The format of the file at `path`."""
    with open_file(path) as file:
        return sniff(file.read(HEAD_BYTES))

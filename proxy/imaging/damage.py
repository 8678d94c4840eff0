"""Tell an original that ends too early from one that is damaged in another way, once its decoding has failed.

An upload that broke off will be whole next time; other damage stays. And a preset may ask for what there is of a
picture that ends too early.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from proxy.errors import CannotRender, TruncatedImage
from proxy.imaging.library import translated
from proxy.imaging.task_files import open_file
from proxy.plan.output import Format

_TAIL_BYTES = 65_536
"""An end mark is looked for in this many last bytes: cameras and editors append things behind it."""
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SAID_BY_CODECS = ("premature end", "unexpected end", "seek error", "read error at")


def reading(path: str, found: Format) -> AbstractContextManager[None]:
    """Answer a failure to decode this file as what it is."""
    return translated(lambda text: damage(path, found, text))


def damage(path: str, found: Format, text: str) -> CannotRender:
    """The error that a failed decode deserves; `text` is what the codec said."""
    if found is Format.JPEG and (bits := jpeg_precision(path)) not in (None, 8):
        return CannotRender(f"the original is a JPEG of {bits} bits a channel, which cannot be decoded here")
    if any(words in text.lower() for words in _SAID_BY_CODECS) or ends_early(path, found):
        return TruncatedImage("the original ends too early")
    return CannotRender(f"the original is a damaged {found.value.upper()}, or of a kind that cannot be decoded")


def jpeg_precision(path: str) -> int | None:
    """The bits of each channel of a JPEG, by its frame header; a decoder of eight bits fails on the pixels only."""
    with open_file(path) as file:
        file.seek(2)
        for _ in range(1000):  # an honest file has a dozen segments before it
            head = file.read(4)
            if len(head) < 4 or head[0] != 0xFF:
                return None
            if head[1] in _FRAME_HEADERS:
                precision = file.read(1)
                return precision[0] if precision else None
            file.seek(int.from_bytes(head[2:], "big") - 2, 1)
    return None


def ends_early(path: str, found: Format) -> bool:
    """Whether the file lacks its end: the mark that closes it, or bytes that its own header counted."""
    with open_file(path) as file:
        head = file.read(16)
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
    match found:
        case Format.JPEG:
            return b"\xff\xd9" not in tail
        case Format.PNG:
            return b"IEND" not in tail
        case Format.GIF:
            return not tail.rstrip(b"\x00").endswith(b";")
        case Format.WEBP:
            return int.from_bytes(head[4:8], "little") + 8 > size
        case Format.BMP:
            return int.from_bytes(head[2:6], "little") > size
        case Format.PDF:
            return b"%%EOF" not in tail
        case Format.AVIF | Format.HEIC:
            return _boxes_end(path) > size
        case _:
            return False


def _boxes_end(path: str) -> int:
    """Where the last top-level ISO box says it ends."""
    at = 0
    with open_file(path) as file:
        for _ in range(1000):  # an honest file has a handful
            file.seek(at)
            box = file.read(8)
            length = int.from_bytes(box[:4], "big")
            if len(box) < 8 or length < 8:
                return at
            at += length
    return at

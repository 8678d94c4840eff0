"""Inspection: what a header says, and what is refused for it."""

from __future__ import annotations

import resource
import struct
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image

from proxy.errors import CannotRender, NotAnImage, OriginalTooLarge, ProxyError, TruncatedImage
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderLimits, SourceInfo
from proxy.imaging.sniff import sniff
from proxy.plan.output import Format
from tests.corpus import ROOT, corpus_files, manifest, require_corpus
from tests.pictures import coordinates, encoded

LIMITS = RenderLimits()


def looked_at(folder: Path, body: bytes, limits: RenderLimits = LIMITS) -> SourceInfo:
    """Inspect these bytes as a file."""
    path = folder / "original"
    path.write_bytes(body)
    return inspect(str(path), limits)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "ICO"])
def test_format_comes_from_the_bytes(tmp_path: Path, kind: str) -> None:
    """The format, the size and the bands of every format that can be read."""
    info = looked_at(tmp_path, encoded(coordinates(48, 36), kind, **({"sizes": [(48, 36)]} if kind == "ICO" else {})))

    assert info.format.value == kind.lower()
    assert (info.width, info.height) == (48, 36)
    assert (info.frames, info.orientation, info.interlaced) == (1, 1, False)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "empty"),
        (b"\n", "known kind"),
        (b"<!DOCTYPE html><html>", "HTML page"),
        (b"  <html><svg/></html>", "HTML page"),
        (b"\xef\xbb\xbf<HTML>", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "video"),
        (b"BM is a word", "known kind"),
        (b"P6 10 10 255 ", "known kind"),
        (b"RIFF\0\0\0\0WAVE", "known kind"),
    ],
)
def test_what_is_not_an_image_is_named(head: bytes, words: str) -> None:
    """The answer says what the original is, where that can be told."""
    with pytest.raises(NotAnImage, match=words):
        sniff(head)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\xff\xd8\xff\xdb", Format.JPEG),
        (b"RIFF\x10\0\0\0WEBPVP8 <svg", Format.WEBP),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", Format.AVIF),
        (b"\0\0\0\x1cftypavis\0\0\0\0avismsf1", Format.AVIF),
        (b"\xef\xbb\xbf<?xml version='1.0'?><!-- x --><svg ", Format.SVG),
        (b"MM\0*", Format.TIFF),
    ],
)
def test_what_is_an_image_is_recognised(head: bytes, expected: Format) -> None:
    """Magic bytes decide, and nothing that comes after them."""
    assert sniff(head) is expected


def test_progressive_and_interlaced_need_memory(tmp_path: Path) -> None:
    """A progressive JPEG is estimated at its coefficients, an interlaced PNG at its pixels, others at next to none."""
    picture = Image.new("RGB", (2000, 1500))
    megabyte = 1 << 20

    plain = looked_at(tmp_path, encoded(picture, "JPEG"))
    progressive = looked_at(tmp_path, encoded(picture, "JPEG", progressive=True))
    webp = looked_at(tmp_path, encoded(picture, "WEBP"))

    assert plain.estimated_bytes < 20 * megabyte
    assert progressive.interlaced
    assert progressive.estimated_bytes - plain.estimated_bytes == 2000 * 1500 * 6
    assert webp.estimated_bytes > 2000 * 1500 * 4


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (RenderLimits(max_pixels=2000), "2000 pixels"),
        (RenderLimits(max_bands=2), "2 channels"),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_limits(tmp_path: Path, kind: str, limits: RenderLimits, words: str) -> None:
    """Pixels and bands over the limit are refused, with the limit in the words."""
    with pytest.raises(OriginalTooLarge, match=words):
        looked_at(tmp_path, encoded(coordinates(64, 48), kind), limits)


def test_frames_are_counted_and_not_judged(tmp_path: Path) -> None:
    """A single frame must keep within the limits; what all come to is a matter of policy, for a render to decide."""
    frames = [Image.new("L", (50, 50), shade) for shade in range(100)]
    body = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])

    assert looked_at(tmp_path, body, RenderLimits(max_pixels=2500, max_frames=3)).frames == 100
    with pytest.raises(OriginalTooLarge, match="this one is 50x50"):
        looked_at(tmp_path, body, RenderLimits(max_pixels=2499))


def test_frames_pass_through_one_by_one(tmp_path: Path) -> None:
    """What decoding an animation needs grows with its width and hardly with its frames: measured, and admitted so."""
    frames = [Image.new("RGB", (400, 300), (shade, 0, 0)) for shade in range(0, 250, 5)]
    for kind in ("GIF", "WEBP"):
        few = looked_at(tmp_path, encoded(frames[0], kind, save_all=True, append_images=frames[1:10]))
        many = looked_at(tmp_path, encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
        assert many.estimated_bytes - few.estimated_bytes == 40 * 400 * 400
        assert few.estimated_bytes - (16 << 20) >= 400 * 300 * 24


def png_bomb(width: int, height: int, depth: int) -> bytes:
    """A valid PNG of one grey, as small as zlib makes it (its first rows, where all would take seconds to pack)."""
    row = b"\0" * (1 + (width * depth + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(min(height, 500))) + packer.flush()

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def patched(body: bytes, old: bytes, new: bytes) -> bytes:
    """The file with the bytes of its size replaced."""
    assert old in body
    return body.replace(old, new, 1)


def bombs() -> dict[str, bytes]:
    """Small files that claim to be very large."""
    small = Image.new("RGB", (258, 260))
    tiff = encoded(small, "TIFF")
    return {
        "png 1-bit": png_bomb(20_000, 20_000, 1),
        "png 8-bit": png_bomb(50_000, 50_000, 8),
        "jpeg": patched(encoded(small, "JPEG"), struct.pack(">HH", 260, 258), b"\xff\xdc\xff\xdc"),
        "progressive": patched(
            encoded(small, "JPEG", progressive=True), struct.pack(">HH", 260, 258), b"\xff\xdc\xff\xdc"
        ),
        "webp": patched(encoded(small, "WEBP"), struct.pack("<HH", 258, 260), struct.pack("<HH", 16_383, 16_383)),
        # The screen and the frame: a huge screen alone is ignored by the decoder.
        "gif": encoded(small, "GIF").replace(struct.pack("<HH", 258, 260), b"\xff\xff\xff\xff"),
        "avif": patched(encoded(small, "AVIF"), struct.pack(">II", 258, 260), struct.pack(">II", 30_000, 30_000)),
        "tiff": patched(tiff, struct.pack("<HHIHH", 256, 4, 1, 258, 0), struct.pack("<HHII", 256, 4, 1, 1 << 30)),
        "bmp": patched(encoded(small, "BMP"), struct.pack("<II", 258, 260), struct.pack("<II", 60_000, 60_000)),
    }


@pytest.mark.parametrize("name", bombs())
def test_pixel_bombs_are_refused_by_their_header(tmp_path: Path, name: str) -> None:
    """A small file that claims to be huge is refused in milliseconds and without memory."""
    body = bombs()[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()

    with pytest.raises((OriginalTooLarge, CannotRender)) as caught:
        looked_at(tmp_path, body)

    assert time.perf_counter() - started < 0.5  # milliseconds, on a machine with nothing else to do
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10
    if name not in ("gif", "avif", "tiff"):  # their own decoders may give up first
        assert caught.type is OriginalTooLarge


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "ICO"])
def test_every_cut_is_an_answer(tmp_path: Path, kind: str) -> None:
    """A file cut anywhere in its first bytes gives a picture's header or our own error, never another's."""
    body = encoded(coordinates(33, 21), kind)

    for cut in (*range(0, 200, 7), *range(200, len(body), len(body) // 20)):
        message = ""
        try:
            looked_at(tmp_path, body[:cut])
        except ProxyError as error:
            message = error.message
        assert str(tmp_path) not in message
        assert "vips" not in message.lower()


def test_library_text_is_for_the_log(tmp_path: Path) -> None:
    """A failure tells the client our words; the library's travel as a note, through pickling, too."""
    import pickle

    with pytest.raises(TruncatedImage) as caught:
        looked_at(tmp_path, encoded(coordinates(99, 99), "WEBP")[:60])

    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.message == "the original ends too early"
    assert any("webp" in note for note in copy.__notes__)


@pytest.mark.parametrize("folder", ["photos", "orientation", "color", "formats", "animated"])
def test_corpus_headers(folder: str) -> None:
    """Every real image that we can read has the size that the corpus' manifest says."""
    require_corpus()
    rows = manifest()
    checked = 0

    for path in corpus_files(folder):
        row = rows[f"{folder}/{path.name}"]
        try:
            info = inspect(str(path), RenderLimits())
        except ProxyError:
            continue
        if row["width"] != "-" and row["format"] != "ico":
            assert {info.width, info.height} == {int(row["width"]), int(row["height"])}, path.name
            checked += 1

    assert checked > 15


def test_text_that_is_not_utf8_is_harmless() -> None:
    """A PNG with a Latin-1 keyword, on which pyvips' field list fails, is inspected like any other."""
    require_corpus()

    assert inspect(str(ROOT / "broken" / "non-utf8-text-keyword.png"), LIMITS).width == 1

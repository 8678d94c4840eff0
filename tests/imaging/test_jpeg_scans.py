"""What is not read of a progressive JPEG that becomes smaller: nothing that shows."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import JpegImagePlugin

from proxy.imaging.jpeg_scans import less_to_read
from tests.corpus import corpus_files, require_corpus
from tests.pictures import encoded, textured

ONE_BIT, TWO_BITS = 4, 10
"""Reductions at which Pillow's quality of 85 (quantisers of 3.6) loses one bit, and two."""


def at_scale(body: bytes, step: int) -> np.ndarray[Any, Any]:
    """The pixels of a JPEG at 1/`step`, decoded without warnings."""
    height, width, colours, _ = simplejpeg.decode_jpeg_header(body)
    kind = "GRAY" if colours == "Gray" else "RGB"
    least_width, least_height = -(-int(width) // step), -(-int(height) // step)
    return np.asarray(simplejpeg.decode_jpeg(body, kind, min_width=least_width, min_height=least_height))


def scans(body: bytes) -> list[tuple[int, int, int]]:
    """Of each scan: its only component (0 for several), and the bits missing before and after it."""
    found, at = [], body.find(b"\xff\xda")
    while at >= 0:
        count = body[at + 4]
        bits = body[at + 5 + 2 * count + 2]
        found.append((body[at + 5] if count == 1 else 0, bits >> 4, bits & 15))
        at = body.find(b"\xff\xda", at + 1)
    return found


def averages(pixels: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    """The means of squares of pixels."""
    high, wide = (length // side * side for length in pixels.shape[:2])
    squares = pixels[:high, :wide].reshape(high // side, side, wide // side, side, -1)
    return np.asarray(squares.mean(axis=(1, 3)))


def quantisers(body: bytes) -> list[list[int]]:
    """Of each component, in the order of the file; the first is of the means."""
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(body))
    return [list(image.quantization[component[3]]) for component in image.layer]


@pytest.mark.parametrize("restarts", [0, 3])
@pytest.mark.parametrize("size", [(17, 9), (100, 75), (257, 511), (1024, 768)], ids=str)
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "grey"])
def test_leaving_details_out_changes_no_pixel(subsampling: str, size: tuple[int, int], restarts: int) -> None:
    """A progressive JPEG at an eighth, without the scans that are not looked at, has the very same pixels."""
    body = progressive(subsampling, size, quality=92, restart_marker_rows=restarts)

    fewer = less_to_read(body, step=8, factor=1)

    assert fewer is not None
    assert len(fewer) < 0.75 * len(body) or size == (17, 9)
    assert np.array_equal(at_scale(fewer, 8), at_scale(body, 8))
    assert less_to_read(body, step=4, factor=1) == body


@pytest.mark.parametrize("factor", [ONE_BIT, TWO_BITS, 1000])
@pytest.mark.parametrize("step", [1, 2, 4, 8])
@pytest.mark.parametrize("restarts", [0, 3])
@pytest.mark.parametrize("size", [(17, 9), (257, 511)], ids=str)
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "grey"])
def test_leaving_bits_out_changes_no_more_than_a_coarser_file(
    subsampling: str, size: tuple[int, int], restarts: int, step: int, factor: int
) -> None:
    """What is left decodes without a warning at every scale, to pixels that are as many and on average the same."""
    body = progressive(subsampling, size, quality=85, restart_marker_rows=restarts)

    less = less_to_read(body, step=step, factor=factor)

    assert less is not None
    assert len(less) < len(body) or size == (17, 9)  # the quantisers take 256 bytes more
    before, after = (at_scale(each, step).astype(float) for each in (body, less))
    assert before.shape == after.shape
    side = max(1, min(16 // step, *before.shape[:2]))
    assert np.abs(averages(before, side) - averages(after, side)).max() < 8
    assert np.abs((before - after).mean()) < 1


def progressive(subsampling: str, size: tuple[int, int], **options: object) -> bytes:
    """A progressive JPEG of this kind."""
    if subsampling == "grey":
        return encoded(textured(*size, "L"), "JPEG", progressive=True, **options)
    return encoded(textured(*size), "JPEG", progressive=True, subsampling=subsampling, **options)


def test_how_many_bits_are_left_out() -> None:
    """None where it would show, one of brightness, then two of it and one of colours."""
    body = encoded(textured(320, 240), "JPEG", progressive=True, quality=85)
    whole = Counter(scans(body))
    assert whole == {
        (0, 0, 1): 1, (0, 1, 0): 1,  # the means
        (1, 0, 2): 2, (1, 2, 1): 1, (1, 1, 0): 1,
        (2, 0, 1): 1, (2, 1, 0): 1,
        (3, 0, 1): 1, (3, 1, 0): 1,
    }  # fmt: skip

    assert less_to_read(body, step=1, factor=3.4) == body
    one = less_to_read(body, step=1, factor=3.5)
    assert one is not None
    assert Counter(scans(one)) == whole - Counter([(1, 0, 2), (1, 0, 2), (1, 2, 1), (1, 1, 0)]) + Counter(
        [(1, 0, 1), (1, 0, 1), (1, 1, 0)]
    )
    assert less_to_read(body, step=1, factor=7.7) == one
    assert quantisers(one) == larger(quantisers(body), 2, 1, 1)
    two = less_to_read(body, step=1, factor=7.8)
    assert two is not None
    assert Counter(scans(two)) == {(0, 0, 1): 1, (0, 1, 0): 1, (1, 0, 0): 2, (2, 0, 0): 1, (3, 0, 0): 1}
    assert quantisers(two) == larger(quantisers(body), 4, 2, 2)


def larger(tables: list[list[int]], *times: int) -> list[list[int]]:
    """The tables, each so many times as large but for the mean's."""
    return [[one[0], *(each * by for each in one[1:])] for one, by in zip(tables, times, strict=True)]


def test_coarse_files_are_read_to_the_end() -> None:
    """The coarser the quantisers, the smaller the picture has to become before a bit of them does not show."""
    body = encoded(textured(320, 240), "JPEG", progressive=True, quality=50)

    assert less_to_read(body, step=1, factor=5) == body
    assert less_to_read(body, step=1, factor=7) != body


def test_red_green_and_blue_are_read_to_the_end() -> None:
    """Where each component tells of brightness, a bit less of one would tint the picture."""
    body = encoded(textured(64, 64), "JPEG", progressive=True, quality=85, keep_rgb=True)
    assert scans(body)

    assert less_to_read(body, step=1, factor=100) == body


def table(number: int, *, wide: bool = False, value: int = 3) -> bytes:
    """A segment with quantisers that are all the same."""
    length = 3 + (128 if wide else 64)
    values = value.to_bytes(2 if wide else 1, "big") * 64
    return b"\xff\xdb" + length.to_bytes(2, "big") + bytes((wide << 4 | number,)) + values


FRAME = b"\xff\xc2\0\x0b\x08\0\x08\0\x08\x01\x01\x11\0"
"""Of one component of eight by eight pixels."""
ENDS = b"\xff\xda\0\x08\x01\x01\0\x01\x3f\x10\xaa\xff\xd9"
"""A scan of the last bit of all coefficients, and the end."""
BEGINS = b"\xff\xda\0\x08\x01\x01\0\x01\x3f\x01\xaa"
"""A scan of all but the last bit."""


def test_a_file_of_one_component_loses_its_last_bit() -> None:
    """What the tests below vary: the quantisers are doubled, and the first scan tells all."""
    less = less_to_read(b"\xff\xd8" + table(0) + FRAME + BEGINS + ENDS, step=1, factor=10)

    doubled = b"\xff\xdb\0\x83\x10" + (3).to_bytes(2, "big") + (6).to_bytes(2, "big") * 63
    told_at_once = BEGINS[:-2] + b"\0\xaa"
    assert less == b"\xff\xd8" + table(0) + doubled + FRAME + told_at_once + b"\xff\xd9"


@pytest.mark.parametrize(
    "segments",
    [
        table(0) + FRAME + BEGINS[:-2] + b"\0\xaa" + ENDS,  # the first scan tells the last bit, too
        table(0) + FRAME + ENDS,  # there is no first scan
        FRAME + table(0) + BEGINS + ENDS,
        table(0) + FRAME + BEGINS + table(0, value=9) + ENDS,
        table(1) + FRAME + BEGINS + ENDS,  # the component's table is not there
        table(0, wide=True) + table(1, wide=True, value=256) + FRAME + BEGINS + ENDS,
        table(0) + FRAME.replace(b"\xff\xc2", b"\xff\xc9") + BEGINS + ENDS,  # arithmetic codes
    ],
    ids=["at once", "no first", "table after frame", "table between scans", "no table", "huge quantiser", "arithmetic"],
)
def test_unusual_files_are_read_to_the_end(segments: bytes) -> None:
    """Where it is not sure what the last bits are, they are read."""
    body = b"\xff\xd8" + segments

    assert less_to_read(body, step=1, factor=10) == body


def test_what_follows_the_picture_is_left_out() -> None:
    """A second picture behind the first (a preview, a gain map) is not decoded, nor taken for scans of the first."""
    body = encoded(textured(64, 64), "JPEG", progressive=True)

    assert less_to_read(body + encoded(textured(200, 10), "JPEG", progressive=True), step=4, factor=1) == body


def test_thousands_of_scans_are_not_decoded() -> None:
    """A progressive JPEG with a scan repeated for ever is left to libvips, which gives up on it."""
    body = encoded(textured(64, 64, "L"), "JPEG", progressive=True)
    at = body.rindex(b"\xff\xda")
    attack = body[:at] + body[at:-2] * 2000 + b"\xff\xd9"

    assert less_to_read(attack, step=4, factor=1) is None


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.99])
def test_files_without_an_end_are_refused(cut: float) -> None:
    """Also where what is missing would not have been looked at."""
    body = encoded(textured(400, 300), "JPEG", progressive=True)

    assert less_to_read(body[: int(len(body) * cut)], step=8, factor=50) is None


def real_photos() -> list[bytes]:
    """Progressive JPEGs of several encoders."""
    require_corpus()
    bodies = [path.read_bytes() for path in corpus_files("photos") if "-prog-" in path.name]
    assert bodies
    return bodies


def test_real_progressive_photos_keep_their_pixels() -> None:
    """Real encoders' scripts of scans, too, lose nothing at an eighth."""
    for body in real_photos():
        fewer = less_to_read(body, step=8, factor=1)
        assert fewer is not None
        assert np.array_equal(at_scale(fewer, 8), at_scale(body, 8))


def test_real_progressive_photos_lose_bits() -> None:
    """And at other scales a third of their bytes or more, for less than one and a half levels on average."""
    for body in real_photos():
        less = less_to_read(body, step=4, factor=10)
        assert less is not None
        assert len(less) < 0.7 * len(body)
        assert np.abs(at_scale(less, 4).astype(float) - at_scale(body, 4)).mean() < 1.5

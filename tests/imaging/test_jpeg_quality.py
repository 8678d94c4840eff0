"""The quality of a JPEG, and what the vendors' rules make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.imaging.job import SourceInfo
from proxy.imaging.jpeg_quality import corrected, estimate_quality, settle_quality
from proxy.plan.geometry import Size
from proxy.plan.output import Format, Output, QualityRule
from tests.pictures import coordinates, encoded


def jpeg(folder: Path, quality: int) -> str:
    """A JPEG of 64x48 with this quality."""
    path = folder / f"{quality}.jpg"
    path.write_bytes(encoded(coordinates(64, 48), "JPEG", quality=quality))
    return str(path)


def info(kind: Format = Format.JPEG) -> SourceInfo:
    """The header of such a picture."""
    return SourceInfo(kind, 64, 48, 1, 3, has_alpha=False, orientation=1, interlaced=False, estimated_bytes=0)


@pytest.mark.parametrize("quality", [1, 5, 25, 49, 50, 51, 75, 80, 90, 95, 100])
def test_quality_is_read_from_the_tables(quality: int, tmp_path: Path) -> None:
    """What the usual encoder was told is found again."""
    assert estimate_quality(jpeg(tmp_path, quality)) == quality


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xd8", b"\xff\xd8\xff\xdb\x00\x43\x00", b"\xff\xd8\xff\xdb\x00\x00", b"GIF89a"]
)
def test_without_tables_the_default_counts(body: bytes, tmp_path: Path) -> None:
    """Broken and foreign files have some quality, too."""
    path = tmp_path / "broken.jpg"
    path.write_bytes(body)

    assert estimate_quality(str(path)) == 75


def test_fewer_pixels_take_more_quality() -> None:
    """Qiniu's correction: by the root of the ratio of pixels, up to 90, unless the original is above that."""
    assert corrected(60, Size(640, 427), Size(640, 427)) == 60
    assert corrected(60, Size(400, 400), Size(320, 320)) == pytest.approx(75)
    assert corrected(60, Size(400, 400), Size(40, 40)) == 90
    assert corrected(95, Size(400, 400), Size(200, 200)) == 190


@pytest.mark.parametrize(
    ("rule", "asked", "original", "quality"),
    [
        (QualityRule.EXACT, 90, 50, 90),
        (QualityRule.EXACT, None, 50, None),
        (QualityRule.CORRECTED, 90, 50, 50),
        (QualityRule.CORRECTED, 30, 50, 30),
        (QualityRule.CORRECTED, 99, 95, 95),
        (QualityRule.AT_MOST, 90, 50, 50),
        (QualityRule.AT_MOST, 40, 50, 40),
        (QualityRule.AT_LEAST, 80, 60, 80),
        (QualityRule.AT_LEAST, 80, 85, 85),
        (QualityRule.RELATIVE, 80, 80, 64),
    ],
)
def test_rule_settles_the_quality(
    rule: QualityRule, asked: int | None, original: int, quality: int | None, tmp_path: Path
) -> None:
    """The number that an encoder is given, for a picture of unchanged size."""
    output = Output(quality=asked, quality_rule=rule)

    settled = settle_quality(output, info(), jpeg(tmp_path, original), Size(64, 48), Format.JPEG)

    assert settled == Output(quality=quality)


def test_rules_are_for_jpeg_originals(tmp_path: Path) -> None:
    """Of anything else the number counts as it is, and a relative one is relative to nothing."""
    for rule, quality in ((QualityRule.CORRECTED, 90), (QualityRule.AT_MOST, 90), (QualityRule.RELATIVE, None)):
        output = Output(quality=90, quality_rule=rule)

        assert settle_quality(output, info(Format.PNG), str(tmp_path), Size(9, 9), Format.WEBP).quality == quality

"""The quality a JPEG was saved with, estimated from its quantisation tables; and what vendors' rules make of it.

Encoders derive their tables from the example in Annex K of the JPEG standard (ITU-T T.81), scaled by a quality from 1
to 100 as the Independent JPEG Group's library does it. The estimate is the quality whose scaled table comes closest.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from proxy.imaging.job import SourceInfo
from proxy.imaging.task_files import open_file
from proxy.plan.geometry import Size
from proxy.plan.output import Format, Output, QualityRule

_LUMINANCE = (
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
)  # fmt: skip
"""Annex K's table for luminance, in zigzag order, as files have it."""
_HEAD_BYTES = 1 << 20
"""Tables come before the pixels, but behind metadata, which may be long."""
_DEFAULT = 75


def settle_quality(output: Output, info: SourceInfo, path: str, result: Size, target: Format) -> Output:
    """The output with the quality that its rule comes to for this original and a result of this size."""
    rule = output.quality_rule
    if rule is QualityRule.EXACT:
        return output
    asked = output.quality
    if info.format is not Format.JPEG or target not in (Format.JPEG, Format.WEBP, Format.AVIF):
        if rule in (QualityRule.RELATIVE, QualityRule.AT_LEAST):
            asked = None  # relative to nothing
        return replace(output, quality=asked, quality_rule=QualityRule.EXACT)
    source = estimate_quality(path)
    wanted = asked or _DEFAULT
    match rule:
        case QualityRule.CORRECTED:
            quality = min(float(wanted), corrected(source, Size(info.width, info.height), result))
        case QualityRule.AT_MOST:
            quality = min(asked or source, source)
        case QualityRule.AT_LEAST:
            quality = max(wanted, source)
        case QualityRule.RELATIVE:
            quality = source * (asked or 100) / 100
    return replace(output, quality=max(1, min(100, math.floor(quality + 0.5))), quality_rule=QualityRule.EXACT)


def corrected(source: int, before: Size, after: Size) -> float:
    """Qiniu's correction: fewer pixels can take a higher quality than the original had, but not above 90."""
    quality = source * math.sqrt(before.pixels / after.pixels)
    return min(90.0, quality) if source <= 90 else quality


def estimate_quality(path: str) -> int:
    """The quality of the JPEG at `path`; 75 when it does not say."""
    with open_file(path) as file:
        table = luminance_table(file.read(_HEAD_BYTES))
    if table is None:
        return _DEFAULT
    return min(range(1, 101), key=lambda quality: (_distance(table, quality), -quality))


def luminance_table(head: bytes) -> tuple[int, ...] | None:
    """The first quantisation table among a JPEG's segments; None if there is none."""
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF:
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        if marker == 0xDA or length < 2:
            return None
        if marker == 0xDB:
            wide = head[at + 4] >> 4 if length > 2 else 0
            values = head[at + 5 : at + 5 + (128 if wide else 64)]
            if len(values) < (128 if wide else 64):
                return None
            if wide:
                return tuple(int.from_bytes(values[index : index + 2], "big") for index in range(0, 128, 2))
            return tuple(values)
        at += 2 + length
    return None


def _distance(table: tuple[int, ...], quality: int) -> int:
    return sum(abs(ours - theirs) for ours, theirs in zip(table, _scaled(quality), strict=True))


@lru_cache(maxsize=100)
def _scaled(quality: int) -> tuple[int, ...]:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(max(1, min(255, (value * scale + 50) // 100)) for value in _LUMINANCE)

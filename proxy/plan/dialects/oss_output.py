"""The actions of the object stores that say how the result is written.

    format,<jpg|png|webp|bmp|gif|tiff|avif>    interlace,<0|1>
    quality,q_<1-100>     percent of the original's quality, for JPEG
    quality,Q_<1-100>     but at most the original's, for JPEG

Of `q` and `Q` together, `Q` counts. HEIC is not written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proxy.errors import InvalidCommand
from proxy.plan.dialects.arguments import read_format, read_int, read_switch
from proxy.plan.dialects.oss_arguments import OssRules, read_fields, read_single
from proxy.plan.output import SOURCE_BYTES, OnError, OverLimit, QualityRule

Changes = dict[str, Any]
"""Changes to fields of the output by their names."""


def _format(tokens: Sequence[str], _: OssRules) -> Changes:
    name = read_single("format", tokens)
    if name.lower() in ("heic", "heif"):
        raise InvalidCommand("format: HEIC is read but not written here; avif is its free relative")
    return {"target": read_format("format", name)}


def _quality(tokens: Sequence[str], _: OssRules) -> Changes:
    fields = read_fields("quality", tokens)
    for name, rule in (("Q", QualityRule.AT_MOST), ("q", QualityRule.RELATIVE)):
        if name in fields:
            return {"quality": read_int(f"quality: {name}", fields[name], 1, 100), "quality_rule": rule}
    raise InvalidCommand("quality needs q, in percent of the original's, or Q")


def _interlace(tokens: Sequence[str], _: OssRules) -> Changes:
    return {"progressive": read_switch("interlace", read_single("interlace", tokens))}


def _slim(tokens: Sequence[str], rules: OssRules) -> Changes:
    if not rules.slims or tokens:
        raise InvalidCommand(f"{rules.vendor} has no action imageslim with parameters")
    return {
        "slim": True, "quality": 75, "effort": 8, "palette": 256,
        "max_bytes": SOURCE_BYTES, "over_limit": OverLimit.SMALLER, "on_error": OnError.ORIGINAL,
    }  # fmt: skip


SETTINGS: Mapping[str, Callable[[Sequence[str], OssRules], Changes]] = {
    "format": _format,
    "quality": _quality,
    "interlace": _interlace,
    "imageslim": _slim,
}
"""What each action changes in the output."""

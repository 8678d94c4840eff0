"""Which optional libraries are installed, without loading them: for the front, which must not touch a codec."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from proxy.plan.output import Format

EXTRAS: Mapping[Format, tuple[str, str]] = {
    Format.HEIC: ("pillow_heif", "formats"),
    Format.JXL: ("pillow_jxl", "formats"),
    Format.SVG: ("lxml", "formats"),
    Format.PDF: ("pypdfium2", "pdf"),
}
"""The formats that need an extra: the module, and the extra's name."""


def missing_extra(known: Format) -> str | None:
    """The extra of imgbang that this format needs and that is not installed; None if nothing is missing."""
    module, extra = EXTRAS.get(known, ("", ""))
    return extra if module and importlib.util.find_spec(module) is None else None

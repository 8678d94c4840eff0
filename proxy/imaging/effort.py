"""How hard an encoder tries, unless it is told.

Efforts are those of presets, 0 to 9; `codec_effort` makes the encoder's own of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.plan.output import Format, Output

USUAL: Mapping[Format, int] = {
    Format.JPEG: 4, Format.PNG: 6, Format.GIF: 3, Format.WEBP: 6, Format.AVIF: 2, Format.JXL: 4,
}  # fmt: skip
"""The defaults; `python -m bench effort` prints what they cost and save."""
_CODECS: Mapping[Format, tuple[int, int]] = {
    Format.PNG: (0, 9), Format.GIF: (1, 10), Format.WEBP: (0, 6), Format.AVIF: (0, 9), Format.JXL: (1, 9),
}  # fmt: skip
"""The least and the most of the encoders' own efforts."""


def effort_of(output: Output, target: Format) -> int:
    """The effort that is asked for, or the format's default."""
    return USUAL[target] if output.effort is None else output.effort


def codec_effort(effort: int, target: Format) -> int:
    """The encoder's own effort for one of 0 to 9."""
    least, most = _CODECS.get(target, (0, 9))
    return max(least, round(effort * most / 9))

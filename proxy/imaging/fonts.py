"""Which font a text is drawn with: the families that vendors name, as those that free systems have.

Pango picks, character by character, a font that has it; the name only says which family comes first. A machine without
any CJK font draws boxes, which is why a container image should carry one.
"""

from __future__ import annotations

import re

_SONG = "Noto Serif CJK SC, Source Han Serif SC, AR PL UMing CN, SimSun, serif"
_HEI = "Noto Sans CJK SC, Source Han Sans SC, WenQuanYi Zen Hei, Droid Sans Fallback, SimHei, sans-serif"
_KAI = "AR PL UKai CN, KaiTi, serif"
_MONO = "Noto Sans Mono CJK SC, DejaVu Sans Mono, monospace"

FAMILIES = {
    "": _HEI,
    "黑体": _HEI, "simhei": _HEI, "heiti": _HEI, "wqy-zenhei": _HEI, "wqy-microhei": _HEI, "fangzhengheiti": _HEI,
    "droidsansfallback": _HEI, "微软雅黑": _HEI, "microsoft yahei": _HEI,
    "宋体": _SONG, "simsun": _SONG, "songti": _SONG, "fangzhengshusong": _SONG, "stsong": _SONG,
    "楷体": _KAI, "kaiti": _KAI, "simkai": _KAI, "fangzhengkaiti": _KAI, "fangsong": _KAI, "仿宋": _KAI,
    "fangzhengfangsong": _KAI,
    "tahoma.ttf": "Tahoma, DejaVu Sans, " + _HEI, "tahoma": "Tahoma, DejaVu Sans, " + _HEI,
    "wqy-mono": _MONO, "courier new": "Courier New, Liberation Mono, " + _MONO,
    "arial": "Arial, Liberation Sans, " + _HEI, "times new roman": "Times New Roman, Liberation Serif, " + _SONG,
}  # fmt: skip
"""By the vendor's name in lower case."""


def font_options(name: str, pixels: float) -> dict[str, object]:
    """What libvips' text operation needs to be told for a font by the vendor's name, so many pixels high."""
    # A comma or digit at the end would be read as a list of families or a size.
    plain = re.sub(r"[^\w .-]", "", name).strip()
    family = FAMILIES.get(name.strip().lower()) or (f"{plain}, {_HEI}" if plain else _HEI)
    return {"font": f"{family} {pixels:g}px"}

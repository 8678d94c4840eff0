"""The words of an Upyun command: `/name/value/name/value…` taken apart, before anything of it is understood.

Rules:

1. Of two parameters with one name the last counts: that is how a URL changes single words of a version.
2. `gravity` belongs to the `crop` or `clip` before it.
3. `watermark` begins a mark, and what describes marks belongs to the last one begun. `border` is a mark's where its
   value is a colour, and the picture's where it is a size.
4. `info` and `meta` stand alone; `meta/iptc` and `meta/all` are two words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy.errors import InvalidCommand
from proxy.plan.keys import shown

SIZES = (
    "fw", "fh", "max", "min", "fwfh", "fwfh2", "both", "sq", "scale", "wscale", "hscale", "fxfn", "fxfn2", "fp",
)  # fmt: skip
CROPS = ("crop", "clip")
PIXELS = frozenset({
    *SIZES, *CROPS, "force", "roundrect", "rotate", "flip", "unsharp", "gaussblur", "border", "brdcolor", "canvas",
    "cvscolor",
})  # fmt: skip
FILE = frozenset({
    "format", "lossless", "quality", "compress", "progressive", "noicc", "strip", "exifswitch", "gifto", "coalesce",
    "ignore-error",
})  # fmt: skip
REPORTS = frozenset({"info", "meta", "excolor", "exformat"})
MARK = frozenset({
    "url", "image", "text", "align", "margin", "opacity", "percent", "repeat", "animate", "size", "font", "color",
    "border",
})  # fmt: skip
GRADIENT = frozenset({"gdori", "gdpos", "gdstartcolor", "gdstopcolor"})
NAMES = PIXELS | FILE | REPORTS | GRADIENT | {"gravity", "watermark"}
"""What a command can begin with."""
MAX_WORDS = 100
_COLOUR = re.compile(r"[0-9a-fA-F]{6}(?:[0-9a-fA-F]{2})?")


@dataclass(slots=True)
class Words:
    """The parameters by name, the gravity of each crop, and the marks."""

    values: dict[str, str] = field(default_factory=dict)
    gravities: dict[str, str] = field(default_factory=dict)
    marks: list[dict[str, str]] = field(default_factory=list)

    def over(self, version: Words) -> Words:
        """These words after those of a version."""
        kept = {name: gravity for name, gravity in version.gravities.items() if name not in self.values}
        return Words(version.values | self.values, kept | self.gravities, version.marks + self.marks)


def read_words(text: str) -> Words:
    """Read a command, which begins with a slash."""
    tokens = text.strip("/").split("/")
    if len(tokens) > MAX_WORDS:
        raise InvalidCommand(f"a command has at most {MAX_WORDS} words, got {len(tokens)}")
    words = Words()
    crop = ""
    for name, value in _pairs(tokens):
        if name == "watermark":
            words.marks.append({})
        elif name in MARK and (name not in NAMES or (words.marks and _COLOUR.fullmatch(value))):
            if not words.marks:
                raise InvalidCommand(f"{name} describes a watermark, and none stands before it")
            words.marks[-1][name] = value
        elif name == "gravity":
            if not crop:
                raise InvalidCommand("gravity must follow the crop or clip it is for")
            words.gravities[crop] = value
        else:
            crop = name if name in CROPS else crop
            words.values[name] = value
    return words


def _pairs(tokens: list[str]) -> Iterator[tuple[str, str]]:
    rest = list(reversed(tokens))
    while rest:
        name = rest.pop()
        if name not in NAMES | MARK:
            raise InvalidCommand(f"Upyun has no parameter {shown(name, 30)}")
        if name in ("info", "watermark"):
            yield name, ""
        elif name == "meta":
            yield name, rest.pop() if rest and rest[-1] in ("iptc", "all") else ""
        elif name == "roundrect" and not (rest and rest[-1].isdigit()):
            yield name, "10"
        elif not rest or not rest[-1]:
            raise InvalidCommand(f"the parameter {name} has no value")
        else:
            yield name, rest.pop()

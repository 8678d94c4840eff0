"""A colour as a value: eight bits of red, green, blue and alpha."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from proxy.errors import InvalidCommand

_HEX = re.compile(r"#?([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")


@dataclass(frozen=True, slots=True)
class Colour:
    """An sRGB colour; `alpha` 255 is opaque."""

    red: int
    green: int
    blue: int
    alpha: int = 255

    WHITE: ClassVar[Colour]
    BLACK: ClassVar[Colour]
    TRANSPARENT: ClassVar[Colour]

    @classmethod
    def parse(cls, text: str) -> Colour:
        """Read `#rgb`, `#rgba`, `#rrggbb`, `#rrggbbaa` (the `#` may be missing) or one of the CSS names below."""
        named = NAMES.get(text.strip().lower())
        match = _HEX.fullmatch(named or text.strip())
        if match is None:
            raise InvalidCommand(f"a colour must be #rgb, #rrggbb, #rrggbbaa or a name like white, got {text[:40]!r}")
        digits = match[1]
        if len(digits) in (3, 4):
            digits = "".join(digit * 2 for digit in digits)
        return cls(*bytes.fromhex(digits))

    def __str__(self) -> str:
        text = f"#{self.red:02x}{self.green:02x}{self.blue:02x}"
        return text if self.alpha == 255 else f"{text}{self.alpha:02x}"


NAMES = {
    "transparent": "#00000000", "none": "#00000000", "white": "#ffffff", "black": "#000000", "red": "#ff0000",
    "lime": "#00ff00", "green": "#008000", "blue": "#0000ff", "yellow": "#ffff00", "cyan": "#00ffff",
    "aqua": "#00ffff",
    "magenta": "#ff00ff", "fuchsia": "#ff00ff", "orange": "#ffa500", "purple": "#800080", "pink": "#ffc0cb",
    "brown": "#a52a2a", "gray": "#808080", "grey": "#808080", "silver": "#c0c0c0", "maroon": "#800000",
    "navy": "#000080",
    "olive": "#808000", "teal": "#008080",
}  # fmt: skip

Colour.WHITE = Colour(255, 255, 255)
Colour.BLACK = Colour(0, 0, 0)
Colour.TRANSPARENT = Colour(0, 0, 0, 0)

"""A region: a point or a box of a picture, in fractions of its sides; what a crop is centred on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from proxy.errors import InvalidCommand

_NUMBER = re.compile(r"[01]|[01]?\.[0-9]{1,6}|[01]\.")
_SHAPE = "a focal point is x,y, and a box x,y,width,height, in fractions of the upright picture: 0.3,0.6"


@dataclass(frozen=True, slots=True)
class Region:
    """A box, or a point where width and height are 0; all from 0 to 1, and never beyond the picture."""

    x: float
    y: float
    width: float = 0.0
    height: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.x, self.y, self.width, self.height)
        # A box that ends at 0.1 + 0.9 must not fail for the last bit of a double.
        if not all(0 <= number <= 1 for number in numbers) or max(self.right, self.bottom) > 1 + 1e-6:
            raise InvalidCommand(_SHAPE)

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The bottom edge."""
        return self.y + self.height

    @property
    def middle(self) -> tuple[float, float]:
        """The point in its middle."""
        return self.x + self.width / 2, self.y + self.height / 2

    def __str__(self) -> str:
        numbers = (self.x, self.y, self.width, self.height) if self.width or self.height else (self.x, self.y)
        return ",".join(f"{number:.6f}".rstrip("0").rstrip(".") for number in numbers)

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read `0.3,0.6` or `0.1,0.2,0.25,0.4`."""
        parts = [part.strip() for part in text.split(",")]
        if len(parts) not in (2, 4) or not all(_NUMBER.fullmatch(part) for part in parts):
            raise InvalidCommand(f"{_SHAPE}, got {text[:40]!r}")
        return cls(*map(float, parts))

    @classmethod
    def from_json(cls, text: bytes) -> Region:
        """Read `{"x": 0.3, "y": 0.6}` or `{"box": [0.1, 0.2, 0.25, 0.4]}`."""
        shape = 'a focal point is JSON, {"x": 0.3, "y": 0.6} or {"box": [x, y, width, height]}, in fractions'
        try:
            said = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidCommand(shape) from error
        match said:
            case {"box": [x, y, width, height], **others} if not others:
                numbers = [x, y, width, height]
            case {"x": x, "y": y, **others} if not others:
                numbers = [x, y]
            case _:
                raise InvalidCommand(shape)
        if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
            raise InvalidCommand(shape)
        # As it will be spelled everywhere: six digits.
        return cls(*(round(float(number), 6) for number in numbers))

    def as_json(self) -> dict[str, object]:
        """What `from_json` reads."""
        if self.width or self.height:
            return {"box": [self.x, self.y, self.width, self.height]}
        return {"x": self.x, "y": self.y}

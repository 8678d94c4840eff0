"""Operations that change every tone or colour by one rule; alpha stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.operations.operation import Operation, check_between


@dataclass(frozen=True, slots=True)
class Saturation(Operation):
    """Make the colours stronger (up to 100: twice as strong) or paler (down to -100: grey)."""

    name: ClassVar[str] = "saturation"
    amount: int

    def __post_init__(self) -> None:
        check_between("saturation", self.amount, -100, 100)


@dataclass(frozen=True, slots=True)
class Hue(Operation):
    """Turn all hues around the colour circle by `degrees`: 120 makes red green; lightness stays."""

    name: ClassVar[str] = "hue"
    degrees: float

    def __post_init__(self) -> None:
        check_between("hue", self.degrees, -360, 360)


@dataclass(frozen=True, slots=True)
class Gamma(Operation):
    """Bend the tones: above 1 the middle becomes brighter, below 1 darker; black and white stay."""

    name: ClassVar[str] = "gamma"
    value: float

    def __post_init__(self) -> None:
        check_between("gamma", self.value, 0.1, 10)


@dataclass(frozen=True, slots=True)
class Normalise(Operation):
    """Spread the tones from black to white; `clip` percent of the pixels at either end may be lost."""

    name: ClassVar[str] = "normalise"
    clip: float = 1.0

    def __post_init__(self) -> None:
        check_between("clip", self.clip, 0, 40)


@dataclass(frozen=True, slots=True)
class Invert(Operation):
    """Turn every colour into its opposite, as on a negative."""

    name: ClassVar[str] = "invert"


@dataclass(frozen=True, slots=True)
class Sepia(Operation):
    """Tone the picture brown like an old print; `amount` 100 is all of it."""

    name: ClassVar[str] = "sepia"
    amount: int = 100

    def __post_init__(self) -> None:
        check_between("sepia", self.amount, 1, 100)


@dataclass(frozen=True, slots=True)
class Tint(Operation):
    """Colour the picture: mid tones take on the colour, black and white stay."""

    name: ClassVar[str] = "tint"
    colour: Colour
    amount: int = 100

    def __post_init__(self) -> None:
        check_opaque("tint", self.colour)
        check_between("the tint's amount", self.amount, 1, 100)


@dataclass(frozen=True, slots=True)
class Duotone(Operation):
    """Draw the picture in two colours: `dark` for black, `light` for white, mixtures between."""

    name: ClassVar[str] = "duotone"
    dark: Colour
    light: Colour

    def __post_init__(self) -> None:
        check_opaque("duotone", self.dark)
        check_opaque("duotone", self.light)


def check_opaque(name: str, colour: Colour) -> None:
    """Refuse a transparent colour where only the shade counts."""
    if colour.alpha != 255:
        raise InvalidCommand(f"{name} takes opaque colours, got {colour}")

"""Ad-hoc boxes: sizes that a URL asks for without a preset, and the policy that says which of them are served.

A box is `50x50` (cover it and cut the middle out: exactly that size), `50x` or `x50` (proportional, one side given).
None of them enlarges. A preset whose meaning is the same has the same plan, and so the same stored result.
Work is bounded by originals times what may be asked for, which is why boxes are refused unless presets.toml says
otherwise: a loop over `1x1 … 9999x9999` is the cheapest attack on a service of this kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from proxy.errors import AdhocRefused, InvalidCommand
from proxy.plan.geometry import Gravity
from proxy.plan.operations import AutoOrient, Crop, Fit, Operation, Resize

MAX_BOX_SIDE = 8192
"""The longest side that a preset's width and height, or an ad-hoc box, may ask for."""

BOX_RULE = f"a box is written 50x50, 50x or x50, with sides from 1 to {MAX_BOX_SIDE}"

# Neither leading zeros nor digits of other scripts: one box, one spelling.
_BOX = re.compile(r"(?P<width>[1-9][0-9]{0,3})?x(?P<height>[1-9][0-9]{0,3})?")
_BOX_LIKE = re.compile(r"[-+0-9.]*[xX][-+0-9.]*(?:[xX][-+0-9.]*)*")


@dataclass(frozen=True, slots=True)
class AdhocBox:
    """A box with at least one side."""

    width: int | None
    height: int | None

    def __post_init__(self) -> None:
        sides = [side for side in (self.width, self.height) if side is not None]
        if not sides or not all(1 <= side <= MAX_BOX_SIDE for side in sides):
            raise InvalidCommand(f"{str(self)[:40]!r} is not a box; {BOX_RULE}")

    def __str__(self) -> str:
        return f"{self.width or ''}x{self.height or ''}"

    @classmethod
    def parse(cls, text: str) -> AdhocBox:
        """Read `50x50`, `50x` or `x50`."""
        match = _BOX.fullmatch(text)
        if match is None:
            raise InvalidCommand(f"{text[:40]!r} is not a box; {BOX_RULE}")
        width, height = match["width"], match["height"]
        return cls(int(width) if width else None, int(height) if height else None)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What the box means."""
        if self.width is None or self.height is None:
            return (AutoOrient(), Resize(self.width, self.height))
        return (
            AutoOrient(),
            Resize(self.width, self.height, Fit.COVER),
            Crop(self.width, self.height, Gravity.CENTRE),
        )


def looks_like_box(text: str) -> bool:
    """Whether somebody who wrote `text` probably meant a box, legal or not: digits around an `x`."""
    return any(character in "0123456789" for character in text) and _BOX_LIKE.fullmatch(text) is not None


class AdhocMode(StrEnum):
    """Which ad-hoc boxes are served."""

    OFF = "off"
    """None."""
    SIGNED = "signed"
    """Those in a URL with a valid signature."""
    SIZES = "sizes"
    """Those that presets.toml lists."""
    ANY = "any"
    """All: for private networks and tests only."""


@dataclass(frozen=True, slots=True)
class AdhocPolicy:
    """The mode and, for the mode SIZES, the list."""

    mode: AdhocMode = AdhocMode.OFF
    sizes: tuple[AdhocBox, ...] = ()

    def check(self, box: AdhocBox, *, signed: bool = False) -> None:
        """Raise AdhocRefused, naming the policy, unless the box may be served."""
        match self.mode:
            case AdhocMode.OFF:
                raise AdhocRefused(f"ad-hoc size {box} is not allowed: ad-hoc sizes are off here, ask for a preset")
            case AdhocMode.SIGNED if not signed:
                raise AdhocRefused(f"ad-hoc size {box} is not allowed without a signature")
            case AdhocMode.SIZES if box not in self.sizes:
                raise AdhocRefused(f"ad-hoc size {box} is not allowed; allowed are {self._listed()}")
            case _:
                pass

    def check_command(self, name: str, boxes: Iterable[str], *, signed: bool = False) -> None:
        """Raise AdhocRefused unless a vendor command that names these boxes may be served."""
        match self.mode:
            case AdhocMode.OFF:
                raise AdhocRefused(f"the command {name} is not allowed: ad-hoc commands are off here, ask for a preset")
            case AdhocMode.SIGNED if not signed:
                raise AdhocRefused(f"the command {name} is not allowed without a signature")
            case AdhocMode.SIZES:
                allowed = set(map(str, self.sizes))
                for box in boxes:
                    if box not in allowed:
                        raise AdhocRefused(
                            f"the command {name} asks for {box}, which is not allowed; allowed are {self._listed()}"
                        )
            case _:
                pass

    def _listed(self) -> str:
        listed = ", ".join(str(box) for box in self.sizes[:12])
        return f"{listed}, …" if len(self.sizes) > 12 else listed

    def canonical(self) -> str:
        """The one spelling of this policy; the order of the sizes has no meaning."""
        return f"{self.mode.value}({','.join(sorted(map(str, self.sizes)))})"

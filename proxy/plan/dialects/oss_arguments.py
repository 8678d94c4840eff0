"""Arguments of the object stores' actions, `name_value,name_value`, and what the vendors who use them differ in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.keys import shown
from proxy.plan.operations import Align
from proxy.plan.output import Answer

COMPASS: Mapping[str, Gravity] = {
    "nw": Gravity.NORTHWEST, "north": Gravity.NORTH, "ne": Gravity.NORTHEAST, "west": Gravity.WEST,
    "center": Gravity.CENTRE, "east": Gravity.EAST, "sw": Gravity.SOUTHWEST, "south": Gravity.SOUTH,
    "se": Gravity.SOUTHEAST,
}  # fmt: skip
"""The nine anchors as Aliyun and Volcengine spell them."""

CORNERS: Mapping[str, Gravity] = {
    "tl": Gravity.NORTHWEST, "top": Gravity.NORTH, "tr": Gravity.NORTHEAST, "left": Gravity.WEST,
    "center": Gravity.CENTRE, "right": Gravity.EAST, "bl": Gravity.SOUTHWEST, "bottom": Gravity.SOUTH,
    "br": Gravity.SOUTHEAST,
}  # fmt: skip
"""The nine anchors as Huawei spells them."""

RIGHT = frozenset({Gravity.NORTHEAST, Gravity.EAST, Gravity.SOUTHEAST})
BOTTOM = frozenset({Gravity.SOUTHWEST, Gravity.SOUTH, Gravity.SOUTHEAST})
MIDDLE_COLUMN = frozenset({Gravity.NORTH, Gravity.CENTRE, Gravity.SOUTH})
MIDDLE_ROW = frozenset({Gravity.WEST, Gravity.CENTRE, Gravity.EAST})

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OssRules:
    """What one vendor does differently from the others that speak this language. The defaults are Aliyun's."""

    vendor: str = "Aliyun"
    anchors: Mapping[str, Gravity] = field(default_factory=lambda: COMPASS)
    mark_anchor: Gravity = Gravity.SOUTHEAST
    mark_align: Align = Align.BOTTOM
    mark_key_has_bucket: bool = False
    """Whether the key of a mark begins with the name of its bucket."""
    max_side: int = 16_384
    lone_fixed_is_square: bool = True
    """Whether `m_fixed` with one side means a square; otherwise the other side follows."""
    percent_is_limited: bool = False
    """Whether `p` enlarges only with `limit_0`."""
    flips: bool = False
    slims: bool = False
    """Whether there is an action `imageslim`."""
    ratios: bool = False
    """Whether `m_ratio` cuts to proportions."""
    info: Answer = Answer.ALIYUN_INFO


def read_fields(action: str, tokens: Iterable[str]) -> dict[str, str]:
    """Read `name_value` parameters; of two with one name the last counts. Who does not ask for one ignores it."""
    fields: dict[str, str] = {}
    for token in tokens:
        name, underscore, value = token.partition("_")
        if not underscore and token:
            raise InvalidCommand(f"{action}: a parameter is written name_value, got {shown(token, 30)}")
        if token:
            fields[name] = value
    return fields


def read_single(action: str, tokens: Sequence[str]) -> str:
    """Read the one bare value of an action."""
    if len(tokens) != 1 or not tokens[0]:
        raise InvalidCommand(f"{action} takes one value, written {action},<value>; got {shown(','.join(tokens), 30)}")
    return tokens[0]


def read_hex_colour(name: str, text: str) -> Colour:
    """Read `RRGGBB`."""
    if not re.fullmatch(r"#?[0-9a-fA-F]{6}", text):
        raise InvalidCommand(f"{name} must be a colour written RRGGBB, got {shown(text, 20)}")
    return Colour.parse(text)

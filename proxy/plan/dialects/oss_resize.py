"""`resize` of the object stores (https://help.aliyun.com/document_detail/44688.html).

    resize,m_<mode>,w_<n>,h_<n>,l_<n>,s_<n>,limit_<0|1>,color_<RRGGBB>      resize,p_<1-1000>

The box, as https://www.volcengine.com/docs/6349/153626 has it in full:

1. `w` and `h`: the box; `l` and `s` count only where neither is given, and then mean the picture's longer and shorter
   side. `p`, a percentage of both sides, counts only without any of them.
2. One of the four: `lfit` and `mfit` look at that side alone; for `fill`, `pad` and `fixed` the box is a square. At
   Volcengine and Huawei the other side of a `fixed` follows the picture's proportions.

| m | the picture |
| --- | --- |
| lfit (default) | fits inside the box |
| mfit | covers the box |
| fill | covers the box and is cut in the middle: exactly the box |
| pad | fits inside, in the middle of a canvas of the box's size, white or `color` |
| fixed | is stretched to the box |
| ratio (Huawei) | is cut, as little as possible, to the proportions w : h |

`limit_1`, the default, keeps a picture as it is that would be enlarged: by its scale (`lfit`, `mfit`), or because the
box is larger on either side. `p` above 100 enlarges all the same, but at Volcengine only with `limit_0`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.dialects.arguments import read_int, read_switch
from proxy.plan.dialects.oss_arguments import Fields, OssRules, read_hex_colour
from proxy.plan.keys import shown
from proxy.plan.operations import Axes, CutTo, Fit, How, Operation, Reframe, Resize, Scale, Small

MODES: Mapping[str, Fit | How] = {
    "lfit": Fit.INSIDE, "mfit": Fit.COVER, "fill": How.CUT, "pad": How.PAD, "fixed": How.DISTORT,
}  # fmt: skip
_SIDES = ("w", "h", "l", "s")
_MAX_RATIO = 1000


@dataclass(frozen=True, slots=True)
class _Box:
    """The sides that are given, and what they stand for."""

    first: int | None
    second: int | None
    axes: Axes

    @property
    def lone(self) -> int | None:
        """The side, where only one is given."""
        return (self.first or self.second) if None in (self.first, self.second) else None


def compile_resize(fields: Fields, rules: OssRules) -> tuple[Operation, ...]:
    """Compile `resize`."""
    sides = {name: read_int(f"resize: {name}", fields[name], 1, rules.max_side) for name in _SIDES if name in fields}
    enlarge = not read_switch("resize: limit", fields.get("limit", "1"))
    colour = read_hex_colour("resize: color", fields["color"]) if "color" in fields else Colour.WHITE
    mode = fields.get("m", "lfit")
    if mode == "ratio" and rules.ratios:
        return _ratio(sides)
    if mode not in MODES:
        known = ", ".join(MODES) + (", ratio" if rules.ratios else "")
        raise InvalidCommand(f"resize: m must be one of {known}, got {shown(mode, 20)}")
    if not sides:
        return _percent(fields, rules, enlarge=enlarge)
    pair, axes = (("w", "h"), Axes.WIDTH_HEIGHT) if {"w", "h"} & sides.keys() else (("l", "s"), Axes.LONG_SHORT)
    box = _Box(sides.get(pair[0]), sides.get(pair[1]), axes)
    how = MODES[mode]
    if isinstance(how, Fit):
        # A lone side is the whole box: there is nothing else to cover.
        return (Resize(box.first, box.second, Fit.INSIDE if box.lone else how, enlarge, axes=box.axes),)
    return (_reframe(box, how, rules, colour, enlarge=enlarge),)


def _reframe(box: _Box, how: How, rules: OssRules, colour: Colour, *, enlarge: bool) -> Operation:
    small = Small.ENLARGE if enlarge else Small.KEEP
    if box.first is not None and box.second is not None:
        return Reframe(box.first, box.second, how, small, box.axes, colour)
    if how is How.DISTORT and not rules.lone_fixed_is_square:
        return Resize(box.first, box.second, enlarge=enlarge, axes=box.axes)
    side = box.lone or 1
    return Reframe(side, side, how, small, background=colour)


def _percent(fields: Fields, rules: OssRules, *, enlarge: bool) -> tuple[Operation, ...]:
    if "p" not in fields:
        raise InvalidCommand("resize needs a side (w, h, l, s) or a percentage (p)")
    percent = read_int("resize: p", fields["p"], 1, 1000)
    if percent > 100 and rules.percent_is_limited and not enlarge:
        return ()
    return (Scale(float(percent), float(percent)),)


def _ratio(sides: dict[str, int]) -> tuple[Operation, ...]:
    if not {"w", "h"} <= sides.keys() or max(sides["w"], sides["h"]) > _MAX_RATIO:
        raise InvalidCommand(f"resize: m_ratio needs w and h from 1 to {_MAX_RATIO}")
    return (CutTo(sides["w"], sides["h"]),)

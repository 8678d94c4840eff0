"""`imageView2`: thumbnails by mode (https://developer.qiniu.com/dora/api/basic-processing-images-imageview2).

    imageView2/<mode>[/w/<W>][/h/<H>][/format/<F>][/interlace/<0|1>][/q/<Q>[!]][/colors/<N>][/ignore-error/1]

| mode | the picture | one side only |
| --- | --- | --- |
| 0 | fits: long side at most w, short side at most h | the other is unbounded |
| 1 | covers w x h, cut in the middle | a square |
| 2 | fits: width at most w, height at most h | the other is unbounded |
| 3 | covers w x h | a square |
| 4 | long side at least w, short side at least h | a square |
| 5 | as 4, cut in the middle: long side w, short side h | a square |

Nothing is ever enlarged: a box that is too large is clipped side by side. Of a square picture the height counts as the
long side. The EXIF orientation is applied first, always. Parameters come in any order. Without w and h the picture is
only written anew. `imageView/<1|2>` is the obsolete first version: 1 makes exactly w x h, and may enlarge; 2 fits.
"""

from __future__ import annotations

from typing import Any

from proxy.errors import InvalidCommand
from proxy.plan.dialects.arguments import read_format, read_int, read_switch
from proxy.plan.dialects.stage import Stage, read_pairs
from proxy.plan.keys import shown
from proxy.plan.operations import AutoOrient, Axes, Fit, How, Operation, Reframe, Resize, Small
from proxy.plan.output import OnError, QualityRule, Target

MAX_SIDE = 9999
_SIDES = frozenset({"w", "h"})
_OUTPUT = frozenset({"format", "interlace", "q", "colors", "ignore-error"})
_NUMBERS = ("2", "4", "8", "16", "32", "64", "128", "256")


def compile_view(tokens: list[str]) -> Stage:
    """Compile `imageView2`, as Qiniu has it."""
    mode, sides, output = _read("imageView2", tokens, "012345")
    return Stage((AutoOrient(), *box_operations(mode, sides.get("w"), sides.get("h"))), output)


def compile_first_view(tokens: list[str]) -> Stage:
    """Compile the obsolete `imageView`."""
    mode, sides, output = _read("imageView", tokens, "12")
    width, height = sides.get("w"), sides.get("h")
    if mode == "2" or not sides:
        return Stage((AutoOrient(), *box_operations("2", width, height)), output)
    one = width or height or 1
    return Stage((AutoOrient(), Reframe(width or one, height or one, How.CUT, Small.ENLARGE)), output)


def _read(command: str, tokens: list[str], modes: str) -> tuple[str, dict[str, int], dict[str, Any]]:
    """The mode, the sides that are given, and the changes to the output."""
    if not tokens or tokens[0] not in tuple(modes):
        raise InvalidCommand(
            f"{command} needs a mode from {modes[0]} to {modes[-1]}, got {shown(tokens[0] if tokens else '', 20)}"
        )
    sides: dict[str, int] = {}
    output: dict[str, Any] = {}
    for name, value in read_pairs(command, tokens[1:], _SIDES | _OUTPUT):
        if name in _SIDES:
            sides[name] = read_int(f"{command}: {name}", value, 1, MAX_SIDE)
        else:
            output |= read_output(command, name, value)
    return tokens[0], sides, output


def box_operations(mode: str, width: int | None, height: int | None) -> tuple[Operation, ...]:
    """What a mode does with a box; nothing without one."""
    one = width or height
    if one is None:
        return ()
    both = (width or one, height or one)
    match mode:
        case "0":
            return (Resize(width, height, axes=Axes.LONG_SHORT),)
        case "1":
            return (Reframe(*both, How.CUT, Small.CLIP),)
        case "2":
            return (Resize(width, height),)
        case "3":
            return (Resize(*both, Fit.COVER),)
        case "4":
            return (Resize(*both, Fit.COVER, axes=Axes.LONG_SHORT),)
        case _:
            return (Reframe(*both, How.CUT, Small.CLIP, Axes.LONG_SHORT),)


def read_output(command: str, name: str, value: str) -> dict[str, Any]:
    """The change to the output that a parameter means; names as in imageView2."""
    what = f"{command}: {name}"
    match name:
        case "format":
            return {"target": Target.SOURCE if value.lower() == "copy" else read_format(what, value)}
        case "interlace":
            return {"progressive": read_switch(what, value)}
        case "q":
            return read_quality(what, value)
        case "colors":
            if value not in _NUMBERS:
                raise InvalidCommand(f"{what} must be one of {', '.join(_NUMBERS)}, got {shown(value, 20)}")
            return {"palette": int(value)}
        case _:
            return {"on_error": OnError.ORIGINAL if read_switch(what, value) else OnError.REFUSE}


def read_quality(what: str, value: str, rule: QualityRule = QualityRule.CORRECTED, low: int = 1) -> dict[str, Any]:
    """Read `75` or `75!`: the exclamation mark switches the vendor's rule off."""
    number = value.removesuffix("!")
    quality = max(1, read_int(what, number, low, 100))
    return {"quality": quality, "quality_rule": QualityRule.EXACT if number != value else rule}

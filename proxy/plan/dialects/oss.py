"""The language of the object stores: Aliyun's, which Huawei and Volcengine speak with differences (`OssRules`).

    image/<action>[,<name>_<value>]*[/<action>…]      actions from left to right
    style/<preset>                                    the preset

The actions are in `oss_resize`, `oss_actions`, `oss_watermark` and `oss_output`. Two more answer with JSON: `info` (the
file and its EXIF) and `average-hue` (a colour). Each comes last, and alone is about the original as it is stored.

Rules:

1. The picture is turned upright as its EXIF orientation says before anything else; `auto-orient,0` leaves it as it is
   stored, with its orientation.
2. An unknown action is an error, an unknown parameter is not: the vendors ignore them.
3. An animation keeps moving if nothing but one `resize` to a box happens to it, or with `format,gif`.
4. The result has the original's format unless `format` says otherwise. Where that has no transparency, white shows.
5. `sys/saveas` is refused: nothing is stored on behalf of a URL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from proxy.errors import InvalidCommand, UnknownPreset
from proxy.plan.dialects.arguments import read_switch
from proxy.plan.dialects.dialect import Context
from proxy.plan.dialects.oss_actions import ACTIONS
from proxy.plan.dialects.oss_arguments import OssRules, read_single
from proxy.plan.dialects.oss_output import SETTINGS
from proxy.plan.dialects.oss_text import actions_of
from proxy.plan.dialects.oss_watermark import MAX_IMAGES, compile_watermark
from proxy.plan.dialects.writing import says
from proxy.plan.keys import shown
from proxy.plan.operations import AutoOrient, Operation, Scale
from proxy.plan.output import Animation, Answer, OnError, Orientation, Output, Target
from proxy.plan.request import AskAdhoc, AskPreset
from proxy.plan.tidying import tidy

MAX_ACTIONS = 20
"""Huawei states this number; the others none."""


@dataclass(slots=True)
class _Reading:
    """What has been read so far of one command."""

    operations: list[Operation] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    pixel_actions: list[str] = field(default_factory=list)
    upright: bool = True
    answer: Answer = Answer.PICTURE


def compile_process(text: str, context: Context, rules: OssRules) -> AskAdhoc | AskPreset:
    """Compile the value of a process parameter."""
    kind, slash, rest = text.partition("/")
    if kind == "style" and slash:
        return named_preset(rest, context)
    if kind != "image" or not rest:
        raise InvalidCommand(f"a process is image/<action>,… or style/<name>, got {shown(text, 40)}")
    if "|" in rest:
        raise InvalidCommand("sys/saveas is not supported: nothing is stored on behalf of a URL")
    actions = [action for action in rest.split("/") if action]
    if not 1 <= len(actions) <= MAX_ACTIONS:
        raise InvalidCommand(f"a process has 1 to {MAX_ACTIONS} actions, got {len(actions)}")
    reading = _Reading()
    for action in actions:
        name, *tokens = action.split(",")
        _read_action(reading, name, tokens, rules)
    return _asked(reading, text)


def named_preset(name: str, context: Context) -> AskPreset:
    """The preset that a command names."""
    preset = context.presets.get(name)
    if preset is None:
        raise UnknownPreset(f"there is no preset {shown(name, 70)}")
    return AskPreset(preset)


def _read_action(reading: _Reading, name: str, tokens: Sequence[str], rules: OssRules) -> None:
    if reading.answer is not Answer.PICTURE:
        raise InvalidCommand("a report about a picture cannot be processed further")
    if name in ACTIONS or name == "watermark":
        compiler = ACTIONS.get(name, compile_watermark)
        if operations := tidy(compiler(tokens, rules)):
            reading.pixel_actions.append(name)
            reading.operations += operations
    elif name in SETTINGS:
        reading.changes |= SETTINGS[name](tokens, rules)
    elif name == "auto-orient":
        reading.upright = read_switch(name, read_single(name, tokens))
    elif name in ("info", "average-hue"):
        if tokens:
            raise InvalidCommand(f"{name} takes no parameters, got {shown(','.join(tokens), 40)}")
        reading.answer = rules.info if name == "info" else Answer.AVERAGE
    else:
        raise InvalidCommand(f"{rules.vendor} has no action {shown(name, 30)}")


def _asked(reading: _Reading, label: str) -> AskAdhoc:
    output = replace(Output(target=Target.FAMILIAR, answer=reading.answer), **reading.changes)
    if sum(len(operation.overlays) for operation in reading.operations) > MAX_IMAGES:
        raise InvalidCommand(f"a process takes {MAX_IMAGES} image marks at most")
    if not reading.upright:
        output = replace(output, orientation=Orientation.KEEP)
    if not _keeps_moving(reading, output):
        output = replace(output, animation=Animation.FIRST)
    if output.slim and reading.operations:
        # What it would fall back to is the stage before it, not the original.
        output = replace(output, slim=False, max_bytes=None, on_error=OnError.REFUSE)
    if output.slim:
        return AskAdhoc((), replace(output, orientation=Orientation.KEEP), label)
    if output.answer is not Answer.PICTURE and not reading.operations:
        return AskAdhoc((), output, label)
    upright_first = [AutoOrient()] if reading.upright else []
    return AskAdhoc(tidy([*upright_first, *reading.operations]), output, label)


def _keeps_moving(reading: _Reading, output: Output) -> bool:
    if output.target is Target.GIF or not reading.pixel_actions:
        return True
    return reading.pixel_actions == ["resize"] and not any(isinstance(each, Scale) for each in reading.operations)


def write_process(operations: tuple[Operation, ...], output: Output, rules: OssRules) -> str | None:
    """A plan as a process that compiles back to it; None where there is none."""
    text = actions_of(operations, output, rules)
    return text if text is not None and says(partial(compile_process, rules=rules), text, operations, output) else None

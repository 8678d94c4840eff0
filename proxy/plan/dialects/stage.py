"""Pipelines: `fop|fop|fop`, each a name and `/`-separated tokens; and how their stages become one plan.

Rules:

1. The stages' operations follow one another; the picture is decoded once and encoded once, at the end.
2. What a stage says of the output holds until a later stage says otherwise: between the stages of the vendors lies a
   file, whose format and quality the next stage inherits.
3. A stage that writes JPEG loses transparency there, so that a later PNG is opaque.
4. Empty stages and empty tokens at the end are ignored: clients build trailing `|` and `/`.
5. A report (`imageInfo`) can only come last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.errors import InvalidCommand
from proxy.plan.dialects.dialect import MAX_STEPS
from proxy.plan.keys import shown
from proxy.plan.operations import AutoOrient, Flatten, Operation
from proxy.plan.output import Answer, OnError, Orientation, Output, Target
from proxy.plan.request import AskAdhoc
from proxy.plan.tidying import tidy


@dataclass(frozen=True, slots=True)
class Stage:
    """What one fop asks for: operations, and changes to fields of the output by their names."""

    operations: tuple[Operation, ...] = ()
    output: Mapping[str, Any] = field(default_factory=dict)
    save_as: str | None = None
    """The key under which the result is to be stored."""


Compiler = Callable[[list[str]], Stage]
"""From the tokens of a fop (without its name) to its stage."""


def compile_pipeline(text: str, compilers: Mapping[str, Compiler]) -> AskAdhoc:
    """Compile `fop|fop|…`."""
    fops = [fop for fop in text.split("|") if fop]
    if not fops:
        raise InvalidCommand("a command is empty")
    if len(fops) > MAX_STEPS:
        raise InvalidCommand(f"a pipeline has at most {MAX_STEPS} commands, got {len(fops)}")
    return join([_compile_fop(fop, compilers) for fop in fops], text)


def _compile_fop(fop: str, compilers: Mapping[str, Compiler]) -> Stage:
    name, *tokens = fop.split("/")
    compiler = compilers.get(name)
    if compiler is None:
        raise InvalidCommand(f"unknown command {shown(name, 30)} in a pipeline")
    while tokens and not tokens[-1]:
        tokens.pop()
    return compiler(tokens)


def join(stages: Sequence[Stage], label: str) -> AskAdhoc:
    """The stages as one."""
    operations: list[Operation] = []
    output = Output(target=Target.FAMILIAR)
    for index, stage in enumerate(stages):
        if output.answer is not Answer.PICTURE:
            raise InvalidCommand("a report about a picture cannot be processed further")
        if index and stages[index - 1].save_as is not None:
            raise InvalidCommand("saveas must be the last command of a pipeline")
        if index and output.target is Target.JPEG:
            operations.append(Flatten(output.background))
        operations += stage.operations
        output = replace(output, **stage.output)
    if output.slim and operations:
        # What it would fall back to is the stage before it, not the original.
        output = replace(output, slim=False, max_bytes=None, on_error=OnError.REFUSE)
    if AutoOrient() in operations:
        output = replace(output, orientation=Orientation.DROP)
    tidied = tidy(operations)
    if tidied[-1:] == (Flatten(output.background),) and output.target is Target.JPEG:
        tidied = tidied[:-1]  # the file does it anyway
    return AskAdhoc(tidied, output, label, save_as=stages[-1].save_as)


def read_pairs(
    command: str, tokens: Sequence[str], names: frozenset[str], flags: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str]]:
    """Read `name/value/name/value…` in order; flags stand alone and come with an empty value."""
    rest = iter(tokens)
    for name in rest:
        if name in flags:
            yield name, ""
            continue
        if name not in names:
            raise InvalidCommand(f"{command} has no parameter {shown(name, 30)}; known are {_list(names | flags)}")
        value = next(rest, "")
        if not value:
            raise InvalidCommand(f"{command}: the parameter {name} has no value")
        yield name, value


def _list(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))

"""From the table of a preset to its meaning: operations, output, cache policy.

Different spellings of one meaning compile to equal operations, so that they share their stored results. The fields that
say what the picture looks like are the subject of `picture_compile.py`.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.plan import dialects
from proxy.plan.colour import Colour
from proxy.plan.negotiation import NEGOTIATED, SMALLEST
from proxy.plan.operations import AutoOrient, Operation
from proxy.plan.output import Answer, Output, OverLimit, Target
from proxy.plan.picture_compile import picture_operations
from proxy.plan.plan import CachePolicy
from proxy.plan.preset_tables import PresetTable
from proxy.plan.preset_values import MAX_DURATION, Score
from proxy.plan.presets import DIALECTS, Preset
from proxy.plan.tidying import tidy

_OUTPUT_FIELDS = {
    "effort": "effort", "lossless": "lossless", "progressive": "progressive",
    "background": "background", "metadata": "metadata", "color": "colour", "animation": "animation",
    "truncated": "truncated", "max_frames": "max_frames", "over_budget": "over_budget",
}  # fmt: skip
"""The fields of a preset that go into its output, and their names there."""


def compile_preset(name: str, table: PresetTable, order: tuple[str, ...] = DIALECTS) -> Preset:
    """Compile a preset whose table has no conflicts. InvalidCommand when its vendor command is none.

    `order` are the dialects, the preferred one first: some share command names.
    """
    if table.command is not None:
        asked = dialects.compile_command(table.command, order)
        operations, output, auto_format = asked.operations, asked.output, asked.auto_format
    else:
        operations, output, auto_format = _operations(table), Output(), False
    if table.answer != "picture" and operations == (AutoOrient(),):
        operations = ()  # a report about the file as it is stored
    output = _write(output, table)
    if "answer" in table.model_fields_set:
        output = replace(output, answer=Answer(table.answer))
    if "format" in table.model_fields_set or table.command is None:
        auto_format = table.format == "auto"
        output = replace(output, target=_target(table.format), candidates=_candidates(table.format))
        auto_format = auto_format or any(target in NEGOTIATED for target in output.candidates)
    return Preset(name, operations, output, auto_format, _cache(table), table.eager, table.command or "")


def _operations(table: PresetTable) -> tuple[Operation, ...]:
    if table.operations is not None:
        listed = [step.build() for step in table.operations]
        # Unless the list places it, or the preset declines it, a picture is first turned upright: nothing downstream
        # could, because a result keeps no orientation.
        upright = table.auto_orient and AutoOrient() not in listed
        return tidy([AutoOrient(), *listed] if upright else listed)
    return tidy(picture_operations(table, table.background))


def _write(output: Output, table: PresetTable) -> Output:
    given = {theirs: getattr(table, ours) for ours, theirs in _OUTPUT_FIELDS.items() if ours in table.model_fields_set}
    if not isinstance(table.background, Colour) or table.background.alpha == 0:
        # No ground of its own to put a picture on where the format needs one: then it is white.
        given.pop("background", None)
    output = replace(output, **given)
    if isinstance(table.quality, Score):
        output = replace(output, quality=None, ssimulacra2=table.quality.ssimulacra2)
    elif table.quality is not None:
        output = replace(output, quality=table.quality, ssimulacra2=None)
    if table.max_bytes is not None:
        output = replace(output, max_bytes=table.max_bytes, over_limit=OverLimit.FIT)
    return output


def _target(choice: str | tuple[str, ...]) -> Target:
    if choice in ("auto", "smallest") or isinstance(choice, tuple):
        return Target.PLAIN  # a placeholder: the planner chooses, or the picture
    return Target("jpeg" if choice == "jpg" else choice)


def _candidates(choice: str | tuple[str, ...]) -> tuple[Target, ...]:
    if choice == "smallest":
        return SMALLEST
    return tuple(dict.fromkeys(map(_target, choice))) if isinstance(choice, tuple) else ()


def _cache(table: PresetTable) -> CachePolicy:
    stale = CachePolicy(stale_while_revalidate=table.stale_while_revalidate, stale_if_error=table.stale_if_error)
    if table.cache == "immutable":
        return replace(stale, max_age=MAX_DURATION, immutable=True)
    if table.cache == "no-store":
        return replace(stale, max_age=0, no_store=True)
    return replace(stale, max_age=table.cache if isinstance(table.cache, int) else None)

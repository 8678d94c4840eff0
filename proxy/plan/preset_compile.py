"""From the table of a preset to its meaning: operations, output, cache policy.

The fields of a preset have no order of their own; they compile to: auto-orient, resize (with the crop of `cover` or
the canvas of `pad`), rotate, flip, grayscale, blur, sharpen. Different spellings of one meaning compile to equal
operations, so that they share their stored results.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.plan import dialects
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.operations import (
    AutoOrient,
    Blur,
    Crop,
    Extent,
    Fit,
    Flip,
    Grayscale,
    Operation,
    Resize,
    Rotate,
    Sharpen,
)
from proxy.plan.output import Output, Target
from proxy.plan.plan import CachePolicy
from proxy.plan.preset_tables import PresetFit, PresetTable, SharpenTable
from proxy.plan.preset_values import MAX_DURATION
from proxy.plan.presets import DIALECTS, Preset
from proxy.plan.tidying import tidy

_FITS = {
    PresetFit.INSIDE: Fit.INSIDE,
    PresetFit.COVER: Fit.COVER,
    PresetFit.FILL: Fit.FILL,
    PresetFit.PAD: Fit.INSIDE,
}

_OUTPUT_FIELDS = {
    "quality": "quality", "effort": "effort", "lossless": "lossless", "progressive": "progressive",
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
    output = _write(output, table)
    if "format" in table.model_fields_set or table.command is None:
        auto_format = table.format == "auto"
        output = replace(output, target=_target(table.format))
    return Preset(name, operations, output, auto_format, _cache(table), table.eager, table.command or "")


def _operations(table: PresetTable) -> tuple[Operation, ...]:
    if table.operations is not None:
        listed = [step.build() for step in table.operations]
        # Unless the list places it, or the preset declines it, a picture is first turned upright: nothing downstream
        # could, because a result keeps no orientation.
        upright = table.auto_orient and AutoOrient() not in listed
        return tidy([AutoOrient(), *listed] if upright else listed)
    upright_first: list[Operation] = [AutoOrient()] if table.auto_orient else []
    return tidy([*upright_first, *_box(table), *_changes(table)])


def _box(table: PresetTable) -> list[Operation]:
    if table.width is None and table.height is None:
        return []
    resize = Resize(table.width, table.height, _FITS[table.fit], table.enlarge)
    gravity = table.gravity or Gravity.CENTRE
    if table.fit is PresetFit.COVER:
        return [resize, Crop(table.width, table.height, gravity)]
    if table.fit is PresetFit.PAD and table.width is not None and table.height is not None:
        return [resize, Extent(table.width, table.height, gravity, background=table.background or Colour.WHITE)]
    return [resize]


def _changes(table: PresetTable) -> list[Operation]:
    changes: list[Operation] = [Rotate(table.rotate, table.background or Colour.WHITE)]
    if table.flip:
        changes.append(Flip(table.flip))
    if table.grayscale:
        changes.append(Grayscale())
    if table.blur is not None:
        changes.append(Blur(table.blur))
    if isinstance(table.sharpen, SharpenTable):
        changes.append(Sharpen(table.sharpen.sigma, table.sharpen.amount))
    elif table.sharpen:
        changes.append(Sharpen())
    return changes


def _write(output: Output, table: PresetTable) -> Output:
    given = {theirs: getattr(table, ours) for ours, theirs in _OUTPUT_FIELDS.items() if ours in table.model_fields_set}
    return replace(output, **given)


def _target(name: str) -> Target:
    if name == "auto":
        return Target.PLAIN  # a placeholder: the planner chooses
    return Target("jpeg" if name == "jpg" else name)


def _cache(table: PresetTable) -> CachePolicy:
    stale = CachePolicy(stale_while_revalidate=table.stale_while_revalidate, stale_if_error=table.stale_if_error)
    if table.cache == "immutable":
        return replace(stale, max_age=MAX_DURATION, immutable=True)
    if table.cache == "no-store":
        return replace(stale, max_age=0, no_store=True)
    return replace(stale, max_age=table.cache if isinstance(table.cache, int) else None)

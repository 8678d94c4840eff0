"""What the fields of a preset say together, and must not.

Each rule looks at the fields that the file gives and the values that are legal; a rule that depends on a field which is
wrong already stays silent, so that one mistake is reported once.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from proxy.plan.geometry import Gravity
from proxy.plan.operations import Crop, Operation, Redact
from proxy.plan.picture_table import GEOMETRY, PresetFit
from proxy.plan.preset_tables import PresetTable
from proxy.plan.preset_values import FORMAT_RULES, Score
from proxy.plan.region import Region

_CHOSEN_LATER = frozenset(FORMAT_RULES)
_LOSSY = frozenset({"jpeg", "jpg", "webp", "avif", "jxl"})
_TAKE: dict[str, frozenset[str]] = {
    "lossless": frozenset({"png", "webp", "avif", "tiff", "bmp", "ico", "jxl"}),
    "progressive": frozenset({"jpeg", "jpg", "png", "gif"}),
    "max_bytes": _LOSSY,
}
"""Which formats can do what a field promises. Quality and effort promise nothing: they are degrees, and an encoder
without such a knob does its best, so that a preset survives a change of its format."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that does not go with others; `depends` are all fields the verdict rests on."""

    field: str
    message: str
    depends: tuple[str, ...]


def conflicts(table: PresetTable, given: AbstractSet[str]) -> Iterator[Conflict]:
    """Find what does not go together in a preset whose file gives the fields `given`."""
    yield from _alternatives(given)
    if not given & {"operations", "command"}:
        yield from _box(table, given)
    yield from _output(table, given)
    if table.cache == "no-store":
        for field in ("stale_while_revalidate", "stale_if_error"):
            if field in given:
                yield Conflict(field, 'has no effect with cache = "no-store"', (field, "cache"))


def _alternatives(given: AbstractSet[str]) -> Iterator[Conflict]:
    """Fields, operations and command are three ways to say one thing."""
    if {"operations", "command"} <= given:
        yield Conflict("command", "cannot stand beside operations: write one or the other", ())
    for whole in ("operations", "command"):
        if whole in given:
            for field in GEOMETRY:
                if field in given:
                    yield Conflict(field, f"cannot stand beside {whole}, which takes its place", ())


def _box(table: PresetTable, given: AbstractSet[str]) -> Iterator[Conflict]:
    sides = given & {"width", "height"}
    if table.fit is not PresetFit.INSIDE and len(sides) < 2:
        missing = " and ".join(sorted({"width", "height"} - sides, reverse=True))
        yield Conflict("fit", f'"{table.fit.value}" needs both sides: {missing} is missing', ("fit",))
    elif not sides:
        for field in ("fit", "enlarge"):
            if field in given and getattr(table, field) is not False:
                yield Conflict(field, "has no effect without width or height", (field,))
    yield from _gravity(table)
    if table.background == "blur" and table.fit is not PresetFit.PAD:
        yield Conflict("background", '"blur" needs fit = "pad"', ("background", "fit"))
    if table.circle and table.radius is not None:
        yield Conflict("radius", "has no effect with circle = true", ("radius", "circle"))


def _gravity(table: PresetTable) -> Iterator[Conflict]:
    if not table.focal and table.fit is not PresetFit.COVER:
        yield Conflict("focal", 'has no effect without fit = "cover"', ("focal", "fit"))
    if table.gravity is None:
        return
    if not table.focal and Gravity.FOCAL in table.gravity:
        yield Conflict("focal", 'contradicts gravity, which names "focal"', ("focal", "gravity"))
    if table.fit not in (PresetFit.COVER, PresetFit.PAD):
        yield Conflict("gravity", 'has no effect without fit = "cover" or fit = "pad"', ("gravity", "fit"))
        return
    if table.fit is PresetFit.PAD:
        for aim in table.gravity:
            if isinstance(aim, Region) or aim.looks_at_pixels:
                message = f'"{aim}" needs fit = "cover"; with "pad" it is one of the nine anchors'
                yield Conflict("gravity", message, ("gravity", "fit"))
                return
        if table.background == "blur":
            yield Conflict("gravity", 'has no effect with background = "blur"', ("gravity", "background"))


def faceless(operations: tuple[Operation, ...], given: AbstractSet[str]) -> Conflict | None:
    """What of a preset cannot be had without the extra that finds faces.

    A list of gravities falls through to its next one; but hiding faces must never turn into not hiding them.
    """
    how = "needs the extra: pip install 'imgbang[vision]'"
    for operation in operations:
        if isinstance(operation, Redact) and operation.faces:
            field = "redact" if "redact" in given else "operations"
            return Conflict(field, f"hiding faces {how}", ())
        if isinstance(operation, Crop) and operation.gravity is Gravity.FACE:
            field = "gravity" if "gravity" in given else "operations"
            return Conflict(field, f'"face" {how}; or name what to do without: ["face", "attention"]', ())
    return None


def _output(table: PresetTable, given: AbstractSet[str]) -> Iterator[Conflict]:
    if table.lossless:
        for field in ("quality", "max_bytes"):
            if field in given:
                yield Conflict(field, "has no effect with lossless = true", ("lossless", field))
    named = {table.format} if isinstance(table.format, str) else set(table.format)
    if named & _CHOSEN_LATER:
        return
    shown = " or ".join(f'"{name}"' for name in sorted(named))
    for field, formats in _TAKE.items():
        if field in given and getattr(table, field) is not False and not named & formats:
            known = ", ".join(sorted(formats - {"jpg"}))
            yield Conflict(field, f"has no effect with format = {shown}; it is for {known}", (field, "format"))
    if isinstance(table.quality, Score) and not named & _LOSSY:
        message = f"a score needs a format with a quality (avif, jpeg, jxl, webp), not {shown}"
        yield Conflict("quality", message, ("quality", "format"))
    if "animation" in given and table.animation == "keep" and not named & {"gif", "webp"}:
        message = f'"keep" has no effect with format = {shown}, which holds one frame; it is for gif and webp'
        yield Conflict("animation", message, ("animation", "format"))

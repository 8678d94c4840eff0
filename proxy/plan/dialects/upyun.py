"""Upyun (https://github.com/upyun/docs, sources/cloud/image.md): parameters behind a separator in the path.

    /cat.jpg!/fw/200/quality/80          parameters
    /cat.jpg!small                       a version: the preset small
    /cat.jpg!small/fw/100                a version with single parameters changed or added

The separator is `!`, `-` or `_`, as far as presets.toml enables them. How words are taken apart is in `upyun_words`,
what they do to pixels in `upyun_pixels`, marks in `upyun_marks`.

| parameter | the picture; sizes never enlarge without `force/true` |
| --- | --- |
| `fw/<w>` `fh/<h>` `max/<n>` `min/<n>` | width, height, longer, shorter side; the other follows |
| `fwfh/<w>x<h>` `fxfn/<long>x<short>` | fits inside; with `2` at the end of the name: covers |
| `both/<w>x<h>` `sq/<n>` | exactly the box, cut in the middle; with force, a picture that is smaller is stretched |
| `scale/<n>` `wscale/<n>` `hscale/<n>` | 1 to 1000 percent of both sides, the width, the height |
| `fp/<n>` | at most n pixels in all |
| `crop/<w>x<h>[a<x>a<y>][/gravity/<g>]` | cut before scaling; `a` right and down, `s` left and up; 0x0: the rest |
| `clip/…` | the same, after scaling |
| `rotate/auto` `rotate/<1-360>` `flip/left,right` `flip/top,down` | turned, mirrored |
| `unsharp/true` `gaussblur/<r>x<sigma>` `roundrect/<r>` | effects |
| `gdori/<top,down>` `gdpos/<start>,<stop>` `gdstartcolor` `gdstopcolor` | a gradient over it, between two positions |
| `border/<w>x<h>` `brdcolor/<RRGGBBAA>` | bars around; AA 00 is opaque, FF transparent |
| `canvas/<w>x<h>[a<x>a<y>]` `cvscolor/<RRGGBBAA>` | in the middle of a canvas, or with its corner at x, y |
| `format/<jpg,png,webp>` `quality/<1-99>` `lossless/true` `compress/true` `progressive/true` | the file |
| `gifto/true` `exifswitch/true` `ignore-error/true` | one frame; orientation kept; the original where it fails |
| `info` `meta` `excolor/<1-4096>` `exformat/<hex,dec>` | JSON |

Rules:

1. Without `rotate/auto` the picture stays as it is stored, and its orientation is dropped with the rest of the EXIF,
   as at the vendor's; `exifswitch/true` keeps the orientation.
2. `noicc`, `strip` and `coalesce` are read and change nothing: results are sRGB, without metadata, with whole frames.
3. A gradient without `gdpos` covers the whole picture, `top,down` without `gdori`; a colour that is missing is the
   other one, transparent. Directions may be written with a hyphen: `top-down`.
4. A suffix that begins with a slash is a command, malformed or not, unless an original has that very name; behind `-`
   and `_`, which many keys contain, only if its first word is one of the parameters.
5. Parameters behind a version replace those of the same name if the preset is an Upyun command; otherwise they work on
   what the preset makes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from proxy.errors import InvalidCommand
from proxy.plan.dialects.arguments import read_format, read_int
from proxy.plan.dialects.dialect import Context, Dialect, PathCommand
from proxy.plan.dialects.oss import named_preset
from proxy.plan.dialects.upyun_marks import mark_operations
from proxy.plan.dialects.upyun_pixels import pixel_operations, read_truth
from proxy.plan.dialects.upyun_text import words_of
from proxy.plan.dialects.upyun_words import NAMES, Words, read_words
from proxy.plan.dialects.writing import says
from proxy.plan.keys import shown
from proxy.plan.operations import AutoOrient, Operation
from proxy.plan.output import Animation, Answer, OnError, Orientation, Output, Target
from proxy.plan.request import AskAdhoc, AskPreset
from proxy.plan.tidying import tidy

SEPARATORS = "!-_"
FORMATS = {
    "jpg": Target.JPEG, "jpeg": Target.JPEG, "png": Target.PNG, "webp": Target.WEBP, "gif": Target.GIF,
}  # fmt: skip
_TRUTHS: Mapping[str, tuple[str, Any]] = {
    "lossless": ("lossless", True),
    "compress": ("effort", 8),
    "progressive": ("progressive", True),
    "gifto": ("animation", Animation.FIRST),
    "exifswitch": ("orientation", Orientation.KEEP),
    "ignore-error": ("on_error", OnError.ORIGINAL),
}
"""Parameters that are true or false, and the field of the output that they change when true."""
_COLOURS = {"hex": Answer.UPYUN_COLOURS, "dec": Answer.UPYUN_COLOURS_DECIMAL}
_NOTHING = ("noicc", "strip", "coalesce")


def compile_upyun(text: str, context: Context) -> AskAdhoc | AskPreset:
    """Compile what follows the separator."""
    if text.startswith("/"):
        words = read_words(text)
        return _asked(_operations(words), Output(target=Target.FAMILIAR), words, text)
    version, slash, rest = text.partition("/")
    named = named_preset(version, context)
    if not slash:
        return named
    preset, words = named.preset, read_words(rest)
    if preset.command.startswith("/"):
        operations = _operations(words.over(read_words(preset.command)))
    else:
        operations = tidy([*preset.operations, *_operations(words)])
    asked = _asked(operations, preset.output, words, text)
    return replace(asked, auto_format=preset.auto_format and "format" not in words.values)


def _operations(words: Words) -> tuple[Operation, ...]:
    return tidy([*pixel_operations(words), *mark_operations(words.marks)])


def _asked(operations: tuple[Operation, ...], output: Output, words: Words, label: str) -> AskAdhoc:
    output = replace(output, **_changes(words.values))
    if AutoOrient() in operations:
        output = replace(output, orientation=Orientation.DROP)
    return AskAdhoc(operations, output, label)


def _changes(values: Mapping[str, str]) -> dict[str, Any]:
    """Changes to fields of the output by their names."""
    changes: dict[str, Any] = {}
    for name, (changed, value) in _TRUTHS.items():
        if name in values and read_truth(name, values[name]):
            changes[changed] = value
    for name in _NOTHING:
        read_truth(name, values.get(name, "false"))
    if "format" in values:
        changes |= {"target": read_format("format", values["format"], FORMATS), "candidates": ()}
    if "quality" in values:
        changes |= {"quality": read_int("quality", values["quality"], 1, 99), "ssimulacra2": None}
    if values.keys() & {"excolor", "exformat"}:
        changes |= _read_colours(values)
    if "info" in values:
        changes["answer"] = Answer.UPYUN_INFO
    if "meta" in values:
        changes["answer"] = Answer.UPYUN_META
    return changes


def _read_colours(values: Mapping[str, str]) -> dict[str, Any]:
    """The report of the picture's colours."""
    kind = values.get("exformat", "hex")
    if kind not in _COLOURS:
        raise InvalidCommand(f"exformat must be hex or dec, got {shown(kind, 20)}")
    return {"answer": _COLOURS[kind], "entries": read_int("excolor", values.get("excolor", "256"), 1, 4096)}


def split_parameters(raw: str, separators: tuple[str, ...]) -> PathCommand | None:
    """Cut a path at the last separator that parameters follow."""
    enabled = "".join(separator for separator in SEPARATORS if separator in separators)
    if not enabled:
        return None
    for found in reversed(list(_pattern(enabled).finditer(raw))):
        tail = unquote(raw[found.end() : found.end() + 200], errors="replace")
        version, slash, rest = tail.partition("/")
        known = slash and rest.partition("/")[0] in NAMES
        if found.start() and (known or (tail.startswith("/") and unquote(found[0]) == "!")) and version.isprintable():
            return PathCommand(raw[: found.start()], unquote(raw[found.end() :], errors="replace"))
    return None


@lru_cache(maxsize=16)
def _pattern(enabled: str) -> re.Pattern[str]:
    escaped = "|".join(f"{ord(separator):02x}" for separator in enabled)
    return re.compile(rf"[{re.escape(enabled)}]|(?i:%(?:{escaped}))")


def write(operations: tuple[Operation, ...], output: Output) -> str | None:
    """A plan as parameters that compile back to it; None where there are none."""
    text = words_of(operations, output)
    return text if text is not None and says(compile_upyun, text, operations, output) else None


UPYUN = Dialect("upyun", compile_upyun, claims=lambda text: text.startswith("/"), split=split_parameters, write=write)

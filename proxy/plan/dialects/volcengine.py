"""Volcengine: TOS (https://www.volcengine.com/docs/6349/153626) and veImageX (https://www.volcengine.com/docs/508/132417).

    /cat.jpg?x-tos-process=image/resize,w_200          TOS: the language of `oss`; `x-oss-process` is read as well
    /cat.jpg~tplv-<service>-<template>.<format>        veImageX: a template is a preset
    /cat.jpg~tplv-<service>-<template>:<w>:<h>.<format>

Rules:

1. TOS: `m_fixed` with one side keeps the proportions, and `p` above 100 enlarges only with `limit_0`.
2. veImageX: the format `image` leaves what the preset says; `png`, `jpeg` (`jpg`), `webp`, `avif`, `gif` and `awebp`
   (moving WebP) are written instead. HEIC, which browsers do not read, is not.
3. Templates that take their sizes from the URL are stored at the vendor, so their names say nothing here. These four
   stand for them, unless a preset has the name: `fixed:<w>:<h>` stretches, `contain:<w>:<h>` (or `resize`, or no name)
   fits inside, `cover:<w>:<h>` covers without cutting, `noop` leaves the picture. They shrink and never enlarge; of two
   sides 0 means that it follows from the other.
4. Where a template's sizes are of no use (a preset has none to fill in), they are refused.
5. The service is not looked at. Qiniu's and Tencent's commands, which veImageX also reads, are dialects of their own.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from urllib.parse import unquote

from proxy.errors import InvalidCommand
from proxy.plan.dialects.arguments import read_int
from proxy.plan.dialects.dialect import Context, Dialect, PathCommand
from proxy.plan.dialects.oss import compile_process, named_preset, write_process
from proxy.plan.dialects.oss_arguments import OssRules
from proxy.plan.keys import shown
from proxy.plan.operations import AutoOrient, Fit, Operation, Resize
from proxy.plan.output import Animation, Output, Target
from proxy.plan.request import AskAdhoc, AskPreset
from proxy.plan.tidying import tidy

RULES = OssRules(vendor="Volcengine", lone_fixed_is_square=False, percent_is_limited=True)
MAX_SIDE = 16_384
FORMATS = {
    "png": Target.PNG, "jpeg": Target.JPEG, "jpg": Target.JPEG, "webp": Target.WEBP, "awebp": Target.WEBP,
    "avif": Target.AVIF, "gif": Target.GIF,
}  # fmt: skip
_FITS = {"": Fit.INSIDE, "resize": Fit.INSIDE, "contain": Fit.INSIDE, "cover": Fit.COVER, "fixed": Fit.FILL}
_TEMPLATE = re.compile(
    r"tplv-(?P<service>[A-Za-z0-9]+)(?:-(?P<name>[^:/]+?))?(?P<sizes>(?::[^:/.]*)*)\.(?P<format>[A-Za-z0-9]+)"
)
_PATH = re.compile(r"(?P<key>.+)(?:~|%7[Ee])(?P<command>tplv-[^/~]+)", re.DOTALL)


def compile_volcengine(text: str, context: Context) -> AskAdhoc | AskPreset:
    """Compile the value of `x-tos-process`, or a template."""
    if text.startswith("tplv-"):
        return _compile_template(text, context)
    return compile_process(text, context, RULES)


def split_template(raw: str, _: tuple[str, ...]) -> PathCommand | None:
    """Cut a path at its last `~tplv-`."""
    found = _PATH.fullmatch(raw)
    return PathCommand(found["key"], unquote(found["command"], errors="replace")) if found else None


def _compile_template(text: str, context: Context) -> AskAdhoc | AskPreset:
    found = _TEMPLATE.fullmatch(text)
    if found is None:
        raise InvalidCommand(f"a template is ~tplv-<service>-<template>:<w>:<h>.<format>, got {shown(text, 60)}")
    name, sizes = found["name"] or "", found["sizes"].split(":")[1:]
    if name in context.presets or (name not in _FITS and name != "noop"):
        asked = named_preset(name, context)
        if sizes:
            raise InvalidCommand(f"the template {shown(name, 70)} is a preset, which takes no sizes")
        return _written_preset(asked, found["format"].lower())
    output = _written(Output(target=Target.FAMILIAR), found["format"].lower())
    return AskAdhoc(tidy([AutoOrient(), *_resize(name, sizes)]), output, text)


def _resize(name: str, sizes: list[str]) -> tuple[Operation, ...]:
    if name == "noop" and not sizes:
        return ()
    if name == "noop" or len(sizes) != 2:
        expected = "no sizes" if name == "noop" else "two sizes"
        raise InvalidCommand(f"the template {shown(name, 20)} takes {expected}, got {len(sizes)}")
    width, height = (read_int("a template's size", size, 0, MAX_SIDE) or None for size in sizes)
    if width is None and height is None:
        return ()
    fit = Fit.INSIDE if width is None or height is None else _FITS[name]
    return (Resize(width, height, fit),)


def _written_preset(asked: AskPreset, kind: str) -> AskPreset:
    """The preset, written in the format that the URL names: there are few of them, so it is as good as the preset."""
    if kind == "image":
        return asked
    preset = asked.preset
    return AskPreset(replace(preset, output=_written(preset.output, kind), auto_format=False))


def _written(output: Output, kind: str) -> Output:
    if kind == "image":
        return output
    if kind not in FORMATS:
        raise InvalidCommand(f"a template's format must be image, {', '.join(FORMATS)}, got {shown(kind, 20)}")
    moving = kind in ("awebp", "gif")
    return replace(
        output,
        target=FORMATS[kind],
        animation=output.animation if moving else Animation.FIRST,
        animated=None,
        candidates=(),
    )


VOLCENGINE = Dialect(
    "volcengine",
    compile_volcengine,
    parameters=frozenset({"x-tos-process", "x-oss-process"}),
    claims=lambda text: text.startswith(("image/", "style/", "tplv-")),
    split=split_template,
    write=partial(write_process, rules=RULES),
)

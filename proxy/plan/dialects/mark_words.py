"""How `watermark/<mode>/…` is taken apart, which Qiniu and Tencent write alike, and what their marks have in common.

    watermark/1/image/<b64>/…                   an image
    watermark/2/text/<b64>/…                    a text
    watermark/3/image/<b64>/…/text/<b64>/…      any number of marks, each followed by its parameters

An image is a key of the same store: plain, as `kodo://bucket/key`, or as the URL of a host that the operator allows.
The name of the bucket is not looked at: nothing is ever read but our own store, whatever it was called elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.errors import InvalidCommand
from proxy.plan.dialects.arguments import read_base64, read_gravity, read_int
from proxy.plan.dialects.imageview2 import read_output
from proxy.plan.dialects.stage import Stage, read_pairs
from proxy.plan.keys import check_key, shown
from proxy.plan.operations import Operation
from proxy.plan.output import Orientation

MAX_MARKS = 10
FILE = frozenset({"format", "interlace", "ignore-error"})
"""What may be said of the file beside the marks."""
PLACING = frozenset({"dissolve", "gravity", "dx", "dy"})
_KODO = re.compile(r"(?:kodo|qiniu)://[^/]+/(?P<key>.+)", re.DOTALL)
_URL = re.compile(r"https?://[^/?#@\s]+/[^\s#]+")
Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class MarkGrammar:
    """The parameters of one vendor's marks, and what makes marks of them."""

    image: frozenset[str]
    text: frozenset[str]
    make_image: Callable[[Fields], Operation]
    make_text: Callable[[Fields], Operation]


def compile_marks(tokens: Sequence[str], grammar: MarkGrammar, only: str = "") -> Stage:
    """Compile what follows the mode: one mark of the kind `only`, or any number of marks of both kinds."""
    names = {"image": grammar.image, "text": grammar.text, "": grammar.image | grammar.text}[only]
    output: dict[str, Any] = {"orientation": Orientation.KEEP}
    marks: list[Fields] = [{}] if only else []
    for name, value in read_pairs("watermark", tokens, names | FILE):
        if name in FILE:
            output |= read_output("watermark", name, value)
        elif not only and name in ("image", "text"):
            marks.append({name: value})
        elif not marks:
            raise InvalidCommand(f"watermark/3: {name} stands before the first image or text")
        else:
            marks[-1][name] = value
    if not 1 <= len(marks) <= MAX_MARKS:
        raise InvalidCommand(f"watermark takes 1 to {MAX_MARKS} marks, got {len(marks)}")
    return Stage(tuple(_mark(mark, grammar, only) for mark in marks), output)


def _mark(fields: Fields, grammar: MarkGrammar, only: str) -> Operation:
    if only and only not in fields:
        raise InvalidCommand(f"watermark needs the parameter {only}")
    kind, names = ("text", grammar.text) if "text" in fields else ("image", grammar.image)
    if misplaced := [name for name in fields if name not in names]:
        raise InvalidCommand(f"watermark: {'a text' if kind == 'text' else 'an image'} has no {misplaced[0]}")
    return grammar.make_text(fields) if kind == "text" else grammar.make_image(fields)


def read_placing(fields: Fields) -> dict[str, Any]:
    """The anchor, the opacity and the offsets that are given."""
    placing: dict[str, Any] = {}
    if "gravity" in fields:
        placing["gravity"] = read_gravity("watermark: gravity", fields["gravity"])
    if "dissolve" in fields:
        placing["opacity"] = read_int("watermark: dissolve", fields["dissolve"], 1, 100)
    for name in ("dx", "dy"):
        if name in fields:
            placing[name] = read_int(f"watermark: {name}", fields[name], -10_000, 10_000)
    return placing


def read_image(what: str, value: str) -> str:
    """Read the image of a mark: a key of the same store, or a URL, which the operator must have allowed."""
    text = read_base64(what, value)
    if found := _KODO.fullmatch(text):
        return check_key(found["key"])
    if "://" not in text:
        return check_key(text.removeprefix("/"))
    if not _URL.fullmatch(text):
        raise InvalidCommand(f"{what} must be a key, kodo://bucket/key or a URL, got {shown(text, 60)}")
    return text

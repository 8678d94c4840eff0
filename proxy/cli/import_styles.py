"""`imgbang import-styles`: the styles of a vendor's bucket as the text of a presets.toml.

Read is what the vendor's call for the bucket prints:

    Qiniu        {"styles": {"small": "imageView2/…"}, "separator": "-", "protected": 1, "private": 0}
    Aliyun       <StyleList><Style><Name>small</Name><Content>image/…</Content></Style>…, or the same as JSON
    Tencent      <StyleRule><StyleName>small</StyleName><StyleBody>imageMogr2/…</StyleBody></StyleRule>…, or as JSON
    others       {"styles": [{"name": "small", "content": "…"}]}, or {"small": "…"}

Every style becomes a preset with its command as it is. A style that cannot be one stays in the file, commented out,
with the reason above it; the exit status is 1 then.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree as ET

import typer

from proxy.errors import InvalidCommand
from proxy.plan.dialects import compile_command
from proxy.plan.preset_file import PresetProblems, read_presets
from proxy.plan.presets import DIALECTS, LEGAL_SEPARATORS, Originals, name_problem

MAX_BYTES = 8 << 20
_NAMES = ("name", "stylename", "style_name")
_CONTENTS = ("content", "stylebody", "style_body", "body", "command", "style", "cmd")
_STYLE_LISTS = ("styles", "stylelist", "stylerule", "style")
_TENCENT = "stylebody"
"""Only Tencent calls it so."""


class UnknownShape(Exception):
    """The text is not what any vendor's call prints."""


@dataclass(frozen=True, slots=True)
class BucketStyles:
    """What a bucket says about its styles. No separators: it says nothing about them."""

    styles: Mapping[str, str]
    separators: tuple[str, ...] = ()
    originals: Originals = Originals.OPEN
    dialect: str | None = None
    """Whose commands they are, where that has been said: Qiniu and Tencent share names, Aliyun and Huawei too."""


def import_styles(
    *,
    file: Annotated[
        Path | None,
        typer.Argument(help="What the vendor's call printed; standard input otherwise.", show_default=False),
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option(
            help="Whose commands they are: qiniu, aliyun, upyun, tencent, huawei, volcengine.", show_default=False
        ),
    ] = None,
) -> None:
    """Turn the styles of a Qiniu, Tencent, Aliyun or other bucket into presets.toml, printed on standard output."""
    if dialect is not None and dialect not in DIALECTS:
        typer.echo(f"imgbang: --dialect knows {', '.join(DIALECTS)}, got {dialect!r}", err=True)
        raise typer.Exit(2)
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1) if file is None else file.read_bytes()
        bucket = read_bucket(data)
        bucket = replace(bucket, dialect=dialect or bucket.dialect)
    except OSError as error:
        typer.echo(f"imgbang: {file}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    except UnknownShape as error:
        typer.echo(f"imgbang: {error}", err=True)
        raise typer.Exit(2) from None
    refused = {name: reason for name, text in bucket.styles.items() if (reason := problem(name, text, bucket))}
    typer.echo(write_presets(bucket, refused), nl=False)
    for name, reason in refused.items():
        typer.echo(f"imgbang: style {name!r}: {reason}", err=True)
    typer.echo(f"imgbang: {len(bucket.styles) - len(refused)} of {len(bucket.styles)} styles imported", err=True)
    if refused:
        raise typer.Exit(1)


def read_bucket(data: bytes) -> BucketStyles:
    """Read what a vendor's call prints, JSON or XML."""
    if len(data) > MAX_BYTES:
        raise UnknownShape(f"the text is longer than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnknownShape(f"not UTF-8: byte {error.start}") from error
    if text.lstrip().startswith("<"):
        return _read_xml(text)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnknownShape("neither JSON nor XML: pass what the vendor's bucket-info call prints") from error
    return _read_json(found)


def _read_xml(text: str) -> BucketStyles:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        # Entities can grow to gigabytes, and no vendor's answer has any.
        raise UnknownShape("XML with a document type is not read")
    try:
        root = ET.fromstring(text)  # noqa: S314 -- without a document type there is nothing to expand
    except ET.ParseError as error:
        raise UnknownShape("not well-formed XML") from error
    found, tencent = {}, False
    for element in root.iter():
        fields = {_local(child.tag): (child.text or "").strip() for child in element}
        name, content = _first(fields, _NAMES), _first(fields, _CONTENTS)
        if name and content:
            found[name] = content
            tencent = tencent or _TENCENT in fields
    if not found:
        raise UnknownShape("the XML holds no style with a name and a content")
    return BucketStyles(found, dialect="tencent" if tencent else None)


def _first(fields: Mapping[str, object], names: Iterable[str]) -> str | None:
    """The first of these fields that is a text."""
    return next((text for name in names if isinstance(text := fields.get(name), str)), None)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2].lower()


def _read_json(found: object) -> BucketStyles:
    if isinstance(found, list):
        return BucketStyles(_listed(found), dialect=_dialect_of(found))
    if not isinstance(found, dict):
        raise UnknownShape("the JSON is neither an object nor a list of styles")
    lowered = {str(key).lower(): value for key, value in found.items()}
    for wrapper in ("data", "result", "bucket", "stylelist"):
        if isinstance(lowered.get(wrapper), dict):
            return _read_json(lowered[wrapper])
    listed = next((lowered[name] for name in _STYLE_LISTS if isinstance(lowered.get(name), dict | list)), None)
    if listed is None:
        texts = {str(key): value for key, value in found.items() if isinstance(value, str) and "/" in value}
        if not texts or len(texts) != len(found):
            raise UnknownShape("the JSON holds no styles")
        return BucketStyles(texts)
    separators = "".join(str(lowered.get(name) or "") for name in ("separator", "separators"))
    originals = Originals.PROTECTED if _is_set(lowered.get("protected")) else Originals.OPEN
    if _is_set(lowered.get("private")):
        originals = Originals.PRIVATE
    return BucketStyles(_styles(listed), tuple(dict.fromkeys(separators)), originals, _dialect_of(listed))


def _is_set(flag: object) -> bool:
    return str(flag).lower() in ("1", "true")


def _dialect_of(listed: object) -> str | None:
    styles = listed if isinstance(listed, list) else [listed]
    theirs = any(str(key).lower() == _TENCENT for style in styles if isinstance(style, dict) for key in style)
    return "tencent" if theirs else None


def _styles(listed: object) -> dict[str, str]:
    if isinstance(listed, list):
        return _listed(listed)
    if not isinstance(listed, dict):
        return {}
    lowered = {str(key).lower(): value for key, value in listed.items()}
    if _first(lowered, _NAMES) and _first(lowered, _CONTENTS):  # a list of one, as XML turned into JSON has it
        return _listed([listed])
    return {str(name): str(text) for name, text in listed.items()}


def _listed(styles: Iterable[object]) -> dict[str, str]:
    found = {}
    for style in styles:
        fields = {str(key).lower(): value for key, value in style.items()} if isinstance(style, dict) else {}
        name, text = _first(fields, _NAMES), _first(fields, _CONTENTS)
        if name is None or text is None:
            raise UnknownShape("a style in the list has no name or no content")
        found[name] = text
    return found


def problem(name: str, text: str, bucket: BucketStyles) -> str | None:
    """Say why a style cannot be a preset; None when it can."""
    if wrong := name_problem(name, separators_of(bucket)):
        return wrong
    try:
        compile_command(command_of(text), (bucket.dialect,) if bucket.dialect else DIALECTS)
    except InvalidCommand as error:
        return error.message
    return None


def separators_of(bucket: BucketStyles) -> tuple[str, ...]:
    """The legal separators that the bucket uses; ours where it says nothing."""
    return tuple(mark for mark in bucket.separators if mark in LEGAL_SEPARATORS) or ("!",)


def command_of(text: str) -> str:
    """The command of a style's body: some are stored with the question mark."""
    return text.strip().removeprefix("?")


def write_presets(bucket: BucketStyles, refused: Mapping[str, str]) -> str:
    """The text of a presets.toml; it is read once before it is handed out."""
    head = ["#:schema ./presets.schema.json", f"separators = {json.dumps(list(separators_of(bucket)))}"]
    # A comment: which commands the site prints is what the vendor's call does not say.
    head.append(
        '# adhoc = { sizes = ["200x200"] }    # commands in URLs are refused without such a line, styles are not'
    )
    if bucket.dialect:
        head.append(f"dialects = {json.dumps([bucket.dialect])}")
    if bucket.originals is not Originals.OPEN:
        head.append(f'originals = "{bucket.originals.value}"')
    tables = [_table(name, command_of(text), refused.get(name)) for name, text in bucket.styles.items()]
    text = "\n".join([*head, *tables]) + "\n"
    try:
        read_presets(text)
    except PresetProblems as problems:
        typer.echo(f"imgbang: the presets need attention:\n{problems}", err=True)
    return text


def _table(name: str, command: str, refused: str | None) -> str:
    lines = [f"[presets.{_toml(name)}]", f"command = {_toml(command, quoted=True)}"]
    if refused is not None:
        lines = [f"# not imported: {' '.join(refused.split())}", *(f"# {line}" for line in lines)]
    return "\n".join(["", *lines])


def _toml(text: str, *, quoted: bool = False) -> str:
    """A bare key where that is enough, else a basic string: JSON's, which TOML reads alike but for DEL."""
    if not quoted and re.fullmatch(r"[A-Za-z0-9_-]+", text):
        return text
    # Half a surrogate pair, which JSON can hold, is text nowhere else.
    whole = text.encode("utf-8", "replace").decode()
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")

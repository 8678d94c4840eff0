"""From the text of a URL to what it asks for: the one entrance to all dialects.

`parse` reads a request target as it came over the wire. Each grammar has its own module, whose docstring is its manual:
`suffix` (presets and boxes after a separator), `query` (what follows the `?`), and one for each vendor's commands.
`dialect` says what a vendor's module must offer, and how to add one; `DIALECTS` lists them. URLs and presets.toml
both come through here.

Rules for commands in URLs:

1. Only dialects that presets.toml enables are read; of two that know a command, the one listed first.
2. A command in the query stands on a plain key. After a preset it is refused: which of the two counts could only be
   guessed, and under protection the guess would be a way around it.
3. Commands are ad hoc: `adhoc` says which are served. A command that merely names a preset is as good as the preset.
4. Protected originals refuse commands, and may not be the marks of other pictures; a valid signature lets both pass,
   unless originals are sealed. Where they are private, nothing is read without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from proxy.errors import (
    AdhocRefused,
    InvalidCommand,
    InvalidKey,
    InvalidRequest,
    OriginalsProtected,
    ProxyError,
    TokenRequired,
    Unauthorized,
    UnknownPreset,
)
from proxy.plan.dialects.aliyun import ALIYUN
from proxy.plan.dialects.dialect import MAX_COMMAND_LENGTH, Context, Dialect
from proxy.plan.dialects.huawei import HUAWEI
from proxy.plan.dialects.qiniu import QINIU
from proxy.plan.dialects.query import Query, command_name, read_query
from proxy.plan.dialects.suffix import read_path
from proxy.plan.dialects.tencent import TENCENT
from proxy.plan.dialects.upyun import UPYUN
from proxy.plan.dialects.volcengine import VOLCENGINE
from proxy.plan.keys import check_key, decode_key, decode_path, shown
from proxy.plan.operations import Crop, Operation
from proxy.plan.output import OWN_REPORTS, Output, OverLimit
from proxy.plan.presets import Originals, PresetSnapshot
from proxy.plan.request import AskAdhoc, AskOriginal, AskPreset, ImageRequest

_ALL: tuple[Dialect, ...] = (QINIU, ALIYUN, UPYUN, TENCENT, HUAWEI, VOLCENGINE)
DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in _ALL}
"""The vendors' dialects by name."""


def parse(target: str, presets: PresetSnapshot, *, signed: bool = False) -> tuple[ImageRequest, ...]:
    """Return the readings of a raw request target (`/photos/cat.jpg!thumb?v=3`), the preferred one first.

    There is at least one. The caller uses the first whose original exists, else raises `readings[0].not_found()`.
    `signed` says that the URL carries a valid signature. Raises a ProxyError, without having looked anything up, when
    the target cannot be understood or is not allowed under any reading.
    """
    if not target.startswith("/"):
        raise InvalidRequest(f"a request target must begin with '/', got {shown(target)}")
    if presets.originals is Originals.PRIVATE and not signed:
        raise Unauthorized("download token not specified")
    path, _, raw_query = target[1:].partition("?")
    if not raw_query:
        return _read_path(path, presets, signed=signed)
    query = read_query(raw_query)
    if query.command is not None:
        readings: tuple[ImageRequest, ...] = (_read_query_command(path, query, presets, signed=signed),)
    else:
        readings = _read_path(path, presets, signed=signed)
    return tuple(replace(reading, version_token=query.version_token, attname=query.attname) for reading in readings)


def compile_command(text: str, order: tuple[str, ...] = tuple(DIALECTS)) -> AskAdhoc:
    """Compile the vendor command of a preset (`imageView2/1/w/200/h/200`); InvalidCommand if it is none.

    It may be in any dialect, enabled or not; of those that share a command, the first in `order`.
    """
    name = command_name(text)
    for dialect in _listed((*order, *DIALECTS)):
        if name in dialect.commands or dialect.claims(text):
            return _compile_alone(dialect, text)
        if name in dialect.parameters:
            return _compile_alone(dialect, text.partition("=")[2])
    raise InvalidCommand(f"{shown(text, 40)} is not a command of any vendor's")


def write_commands(operations: tuple[Operation, ...], output: Output) -> dict[str, str]:
    """A plan in the words of every dialect that has words for it, whether enabled or not."""
    if any(isinstance(operation, Crop) and (operation.seek or not operation.focal) for operation in operations):
        return {}  # no vendor's words say where to look, or where not to
    if (
        output.ssimulacra2 is not None
        or output.candidates
        or output.over_limit is OverLimit.FIT
        or output.answer in OWN_REPORTS
    ):
        return {}  # no vendor has words for these
    written = {name: dialect.write(operations, output) for name, dialect in DIALECTS.items()}
    return {name: text for name, text in written.items() if text is not None}


def _compile(dialect: Dialect, text: str, context: Context) -> AskAdhoc | AskPreset:
    if len(text) > MAX_COMMAND_LENGTH:
        raise InvalidCommand(f"a command has at most {MAX_COMMAND_LENGTH} characters, got {len(text)}")
    return dialect.compile(text, context)


def _compile_alone(dialect: Dialect, text: str) -> AskAdhoc:
    """Compile where there are no presets that the command could name."""
    try:
        asked = _compile(dialect, text, Context())
    except UnknownPreset as error:
        raise InvalidCommand("a preset's command cannot name another preset") from error
    assert isinstance(asked, AskAdhoc)
    if asked.save_as is not None:
        raise InvalidCommand("a preset's command cannot store its result: saveas needs a signature for each URL")
    return asked


def _listed(names: tuple[str, ...]) -> list[Dialect]:
    return [DIALECTS[name] for name in names if name in DIALECTS]


def _read_query_command(path: str, query: Query, presets: PresetSnapshot, *, signed: bool) -> ImageRequest:
    """The reading of a URL with a command in its query."""
    name, text = query.command_name, query.command or ""
    for dialect in _listed(presets.dialects):
        if name in dialect.parameters:
            text = text.partition("=")[2]
        elif name not in dialect.commands:
            continue
        asked = _compile(dialect, text, Context(presets.presets))
        _check_alone(path, presets, name)
        key = decode_key(path)
        _check_allowed(key, asked, name, presets, signed=signed)
        return ImageRequest(key, asked)
    raise InvalidCommand(f"vendor command {name!r} is not enabled here")


def _check_alone(path: str, presets: PresetSnapshot, name: str) -> None:
    """Refuse a command after a preset or a box."""
    suffixed = read_path(path, presets, lambda _: False)[0].asked
    if not isinstance(suffixed, AskOriginal):
        raise InvalidCommand(f"the command {name} cannot follow a preset: ask for one or the other")


def _check_allowed(key: str, asked: AskAdhoc | AskPreset, name: str, presets: PresetSnapshot, *, signed: bool) -> None:
    if isinstance(asked, AskPreset):
        return
    marks = [mark.partition("?")[0] for operation in asked.operations for mark in operation.overlays]
    if any(presets.guards(each, signed=signed) for each in (key, *marks)):
        raise protected(presets)
    boxes = [box for operation in asked.operations for box in operation.boxes]
    presets.adhoc.check_command(name, boxes, signed=signed)


def _read_path(path: str, presets: PresetSnapshot, *, signed: bool) -> tuple[ImageRequest, ...]:
    """The readings of a path without a command in the query.

    A preset behind the right-most separator counts before a command: keys may hold what looks like the beginning of
    one (`1/!y!/x!thumb` is not Upyun's `!/x…`), presets may not.
    """
    suffix: tuple[ImageRequest, ...] | ProxyError
    try:
        suffix = _read_suffix(path, presets, signed=signed)
    except ProxyError as refused:  # what is no key, or is protected, may yet be a command
        suffix = refused
    else:
        if not all(isinstance(reading.asked, AskOriginal) for reading in suffix):
            return suffix
    command = _read_path_command(path, presets, signed=signed)
    if command:
        return command
    if isinstance(suffix, ProxyError):
        raise suffix
    return suffix


def _read_path_command(path: str, presets: PresetSnapshot, *, signed: bool) -> tuple[ImageRequest, ...]:
    """The readings of a path whose end is a vendor's command; none if it is not.

    A command that is malformed or refused may still be an original's real name, and is reported only if it is not.
    """
    for dialect in _listed(presets.dialects):
        found = dialect.split(path, presets.separators)
        if found is None:
            continue
        whole = _whole_key(path)
        if whole is not None and presets.guards(whole, signed=signed):
            whole = None
        try:
            asked = _compile(dialect, found.text, Context(presets.presets))
            key = decode_key(found.raw_key)
            _check_allowed(key, asked, shown(found.text, 40), presets, signed=signed)
        except (InvalidCommand, AdhocRefused, UnknownPreset) as refused:
            if whole is None:
                raise
            return (ImageRequest(whole, AskOriginal(), missing=partial(_the_same, refused)),)
        picture = ImageRequest(key, asked)
        return (picture,) if whole is None else (picture, ImageRequest(whole, AskOriginal()))
    return ()


def _the_same(error: ProxyError) -> ProxyError:
    return error


def _whole_key(path: str) -> str | None:
    """The whole path as a key; None if no original can have that name."""
    try:
        return check_key(decode_path(path))
    except InvalidKey:
        return None


def _read_suffix(path: str, presets: PresetSnapshot, *, signed: bool) -> tuple[ImageRequest, ...]:
    try:
        return read_path(path, presets, partial(presets.guards, signed=signed), signed=signed)
    except OriginalsProtected as refused:
        raise protected(presets) from refused


def protected(presets: PresetSnapshot) -> ProxyError:
    """The refusal of a protected original, as the first of the enabled vendors puts it."""
    message = "originals are protected here: only presets of them are served"
    first = next(iter(_listed(presets.dialects)), None)
    return TokenRequired(message) if first is not None and first.protects_with_401 else OriginalsProtected(message)


__all__ = ["DIALECTS", "compile_command", "parse", "protected", "write_commands"]

"""Reading presets.toml: a snapshot, or every problem at once.

Rules:

1. All or nothing. A file with one problem gives no snapshot, and the caller goes on with the last good one.
2. Every problem has a line, a field and a message that says what was expected. One mistake is reported once.
3. The file is bounded before it is read: 256 KiB, 2,000 presets. A generator that runs wild must end in a message, not
   in a service that compiles for a minute.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.errors import InvalidCommand
from proxy.machine import vision_version
from proxy.plan.operation_tables import Table
from proxy.plan.operations import WRITTEN
from proxy.plan.preset_compile import compile_preset
from proxy.plan.preset_rules import conflicts, faceless
from proxy.plan.preset_tables import FileTable, PresetTable
from proxy.plan.preset_values import shown_value
from proxy.plan.presets import DIALECTS, LEGAL_SEPARATORS, Preset, PresetSnapshot, name_problem
from proxy.plan.toml_lines import Path, TomlLines

T = TypeVar("T", bound=Table)

MAX_FILE_BYTES = 256 * 1024
MAX_PRESETS = 2_000

_EXPECTED = {
    "int_type": "must be a whole number", "int_from_float": "must be a whole number",
    "float_type": "must be a number", "finite_number": "must be a finite number", "bool_type": "must be true or false",
    "string_type": "must be a text in quotes", "list_type": "must be a list in brackets",
    "dict_type": "must be a table", "model_type": "must be a table", "model_attributes_type": "must be a table",
}  # fmt: skip
"""pydantic's kinds of error in our words."""


@dataclass(frozen=True, slots=True)
class PresetProblem:
    """One problem: its line, what it concerns (`presets.thumb.width`; empty for the whole file), what is wrong."""

    line: int
    field: str
    message: str


class PresetProblems(Exception):
    """presets.toml cannot be used; `problems` are all reasons in the order of their lines."""

    def __init__(self, problems: tuple[PresetProblem, ...], name: str = "presets.toml") -> None:
        super().__init__(problems, name)
        self.problems = problems
        self.name = name

    def __str__(self) -> str:
        return "\n".join(
            f"{self.name}:{problem.line}: {f'{problem.field}: ' if problem.field else ''}{problem.message}"
            for problem in self.problems
        )


def read_presets(text: str, *, name: str = "presets.toml", faces: bool | None = None) -> PresetSnapshot:
    """Read the text of a presets.toml. Raises PresetProblems, which calls the file `name`.

    `faces`: whether faces can be found; None: as the extra `vision` is installed here or not.
    """
    if faces is None:
        faces = vision_version() is not None
    text = text.removeprefix("\ufeff")  # some editors begin a file with a byte order mark
    problems: list[PresetProblem] = []
    data = _load(text, problems)
    snapshot = None if problems else _read_file(data, TomlLines(text), problems, faces=faces)
    if snapshot is None or problems:
        raise PresetProblems(tuple(sorted(problems, key=lambda problem: problem.line)), name)
    return snapshot


def json_schema() -> dict[str, Any]:
    """The JSON Schema of presets.toml, for editors."""
    schema = _without_null(FileTable.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _load(text: str, problems: list[PresetProblem]) -> dict[str, Any]:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_FILE_BYTES:
        problems.append(PresetProblem(1, "", f"the file is {size} bytes long; at most {MAX_FILE_BYTES} are read"))
        return {}
    try:
        return tomllib.loads(text)
    except RecursionError:
        problems.append(PresetProblem(1, "", "not valid TOML: nested too deeply"))
    except tomllib.TOMLDecodeError as error:
        message, line = _syntax_error(str(error), text)
        problems.append(PresetProblem(line, "", f"not valid TOML: {message}"))
    except ValueError:  # Python refuses to read whole numbers of thousands of digits
        problems.append(PresetProblem(1, "", "not valid TOML: a number is too long"))
    return {}


def _syntax_error(message: str, text: str) -> tuple[str, int]:
    """Find the place, which tomllib says in words: `… (at line 3, column 7)` or `… (at end of document)`."""
    what, _, where = message.rpartition(" (at ")
    line = re.match(r"line (\d+)", where)
    return (what or message), int(line[1]) if line else text.count("\n") + 1


def _read_file(
    data: dict[str, Any], lines: TomlLines, problems: list[PresetProblem], *, faces: bool
) -> PresetSnapshot | None:
    tables = data.get("presets", {})
    if not isinstance(tables, dict):
        tables = {}
    elif len(tables) > MAX_PRESETS:
        problems.append(
            PresetProblem(lines.line_of(("presets",)), "presets", f"at most {MAX_PRESETS} presets, got {len(tables)}")
        )
        return None
    reader = _Reader(lines, problems, faces=faces)
    settings = {key: value for key, value in data.items() if key != "presets" or not isinstance(value, dict)}
    head, _ = reader.check(FileTable, settings, ())
    reader.order = tuple(head.dialects)
    separators = reader.separators(data.get("separators", head.separators))
    presets = {name: preset for name, table in tables.items() if (preset := reader.preset(name, table, separators))}
    if problems:
        return None
    return PresetSnapshot(
        presets,
        separators,
        head.originals,
        tuple(dict.fromkeys(head.protected_extensions)),
        head.originals_first,
        head.adhoc_policy(),
        tuple(head.dialects),
    )


class _Reader:
    """Checks tables and adds what is wrong, with its line, to `problems`."""

    def __init__(self, lines: TomlLines, problems: list[PresetProblem], *, faces: bool) -> None:
        self._lines = lines
        self._problems = problems
        self.faces = faces
        self.order: tuple[str, ...] = DIALECTS  # as the file lists them, once that is known

    def preset(self, name: str, data: object, separators: tuple[str, ...]) -> Preset | None:
        """Read one preset; None if it has problems."""
        before = len(self._problems)
        where: Path = ("presets", name)
        if problem := name_problem(name, separators):
            self._add(where, problem)
        table, wrong = self.check(PresetTable, data, where)
        for conflict in conflicts(table, frozenset(data) if isinstance(data, dict) else frozenset()):
            if not wrong.intersection(conflict.depends):
                self._add((*where, conflict.field), conflict.message)
        if len(self._problems) > before:
            return None
        try:
            preset = compile_preset(name, table, self.order)
        except InvalidCommand as error:
            self._add((*where, "command"), error.message)
            return None
        lacking = None if self.faces else faceless(preset.operations, table.model_fields_set)
        if lacking is not None:
            self._add((*where, lacking.field), lacking.message)
        return preset

    def separators(self, listed: object) -> tuple[str, ...]:
        """The legal separators of a list, whether or not there are others in it: names are checked against them."""
        legal = [item for item in listed if item in tuple(LEGAL_SEPARATORS)] if isinstance(listed, list) else []
        for twice in {item for item in legal if legal.count(item) > 1}:
            self._add(("separators",), f"{shown_value(twice)} is listed twice")
        return tuple(dict.fromkeys(legal))

    def check(self, model: type[T], data: object, where: Path) -> tuple[T, frozenset[str]]:
        """Read a table field by field; return what is sound of it, and the names of the fields that are wrong."""
        try:
            return model.model_validate(data), frozenset()
        except ValidationError as error:
            details = error.errors(include_url=False)
        for detail in details:
            path = _spelled(data, detail["loc"])
            self._add((*where, *path), _message(detail, _known(model, path)))
        wrong = frozenset(str(detail["loc"][0]) for detail in details if detail["loc"])
        sound = {key: value for key, value in data.items() if key not in wrong} if isinstance(data, dict) else {}
        return model.model_validate(sound), wrong

    def _add(self, path: Path, message: str) -> None:
        self._problems.append(PresetProblem(self._lines.line_of(path), _field(path), message))


def _spelled(data: object, location: Path) -> Path:
    """The path of a value as the file spells it.

    pydantic's location has our names of operations (`auto_orient` for `auto-orient`) and the tags of unions in it.
    """
    path: Path = ()
    for position, part in enumerate(location):
        if isinstance(data, dict):
            spelled = next((key for key in (part, str(part).replace("_", "-")) if key in data), None)
            if spelled is None and position < len(location) - 1:
                continue  # a tag
            part, data = spelled or part, data.get(spelled)  # noqa: PLW2901
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
        else:
            continue  # a tag after a value that has no parts
        path = (*path, part)
    return path


def _field(path: Path) -> str:
    """`presets.thumb.operations[0].resize`, with quotes where TOML would want them."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else shown_value(part)
            text += f".{name}" if text else name
    return text


def _known(model: type[Table], path: Path) -> tuple[str, ...]:
    """The keys that the table around `path` could have."""
    if len(path) <= 1:
        return tuple(model.model_fields)
    operation = WRITTEN.get(str(path[-2]).replace("_", "-"))
    return tuple(field.name for field in fields(cast(Any, operation))) if operation else ()


def _message(detail: ErrorDetails, known: tuple[str, ...]) -> str:
    """Say in our words what pydantic found."""
    kind, got = detail["type"], shown_value(detail["input"])
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "extra_forbidden":
        return f"unknown key{_similar(str(detail['loc'][-1]), known)}"
    if kind == "missing":
        return "is required"
    if kind in ("enum", "literal_error"):
        expected = str(detail["ctx"]["expected"])
        words = re.findall(r"'([^']*)'", expected)
        return f"must be {expected.replace(chr(39), chr(34))}, got {got}{_similar(detail['input'], words)}"
    if kind in ("too_short", "too_long"):
        return _count(detail)
    return f"{_EXPECTED[kind]}, got {got}" if kind in _EXPECTED else detail["msg"]


def _count(detail: ErrorDetails) -> str:
    context = detail["ctx"]
    if detail["type"] == "too_short":
        return f"must have at least {context['min_length']}, got {context['actual_length']}"
    return f"must have at most {context['max_length']}, got {context['actual_length']}"


def _similar(word: object, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1) if isinstance(word, str) else []
    return f"; did you mean {shown_value(close[0])}?" if close else ""


def _without_null(schema: Any) -> Any:
    """Take `null` out of a schema: TOML has none, absence is absence."""
    if isinstance(schema, list):
        return [_without_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_null(value) for key, value in schema.items() if not (key == "default" and value is None)}
    choices = [choice for choice in kept.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        return {**choices[0], **kept}
    return {**kept, "anyOf": choices} if choices else kept

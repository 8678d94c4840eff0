"""Where in a TOML text a key or value stands: `tomllib` gives values without lines, and people need lines.

The scanner follows https://toml.io/en/v1.0.0 as far as positions need it: table headers, arrays of tables, bare, quoted
and dotted keys, inline tables, arrays, all kinds of strings. It expects a text that `tomllib` has accepted; on anything
else it stops where it is, and what was found so far still serves.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)+")
_KEY = re.compile(r"""[ \t]*(?:(?P<basic>"(?:[^"\\\n]|\\.)*")|'(?P<literal>[^'\n]*)'|(?P<bare>[A-Za-z0-9_-]+))[ \t]*""")
_STRING = re.compile(r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*\'''', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]+")


class TomlLines:
    """The lines of a TOML text's keys and array elements, by their path."""

    def __init__(self, text: str) -> None:
        self._lines = _Scanner(text).scan()

    def line_of(self, path: Path) -> int:
        """The line, counted from 1, of `path`, or of the nearest thing around it that the text spells out."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1


class _Malformed(Exception):
    """The text is not TOML at this point."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lines: dict[Path, int] = {}
        self._elements: dict[Path, int] = {}  # the index of the last element of each array of tables

    def scan(self) -> dict[Path, int]:
        try:
            table: Path = ()
            while self._skip_blank():
                table = self._header() if self._peek() == "[" else self._assignment(table)
        except (_Malformed, tomllib.TOMLDecodeError, RecursionError):
            pass
        return self._lines

    def _header(self) -> Path:
        """`[a.b]` or `[[a.b]]`: returns the path of the table that begins here."""
        line = self._line()
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        path = self._inside_arrays(self._dotted_key())
        self._take("]]" if array else "]")
        self._note(path, line)
        if array:
            self._elements[path] = self._elements.get(path, -1) + 1
            path = (*path, self._elements[path])
            self._note(path, line)
        return path

    def _inside_arrays(self, keys: list[str]) -> Path:
        """A header names arrays of tables without an index and means their last element."""
        path: Path = ()
        for key in keys:
            if path in self._elements:
                path = (*path, self._elements[path])
            path = (*path, key)
        return path

    def _assignment(self, table: Path) -> Path:
        """`a.b = value`: notes the key and what is inside of the value; returns the table it stands in."""
        line = self._line()
        path = table
        for key in self._dotted_key():
            path = (*path, key)
            self._note(path, line)
        self._take("=")
        self._value(path)
        return table

    def _value(self, path: Path) -> None:
        self._skip_blank()
        opening = self._peek()
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self._match(_STRING if opening in ('"', "'") else _SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self._skip_blank() and self._peek() != "]":
            self._note((*path, index), self._line())
            self._value((*path, index))
            index += 1
        self._take("]")

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._skip_blank() and self._peek() != "}":
            self._assignment(path)
        self._take("}")

    def _dotted_key(self) -> list[str]:
        keys = [self._key()]
        while self._peek() == ".":
            self._at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        match = self._match(_KEY)
        if basic := match["basic"]:
            return str(tomllib.loads(f"key = {basic}")["key"])  # for its escapes
        return match["literal"] or match["bare"] or ""

    def _note(self, path: Path, line: int) -> None:
        self._lines.setdefault(path, line)

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip_blank(self) -> bool:
        """Skip blanks, line ends, commas and comments; say whether anything is left."""
        if blank := _BLANK.match(self._text, self._at):
            self._at = blank.end()
        return self._at < len(self._text)

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise _Malformed
        self._at = match.end()
        return match

    def _take(self, text: str) -> None:
        if not self._text.startswith(text, self._at):
            raise _Malformed
        self._at += len(text)

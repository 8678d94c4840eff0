"""Lines of keys in TOML texts."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.plan.toml_lines import Path, TomlLines

TEXT = '''\
# a comment with [brackets] and "quotes
top = 1
"quoted key" = 2
'literal' = "a # no comment"
"tab\\tbed" = 1
dotted.inner . deep = 3

[table]  # why
long = """
fake = 1
[nope]
""""
after = \'\'\'
x = 1\'\'\'
list = [
    1, 2,
    # between
    { a = [3, 4], "b" = { c = 5 } },
    "x, ] y",
]
[table."with.dot"]
k = 1979-05-27T07:32:00Z
inline = { one = 1, two = { three = [ {}, { four = 4 } ] } }
[[many]]
n = 1
[many.sub]
s = 1
[[many]]
n = 2
[many.sub]
s = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted key",), 3),
        (("literal",), 4),
        (("tab\tbed",), 5),
        (("dotted",), 6),
        (("dotted", "inner", "deep"), 6),
        (("table",), 8),
        (("table", "long"), 9),
        (("table", "after"), 13),
        (("table", "list"), 15),
        (("table", "list", 1), 16),
        (("table", "list", 2, "a", 1), 18),
        (("table", "list", 2, "b", "c"), 18),
        (("table", "list", 3), 19),
        (("table", "with.dot"), 21),
        (("table", "with.dot", "k"), 22),
        (("table", "with.dot", "inline", "two", "three", 1, "four"), 23),
        (("many", 0, "n"), 25),
        (("many", 0, "sub", "s"), 27),
        (("many", 1), 28),
        (("many", 1, "sub"), 30),
        (("many", 1, "sub", "s"), 31),
        (("table", "missing"), 8),
        (("table", "list", 2, "missing"), 18),
        (("nowhere",), 1),
    ],
)
def test_path_is_on_this_line(path: Path, line: int) -> None:
    """Every way to write a key has its line; what is not there has the line of what is around it."""
    tomllib.loads(TEXT)

    assert TomlLines(TEXT).line_of(path) == line


@given(st.text(max_size=60) | st.text("[]{}=.\"'#,\n a1\\", max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    """On anything that is not TOML the scanner stops and still answers."""
    assert TomlLines(text).line_of(("a",)) >= 1


def test_deep_nesting_breaks_nothing() -> None:
    """A text nested deeper than the stack has lines for what comes before."""
    assert TomlLines("a = 1\nb = " + "[" * 50_000).line_of(("a",)) == 1


VALUES = st.recursive(
    st.integers() | st.booleans() | st.text("ab\"'\\\n#[]{}=.,", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.\"' ", max_size=4), inner, max_size=3),
    max_leaves=6,
)


def written(value: Any) -> str:
    """A value as inline TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(key)} = {written(inner)}" for key, inner in value.items()) + "}"
    return str(value)


@given(st.dictionaries(st.text("ab.\"' ", max_size=4), VALUES, max_size=5))
def test_one_key_a_line(table: dict[str, Any]) -> None:
    """Written one key a line, whatever the values, each key is found on its line."""
    text = "".join(f"{written(key)} = {written(value)}\n" for key, value in table.items())
    assert tomllib.loads(text) == table

    lines = TomlLines(text)

    assert [lines.line_of((key,)) for key in table] == list(range(1, len(table) + 1))

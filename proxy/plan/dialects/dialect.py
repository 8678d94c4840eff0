"""What a vendor's dialect is to the rest: a name, the commands it reads, and a compiler.

How to add one:

1. Write `proxy/plan/dialects/<vendor>.py`. Its docstring is the manual of the grammar: the forms, the defaults, and
   each reading that the vendor's documentation leaves open.
2. Compile with `arguments.py` (numbers, base64, colours, names) into the operations of `proxy/plan/operations` and
   an `Output`; raise InvalidCommand with the name, what was expected and what was found. Look at nothing but the
   text: no picture, no store. Where a rule depends on the picture's size, the *operation* knows the rule; if none
   does, add a field or an operation, its `size`, its step and a row in the tests, and keep the defaults such that
   existing canonical texts stay as they are.
3. End with `tidy(operations)`: it rewrites different words for one meaning into one spelling.
4. Put a `Dialect` at the end of the module and list it in `DIALECTS` of `dialects/__init__.py`. A dialect that writes
   its command into the path (Upyun's `!/fw/200`, veImageX's `~tplv-…`) gives a `split` as well.
5. Add `tests/cases/<vendor>.toml`: URL, size of the original, size of the result, for every rule. The test module
   `tests/dialects/test_vectors.py` runs each through HTTP, and `test_grammars.py` throws random text at every compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from proxy.plan.operations import Operation
from proxy.plan.output import Output
from proxy.plan.presets import Preset
from proxy.plan.request import AskAdhoc, AskPreset

MAX_COMMAND_LENGTH = 8192
MAX_STEPS = 10
"""Most commands in one pipeline; the vendors that state a number state this one."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a compiler may know besides the text: the presets that a command can name (`style/<name>`).

    Empty while presets.toml itself is being read: a preset's command cannot name another preset.
    """

    presets: Mapping[str, Preset] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class PathCommand:
    """A raw path cut into a raw key and the command that follows it; `text` is percent-decoded."""

    raw_key: str
    text: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """One vendor's command language."""

    name: str
    compile: Callable[[str, Context], AskAdhoc | AskPreset]
    """From the decoded text of a command to what it asks for; InvalidCommand if it is none."""
    commands: frozenset[str] = frozenset()
    """Commands that stand bare in a query: `imageView2`."""
    parameters: frozenset[str] = frozenset()
    """Parameters of the query whose value is a command: `x-oss-process`. The compiler gets the value."""
    claims: Callable[[str], bool] = lambda _: False
    """Whether a preset's `command = "…"` is in this language, where neither a name nor a parameter tells."""
    split: Callable[[str, tuple[str, ...]], PathCommand | None] = lambda _raw, _separators: None
    """Cut a raw path (without leading slash) whose end is a command, given the enabled separators."""
    write: Callable[[tuple[Operation, ...], Output], str | None] = lambda _operations, _output: None
    """A plan in this language: a command that compiles back to exactly it; None where the language cannot say it."""
    protects_with_401: bool = False
    """Whether this vendor answers 401, not 403, where originals are protected."""

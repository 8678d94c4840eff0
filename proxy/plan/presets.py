"""Presets: named pictures, and the snapshot of presets.toml that the service works with.

Everything here is frozen. A reload makes a new snapshot; a request keeps the one it started with, because the presets
it asked for travel inside of it. How the file is read is `preset_file.py`'s subject; how the current snapshot is held,
`planner.py`'s.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from proxy.plan.adhoc import AdhocPolicy
from proxy.plan.operations import Operation
from proxy.plan.output import Output
from proxy.plan.plan import CachePolicy

LEGAL_SEPARATORS = "~@$^&*()-_/!+={}[]|:;\"'<>,"
"""The characters that can split a key from a preset: those that Qiniu allows
(https://developer.qiniu.com/dora/8264/the-picture-style), which is what a migrated bucket may use."""

MAX_NAME_LENGTH = 64

DIALECTS = ("qiniu", "aliyun", "upyun", "tencent", "huawei", "volcengine")
"""Every dialect by name, in the order that `all` stands for."""

DEFAULT_DIALECTS = ("qiniu", "aliyun", "upyun")


@dataclass(frozen=True, slots=True)
class Preset:
    """A named picture: operations in order, how the result is written, how long it may be kept.

    With `auto_format` the target of `output` is only a placeholder: the plan's target is negotiated.
    """

    name: str
    operations: tuple[Operation, ...] = ()
    output: Output = field(default=Output())
    auto_format: bool = False
    cache: CachePolicy = field(default=CachePolicy())
    eager: bool = False
    """Whether results are rendered as soon as an original appears."""
    command: str = field(default="", compare=False)
    """The vendor's command it was compiled from; Upyun's URLs can change single words of it."""

    def canonical(self) -> str:
        """The one text of this preset, for the digest of a snapshot."""
        operations = "|".join(operation.canonical() for operation in self.operations)
        return f"{self.name}\t{operations}|{self.output.canonical()}\t{self.auto_format}\t{self.cache}\t{self.eager}"


class Originals(StrEnum):
    """Whether originals, and commands about them, are served."""

    OPEN = "open"
    PROTECTED = "protected"
    """Only presets of them are; a valid token opens them."""
    SEALED = "sealed"
    """Only presets of them are, whoever asks."""
    PRIVATE = "private"
    """Nothing is, presets neither, without a valid token."""


@dataclass(frozen=True, slots=True)
class PresetSnapshot:
    """One state of presets.toml. `digest` says whether two snapshots mean the same, whatever their spelling."""

    presets: Mapping[str, Preset] = field(default_factory=dict)
    separators: tuple[str, ...] = ("!",)
    originals: Originals = Originals.OPEN
    protected_extensions: tuple[str, ...] = ()
    """The extensions of keys, in lower case, that protection is about; none: every key."""
    originals_first: bool = False
    """Whether an original with the whole name wins over a preset of a shorter one."""
    adhoc: AdhocPolicy = field(default=AdhocPolicy())
    dialects: tuple[str, ...] = DEFAULT_DIALECTS
    digest: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        for name in self.presets:
            # The grammar of suffixes relies on it: only the right-most separator can delimit a name.
            if problem := name_problem(name, self.separators):
                raise ValueError(problem)
        object.__setattr__(self, "presets", MappingProxyType(dict(self.presets)))
        object.__setattr__(self, "digest", hashlib.sha256(self._canonical().encode()).hexdigest()[:16])

    def guards(self, key: str, *, signed: bool = False) -> bool:
        """Whether the original `key` is not to be served as it is, nor commands about it."""
        match self.originals:
            case Originals.OPEN:
                return False
            case Originals.PRIVATE:
                return not signed
            case Originals.PROTECTED if signed:
                return False
            case _:
                extension = key.rpartition("/")[2].rpartition(".")[2].lower()
                return not self.protected_extensions or extension in self.protected_extensions

    def _canonical(self) -> str:
        head = ["".join(sorted(self.separators)), self.originals.value, self.adhoc.canonical(), ",".join(self.dialects)]
        head += [",".join(sorted(self.protected_extensions)), str(self.originals_first)]
        return "\n".join([*head, *(self.presets[name].canonical() for name in sorted(self.presets))])


def name_problem(name: str, separators: tuple[str, ...]) -> str | None:
    """Say why a preset cannot have this name; None when it can.

    A name is text in a URL: it must survive there (no `/ ? # %`), be typed by people (nothing invisible: bidi and
    zero-width characters make two names look alike), and hold no enabled separator.
    """
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        return f"a preset's name has 1 to {MAX_NAME_LENGTH} characters, got {len(name)}"
    if name in (".", ".."):
        return f"a preset cannot be called {name!r}: URLs with such a segment are refused"
    for character in name:
        if character in separators:
            return f"a preset's name cannot contain the separator {character!r}"
        if character in "/?#%\\":
            return f"a preset's name cannot contain {character!r}"
        if unicodedata.category(character)[0] in "CZ":
            return f"a preset's name cannot contain blanks or invisible characters, got U+{ord(character):04X}"
    return None

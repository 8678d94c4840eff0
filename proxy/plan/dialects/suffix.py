"""The suffix grammar: `key`, separator, preset or box.

    /photos/cat.jpg!thumb       the preset `thumb` of `photos/cat.jpg`
    /photos/cat.jpg!50x50       an ad-hoc box, where presets.toml allows it
    /photos/cat.jpg/thumb       the same with `/` among the separators
    /photos/cat.jpg             the original

Rules:

1. The right-most separator splits, if what follows it (decoded) is a preset or a legal box. Names and boxes never
   contain an enabled separator, so no separator further left could delimit one.
2. A preset's name wins over a box of the same spelling: `[presets.50x50]` is found under any ad-hoc policy.
3. A split has a second reading, in which the whole path is the key: `cat.jpg!thumb` may be an original's real name.
   Preset first, as with Qiniu styles: links are printed with presets far more often than keys end like one.
4. A percent-encoded separator (`%21`) turns the order round. Who escapes it on purpose (`quote()` in Python, which
   escapes everything that is not unreserved) means the key; but some clients escape every `!` they meet, and for them
   the preset is tried when no such original exists. RFC 3986 section 2.2 makes `!` a reserved character: escaped and
   raw need not mean the same.
5. A tail that is no preset and no legal box splits nothing. The reading then carries, as `missing`, what to say if
   that original does not exist: an unknown preset, a refused size, a size that is none.
6. Where an original is protected, its reading disappears, and a path without another is refused.
7. `originals_first = true` turns the order of rule 3 round, too: for sites whose keys end like that.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice

from proxy.errors import AdhocRefused, InvalidCommand, InvalidKey, OriginalsProtected, ProxyError, UnknownPreset
from proxy.plan.adhoc import AdhocBox, looks_like_box
from proxy.plan.keys import check_key, decode_path, shown
from proxy.plan.output import Output
from proxy.plan.presets import PresetSnapshot, name_problem
from proxy.plan.request import AskAdhoc, AskOriginal, AskPreset, ImageRequest


@dataclass(frozen=True, slots=True)
class _Split:
    """A path cut at its right-most separator; `key` and `tail` are decoded."""

    key: str
    separator: str
    tail: str
    encoded: bool


Explanation = Callable[[], ProxyError | None]
Guard = Callable[[str], bool]
"""Whether the original of a key is protected."""


def read_path(raw: str, presets: PresetSnapshot, guards: Guard, *, signed: bool = False) -> tuple[ImageRequest, ...]:
    """Return the readings of a raw path (without its leading slash) in order of preference."""
    whole = decode_path(raw)
    if whole.startswith("-/"):
        check_key(whole)  # raises: with "/" among the separators, the page /-/live would be the preset "live" of "-"
    split = _split(raw, presets.separators, escapes=whole != raw)
    if split is None:
        return (_only_original(check_key(whole), guards, None),)
    asked = _asked(split.tail, presets, signed=signed)
    if asked is None:
        explanation = partial(_explanation, split, presets, signed=signed)
        return (_only_original(check_key(whole), guards, explanation),)
    picture = ImageRequest(split.key, asked)
    try:
        key = check_key(whole)
    except InvalidKey:  # with the suffix it is too long for a key: no original can have that name
        return (picture,)
    if guards(key):
        return (picture,)
    if split.encoded or presets.originals_first:
        return (ImageRequest(key, AskOriginal(), missing=picture.not_found), picture)
    return (picture, ImageRequest(key, AskOriginal()))


def _split(raw: str, separators: tuple[str, ...], *, escapes: bool) -> _Split | None:
    """Cut a raw path at its right-most separator, escaped or not; None if no key would be left.

    Cutting before decoding is safe: separators are ASCII, and no byte of a longer UTF-8 sequence is. `escapes`: whether
    there is anything to decode.
    """
    found = _cut_pattern(separators).fullmatch(raw)
    if found is None:
        return None
    pieces = found.groups()
    try:
        key, separator, tail = map(decode_path, pieces) if escapes else pieces
        return _Split(check_key(key), separator, tail, encoded=pieces[1].startswith("%"))
    except InvalidKey:
        return None


@lru_cache(maxsize=16)
def _cut_pattern(separators: tuple[str, ...]) -> re.Pattern[str]:
    plain = "".join(map(re.escape, separators))
    escaped = "|".join(f"{ord(separator):02x}" for separator in separators)
    return re.compile(rf"(?s)(.*)((?i:%(?:{escaped}))|[{plain}])(.*)")


def _asked(tail: str, presets: PresetSnapshot, *, signed: bool) -> AskPreset | AskAdhoc | None:
    """What a tail asks for; None if it is no preset and no box that may be served."""
    if preset := presets.presets.get(tail):
        return AskPreset(preset)
    if not looks_like_box(tail):
        return None
    try:
        box = AdhocBox.parse(tail)
        presets.adhoc.check(box, signed=signed)
    except (InvalidCommand, AdhocRefused):
        return None
    return AskAdhoc(box.operations, Output(), tail)


def _only_original(key: str, guards: Guard, explanation: Explanation | None) -> ImageRequest:
    """The only reading of a path without split; refused where it is protected."""
    if not guards(key):
        return ImageRequest(key, AskOriginal(), missing=explanation)
    reason = explanation() if explanation else None
    if isinstance(reason, AdhocRefused | InvalidCommand):
        raise reason
    raise OriginalsProtected("originals are protected here: only presets of them are served")


def _explanation(split: _Split, presets: PresetSnapshot, *, signed: bool) -> ProxyError | None:
    """What to say if no original has the whole name; None if the tail does not look like anybody's preset or box."""
    if name_problem(split.tail, presets.separators):
        return None
    whole = shown(f"{split.key}{split.separator}{split.tail}", 200)
    if looks_like_box(split.tail):
        try:
            presets.adhoc.check(AdhocBox.parse(split.tail), signed=signed)
        except (AdhocRefused, InvalidCommand) as refused:
            return refused
    # The search takes time per name, and this may run for every scanner that guesses: 200 names are a millisecond.
    close = difflib.get_close_matches(split.tail, islice(presets.presets, 200), n=1)
    if not close and not _looks_deliberate(split):
        return None
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return UnknownPreset(f"no original {whole}, and {split.tail!r} is not a preset{hint}")


def _looks_deliberate(split: _Split) -> bool:
    """Whether a separator was probably meant as one: `cat.jpg-nope` yes, `img-1234.jpg` no."""
    return split.separator not in "-_/" or "." in split.key.rpartition("/")[2]

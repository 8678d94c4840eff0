"""How a key is written as a path below the root of a local store, and read back.

A segment of a key is a file or directory name, unchanged, so that a directory of pictures is a store as it stands.
Two kinds of segment cannot be:

1. longer than the 255 bytes a file system allows: written as a chain of directories, `<piece>.~more/~<piece>.~more/…/
   ~<piece>`. Unlike a hash this reads back without an index, and keeps a prefix a prefix, so that listing still prunes;
2. ending in `.~more` itself: written as a chain too, so that both directions stay exact.

Names in `HIDDEN` are the store's own and no part of any key, at whatever depth: a results directory may lie inside of a
directory of originals, and its bookkeeping must not become reachable that way.

Case-insensitive and Unicode-normalising file systems (macOS, Windows) merge keys that differ only so; results are
unharmed, because their metadata names what they are, and originals are as their owner's file system shows them.
"""

from __future__ import annotations

from collections.abc import Iterator

TEMPORARY = ".tmp"
METADATA = ".meta"
HIDDEN = frozenset({TEMPORARY, METADATA})
_MORE = ".~more"
_LONGEST = 255
_PIECE = 200


def to_path(key: str) -> str | None:
    """The relative path of `key`; None where a segment is one of the store's own names."""
    segments = key.split("/")
    if not HIDDEN.isdisjoint(segments):
        return None
    if len(key.encode()) <= _LONGEST and _MORE not in key:
        return key
    return "/".join(piece for segment in segments for piece in _pieces(segment))


def to_text(path: str) -> str | None:
    """The key, or beginning of a key, that a relative path of directories and perhaps a file stands for.

    None where it stands for none: hidden, not Unicode, or a chain that this module would not write.
    """
    text: list[str] = []
    chained = False
    for name in path.split("/"):
        if name in HIDDEN or (chained and not name.startswith("~")):
            return None
        bare = name.removeprefix("~") if chained else name
        if chained:
            text[-1] += bare.removesuffix(_MORE)
        else:
            text.append(bare.removesuffix(_MORE))
        chained = name.endswith(_MORE)
    joined = "/".join(text)
    return joined if _is_unicode(joined) else None


def is_open_chain(path: str) -> bool:
    """Whether the last name of `path` is a directory in the middle of a long segment."""
    return path.endswith(_MORE)


def _pieces(segment: str) -> Iterator[str]:
    if len(segment.encode()) <= _LONGEST and not segment.endswith(_MORE):
        yield segment
        return
    first = True
    for piece, last in _cut(segment):
        yield ("" if first else "~") + piece + ("" if last else _MORE)
        first = False


def _cut(segment: str) -> Iterator[tuple[str, bool]]:
    """Cut at characters into pieces of at most `_PIECE` bytes; the last never looks like a chain that goes on."""
    body, tail = (segment[:-1], segment[-1]) if segment.endswith(_MORE) else (segment, "")
    piece, size = "", 0
    for character in body:
        width = len(character.encode())
        if size + width > _PIECE:
            yield piece, False
            piece, size = "", 0
        piece += character
        size += width
    if tail:
        yield piece, False
        piece = tail
    yield piece, True


def _is_unicode(text: str) -> bool:
    # Names that are not UTF-8 reach Python as surrogate escapes; no URL can name them.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

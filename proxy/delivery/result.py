"""A result: the bytes that answer a variant, with all that is needed to answer HTTP without looking anything up."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from proxy.plan.output import MEDIA_TYPES, REPORT_TYPE, Answer, Target
from proxy.plan.plan import Plan

_LONGEST_PLAN = 900
_LONGEST_PRESETS = 300
_LONGEST_NOTES = 200
"""Bytes of these metadata values: S3 allows 2 KB for all names and values together, and a version may have 256."""
KEPT_OF_KEY = 700
"""Bytes of a long key that stay readable in a result's name: purging by a prefix still finds it."""
_LONGEST_NAME = 1024 - 128
"""Bytes of a result's name; leaves room for the prefix of the store, within S3's 1,024 bytes for a key."""
_OURS = frozenset((*MEDIA_TYPES.values(), REPORT_TYPE))
_SHORTENED = re.compile(r"~[0-9a-f]{40}\Z")


@dataclass(frozen=True, slots=True)
class Result:
    """One representation of an original, rendered."""

    body: bytes
    media_type: str
    width: int
    height: int
    frames: int
    version: str
    """Of the original it was made from."""
    modified: float
    """When that original was last modified, in seconds since the epoch."""
    created: float
    """When it was rendered, in seconds since the epoch."""
    seen: float
    """When that original was fetched, in seconds since the epoch: what it says of freshness is as old as this."""
    renderer: str
    """The version of the renderer that made it."""
    etag: str
    notes: tuple[str, ...] = ()
    """For people: what was given up or decided on the way."""

    def outline(self) -> Result:
        """All but the bytes."""
        return replace(self, body=b"")

    def metadata(self, plan: Plan) -> Mapping[str, str]:
        """What is stored beside the bytes: enough to rebuild this value, and to tell people what it is."""
        return {
            "version": self.version,
            "modified": repr(self.modified),
            "created": repr(self.created),
            "seen": repr(self.seen),
            "renderer": self.renderer,
            "width": str(self.width),
            "height": str(self.height),
            "frames": str(self.frames),
            "bytes": str(len(self.body)),
            "crc32": f"{zlib.crc32(self.body):08x}",
            "plan": _ascii(plan.canonical())[:_LONGEST_PLAN],
            "presets": _ascii(",".join(plan.presets))[:_LONGEST_PRESETS],
            **({"notes": _ascii("; ".join(self.notes))[:_LONGEST_NOTES]} if self.notes else {}),
        }

    @classmethod
    def restore(cls, plan: Plan, body: bytes, media_type: str | None, metadata: Mapping[str, str]) -> Result | None:
        """Rebuild a stored result; None when it is not whole or not one of ours, and must be rendered again."""
        try:
            if int(metadata["bytes"]) != len(body) or int(metadata["crc32"], 16) != zlib.crc32(body):
                return None
            if media_type is None or media_type not in _OURS:
                return None
            version, renderer = metadata["version"], metadata["renderer"]
            return cls(
                body=body,
                media_type=media_type,
                width=int(metadata["width"]),
                height=int(metadata["height"]),
                frames=int(metadata["frames"]),
                version=version,
                modified=_time(metadata["modified"]),
                created=_time(metadata["created"]),
                seen=_time(metadata["seen"]),
                renderer=renderer,
                etag=tag_of_made(version, plan, renderer, media_type=media_type, frames=int(metadata["frames"])),
                notes=tuple(note for note in metadata.get("notes", "").split("; ") if note),
            )
        except (KeyError, ValueError):
            return None


def etag_of(version: str, plan: Plan, renderer: str) -> str:
    """The strong entity tag of a representation (RFC 9110 section 8.8.3), quotes included; needs no pixels.

    It follows from what determines the bytes: the original's version, the plan with its target, and the renderer. The
    target stands for the format, because a rule like "plain" always settles on the same format for the same original;
    for the exception see `tag_of_made`.
    """
    return _tag(f"{version}|{plan.fingerprint}|{plan.output.target.value}|{renderer}")


def tag_of_made(version: str, plan: Plan, renderer: str, *, media_type: str, frames: int) -> str:
    """The entity tag of a result that was made: that of its plan, unless its format had to be another.

    A negotiated still that would not have been ready in time has the client's next format (`imaging/targets.py`); it
    must not be taken for the one that the next replica, or the next render, makes.
    """
    named = plan.output.target.known_format
    if plan.output.animated is None or frames > 1 or named is None or media_type == named.media_type:
        return etag_of(version, plan, renderer)
    return _tag(f"{version}|{plan.fingerprint}|{media_type}|{renderer}")


@lru_cache(maxsize=4096)  # every hit asks for it, some twice
def _tag(text: str) -> str:
    return f'"{base64.b32encode(hashlib.sha256(text.encode()).digest()[:15]).decode().lower()}"'


def result_base(key: str) -> str:
    """What the names of all results of `key` begin with, up to the `!`: the key itself, unless it is too long.

    The attack: a key that looks like the shortened name of another would share its results. So such a key is shortened,
    too, and no two keys have the same base.
    """
    encoded = key.encode()
    if len(encoded) + 32 <= _LONGEST_NAME and not _SHORTENED.search(key):
        return key
    digest = hashlib.sha256(encoded).hexdigest()[:40]
    return f"{encoded[:KEPT_OF_KEY].decode(errors='ignore')}~{digest}"


def result_name(plan: Plan) -> str:
    """The key of a result in the store: `<key>!<fingerprint>.<extension>`."""
    # Which of several candidates it is, only the picture can tell.
    target = Target.FAMILIAR if plan.output.candidates else plan.output.target
    return _name(plan.key, plan.fingerprint, plan.output.answer, target)


@lru_cache(maxsize=4096)  # every hit asks for it
def _name(key: str, fingerprint: str, answer: Answer, target: Target) -> str:
    return f"{result_base(key)}!{fingerprint}.{_extension(key, answer, target)}"


_PICTURE_EXTENSIONS = ("jpg", "jpeg", "png", "gif", "webp", "avif", "tif", "tiff", "bmp", "ico", "jxl")


def _extension(key: str, answer: Answer, target: Target) -> str:
    """The target format's extension; where only the picture can tell, the key's own if that cannot lie, else `img`.

    The stored Content-Type is what counts. The name is known before the picture is seen, so that one read finds it.
    """
    if answer is not Answer.PICTURE:
        return "json"
    known = target.known_format
    if known is not None:
        return known.extension
    extension = key.rpartition(".")[2].lower()
    if target is Target.SOURCE and extension in _PICTURE_EXTENSIONS:
        return extension
    if target is Target.PLAIN and extension in ("jpg", "jpeg"):
        return "jpg"
    return "img"


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _time(text: str) -> float:
    seconds = float(text)
    if not math.isfinite(seconds):
        raise ValueError("no time")
    return seconds

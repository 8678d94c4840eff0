"""A result: the bytes that answer a variant, with all that is needed to answer HTTP without looking anything up."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.plan.output import Target
from proxy.plan.plan import Plan

_LONGEST_METADATA = 1000
"""Bytes of one metadata value: S3 allows 2 KB for all of them together."""
_KEPT_OF_KEY = 700
"""Bytes of a long key that stay readable in a result's name: purging by a prefix still finds it."""
_LONGEST_NAME = 1024 - 128
"""Bytes of a result's name; leaves room for the prefix of the store, within S3's 1,024 bytes for a key."""


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
    renderer: str
    """The version of the renderer that made it."""
    etag: str

    def metadata(self, plan: Plan) -> Mapping[str, str]:
        """What is stored beside the bytes: enough to rebuild this value, and to tell people what it is."""
        return {
            "version": self.version,
            "modified": repr(self.modified),
            "created": repr(self.created),
            "renderer": self.renderer,
            "width": str(self.width),
            "height": str(self.height),
            "frames": str(self.frames),
            "bytes": str(len(self.body)),
            "crc32": f"{zlib.crc32(self.body):08x}",
            "plan": plan.canonical()[:_LONGEST_METADATA],
            "presets": ",".join(plan.presets).encode("ascii", "backslashreplace").decode()[:_LONGEST_METADATA],
        }

    @classmethod
    def restore(cls, plan: Plan, body: bytes, media_type: str | None, metadata: Mapping[str, str]) -> Result | None:
        """Rebuild a stored result; None when it is not whole or not one of ours, and must be rendered again."""
        try:
            if int(metadata["bytes"]) != len(body) or int(metadata["crc32"], 16) != zlib.crc32(body) or not media_type:
                return None
            version, renderer = metadata["version"], metadata["renderer"]
            return cls(
                body=body,
                media_type=media_type,
                width=int(metadata["width"]),
                height=int(metadata["height"]),
                frames=int(metadata["frames"]),
                version=version,
                modified=float(metadata["modified"]),
                created=float(metadata["created"]),
                renderer=renderer,
                etag=etag_of(version, plan, renderer),
            )
        except (KeyError, ValueError):
            return None


def etag_of(version: str, plan: Plan, renderer: str) -> str:
    """The strong entity tag of a representation (RFC 9110 section 8.8.3), quotes included; needs no pixels.

    It follows from what determines the bytes: the original's version, the plan with its target, and the renderer. The
    target stands for the format, because a rule like "plain" always settles on the same format for the same original.
    """
    text = f"{version}|{plan.fingerprint}|{plan.output.target.value}|{renderer}"
    return f'"{base64.b32encode(hashlib.sha256(text.encode()).digest()[:15]).decode().lower()}"'


def result_base(key: str) -> str:
    """What the names of all results of `key` begin with, up to the `!`: the key itself, unless it is too long."""
    encoded = key.encode()
    if len(encoded) + 32 <= _LONGEST_NAME:
        return key
    digest = hashlib.sha256(encoded).hexdigest()[:40]
    return f"{encoded[:_KEPT_OF_KEY].decode(errors='ignore')}~{digest}"


def result_name(plan: Plan) -> str:
    """The key of a result in the store: `<key>!<fingerprint>.<extension>`."""
    return f"{result_base(plan.key)}!{plan.fingerprint}.{_extension(plan)}"


_PICTURE_EXTENSIONS = ("jpg", "jpeg", "png", "gif", "webp", "avif", "tif", "tiff", "bmp", "ico")


def _extension(plan: Plan) -> str:
    """The target format's extension; where only the picture can tell, the key's own if that cannot lie, else `img`.

    The stored Content-Type is what counts. The name is known before the picture is seen, so that one read finds it.
    """
    known = plan.output.target.known_format
    if known is not None:
        return known.extension
    extension = plan.key.rpartition(".")[2].lower()
    if plan.output.target is Target.SOURCE and extension in _PICTURE_EXTENSIONS:
        return extension
    if plan.output.target is Target.PLAIN and extension in ("jpg", "jpeg"):
        return "jpg"
    return "img"

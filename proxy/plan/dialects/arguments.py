"""Arguments of vendors' commands: numbers, base64, colours, anchors; and how a wrong one is reported."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from proxy.errors import InvalidCommand
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.keys import shown
from proxy.plan.output import Target

_DIGITS = re.compile(r"[0-9]{1,12}")
_SIGNED = re.compile(r"-?[0-9]{1,12}")
_DECIMAL = re.compile(r"-?(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})")

GRAVITIES: Mapping[str, Gravity] = {
    "northwest": Gravity.NORTHWEST, "north": Gravity.NORTH, "northeast": Gravity.NORTHEAST, "west": Gravity.WEST,
    "center": Gravity.CENTRE, "centre": Gravity.CENTRE, "east": Gravity.EAST, "southwest": Gravity.SOUTHWEST,
    "south": Gravity.SOUTH, "southeast": Gravity.SOUTHEAST,
}  # fmt: skip
"""The nine anchors as Qiniu, Tencent and Upyun spell them, lower case."""

FORMATS: Mapping[str, Target] = {
    "jpg": Target.JPEG, "jpeg": Target.JPEG, "png": Target.PNG, "gif": Target.GIF, "webp": Target.WEBP,
    "avif": Target.AVIF, "bmp": Target.BMP, "tiff": Target.TIFF, "tif": Target.TIFF,
}  # fmt: skip
"""Formats that can be written, as vendors spell them, lower case."""


def read_int(name: str, text: str, low: int, high: int) -> int:
    """Read a whole number within bounds; a minus sign only where the lower bound is negative."""
    if not (_SIGNED if low < 0 else _DIGITS).fullmatch(text) or not low <= int(text) <= high:
        raise InvalidCommand(f"{name} must be a whole number from {low} to {high}, got {shown(text, 20)}")
    return int(text)


def read_decimal(name: str, text: str, low: float, high: float) -> float:
    """Read a decimal number within bounds."""
    if not _DECIMAL.fullmatch(text) or not low <= float(text) <= high:
        raise InvalidCommand(f"{name} must be a number from {low:g} to {high:g}, got {shown(text, 20)}")
    return float(text)


def read_switch(name: str, text: str) -> bool:
    """Read 0 or 1."""
    if text not in ("0", "1"):
        raise InvalidCommand(f"{name} must be 0 or 1, got {shown(text, 20)}")
    return text == "1"


def read_base64(name: str, text: str) -> str:
    """Read text in base64, URL-safe or standard, padded or not (RFC 4648 section 5)."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", plain):
        raise InvalidCommand(f"{name} must be URL-safe base64 of UTF-8 text, got {shown(text, 40)}")
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4)).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise InvalidCommand(f"{name} must be URL-safe base64 of UTF-8 text, got {shown(text, 40)}") from error


def read_gravity(name: str, text: str, known: Mapping[str, Gravity] = GRAVITIES) -> Gravity:
    """Read an anchor, whatever its case."""
    found = known.get(text.lower())
    if found is None:
        raise InvalidCommand(f"{name} must be one of {', '.join(known)}, got {shown(text, 20)}")
    return found


def read_format(name: str, text: str, known: Mapping[str, Target] = FORMATS) -> Target:
    """Read the name of a format, whatever its case."""
    found = known.get(text.lower())
    if found is None:
        raise InvalidCommand(f"{name} must be one of {', '.join(known)}, got {shown(text, 20)}")
    return found


def read_colour64(name: str, text: str) -> Colour:
    """Read a colour in base64: a name or `#rrggbb`."""
    try:
        return Colour.parse(read_base64(name, text))
    except InvalidCommand as error:
        raise InvalidCommand(f"{name} must be base64 of a colour, #rrggbb or a name, got {shown(text, 40)}") from error

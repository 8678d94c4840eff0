"""What of an original's metadata reaches a result: nothing, or who made it and whose it is.

Everything else stays behind, the orientation (consumed) and the place (private) before all. Metadata is dropped by
taking a short list along, not by deleting a long one.
"""

from __future__ import annotations

import re

import pyvips

from proxy.imaging.colours import PROFILE

COPYRIGHT = ("exif-ifd0-Artist", "exif-ifd0-Copyright")
_MAX_LENGTH = 1024
_TAIL = re.compile(r", ASCII, \d+ components, \d+ bytes\)$")


def copyright_of(image: pyvips.Image) -> dict[str, str]:
    """The artist and copyright fields of an image, in the form in which libvips takes them back."""
    found: dict[str, str] = {}
    for name in COPYRIGHT:
        try:
            text = image.get(name) if image.get_typeof(name) else ""
        except UnicodeDecodeError:  # Latin-1 in a field that should be ASCII
            continue
        if value := _value(text)[:_MAX_LENGTH]:
            # libvips drops what it takes for its own tail, from the last " (" on: even where that is a "(c)".
            found[name] = f"{value} (kept)"
    return found


def _value(text: str) -> str:
    """The value in libvips' text for a field, `value (value, ASCII, n components, n bytes)`."""
    twice = _TAIL.sub("", text)
    return twice[: (len(twice) - len(" (")) // 2].strip() if twice != text else ""


def stripped(image: pyvips.Image) -> pyvips.Image:
    """The same pixels without any metadata but the colour profile."""
    image = image.copy()
    # By libvips' own list of raw bytes: pyvips' get_fields() fails on a field name that is not UTF-8.
    ffi, vips = pyvips.ffi, pyvips.vips_lib
    names = vips.vips_image_get_fields(image.pointer)
    at = 0
    while names[at] != ffi.NULL:
        name = ffi.string(names[at])
        if name != PROFILE.encode():
            vips.vips_image_remove(image.pointer, name)  # leaves the header itself alone: width, height, …
        pyvips.glib_lib.g_free(names[at])
        at += 1
    pyvips.glib_lib.g_free(names)
    return image

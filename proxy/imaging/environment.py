"""Forget the front's environment: its variables hold credentials, and a render worker needs none.

The fork server does it once, before its first child. Deleting the variables is not enough: what a process was started
with stays in its memory and in `/proc/<pid>/environ`, so it is overwritten there.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys

KEPT = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|LD_\w+|MALLOC_\w+|GLIBC_TUNABLES|PYTHON\w*|VIRTUAL_ENV|VIPS_\w+|G_\w+"
    r"|OMP_\w+|OPENBLAS_\w+|FONTCONFIG_\w+|XDG_\w+|DYLD_\w+"
)
"""What libraries may need to find their files. Everything else goes, whatever it is called."""


def forget_environment() -> None:
    """Delete every variable that is not known to be harmless."""
    secret = [name for name in os.environ if not KEPT.fullmatch(name)]
    places = _places() if sys.platform == "linux" else []
    for name in secret:
        del os.environ[name]
    for address, entry in places:
        if not KEPT.fullmatch(entry.partition(b"=")[0].decode(errors="replace")):
            ctypes.memset(address, 0, len(entry))


def _places() -> list[tuple[int, bytes]]:
    """Where in memory the variables are that this process was started with."""
    entries = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
    found = []
    at = 0
    while entries and (address := entries[at]):
        found.append((address, ctypes.string_at(address)))
        at += 1
    return found

"""From the text of a URL to what it asks for: the one entrance to all dialects.

`parse` reads a request target as it came over the wire. Each grammar has its own module, whose docstring is its manual:
`suffix` (presets and boxes after a separator), `query` (what follows the `?`). The vendors' command languages have no
compiler in this build; `compile_command` is the place where theirs go, and both doors to them, the URL and
presets.toml, lead through it.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.errors import InvalidCommand, InvalidRequest
from proxy.plan.dialects.query import read_query
from proxy.plan.dialects.suffix import read_path
from proxy.plan.keys import shown
from proxy.plan.presets import PresetSnapshot
from proxy.plan.request import AskAdhoc, ImageRequest


def parse(target: str, presets: PresetSnapshot, *, signed: bool = False) -> tuple[ImageRequest, ...]:
    """Return the readings of a raw request target (`/photos/cat.jpg!thumb?v=3`), the preferred one first.

    There is at least one. The caller uses the first whose original exists, else raises `readings[0].not_found()`.
    `signed` says that the URL carries a valid signature. Raises a ProxyError, without having looked anything up, when
    the target cannot be understood or is not allowed under any reading.
    """
    if not target.startswith("/"):
        raise InvalidRequest(f"a request target must begin with '/', got {shown(target)}")
    path, _, raw_query = target[1:].partition("?")
    query = read_query(raw_query)
    if query.command is not None:
        raise InvalidCommand(f"vendor command {query.command_name!r} is not enabled here")
    return tuple(
        replace(reading, version_token=query.version_token, attname=query.attname)
        for reading in read_path(path, presets, signed=signed)
    )


def compile_command(text: str) -> AskAdhoc:
    """Compile a vendor command (`imageView2/1/w/200/h/200`) into what it asks for; InvalidCommand if it is none."""
    raise InvalidCommand(
        f"vendor commands come with the dialects, which this build does not have, got {shown(text, 40)}"
    )


__all__ = ["compile_command", "parse"]

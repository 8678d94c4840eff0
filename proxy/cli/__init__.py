"""The command line: one module per command."""

from __future__ import annotations

import sys

from proxy.imaging.nursery import open_nursery


def main() -> None:
    """Run the command that the arguments name."""
    if sys.argv[1:2] == ["serve"]:
        # The fork server loads what workers need while this process loads all the rest.
        open_nursery()
    from proxy.cli.commands import app  # noqa: PLC0415 -- half a second of imports

    sys.exit(app(standalone_mode=True))

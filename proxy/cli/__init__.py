"""The command line: one module per command."""

from proxy.cli.main import main

__all__ = ["main"]

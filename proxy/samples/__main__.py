"""`python -m proxy.samples DIRECTORY`: write the samples that are missing and print the names of all."""

from __future__ import annotations

import sys
from pathlib import Path

from proxy.samples import SAMPLES, generate

if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
    sys.exit("usage: python -m proxy.samples DIRECTORY")
generate(Path(sys.argv[1]))
print("\n".join(SAMPLES))  # noqa: T201 -- a command's answer

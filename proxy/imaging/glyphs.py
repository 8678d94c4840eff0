"""Whether texts in Chinese, Japanese and Korean are drawn here, or boxes in their place; found by drawing one.

Pango draws a box with the code point for a character that no font has, and all those boxes are of one size. So a
character is drawn if its ink is of another size than that of a character which no font can have.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from PIL import Image

from proxy.errors import ProxyError
from proxy.imaging.job import RenderJob, RenderLimits, RenderReport
from proxy.plan.geometry import Gravity
from proxy.plan.operations import Text, Trim
from proxy.plan.output import Output, Target

SCRIPTS = {"Chinese": "猫", "Japanese": "ね", "Korean": "고"}
"""A character of each."""
_UNASSIGNED = "\u0378"
_TIMEOUT = 20.0


class Renders(Protocol):
    """What renders: the workers."""

    async def run(self, job: RenderJob, *, timeout: float) -> RenderReport:  # noqa: ASYNC109 -- the workers' own
        """Render one job."""
        ...


async def drawn_scripts(workers: Renders, limits: RenderLimits, directory: Path) -> tuple[str, ...]:
    """The scripts whose characters are drawn here."""
    ground = directory / "ground.png"
    Image.new("L", (200, 200), 255).save(ground)
    box = await _ink(workers, limits, ground, _UNASSIGNED)
    sizes = {script: await _ink(workers, limits, ground, letter) for script, letter in SCRIPTS.items()}
    return tuple(script for script, size in sizes.items() if size not in (None, box))


async def _ink(workers: Renders, limits: RenderLimits, ground: Path, letter: str) -> tuple[int, int] | None:
    """The size of what is drawn for a character; None if nothing can be drawn."""
    text = Text(letter, size_px=96, gravity=Gravity.CENTRE, dx=0, dy=0)
    result = ground.with_name("text.png")
    with contextlib.suppress(ProxyError):
        report = await workers.run(
            RenderJob(str(ground), str(result), (text, Trim()), Output(Target.PNG), limits), timeout=_TIMEOUT
        )
        if report.width < 200:
            return report.width, report.height
    return None


def fonts_with(letter: str) -> tuple[str, ...]:
    """The families that fontconfig lists for a character; none where its program is not installed."""
    program = shutil.which("fc-list")
    if program is None:
        return ()
    command = [program, f":charset={ord(letter):x}", "family"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=True).stdout  # noqa: S603 -- no word of it is a client's
        # A family has a name in each language, the English one first.
        return tuple(sorted({line.partition(",")[0].strip() for line in listed.splitlines() if line.strip()}))
    return ()

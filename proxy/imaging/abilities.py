"""What this installation can read and write: tried with real bytes, through real render workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from proxy.errors import ProxyError
from proxy.imaging import probes
from proxy.imaging.extras import EXTRAS, missing_extra
from proxy.imaging.job import RenderJob, RenderLimits
from proxy.imaging.workers import RenderWorkers
from proxy.plan.operations import Resize
from proxy.plan.output import ColourPolicy, Format, Output, Target

_TIMEOUT = 20.0
_READ_ONLY: Mapping[Format, bytes] = {Format.HEIC: probes.HEIC, Format.SVG: probes.SVG, Format.PDF: probes.PDF}
_MOVING: Mapping[Format, bytes] = {
    Format.GIF: probes.MOVING, Format.PNG: probes.APNG, Format.AVIF: probes.AVIF_SEQUENCE,
}  # fmt: skip
"""Animations to read; a WebP is made of the GIF first."""

_SWITCHES: Mapping[Format, str] = {Format.SVG: "IMGBANG_SVG=true", Format.PDF: "IMGBANG_PDF=true"}


@dataclass(frozen=True, slots=True)
class Ability:
    """What became of one format."""

    format: Format
    reads: bool
    reads_animation: bool
    writes: bool
    writes_animation: bool
    transparency: bool
    """Whether it survives reading, and writing where the format is written."""
    profile_in: bool
    """Whether a colour profile is read."""
    profile_out: bool
    """Whether a colour profile can be written."""
    reason: str = ""
    """Why it is not read."""

    @property
    def needs(self) -> str:
        """What this format comes with, in words; empty where it needs nothing."""
        extra = f"the extra {EXTRAS[self.format][1]}" if self.format in EXTRAS else ""
        return " and ".join(part for part in (extra, _SWITCHES.get(self.format, "")) if part)


HEADINGS = ("format", "read", "moving", "write", "moving", "transparency", "profile", "needs")


def cells(ability: Ability) -> tuple[str, ...]:
    """A row of the table, in words."""

    def yes(answer: bool) -> str:  # noqa: FBT001 -- a question
        return "yes" if answer else "–"

    remark = "; ".join(part for part in (ability.reason, ability.needs) if part)
    profile = ", ".join(way for way, there in (("in", ability.profile_in), ("out", ability.profile_out)) if there)
    return (
        ability.format.value,
        "yes" if ability.reads else "no",
        yes(ability.reads_animation),
        "yes" if ability.writes else "no",
        yes(ability.writes_animation),
        yes(ability.transparency),
        profile or "–",
        remark,
    )


async def try_formats(workers: RenderWorkers, limits: RenderLimits, directory: Path) -> tuple[Ability, ...]:
    """Try every format, with files in an empty directory."""
    trial = _Trial(workers, limits, directory)
    return tuple([await trial.of(known) for known in Format])


class _Trial:
    def __init__(self, workers: RenderWorkers, limits: RenderLimits, directory: Path) -> None:
        self._workers = workers
        self._limits = limits
        self._directory = directory

    async def of(self, known: Format) -> Ability:
        """Try one format: what was written is then read."""
        written, moving = self._place(known, "written"), self._place(known, "moving")
        if known in _READ_ONLY:
            written.write_bytes(_READ_ONLY[known])
            writes = moves = False
        else:
            writes = not await self._fails(probes.STILL, written, Target(known.value))
            moves = writes and not await self._fails(probes.MOVING, moving, Target(known.value))
            moves = moves and await self._frames(moving) == 2
        if known in _MOVING:
            moving.write_bytes(_MOVING[known])
        read = self._place(known, "read")
        there = writes or known in _READ_ONLY
        reason = await self._fails(written, read, Target.PNG) if there else _missing(known)
        return Ability(
            format=known,
            reads=not reason,
            reads_animation=not reason and (moves or known in _MOVING) and await self._plays(known, moving),
            writes=writes,
            writes_animation=moves,
            transparency=not reason and (await self._workers.inspect(str(read), timeout=_TIMEOUT)).has_alpha,
            profile_in=not reason and _holds_profile(read),
            profile_out=writes and _holds_profile(written),
            reason=reason,
        )

    def _place(self, known: Format, what: str) -> Path:
        return self._directory / f"{known.value}-{what}"

    def _stored(self, body: bytes) -> Path:
        path = self._directory / "source"
        path.write_bytes(body)
        return path

    async def _plays(self, known: Format, moving: Path) -> bool:
        """Whether an animation of this format goes on moving."""
        played = self._place(known, "played")
        return not await self._fails(moving, played, Target.WEBP) and await self._frames(played) == 2

    async def _frames(self, path: Path) -> int:
        return (await self._workers.inspect(str(path), timeout=_TIMEOUT)).frames

    async def _fails(self, source: Path | bytes, result: Path, target: Target) -> str:
        """Render to `result`; why it failed, or an empty text."""
        path = source if isinstance(source, Path) else self._stored(source)
        output = Output(target, colour=ColourPolicy.KEEP)
        job = RenderJob(str(path), str(result), (Resize(8, 8),), output, self._limits)
        try:
            report = await self._workers.run(job, timeout=_TIMEOUT)
        except ProxyError as error:
            return error.message
        if report.body is not None:
            result.write_bytes(report.body)  # noqa: ASYNC240 -- a few pixels, with which other renders begin
        return ""


def _missing(known: Format) -> str:
    extra = missing_extra(known)
    return f"needs the extra imgbang[{extra}]" if extra else "cannot be written, so nothing was read"


def _holds_profile(path: Path) -> bool:
    """Whether a file has a colour profile: its signature, or the chunk in which a PNG packs it."""
    body = path.read_bytes()
    return b"acsp" in body or b"iCCP" in body

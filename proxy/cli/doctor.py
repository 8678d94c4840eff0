"""`imgbang doctor`: can this installation do its work here? Tries everything for real."""

from __future__ import annotations

import asyncio
import base64
import platform
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from proxy import __version__, logs
from proxy.cli.settings_flags import settings_or_exit
from proxy.config import Settings, SettingsProblems, store_settings
from proxy.delivery.staging import Staging
from proxy.errors import OriginalNotFound, ProxyError
from proxy.fleet.base import DEAF
from proxy.fleet.connect import has_client
from proxy.imaging.abilities import HEADINGS, Ability, cells, try_formats
from proxy.imaging.fences import NAMES
from proxy.imaging.glyphs import SCRIPTS, drawn_scripts, fonts_with
from proxy.imaging.workers import RenderWorkers
from proxy.machine import usable_cpus, usable_memory
from proxy.metrics import Metrics
from proxy.places import fleet_of, focal_place, hidden_prefix
from proxy.plan.preset_file import PresetProblems, read_presets
from proxy.sections import check_extras, render_limits, worker_fences
from proxy.stores.connect import connect, connect_source

_PROBE_KEY = "imgbang-doctor/probe"
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAGklEQVR42mMUqVjAQApgYiARjGoY1TB0NAAAyBkBTI61fEwAAAAASUVORK5CYII="
)
"""A PNG of 16x16 pixels, to store."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried."""

    subject: str
    good: bool
    text: str


def doctor() -> None:
    """Try settings, presets, stores, staging and render workers, and print what this installation reads and writes."""
    settings = settings_or_exit()
    logs.configure(settings.log_format, "error")  # what was found is said by the table
    console = Console()
    console.print(f"imgbang {__version__}, Python {platform.python_version()}, {platform.machine()}")
    console.print(f"usable: {usable_cpus()} CPUs, {usable_memory() // 2**20} MiB of memory")
    findings, formats = asyncio.run(_examine(settings))
    table = Table("what", "", "found")
    for finding in findings:
        table.add_row(finding.subject, "ok" if finding.good else "PROBLEM", finding.text)
    console.print(table)
    console.print(formats)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


async def _examine(settings: Settings) -> tuple[list[Finding], Table]:
    findings = [finding async for finding in _surroundings(settings)]
    formats = format_table(())
    with tempfile.TemporaryDirectory(prefix="imgbang-doctor-") as directory:
        workers = RenderWorkers(
            1,
            limits=render_limits(settings),
            max_tasks=settings.worker_max_tasks,
            max_memory_bytes=settings.worker_max_memory,
            fences=worker_fences(settings, Path(directory)),
        )
        try:
            await workers.start()
        except ProxyError as error:
            findings.append(Finding("render workers", good=False, text=str(error)))
            return findings, formats
        try:
            findings.append(Finding("render workers", good=True, text=workers.versions))
            findings.append(_fences(workers))
            findings.append(await _fonts(workers, settings, Path(directory)))
            formats = format_table(await try_formats(workers, render_limits(settings), Path(directory)))
        finally:
            await workers.close()
    return findings, formats


def _fences(workers: RenderWorkers) -> Finding:
    missing = [name for name in NAMES if name not in workers.fences]
    text = f"around render workers: {', '.join(workers.fences) or 'none'}"
    # No problem: many kernels and containers cannot, and images are served all the same.
    return Finding("fences", good=True, text=text + (f"; not here: {', '.join(missing)}" if missing else ""))


async def _fonts(workers: RenderWorkers, settings: Settings, directory: Path) -> Finding:
    """Whether marks in Chinese, Japanese and Korean are letters here, and from which font."""
    drawn = await drawn_scripts(workers, render_limits(settings), directory)
    missing = [script for script in SCRIPTS if script not in drawn]
    named = sorted({family for script in drawn for family in fonts_with(SCRIPTS[script])})
    text = f"texts in {', '.join(drawn) or 'none of ' + ', '.join(SCRIPTS)} are drawn"
    if named:
        text += f" ({', '.join(named[:4])})"
    if missing:
        # No problem: many never draw a text. Who does must see boxes here before a customer does.
        text += f"; boxes in place of {', '.join(missing)}: install fonts-noto-cjk or fonts-wqy-microhei"
    return Finding("fonts", good=True, text=text)


async def _surroundings(settings: Settings) -> AsyncIterator[Finding]:
    """Everything but the workers."""
    try:
        hidden_prefix(settings.originals, settings.results)
        hidden_prefix(settings.originals, focal_place(settings), name="IMGBANG_FOCAL_POINTS")
    except SettingsProblems as error:
        yield Finding("settings", good=False, text=str(error))
    try:
        check_extras(settings)
    except SettingsProblems as error:
        yield Finding("extras", good=False, text=str(error))
    token = settings.admin_token
    if token is not None and len(token.get_secret_value()) < 32:
        yield Finding("admin token", good=False, text="shorter than 32 characters: it can be guessed")
    yield _presets(settings)
    yield await _originals(settings)
    if settings.results != "none":
        yield await _results(settings)
    if settings.redis is not None and has_client():
        yield await _redis(settings)
    staging = Staging(settings.staging_dir, limit=settings.staging_bytes)
    try:
        staging.start()
        staging.new_path().write_bytes(_PIXEL)
        yield Finding("staging", good=True, text=str(settings.staging_dir))
    except OSError as error:
        yield Finding("staging", good=False, text=f"{settings.staging_dir}: {error.strerror or error}")
    finally:
        staging.close()


def _presets(settings: Settings) -> Finding:
    if settings.presets.startswith("s3://"):
        return Finding("presets", good=True, text=f"{settings.presets} (read at start)")
    try:
        text = Path(settings.presets).read_text(encoding="utf-8")
        snapshot = read_presets(text, name=settings.presets)
    except (OSError, UnicodeDecodeError) as error:
        return Finding("presets", good=False, text=f"{settings.presets}: {getattr(error, 'strerror', 'not UTF-8')}")
    except PresetProblems as problems:
        return Finding("presets", good=False, text=str(problems))
    return Finding("presets", good=True, text=f"{settings.presets}: {len(snapshot.presets)} presets")


async def _originals(settings: Settings) -> Finding:
    try:
        async with connect_source(settings.originals, store_settings(settings)) as source:
            await source.stat(_PROBE_KEY)
    except OriginalNotFound:
        pass  # it answers, and says rightly that there is no such key
    except ProxyError as error:
        return Finding("originals", good=False, text=_with_cause(settings.originals, error))
    return Finding("originals", good=True, text=settings.originals)


async def _redis(settings: Settings) -> Finding:
    """Greet it, which also tries whether scripts may run and write."""
    fleet = fleet_of(settings, Metrics())
    try:
        await fleet.follow(DEAF)
        if fleet.away:
            return Finding("redis", good=False, text="does not answer in time, or refuses us or our scripts")
    finally:
        await fleet.close()
    return Finding("redis", good=True, text="answers, and runs our scripts")


async def _results(settings: Settings) -> Finding:
    """Write, read, list and delete a small object."""
    try:
        async with connect(settings.results, store_settings(settings)) as store:
            await store.put(_PROBE_KEY, _PIXEL, content_type="image/png", metadata={"probe": "1"})
            async with store.open(_PROBE_KEY) as opened:
                body = b"".join([chunk async for chunk in opened.chunks])
            listed = [key async for key in store.list(_PROBE_KEY)]
            await store.delete(_PROBE_KEY)
    except ProxyError as error:
        return Finding("results", good=False, text=_with_cause(settings.results, error))
    if body != _PIXEL or opened.info.metadata.get("probe") != "1" or listed != [_PROBE_KEY]:
        return Finding("results", good=False, text=f"{settings.results}: what was written is not what is read")
    return Finding("results", good=True, text=f"{settings.results}: written, read, listed, deleted")


def _with_cause(url: str, error: ProxyError) -> str:
    # The operator may see what a client must not.
    return f"{url}: {error}" + (f" ({error.__cause__!r})" if error.__cause__ else "")


def format_table(abilities: tuple[Ability, ...]) -> Table:
    """What was found, for a terminal."""
    table = Table(*HEADINGS, title="formats, tried with real bytes")
    for ability in abilities:
        table.add_row(*cells(ability))
    return table

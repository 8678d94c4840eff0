"""`imgbang check`: say whether the settings and presets.toml are right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.settings_flags import settings_or_exit
from proxy.config import Settings, SettingsProblems
from proxy.places import focal_place, hidden_prefix
from proxy.plan.adhoc import AdhocMode
from proxy.plan.preset_file import PresetProblems, read_presets
from proxy.plan.presets import Originals, PresetSnapshot
from proxy.sections import check_extras
from proxy.setting_values import host_names


def check(
    presets: Annotated[
        Path | None, typer.Argument(help="The file to check; IMGBANG_PRESETS otherwise.", show_default=False)
    ] = None,
) -> None:
    """Check the settings and presets.toml; print every problem with its line and field. Starts nothing."""
    settings = settings_or_exit()
    try:
        hidden_prefix(settings.originals, settings.results)
        hidden_prefix(settings.originals, focal_place(settings), name="IMGBANG_FOCAL_POINTS")
        check_extras(settings)
    except SettingsProblems as error:
        typer.echo(f"imgbang: {error}", err=True)
        raise typer.Exit(1) from None
    if presets is None and settings.presets.startswith("s3://"):
        typer.echo("settings: ok (presets are in a bucket: name a local copy to check it)")
        return
    path = presets or Path(settings.presets)
    try:
        snapshot = read_presets(path.read_text(encoding="utf-8"), name=str(path))
    except OSError as error:
        typer.echo(f"imgbang: {path}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    except UnicodeDecodeError as error:
        typer.echo(f"imgbang: {path}: not UTF-8: byte {error.start}", err=True)
        raise typer.Exit(1) from None
    except PresetProblems as problems:
        typer.echo(str(problems), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"settings: ok\n{path}: ok, {len(snapshot.presets)} presets, digest {snapshot.digest}")
    for warning in warnings(snapshot, settings):
        typer.echo(f"imgbang: warning: {warning}", err=True)


def warnings(snapshot: PresetSnapshot, settings: Settings) -> Iterator[str]:
    """What is right by itself and refuses everybody under these settings."""
    if settings.signing_keys is None and snapshot.originals is Originals.PRIVATE:
        yield 'originals = "private" and no IMGBANG_SIGNING_KEYS: nothing is served, as nobody can sign'
    if settings.signing_keys is None and snapshot.adhoc.mode is AdhocMode.SIGNED:
        yield 'adhoc = "signed" and no IMGBANG_SIGNING_KEYS: no size and no command is served, as nobody can sign'
    allowed = host_names(settings.mark_hosts) | host_names(settings.mark_origins)
    for preset in snapshot.presets.values():
        marks = [mark for operation in preset.operations for mark in operation.overlays if "://" in mark]
        for host in sorted({mark.partition("://")[2].partition("/")[0].lower() for mark in marks} - allowed):
            yield f"presets.{preset.name}: its watermark is on {host}, refused: IMGBANG_MARK_HOSTS does not list it"

"""`imgbang check`: say whether the settings and presets.toml are right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.settings_flags import settings_or_exit
from proxy.config import SettingsProblems
from proxy.plan.preset_file import PresetProblems, read_presets
from proxy.services import check_extras, focal_place, hidden_prefix


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

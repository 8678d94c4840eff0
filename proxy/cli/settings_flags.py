"""Every setting as a flag: made from the settings themselves, so that none can be forgotten."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from proxy.config import PREFIX, Settings, SettingsProblems, read_settings, unknown_variables


def with_settings_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `settings: Settings` a flag for every setting; problems end it with status 2."""

    def run(**arguments: Any) -> None:
        flags = {name: arguments.pop(name) for name in Settings.model_fields}
        command(settings=settings_or_exit(flags), **arguments)

    own = [parameter for parameter in inspect.signature(command).parameters.values() if parameter.name != "settings"]
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(name))
        for name in Settings.model_fields
    ]
    keyword_only = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    run.__signature__ = inspect.Signature([*keyword_only, *flags])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*keyword_only, *flags]}
    run.__doc__ = command.__doc__
    return run


def _annotation(name: str) -> Any:
    field = Settings.model_fields[name]
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=f"{field.description} [{PREFIX}{name.upper()}]",
        show_default=False,
        metavar="VALUE",
        rich_help_panel="Settings",
    )
    return Annotated[str | None, option]


def settings_or_exit(flags: dict[str, Any] | None = None) -> Settings:
    """Read the settings, or print every problem and exit with status 2."""
    for name in unknown_variables():
        typer.echo(f"imgbang: {name} is not a setting; is it a typo?", err=True)
    try:
        settings = read_settings(flags)
    except SettingsProblems as error:
        for problem in error.problems:
            typer.echo(f"imgbang: {problem}", err=True)
        raise typer.Exit(2) from None
    return settings

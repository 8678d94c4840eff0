"""`imgbang`: all commands, and what their exit status means.

0: done. 1: problems were found. 2: the command or the settings are wrong.
"""

from __future__ import annotations

from typing import Annotated

import typer

from proxy import __version__
from proxy.cli import check, doctor, explain, import_styles, purge, serve

app = typer.Typer(
    name="imgbang", help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
app.command("serve")(serve.serve)
app.command("check")(check.check)
app.command("doctor")(doctor.doctor)
app.command("explain")(explain.explain)
app.command("purge")(purge.purge)
app.command("import-styles")(import_styles.import_styles)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"imgbang {__version__}")
        raise typer.Exit


@app.callback()
def common(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda wanted: _version(wanted=wanted), is_eager=True)
    ] = False,
) -> None:
    """An on-demand image proxy: put !thumb after any image URL of your bucket and get the thumbnail."""
    del version

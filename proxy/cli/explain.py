"""`imgbang explain`: what does a URL mean? Reads presets.toml only; nothing is fetched or rendered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.settings_flags import settings_or_exit
from proxy.delivery.result import result_name
from proxy.errors import ProxyError
from proxy.plan.planner import Planner, PresetBook, describe
from proxy.plan.preset_file import PresetProblems, read_presets
from proxy.plan.request import AskOriginal, ImageRequest
from proxy.sections import auto_candidates


def explain(
    url: Annotated[str, typer.Argument(help="A picture's path and query, such as '/photos/cat.jpg!thumb'.")],
    *,
    accept: Annotated[str | None, typer.Option(help="The Accept header to negotiate with.")] = None,
) -> None:
    """Explain how a URL is read: key, preset, canonical plan, fingerprint, the name of its result."""
    settings = settings_or_exit()
    path = Path(settings.presets)
    try:
        book = PresetBook(read_presets(path.read_text(encoding="utf-8"), name=path.name))
    except (OSError, UnicodeDecodeError) as error:
        typer.echo(f"imgbang: {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}", err=True)
        raise typer.Exit(2) from None
    except PresetProblems as problems:
        typer.echo(str(problems), err=True)
        raise typer.Exit(1) from None
    planner = Planner(book, candidates=auto_candidates(settings))
    try:
        readings = planner.read(url if url.startswith("/") else f"/{url}")
        said = [_explain(planner, reading, accept) for reading in readings]
    except ProxyError as error:
        typer.echo(json.dumps({"code": error.code, "error": error.message}, ensure_ascii=False, indent=1))
        raise typer.Exit(1) from None
    typer.echo(json.dumps({"readings": said}, ensure_ascii=False, indent=1))


def _explain(planner: Planner, reading: ImageRequest, accept: str | None) -> dict[str, object]:
    if isinstance(reading.asked, AskOriginal):
        return {"key": reading.key, "asked": "the original"}
    plan = planner.plan(reading, accept)
    return {**describe(plan), "result": result_name(plan)}

"""`imgbang purge`: delete stored results, through a running server or in the results' store itself."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from proxy import logs
from proxy.cli.settings_flags import settings_or_exit
from proxy.config import Settings, SettingsProblems, store_settings
from proxy.delivery.memory import MemoryCache
from proxy.delivery.purge import fingerprints
from proxy.delivery.result import Result
from proxy.delivery.results import Results
from proxy.errors import ProxyError
from proxy.fleet.base import DEAF, Purge
from proxy.metrics import Metrics
from proxy.places import fleet_of
from proxy.plan.preset_file import PresetProblems, read_presets
from proxy.plan.presets import Preset
from proxy.stores.connect import connect


def purge(
    *,
    key: Annotated[list[str] | None, typer.Option(help="An original: every variant of it.", show_default=False)] = None,
    prefix: Annotated[
        list[str] | None, typer.Option(help="Every original whose key begins so.", show_default=False)
    ] = None,
    preset: Annotated[list[str] | None, typer.Option(help="A preset, for every original.", show_default=False)] = None,
    server: Annotated[
        str | None,
        typer.Option(help="A running server, such as http://127.0.0.1:8080: forgets what it holds in memory, too."),
    ] = None,
) -> None:
    """Delete stored results. Each option may be given several times. Running it again is harmless."""
    settings = settings_or_exit()
    logs.configure(settings.log_format, "error")  # what went wrong is said by the answer
    wanted = {"keys": key or [], "prefixes": prefix or [], "presets": preset or []}
    if not any(wanted.values()):
        typer.echo("imgbang: say what to purge: --key, --prefix or --preset", err=True)
        raise typer.Exit(2)
    if server is not None:
        typer.echo(f"purged {_ask(server, settings, wanted)} results")
        return
    try:
        count, told = asyncio.run(_purge(settings, wanted, _presets(settings, wanted["presets"])))
    except (ProxyError, SettingsProblems) as error:
        typer.echo(f"imgbang: {error}", err=True)
        raise typer.Exit(1) from None
    outlook = "servers were told through Redis" if told else "servers forget theirs with --server"
    typer.echo(f"purged {count} results from the store; {outlook}")


def _ask(server: str, settings: Settings, wanted: dict[str, list[str]]) -> int:
    if not server.startswith(("http://", "https://")):
        typer.echo(f"imgbang: --server {server!r}: expected http://host:port", err=True)
        raise typer.Exit(2)
    token = settings.admin_token.get_secret_value() if settings.admin_token else ""
    request = urllib.request.Request(  # noqa: S310 -- the scheme was checked above
        f"{server.rstrip('/')}/-/api/purge",
        data=json.dumps(wanted).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310 -- likewise
            return int(json.load(answer)["purged"])
    except urllib.error.HTTPError as error:
        detail = json.load(error).get("detail", "") if "json" in error.headers.get("Content-Type", "") else ""
        typer.echo(f"imgbang: the server answered {error.code}: {detail}", err=True)
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        typer.echo(f"imgbang: the server cannot be reached: {getattr(error, 'reason', error)}", err=True)
    raise typer.Exit(1)


def _presets(settings: Settings, names: list[str]) -> list[Preset]:
    if not names:
        return []
    path = Path(settings.presets)
    try:
        known = read_presets(path.read_text(encoding="utf-8"), name=path.name).presets
        return [known[name] for name in names]
    except (OSError, PresetProblems) as error:
        typer.echo(f"imgbang: {path}: {getattr(error, 'strerror', None) or error}", err=True)
    except KeyError as error:
        typer.echo(f"imgbang: there is no preset {error}", err=True)
    raise typer.Exit(2)


async def _purge(settings: Settings, wanted: dict[str, list[str]], presets: list[Preset]) -> tuple[int, bool]:
    """How many results were deleted, and whether servers know."""
    plans = frozenset(plan for preset in presets for plan in fingerprints(preset))
    said = Purge(tuple(wanted["keys"]), tuple(wanted["prefixes"]), tuple(sorted(plans)))
    fleet = fleet_of(settings, Metrics())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(fleet.close)
        await fleet.follow(DEAF)
        await fleet.purge(said)
        stack.push_async_callback(fleet.purge, said)  # once more at the end, like every purge
        told = settings.redis is not None and not fleet.away
        if settings.results == "none":
            return 0, told
        store = await stack.enter_async_context(connect(settings.results, store_settings(settings)))
        memory: MemoryCache[Result] = MemoryCache(limit=0, entry_limit=0)
        results = Results(
            store, memory, save_slots=1, save_bytes=0, read_timeout=settings.read_timeout, metrics=Metrics()
        )
        count = 0
        for key in wanted["keys"]:
            count += await results.purge_key(key)
        for prefix in wanted["prefixes"]:
            count += await results.purge_prefix(prefix)
        if plans:
            count += await results.purge_fingerprints(plans)
        return count, told

"""`imgbang serve`: run the proxy until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import Annotated

import typer
import uvloop
from aiohttp import web

from proxy import logs
from proxy.app import before, build_app
from proxy.cli.settings_flags import with_settings_flags
from proxy.config import Settings, SettingsProblems
from proxy.errors import ProxyError
from proxy.machine import spare_collections
from proxy.places import directory_of
from proxy.plan.preset_file import PresetProblems
from proxy.reload import PresetsUnreadable
from proxy.services import Services, services
from proxy.web.server import Runner

_log = logs.get("serve")


@with_settings_flags
def serve(
    settings: Settings,
    *,
    samples: Annotated[
        bool,
        typer.Option("--samples", help="Generate sample pictures into the originals' directory and show them at /."),
    ] = False,
) -> None:
    """Serve images. Every setting is an environment variable and a flag."""
    logs.configure(settings.log_format, settings.log_level)
    keys = _generate_samples(settings) if samples else ()
    try:
        uvloop.run(_serve(settings, keys))
    except SettingsProblems as error:
        _fail(*error.problems, status=2)
    except PresetProblems as error:
        _fail(*str(error).splitlines(), status=2)
    except (PresetsUnreadable, ProxyError) as error:
        _fail(str(error), status=1)
    except OSError as error:
        _fail(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), status=1)


async def _serve(settings: Settings, samples: tuple[str, ...]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with services(settings) as running:
        app = build_app(running, samples=samples)
        runner = Runner(app, shutdown_timeout=settings.shutdown_grace, before=before(app))
        await runner.setup()
        spare_collections()
        try:
            site = web.TCPSite(runner, settings.host, settings.port, backlog=1024)
            await site.start()
            _announce(running, runner)
            await stop.wait()
            running.grace.begin()
            _log.info("stopping", grace_seconds=settings.shutdown_grace)
        finally:
            await runner.cleanup()
    _log.info("stopped")


def _announce(running: Services, runner: Runner) -> None:
    host, port = runner.addresses[0][:2]
    settings = running.settings
    _log.info(
        "serving",
        url=f"http://{host}:{port}/",
        originals=settings.originals,
        results=settings.results,
        presets=len(running.book.current.presets),
        render_workers=settings.render_workers,
        renderer=running.workers.versions,
    )


def _generate_samples(settings: Settings) -> tuple[str, ...]:
    if not settings.originals.startswith("file:"):
        _fail("--samples needs originals in a directory: IMGBANG_ORIGINALS=file://…", status=2)
    directory = directory_of(settings.originals)
    if not directory.exists():
        typer.echo("imgbang: generating sample pictures, some seconds …", err=True)
    # A process of its own: pictures are made with Pillow, which the front process never imports.
    made = subprocess.run(  # noqa: S603 -- our own module, no shell
        [sys.executable, "-X", "utf8", "-m", "proxy.samples", str(directory)],
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    if made.returncode:
        _fail(f"the samples could not be generated: {made.stderr.strip()[-300:]}", status=1)
    return tuple(made.stdout.splitlines())


def _fail(*problems: str, status: int) -> None:
    for problem in problems:
        typer.echo(f"imgbang: {problem}", err=True)
    raise typer.Exit(status)

"""One server for each set of dialects, and the score at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.dialects.cases import write_fixed_sources
from tests.servers.imgbang import ImgbangServer

_scores: dict[str, Counter[str]] = {}


class Servers:
    """Starts a server with the dialects that a file of cases needs, once."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._running: dict[str, ImgbangServer] = {}

    def get(self, presets: str, env: Mapping[str, str] = MappingProxyType({})) -> ImgbangServer:
        """The server that runs with these presets, and more settings."""
        if presets not in self._running:
            server = ImgbangServer(
                self._home / str(len(self._running)),
                {
                    "IMGBANG_ORIGINALS": self.originals.as_uri(),
                    "IMGBANG_RESULTS": "none",
                    "IMGBANG_MARK_HOSTS": "img.example.com",
                    "IMGBANG_NEGATIVE_TTL": "0",
                    "IMGBANG_CACHE_BYTES": "0",
                    **env,
                },
                presets=presets,
            )
            self._running[presets] = server.start()
        return self._running[presets]

    def keep(self, server: ImgbangServer) -> ImgbangServer:
        """Start a server, to be stopped with the others."""
        self._running[str(server.home)] = server.start()
        return server

    @property
    def originals(self) -> Path:
        """The directory of originals, which all share."""
        return self._home / "originals"

    def stop(self) -> None:
        """Stop all of them."""
        for server in self._running.values():
            server.stop()


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """All servers of these tests."""
    running = Servers(tmp_path_factory.mktemp("dialects"))
    running.originals.mkdir()
    write_fixed_sources(running.originals)
    yield running
    running.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Count what passes, by dialect and evidence."""
    outcome = yield
    report = outcome.get_result()
    kinds = {name: value for name, value in item.user_properties if name in ("dialect", "evidence")}
    if report.when == "call" and "dialect" in kinds:
        score = _scores.setdefault(f"{kinds['dialect']} {kinds['evidence']}", Counter())
        score[report.outcome] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the score."""
    if _scores:
        terminalreporter.section("vendor cases that pass")
        for name, score in sorted(_scores.items()):
            terminalreporter.write_line(f"{name:30} {score['passed']} of {score.total()}")

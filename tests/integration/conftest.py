"""One server for the tests that only ask it things; tests that hurt a server start their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pictures import make_samples
from tests.servers.imgbang import ImgbangServer
from tests.servers.rclone import rclone_server  # noqa: F401 - a fixture


@pytest.fixture(name="server", scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImgbangServer]:
    home: Path = tmp_path_factory.mktemp("imgbang")
    server = ImgbangServer(home, env={"IMGBANG_ADMIN_TOKEN": "a token of tests, 32 characters.."})
    make_samples(server.originals)
    with server:
        yield server

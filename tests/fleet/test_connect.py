"""Which fleet there is, and what the command line says of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from proxy.cli.doctor import _redis
from proxy.config import read_settings
from proxy.fleet.base import Alone
from proxy.metrics import Metrics
from proxy.places import fleet_of
from tests.fleet.conftest import Join, Replica
from tests.servers.nginx import free_ports
from tests.servers.redis import RedisServer


def test_alone_by_default() -> None:
    """Without a URL nothing is connected, and nothing of Redis's client is needed."""
    assert isinstance(fleet_of(read_settings(), Metrics()), Alone)


async def test_a_deployment_is_where_results_lie(redis: RedisServer, join: Join, tmp_path: Path) -> None:
    """Replicas with the same results are one fleet, however the directory is spelled."""
    results = tmp_path / "results"
    written = [results.as_uri(), f"{tmp_path.as_uri()}/other/../results/"]
    prefixes = {
        fleet_of(read_settings({"redis": redis.url, "results": result}), Metrics())._prefix  # type: ignore[attr-defined]
        for result in written
    }
    other = fleet_of(read_settings({"redis": redis.url, "results": (tmp_path / "b").as_uri()}), Metrics())

    assert len(prefixes) == 1
    assert isinstance(other, Replica.__bases__[0])
    assert other._prefix not in prefixes


def test_without_the_client() -> None:
    """Where the extra is not installed, everything works without Redis, and asking for it says what to install."""
    program = """
import sys
sys.modules["redis"] = None
import proxy.app
from proxy.config import SettingsProblems, read_settings
from proxy.metrics import Metrics
from proxy.places import fleet_of
from proxy.sections import check_extras
fleet_of(read_settings(), Metrics())
for ask in (check_extras, lambda settings: fleet_of(settings, Metrics())):
    try:
        ask(read_settings({"redis": "redis://:secret@cache"}))
    except SettingsProblems as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert done.stdout == "IMGBANG_REDIS: needs the extra imgbang[redis]\n" * 2, done.stderr


async def test_doctor(redis: RedisServer, tmp_path: Path) -> None:
    """The doctor greets Redis, and calls one that refuses us a problem."""
    with RedisServer(tmp_path / "redis", arguments=("--requirepass", "right")) as server:
        refusing = await _redis(read_settings({"redis": server.url}))
    missing = await _redis(read_settings({"redis": f"redis://127.0.0.1:{free_ports(1)[0]}"}))
    there = await _redis(read_settings({"redis": redis.url}))

    assert (there.good, there.text) == (True, "answers, and runs our scripts")
    assert (refusing.good, missing.good) == (False, False)

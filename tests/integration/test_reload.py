"""Edits of presets.toml on a running server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pictures import coordinates, decoded, encoded
from tests.servers.imgbang import ImgbangServer
from tests.servers.rclone import RcloneServer

pytestmark = pytest.mark.integration


def presets_of(width: int) -> str:
    return f"[presets.thumb]\nwidth = {width}\n"


@pytest.fixture(name="own_server")
def _own_server(tmp_path: Path) -> Iterator[ImgbangServer]:
    server = ImgbangServer(tmp_path, presets=presets_of(50))
    server.originals.mkdir()
    (server.originals / "photo.jpg").write_bytes(encoded(coordinates(400, 300), "JPEG"))
    with server:
        yield server


def width_of(server: ImgbangServer) -> int:
    return decoded(server.get("/photo.jpg!thumb").body).width


def becomes(value: object, read: Callable[[], object], *, seconds: float = 3.0) -> bool:
    """Whether it is read within the time; three times what is promised, for busy machines."""
    deadline = time.monotonic() + seconds
    while read() != value:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True


def test_every_way_to_edit(own_server: ImgbangServer) -> None:
    """A plain save, an atomic rename and a swap of links above the file are all seen; a typo changes nothing."""
    path = own_server.home / "presets.toml"
    assert width_of(own_server) == 50

    path.write_text(presets_of(60), encoding="utf-8")
    assert becomes(60, lambda: width_of(own_server))

    (own_server.home / "new").write_text(presets_of(70), encoding="utf-8")
    (own_server.home / "new").rename(path)
    assert becomes(70, lambda: width_of(own_server))

    path.write_text("[presets.thumb]\nwidth = 80\nfitt = 'cover'\n", encoding="utf-8")
    assert becomes(1.0, lambda: own_server.metric("imgbang_presets_problem"))
    ready = own_server.get("/-/ready")
    assert ready.status == 200
    assert "presets.toml:3: presets.thumb.fitt" in str(ready.json["presets"])
    assert width_of(own_server) == 70

    path.write_text(presets_of(90), encoding="utf-8")
    assert becomes(90, lambda: width_of(own_server))
    assert own_server.metric("imgbang_presets_problem") == 0


def test_a_config_map(tmp_path: Path) -> None:
    """Kubernetes' way: presets.toml is a link into `..data`, a link to a directory that is swapped."""
    mount = tmp_path / "mount"
    for version, width in (("v1", 50), ("v2", 60)):
        (mount / version).mkdir(parents=True)
        (mount / version / "presets.toml").write_text(presets_of(width), encoding="utf-8")
    (mount / "..data").symlink_to("v1")
    (mount / "presets.toml").symlink_to("..data/presets.toml")
    server = ImgbangServer(tmp_path / "home", env={"IMGBANG_PRESETS": str(mount / "presets.toml")})
    server.originals.mkdir(parents=True)
    (server.originals / "photo.jpg").write_bytes(encoded(coordinates(400, 300), "JPEG"))
    with server:
        assert width_of(server) == 50

        (mount / "..next").symlink_to("v2")
        (mount / "..next").replace(mount / "..data")

        assert becomes(60, lambda: width_of(server))


def test_presets_in_a_bucket(tmp_path: Path, rclone_server: RcloneServer) -> None:
    """Presets that all replicas share: an edit in the bucket is seen like one on disk."""
    bucket = rclone_server.make_bucket("shared-presets")
    (bucket / "presets.toml").write_text(presets_of(50), encoding="utf-8")
    environment = {**rclone_server.environment, "IMGBANG_PRESETS": "s3://shared-presets/presets.toml"}
    server = ImgbangServer(tmp_path / "home", env=environment)
    server.originals.mkdir(parents=True)
    (server.originals / "photo.jpg").write_bytes(encoded(coordinates(400, 300), "JPEG"))
    with server:
        assert width_of(server) == 50

        (bucket / "presets.toml").write_text(presets_of(60) + "# longer\n", encoding="utf-8")

        assert becomes(60, lambda: width_of(server), seconds=8.0)  # the test's bucket caches directories for a second

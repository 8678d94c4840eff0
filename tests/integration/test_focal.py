"""`/-/api/focal/<key>` and focal points in metadata: on a directory and on a real S3 server, with two replicas."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from proxy.config import StoreSettings
from proxy.stores.connect import connect
from tests.pictures import decoded, encoded
from tests.servers.imgbang import ImgbangServer, Reply
from tests.servers.rclone import RcloneServer, find_rclone

pytestmark = pytest.mark.integration

TOKEN = "a token of tests, 32 characters.."
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
PRESETS = """
adhoc = "any"
[presets.square]
width = 50
height = 50
fit = "cover"
[presets.clever]
width = 50
height = 50
fit = "cover"
gravity = ["face", "attention"]
[presets.middle]
width = 50
height = 50
fit = "cover"
gravity = "centre"
[presets.unmoved]
width = 50
height = 50
fit = "cover"
focal = false
"""
FOLLOWING = ("square", "clever", "50x50")
STAYING = ("middle", "unmoved")
KEY = "wide ü.jpg"
PATH = "/wide%20%C3%BC.jpg"


def wide() -> bytes:
    """Red on the left, green in the middle, blue on the right: a square of it shows one colour."""
    picture = Image.new("RGB", (600, 100), "red")
    ImageDraw.Draw(picture).rectangle((200, 0, 399, 99), "lime")
    ImageDraw.Draw(picture).rectangle((400, 0, 599, 99), "blue")
    return encoded(picture, "JPEG", quality=95)


def shown(reply: Reply) -> str:
    """Which of the three colours a picture shows."""
    assert reply.status == 200, reply.body
    red, green, blue = decoded(reply.body).convert("RGB").getpixel((25, 25))
    return max((red, "red"), (green, "green"), (blue, "blue"))[1]


def api(server: ImgbangServer, method: str, said: object = None, *, key: str = PATH) -> Reply:
    """Ask the focal API."""
    body = None if said is None else (said if isinstance(said, bytes) else json.dumps(said).encode())
    return server.get(f"/-/api/focal{key}", ADMIN, method=method, body=body)


@pytest.fixture(name="place", params=["directory", "s3"])
def _place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Settings for originals with one wide picture."""
    common = {"IMGBANG_ADMIN_TOKEN": TOKEN, "IMGBANG_FRESHNESS": "1s"}
    if request.param == "directory":
        originals = tmp_path / "shared"
        originals.mkdir()
        (originals / KEY).write_bytes(wide())
        yield {
            **common,
            "IMGBANG_ORIGINALS": f"file://{originals}",
            "IMGBANG_RESULTS": f"file://{tmp_path / 'kept'}",
        }
        return
    server = RcloneServer(find_rclone(), tmp_path / "s3").start()
    (server.make_bucket("photos") / KEY).write_bytes(wide())
    yield {
        **common,
        **server.environment,
        "IMGBANG_ORIGINALS": "s3://photos",
        "IMGBANG_RESULTS": "s3://photos/.results",
    }
    server.stop()


def test_a_point_moves_every_crop_that_may_move(place: dict[str, str], tmp_path: Path) -> None:
    """PUT, GET and DELETE; presets that name an anchor stay; entity tags change and come back; another replica learns."""
    one = ImgbangServer(tmp_path / "one", env=place, presets=PRESETS)
    other = ImgbangServer(tmp_path / "other", env=place, presets=PRESETS)
    with one, other:
        tags = {name: one.get(f"{PATH}!{name}").headers["etag"] for name in (*FOLLOWING, *STAYING)}
        assert shown(other.get(f"{PATH}!square")) == "green"
        assert api(one, "GET").json == {"key": KEY, "focal": None}

        put = api(one, "PUT", {"x": 0.9, "y": 0.5})

        assert (put.status, put.json["focal"]) == (200, {"x": 0.9, "y": 0.5})
        assert put.headers["cache-control"] == "private, no-store"
        for name in FOLLOWING:
            reply = one.get(f"{PATH}!{name}")
            assert (name, shown(reply)) == (name, "blue")
            assert reply.headers["etag"] != tags[name]
        for name in STAYING:
            assert (name, shown(one.get(f"{PATH}!{name}"))) == (name, "green")
        assert api(other, "GET").json["focal"] == {"x": 0.9, "y": 0.5}
        until = time.monotonic() + 20
        while shown(other.get(f"{PATH}!square")) != "blue":
            assert time.monotonic() < until, "the other replica never learnt of the point"
            time.sleep(0.1)

        assert api(one, "PUT", {"box": [0.0, 0.2, 0.2, 0.6]}).status == 200
        assert shown(one.get(f"{PATH}!square")) == "red"
        assert api(one, "DELETE").status == 204
        assert api(one, "DELETE").status == 204
        assert {name: one.get(f"{PATH}!{name}").headers["etag"] for name in tags} == tags


def test_what_another_saves_late_is_not_served(tmp_path: Path) -> None:
    """A replica that has not heard of the new point saves a result of the old one after the purge."""
    (tmp_path / "originals").mkdir()
    (tmp_path / "originals" / "a.jpg").write_bytes(wide())
    kept = tmp_path / "kept"
    env = {
        "IMGBANG_ADMIN_TOKEN": TOKEN,
        "IMGBANG_ORIGINALS": f"file://{tmp_path / 'originals'}",
        "IMGBANG_RESULTS": f"file://{kept}",
    }
    with ImgbangServer(tmp_path / "one", env=env, presets=PRESETS) as one:

        def late_save_of(said: object, method: str = "PUT") -> str:
            one.wait_quiet()
            shutil.copytree(kept, tmp_path / "old", dirs_exist_ok=True)
            assert api(one, method, said, key="/a.jpg").status in (200, 204)
            assert results_in(kept) == []
            shutil.copytree(tmp_path / "old", kept, dirs_exist_ok=True)
            assert results_in(kept) != []
            return shown(one.get("/a.jpg!square"))

        assert shown(one.get("/a.jpg!square")) == "green"
        assert late_save_of({"x": 0.9, "y": 0.5}) == "blue"
        assert late_save_of({"x": 0.1, "y": 0.5}) == "red"
        assert late_save_of(None, "DELETE") == "green"


def results_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*!*")]


def test_points_outlive_the_process_and_are_no_originals(place: dict[str, str], tmp_path: Path) -> None:
    """What was stored is there after a restart, and is not served."""
    server = ImgbangServer(tmp_path / "one", env=place, presets=PRESETS)
    with server:
        api(server, "PUT", {"x": 0.9, "y": 0.5})
        server.wait_quiet()
    with server:
        assert shown(server.get(f"{PATH}!square")) == "blue"
        stored = [path for path in tmp_path.rglob(".imgbang/focal/*.json") if ".meta" not in path.parts]
        assert len(stored) == 1
        assert json.loads(stored[0].read_bytes()) == {"key": KEY, "focal": {"x": 0.9, "y": 0.5}}
        assert server.get(f"/.imgbang/focal/{stored[0].name}").status == 404


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"x": 0.5},
        {"x": 2, "y": 0},
        {"x": -0.1, "y": 0},
        {"x": "0.5", "y": 0.5},
        {"x": True, "y": 0},
        {"x": 0.1, "y": 0.1, "z": 1},
        {"box": [0, 0, 1]},
        {"box": [0.9, 0.9, 0.5, 0.5]},
        [0.1, 0.2],
        b"",
        b"{",
        b'{"x": NaN, "y": 0}',
        b"[" * 1000,
        b" " * 5000,
    ],
    ids=str,
)
def test_what_is_no_point_is_refused(refusing: ImgbangServer, said: object) -> None:
    """400, with a message that says what was expected; nothing is stored."""
    reply = api(refusing, "PUT", said)

    assert (reply.status, reply.json["code"]) == (400, "invalid_request")
    assert api(refusing, "GET").json["focal"] is None


@pytest.fixture(name="refusing", scope="module")
def _refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImgbangServer]:
    server = ImgbangServer(tmp_path_factory.mktemp("focal"), env={"IMGBANG_ADMIN_TOKEN": TOKEN}, presets=PRESETS)
    server.originals.mkdir(parents=True)
    (server.originals / KEY).write_bytes(wide())
    with server:
        yield server


def test_who_may_ask(refusing: ImgbangServer) -> None:
    """Without the token, every method is 401; for an original that is not there, 404; other methods are 405."""
    for method in ("GET", "PUT", "DELETE"):
        assert refusing.get(f"/-/api/focal{PATH}", method=method, body=b"{}").status == 401
    assert api(refusing, "PUT", {"x": 0.5, "y": 0.5}, key="/nothing.jpg").status == 404
    assert api(refusing, "PUT", {"x": 0.5, "y": 0.5}, key="/a/../b.jpg").status == 400
    assert api(refusing, "POST", {"x": 0.5, "y": 0.5}).status == 405


async def test_a_point_in_the_metadata_of_an_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`x-amz-meta-imgbang-focal` is used without the API, and without its switch."""
    server = RcloneServer(find_rclone(), tmp_path / "s3").start()
    server.make_bucket("photos")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    async with connect("s3://photos", StoreSettings()) as store:
        await store.put(KEY, wide(), content_type="image/jpeg", metadata={"imgbang-focal": "0.05,0.5"})
    env = {**server.environment, "IMGBANG_ORIGINALS": "s3://photos", "IMGBANG_RESULTS": "none"}
    try:
        with ImgbangServer(tmp_path / "imgbang", env=env, presets=PRESETS) as imgbang:
            assert shown(imgbang.get(f"{PATH}!square")) == "red"
            assert shown(imgbang.get(f"{PATH}!middle")) == "green"
    finally:
        server.stop()

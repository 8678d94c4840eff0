"""`POST /-/api/purge`: what is purged is rendered again, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.pictures import coordinates, encoded
from tests.servers.imgbang import PRESETS, ImgbangServer

pytestmark = pytest.mark.integration

TOKEN = "a token of tests, 32 characters.."
KEYS = ("a.jpg", "a.jpg2", "b/a.jpg", "b/c.jpg", "bb/a.jpg", "odd!name.jpg")
TARGETS = tuple(f"/{key}!{preset}" for key in KEYS for preset in ("thumb", "small", "50x50", "auto"))
ACCEPTS = ("*/*", "image/webp", "image/avif,image/webp")


@pytest.fixture(name="purged", scope="module")
def _purged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImgbangServer]:
    server = ImgbangServer(tmp_path_factory.mktemp("purged"), env={"IMGBANG_ADMIN_TOKEN": TOKEN}, presets=PRESETS)
    for number, key in enumerate(KEYS):
        path = server.originals / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(coordinates(90 + number, 60), "JPEG"))
    frames = [coordinates(40 + 4 * 0, 30).rotate(20 * turn) for turn in range(3)]
    (server.originals / "moving.gif").write_bytes(
        encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0)
    )
    with server:
        yield server


def ask_all(server: ImgbangServer) -> dict[tuple[str, str], str]:
    """Ask for every variant there is; returns their tags."""
    asked = [(target, accept) for target in (*TARGETS, "/moving.gif!auto") for accept in ACCEPTS]
    tags = {(target, accept): server.get(target, {"Accept": accept}).headers["etag"] for target, accept in asked}
    server.wait_quiet()
    return tags


@pytest.mark.parametrize(
    ("wanted", "renders"),
    [
        # Of a key: thumb (50x50 is the same plan), small, and auto in three formats.
        ({"keys": ["a.jpg"]}, 5),
        ({"keys": ["odd!name.jpg"]}, 5),
        ({"keys": ["never-seen.jpg"]}, 0),
        ({"prefixes": ["b/"]}, 10),
        ({"prefixes": ["b"]}, 15),
        ({"prefixes": ["a.jpg"]}, 10),
        ({"presets": ["thumb"]}, len(KEYS)),
        ({"presets": ["auto"]}, len(KEYS) * 3 + 3),
        ({"keys": ["a.jpg"], "prefixes": ["b/"], "presets": ["small"]}, 15 + 3),
    ],
)
def test_purge(purged: ImgbangServer, wanted: dict[str, list[str]], renders: int) -> None:
    """Exactly the results that were named are deleted, from the store and from memory, and come back the same."""
    before = ask_all(purged)
    rendered = purged.metric("imgbang_renders_total")

    reply = purged.get(
        "/-/api/purge", {"Authorization": f"Bearer {TOKEN}"}, method="POST", body=json.dumps(wanted).encode()
    )

    assert (reply.status, reply.json["purged"]) == (200, renders)
    assert reply.headers["cache-control"] == "private, no-store"
    assert ask_all(purged) == before
    assert purged.metric("imgbang_renders_total") - rendered == renders

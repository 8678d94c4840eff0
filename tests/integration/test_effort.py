"""Encodes that would not be ready in time: what a client gets instead of a 504, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.pictures import decoded, encoded
from tests.servers.imgbang import ImgbangServer

pytestmark = pytest.mark.integration

PRESETS = """
[presets.hard]
format = "avif"
effort = 9
[presets.auto]
format = "auto"
"""
STEPPED = "AVIF at effort 3: effort 9 would not be ready in time"
REPLACED = "JPEG instead of AVIF: that would not be ready in time"
AVIF_ONLY = {"Accept": "image/avif,*/*"}


def grainy(width: int, height: int, coarse: int) -> bytes:
    """A photo with something to do for an encoder everywhere; the coarser its grain, the less."""
    grain = Image.effect_noise((width // coarse, height // coarse), 40).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return encoded(Image.merge("RGB", (grain, grain.rotate(180), grain)), "JPEG", quality=90)


def server_of(home: Path, body: bytes, **settings: str) -> ImgbangServer:
    """A server of one worker whose machine is not known yet, and one original."""
    env = {"IMGBANG_RENDER_WORKERS": "1"} | {f"IMGBANG_{name}": value for name, value in settings.items()}
    server = ImgbangServer(home, env=env, presets=PRESETS)
    server.originals.mkdir(parents=True)
    (server.originals / "grain.jpg").write_bytes(body)
    return server


@pytest.fixture(name="stepping", scope="module")
def _stepping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImgbangServer]:
    """Effort 9 is estimated at 46 s for these pixels, 4 at 4.5, 3 at less than one: half of 6 s may be.

    The grain is coarse enough for 9 to take 12 s and 3 a third of one, so that 3 is ready on a busy machine as well.
    """
    with server_of(tmp_path_factory.mktemp("stepping"), grainy(1280, 970, 24), DEADLINE="6s") as server:
        yield server


@pytest.fixture(name="replacing", scope="module")
def _replacing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImgbangServer]:
    """The least effort is estimated at 1.7 s for these pixels, and half of 3 s at 1.5 at most; a JPEG takes a quarter.

    The time is CPU time here, of which a busy machine gives as much as an idle one.
    """
    home = tmp_path_factory.mktemp("replacing")
    with server_of(home, grainy(5000, 3600, 4), RENDER_CPU="3", DEADLINE="30s", RENDER_TIMEOUT="30s") as server:
        yield server


def test_format_that_was_asked_for_steps_down(stepping: ImgbangServer) -> None:
    """An AVIF in time, and Server-Timing and the explain page say at which effort."""
    reply = stepping.get("/grain.jpg!hard")
    stepping.wait_quiet()
    explained = stepping.get("/-/explain/grain.jpg!hard").json["result"]

    assert (reply.status, reply.headers["content-type"]) == (200, "image/avif")
    assert decoded(reply.body).format == "AVIF"
    assert f'note;desc="{STEPPED}"' in reply.headers["server-timing"]
    assert isinstance(explained, dict)
    assert explained["notes"] == [STEPPED]


def test_negotiated_format_gives_way(replacing: ImgbangServer) -> None:
    """A client whose AVIF would come too late gets what every client reads; so does the next one, from the store."""
    reply = replacing.get("/grain.jpg!auto", AVIF_ONLY)
    replacing.wait_quiet()
    replacing.stop()
    replacing.start()
    again = replacing.get("/grain.jpg!auto", AVIF_ONLY)
    explained = replacing.get("/-/explain/grain.jpg!auto", AVIF_ONLY).json["result"]

    assert (reply.status, reply.headers["content-type"], reply.headers["vary"]) == (200, "image/jpeg", "Accept")
    assert decoded(reply.body).format == "JPEG"
    assert reply.headers["content-disposition"].endswith('.jpg"')
    assert f'note;desc="{REPLACED}"' in reply.headers["server-timing"]
    assert again.headers["cache-status"] == "imgbang; hit; detail=store"
    assert (again.body, again.headers["content-type"]) == (reply.body, "image/jpeg")
    assert isinstance(explained, dict)
    assert (explained["media_type"], explained["notes"]) == ("image/jpeg", [REPLACED])


def test_what_gave_way_is_confirmed_by_its_own_tag(replacing: ImgbangServer) -> None:
    """An entity tag of its own, which is asked for and given again."""
    first = replacing.get("/grain.jpg!auto", AVIF_ONLY)
    confirmed = replacing.get("/grain.jpg!auto", AVIF_ONLY | {"If-None-Match": first.headers["etag"]})

    assert (confirmed.status, confirmed.headers["etag"]) == (304, first.headers["etag"])

"""Real images through a real server."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageChops, ImageStat

from proxy.plan.operations import Crop, Fit, Gravity, Resize, Size
from tests.corpus import corpus_files, require_corpus
from tests.pictures import decoded
from tests.servers.imgbang import ImgbangServer, Reply

pytestmark = pytest.mark.integration
pillow_heif.register_heif_opener()

DEADLINE = 8.0
FOLDERS = ("photos", "broken", "orientation")


@pytest.fixture(name="corpus_server", scope="module")
def _corpus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImgbangServer]:
    require_corpus()
    server = ImgbangServer(
        tmp_path_factory.mktemp("corpus"),
        env={"IMGBANG_DEADLINE": str(DEADLINE), "IMGBANG_RENDER_TIMEOUT": "5", "IMGBANG_FRESHNESS": "1h"},
    )
    for folder in FOLDERS:
        target = server.originals / folder
        target.mkdir(parents=True)
        for path in corpus_files(folder):
            shutil.copy(path, target / path.name)
    with server:
        yield server


def _oriented(path: Path) -> Size:
    """The size of a photo as a person sees it, by an independent reader."""
    with Image.open(path) as image:
        width, height = image.size
        turned = image.getexif().get(0x0112, 1) >= 5
    return Size(height, width) if turned else Size(width, height)


def _expected(preset: str, size: Size) -> Size:
    if preset == "thumb":
        covered = Resize(50, 50, Fit.COVER).size(size)
        return Crop(50, 50, Gravity.CENTRE).size(covered)
    side = 400 if preset == "small" else 1200
    return Resize(side, side).size(size)


def test_every_photo_in_every_preset(corpus_server: ImgbangServer) -> None:
    """Every photo comes in the right size and the right colours; asked again, nothing is fetched or rendered."""
    photos = corpus_files("photos")
    fetched, rendered = (
        corpus_server.metric("imgbang_fetches_total"),
        corpus_server.metric("imgbang_renders_total"),
    )
    for path in photos:
        for preset in ("thumb", "small", "large"):
            reply = corpus_server.get(f"/photos/{path.name}!{preset}")
            assert reply.status == 200, (path.name, preset, reply.body)
            assert decoded(reply.body).size == _pair(_expected(preset, _oriented(path))), (path.name, preset)
    corpus_server.wait_quiet()
    after = (corpus_server.metric("imgbang_fetches_total"), corpus_server.metric("imgbang_renders_total"))

    for path in photos:
        for preset in ("thumb", "small", "large"):
            reply = corpus_server.get(f"/photos/{path.name}!{preset}")
            assert reply.headers["cache-status"].startswith("imgbang; hit"), (path.name, preset)

    assert after[1] - rendered == len(photos) * 3
    assert after[0] - fetched <= len(photos) * 3
    assert (corpus_server.metric("imgbang_fetches_total"), corpus_server.metric("imgbang_renders_total")) == after


def _pair(size: Size) -> tuple[int, int]:
    return size.width, size.height


@pytest.mark.parametrize("kind", ["Landscape", "Portrait"])
def test_orientations_give_one_picture(corpus_server: ImgbangServer, kind: str) -> None:
    """The eight orientations of one scene are the same picture."""
    pictures = [
        decoded(corpus_server.get(f"/orientation/{kind}_{number}.jpg!small").body).convert("RGB")
        for number in range(1, 9)
    ]

    for picture in pictures[1:]:
        assert picture.size == pictures[0].size
        assert sum(ImageStat.Stat(ImageChops.difference(picture, pictures[0])).mean) / 3 < 4


def test_colours_match_an_independent_reader(corpus_server: ImgbangServer) -> None:
    """A plain sRGB photo keeps its colours: within two levels of Pillow's own reduction, on average."""
    for name in ("2.1mp-base-road.jpg", "0.4mp-png-kodim23.png", "11.8mp-prog-snow-mountain.jpg"):
        path = next(path for path in corpus_files("photos") if path.name == name)
        ours = decoded(corpus_server.get(f"/photos/{name}!small").body).convert("RGB")
        with Image.open(path) as image:
            reference = image.convert("RGB").resize(ours.size, Image.Resampling.LANCZOS)
        ours_mean, reference_mean = ImageStat.Stat(ours).mean, ImageStat.Stat(reference).mean
        assert all(abs(a - b) < 2 for a, b in zip(ours_mean, reference_mean, strict=True)), name


def test_broken_files(corpus_server: ImgbangServer) -> None:
    """Each broken file is a clear refusal or a right picture, in time; nothing dies, hangs or is left behind."""
    paths = corpus_files("broken")
    started = time.monotonic()

    def ask(path: Path) -> tuple[str, Reply, float]:
        since = time.monotonic()
        reply = corpus_server.get(f"/broken/{path.name}!small")
        return path.name, reply, time.monotonic() - since

    with ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(ask, paths))

    for name, reply, seconds in replies:
        assert reply.status in (200, 404, 413, 415, 422, 504), (name, reply.status, reply.body[:300])
        assert seconds < DEADLINE + 2, name
        if reply.status == 200:
            assert max(decoded(reply.body).size) <= 400, name
        else:
            assert reply.json["code"]
            assert reply.json["error"] == reply.json["detail"]
            assert "/" not in str(reply.json["detail"]).replace("and/or", ""), (name, reply.json)
    assert corpus_server.get("/photos/2.1mp-base-road.jpg!thumb").status == 200
    corpus_server.wait_quiet()
    assert time.monotonic() - started < 120
    deadline = time.monotonic() + 15
    while corpus_server.staged_files() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert corpus_server.staged_files() == []

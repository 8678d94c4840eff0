"""What a newcomer sees after `make run`: every sample in every preset, as thumbnails that can be clicked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from tests.servers.imgbang import ImgbangServer

pytestmark = pytest.mark.integration

PROJECT = Path(__file__).parents[2]


@pytest.fixture(name="newcomer", scope="module")
def _newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImgbangServer]:
    """`imgbang serve --samples` with the presets that we ship."""
    presets = (PROJECT / "presets.toml").read_text(encoding="utf-8")
    server = ImgbangServer(tmp_path_factory.mktemp("newcomer"), presets=presets, arguments=("--samples",))
    with server:
        yield server


def links(page: str) -> list[str]:
    """Everything that the page links to."""
    return [unescape(target) for target in re.findall(r"href='([^']*)'", page)]


def test_every_sample_in_every_preset(newcomer: ImgbangServer) -> None:
    """The page lists each sample with each preset, and every link and every thumbnail is a picture."""
    reply = newcomer.get("/")
    page = reply.body.decode()
    samples = sorted(path.name for path in newcomer.originals.iterdir())
    presets = len(re.findall(r"(?m)^\[presets\.", newcomer.presets))

    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert len(samples) >= 3
    assert all(name in page for name in samples)
    assert len(links(page)) == len(samples) * (presets + 1)
    images = [unescape(source) for source in re.findall(r"<img [^>]*src='([^']*)'", page)]
    assert set(images) == {target for target in links(page) if "!" in target}
    with ThreadPoolExecutor(4) as threads:
        for target, answer in zip(links(page), threads.map(newcomer.get, links(page)), strict=True):
            assert answer.status == 200, target
            assert answer.headers["content-type"].startswith("image/"), target


def test_samples_are_found_again(newcomer: ImgbangServer) -> None:
    """The second start shows the samples that the first one made, and makes none."""
    page = newcomer.get("/").body
    before = {path: path.stat().st_mtime_ns for path in newcomer.originals.iterdir()}
    newcomer.stop()
    newcomer.start()

    assert newcomer.get("/").body == page
    assert {path: path.stat().st_mtime_ns for path in newcomer.originals.iterdir()} == before


def test_new_presets_appear(newcomer: ImgbangServer) -> None:
    """Reloading the page shows an edit of presets.toml."""
    presets = newcomer.home / "presets.toml"
    presets.write_text(newcomer.presets + '\n[presets."a<b"]\nwidth = 70\n', encoding="utf-8")
    try:
        page = newcomer.wait_for("/", lambda reply: b"a&lt;b" in reply.body).body.decode()
    finally:
        presets.write_text(newcomer.presets, encoding="utf-8")
    newcomer.wait_for("/", lambda reply: b"a&lt;b" not in reply.body)

    assert "a<b" not in page
    assert any(target.endswith("!a%3Cb") for target in links(page))


def test_without_samples(server: ImgbangServer) -> None:
    """Without samples the page says what this is and which presets there are; it lists nobody's pictures."""
    page = server.get("/").body.decode()

    assert "<code>thumb</code>" in page
    assert "photo.jpg" not in page
    assert links(page) == []


def test_samples_need_a_directory(tmp_path: Path) -> None:
    """`--samples` cannot write to somebody's bucket, and says so."""
    done = subprocess.run(
        [sys.executable, "-m", "proxy.cli", "serve", "--samples", "--originals", "s3://bucket"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "--samples needs originals in a directory" in done.stderr


def test_in_a_browser(newcomer: ImgbangServer, tmp_path: Path) -> None:
    """A real browser draws the thumbnails: the screenshot holds the colours of pictures, not blank boxes."""
    chromium = shutil.which("chromium")
    if chromium is None:
        assert os.environ.get("CI") != "true", "Chromium must be installed in CI"
        pytest.skip("chromium is not installed")
    for target in links(newcomer.get("/").body.decode()):
        newcomer.get(target, {"Accept": "image/avif,image/webp,*/*"})
    picture = tmp_path / "page.png"
    subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--hide-scrollbars", f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1280,1000", "--virtual-time-budget=10000", f"--screenshot={picture}",
            f"http://127.0.0.1:{newcomer.port}/",
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip

    shot = Image.open(picture).convert("HSV")
    coloured = shot.getchannel("S").point(lambda level: 255 if level > 60 else 0)
    assert ImageStat.Stat(coloured).mean[0] / 255 > 0.08, "next to nothing on the page has a colour"
    assert shot.crop((1266, 0, 1280, 1000)).getextrema()[1][1] < 10, "something overflows to the right"

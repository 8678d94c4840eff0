"""From URLs to stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config import StoreSettings
from proxy.errors import OriginUnavailable
from proxy.stores.connect import connect, connect_source, file_path
from proxy.stores.http import HttpOrigin
from proxy.stores.local import LocalStore
from proxy.stores.s3 import S3Store
from tests.contracts.store import read

SETTINGS = StoreSettings()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file://./images", "images"),
        ("file://./", "."),
        ("file://.", "."),
        ("file://../images", "../images"),
        ("file:///var/images", "/var/images"),
        ("file://localhost/var/images", "/var/images"),
        ("file:///blank%20in/100%25", "/blank in/100%"),
        ("file:///caf%C3%A9", "/café"),
        ("file:///what%3F/%23", "/what?/#"),
    ],
)
def test_file_urls(url: str, path: str) -> None:
    """`.` and `..` begin a relative path, nothing an absolute one; percent escapes are decoded once."""
    assert file_path(url) == Path(path)


@pytest.mark.parametrize("url", ["file://host/path", "file://images", "file://", "file:///a?b", "file:///a#b"])
def test_file_urls_that_are_refused(url: str) -> None:
    """Another machine's file, or a URL with unescaped delimiters, is a mistake that is told."""
    with pytest.raises(OriginUnavailable):
        file_path(url)


async def test_results_directories_are_made(tmp_path: Path) -> None:
    """A store for results makes its directory, as deep as it takes."""
    async with connect(f"file://{tmp_path}/deep/er", SETTINGS) as store:
        assert isinstance(store, LocalStore)
        await store.put("a", b"x", content_type="image/png", metadata={})
        assert await read(store, "a") == b"x"

    assert (tmp_path / "deep" / "er" / "a").exists()


async def test_originals_directories_are_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing directory of originals is an error that names the URL; nothing is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OriginUnavailable, match=r"file://\./images.*no directory"):
        async with connect_source("file://./images", SETTINGS):
            pass

    assert list(tmp_path.iterdir()) == []


async def test_reading_originals_leaves_no_trace(tmp_path: Path) -> None:
    """A directory of originals is not written to: it may be read-only, and it is somebody else's."""
    (tmp_path / "a").write_bytes(b"x")
    async with connect_source(f"file://{tmp_path}", SETTINGS) as source:
        assert await read(source, "a") == b"x"

    assert [path.name for path in tmp_path.iterdir()] == ["a"]


async def test_a_file_is_no_directory(tmp_path: Path) -> None:
    """A file where a directory must be is an error for originals and results alike."""
    (tmp_path / "file").write_bytes(b"")
    for way in (connect, connect_source):
        with pytest.raises(OriginUnavailable, match="file"):
            async with way(f"file://{tmp_path}/file", SETTINGS):
                pass


async def test_a_linked_root(tmp_path: Path) -> None:
    """The root itself may be a link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    async with connect_source(f"file://{tmp_path}/link", SETTINGS) as source:
        assert await read(source, "a") == b"x"


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "s3://bucket/a/b?c#d%20"])
async def test_buckets(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`s3://` is a bucket, for originals and results."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ACCESSKEY123")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRETKEY123")
    async with connect(url, SETTINGS) as store, connect_source(url, SETTINGS) as source:
        assert isinstance(store, S3Store)
        assert isinstance(source, S3Store)


async def test_origins() -> None:
    """`http://` and `https://` are origins, for originals only."""
    for scheme in ("http", "https"):
        async with connect_source(f"{scheme}://origin.example/path", SETTINGS) as source:
            assert isinstance(source, HttpOrigin)
        with pytest.raises(OriginUnavailable, match="expected"):
            async with connect(f"{scheme}://origin.example/path", SETTINGS):
                pass


@pytest.mark.parametrize("url", ["", "images", "ftp://host/", "none", "s3:bucket", "http:/x"])
async def test_other_urls(url: str) -> None:
    """Anything else is refused with what was expected."""
    for way in (connect, connect_source):
        with pytest.raises(OriginUnavailable, match="expected"):
            async with way(url, SETTINGS):
                pass

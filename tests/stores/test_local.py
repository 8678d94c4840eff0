"""The directory store: the contract, and what only a file system can do to it."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.config import StoreSettings
from proxy.errors import OriginalNotFound, OriginUnavailable
from proxy.stores import file_names
from proxy.stores.local import LocalStore
from tests.contracts.store import KEYS, LARGE, StoreContract, keys, read
from tests.stores.kernel import open_files


@pytest.fixture
async def store(root: Path, settings: StoreSettings) -> AsyncIterator[LocalStore]:
    async with LocalStore(root, settings) as opened:
        yield opened


class TestContract(StoreContract):
    """The contract."""

    @pytest.fixture
    async def store(self, root: Path, settings: StoreSettings) -> AsyncIterator[LocalStore]:
        async with LocalStore(root, settings) as opened:
            yield opened
        assert (root.parent / "canary").read_bytes() == b"secret"
        assert {path.name for path in root.parent.iterdir()} == {"canary", "root"}


async def test_plain_files_are_objects(store: LocalStore, root: Path) -> None:
    """A directory of pictures is a store as it stands, without content types or metadata."""
    (root / "deep").mkdir()
    (root / "deep" / "a.jpg").write_bytes(b"x")

    info = await store.stat("deep/a.jpg")

    assert (info.size, info.content_type, info.metadata) == (1, None, {})
    assert await keys(store, "") == {"deep/a.jpg"}


async def test_long_names_that_a_file_system_holds_stay_plain(store: LocalStore, root: Path) -> None:
    """A file with a name of 255 bytes, put there by its owner, is found under that name."""
    (root / ("n" * 255)).write_bytes(b"x")

    assert await read(store, "n" * 255) == b"x"
    await store.put("m" * 255, b"y", content_type="image/png", metadata={"a": "b"})
    assert (root / ("m" * 255)).read_bytes() == b"y"
    assert (await store.stat("m" * 255)).metadata == {"a": "b"}


async def test_links_inside_are_followed(store: LocalStore, root: Path) -> None:
    """Operators link pictures and directories within the root; that works."""
    (root / "real").mkdir()
    (root / "real" / "a.jpg").write_bytes(b"x")
    (root / "link.jpg").symlink_to(root / "real" / "a.jpg")
    (root / "alias").symlink_to("real")

    assert await read(store, "link.jpg") == b"x"
    assert await read(store, "alias/a.jpg") == b"x"
    assert await keys(store, "") == {"real/a.jpg", "link.jpg"}


@pytest.mark.parametrize("target", ["../canary", "{outside}/canary", "/etc/passwd", "/proc/self/environ", "/dev/zero"])
async def test_links_that_lead_out_are_missing(store: LocalStore, root: Path, target: str) -> None:
    """A link out of the root, relative or absolute, is not there: nothing outside is read or listed."""
    (root / "x").symlink_to(target.format(outside=root.parent))

    with pytest.raises(OriginalNotFound):
        await read(store, "x")
    assert await keys(store, "") == set()


async def test_directory_links_that_lead_out(store: LocalStore, root: Path) -> None:
    """Through a linked directory nothing outside is read, written, deleted or listed."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"secret")
    (root / "out").symlink_to(outside)

    with pytest.raises(OriginalNotFound):
        await read(store, "out/a")
    with pytest.raises(OriginUnavailable):
        await store.put("out/b", b"x", content_type="image/png", metadata={})
    with pytest.raises(OriginUnavailable):
        await store.put("out/new/b", b"x", content_type="image/png", metadata={})
    await store.delete("out/a")

    assert sorted(path.name for path in outside.iterdir()) == ["a"]
    assert await keys(store, "") == set()
    assert await keys(store, "out/") == set()


async def test_directory_swapped_for_a_link_during_reads(store: LocalStore, root: Path) -> None:
    """While somebody swaps a directory for a link out again and again, only the inside is ever read."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"secret")
    (root / "real").mkdir()
    (root / "real" / "a").write_bytes(b"inside")
    stop = threading.Event()

    def swap() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            (root / "next").symlink_to(outside if turn % 2 else root / "real")
            (root / "next").rename(root / "d")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for _ in range(300):
            try:
                seen.add(await read(store, "d/a"))
            except OriginalNotFound:
                seen.add(b"missing")
    finally:
        stop.set()
        thread.join()

    assert seen <= {b"inside", b"missing"}


async def test_a_link_into_the_hidden_trees_is_missing(store: LocalStore, root: Path) -> None:
    """A link is no way to the store's own bookkeeping."""
    await store.put("a", b"x", content_type="image/png", metadata={})
    (root / "x").symlink_to(".meta/a")
    (root / "m").symlink_to(".meta")

    for key in ("x", "m/a"):
        with pytest.raises(OriginalNotFound):
            await read(store, key)
    assert await keys(store, "") == {"a"}


@pytest.mark.parametrize("key", [".meta/a", ".tmp/x", ".meta", "deep/.meta/a", "deep/.tmp/x"])
async def test_hidden_trees_are_no_keys(store: LocalStore, root: Path, key: str) -> None:
    """The store's own files are not reachable, at any depth: results may lie among the originals."""
    await store.put("a", b"x", content_type="image/png", metadata={})
    (root / "deep" / ".meta").mkdir(parents=True)
    (root / "deep" / ".meta" / "a").write_bytes(b"{}")

    with pytest.raises(OriginalNotFound):
        await read(store, key)
    with pytest.raises(OriginUnavailable):
        await store.put(key, b"x", content_type="image/png", metadata={})
    await store.delete(key)
    assert await keys(store, "") == {"a"}
    assert await keys(store, ".") == set()
    assert (root / ".meta" / "a").exists()


async def test_special_files_are_missing_and_do_not_hang(store: LocalStore, root: Path) -> None:
    """A FIFO that nobody writes to, a socket and a device are not found at once."""
    os.mkfifo(root / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(root / "socket"))
    try:
        async with asyncio.timeout(2):
            for key in ("fifo", "socket"):
                with pytest.raises(OriginalNotFound):
                    await read(store, key)
        assert await keys(store, "") == set()
    finally:
        listener.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything: permissions were not proven")
async def test_forbidden_files_are_unavailable(store: LocalStore, root: Path) -> None:
    """A file we may not read is a problem to report, not a missing image."""
    (root / "a").write_bytes(b"x")
    (root / "a").chmod(0)

    with pytest.raises(OriginUnavailable):
        await read(store, "a")


async def test_a_vanished_root_is_an_outage(store: LocalStore, root: Path) -> None:
    """An unmounted volume is unavailable, not a store in which everything is missing."""
    root.rmdir()

    with pytest.raises(OriginUnavailable):
        await store.stat("a")
    with pytest.raises(OriginUnavailable):
        await keys(store, "")
    with pytest.raises(OriginUnavailable):
        await store.put("a", b"x", content_type="image/png", metadata={})


@pytest.mark.parametrize("change", ["truncate", "overwrite"])
async def test_a_file_that_changes_while_it_is_read(store: LocalStore, root: Path, change: str) -> None:
    """A file truncated or overwritten in place under a reader is an error, not half of each."""
    (root / "a").write_bytes(LARGE)
    async with store.open("a") as opened:
        chunks = [await anext(opened.chunks)]
        if change == "truncate":
            os.truncate(root / "a", 1000)
        else:
            await asyncio.sleep(0.02)
            (root / "a").write_bytes(bytes(len(LARGE)))

        with pytest.raises(OriginUnavailable):
            chunks += [chunk async for chunk in opened.chunks]


async def test_a_replaced_file_is_read_to_its_end(store: LocalStore) -> None:
    """Whoever has an object open reads it to its end, also when it is replaced or deleted meanwhile."""
    await store.put("a", LARGE, content_type="image/png", metadata={})
    async with store.open("a") as opened:
        first = await anext(opened.chunks)
        await store.put("a", b"new", content_type="image/png", metadata={})
        await store.delete("a")
        rest = b"".join([chunk async for chunk in opened.chunks])

    assert first + rest == LARGE


async def test_a_body_of_another_write_has_no_metadata(store: LocalStore, root: Path) -> None:
    """A crash between sidecar and body, or a file copied over a result, leaves an object without metadata."""
    await store.put("a", b"old", content_type="image/png", metadata={"number": "1"})
    (root / "a").write_bytes(b"new")

    info = await store.stat("a")

    assert (info.metadata, info.content_type) == ({}, None)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"size": 3}', '{"size": "x", "mtime_ns": 1}'])
async def test_a_broken_sidecar_is_none(store: LocalStore, root: Path, text: str) -> None:
    """What is no sidecar does not hurt the object beside it."""
    await store.put("a", b"old", content_type="image/png", metadata={"number": "1"})
    (root / ".meta" / "a").write_text(text)

    assert (await store.stat("a")).metadata == {}
    assert await read(store, "a") == b"old"


async def test_litter_of_a_crash_does_not_block_writes(store: LocalStore, root: Path) -> None:
    """Sidecars left without a body, where now a file or a directory must be, are cleared away."""
    (root / ".meta" / "a" / "b").mkdir(parents=True)
    (root / ".meta" / "a" / "b" / "c").write_text("{}")
    (root / ".meta" / "d").write_text("{}")

    for key in ("a", "d/e/f"):
        await store.put(key, b"x", content_type="image/png", metadata={"k": key})
        assert (await store.stat(key)).metadata == {"k": key}


async def test_deleting_leaves_no_empty_directories(store: LocalStore, root: Path) -> None:
    """When the last object goes, so do its directories, in the hidden tree too."""
    await store.put("a/b/c", b"x", content_type="image/png", metadata={})
    await store.put("s" * 900 + "/t", b"x", content_type="image/png", metadata={})
    await store.delete("a/b/c")
    await store.delete("s" * 900 + "/t")

    assert [path.name for path in root.iterdir()] == [".tmp"]
    assert [path.name for path in (root / ".tmp").iterdir()] == [".lock"]


async def test_a_file_and_a_directory_cannot_share_a_name(store: LocalStore) -> None:
    """S3 holds `a` beside `a/b`, a file system cannot: the second is refused, whichever it is."""
    await store.put("a", b"x", content_type="image/png", metadata={})
    await store.put("d/e", b"x", content_type="image/png", metadata={})

    for key in ("a/b", "a/b/c", "d"):
        with pytest.raises(OriginUnavailable):
            await store.put(key, b"x", content_type="image/png", metadata={})


async def test_failed_writes_leave_nothing(store: LocalStore, root: Path) -> None:
    """A write that is refused leaves no temporary file and no sidecar."""
    await store.put("a", b"x", content_type="image/png", metadata={})
    with pytest.raises(OriginUnavailable):
        await store.put("a/b", b"x", content_type="image/png", metadata={})

    assert [path.name for path in (root / ".tmp").iterdir()] == [".lock"]
    assert json.loads((root / ".meta" / "a").read_text())["size"] == 1


async def test_stale_temporary_files_are_swept(root: Path, settings: StoreSettings) -> None:
    """At start, what a dead process left an hour ago goes; what is younger may be somebody's."""
    (root / ".tmp").mkdir()
    for name, age in (("old", 4000), ("young", 100)):
        (root / ".tmp" / name).write_bytes(b"x")
        os.utime(root / ".tmp" / name, (time.time() - age, time.time() - age))

    async with LocalStore(root, settings):
        pass

    assert [path.name for path in (root / ".tmp").iterdir()] == ["young"]


async def test_no_descriptors_are_left(store: LocalStore) -> None:
    """After early exits, cancellations and failures not one file is still open."""
    await store.put("a", LARGE, content_type="image/png", metadata={})
    gc.collect()
    before = await open_files()
    for delay in [0.0, 0.0002, 0.0005, 0.001] * 5:
        task = asyncio.create_task(read(store, "a"))
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    for _ in range(10):
        async with store.open("a") as opened:
            await anext(opened.chunks)
        with pytest.raises(OriginalNotFound):
            await store.stat("missing")
    async with asyncio.timeout(5):
        while await open_files() > before:  # the threads of cancelled reads close what they had opened when they end
            await asyncio.sleep(0.01)


async def test_names_that_are_not_unicode_are_passed_over(store: LocalStore, root: Path) -> None:
    """A file name that no URL can say is not listed, and does not break the listing."""
    (root / os.fsdecode(b"bad\xff.jpg")).write_bytes(b"x")
    (root / "good.jpg").write_bytes(b"x")

    assert await keys(store, "") == {"good.jpg"}


@pytest.mark.parametrize(
    "key", [*KEYS, "s" * 1024, "x.~more/y.~more", "~a/~b", "é" * 511, ".~more", "a" * 249 + ".~more"]
)
def test_every_key_reads_back_from_its_path(key: str) -> None:
    """A path says its key exactly, and no name in it is longer than a file system allows."""
    path = file_names.to_path(key)

    assert path is not None
    assert file_names.to_text(path) == key
    assert all(len(name.encode()) <= 255 and name not in ("", ".", "..") for name in path.split("/"))

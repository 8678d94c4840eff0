"""What small folders hold: told without a thread as long as it is true, and never when it is not."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import pytest

from proxy.config import StoreSettings
from proxy.errors import OriginalNotFound
from proxy.stores import files, listed_folders
from proxy.stores.local import LocalStore
from tests.stores.kernel import Kernel, open_files

REST = 0.05
"""Seconds; more than the tick by which the kernel notes times."""


@pytest.fixture(autouse=True)
def _short_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed_folders, "REST", REST)


@pytest.fixture
async def store(root: Path, settings: StoreSettings, kernel: Kernel) -> AsyncIterator[LocalStore]:
    """With a result in a folder that is at rest."""
    async with LocalStore(root, settings, calls=kernel) as opened:
        await put(opened, "d/a.jpg")
        await asyncio.sleep(REST * 2)
        kernel.calls.clear()
        yield opened


async def put(store: LocalStore, key: str) -> None:
    await store.put(key, b"x", content_type="image/jpeg", metadata={})


def is_absent(store: LocalStore, key: str) -> bool:
    """Whether the store knows at once, and without asking for the name, that there is nothing."""
    kernel = store._cached._calls
    assert isinstance(kernel, Kernel)
    asked = kernel.calls["open_body"]
    try:
        store.glance(key)
    except OriginalNotFound:
        return kernel.calls["open_body"] == asked
    return False


async def test_one_look_tells_of_the_whole_folder(store: LocalStore) -> None:
    """Names that nobody has asked for are absent while every thread is held up; what is there is there."""
    assert await store.lacks("d/b.jpg")
    stalled = threading.Event()
    waiting = [store._threads.submit(stalled.wait) for _ in range(8)]
    try:
        for number in range(20):
            assert is_absent(store, f"d/{number}.jpg")
        with pytest.raises(OriginalNotFound):
            await store.stat("d/never.jpg")
        assert store.glance("d/a.jpg") is not None
        assert not is_absent(store, "e/a.jpg")
        assert not is_absent(store, "d/a.jpg/b.jpg")
    finally:
        stalled.set()
    assert all(job.result() for job in waiting)


async def test_of_the_root_too(store: LocalStore, root: Path) -> None:
    """Keys without a folder."""
    (root / "there.jpg").write_bytes(b"x")
    await asyncio.sleep(REST * 2)
    assert await store.lacks("b.jpg")
    assert is_absent(store, "c.jpg")
    assert not is_absent(store, "there.jpg")


def _written(root: Path) -> None:
    (root / "d/new.jpg").write_bytes(b"new")


def _renamed(root: Path) -> None:
    (root / "new").write_bytes(b"new")
    (root / "new").rename(root / "d/new.jpg")


def _linked(root: Path) -> None:
    (root / "d/new.jpg").hardlink_to(root / "d/a.jpg")


def _replaced(root: Path) -> None:
    (root / "d").rename(root / "old")
    (root / "d").mkdir()
    (root / "d/new.jpg").write_bytes(b"new")


def _written_long_ago(root: Path) -> None:
    """As `rsync -t` leaves it: with the time of modification that it had."""
    before = (root / "d").stat()
    (root / "d/new.jpg").write_bytes(b"new")
    os.utime(root / "d", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (root / "d").stat().st_mtime_ns == before.st_mtime_ns


def _moved_below_a_link(root: Path) -> None:
    (root / "d").rename(root / "old")
    (root / "old/new.jpg").write_bytes(b"new")
    (root / "d").symlink_to("old")


def _root_replaced(root: Path) -> None:
    root.rename(root.with_name("old"))
    (root / "d").mkdir(parents=True)
    (root / "d/new.jpg").write_bytes(b"new")


@pytest.mark.parametrize(
    "change", [_written, _renamed, _linked, _replaced, _written_long_ago, _moved_below_a_link, _root_replaced]
)
async def test_what_comes_is_seen(store: LocalStore, root: Path, change: Callable[[Path], None]) -> None:
    """However a file gets there."""
    assert await store.lacks("d/b.jpg")
    assert is_absent(store, "d/new.jpg")
    await asyncio.to_thread(change, root)

    assert not is_absent(store, "d/new.jpg")
    assert not await store.lacks("d/new.jpg")
    assert (await store.stat("d/new.jpg")).size > 0


async def test_in_one_turn_of_the_loop_a_folder_is_compared_once(store: LocalStore, root: Path, kernel: Kernel) -> None:
    """Those who ask together are told together. What comes meanwhile is seen by who asks after that turn."""
    assert await store.lacks("d/b.jpg")
    before = kernel.calls["state_of"], kernel.calls["open_root"]
    for turn in (1, 2):
        for number in range(5):
            assert is_absent(store, f"d/{number}.jpg")
            assert store._cached.lacks(f"d/{number}.jpg")
        assert store.glance("d/a.jpg") is not None
        assert not store._cached.lacks("d/a.jpg")
        assert not store._cached.lacks("d/A.JPG")
        assert (kernel.calls["state_of"], kernel.calls["open_root"]) == (before[0] + turn, before[1] + turn)
        await asyncio.sleep(0)
    assert is_absent(store, "d/new.jpg")
    (root / "d/new.jpg").write_bytes(b"new")
    assert is_absent(store, "d/new.jpg")
    await asyncio.sleep(0)
    assert not is_absent(store, "d/new.jpg")


async def test_what_is_forgotten_in_the_same_turn_is_not_told(store: LocalStore) -> None:
    """A thread that lists other folders forgets the oldest, at any moment."""
    assert await store.lacks("d/b.jpg")
    assert is_absent(store, "d/c.jpg")
    folders = store._cached._folders
    assert folders is not None
    folders._listed.clear()
    assert not is_absent(store, "d/c.jpg")


async def test_nothing_that_was_written_is_ever_lacking(store: LocalStore) -> None:
    """Write by write, with looks at the folder whenever it has come to rest."""
    for number in range(25):
        await store.lacks(f"d/never-{number}.jpg")
        if number % 3:
            await asyncio.sleep(REST * 1.2)
            await store.lacks(f"d/nor-{number}.jpg")
        assert not is_absent(store, "d/a.jpg")
        await put(store, f"d/{number}.jpg")
        for known in range(number + 1):
            assert not is_absent(store, f"d/{known}.jpg")
            assert not await store.lacks(f"d/{known}.jpg")


async def test_what_goes_is_listed_anew(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the folder has come to rest."""
    assert await store.lacks("d/b.jpg")
    await put(store, "d/c.jpg")
    await store.delete("d/c.jpg")
    assert not is_absent(store, "d/c.jpg")  # the list is not true any more
    monkeypatch.setattr(listed_folders, "REST", 60)
    assert await store.lacks("d/e.jpg")
    assert not is_absent(store, "d/f.jpg")  # it changed a moment ago: twice, for all that its times tell
    monkeypatch.setattr(listed_folders, "REST", REST)
    folders = store._cached._folders
    assert folders is not None
    folders._unlisted.clear()
    await asyncio.sleep(REST * 2)
    assert await store.lacks("d/g.jpg")
    assert is_absent(store, "d/h.jpg")


async def test_a_folder_that_changes_while_it_is_listed(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came before the end may be in the list or not: it is not believed."""
    listdir = os.listdir

    def changing(fd: int) -> list[str]:
        names = listdir(fd)
        (root / "d/meanwhile.jpg").write_bytes(b"x")
        return names

    monkeypatch.setattr(os, "listdir", changing)
    assert await store.lacks("d/b.jpg")
    assert not is_absent(store, "d/meanwhile.jpg")


async def test_large_folders_are_not_listed(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """That would take longer than to look."""
    monkeypatch.setattr(listed_folders, "LARGEST", 1)
    assert await store.lacks("d/b.jpg")
    assert not is_absent(store, "d/c.jpg")


async def test_folders_that_fold_case(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says so is not listed; in others, a name that differs by its case alone is for a thread."""
    assert await store.lacks("d/b.jpg")
    assert not is_absent(store, "d/A.JPG")

    monkeypatch.setattr(listed_folders, "_GET_FLAGS", listed_folders._GET_FLAGS + 1)  # no such call: ENOTTY
    await asyncio.sleep(REST * 2)
    await put(store, "e/a.jpg")
    await asyncio.sleep(REST * 2)
    assert await store.lacks("e/b.jpg")
    assert not is_absent(store, "e/c.jpg")


async def test_flags_of_a_folder_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call is the right one: it tells the flag that every ext4 of today has for directories, or none."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert not listed_folders._folds_case(fd)
        monkeypatch.setattr(listed_folders, "_FOLDS_CASE", 0x80000)  # FS_EXTENT_FL
        folds = listed_folders._folds_case(fd)
    except OSError as error:
        pytest.skip(f"a file system without flags ({error.strerror}): reading them was not proven")
    finally:
        os.close(fd)
    if not folds:
        pytest.skip("not ext4 with extents: that flags are read was not proven")


async def test_only_so_many_are_remembered(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten, also of those that could not be listed."""
    monkeypatch.setattr(listed_folders, "MOST", 3)
    for number in range(6):
        await put(store, f"{number}/a.jpg")
    await asyncio.sleep(REST * 2)
    for number in range(6):
        assert await store.lacks(f"{number}/b.jpg")
        assert await store.lacks(f"none-{number}/b.jpg")

    assert [is_absent(store, f"{number}/c.jpg") for number in range(6)] == [False] * 3 + [True] * 3
    folders = store._cached._folders
    assert folders is not None
    assert (len(folders._listed), len(folders._unlisted)) == (3, 3)


@pytest.mark.parametrize("call", ["open_root", "mount_of", "open_folder", "state_of"])
@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOENT, errno.EACCES, errno.EMFILE, errno.ENOSYS])
async def test_errors_tell_nothing(store: LocalStore, kernel: Kernel, call: str, code: int) -> None:
    """What fails is for a thread, and no descriptor is left."""
    assert await store.lacks("d/b.jpg")
    before = await open_files()
    kernel.errors = {call: code}
    assert not is_absent(store, "d/c.jpg")
    assert not store._cached.lacks("d/c.jpg")
    assert await store.lacks("d/c.jpg")
    assert await open_files() == before


async def test_where_memory_cannot_be_read_nothing_is_listed(
    root: Path, settings: StoreSettings, kernel: Kernel
) -> None:
    """On other file systems names are not what they seem."""
    kernel.fit = False
    async with LocalStore(root, settings, calls=kernel) as store:
        await put(store, "d/a.jpg")
        await asyncio.sleep(REST * 2)
        assert await store.lacks("d/b.jpg")
        assert not is_absent(store, "d/c.jpg")
    assert not kernel.calls["state_of"]


async def test_who_waits_is_told_by_the_list(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked for names in the folder meanwhile needs no look of their own; others get one."""
    looks, may_look, look = list[list[str]](), threading.Event(), files.lacking

    def lacking(root: Path, paths: Iterable[str]) -> set[str]:
        looks.append(sorted(paths))
        may_look.wait(10)
        return look(root, paths)

    monkeypatch.setattr(files, "lacking", lacking)
    first = asyncio.create_task(store.lacks("d/0.jpg"))
    while not looks:
        await asyncio.sleep(0)
    others = [asyncio.create_task(store.lacks(f"d/{number}.jpg")) for number in range(1, 9)]
    there, elsewhere = (asyncio.create_task(store.lacks(key)) for key in ("d/a.jpg", "e/a.jpg"))
    await asyncio.sleep(0)
    may_look.set()

    assert await first
    assert all(await asyncio.gather(*others))
    assert not await there
    assert await elsewhere
    assert looks == [["d/0.jpg"], ["d/a.jpg", "e/a.jpg"]]

"""A directory's originals are copied by the kernel, and nothing else than reading them would give comes out."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy.config import StoreSettings
from proxy.errors import OriginalChanged, OriginUnavailable
from proxy.stores import files
from proxy.stores.base import ByteRange
from proxy.stores.breaker import GuardedSource
from proxy.stores.files import COPIED
from proxy.stores.local import LocalStore
from tests.stores.kernel import open_files

BODY = os.urandom(1 << 20) * 9
"""More than is copied at once."""


@pytest.fixture
async def store(tmp_path: Path, settings: StoreSettings) -> AsyncIterator[LocalStore]:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a").write_bytes(BODY)
    async with LocalStore(tmp_path / "root", settings) as opened:
        yield opened


async def copied(store: LocalStore | GuardedSource, path: Path, span: ByteRange | None = None) -> bytes:
    """What comes of a copy of `a`, behind what is in the file already."""
    with path.open("wb", buffering=0) as file:
        file.write(b"before ")
        async with store.open("a", span=span) as opened:
            assert opened.copy_to is not None
            await opened.copy_to(file.fileno())
    return path.read_bytes()


def refusing(number: int) -> Callable[..., int]:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, "not here")

    return refuse


@pytest.mark.parametrize("failure", [None, errno.EXDEV, errno.ENOSYS], ids=str)
async def test_all_bytes(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: int | None
) -> None:
    """The bytes, whatever the system can do."""
    assert len(BODY) > COPIED
    if failure is not None:
        monkeypatch.setattr(os, "copy_file_range", refusing(failure), raising=False)

    assert await copied(store, tmp_path / "copy") == b"before " + BODY
    assert await copied(store, tmp_path / "copy", ByteRange(5, 9)) == b"before " + BODY[5:10]


async def test_overwritten_meanwhile(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An original that is written over while it is copied is half of each: an outage, which the breaker counts."""
    guarded = GuardedSource(store)
    real = files._copy

    def and_write(source: int, target: int, count: int, offset: int) -> int:
        if offset:
            with (tmp_path / "root" / "a").open("r+b") as file:
                file.write(b"new")
        return real(source, target, count, offset)

    monkeypatch.setattr(files, "_copy", and_write)
    for _ in range(5):
        with pytest.raises(OriginalChanged):
            await copied(guarded, tmp_path / "copy")
    assert guarded.state != "closed"


async def test_truncated_meanwhile(store: LocalStore, tmp_path: Path) -> None:
    """One that becomes shorter does not end as a whole one."""
    path = tmp_path / "copy"
    with path.open("wb") as file:
        async with store.open("a") as opened:
            os.truncate(tmp_path / "root" / "a", 100)
            assert opened.copy_to is not None
            with pytest.raises(OriginUnavailable):
                await opened.copy_to(file.fileno())


async def test_a_full_disk_is_not_the_originals(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the copy finds no room, the store has not failed."""
    guarded = GuardedSource(store)
    monkeypatch.setattr(files, "_copy", refusing(errno.ENOSPC))
    for _ in range(10):
        with pytest.raises(OSError, match="not here"):
            await copied(guarded, tmp_path / "copy")
    assert guarded.state == "closed"


async def test_who_leaves_closes_what_it_will(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that is given up writes into its own file only, though its number may be another's by then."""
    begun, go = threading.Event(), threading.Event()
    real, written = files._copy, []

    def held(source: int, target: int, count: int, offset: int) -> int:
        begun.set()
        go.wait(10)
        written.append(os.fstat(target).st_ino)
        return real(source, target, count, offset)

    monkeypatch.setattr(files, "_copy", held)
    mine = tmp_path / "mine"
    before = await open_files()
    with mine.open("wb") as file:
        async with store.open("a") as opened:
            assert opened.copy_to is not None
            copying = asyncio.ensure_future(opened.copy_to(file.fileno()))
            await asyncio.to_thread(begun.wait, 10)
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)
    others = [(tmp_path / f"other-{number}").open("wb") for number in range(8)]
    go.set()
    while not written or await open_files() > before + len(others):
        await asyncio.sleep(0.001)
    for other in others:
        other.close()

    assert written == [mine.stat().st_ino]
    assert {(tmp_path / f"other-{number}").stat().st_size for number in range(8)} == {0}

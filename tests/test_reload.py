"""Edits of presets.toml: every valid one in use within a second, an invalid one changes nothing."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from proxy.errors import OriginalNotFound, OriginUnavailable
from proxy.metrics import Metrics
from proxy.plan.planner import PresetBook
from proxy.plan.preset_file import MAX_FILE_BYTES, PresetProblems
from proxy.reload import (
    BUCKET_INTERVAL,
    FILE_INTERVAL,
    READ_ANYWAY,
    BucketLook,
    FileLook,
    PresetsUnreadable,
    PresetWatcher,
)
from tests.fakes import MemoryStore


def presets(width: int) -> str:
    return f"[presets.thumb]\nwidth = {width}\n"


class Desk:
    """A watcher on a file, and what is in use. `check` is called by the tests: nothing runs by itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics = Metrics()
        self.book = PresetBook()
        self.watcher = PresetWatcher(FileLook(path), self.book, self.metrics, name="presets.toml", interval=3600)

    async def check(self) -> str:
        """Look as often as a second allows; the canonical text of what is in use then."""
        for _ in range(READ_ANYWAY):
            await self.watcher.check()
        return self.in_use

    @property
    def in_use(self) -> str:
        return "".join(preset.canonical() for preset in self.book.current.presets.values())

    def count(self, outcome: str) -> float:
        return self.metrics.value("imgbang_presets_reloads_total", {"outcome": outcome})


@pytest.fixture
async def desk(tmp_path: Path):
    path = tmp_path / "presets.toml"
    path.write_text(presets(100))
    desk = Desk(path)
    await desk.watcher.start()
    yield desk
    await desk.watcher.close()


def test_a_second_is_enough() -> None:
    """An edit is read after so many looks at most, and those fit into a second."""
    assert READ_ANYWAY * FILE_INTERVAL < 1
    assert BUCKET_INTERVAL < 0.8


async def test_start(desk: Desk) -> None:
    """What is there at the start is in use from the start."""
    assert "100" in desk.in_use
    assert (desk.book.generation, desk.book.problem, desk.count("ok")) == (2, None, 1)


async def test_start_without_a_file(tmp_path: Path) -> None:
    """Without presets there is nothing to serve: the start fails and says so."""
    with pytest.raises(FileNotFoundError):
        await Desk(tmp_path / "missing.toml").watcher.start()


async def test_start_with_an_invalid_file(tmp_path: Path) -> None:
    """There is no last good state at the start."""
    path = tmp_path / "presets.toml"
    path.write_text("[presets.thumb]\nwidth = 0")
    with pytest.raises(PresetProblems):
        await Desk(path).watcher.start()
    path.write_bytes(b"\xff")
    with pytest.raises(PresetsUnreadable):
        await Desk(path).watcher.start()


async def test_plain_save(desk: Desk) -> None:
    """An editor that writes in place."""
    desk.path.write_text(presets(200))
    assert "200" in await desk.check()
    assert (desk.book.generation, desk.count("ok")) == (3, 2)


async def test_save_that_changes_no_status(desk: Desk) -> None:
    """Same size, same inode, same times: a rewrite within one tick, or a tool that keeps the time."""
    status = desk.path.stat()
    desk.path.write_text(presets(300))
    os.utime(desk.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "300" in await desk.check()


async def test_atomic_rename(desk: Desk) -> None:
    """An editor that renames a new file into place."""
    new = desk.path.with_suffix(".new")
    new.write_text(presets(200))
    new.rename(desk.path)
    assert "200" in await desk.check()


async def test_config_map(tmp_path: Path) -> None:
    """Kubernetes swaps the link `..data` above the file; neither the file's path nor its times need to change."""
    for revision, width in (("..1", 100), ("..2", 200)):
        (tmp_path / revision).mkdir()
        (tmp_path / revision / "presets.toml").write_text(presets(width))
        os.utime(tmp_path / revision / "presets.toml", ns=(10**18, 10**18))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "presets.toml").symlink_to("..data/presets.toml")
    desk = Desk(tmp_path / "presets.toml")
    await desk.watcher.start()
    assert "100" in desk.in_use

    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    assert "200" in await desk.check()
    await desk.watcher.close()


async def test_deleted_and_back(desk: Desk) -> None:
    """While the file is away the last state serves; when it is back unchanged, the problem is over."""
    away = desk.path.with_suffix(".away")
    desk.path.rename(away)
    assert "100" in await desk.check()
    assert desk.book.problem == "presets.toml: cannot be read: No such file or directory"
    assert desk.count("failed") == 1
    away.rename(desk.path)

    assert "100" in await desk.check()
    assert desk.book.problem is None
    assert desk.book.generation == 2


async def test_invalid_edit(desk: Desk) -> None:
    """A typo changes nothing; it is told with its line and field, counted once, and over with the next edit."""
    desk.path.write_text(presets(200) + "height = 0\n")
    assert "100" in await desk.check()
    assert desk.book.problem is not None
    assert desk.book.problem.startswith("presets.toml:3: presets.thumb.height: ")
    assert desk.count("failed") == 1
    await desk.check()
    assert desk.count("failed") == 1

    desk.path.write_text(presets(100))
    await desk.check()
    assert (desk.book.problem, desk.book.generation) == (None, 2)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (MAX_FILE_BYTES + 1), b"[presets.thumb\n", b"[" * 60_000])
async def test_junk(desk: Desk, content: bytes) -> None:
    """What is not UTF-8, too large or no TOML leaves the last good state in use."""
    desk.path.write_bytes(content)
    assert "100" in await desk.check()
    assert desk.book.problem is not None
    assert len(desk.book.problem) < 500
    assert desk.count("failed") == 1


async def test_half_written(desk: Desk) -> None:
    """A look in the middle of a save reports what it sees; the next one finds the rest."""
    text = presets(200) + "\n[presets.other]\nwidth = 10\n"
    with desk.path.open("w") as file:
        file.write(text[:30])
        file.flush()
        await desk.check()
        assert "100" in desk.in_use
        file.write(text[30:])
    assert "200" in await desk.check()
    assert desk.book.problem is None


async def test_directory_instead_of_a_file(desk: Desk) -> None:
    """A mount that went wrong is a problem, not the end of the watch."""
    desk.path.unlink()
    desk.path.mkdir()
    await desk.check()
    assert desk.book.problem == "presets.toml: cannot be read: Is a directory"
    desk.path.rmdir()
    desk.path.write_text(presets(200))
    assert "200" in await desk.check()


async def test_same_meaning_is_no_new_generation(desk: Desk) -> None:
    """A comment changes no picture."""
    desk.path.write_text("# a comment\n" + presets(100))
    await desk.check()
    assert desk.book.generation == 2


async def test_edit_is_in_use_within_a_second(tmp_path: Path) -> None:
    """The watch itself, in real time."""
    path = tmp_path / "presets.toml"
    path.write_text(presets(100))
    book = PresetBook()
    watcher = PresetWatcher(FileLook(path), book, Metrics(), name="presets.toml", interval=FILE_INTERVAL)
    await watcher.start()
    path.write_text(presets(200))
    edited = time.monotonic()
    while book.generation == 2:
        await asyncio.sleep(0.005)
        assert time.monotonic() - edited < 1
    await watcher.close()
    path.write_text(presets(300))
    assert book.generation == 3


class FlakyLook:
    """Gives the texts it was made with; an exception is raised."""

    def __init__(self, *looks: str | Exception | None) -> None:
        self._looks = list(looks)

    async def __call__(self) -> str | None:
        look = self._looks.pop(0) if self._looks else None
        if isinstance(look, Exception):
            raise look
        return look


async def test_bug_does_not_end_the_watch() -> None:
    """Whatever goes wrong in one look, the next edit is picked up."""
    book = PresetBook()
    look = FlakyLook(presets(100), RuntimeError("a bug"), None, presets(200))
    watcher = PresetWatcher(look, book, Metrics(), name="presets.toml", interval=0.001)
    await watcher.start()
    async with asyncio.timeout(1):
        while book.generation < 3:
            await asyncio.sleep(0.001)
    assert book.problem is None
    await watcher.close()


class TestBucket:
    """Presets that are an object in a bucket, shared by all replicas."""

    @pytest.fixture
    def book(self) -> PresetBook:
        return PresetBook()

    @pytest.fixture
    async def watcher(self, source: MemoryStore, metrics: Metrics, book: PresetBook):
        source.add("presets.toml", presets(100).encode())
        look = BucketLook(source, "presets.toml")
        watcher = PresetWatcher(look, book, metrics, name="presets.toml", interval=3600)
        await watcher.start()
        yield watcher
        await watcher.close()

    async def test_unchanged_costs_a_head(self, source: MemoryStore, watcher: PresetWatcher) -> None:
        """As long as the version is the same, the object is not read."""
        for _ in range(5):
            await watcher.check()
        assert source.calls == {"open": 1, "stat": 5}

    async def test_edit(self, source: MemoryStore, watcher: PresetWatcher, book: PresetBook) -> None:
        """A new version is read and in use at the next look."""
        source.add("presets.toml", presets(200).encode())
        await watcher.check()
        assert book.generation == 3

    async def test_heard_of(self, source: MemoryStore, watcher: PresetWatcher, book: PresetBook) -> None:
        """An edit that another replica has seen is looked for at once, and is not told on."""
        told: list[int] = []
        watcher.on_change = lambda: told.append(book.generation)
        source.add("presets.toml", presets(200).encode())
        watcher.hurry()
        async with asyncio.timeout(1):
            while book.generation != 3:
                await asyncio.sleep(0.001)
        assert told == []

    async def test_found_here(self, source: MemoryStore, metrics: Metrics, book: PresetBook) -> None:
        """An edit that was found here is told, once."""
        source.add("presets.toml", presets(100).encode())
        watcher = PresetWatcher(BucketLook(source, "presets.toml"), book, metrics, name="presets.toml", interval=0.001)
        told: list[int] = []
        watcher.on_change = lambda: told.append(book.generation)
        await watcher.start()
        source.add("presets.toml", presets(200).encode())
        looks = source.calls["stat"]
        async with asyncio.timeout(1):
            while source.calls["stat"] < looks + 5:
                await asyncio.sleep(0.001)
        await watcher.close()
        assert told == [3]

    @pytest.mark.parametrize("error", [OriginUnavailable("down"), OriginalNotFound("gone")])
    async def test_bucket_away_and_back(
        self, source: MemoryStore, watcher: PresetWatcher, book: PresetBook, error: OriginUnavailable
    ) -> None:
        """An outage is told, and is over when the bucket is back with the same version."""
        source.fail("stat", "open", error=error)
        await watcher.check()
        assert book.problem is not None
        source.recover()
        await watcher.check()
        assert (book.problem, book.generation) == (None, 2)

    async def test_too_large(self, source: MemoryStore, watcher: PresetWatcher, book: PresetBook) -> None:
        """A huge object is not read to its end."""
        source.add("presets.toml", b"x" * 10 * MAX_FILE_BYTES)
        await watcher.check()
        assert book.problem is not None
        assert "at most" in book.problem
        assert source.barriers["read"].arrived < 2 * MAX_FILE_BYTES / 1000

"""Reads of what the kernel has in memory: when they answer, when they leave it to a thread, and that both say the same.

Here the kernel is the real one, with errors where a test wants them. On a file system that cannot do it, what only the
real one shows is skipped.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from proxy.config import StoreSettings
from proxy.errors import OriginalNotFound, OriginUnavailable
from proxy.metrics import Metrics
from proxy.stores import cached_reads, files
from proxy.stores.base import ByteRange
from proxy.stores.breaker import Breaker, GuardedSource, GuardedStore, State
from proxy.stores.cached_reads import LARGEST, CachedReads, Lent
from proxy.stores.local import LocalStore
from proxy.stores.metered import MeteredStore
from tests.contracts.store import StoreContract, read
from tests.fakes import MemoryStore
from tests.stores.kernel import Kernel, open_files


@pytest.fixture
async def store(root: Path, settings: StoreSettings, kernel: Kernel) -> AsyncIterator[LocalStore]:
    async with LocalStore(root, settings, calls=kernel) as opened:
        await put(opened, "d/a.jpg", b"hello", "1")
        kernel.calls.clear()
        yield opened


async def put(store: LocalStore, key: str, body: bytes, number: str) -> None:
    await store.put(key, body, content_type="image/png", metadata={"number": number})


async def whole(store: LocalStore, key: str) -> tuple[bytes, dict[str, str]]:
    """Body and metadata, as `open` gives them."""
    async with store.open(key) as opened:
        return b"".join([chunk async for chunk in opened.chunks]), dict(opened.info.metadata)


class TestThreadsOnly(StoreContract):
    """The contract where nothing can be read like this: everything goes to threads."""

    @pytest.fixture
    async def store(self, root: Path, settings: StoreSettings, kernel: Kernel) -> AsyncIterator[LocalStore]:
        kernel.fit = False
        async with LocalStore(root, settings, calls=kernel) as opened:
            yield opened
        assert not kernel.calls["open_body"]


async def test_what_is_cached_is_known_at_once(store: LocalStore) -> None:
    """A result just written is told without waiting, and is what a thread would have told."""
    glimpse = store.glance("d/a.jpg")

    assert glimpse is not None
    assert (glimpse.body, glimpse.info.content_type, glimpse.info.metadata) == (b"hello", "image/png", {"number": "1"})
    store._cached._never, store._cached._mount = True, None  # from here on by threads
    assert store.glance("d/a.jpg") is None
    async with store.open("d/a.jpg") as opened:
        assert opened.info == glimpse.info
    assert await store.stat("d/a.jpg") == glimpse.info


async def test_opening_needs_no_thread(store: LocalStore, kernel: Kernel) -> None:
    """Open, stat and ranges are answered from memory while every thread is held up: as if the disk had stalled."""
    stalled, held = threading.Event(), 8
    waiting = [store._threads.submit(stalled.wait) for _ in range(held)]
    try:
        assert await whole(store, "d/a.jpg") == (b"hello", {"number": "1"})
        assert (await store.stat("d/a.jpg")).size == 5
        assert await read(store, "d/a.jpg", ByteRange(1, 3)) == b"ell"
        assert kernel.calls["read"] == 3  # one sidecar, and two bodies
    finally:
        stalled.set()
    assert all(job.result() for job in waiting)


async def test_a_stalled_disk_holds_up_its_own_callers_only(store: LocalStore, kernel: Kernel) -> None:
    """What the kernel does not have is asked of threads; while those stall, the loop runs and the rest is answered."""
    stalled = threading.Event()
    waiting = [store._threads.submit(stalled.wait) for _ in range(8)]
    await_cached = kernel.calls.copy()
    kernel.cached = False
    cold = asyncio.create_task(whole(store, "d/a.jpg"))
    while kernel.calls == await_cached:
        await asyncio.sleep(0)
    kernel.cached = None
    try:
        assert store.glance("d/a.jpg") is not None
        assert not cold.done()
    finally:
        stalled.set()

    assert await cold == (b"hello", {"number": "1"})
    assert all(job.result() for job in waiting)


async def test_absence_is_known_once_it_was_looked_up(store: LocalStore, kernel: Kernel) -> None:
    """The kernel remembers names that are not there; a name it has never seen is for a thread."""
    assert store.glance("d/never-asked.jpg") is None

    with pytest.raises(OriginalNotFound):
        await store.stat("d/never-asked.jpg")  # a thread looks

    with pytest.raises(OriginalNotFound):
        store.glance("d/never-asked.jpg")
    await put(store, "d/never-asked.jpg", b"there", "2")
    assert await whole(store, "d/never-asked.jpg") == (b"there", {"number": "2"})
    await store.delete("d/never-asked.jpg")
    with pytest.raises(OriginalNotFound):
        await whole(store, "d/never-asked.jpg")


@pytest.mark.parametrize("call", ["open_root", "mount_of", "open_body", "open_sidecar", "is_cached", "read"])
@pytest.mark.parametrize(
    "code", [errno.EAGAIN, errno.EPERM, errno.EACCES, errno.EXDEV, errno.ELOOP, errno.EIO, errno.EMFILE]
)
async def test_errors_are_left_to_a_thread(store: LocalStore, kernel: Kernel, call: str, code: int) -> None:
    """Whatever fails, the answer is the same, and no descriptor is left."""
    before = await open_files()
    kernel.errors = {call: code}

    assert store.glance("d/a.jpg") is None
    assert await open_files() == before
    assert await whole(store, "d/a.jpg") == (b"hello", {"number": "1"})
    kernel.errors = {}
    assert store.glance("d/a.jpg") is not None or await whole(store, "d/a.jpg")


@pytest.mark.parametrize("call", ["open_body", "is_cached", "read"])
@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP])
async def test_what_can_never_work_is_not_tried_again(store: LocalStore, kernel: Kernel, call: str, code: int) -> None:
    """A kernel without the call, or a file system that refuses it, is asked once."""
    kernel.errors = {call: code}
    assert await whole(store, "d/a.jpg") == (b"hello", {"number": "1"})
    kernel.calls.clear()

    for _ in range(3):
        assert await whole(store, "d/a.jpg") == (b"hello", {"number": "1"})

    assert not kernel.calls


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.ELOOP])
async def test_a_sandbox_that_forbids_it(root: Path, settings: StoreSettings, kernel: Kernel, code: int) -> None:
    """Where the call is not allowed, the first look at the root says so, and threads do all."""
    kernel.errors = {"open_root": code}
    async with LocalStore(root, settings, calls=kernel) as store:
        await put(store, "a", b"x", "1")
        assert await whole(store, "a") == (b"x", {"number": "1"})

    assert kernel.calls == Counter(open_root=1)


async def test_no_page_is_asked_for_that_is_not_there(store: LocalStore, kernel: Kernel, root: Path) -> None:
    """Reading what is not cached would start read-ahead, which can wait: it is not even tried."""
    with (root / "d/a.jpg").open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if kernel.is_cached(file.fileno(), 5):
            pytest.skip("the kernel keeps the page: that it is not asked for was not proven")
        kernel.calls.clear()

        assert store.glance("d/a.jpg") is None

        assert kernel.calls["read"] == 1  # of the sidecar
        assert not kernel.is_cached(file.fileno(), 5)
    assert await whole(store, "d/a.jpg") == (b"hello", {"number": "1"})


async def test_a_short_read_is_left_to_a_thread(store: LocalStore, kernel: Kernel) -> None:
    """A page dropped at the last moment leaves a part: it is not served."""
    kernel.short = 1

    assert store.glance("d/a.jpg") is None
    assert await whole(store, "d/a.jpg") == (b"hello", {"number": "1"})


async def test_large_bodies_are_left_to_a_thread(store: LocalStore) -> None:
    """What takes long to copy is not copied on the loop; to tell its size is fine."""
    await put(store, "limit", bytes(LARGEST), "1")
    await put(store, "large", bytes(LARGEST + 1), "2")

    assert store.glance("limit") is not None
    assert store.glance("large") is None
    assert await whole(store, "large") == (bytes(LARGEST + 1), {"number": "2"})
    assert (await store.stat("large")).size == LARGEST + 1


async def test_a_large_body_is_opened_without_a_thread(store: LocalStore) -> None:
    """Only its bytes are left to threads: it is opened, and told of, while those are held up."""
    await put(store, "large", bytes(LARGEST + 1), "2")
    stalled = threading.Event()
    waiting = [store._threads.submit(stalled.wait) for _ in range(8)]
    try:
        async with store.open("large") as opened:
            assert (opened.info.size, opened.info.metadata) == (LARGEST + 1, {"number": "2"})
            assert opened.info == await store.stat("large")
    finally:
        stalled.set()
    assert all(job.result() for job in waiting)


async def test_a_large_body_written_over_while_it_is_opened(store: LocalStore, kernel: Kernel, root: Path) -> None:
    """What is told of it is of the bytes that are read: it is looked at again by a thread."""
    await put(store, "large", bytes(LARGEST + 1), "2")
    store._cached._labelled.clear()

    def write_over() -> None:
        (root / "large").write_bytes(b"1" * (LARGEST + 2))
        kernel.before_read = lambda: None

    kernel.before_read = write_over  # as the sidecar is read
    async with store.open("large") as opened:
        assert opened.info.size == LARGEST + 2
        assert b"".join([chunk async for chunk in opened.chunks]) == b"1" * (LARGEST + 2)


async def test_large_bodies_leave_no_descriptors(store: LocalStore) -> None:
    """Read to the end, in part, or not at all."""
    await put(store, "large", bytes(LARGEST * 8), "2")
    before = await open_files()

    for count in (0, 1, 100):
        async with store.open("large") as opened:
            chunks = opened.chunks
            for _ in range(count):
                if await anext(chunks, None) is None:
                    break

    assert await open_files() == before


@pytest.mark.parametrize("kind", ["directory", "fifo"])
async def test_what_is_no_regular_file_is_missing(store: LocalStore, root: Path, kind: str) -> None:
    """A directory and a FIFO are left to a thread, which says they are no objects."""
    (root / "x").mkdir() if kind == "directory" else os.mkfifo(root / "x")

    assert store.glance("x") is None
    with pytest.raises(OriginalNotFound):
        await whole(store, "x")


async def test_a_sidecar_of_another_body_is_left_to_a_thread(store: LocalStore, root: Path) -> None:
    """Where the two disagree, only the lock can tell; a body without any is an object as it stands."""
    (root / "d/a.jpg").write_bytes(b"other")

    assert store.glance("d/a.jpg") is None
    assert await whole(store, "d/a.jpg") == (b"other", {})
    (root / ".meta/d/a.jpg").unlink()
    glimpse = store.glance("d/a.jpg")
    assert glimpse is not None
    assert (glimpse.body, glimpse.info.metadata) == (b"other", {})


async def test_a_body_written_over_while_it_is_read(store: LocalStore, kernel: Kernel, root: Path) -> None:
    """Half of the old and half of the new is never served."""
    kernel.before_read = lambda: (root / "d/a.jpg").write_bytes(b"HELLO")

    assert store.glance("d/a.jpg") is None


async def test_a_body_replaced_while_it_is_read(store: LocalStore, kernel: Kernel, root: Path) -> None:
    """Who has opened the old one reads it with its own sidecar."""

    def replace() -> None:
        if kernel.calls["read"] == 1:  # the sidecar has been read, the body comes now
            files.write_key(root, "d/a.jpg", b"new", "image/png", {"number": "2"})

    kernel.before_read = replace
    glimpse = store.glance("d/a.jpg")

    assert glimpse is not None
    assert (glimpse.body, glimpse.info.metadata) == (b"hello", {"number": "1"})
    assert await whole(store, "d/a.jpg") == (b"new", {"number": "2"})


@pytest.mark.parametrize("read_before", [0, 1])
async def test_a_deleted_file_is_closed_by_a_thread(
    store: LocalStore, kernel: Kernel, root: Path, read_before: int
) -> None:
    """The last to close a deleted file frees its blocks, which waits for the disk: not here."""
    left: list[int] = []
    cached = CachedReads(root, kernel, left.append)
    cached.learn()

    def delete() -> None:
        if kernel.calls["read"] == read_before:
            files.remove_key(root, "d/a.jpg")

    kernel.before_read = delete
    found = cached.read("d/a.jpg")

    assert found is not None
    assert found.body == b"hello"
    assert [os.fstat(fd).st_nlink for fd in left] == [0] * (2 - read_before)  # the sidecar's was closed before, or not
    for fd in left:
        os.close(fd)


async def test_racing_writers_never_mix(store: LocalStore, root: Path, kernel: Kernel) -> None:
    """While threads write and delete without pause, a glance sees a body with its own sidecar, or says it cannot tell."""
    stop = threading.Event()

    def write(number: int) -> None:
        while not stop.is_set():
            for size in (1, 700):  # of the same size as the other writer's, too
                files.write_key(root, "r", bytes([number]) * size, "image/png", {"number": f"{number}/{size}"})
            if number == 0:
                files.remove_key(root, "r")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    seen = unlabelled = 0
    try:
        for _ in range(3000):
            with suppress(OriginalNotFound):
                glimpse = store.glance("r")
                if glimpse is not None:
                    seen += 1
                    number = f"{glimpse.body[0]}/{len(glimpse.body)}"
                    assert len(set(glimpse.body)) == 1
                    assert glimpse.info.metadata in ({"number": number}, {})
                    unlabelled += not glimpse.info.metadata
            await asyncio.sleep(0.0002)  # writers need the interpreter, too
    finally:
        stop.set()
        for writer in writers:
            writer.join()

    # Deleting takes the body first, so one that is open already can be left without its sidecar.
    assert seen > unlabelled


@pytest.mark.parametrize("target", ["../canary", "{outside}/canary", "/etc/passwd", "d/a.jpg", ".meta/d/a.jpg"])
async def test_links_are_left_to_a_thread(store: LocalStore, root: Path, kernel: Kernel, target: str) -> None:
    """No link is followed on the loop, wherever it leads; a thread follows those that stay inside."""
    (root / "x").symlink_to(target.format(outside=root.parent))
    (root / "alias").symlink_to("d")
    (root / "out").symlink_to("..")

    for _ in range(2):  # now that the kernel remembers where they lead, too
        for key in ("x", "alias/a.jpg", "out/canary"):
            assert store.glance(key) is None
        assert not kernel.calls["read"]
        assert await read(store, "alias/a.jpg") == b"hello"
        with pytest.raises(OriginalNotFound):
            await read(store, "out/canary")
        if target == "d/a.jpg":
            assert await read(store, "x") == b"hello"
        else:
            with pytest.raises(OriginalNotFound):
                await read(store, "x")


async def test_a_linked_sidecar_is_not_read(store: LocalStore, root: Path, kernel: Kernel) -> None:
    """A link in the place of a sidecar leads nowhere on the loop."""
    (root / ".meta/d/a.jpg").unlink()
    (root / ".meta/d/a.jpg").symlink_to(root.parent / "canary")

    assert store.glance("d/a.jpg") is None
    assert not kernel.calls["read"]


@pytest.mark.parametrize("key", [".meta/d/a.jpg", ".tmp/.lock", "d/../d/a.jpg", "/etc/passwd", "", "x\0y"])
async def test_what_is_no_key_reaches_no_file(store: LocalStore, kernel: Kernel, key: str) -> None:
    """The store's own files and what would lead out are missing, without a look at the disk."""
    with pytest.raises(OriginalNotFound):
        store.glance(key)

    assert not kernel.calls


@pytest.mark.parametrize("key", [".META/d/a.jpg", ".hidden/a.jpg", "日本語/图片.jpg", "d/­.meta"])
async def test_names_that_may_be_hidden_are_asked_where_they_are(store: LocalStore, key: str) -> None:
    """Where case is folded `.META` is `.meta`: such a name is served if the kernel says it lies elsewhere."""
    await put(store, key, b"mine", "1")

    glimpse = store.glance(key)

    assert glimpse is not None
    assert glimpse.body == b"mine"


async def test_a_disguised_name_of_a_hidden_file(store: LocalStore, root: Path, kernel: Kernel) -> None:
    """A directory that takes `.META` for `.meta` does not open the store's bookkeeping."""

    class Folding(Kernel):
        def open_below(self, root: int, path: bytes) -> int:
            return super().open_below(root, path.replace(b".META", b".meta"))

    store._cached._calls = Folding()
    # That the bookkeeping has no bookkeeping is remembered now: nothing else stops it.
    assert not (root / ".meta/.meta/d/a.jpg").exists()

    assert store.glance(".META/d/a.jpg") is None


async def test_another_directory_in_the_roots_place(store: LocalStore, root: Path) -> None:
    """The root is looked up by name each time: what lies there now is served, and nothing of what lay there."""
    root.rename(root.parent / "old")
    root.mkdir()

    with pytest.raises(OriginalNotFound):
        await whole(store, "d/a.jpg")
    await put(store, "d/a.jpg", b"new", "2")
    assert await whole(store, "d/a.jpg") == (b"new", {"number": "2"})
    glimpse = store.glance("d/a.jpg")
    assert glimpse is not None
    assert glimpse.body == b"new"


async def test_a_link_in_the_roots_place(store: LocalStore, root: Path, kernel: Kernel) -> None:
    """A root that became a link is for threads, which follow it as ever."""
    root.rename(root.parent / "old")
    root.symlink_to(root.parent / "old")

    assert store.glance("d/a.jpg") is None
    assert not kernel.calls["open_body"]
    assert await whole(store, "d/a.jpg") == (b"hello", {"number": "1"})


async def test_a_root_that_is_gone_is_an_outage(store: LocalStore, root: Path) -> None:
    """That nothing is there says nothing of its objects: not missing, but unavailable."""
    root.rename(root.parent / "old")

    assert store.glance("d/a.jpg") is None
    with pytest.raises(OriginUnavailable):
        await whole(store, "d/a.jpg")


async def test_another_mount_in_the_roots_place(store: LocalStore, kernel: Kernel) -> None:
    """A mount nobody has looked at may ask a server: no file is opened before a thread has found it fit."""
    kernel.mount = b"another"
    assert store.glance("d/a.jpg") is None
    assert store.glance("d/a.jpg") is None
    assert not kernel.calls["open_body"]

    assert await whole(store, "d/a.jpg") == (b"hello", {"number": "1"})  # and the thread learns

    assert store.glance("d/a.jpg") is not None


async def test_another_mount_that_is_not_fit(store: LocalStore, kernel: Kernel) -> None:
    """If what is mounted there now is, say, FUSE, threads do everything from then on."""
    kernel.mount, kernel.fit = b"another", False
    assert store.glance("d/a.jpg") is None
    assert await whole(store, "d/a.jpg") == (b"hello", {"number": "1"})
    kernel.calls.clear()

    assert await whole(store, "d/a.jpg") == (b"hello", {"number": "1"})
    assert not kernel.calls


async def test_a_memory_file_system_is_not_fit(settings: StoreSettings, kernel: Kernel) -> None:
    """On tmpfs nothing is tried: it has no such reads."""
    shm = Path("/dev/shm")
    if not shm.is_dir() or not os.access(shm, os.W_OK):
        pytest.skip("no tmpfs here: that it is left alone was not proven")
    root = shm / f"imgbang-{os.getpid()}"
    root.mkdir()
    try:
        async with LocalStore(root, settings, calls=kernel) as store:
            await put(store, "a", b"x", "1")
            assert store.glance("a") is None
            assert await whole(store, "a") == (b"x", {"number": "1"})
            await store.delete("a")
        assert not kernel.calls["open_body"]
    finally:
        (root / ".tmp/.lock").unlink()
        (root / ".tmp").rmdir()
        root.rmdir()


async def test_glances_are_counted_as_calls(store: LocalStore, metrics: Metrics) -> None:
    """What is known at once counts as opened or missing; what is not, when it is opened."""
    metered = MeteredStore(store, "results", metrics)

    assert metered.glance("d/a.jpg") is not None
    assert metered.glance("d/missing.jpg") is None
    with pytest.raises(OriginalNotFound):
        await metered.stat("d/missing.jpg")
    with pytest.raises(OriginalNotFound):
        metered.glance("d/missing.jpg")

    names = {"store": "results", "verb": "open"}
    outcomes = [metrics.value("imgbang_store_calls_total", {**names, "outcome": one}) for one in ("ok", "missing")]
    assert outcomes == [1, 1]


async def test_an_open_breaker_lets_glances_pass(store: LocalStore) -> None:
    """Hits that are cached go on while the disk is given up, and say nothing about it."""
    breaker = Breaker()
    guarded = GuardedStore(store, breaker)
    for _ in range(10):
        assert guarded.glance("d/a.jpg") is not None
        with suppress(OriginUnavailable), breaker.guard():
            raise OriginUnavailable("the disk failed")
    assert guarded.state is State.OPEN

    assert guarded.glance("d/a.jpg") is not None
    assert guarded.state is State.OPEN


async def test_a_store_that_cannot_glance_never_knows() -> None:
    """The ability is no part of the contract."""
    assert GuardedStore(MemoryStore()).glance("a") is None


async def test_reading_in_a_loop_lets_others_run(store: LocalStore) -> None:
    """Though nothing is waited for, a task that does nothing but read does not keep the loop to itself."""
    other = asyncio.create_task(asyncio.sleep(0))

    while not other.done():
        await whole(store, "d/a.jpg")
    other = asyncio.create_task(asyncio.sleep(0))
    while not other.done():
        with suppress(OriginalNotFound):
            await store.stat("d/missing.jpg")


async def test_glances_leave_no_descriptors(store: LocalStore, root: Path) -> None:
    """Found, missing, too large, a link: nothing stays open."""
    await put(store, "large", bytes(LARGEST + 1), "2")
    (root / "x").symlink_to("d/a.jpg")
    before = await open_files()

    for key in ("d/a.jpg", "missing", "large", "x", "d"):
        for _ in range(3):
            with suppress(OriginalNotFound):
                store.glance(key)

    assert await open_files() == before


async def test_a_sidecar_is_read_once_for_each_body(store: LocalStore, kernel: Kernel, root: Path) -> None:
    """Not again for the same body; anew for one that was written, or put in place by hand with the old one's times."""
    for _ in range(2):
        glimpse = store.glance("d/a.jpg")
        assert glimpse is not None
        assert glimpse.info.metadata == {"number": "1"}
    assert kernel.calls["read"] == 3  # one sidecar, two bodies

    await put(store, "d/a.jpg", b"hello", "2")
    written = store.glance("d/a.jpg")
    assert written is not None
    assert written.info.metadata == {"number": "2"}

    before = (root / "d/a.jpg").stat()
    (root / "d/a.jpg").write_bytes(b"HELLO")
    (root / ".meta/d/a.jpg").unlink()
    os.utime(root / "d/a.jpg", ns=(before.st_atime_ns, before.st_mtime_ns))
    by_hand = store.glance("d/a.jpg")
    assert by_hand is not None
    assert (by_hand.body, by_hand.info.metadata) == (b"HELLO", {})


async def test_few_sidecars_are_remembered(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the results of a bucketful."""
    monkeypatch.setattr(cached_reads, "MOST_LABELLED", 3)
    for number in range(5):
        await put(store, f"{number}.jpg", b"hello", str(number))
        assert store.glance(f"{number}.jpg") is not None

    assert list(store._cached._labelled) == ["2.jpg", "3.jpg", "4.jpg"]


async def lend(store: LocalStore | GuardedSource, key: str = "d/a.jpg", span: ByteRange | None = None) -> Lent | None:
    """The file of an object, as whoever opens it may have it."""
    async with store.open(key, span=span) as opened:
        return None if opened.lend is None else opened.lend()


@pytest.mark.parametrize("size", [0, 5, LARGEST + 1])
async def test_a_file_is_lent(store: LocalStore, size: int) -> None:
    """The file itself, however large, and after it was replaced, too."""
    await put(store, "large", bytes(size), "2")
    before = await open_files()
    lent = await lend(store, "large")
    assert lent is not None
    await put(store, "large", b"other", "3")

    assert os.pread(lent.fileno(), size + 1, 0) == bytes(size)
    assert lent.is_intact
    assert os.get_inheritable(lent.fileno()) is False
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(lent.fileno(), b"x", 0)
    lent.close()
    with pytest.raises(ValueError, match="closed"):
        lent.fileno()
    async with asyncio.timeout(10):
        while await open_files() > before:  # a thread closes what was replaced
            await asyncio.sleep(0.001)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError as error:
        return error.errno != errno.EBADF
    return True


async def test_a_deleted_file_is_given_back_in_a_thread(store: LocalStore) -> None:
    """Whoever closes it last frees its blocks: that waits for the disk."""
    lent = await lend(store)
    assert lent is not None
    number = lent.fileno()
    await store.delete("d/a.jpg")
    stalled = threading.Event()
    waiting = [store._threads.submit(stalled.wait) for _ in range(16)]
    try:
        lent.close()
        assert os.fstat(number).st_nlink == 0  # not yet
    finally:
        stalled.set()
    assert all(job.result() for job in waiting)
    async with asyncio.timeout(10):
        while _is_open(number):
            await asyncio.sleep(0.001)


async def test_what_is_not_in_memory_is_not_lent(store: LocalStore, kernel: Kernel) -> None:
    """A worker would wait for the disk: it is to be copied, by who has the time."""
    await put(store, "large", bytes(LARGEST + 1), "2")
    before = await open_files()
    async with store.open("large") as opened:
        assert opened.lend is not None
        kernel.cached = False
        assert opened.lend() is None
    assert await open_files() == before


@pytest.mark.parametrize("span", [ByteRange(0, 2), ByteRange(0, 4)])
async def test_a_part_is_not_lent(store: LocalStore, span: ByteRange) -> None:
    """What is lent is a whole object."""
    assert await lend(store, span=span) is None


@pytest.mark.parametrize("change", ["replaced", "written over", "deleted"])
async def test_another_file_is_not_lent(store: LocalStore, root: Path, change: str) -> None:
    """What is told of the object and what is lent are the same object."""
    before = await open_files()
    async with store.open("d/a.jpg") as opened:
        if change == "replaced":
            await put(store, "d/a.jpg", b"other", "2")
        elif change == "written over":
            (root / "d/a.jpg").write_bytes(b"other")
        else:
            await store.delete("d/a.jpg")
        assert opened.lend is not None
        assert opened.lend() is None
    assert await open_files() == before


@pytest.mark.parametrize("change", [b"other", b"longer than before"])
async def test_what_was_lent_and_written_over(store: LocalStore, root: Path, change: bytes) -> None:
    """That the bytes are others now can be told."""
    lent = await lend(store)
    assert lent is not None
    assert lent.is_intact
    (root / "d/a.jpg").write_bytes(change)
    assert not lent.is_intact
    lent.close()


async def test_lending_by_others(root: Path, settings: StoreSettings, kernel: Kernel) -> None:
    """Where threads do all there is nothing to lend; a breaker lends what its store does, a bucket nothing."""
    async with LocalStore(root, settings, calls=kernel) as store:
        await put(store, "a", b"x", "1")
        lent = await lend(GuardedSource(store), "a")
        assert lent is not None
        lent.close()
    kernel.fit = False
    async with LocalStore(root, settings, calls=kernel) as store:
        assert await lend(store, "a") is None
    bucket = MemoryStore()
    bucket.add("a", b"x")
    async with bucket.open("a") as opened:
        assert opened.lend is None

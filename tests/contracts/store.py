"""What every source and store promises, as tests; each implementation's test module runs them.

    class TestLocalStore(StoreContract):
        @pytest.fixture
        async def store(self, tmp_path): ...

A source that cannot be written to runs `SourceContract` and provides `fill`, which puts objects where it reads them.
What an implementation (or the server it is tested with) cannot do is declared in a flag, never skipped in silence.
"""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from proxy.errors import OriginalNotFound, OriginUnavailable, RangeRefused
from proxy.stores.base import CHUNK, ByteRange, Source, Store

Fill = Callable[[str, bytes], Awaitable[None]]

LARGE = os.urandom(3 * CHUNK + 17)

KEYS = [
    "plain.jpg",
    "deep/er/and/deeper.jpg",
    "blank in name.jpg",
    " leading and trailing ",
    "plus+sign.jpg",
    "percent%.jpg",
    "escaped%2Fslash%20text.jpg",
    "%2e%2e/not-up.jpg",
    "query?x=1&y=2#z.jpg",
    "quote'double\"back`tick.jpg",
    "xml<&>;.jpg",
    "semi;colon,comma=equals@at:colon.jpg",
    "photo.jpg!3f2a.webp",
    "~tilde/.hidden/..dots../...",
    "name.~more",
    "back\\slash.jpg",
    "日本語/图片.jpg",
    "emoji-🏳️‍🌈.png",
    unicodedata.normalize("NFC", "café.jpg"),
    unicodedata.normalize("NFD", "café.jpg"),
    "/".join(["d" * 120] * 8)[:1000],
    "b" * 200 + ".jpg",
]

HOSTILE = [
    "..",
    ".",
    "../canary",
    "../../../../../../etc/passwd",
    "a/../../canary",
    "a/./b",
    "/etc/passwd",
    "//etc/passwd",
    "a//b",
    "a/",
    "",
    "nul\0byte",
    "half-a-pair-\ud800",
    "x" * 1025,
]
"""What no store may hold, whoever asks; `canary` lies next to every store's root."""


LISTINGS: dict[str, set[str]] = {
    "": {"cat.jpg", "cat.jpg!1.png", "cat.jpg!2.png", "cats/a.jpg", "cats/b/c.jpg", "dog.jpg"},
    "c": {"cat.jpg", "cat.jpg!1.png", "cat.jpg!2.png", "cats/a.jpg", "cats/b/c.jpg"},
    "cat.jpg!": {"cat.jpg!1.png", "cat.jpg!2.png"},
    "cats": {"cats/a.jpg", "cats/b/c.jpg"},
    "cats/": {"cats/a.jpg", "cats/b/c.jpg"},
    "cats/b": {"cats/b/c.jpg"},
    "cats/b/c": {"cats/b/c.jpg"},
    "dog.jpg": {"dog.jpg"},
    "dog.jpg/": set(),
    "none": set(),
    "none/at/all": set(),
    "/": set(),
    "../": set(),
}


async def read(source: Source, key: str, span: ByteRange | None = None) -> bytes:
    """The bytes of an object, as the chunks brought them."""
    async with source.open(key, span=span) as opened:
        return b"".join([chunk async for chunk in opened.chunks])


async def keys(store: Store, prefix: str) -> set[str]:
    found = [key async for key in store.list(prefix)]
    assert len(found) == len(set(found)), "a key was listed twice"
    return set(found)


class SourceContract:
    """The reading half."""

    @pytest.fixture
    def source(self) -> Source:
        raise NotImplementedError

    @pytest.fixture
    def fill(self) -> Fill:
        raise NotImplementedError

    async def test_reads_what_is_there(self, source: Source, fill: Fill) -> None:
        """The bytes come back as they are."""
        await fill("a.jpg", b"hello")

        assert await read(source, "a.jpg") == b"hello"

    async def test_stat_tells_size_version_and_time(self, source: Source, fill: Fill) -> None:
        """Without reading, the size, a version and a time are known."""
        await fill("a.jpg", b"hello")

        info = await source.stat("a.jpg")

        assert (info.key, info.size) == ("a.jpg", 5)
        assert info.version
        assert info.modified > 1_600_000_000

    async def test_stat_and_open_agree(self, source: Source, fill: Fill) -> None:
        """Both ways to look at an object tell the same."""
        await fill("a.jpg", b"hello")

        async with source.open("a.jpg") as opened:
            assert opened.info == await source.stat("a.jpg")

    async def test_version_is_printable_and_bare(self, source: Source, fill: Fill) -> None:
        """A version can be put into a header or a key: printable ASCII without quotes."""
        await fill("a.jpg", b"hello")

        version = (await source.stat("a.jpg")).version

        assert all(" " < character < "\x7f" and character != '"' for character in version)

    async def test_version_stays_without_a_write(self, source: Source, fill: Fill) -> None:
        """Looking twice at an unchanged object gives one version."""
        await fill("a.jpg", b"hello")

        assert (await source.stat("a.jpg")).version == (await source.stat("a.jpg")).version

    async def test_version_changes_with_the_bytes(self, source: Source, fill: Fill) -> None:
        """An overwritten object has another version, even at the same size."""
        await fill("a.jpg", b"hello")
        before = (await source.stat("a.jpg")).version
        await fill("a.jpg", b"HELLO")

        assert (await source.stat("a.jpg")).version != before
        assert await read(source, "a.jpg") == b"HELLO"

    @pytest.mark.parametrize(
        "key", ["missing.jpg", "no/such/directory/a.jpg", "a.jpg/below", "x" * 1000, "y/" * 500 + "z"]
    )
    async def test_missing_is_not_found(self, source: Source, fill: Fill, key: str) -> None:
        """What is not there is OriginalNotFound, for stat and open alike."""
        await fill("a.jpg", b"hello")

        with pytest.raises(OriginalNotFound):
            await source.stat(key)
        with pytest.raises(OriginalNotFound):
            await read(source, key)

    async def test_a_directory_is_no_object(self, source: Source, fill: Fill) -> None:
        """The beginning of a key is not found, though it may be a directory."""
        await fill("directory/a.jpg", b"hello")

        with pytest.raises(OriginalNotFound):
            await source.stat("directory")
        with pytest.raises(OriginalNotFound):
            await read(source, "directory")

    async def test_empty_object(self, source: Source, fill: Fill) -> None:
        """An object of no bytes is an object: size 0 and no chunks."""
        await fill("empty", b"")

        assert (await source.stat("empty")).size == 0
        assert await read(source, "empty") == b""

    async def test_chunks_are_bounded_and_not_empty(self, source: Source, fill: Fill) -> None:
        """A large body comes in chunks of 1 to 256 KiB, in order and complete."""
        await fill("large", LARGE)

        async with source.open("large") as opened:
            chunks = [chunk async for chunk in opened.chunks]

        assert all(0 < len(chunk) <= CHUNK for chunk in chunks)
        assert b"".join(chunks) == LARGE
        assert opened.info.size == len(LARGE)

    @pytest.mark.parametrize(
        ("first", "last", "expected"),
        [
            (0, 0, b"0"),
            (0, 4, b"01234"),
            (3, 6, b"3456"),
            (9, 9, b"9"),
            (5, 9, b"56789"),
            (0, 9, b"0123456789"),
            (7, 1000, b"789"),
        ],
        ids=str,
    )
    async def test_range(self, source: Source, fill: Fill, first: int, last: int, expected: bytes) -> None:
        """A span gives exactly its bytes, cut at the end; the size told is the whole object's."""
        await fill("digits", b"0123456789")

        async with source.open("digits", span=ByteRange(first, last)) as opened:
            body = b"".join([chunk async for chunk in opened.chunks])

        assert body == expected
        assert opened.info.size == 10

    async def test_range_of_a_large_object(self, source: Source, fill: Fill) -> None:
        """A span over several chunks gives exactly its bytes."""
        await fill("large", LARGE)

        assert await read(source, "large", ByteRange(1000, 2 * CHUNK + 5)) == LARGE[1000 : 2 * CHUNK + 6]

    @pytest.mark.parametrize(("body", "first"), [(b"0123456789", 10), (b"0123456789", 5000), (b"", 0)])
    async def test_range_beyond_the_end(self, source: Source, fill: Fill, body: bytes, first: int) -> None:
        """A span that begins behind the last byte is RangeRefused, which tells the size."""
        await fill("digits", body)

        with pytest.raises(RangeRefused) as refused:
            await read(source, "digits", ByteRange(first, first + 5))

        assert refused.value.size == len(body)

    async def test_range_of_what_is_missing(self, source: Source) -> None:
        """A span of nothing is not found, rather than refused."""
        with pytest.raises(OriginalNotFound):
            await read(source, "missing", ByteRange(0, 5))

    async def test_unusual_keys_are_exact(self, source: Source, fill: Fill) -> None:
        """Blanks, `+`, `%`, quotes, reserved characters and any script are themselves in a key."""
        for key in KEYS:
            await fill(key, key.encode())

        for key in KEYS:
            assert await read(source, key) == key.encode(), key
            assert (await source.stat(key)).key == key

    async def test_unicode_is_not_normalised(self, source: Source, fill: Fill) -> None:
        """`é` as one character and as two are two objects."""
        await fill(unicodedata.normalize("NFC", "é"), b"one")

        with pytest.raises(OriginalNotFound):
            await source.stat(unicodedata.normalize("NFD", "é"))

    async def test_escapes_are_not_decoded(self, source: Source, fill: Fill) -> None:
        """`%2F` in a key is three characters, not a slash; `+` is not a blank."""
        await fill("a/b c", b"x")

        for key in ("a%2Fb c", "a/b+c", "a/b%20c"):
            with pytest.raises(OriginalNotFound):
                await source.stat(key)

    async def test_hostile_keys_lead_nowhere(self, source: Source, fill: Fill) -> None:
        """What is no key is missing: nothing outside of the store is ever read."""
        await fill("a/b", b"x")

        for key in HOSTILE:
            with pytest.raises(OriginalNotFound):
                await source.stat(key)
            with pytest.raises(OriginalNotFound):
                await read(source, key)

    async def test_leaving_early_gives_everything_back(self, source: Source, fill: Fill) -> None:
        """Bodies that nobody reads to their end hold nothing: far more of them than there are connections."""
        await fill("large", LARGE)

        for _ in range(20):
            async with source.open("large") as opened:
                await anext(opened.chunks)
        async with asyncio.timeout(10):
            assert await read(source, "large") == LARGE

    async def test_not_reading_at_all(self, source: Source, fill: Fill) -> None:
        """A body may be opened and left without a single read."""
        await fill("large", LARGE)

        for _ in range(20):
            async with source.open("large"):
                pass

        assert await read(source, "large", ByteRange(0, 3)) == LARGE[:4]

    async def test_an_error_of_the_reader_passes_through(self, source: Source, fill: Fill) -> None:
        """What the block raises comes out unchanged, and everything is given back."""
        await fill("large", LARGE)

        async def fail() -> None:
            async with source.open("large") as opened:
                await anext(opened.chunks)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()

        assert len(await read(source, "large")) == len(LARGE)

    async def test_cancelled_reads_give_everything_back(self, source: Source, fill: Fill) -> None:
        """Callers that give up at any moment leave nothing behind that others would wait for."""
        await fill("large", LARGE)

        for delay in [0.0, 0.0005, 0.001, 0.002, 0.004, 0.008] * 3:
            task = asyncio.create_task(read(source, "large"))
            await asyncio.sleep(delay)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        async with asyncio.timeout(10):
            assert await read(source, "large") == LARGE

    async def test_many_at_once(self, source: Source, fill: Fill) -> None:
        """Sixty readers at once all get their own object's bytes, whole."""
        for number in range(6):
            await fill(f"many/{number}", bytes([number]) * 50_000)

        bodies = await asyncio.gather(*(read(source, f"many/{number % 6}") for number in range(60)))

        assert bodies == [bytes([number % 6]) * 50_000 for number in range(60)]


class StoreContract(SourceContract):
    """The whole contract."""

    overwrites_under_readers = True
    """Whether reading and writing go on undisturbed, and metadata and body change together, while an object is
    overwritten. Where not, some may meet an outage; what is read is whole in any case."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def source(self, store: Store) -> Source:
        return store

    @pytest.fixture
    def fill(self, store: Store) -> Fill:
        async def fill(key: str, body: bytes) -> None:
            await store.put(key, body, content_type="image/png", metadata={})

        return fill

    async def test_metadata_comes_back(self, store: Store) -> None:
        """Content type and metadata come back with stat and with open."""
        await store.put("a", b"x", content_type="image/webp", metadata={"version": "abc-1", "plan": "w=50; q=80"})

        info = await store.stat("a")

        assert info.content_type == "image/webp"
        assert info.metadata == {"version": "abc-1", "plan": "w=50; q=80"}
        async with store.open("a") as opened:
            assert opened.info.metadata == info.metadata

    async def test_metadata_is_printable(self, store: Store) -> None:
        """Names come back in lower case; what is not printable ASCII comes back percent-encoded."""
        await store.put("a", b"x", content_type="image/png", metadata={"Name": "é%\r\nX-Evil: 1"})

        assert (await store.stat("a")).metadata == {"name": "%C3%A9%%0D%0AX-Evil: 1"}

    async def test_metadata_is_replaced_as_a_whole(self, store: Store) -> None:
        """A write leaves nothing of the old metadata."""
        await store.put("a", b"x", content_type="image/png", metadata={"old": "1"})
        await store.put("a", b"y", content_type="image/gif", metadata={"new": "2"})

        info = await store.stat("a")

        assert (info.content_type, info.metadata) == ("image/gif", {"new": "2"})

    async def test_overwriting_is_atomic(self, store: Store) -> None:
        """Readers during writes see one object whole, with the metadata that belongs to it, never a mixture."""
        bodies = [bytes([number]) * 40_000 for number in range(2)]
        await store.put("a", bodies[0], content_type="image/png", metadata={"number": "0"})

        async def write() -> None:
            for turn in range(30):
                number = turn % 2
                await store.put("a", bodies[number], content_type="image/png", metadata={"number": str(number)})

        async def watch() -> int:
            seen = 0
            while not writer.done():
                try:
                    async with store.open("a") as opened:
                        body = b"".join([chunk async for chunk in opened.chunks])
                except (OriginUnavailable, OriginalNotFound):
                    assert not self.overwrites_under_readers
                    continue
                assert body in bodies
                if self.overwrites_under_readers:
                    assert opened.info.metadata == {"number": str(body[0])}
                seen += 1
            return seen

        writer = asyncio.create_task(write())
        assert sum(await asyncio.gather(*(watch() for _ in range(4)))) > 0
        await writer

    async def test_racing_writers_leave_one_object(self, store: Store) -> None:
        """Of many writers at once one wins, body and metadata together."""
        done = await asyncio.gather(
            *(
                store.put("a", bytes([number]) * 1000, content_type="image/png", metadata={"number": str(number)})
                for number in range(20)
            ),
            return_exceptions=self.overwrites_under_readers is False,
        )
        assert None in done

        async with store.open("a") as opened:
            body = b"".join([chunk async for chunk in opened.chunks])

        assert len(set(body)) == 1
        if self.overwrites_under_readers:
            assert opened.info.metadata == {"number": str(body[0])}

    async def test_delete(self, store: Store, fill: Fill) -> None:
        """What is deleted is gone, from listings too."""
        await fill("a", b"x")
        await store.delete("a")

        with pytest.raises(OriginalNotFound):
            await store.stat("a")
        assert await keys(store, "") == set()

    @pytest.mark.parametrize("key", ["a", "never", "deep/never", "a/below"])
    async def test_deleting_what_is_not_there(self, store: Store, fill: Fill, key: str) -> None:
        """Deleting twice, or what never was, is no error."""
        await fill("a", b"x")
        await store.delete(key)
        await store.delete(key)

    async def test_delete_leaves_neighbours(self, store: Store, fill: Fill) -> None:
        """Deleting takes the very key, not what begins like it or lies beside it."""
        for key in ("d/a", "d/ab", "d/b", "e"):
            await fill(key, b"x")
        await store.delete("d/a")

        assert await keys(store, "") == {"d/ab", "d/b", "e"}

    async def test_written_again_after_delete(self, store: Store, fill: Fill) -> None:
        """A deleted key can be written again, its directories included."""
        await fill("deep/er/a", b"x")
        await store.delete("deep/er/a")
        await fill("deep/er/a", b"y")

        assert await read(store, "deep/er/a") == b"y"

    async def test_list(self, store: Store, fill: Fill) -> None:
        """A prefix is text: it may end in the middle of a segment, and name a directory or not."""
        for key in ("cat.jpg", "cat.jpg!1.png", "cat.jpg!2.png", "cats/a.jpg", "cats/b/c.jpg", "dog.jpg"):
            await fill(key, b"x")

        for prefix, expected in LISTINGS.items():
            assert await keys(store, prefix) == expected, prefix

    async def test_list_gives_unusual_keys_exactly(self, store: Store, fill: Fill) -> None:
        """What a listing names can be read and deleted under that very name."""
        for key in KEYS:
            await fill(key, b"x")

        assert await keys(store, "") == set(KEYS)
        for key in KEYS:
            assert key in await keys(store, key[: len(key) // 2 + 1])
            await store.delete(key)
        assert await keys(store, "") == set()

    async def test_list_while_deleting(self, store: Store, fill: Fill) -> None:
        """Keys can be deleted as they are listed: what a purge does."""
        for number in range(25):
            await fill(f"p/{number % 5}/{number}", b"x")

        async for key in store.list("p/"):
            await store.delete(key)

        assert await keys(store, "p/") == set()

    async def test_list_abandoned(self, store: Store, fill: Fill) -> None:
        """A listing may be left after its first key."""
        for number in range(5):
            await fill(f"p/{number}", b"x")

        async for _ in store.list("p/"):
            break

        assert len(await keys(store, "p/")) == 5

    async def test_hostile_keys_cannot_be_written(self, store: Store) -> None:
        """What is no key is refused when it is written and left alone when it is deleted."""
        for key in HOSTILE:
            with pytest.raises(OriginUnavailable):
                await store.put(key, b"x", content_type="image/png", metadata={})
            await store.delete(key)

        assert await keys(store, "") == set()

    async def test_long_segments(self, store: Store, fill: Fill) -> None:
        """Segments longer than a file system's names can be written, read, listed and deleted."""
        long = {
            "s" * 300,
            "s" * 1024,
            "d/" + "é" * 200 + "/" + "日" * 150,
            "s" * 255 + "/" + "t" * 256,
            "e" * 250 + ".~more",
        }
        for key in long:
            await fill(key, key.encode())

        for key in long:
            assert await read(store, key) == key.encode()
            assert key in await keys(store, key[:-1])
        assert await keys(store, "s" * 280) == {"s" * 300, "s" * 1024}
        assert await keys(store, "") == long
        for key in long:
            await store.delete(key)
        assert await keys(store, "") == set()

    async def test_file_and_directory_of_one_name(self, store: Store, fill: Fill) -> None:
        """Where `a` is an object, `a/b` is one too or is refused cleanly; `a` is unharmed."""
        await fill("a", b"file")
        await fill("d/e", b"below")

        for key in ("a/b", "d"):
            with suppress(OriginUnavailable):
                await fill(key, b"both")
                assert await read(store, key) == b"both"

        assert await read(store, "a") == b"file"
        assert await read(store, "d/e") == b"below"

    async def test_many_writes_at_once(self, store: Store, fill: Fill) -> None:
        """Forty writers at once in one directory all succeed."""
        await asyncio.gather(*(fill(f"w/{number}", bytes([number])) for number in range(40)))

        assert len(await keys(store, "w/")) == 40

    async def test_cancelled_writes(self, store: Store, fill: Fill) -> None:
        """A write given up at any moment leaves the old object or the new one, whole."""
        bodies = [b"0" * 30_000, b"1" * 30_000]
        await fill("a", bodies[0])
        for delay in (0.0, 0.0005, 0.001, 0.002, 0.004):
            task = asyncio.create_task(fill("a", bodies[1]))
            await asyncio.sleep(delay)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            assert await read(store, "a") in bodies

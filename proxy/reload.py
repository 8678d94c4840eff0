"""Watch presets.toml and put every valid edit into use within a second; an invalid edit changes nothing.

The text is read again and compared about three times a second. That is cheap (it is at most 256 KiB, and mostly only
its status is read), and it is the one method that works for a plain save, an atomic rename, Kubernetes' swap of the
`..data` link, network file systems and buckets alike; file-system events miss some of these.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from proxy import logs
from proxy.errors import ProxyError
from proxy.metrics import Metrics
from proxy.plan.planner import PresetBook
from proxy.plan.preset_file import MAX_FILE_BYTES, PresetProblems, read_presets
from proxy.plan.presets import PresetSnapshot
from proxy.stores.base import Source

_log = logs.get("presets")

FILE_INTERVAL = 0.3
BUCKET_INTERVAL = 0.7
"""Seconds between two looks: one small call to the bucket each."""
READ_ANYWAY = 3
"""Looks after which the file is read even if its status is the same: a rewrite within one tick of its clock."""

Look = Callable[[], Awaitable[str | None]]
"""Return the text if it may have changed since the last look, None otherwise. Raises OSError or ProxyError."""


class PresetsUnreadable(Exception):
    """presets.toml cannot be read at all; the message says why."""


class FileLook:
    """Looks at a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._status: tuple[int, ...] | None = None
        self._looks = 0

    async def __call__(self) -> str | None:
        """Look once, in a thread."""
        return await asyncio.to_thread(self._look)

    def _look(self) -> str | None:
        # The status of what the links lead to: Kubernetes swaps a link above the file.
        before, self._status = self._status, None  # after a look that fails, the next one reads
        status = os.stat(self._path)  # noqa: PTH116 -- the plain call: this runs three times a second
        now = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        self._looks += 1
        if now == before and self._looks % READ_ANYWAY:
            self._status = now
            return None
        with self._path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        self._status = now
        return _decoded(content)


class BucketLook:
    """Looks at an object."""

    def __init__(self, source: Source, key: str) -> None:
        self._source = source
        self._key = key
        self._version: str | None = None

    async def __call__(self) -> str | None:
        """Look once: a HEAD, and a GET when the version has changed."""
        before, self._version = self._version, None  # after a look that fails, the next one reads
        if before is not None and (await self._source.stat(self._key)).version == before:
            self._version = before
            return None
        content = bytearray()
        async with self._source.open(self._key) as opened:
            async for chunk in opened.chunks:
                content += chunk
                if len(content) > MAX_FILE_BYTES:
                    break
        self._version = opened.info.version
        return _decoded(bytes(content))


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise PresetsUnreadable(f"not UTF-8: byte {error.start} is {content[error.start]:#04x}") from error


class PresetWatcher:
    """Keeps a book of presets up to date."""

    def __init__(self, look: Look, book: PresetBook, metrics: Metrics, *, name: str, interval: float) -> None:
        self._look = look
        self._book = book
        self._metrics = metrics
        self._name = name
        self._interval = interval
        self._text: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._hurried = asyncio.Event()
        # Told when an edit was found here, rather than heard of.
        self.on_change: Callable[[], None] = _nobody

    def hurry(self) -> None:
        """Look now: another replica has seen an edit."""
        self._hurried.set()

    async def start(self) -> None:
        """Load the presets, or fail with PresetProblems, PresetsUnreadable, OSError or a ProxyError; then watch."""
        text = await self._look()
        self._book.replace(await self._read(text or ""))
        self._text = text
        self._metrics.presets_reloads.labels("ok").inc()
        self._task = asyncio.create_task(self._watch(), name="presets")

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def check(self) -> None:
        """Look once, and put what changed into use; a problem is reported in the book, in the log and as a metric."""
        try:
            text = await self._look()
        except (OSError, ProxyError, PresetsUnreadable) as error:
            self._text = None  # once it can be read again, it counts as changed
            self._report(f"{self._name}: cannot be read: {_reason(error)}")
            return
        if text is None or text == self._text:
            return
        self._text = text
        try:
            snapshot = await self._read(text)
        except PresetProblems as problems:
            self._report(str(problems))
            return
        changed = self._book.replace(snapshot)
        self._metrics.presets_reloads.labels("ok").inc()
        _log.info("presets_loaded", changed=changed, generation=self._book.generation, presets=len(snapshot.presets))

    async def _watch(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._hurried.wait()
            heard = self._hurried.is_set()
            self._hurried.clear()
            before = self._book.generation
            try:
                await self.check()
                if self._book.generation != before and not heard:
                    self.on_change()
            except Exception as error:  # noqa: BLE001 -- a bug must not end the watch: the next edit may be fine
                self._report(f"{self._name}: cannot be read: an internal error; it has been logged")
                _log.error("presets_watch_failed", exc_info=error)

    async def _read(self, text: str) -> PresetSnapshot:
        # In a thread: thousands of presets take a good part of a second.
        return await asyncio.to_thread(read_presets, text, name=self._name)

    def _report(self, problem: str) -> None:
        if problem == self._book.problem:
            return
        self._book.report(problem)
        self._metrics.presets_reloads.labels("failed").inc()
        _log.error("presets_refused", problem=problem, serving_generation=self._book.generation)


def _nobody() -> None:
    """Nobody else wants to know."""


def _reason(error: Exception) -> str:
    return (error.strerror or "I/O error") if isinstance(error, OSError) else str(error)

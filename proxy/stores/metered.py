"""Count every call to a store, by verb and outcome: what a bucket bills, and what an operator looks at first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from proxy.errors import OriginalNotFound, ProxyError
from proxy.metrics import Metrics
from proxy.stores.base import ByteRange, ObjectBody, ObjectInfo, Source, Store
from proxy.stores.glances import Glimpse, Lacks, glance_of, lacks_of


class MeteredSource:
    """A source whose calls are counted under `name`."""

    def __init__(self, source: Source, name: str, metrics: Metrics) -> None:
        self._source = source
        self._glance, self._lacks = glance_of(source), lacks_of(source)
        self.lacks: Lacks | None = self._ask_lacking if self._lacks else None
        self._name = name
        self._metrics = metrics
        self._known = metrics.store_calls.labels(name, "open", "ok")
        self._missing = metrics.store_calls.labels(name, "open", "missing")

    async def stat(self, key: str) -> ObjectInfo:
        """As the source does."""
        with self._counted("stat"):
            return await self._source.stat(key)

    @asynccontextmanager
    async def open(self, key: str, *, span: ByteRange | None = None) -> AsyncIterator[ObjectBody]:
        """As the source does; what happens while the body is read counts, too."""
        with self._counted("open"):
            async with self._source.open(key, span=span) as opened:
                yield opened

    def glance(self, key: str) -> Glimpse | None:
        """As the source does; what it knows at once counts as opened."""
        try:
            glimpse = self._glance(key)
        except OriginalNotFound:
            self._missing.inc()
            raise
        if glimpse is not None:
            self._known.inc()
        return glimpse

    async def _ask_lacking(self, key: str) -> bool:
        """As the source does; what it surely lacks counts as opened and missing."""
        assert self._lacks is not None
        lacking = await self._lacks(key)
        if lacking:
            self._missing.inc()
        return lacking

    @contextmanager
    def _counted(self, verb: str) -> Iterator[None]:
        outcome = "cancelled"
        try:
            yield
            outcome = "ok"
        except OriginalNotFound:
            outcome = "missing"
            raise
        except ProxyError as error:
            outcome = error.code
            raise
        finally:
            self._metrics.store_calls.labels(self._name, verb, outcome).inc()


class MeteredStore(MeteredSource):
    """A store whose calls are counted under `name`."""

    def __init__(self, store: Store, name: str, metrics: Metrics) -> None:
        super().__init__(store, name, metrics)
        self._store = store

    async def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str]) -> None:
        """As the store does."""
        with self._counted("put"):
            await self._store.put(key, body, content_type=content_type, metadata=metadata)

    async def delete(self, key: str) -> None:
        """As the store does."""
        with self._counted("delete"):
            await self._store.delete(key)

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """As the store does."""
        with self._counted("list"):
            async for key in self._store.list(prefix):
                yield key

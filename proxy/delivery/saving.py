"""Store a result as an original of its own: what a signed `saveas` asks for.

The signature is the permission: who holds the secret may write any key, and overwrite one.
"""

from __future__ import annotations

from proxy.delivery.deadline import Deadline
from proxy.delivery.purge import Purger
from proxy.delivery.result import Result
from proxy.errors import Forbidden
from proxy.plan.keys import shown
from proxy.stores.base import Store


class Saver:
    """Writes results among the originals. `hidden` is the prefix there under which our own results live."""

    def __init__(self, store: Store, purger: Purger, *, hidden: str | None) -> None:
        self._store = store
        self._purger = purger
        self._hidden = hidden

    async def save(self, key: str, result: Result, deadline: Deadline) -> None:
        """Write the result as the original `key`, and forget what was known and made of the one before."""
        if self._hidden is not None and key.startswith(f"{self._hidden}/"):
            raise Forbidden(f"{shown(key, 100)} lies where results are kept")
        async with deadline.bound("originals' store"):
            await self._store.put(key, result.body, content_type=result.media_type, metadata={})
        await self._purger.key(key)

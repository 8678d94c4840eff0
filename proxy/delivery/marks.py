"""The images of marks: other originals, staged beside the one they are drawn on.

Rules:

1. A mark is a key of our own store. A URL is read as one if its host is among those the operator names as ours; it is
   fetched if its host is among those the operator allows for that; otherwise it is refused. The attack: a command that
   has us fetch `http://169.254.169.254/…` and paint it on a cat.
2. The versions of its marks are part of a plan: when a logo changes, every picture with it has a new name and entity
   tag, and is rendered again. Within the freshness window they count as known; after it they are looked up without
   anybody waiting.
3. A mark that is missing is the picture's fault, not a missing original.
4. A picture that was drawn with another version than its plan says is answered, but not kept under that plan's name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from proxy.delivery.deadline import Deadline
from proxy.delivery.freshness import Freshness
from proxy.delivery.originals import Originals, Staged
from proxy.errors import Forbidden, MarkMissing, OriginalNotFound
from proxy.plan.keys import decode_key, shown
from proxy.plan.plan import Plan


class Marks:
    """Finds and stages the images of marks."""

    def __init__(
        self,
        originals: Originals,
        freshness: Freshness,
        *,
        hosts: frozenset[str] = frozenset(),
        origins: frozenset[str] = frozenset(),
    ) -> None:
        self._originals = originals
        self._freshness = freshness
        self._hosts = hosts
        self._origins = origins

    def key_of(self, image: str) -> str:
        """The key that the image of a mark names: a URL, where it is to be fetched."""
        scheme, separator, rest = image.partition("://")
        if not separator:
            return image
        host, _, path = rest.partition("/")
        host = host.lower()
        if scheme in ("http", "https") and host in self._hosts:
            return decode_key(path.partition("?")[0])
        if scheme in ("http", "https") and host in self._origins:
            return f"{scheme}://{host}/{decode_key(path.partition('?')[0])}"
        raise Forbidden(f"the watermark image {shown(image, 100)} is on a host that is not allowed")

    async def settle(self, plan: Plan, deadline: Deadline) -> Plan:
        """The plan with the versions of its marks."""
        versions = [await self._version(self.key_of(image), deadline) for image in plan.overlays]
        return replace(plan, overlay_versions=tuple(versions))

    def are_of(self, plan: Plan) -> bool:
        """Whether the marks that were last seen are those the plan names: staging may have brought newer ones."""
        seen = [self._freshness.last_seen(self.key_of(image)) for image in plan.overlays]
        return all(
            known is not None and known.is_of(version)
            for known, version in zip(seen, plan.overlay_versions, strict=True)
        )

    async def _version(self, key: str, deadline: Deadline) -> str:
        known = self._freshness.of(key)
        if known is None:
            known = self._freshness.last_seen(key)
            if known is not None and known.version:
                self._freshness.look_later(key)
            else:
                known = None
        try:
            if known is None:
                async with deadline.bound("original's store"):
                    known = await self._freshness.look(key)
        except OriginalNotFound as error:
            raise _missing(key) from error
        if known.version is None:
            raise _missing(key)
        return known.version

    @asynccontextmanager
    async def stage(self, plan: Plan, deadline: Deadline) -> AsyncIterator[tuple[tuple[str, Staged], ...]]:
        """Hold the images of the plan's marks on local disk for the block, each with its name in the plan."""
        async with AsyncExitStack() as stack:
            staged = []
            for image in plan.overlays:
                key = self.key_of(image)
                try:
                    original = await stack.enter_async_context(self._originals.stage(key, deadline))
                except OriginalNotFound as error:
                    raise _missing(key) from error
                staged.append((image, original))
            yield tuple(staged)


def _missing(key: str) -> MarkMissing:
    return MarkMissing(f"the watermark image {shown(key, 100)} does not exist")

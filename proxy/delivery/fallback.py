"""The original in place of a result: what `ignore-error` asks for when a picture cannot be rendered."""

from __future__ import annotations

import asyncio
import time

from proxy.delivery.originals import Staged
from proxy.delivery.result import Result, tag_of_made
from proxy.errors import Overloaded
from proxy.imaging.sniff import HEAD_BYTES, sniff
from proxy.plan.plan import Plan


async def original_as_result(plan: Plan, staged: Staged, renderer: str) -> Result:
    """The staged original as the result of `plan`; NotAnImage if it is not one of a kind that is served as such."""
    try:
        body = await asyncio.to_thread(staged.read)
    except OSError as error:
        raise Overloaded("too busy: the original could not be read back; try again in 1 s") from error
    found = sniff(body[:HEAD_BYTES])
    header = staged.inspected
    version, frames = staged.info.version, header.frames if header else 1
    return Result(
        body=body,
        media_type=found.media_type,
        width=header.width if header else 0,
        height=header.height if header else 0,
        frames=frames,
        version=version,
        modified=staged.info.modified,
        created=time.time(),
        seen=staged.seen,
        renderer=renderer,
        etag=tag_of_made(version, plan, renderer, media_type=found.media_type, frames=frames),
    )

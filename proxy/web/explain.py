"""`GET /-/explain/<any image path>`: how the URL was read, what it means, where the time went, why this format.

The picture is really made, by the same path as for a client, so what it says is what happens. Open to everybody who may
ask for the picture itself; the shipped nginx configuration closes `/-/` to the outside.
"""

from __future__ import annotations

import time

from aiohttp import web

from proxy.delivery.answer import Answer
from proxy.delivery.deadline import Deadline
from proxy.errors import OriginalNotFound, ProxyError
from proxy.plan.planner import describe
from proxy.plan.request import AskAdhoc, AskOriginal, AskPreset, ImageRequest
from proxy.plan.signing import signed_until
from proxy.web.conditional import Preconditions
from proxy.web.errors import json_bytes, status_of
from proxy.web.headers import PRIVATE
from proxy.web.state import SITE, Site

PREFIX = "/-/explain"


async def get_explanation(request: web.Request) -> web.Response:
    """Explain the picture URL behind the prefix; 200 also when the picture itself would be an error."""
    site = request.app[SITE]
    accept = request.query.get("accept") or request.headers.get("Accept")
    target = request.raw_path.removeprefix(PREFIX)
    said: dict[str, object] = {"target": target, "accept": accept, "presets_generation": site.book.generation}
    try:
        signed = signed_until(target, request.host, site.signing_keys, time.time()) is not None
        readings = site.planner.read(target, signed=signed)
        said["readings"] = [_reading(reading) for reading in readings]
        said |= await _explain_first(site, readings, accept)
    except ProxyError as error:
        said["error"] = {"status": status_of(error), "code": error.code, "detail": error.message}
    return web.Response(body=json_bytes(said), headers={**PRIVATE, "Content-Type": "application/json"})


async def _explain_first(site: Site, readings: tuple[ImageRequest, ...], accept: str | None) -> dict[str, object]:
    deadline = Deadline.after(site.deadline)
    for reading in readings:
        try:
            if isinstance(reading.asked, AskOriginal):
                info = await site.passthrough.stat(reading.key, deadline)
                kind = await site.passthrough.kind(info, deadline)
                original = {"bytes": info.size, "version": info.version, "format": kind.value if kind else None}
                return {"answer": "original", "original": original}
            plan = site.planner.plan(reading, accept)
            answer = await site.renderer.answer(plan, deadline, Preconditions())
            return {"answer": "picture", "plan": describe(plan), "format": _format(reading, accept), **_made(answer)}
        except OriginalNotFound:
            continue
    raise readings[0].not_found()


def _made(answer: Answer) -> dict[str, object]:
    result = answer.result
    said: dict[str, object] = {
        "outcome": answer.outcome.value,
        "found": answer.detail,
        "etag": answer.etag,
        "stages_ms": {stage: round(seconds * 1000, 2) for stage, seconds in answer.stages.seconds.items()},
    }
    if result is not None:
        said["result"] = {
            "media_type": result.media_type,
            "width": result.width,
            "height": result.height,
            "frames": result.frames,
            "bytes": len(result.body),
            "original_version": result.version,
            "renderer": result.renderer,
            "notes": list(result.notes),
        }
    return said


def _reading(reading: ImageRequest) -> dict[str, object]:
    match reading.asked:
        case AskOriginal():
            asked = "the original"
        case AskPreset(preset):
            asked = f"preset {preset.name}"
        case AskAdhoc(label=label):
            asked = f"ad hoc {label}"
    return {"key": reading.key, "asked": asked, "version_token": reading.version_token}


def _format(reading: ImageRequest, accept: str | None) -> str:
    """Why the result has its format, in words."""
    asked = reading.asked
    automatic = (isinstance(asked, AskPreset) and asked.preset.auto_format) or (
        isinstance(asked, AskAdhoc) and asked.auto_format
    )
    if isinstance(asked, AskPreset) and asked.preset.output.candidates:
        said = f"of those in Accept ({accept or 'none was sent'})" if automatic else "of those listed"
        return f"format is the smallest {said}; the result's notes have the sizes"
    if automatic:
        return f"format is auto: chosen from Accept ({accept or 'none was sent'}); wildcards do not count as support"
    return "format is fixed by the preset, or follows the original; Accept is not looked at"

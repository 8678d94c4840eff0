"""Log lines: one for each event, in batches, and never lost to a slow moment."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys

from proxy.logs import BATCH_SECONDS, Lines

SCRIPT = """
import asyncio
from proxy import logs
logs.configure("json", "info")
log = logs.get("test")
async def main():
    log.info("first", path="/caf\\udce9", number=1)
    try:
        raise ValueError("deep inside")
    except ValueError:
        log.exception("failed")
    log.info("last", thing=object)
asyncio.run(main())
log.info("after the loop")
"""


async def test_lines_leave_together() -> None:
    """A line without urgency waits a moment for others; a warning takes along what waits."""
    stream = io.StringIO()
    lines = Lines(stream)

    lines.info("one")
    lines.info("two")
    assert stream.getvalue() == ""
    await asyncio.sleep(BATCH_SECONDS * 2)
    assert stream.getvalue() == "one\ntwo\n"

    lines.info("three")
    lines.warning("four")
    assert stream.getvalue() == "one\ntwo\nthree\nfour\n"


async def test_warnings_in_a_flood_leave_together() -> None:
    """The first leaves at once, those that follow a moment later; an error does not wait, and takes them along."""
    stream = io.StringIO()
    lines = Lines(stream)

    for number in range(5):
        lines.warning(str(number))
    assert stream.getvalue() == "0\n"
    lines.error("5")
    assert stream.getvalue() == "0\n1\n2\n3\n4\n5\n"

    lines.warning("6")
    await asyncio.sleep(BATCH_SECONDS * 2)
    assert stream.getvalue().endswith("5\n6\n")


async def test_a_flood_does_not_wait() -> None:
    """Memory does not grow with the lines of a tenth of a second."""
    stream = io.StringIO()
    lines = Lines(stream)

    for number in range(1200):
        lines.info(str(number))

    assert stream.getvalue().count("\n") == 1000


def test_without_a_loop_lines_leave_at_once() -> None:
    """Nobody would come back for them."""
    stream = io.StringIO()

    Lines(stream).info("one")

    assert stream.getvalue() == "one\n"


def test_json_lines() -> None:
    """Each line is JSON with time, level and subject, whatever its values are; the end of the process loses none."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    events = [json.loads(line) for line in done.stderr.splitlines()]

    assert [event["event"] for event in events] == ["first", "failed", "last", "after the loop"]
    assert [event["level"] for event in events] == ["info", "error", "info", "info"]
    assert {event["subject"] for event in events} == {"test"}
    assert all(len(event["timestamp"]) == len("2026-01-02T03:04:05.678901Z") for event in events)
    assert events[0]["path"] == "/caf\udce9"
    assert "deep inside" in events[1]["exception"]
    assert events[0]["timestamp"] <= events[-1]["timestamp"]

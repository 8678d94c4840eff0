"""Structured logs: events with fields, one line each.

Every answer is a line, so a line must be cheap: JSON is written by an encoder that is made once, and lines of no
urgency leave in batches. What is at least a warning leaves at once, and takes along what waits before it.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import sys
import time
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import Processor

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
BATCH_SECONDS = 0.1
"""How long a line may wait for others; a process that is killed loses that much of its log."""
_BATCH_LINES = 500


def configure(style: Literal["auto", "json", "console"], level: str) -> None:
    """Send our own events and the standard library's log to standard error, in one style."""
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        _stamp,
    ]
    last: Processor
    if style == "json" or (style == "auto" and not sys.stderr.isatty()):
        shared.append(_write_exception)
        last = _write_json
    else:
        last = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    lines = Lines(sys.stderr)
    atexit.register(lines.flush)
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last]
        )
    )
    logging.basicConfig(level=max(LEVELS[level], logging.WARNING), handlers=[handler], force=True)


def get(subject: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one subject, such as `render` or `presets`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(subject=subject)
    return logger


class Lines:
    """A stream that is written in batches, while an event loop runs that can end them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Mutable state: what has not been written yet, and whether its time has been set.
        self._waiting: list[str] = []
        self._timed = False

    def info(self, line: str) -> None:
        """Write a line soon."""
        self._waiting.append(line)
        if len(self._waiting) >= _BATCH_LINES:
            self.flush()
        elif not self._timed:
            try:
                asyncio.get_running_loop().call_later(BATCH_SECONDS, self.flush)
            except RuntimeError:  # no loop runs: nobody would come back
                self.flush()
            else:
                self._timed = True

    def warning(self, line: str) -> None:
        """Write a line now."""
        self._waiting.append(line)
        self.flush()

    debug = info
    error = critical = fatal = exception = warning

    def flush(self) -> None:
        """Write what waits."""
        self._timed = False
        if self._waiting:
            text = "\n".join([*self._waiting, ""])
            self._waiting.clear()
            self._stream.write(text)
            self._stream.flush()


def _stamp(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The time in UTC as RFC 3339 has it; its seconds are written once a second."""
    now = time.time()
    event["timestamp"] = f"{_second(int(now))}.{int(now % 1 * 1_000_000):06d}Z"
    return event


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _write_exception(logger: object, name: str, event: MutableMapping[str, Any]) -> Any:
    return structlog.processors.format_exc_info(logger, name, event) if "exc_info" in event else event


def _write_json(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    """An event as a line of JSON."""
    try:
        return orjson.dumps(event, default=repr).decode()
    except TypeError:  # a client's broken bytes, as lone surrogates, which only an escape can hold
        return json.dumps(event, default=repr)

"""Structured logs: events with fields, one line each.

Every answer is a line, so a line must be cheap: an event becomes JSON in one step, and lines of no urgency leave in
batches. What is at least a warning leaves at once, and takes along what waits before it. In a flood, warnings leave in
batches, too: a server that refuses a thousand requests a second has no time for them. Errors never wait.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import sys
import time
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import Processor

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
BATCH_SECONDS = 0.1
"""How long a line may wait for others; a process that is killed loses that much of its log."""
FLOOD_SECONDS = 0.05
"""Warnings that follow lines so soon wait like those without urgency."""
_BATCH_LINES = 500


def configure(style: Literal["auto", "json", "console"], level: str) -> None:
    """Send our own events and the standard library's log to standard error, in one style."""
    lines = Lines(sys.stderr)
    atexit.register(lines.flush)
    shared: list[Processor] = [structlog.processors.add_log_level, _stamp]
    if style == "json" or (style == "auto" and not sys.stderr.isatty()):
        shared.append(_write_exception)
        last: Processor = _write_json
        wrapper: type[Any] = json_logger(LEVELS[level])
    else:
        last = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        wrapper = structlog.make_filtering_bound_logger(LEVELS[level])
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=wrapper,
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


def json_logger(least: int) -> type[structlog.BoundLoggerBase]:
    """A class of loggers that write events of this level (of `logging`) and above as lines of JSON.

    structlog's own does the same by a chain of functions, which took ten of the sixty microseconds of a hit.
    """

    class JsonLogger(structlog.BoundLoggerBase):
        def debug(self, event: str, **fields: Any) -> None:
            if least <= logging.DEBUG:
                self._logger.debug(_line("debug", event, self._context, fields))

        def info(self, event: str, **fields: Any) -> None:
            if least <= logging.INFO:
                self._logger.info(_line("info", event, self._context, fields))

        def warning(self, event: str, **fields: Any) -> None:
            if least <= logging.WARNING:
                self._logger.warning(_line("warning", event, self._context, fields))

        def error(self, event: str, **fields: Any) -> None:
            self._logger.error(_line("error", event, self._context, fields))

        def exception(self, event: str, **fields: Any) -> None:
            self.error(event, **{"exc_info": True, **fields})

    return JsonLogger


def _line(level: str, event: str, context: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    whole = {**context, **fields, "event": event, "level": level, "timestamp": _now()}
    return _write_json(None, level, _write_exception(None, level, whole))


class Lines:
    """A stream that is written in batches, while an event loop runs that can end them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Mutable state: what has not been written yet, whether its time has been set, and when lines left last.
        self._waiting: list[str] = []
        self._timed = False
        self._left = float("-inf")

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
        """Write a line now, unless others have just left."""
        if time.monotonic() - self._left < FLOOD_SECONDS:
            self.info(line)
        else:
            self.error(line)

    def error(self, line: str) -> None:
        """Write a line now."""
        self._waiting.append(line)
        self.flush()

    debug = info
    critical = fatal = exception = error

    def flush(self) -> None:
        """Write what waits."""
        self._timed = False
        if self._waiting:
            text = "\n".join([*self._waiting, ""])
            self._waiting.clear()
            self._left = time.monotonic()
            self._stream.write(text)
            self._stream.flush()


def _stamp(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["timestamp"] = _now()
    return event


def _now() -> str:
    """The time in UTC as RFC 3339 has it; its seconds are written once a second."""
    now = time.time()
    return f"{_second(int(now))}.{int(now % 1 * 1_000_000):06d}Z"


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

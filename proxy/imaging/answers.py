"""What render workers answer, as lines of text: the name of a kind, a space, JSON.

A worker may have been taken over by what it decodes; that is what the fences are for. So the front takes nothing from
it but plain values of known kinds. Python's own serialization (pickle) would run whatever a worker asks for, in the
process that holds the credentials. The other way, from the front to a worker, it is used.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import orjson

from proxy import errors
from proxy.errors import ProxyError
from proxy.imaging.job import NotAdmitted, RenderReport, SourceInfo
from proxy.imaging.tasks import Greeting, Inspected, Together

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LONGEST = 1 << 20
"""Bytes of a line. A report is some hundred, and nobody asks for a thousand pictures of one original."""


class TaskFailed(Exception):
    """A task ended in an error that is none of ours: a mistake in a worker's code. Holds the traceback."""


class StrangeAnswer(Exception):
    """What a worker wrote is no answer."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """An error of ours."""

    error: str
    """The name of its class."""
    message: str
    notes: tuple[str, ...] = ()
    """For the log."""


@dataclass(frozen=True, slots=True)
class _Unadmitted:
    header: SourceInfo


@dataclass(frozen=True, slots=True)
class _Failed:
    traceback: str


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """`Together`, in plain values."""

    outcomes: tuple[RenderReport | _Refused, ...]
    resident_bytes: int


_KINDS = (Greeting, Inspected, RenderReport, _Outcomes, _Refused, _Unadmitted, _Failed)
_ERRORS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ProxyError)}


def write_answer(answer: object) -> bytes:
    """The line of what a task returned or raised."""
    plain = _plain(answer)
    line = b"%b %b\n" % (type(plain).__name__.encode(), orjson.dumps(plain))
    if len(line) > LONGEST:
        raise ValueError(f"an answer of {len(line)} bytes is longer than the {LONGEST} allowed")
    return line


def read_answer(line: bytes) -> object:
    """What the task returned; raises what it raised, or StrangeAnswer."""
    kind, _, body = line.partition(b" ")
    reader = _readers().get(kind)
    if reader is None or not line.endswith(b"\n"):
        raise StrangeAnswer("a render worker's answer is of no known kind, or not whole")
    try:
        return _meant(reader.validate_json(body))
    except ValueError as error:  # pydantic's
        raise StrangeAnswer("a render worker's answer is not what its kind has") from error


def _plain(answer: object) -> object:
    match answer:
        case Together(outcomes, resident):
            refused = (_refused(one) if isinstance(one, ProxyError) else one for one in outcomes)
            return _Outcomes(tuple(refused), resident)
        case ProxyError():
            return _refused(answer)
        case NotAdmitted(header=header):
            return _Unadmitted(header)
        case BaseException():
            return _Failed(_written("".join(traceback.format_exception(answer))))
    return answer


def _refused(error: ProxyError) -> _Refused:
    notes = getattr(error, "__notes__", ())
    return _Refused(type(error).__name__, _written(error.message), tuple(_written(note) for note in notes))


def _written(text: str) -> str:
    """The text as JSON can have it: what a file says of itself may be no characters at all."""
    return text.encode(errors="replace").decode()


def _meant(plain: object) -> object:
    """The reverse of `_plain`, raising what is to be raised."""
    match plain:
        case _Outcomes(outcomes, resident):
            return Together(tuple(_error(one) if isinstance(one, _Refused) else one for one in outcomes), resident)
        case _Refused():
            raise _error(plain)
        case _Unadmitted(header):
            raise NotAdmitted(header)
        case _Failed(text):
            raise TaskFailed(text)
    return plain


def _error(refused: _Refused) -> ProxyError:
    kind: Callable[[str], ProxyError] | None = _ERRORS.get(refused.error)
    if kind is None:
        raise StrangeAnswer("a render worker's answer names an error that is none of ours")
    error = kind(refused.message)
    for note in refused.notes:
        error.add_note(note)
    return error


@cache
def _readers() -> dict[bytes, TypeAdapter[object]]:
    """Made when the first answer comes: workers, which only write, do without pydantic."""
    from pydantic import TypeAdapter  # noqa: PLC0415 -- see above

    return {kind.__name__.encode(): TypeAdapter(kind) for kind in _KINDS}

"""What render workers answer: a line with the name of a kind, the number of bytes that follow it, and JSON.

The bytes are the bodies of results, one after the other, as long as the reports in the JSON say.

A worker may have been taken over by what it decodes; that is what the fences are for. So the front takes nothing from
it but plain values of known kinds. Python's own serialization (pickle) would run whatever a worker asks for, in the
process that holds the credentials. The other way, from the front to a worker, it is used.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import orjson

from proxy import errors
from proxy.errors import ProxyError
from proxy.imaging.job import NotAdmitted, RenderReport, SourceInfo
from proxy.imaging.tasks import Greeting, Inspected, Together

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

LONGEST = 1 << 20
"""Bytes of a line. A report is some hundred, and nobody asks for a thousand pictures of one original."""
MOST_ENCLOSED = 8 << 20
"""Bytes that may follow a line."""


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


_COUNT = re.compile(rb"[0-9]{1,8}")
_KINDS = (Greeting, Inspected, RenderReport, _Outcomes, _Refused, _Unadmitted, _Failed)
_ERRORS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ProxyError)}


def write_answer(answer: object) -> bytes:
    """The line of what a task returned or raised, and what follows it."""
    plain, bodies = _plain(answer), list[bytes]()

    def enclose(body: object) -> str:
        if not isinstance(body, bytes):
            raise TypeError(f"{type(body).__name__} does not travel")
        bodies.append(body)
        return ""

    said = orjson.dumps(plain, default=enclose)
    line = b"%b %d %b\n" % (type(plain).__name__.encode(), sum(map(len, bodies)), said)
    if len(line) > LONGEST:
        raise ValueError(f"an answer of {len(line)} bytes is longer than the {LONGEST} allowed")
    return b"".join((line, *bodies))


def enclosed_bytes(line: bytes) -> int:
    """How many bytes follow this line; StrangeAnswer if it does not say, or too many."""
    count = line.split(b" ", 2)[1:2]
    if not count or not _COUNT.fullmatch(count[0]) or int(count[0]) > MOST_ENCLOSED:
        raise StrangeAnswer("a render worker's answer does not say what follows it")
    return int(count[0])


def read_answer(line: bytes, enclosed: bytes = b"") -> object:
    """What the task returned; raises what it raised, or StrangeAnswer."""
    kind, _, rest = line.partition(b" ")
    reader = _readers().get(kind)
    if reader is None or not line.endswith(b"\n"):
        raise StrangeAnswer("a render worker's answer is of no known kind, or not whole")
    try:
        plain = reader.validate_json(rest.partition(b" ")[2])
    except ValueError as error:  # pydantic's
        raise StrangeAnswer("a render worker's answer is not what its kind has") from error
    return _meant(_with_bodies(plain, memoryview(enclosed)))


def _with_bodies(plain: object, enclosed: memoryview) -> object:
    """The answer with the bodies that came after it, each where it belongs."""
    left = enclosed

    def filled(one: T) -> T:
        nonlocal left
        if not isinstance(one, RenderReport) or one.body is None:
            return one
        if one.body or not 0 <= one.size <= len(left):
            raise StrangeAnswer("a render worker's answer has other bytes than it says")
        body, left = bytes(left[: one.size]), left[one.size :]
        return replace(one, body=body)

    if isinstance(plain, _Outcomes):
        plain = replace(plain, outcomes=tuple(map(filled, plain.outcomes)))
    else:
        plain = filled(plain)
    if left:
        raise StrangeAnswer("a render worker's answer has more bytes than it says")
    return plain


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

"""What workers answer: every kind comes back as it was, and nothing else is believed."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from proxy import errors
from proxy.errors import CannotRender, Overloaded, ProxyError
from proxy.imaging.answers import (
    LONGEST,
    MOST_ENCLOSED,
    StrangeAnswer,
    TaskFailed,
    enclosed_bytes,
    read_answer,
    write_answer,
)
from proxy.imaging.job import NotAdmitted, RenderReport, SourceInfo
from proxy.imaging.tasks import Greeting, Inspected, Together
from proxy.plan.output import Format

HEADER = SourceInfo(Format.JPEG, 4000, 3000, 1, 3, False, 6, True, 36_000_000)
REPORT = RenderReport(
    Format.AVIF, 1234, 400, 300, 1, 0.0125, 0.5, 1 << 33, ("größer\nals", ""), "text/css", ((Format.WEBP, 80),), HEADER
)
WITH_BODY = replace(REPORT, size=5, body=b"\n\x00{} ")
ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ProxyError)]


def parts(answer: bytes) -> tuple[bytes, bytes]:
    """The line, and what follows it."""
    line, end, enclosed = answer.partition(b"\n")
    return line + end, enclosed


@pytest.mark.parametrize(
    "answer",
    [
        Greeting("libvips-8.18", 5, ("memory", "cpu")),
        Inspected(HEADER, 5),
        REPORT,
        replace(REPORT, header=None, notes=(), found=()),
        Together((), 0),
    ],
)
def test_answers_come_back(answer: object) -> None:
    """Of every kind, equal and of the same types, on one line whatever is in it."""
    line = write_answer(answer)

    assert (line.count(b"\n"), enclosed_bytes(line)) == (1, 0)
    assert repr(read_answer(line)) == repr(answer)


@pytest.mark.parametrize(
    "answer",
    [
        WITH_BODY,
        replace(REPORT, size=0, body=b""),
        Together((WITH_BODY, REPORT, replace(REPORT, size=1, body=b"\n")), 0),
    ],
)
def test_results_come_along(answer: object) -> None:
    """After the line, whatever is in them; among several, each goes to its own report."""
    line, enclosed = parts(write_answer(answer))

    assert enclosed_bytes(line) == len(enclosed)
    assert repr(read_answer(line, enclosed)) == repr(answer)


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_of_ours_comes_back(kind: type[ProxyError]) -> None:
    """By itself and among the outcomes of several renders: of its class, with its message."""
    with pytest.raises(kind) as raised:
        read_answer(write_answer(kind("too „much“")))
    assert (type(raised.value), raised.value.message) == (kind, "too „much“")

    together = read_answer(write_answer(Together((REPORT, kind("no"), REPORT), 7)))
    assert isinstance(together, Together)
    first, failed, last = together.outcomes
    assert (first, last, together.resident_bytes) == (REPORT, REPORT, 7)
    assert (type(failed), str(failed)) == (kind, "no")


def test_who_is_told_of_errors() -> None:
    """What else an error of ours may carry is of the front's own: a worker raises none of those."""
    assert {kind.__name__ for kind in ERRORS if vars(kind("x")).keys() != {"message"}} == {"Overloaded", "RangeRefused"}
    assert Overloaded("x").retry_after == 1


def test_what_is_for_the_log_comes_along() -> None:
    """The notes of an error, also where they are no characters."""
    error = CannotRender("no")
    error.add_note("webp: cannot parse")
    error.add_note("name \udcff")

    with pytest.raises(CannotRender) as raised:
        read_answer(write_answer(error))
    assert raised.value.__notes__ == ["webp: cannot parse", "name ?"]


def test_a_header_that_asks_for_more() -> None:
    """The question is raised with the header."""
    with pytest.raises(NotAdmitted) as raised:
        read_answer(write_answer(NotAdmitted(HEADER)))
    assert raised.value.header == HEADER


def test_other_errors_are_told() -> None:
    """With their traceback and what they came from, and never as what they are."""

    def inner() -> None:
        raise KeyError("inner")

    try:
        inner()
    except KeyError as error:
        outer = ValueError("outer")
        outer.__cause__ = error
        line = write_answer(outer)

    with pytest.raises(TaskFailed, match=r"(?s)test_answers\.py.*KeyError: 'inner'.*ValueError: outer"):
        read_answer(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}\n",
        b"RenderReport\n",
        b"RenderReport 0\n",
        b"RenderReport 0 {}\n",
        b"Greeting 0 null\n",
        b'Greeting 0 {"versions":1,"resident_bytes":"x","fences":[]}\n',
        write_answer(REPORT)[:-1],
        write_answer(REPORT)[:-2] + b"\n",
        write_answer(REPORT).replace(b'"avif"', b'"exe"'),
        write_answer(REPORT).replace(b"RenderReport", b"SourceInfo"),
        write_answer(CannotRender("no")).replace(b"CannotRender", b"SystemExit"),
        write_answer(CannotRender("no")).replace(b"CannotRender", b"annotations"),
        pickle.dumps(REPORT) + b"\n",
        b"\xff\xfe \x00\n",
        b"Greeting 0 " + b"[" * 100_000 + b"\n",
    ],
)
def test_anything_else_is_strange(line: bytes) -> None:
    """Half a line, another kind, other fields, no error of ours, a pickle: none of it is an answer."""
    with pytest.raises(StrangeAnswer):
        read_answer(line)


@pytest.mark.parametrize("count", [b"", b"-1", b"+1", b"1_0", b" 1", b"1.0", b"9" * 4000, b"%d" % (MOST_ENCLOSED + 1)])
def test_what_follows_is_bounded(count: bytes) -> None:
    """How much a front reads after a line is a number, and not more than it allows."""
    with pytest.raises(StrangeAnswer):
        enclosed_bytes(b"RenderReport " + count + b" {}\n")


@pytest.mark.parametrize(
    ("line", "enclosed"),
    [
        (write_answer(REPORT), b"more"),
        (parts(write_answer(WITH_BODY))[0], b"four"),
        (parts(write_answer(WITH_BODY))[0], b"sixsix"),
        (parts(write_answer(WITH_BODY))[0].replace(b'"size":5', b'"size":-1'), b"fives"),
        (parts(write_answer(WITH_BODY))[0].replace(b'"body":""', b'"body":"body"'), b"fives"),
        (parts(write_answer(WITH_BODY))[0].replace(b'"body":""', b'"body":5'), b"fives"),
    ],
)
def test_other_bytes_than_it_says(line: bytes, enclosed: bytes) -> None:
    """A body is as long as its report says and comes after the line: anything else is no answer."""
    with pytest.raises(StrangeAnswer):
        read_answer(line, enclosed)


def test_only_bodies_come_along() -> None:
    """What JSON does not have is a mistake of the worker's."""
    with pytest.raises(TypeError, match="set"):
        write_answer(Greeting({1}, 0, ()))  # type: ignore[arg-type]


def test_an_answer_is_bounded() -> None:
    """What is too long is a mistake of the worker's, and is not sent."""
    with pytest.raises(ValueError, match="longer than the 1048576 allowed"):
        write_answer(Greeting("x" * LONGEST, 0, ()))

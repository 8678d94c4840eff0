"""From exceptions to answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from proxy import errors
from proxy.errors import MethodRefused, Overloaded, ProxyError, RangeRefused, Unauthorized
from proxy.web.errors import STATUS, problem, problem_response, status_of
from proxy.web.headers import CacheDefaults

DEFAULTS = CacheDefaults(max_age=1, cdn_max_age=0, stale_while_revalidate=0, stale_if_error=0, negative=10)


def _all(root: type[ProxyError] = ProxyError) -> Iterator[type[ProxyError]]:
    yield root
    for child in root.__subclasses__():
        yield from _all(child)


@pytest.mark.parametrize("kind", list(_all()), ids=lambda kind: kind.__name__)
def test_every_error_has_an_answer(kind: type[ProxyError]) -> None:
    """Every class leads to a status, a stable code, and an explicit policy; 5xx is never kept."""
    error = kind("what happened")

    answer = problem(error, DEFAULTS)

    said = json.loads(bytes(answer.body))  # type: ignore[arg-type]
    assert said["status"] == answer.status == status_of(error)
    assert (answer.status == 500) is (kind is ProxyError)
    assert said["code"] == kind.code != ""
    assert said["detail"] == said["error"] == "what happened"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    kept = answer.headers["Cache-Control"]
    assert kept in ("no-store", "private, no-store", "public, max-age=10")
    if answer.status >= 499:
        assert kept == "no-store"


def test_table_names_roots_only() -> None:
    """The table has no line that its base class's line already says."""
    for kind, status in STATUS.items():
        parents = [base for base in kind.__mro__[1:] if base in STATUS and base is not ProxyError]
        assert all(STATUS[base] != status for base in parents), kind  # type: ignore[index]


def test_codes_are_words() -> None:
    """Codes are part of the public interface: lower case, words joined by underscores."""
    assert all(kind.code.replace("_", "").isalpha() and kind.code.islower() for kind in _all())
    assert errors.__doc__ is not None
    assert all(kind.__name__ in errors.__doc__ for kind in _all()), "the tree in errors.py misses a class"


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (Overloaded("full", retry_after=7), "Retry-After", "7"),
        (RangeRefused("beyond", size=123), "Content-Range", "bytes */123"),
        (MethodRefused("no"), "Allow", "GET, HEAD, OPTIONS"),
        (Unauthorized("who?"), "WWW-Authenticate", 'Bearer realm="imgbang"'),
    ],
)
def test_headers_of_their_own(error: ProxyError, name: str, value: str) -> None:
    """Some statuses come with a header that says what to do."""
    assert problem(error, DEFAULTS).headers[name] == value


def test_broken_text() -> None:
    """A message may hold bytes that are no UTF-8: they arrive as half surrogate pairs."""
    answer = problem_response(400, "invalid_key", "bad \udcff byte, good ü", {})

    assert json.loads(bytes(answer.body))["detail"] == "bad \udcff byte, good ü"  # type: ignore[arg-type]
    assert "ü".encode() in bytes(answer.body)  # type: ignore[arg-type]

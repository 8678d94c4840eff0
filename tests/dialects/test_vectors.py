"""Every case of every dialect, through HTTP: an original is made, requested, decoded and measured."""

from __future__ import annotations

import json

import pytest

from tests.dialects.cases import Case, coded, ensure_source, load_cases, place_of, sides
from tests.dialects.conftest import Servers
from tests.pictures import decoded


def check(case: Case, servers: Servers) -> None:
    """Ask for a case and measure the answer."""
    ensure_source(case, servers.originals)
    reply = servers.get(case.presets).get(case.target)
    assert reply.status == case.status, reply.body[:300]
    if case.status != 200:
        assert case.says in str(reply.json["error"])
        assert reply.json["status"] == case.status
        return
    if case.json:
        said = json.loads(reply.body)
        assert {name: said.get(name) for name in case.json} == case.json
        return
    picture = decoded(reply.body)
    if case.size is not None:
        width, height = sides(case.size)
        assert abs(picture.width - width) <= case.tolerance, picture.size
        assert abs(picture.height - height) <= case.tolerance, picture.size
    if case.format is not None:
        assert picture.format == case.format
    if case.at is not None:
        left, top = map(int, case.at.split(","))
        picture = picture.convert("RGB")
        corner = picture.getpixel((picture.width - 1, picture.height - 1))
        assert place_of(picture.getpixel((0, 0))) == (left, top)
        assert place_of(corner) == (left + picture.width - 1, top + picture.height - 1)


def _id(case: Case) -> str:
    return f"{case.id or case.dialect} {case.source} {case.request}"[:110]


@pytest.mark.parametrize("case", load_cases(), ids=_id)
def test_case(case: Case, servers: Servers, request: pytest.FixtureRequest) -> None:
    """What the vendor's documentation says, or what its rules come to."""
    request.node.user_properties += [("dialect", case.dialect), ("evidence", case.evidence)]
    check(case, servers)


def test_coded_pixels_say_where_they_are() -> None:
    """The measure itself: every pixel of a coded picture is read back as its place."""
    picture = coded(1100, 700)

    assert place_of(picture.getpixel((1099, 699))) == (1099, 699)
    assert place_of(picture.getpixel((255, 256))) == (255, 256)

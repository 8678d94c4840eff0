"""Every case of every dialect, through HTTP: an original is made, requested, decoded and measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.dialects.cases import Case, coded, ensure_source, load_cases, place_of, sides
from tests.dialects.conftest import Servers
from tests.pictures import decoded

VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors.tsv"
"""The acceptance rows, where this tree lies beside them; the project's own cases hold all of them and more."""

_HEADS = {
    "Q": ("qiniu", 'adhoc = "any"\ndialects = ["qiniu", "aliyun", "upyun"]', "/{key}?{request}"),
    "TC": ("tencent", 'adhoc = "any"\ndialects = ["tencent", "huawei", "volcengine"]', "/{key}?{request}"),
    "AL": ("aliyun", 'adhoc = "any"\ndialects = ["qiniu", "aliyun", "upyun"]', "/{key}?x-oss-process={request}"),
    "AX": ("aliyun", 'adhoc = "any"\ndialects = ["qiniu", "aliyun", "upyun"]', "/{key}?x-oss-process={request}"),
    "MX": ("upyun", 'adhoc = "any"\ndialects = ["qiniu", "aliyun", "upyun"]', "/{key}{request}"),
}


def rows() -> list[Case]:
    """The acceptance rows that say a size; those of dialects that are not there yet are left out."""
    there = {case.dialect for case in load_cases()}
    found = []
    for line in VECTORS.read_text(encoding="utf-8").splitlines()[1:] if VECTORS.exists() else []:
        name, source, request, result, evidence, _ = [*line.split("\t"), ""][:6]
        prefix = "Q" if name.startswith("Q") else name.partition("-")[0]
        size = re.match(r"\d+x\d+", result)
        if prefix not in _HEADS or size is None or "<b64>" in request or "veImageX" in request:
            continue
        dialect, presets, url = _HEADS[prefix]
        at = re.search(r"@(\d+,\d+)", result)
        tolerance = 3 if "tolerance" in result else 0
        if dialect in there:
            found.append(
                Case(
                    dialect, presets, url, source.partition(" ")[0], request.strip("`").removeprefix("Upyun "), size[0],
                    tolerance=tolerance, at=at[1] if at else None, orientation=6 if "O6" in source else 1,
                    kind="jpg", evidence=f"row {evidence}", id=name,
                )
            )  # fmt: skip
    return found


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


@pytest.mark.skipif(not VECTORS.exists(), reason="the acceptance rows are not beside this tree")
@pytest.mark.parametrize("case", rows(), ids=_id)
def test_row(case: Case, servers: Servers, request: pytest.FixtureRequest) -> None:
    """An acceptance row."""
    request.node.user_properties += [("dialect", case.dialect), ("evidence", case.evidence)]
    check(case, servers)


def test_coded_pixels_say_where_they_are() -> None:
    """The measure itself: every pixel of a coded picture is read back as its place."""
    picture = coded(1100, 700)

    assert place_of(picture.getpixel((1099, 699))) == (1099, 699)
    assert place_of(picture.getpixel((255, 256))) == (255, 256)

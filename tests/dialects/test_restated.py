"""Thousands of random commands against the vendors' arithmetic, computed; a few dozen of them rendered, through HTTP."""

from __future__ import annotations

from random import Random
from urllib.parse import quote

import pytest

from proxy.errors import InvalidCommand
from proxy.plan.operations import Size, final_size
from proxy.plan.planner import Planner, PresetBook
from proxy.plan.preset_file import read_presets
from tests.dialects.cases import coded, place_of
from tests.dialects.conftest import Servers
from tests.dialects.restated import Outcome, a_size
from tests.dialects.restated_vendors import CUTS, DRAWS
from tests.pictures import decoded, encoded

FIRST = {"veimagex": "volcengine"}
COMPUTED = 4000
RENDERED = 40


def settings(vendor: str) -> str:
    """Presets that read this vendor's commands."""
    return f'adhoc = "any"\ndialects = ["{FIRST.get(vendor, vendor)}"]'


def escaped(text: str, random: Random) -> str:
    """As some client sends it: as it is, or with what is not safe in a URL escaped."""
    return random.choice((quote(text, safe="/!@|<>^,:~="), quote(text, safe="/~!")))


def same(size: tuple[int, int], outcome: Outcome) -> bool:
    """Whether a size is the one that was computed."""
    assert outcome.size is not None
    slack = 3 if outcome.loose else 0
    return abs(size[0] - outcome.size[0]) <= slack and abs(size[1] - outcome.size[1]) <= slack


@pytest.mark.parametrize("vendor", DRAWS)
@pytest.mark.parametrize("seed", range(2))
def test_sizes(vendor: str, seed: int, request: pytest.FixtureRequest) -> None:
    """The planner comes to the size that the documentation comes to, and refuses what it refuses."""
    before, draw = DRAWS[vendor]
    random = Random(f"{vendor} {seed}")
    planner = Planner(PresetBook(read_presets(settings(vendor))))
    wrong, refused = [], 0
    for _ in range(COMPUTED):
        size = a_size(random)
        outcome = draw(random, size)
        if outcome.size is not None and max(outcome.size) > 30_000:
            continue
        url = f"/cat.jpg{before}{escaped(outcome.text, random) if before else outcome.text}"
        try:
            found = final_size(planner.plan(planner.read(url)[0]).operations, Size(*size))
        except InvalidCommand as error:
            refused += 1
            if outcome.size is not None or "outside of the picture" not in error.message:
                wrong.append(f"{size} {url}: {error.message}, not {outcome.size}")
            continue
        if outcome.size is None or not same((found.width, found.height), outcome):
            wrong.append(f"{size} {url}: {found}, not {outcome.size}")

    request.node.user_properties += [("dialect", vendor), ("evidence", f"restated, {COMPUTED} commands")]
    assert not wrong, "\n".join(wrong[:20])
    assert refused < COMPUTED / 2


@pytest.mark.parametrize("vendor", DRAWS)
def test_rendered_sizes(vendor: str, servers: Servers) -> None:
    """What was computed is what comes out."""
    before, draw = DRAWS[vendor]
    random = Random(f"rendered {vendor}")
    server = servers.get(settings(vendor))
    originals = [(640, 427), (100, 333), (50, 50), (1, 90)]
    for size in originals:
        (servers.originals / f"restated-{size[0]}x{size[1]}.png").write_bytes(encoded(coded(*size), "PNG"))
    done = 0
    while done < RENDERED:
        size = random.choice(originals)
        outcome = draw(random, size)
        if outcome.size is not None and max(outcome.size) > 2000:
            continue
        done += 1
        url = f"/restated-{size[0]}x{size[1]}.png{before}{quote(outcome.text, safe='/~!@|<>^,:=')}"
        reply = server.get(url)
        if outcome.size is None:
            assert reply.status == 400, url
            assert "outside of the picture" in str(reply.json["error"])
        else:
            # An intermediate picture may be larger than what is rendered here.
            assert reply.status == 200 or reply.json["code"] == "result_too_large", (url, reply.body[:200])
            assert reply.status != 200 or same(decoded(reply.body).size, outcome), url


@pytest.mark.parametrize("vendor", CUTS)
def test_rendered_places(vendor: str, servers: Servers) -> None:
    """The pixels that come out are those of the box: their colours say where they were."""
    before, draw = CUTS[vendor]
    random = Random(f"places {vendor}")
    server = servers.get(settings(vendor))
    size = (311, 208)
    (servers.originals / "restated-place.png").write_bytes(encoded(coded(*size), "PNG"))
    done = 0
    while done < RENDERED:
        outcome = draw(random, size)
        if outcome.size is None or outcome.corner is None:
            continue
        done += 1
        url = f"/restated-place.png{before}{quote(outcome.text, safe='/~!@|<>^,:=')}"
        picture = decoded(server.get(url).body).convert("RGB")
        left, top = outcome.corner
        width, height = outcome.size
        assert picture.size == outcome.size, url
        assert place_of(picture.getpixel((0, 0))) == (left, top), url
        assert place_of(picture.getpixel((width - 1, height - 1))) == (left + width - 1, top + height - 1), url


def test_the_comparison_can_fail() -> None:
    """A size that is off by one is told from the right one."""
    assert same((200, 133), Outcome("", (200, 133)))
    assert not same((200, 134), Outcome("", (200, 133)))
    assert not same((207, 133), Outcome("", (200, 133), loose=True))

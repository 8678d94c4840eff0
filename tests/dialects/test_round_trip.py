"""Any key with any separators, and any bytes at all: keys come back as themselves, and nothing breaks the service."""

from __future__ import annotations

from random import Random
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.plan.dialects import parse
from proxy.plan.preset_file import read_presets
from proxy.plan.presets import LEGAL_SEPARATORS
from proxy.plan.request import AskOriginal, AskPreset, ImageRequest
from tests.dialects.conftest import Servers
from tests.dialects.restated_vendors import DRAWS
from tests.pictures import coordinates, decoded, encoded

SEGMENT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=12),
    st.text(LEGAL_SEPARATORS.replace("/", "") + "thumb.fw20", min_size=1, max_size=12),
    st.sampled_from(
        ["!", "fw", "a!", "!thumb", "cat.jpg!thumb", "tplv-x-thumb.image", "a~tplv-x:1:1.png", "style", "50x50"]
    ),
).filter(lambda segment: segment not in (".", ".."))
KEY = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join).filter(lambda key: not key.startswith("-/"))
SEPARATORS = st.lists(st.sampled_from(LEGAL_SEPARATORS), min_size=1, max_size=5, unique=True)


def asked(readings: tuple[ImageRequest, ...]) -> list[tuple[str, str]]:
    """The key of each reading, and what is asked of it."""
    kinds: dict[type, str] = {AskOriginal: "original", AskPreset: "preset"}
    return [(reading.key, kinds.get(type(reading.asked), "command")) for reading in readings]


@settings(max_examples=1000, deadline=None)
@given(KEY, SEPARATORS, st.data())
def test_every_key_under_every_separator(key: str, separators: list[str], data: st.DataObject) -> None:
    """As it stands, a key is one of its URL's readings; behind a separator, a preset of it is the first."""
    listed = ", ".join("'\"'" if each == '"' else f'"{each}"' for each in separators)
    snapshot = read_presets(f'separators = [{listed}]\nadhoc = "any"\ndialects = "all"\n[presets.thumb]\nwidth = 5')
    separator = data.draw(st.sampled_from(separators))
    escaped = quote(key, safe=data.draw(st.sampled_from(["/", "/!$&'()*+,;=:@~-_"])))

    assert (key, "original") in asked(parse(f"/{escaped}", snapshot))
    assert asked(parse(f"/{escaped}{separator}thumb", snapshot))[0] == (key, "preset")
    assert (key, "preset") in asked(parse(f"/{escaped}{quote(separator, safe='')}thumb", snapshot))


KEYS = (
    "a b.jpg", "a+b.jpg", "a%20b.jpg", "100%.jpg", "猫.jpg", "é.jpg", "e\u0301.jpg", "😀.jpg", "a&b=c;d.jpg", "a?b#c.jpg",
    "wow!cat.jpg", "cat.jpg!thumb", "my-dir/a-b_c.jpg", "it's (1) [2] {3}.jpg", '"quoted".jpg', "<tag>.jpg", "a|b^c`d.jpg",
    "a@b$c~d.jpg", "a,b:c*d.jpg", "no-extension", ".hidden.jpg", "a/b/c/d.jpg", "x!/y.jpg", "fw/1!/fw.jpg",
)  # fmt: skip


@pytest.mark.parametrize("separators", [["!"], ["-", "_", "!"], ["/", "@", ";"], ["~", "^", '"', "|"]], ids="".join)
def test_keys_through_http(separators: list[str], servers: Servers) -> None:
    """Originals come back byte for byte, and as presets, raw or escaped."""
    listed = ", ".join("'\"'" if each == '"' else f'"{each}"' for each in separators)
    server = servers.get(f'separators = [{listed}]\ndialects = "all"\nadhoc = "any"\n[presets.thumb]\nwidth = 5')
    for number, key in enumerate(KEYS):
        path = servers.originals / key
        path.parent.mkdir(parents=True, exist_ok=True)
        body = encoded(coordinates(20 + number, 10), "JPEG")
        path.write_bytes(body)
    for number, key in enumerate(KEYS):
        escaped = quote(key, safe="/")
        original = server.get(f"/{escaped}")
        thumb = server.get(f"/{escaped}{quote(separators[number % len(separators)], safe='/!@-_;~')}thumb")

        if (
            not key.endswith("!thumb") or "!" not in separators
        ):  # which is a preset of another key first, if that exists
            assert original.status == 200, key
            assert decoded(original.body).size == (20 + number, 10), key
        assert thumb.status == 200, (key, thumb.body[:200])
        assert decoded(thumb.body).width == 5, key


@pytest.mark.parametrize("vendor", DRAWS)
def test_damaged_commands(vendor: str, servers: Servers) -> None:
    """Commands with bytes changed, lost and added are pictures or refused; never a failure of ours."""
    before, draw = DRAWS[vendor]
    random = Random(f"damaged {vendor}")
    presets = f'adhoc = "any"\ndialects = ["{"volcengine" if vendor == "veimagex" else vendor}"]\n# damaged'
    server = servers.get(presets, {"IMGBANG_MAX_RESULT_PIXELS": "300000"})
    (servers.originals / "small.jpg").write_bytes(encoded(coordinates(64, 48), "JPEG"))
    seen = set()
    for _ in range(250):
        text = bytearray(f"{before}{draw(random, (64, 48)).text}".encode())
        for _ in range(random.randint(0, 4)):
            at = random.randrange(len(text))
            text[at : at + random.randint(0, 2)] = random.choice(
                (b"", b"/", b"|", b"x", b"!", b"0", b"%", b"%00", random.randbytes(2))
            )
            text = text or bytearray(b"!")
        raw = b"/small.jpg" + bytes(text).translate(None, b" \t\r\n\v\f\0")
        reply = server.raw(b"GET " + raw + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        status = int(reply[9:12])
        seen.add(status)
        assert status < 500, (raw, reply[:300])
    assert {200, 400} <= seen

"""The benchmark's arithmetic, and one tiny run of each kind."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from bench import report as reporting
from bench.bucket import bucket
from bench.client import Pool, Reply
from bench.cold import cold
from bench.corpus import corpus, is_turned, positions, upright
from bench.curve import curve
from bench.effort import effort
from bench.figures import (
    constant_schedule,
    counted,
    last_half,
    markdown,
    paired_ratio,
    percentile,
    shown,
    slope,
    sparkline,
    thinned,
    turns,
)
from bench.floor import least_size
from bench.herd import herd
from bench.hits import hits
from bench.load import Generator
from bench.nginx import nginx
from bench.overload import overload
from bench.plot import line_plot, round_step
from bench.soak import mixed_requests, soak
from bench.start import start
from bench.timetable import Timetable
from bench.workload import BOXES, Box, ColdNames, Photos, Request, gather_photos, image_path, peer_paths
from tests.pictures import coordinates, encoded


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 3), (0.8, 4), (0.99, 5), (1.0, 5)])
def test_percentiles_are_values_that_were_measured(share: float, expected: float) -> None:
    """The nearest rank, no interpolation."""
    assert percentile([5, 1, 4, 2, 3], share) == expected


def test_nothing_has_no_percentile() -> None:
    """No samples: not a number, rather than a good-looking zero."""
    assert math.isnan(percentile([], 0.5))


def test_ratios_are_taken_pair_by_pair() -> None:
    """A machine that slows down by half between two pairs changes no ratio."""
    ratio = paired_ratio([20.0, 10.0, 5.0], [10.0, 5.0, 2.5])

    assert (ratio.median, ratio.lowest, ratio.highest) == (2.0, 2.0, 2.0)


def test_the_order_turns_with_each_repeat() -> None:
    """A B, then B A."""
    assert turns(["a", "b"], 3) == [["a", "b"], ["b", "a"], ["a", "b"]]


def test_a_constant_schedule_is_even() -> None:
    """Two seconds of four a second: eight, a quarter apart."""
    assert constant_schedule(4, 2, start=1) == [1 + index / 4 for index in range(8)]


def test_slope_and_last_half() -> None:
    """A curve that rises first and is flat then has no slope in its last half."""
    points = [(0.0, 0.0), (1.0, 5.0), (2.0, 9.0), (3.0, 9.0), (4.0, 9.0)]

    assert slope(points) > 1
    assert slope(last_half(points)) == 0
    assert slope([(0.0, 1.0), (2.0, 5.0)]) == 2
    assert math.isnan(slope([(0.0, 1.0)]))


def test_curves_in_text() -> None:
    """Few points stay, many are thinned to the first, the last and some between."""
    assert thinned([1, 2], 5) == [1, 2]
    assert thinned(list(range(101)), 3) == [0, 50, 100]
    assert sparkline([0, 4, 8]) == "▁▅█"


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1234"), (12.345, "12.3"), (0.01234, "0.0123"), (0.0, "0"), (math.nan, "–"), (7, "7")]
)
def test_numbers_show_three_digits(value: float, text: str) -> None:
    """More would be noise."""
    assert shown(value) == text


def test_tables_are_aligned() -> None:
    """Readable as text and as Markdown."""
    assert markdown(["a", "bcd"], [["longer", 1.5]]) == "| a      | bcd  |\n| ------ | ---- |\n| longer | 1.50 |"
    assert counted({503: 2, 200: 40}) == "200: 40, 503: 2"


def test_a_plot_is_svg_with_every_line() -> None:
    """Names are escaped; steps are round."""
    plot = line_plot("memory", "s", "MiB", {"a<b": [(0, 1), (10, 250)]})

    assert plot.startswith("<svg ")
    assert "a&lt;b" in plot
    assert round_step(250) == 50


def test_least_sizes() -> None:
    """A cover's shorter side fills the box, an inside's longer one does; nothing is enlarged."""
    assert least_size(400, 200, Box("x", 50, 50, cover=True)) == (100, 50)
    assert least_size(400, 200, Box("x", 50, 50)) == (50, 25)
    assert least_size(30, 20, Box("x", 50, 50)) == (30, 20)


def test_cold_names_never_repeat(tmp_path: Path) -> None:
    """Every round is every photo once, under names that nobody has asked for."""
    photos = make_photos(tmp_path)
    names = ColdNames(photos, list(photos.names))
    keys = names.rounds(2) + names.at_least(3)

    assert len(set(keys)) == len(keys) == 7
    assert all((photos.root / key).is_file() for key in keys)


def test_peers_are_asked_by_template() -> None:
    """The photo's own name and box, escaped, and a number for those who need distinct URLs."""
    paths = peer_paths("/fit-in/{w}x{h}/{file}?{n}", ["c1/a b.jpg", "c2/c.jpg"], BOXES[1])

    assert list(paths) == ["/fit-in/400x400/a%20b.jpg?0", "/fit-in/400x400/c.jpg?1"]
    assert image_path("c1/a b.jpg", BOXES[0]) == "/c1/a%20b.jpg!thumb"


def test_mixture_has_every_kind(tmp_path: Path) -> None:
    """Broken files only where there are some; conditions carry the tags that were seen."""
    photos = make_photos(tmp_path)
    without = mixed_requests(photos, [], {"/x": '"tag"'}, count=500)
    with_broken = mixed_requests(photos, ["bad.jpg"], {"/x": '"tag"'}, count=500)

    assert {one.kind for one in without} == {"picture", "conditional", "original", "missing"}
    assert {one.kind for one in with_broken} == {"picture", "conditional", "original", "missing", "broken"}
    assert {one.headers for one in without if one.kind == "conditional"} == {(("If-None-Match", '"tag"'),)}


REPLIES: dict[bytes, tuple[bytes, Reply]] = {
    b"/length": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Reply(200, 3)),
    b"/same": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", Reply(304, 0)),
    b"/busy": (b"HTTP/1.1 503 No\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n", Reply(503, 0, retry_after=True)),
    b"/chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Reply(200, 0)),
    b"/close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", Reply(200, 1)),
    b"/cut": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Reply(0, 0)),
}


async def test_the_client_counts_answers() -> None:
    """Lengths, chunks, no body at all, closed and broken connections; byte by byte is as good as at once."""
    for pieces in (whole, bytewise):
        async with raw_server(pieces) as port:
            pool = Pool("127.0.0.1", port)
            for target, (_, expected) in REPLIES.items():
                got = await asyncio.wait_for(pool.ask(Request("x", target.decode())), 5)
                assert got == expected, target
            pool.close()


@pytest.mark.parametrize("apart", [0.005, 0.0])
@pytest.mark.parametrize("pieces", ["whole", "bytewise"])
async def test_the_timetable_counts_answers(pieces: str, apart: float) -> None:
    """The same through the sender without an event loop, one request after the other and all at once."""
    found: dict[str, Reply] = {}
    arrivals = [(number * apart, Request("x", target.decode())) for number, target in enumerate(REPLIES)]
    async with raw_server({"whole": whole, "bytewise": bytewise}[pieces]) as port, asyncio.timeout(5):
        table = Timetable("127.0.0.1", port, lambda request, _due, _sent, reply: found.update({request.path: reply}))
        began = time.perf_counter()
        await asyncio.to_thread(table.run, arrivals, lambda: time.perf_counter() - began)

    assert found == {target.decode(): reply for target, (_, reply) in REPLIES.items()}


async def test_nobody_is_there() -> None:
    """A server that does not answer the door fails every request, and a connection that it closed is not used again."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    statuses: list[int] = []
    table = Timetable("127.0.0.1", port, lambda _request, _due, _sent, reply: statuses.append(reply.status))
    table.run([(0.0, Request("x", "/")), (0.01, Request("x", "/"))], lambda: 1.0)

    assert statuses == [0, 0]


def whole(data: bytes) -> list[bytes]:
    return [data]


def bytewise(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


@asynccontextmanager
async def raw_server(pieces: Callable[[bytes], list[bytes]]) -> AsyncIterator[int]:
    """A server that answers each target of `REPLIES` with exactly those bytes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            while (await reader.readline()).strip():
                pass
            target = line.split()[1]
            for piece in pieces(REPLIES[target][0]):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if target in (b"/close", b"/cut"):
                break
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_latency_counts_from_the_intended_time() -> None:
    """A server that stalls once is charged for every request that was due meanwhile: no coordinated omission."""
    gate = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            await gate.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    arrivals = [(due, Request("x", "/")) for due in constant_schedule(50, 0.4)]
    with Generator() as generator:
        running = asyncio.create_task(asyncio.to_thread(generator.constant, url, arrivals))
        # The generator's process has to start first; the stall outlasts the schedule by far.
        await asyncio.sleep(2.5)
        gate.set()
        run = await running
    server.close()

    assert len(run.samples) == 20
    assert max(one.late for one in run.samples) < 0.3
    first, last = run.samples[0], max(run.samples, key=lambda one: one.due)
    assert first.seconds > last.seconds + 0.2


def make_photos(folder: Path) -> Photos:
    """Two little pictures, gathered as a run's photos."""
    source = folder / "source"
    source.mkdir()
    Image.effect_noise((640, 480), 60).convert("RGB").save(source / "one.jpg")
    Image.effect_noise((64, 48), 60).convert("RGB").save(source / "two.png")
    return gather_photos(source, folder / "images")


def _placed(exif: Image.Exif) -> Image.Exif:
    exif.get_ifd(0x8825)[2] = (48.0, 12.0, 0.5)
    return exif


def test_a_position_that_is_left_is_found(tmp_path: Path) -> None:
    """Whoever judges must see a leak where there is one, and none where there is none."""
    picture = coordinates(80, 60)
    picture.save(tmp_path / "leak.jpg", exif=_placed(Image.Exif()))
    picture.save(tmp_path / "clean.jpg")

    assert positions(tmp_path) == ["leak.jpg"]


@pytest.mark.parametrize("way", [None, *Image.Transpose])
def test_a_picture_that_lies_on_its_side_is_seen(tmp_path: Path, way: Image.Transpose | None) -> None:
    """The right way up is right, each of the seven others is not; a picture without features is not judged."""
    picture = coordinates(80, 60)
    picture.save(tmp_path / "one.png")
    reference = upright(tmp_path / "one.png")
    assert reference is not None
    shown = picture if way is None else picture.transpose(way)

    assert is_turned(encoded(shown, "PNG"), reference) is (way is not None)
    assert is_turned(encoded(Image.new("RGB", (80, 60), "red"), "PNG"), reference * 0) is None


@pytest.mark.integration
def test_every_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tiny parameters: tables are printed, JSON is written, answers are what they should be."""
    monkeypatch.setattr(reporting, "OUT", tmp_path / "out")
    monkeypatch.setattr("bench.soak.OUT", tmp_path / "out")
    monkeypatch.setattr("bench.curve.OUT", tmp_path / "out")
    make_photos(tmp_path)
    photos = tmp_path / "source"

    paths = [
        cold(photos, repeats=1, rounds=1, connections=2, peers={}).save(),
        hits(photos, repeats=1, seconds=0.1, connections=2, boxes=BOXES[:1]).save(),
        herd(photos, connections=20, repeats=1).save(),
        overload(photos, factors=[2.0], seconds=1.0, hit_rate=10.0).save(),
        soak(photos, None, minutes=0.03, connections=2, interval=0.5, rest=0.0).save(),
        corpus(photos, rest=0.0).save(),
        nginx(photos, repeats=1, seconds=0.1, connections=2).save(),
        bucket(photos, repeats=1, seconds=0.1, connections=2).save(),
        start(photos, repeats=1).save(),
        curve(photos, repeats=1, sizes=(0.1,), workers=(1,), seconds=0.1).save(),
    ]

    printed = capsys.readouterr().out
    assert [json.loads(path.read_text(encoding="utf-8"))["name"] for path in paths] == [
        "cold", "hits", "herd", "overload", "soak", "corpus", "nginx", "bucket", "start", "curve",
    ]  # fmt: skip
    assert "Answers other than expected: none" in printed
    assert "other (" not in printed
    assert (tmp_path / "out" / "soak.svg").read_text(encoding="utf-8").startswith("<svg")


def test_efforts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each effort of each encoder, the default among them whatever is tried."""
    monkeypatch.setattr(reporting, "OUT", tmp_path / "out")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(encoded(coordinates(64, 48), "JPEG"))

    for others in (False, True):
        effort(tmp_path / "photos", sizes=[32], most=1, highest=1, others=others).save()

    printed = capsys.readouterr().out
    assert "### 32 px: avif of quality 64 by effort, 1 photos" in printed
    assert printed.count("(default)") >= 2
    assert "### 32 px: ns a pixel by effort in presets, 1 photos" in printed

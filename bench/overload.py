"""Overload: distinct cold URLs at a constant rate, several times what the server can do, with hits on the side."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import constant_schedule, counted, percentile
from bench.load import Generator, Run, Sample, milliseconds
from bench.report import Report
from bench.servers import MIB, Imgbang, start_imgbang
from bench.workload import BOXES, JPEG, ColdNames, Photos, Request, gather_photos, image_path

BOX = BOXES[1]
HIT, MISS = "hit", "miss"
_ROUNDS = 8
"""Rounds of photos that the capacity is measured with, at least. Two seconds tell it to 3 %, ten to 1 %."""


def overload(
    photos: Path | None, *, factors: list[float], seconds: float, hit_rate: float, new_folders: bool = False
) -> Report:
    """Find the capacity, then send several times as much.

    `new_folders`: of photos in folders without any results. That there is nothing in those the kernel knows without
    asking the disk, once one look has found them absent. Most new photos are in folders of which others were asked for.
    """
    settings = {"factors": factors, "seconds": seconds, "hit_rate": hit_rate, "new_folders": new_folders}
    report = Report("overload", settings)
    rows: list[list[object]] = []
    memory: list[list[object]] = []
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        gathered = gather_photos(photos, home / "images")
        names = ColdNames(gathered, gathered.only(JPEG))
        generator = stack.enter_context(Generator())
        for number, factor in enumerate(factors):
            env = {"IMGBANG_RESULTS": (home / f"results-{number}").as_uri()}
            with start_imgbang(home / f"imgbang-{number}", gathered.root, env) as server:
                rounds = max(_ROUNDS, round(seconds))  # about a sixth of the time, on two cores
                first, front = _capacity(server, generator, names, rounds)
                hits = _make_hits(server, gathered)
                rate = first * factor
                keys = names.at_least(round(rate * seconds))
                if not new_folders:
                    _make_folders(home / f"results-{number}", keys)
                misses = zip(
                    constant_schedule(rate, seconds),
                    (Request(MISS, image_path(key, BOX)) for key in keys),
                    strict=False,
                )
                side = [
                    (due, hits[index % len(hits)])
                    for index, due in enumerate(constant_schedule(hit_rate, seconds, start=0.5 / hit_rate))
                ]
                before, since = sum(server.resident().values()), server.cpu_seconds()[0]
                run = generator.constant(server.url, [*misses, *side])
                after, spent = sum(server.resident().values()), server.cpu_seconds()[0] - since
                server.wait_quiet()
                second, _ = _capacity(server, generator, names, rounds)
            rows += _rows(factor, (first + second) / 2, seconds, run)
            refused = len(run.of(MISS, 503))
            rest = spent - front * len(run.of(MISS, 200))
            refusal = rest / refused * 1000 if refused else float("nan")
            late = percentile([one.late for one in run.samples], 0.99) * 1000
            share = run.generator_cpu / run.seconds
            memory.append([f"{factor:g}", first, second, before / MIB, after / MIB, front * 1000, refusal, share, late])
            report.raw[f"{factor:g}"] = {
                kind: counted(Counter(one.status for one in run.of(kind))) for kind in (MISS, HIT)
            }
    report.table(
        f"Overload: distinct cold URLs at {BOX}{', in new folders' if new_folders else ''}, "
        f"{hit_rate:g} hits/s on the side, {seconds:g} s each",
        ["times capacity", "class", "answers", "per second", "of capacity", "p50 ms", "p99 ms", "Retry-After"],
        rows,
        note="Times count from when each request was due. The capacity is the mean of one before and one after.",
    )
    report.table(
        "Overload: the server",
        [
            "times capacity", "capacity/s before", "and after", "MiB before", "MiB after", "front ms/render",
            "front ms/refusal", "generator's cores", "generator late, p99 ms",
        ],
        memory,
        note="CPU of the front for a refusal: all of it, less what as many renders cost it while it was not overloaded.",
    )  # fmt: skip
    return report


def _capacity(server: Imgbang, generator: Generator, names: ColdNames, rounds: int) -> tuple[float, float]:
    """Of a busy but not overloaded server: renders per second, and CPU seconds of the front for each."""

    def run(count: int) -> Run:
        return generator.closed(server.url, [Request(MISS, image_path(key, BOX)) for key in names.rounds(count)], 6)

    run(2)
    since = server.cpu_seconds()[0]
    measured = run(rounds)
    front = server.cpu_seconds()[0] - since
    if set(measured.statuses) != {200}:
        raise SystemExit(f"the capacity cannot be measured: {counted(measured.statuses)}")
    return measured.rate, front / len(measured.samples)


def _make_hits(server: Imgbang, photos: Photos) -> list[Request]:
    paths = [image_path(f"c0/{name}", BOX) for name in photos.only(JPEG)]
    for path in paths:
        server.get(path)
    server.wait_quiet()
    return [Request(HIT, path) for path in paths]


def _make_folders(results: Path, keys: list[str]) -> None:
    """Make the folders of the results, as if other photos of theirs were asked for before."""
    for folder in {Path(key).parent for key in keys}:
        (results / folder).mkdir(parents=True, exist_ok=True)


def _rows(factor: float, capacity: float, seconds: float, run: Run) -> list[list[object]]:
    misses = run.of(MISS)
    strange = [one.status for one in misses if one.status not in (200, 503)]
    classes: dict[str, list[Sample]] = {
        "rendered": [one for one in misses if one.status == 200],
        "refused, 503": [one for one in misses if one.status == 503],
        f"other ({counted(Counter(strange))})": [one for one in misses if one.status not in (200, 503)],
        "hits": run.of(HIT, 200),
        "hits failed": [one for one in run.of(HIT) if one.status != 200],
    }
    rows = []
    for name, samples in classes.items():
        if samples or name in ("rendered", "refused, 503", "hits"):
            # Goodput is what was ready while requests still came: the queue's last are answered after that.
            rate = sum(one.due + one.seconds <= seconds for one in samples) / seconds
            share: object = rate / capacity if name == "rendered" else float("nan")
            told: object = sum(one.retry_after for one in samples) if name.startswith("refused") else ""
            times = [milliseconds(samples, 0.5), milliseconds(samples, 0.99)]
            rows.append([f"{factor:g}", name, len(samples), rate, share, *times, told])
    return rows

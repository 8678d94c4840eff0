"""A page: five sizes of each photo asked for at about the same time, beside five renders by plain libvips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from bench.figures import counted, middle, paired_ratio, turns
from bench.floor import Work, Workers, thumbnail
from bench.load import Generator
from bench.report import Report
from bench.scaling import add_scores, scores_of
from bench.servers import NO_CACHES, Imgbang, start_imgbang
from bench.workload import JPEG, PAGE, ColdNames, Photos, Request, gather_photos, image_path

LIBVIPS, IMGBANG = "five libvips renders, no HTTP", "imgbang over HTTP"
LARGE, SMALL = "8 MP and more", "below 8 MP"
WORKERS = 2
CONNECTIONS = 20
"""Those of four pages: each worker has one at hand, and the next, as the processes that libvips is measured with do."""
_LARGE_PIXELS = 8_000_000
_LEAST_PAGES = {LARGE: 30, SMALL: 120}
"""In each run of a kind, which then takes more than a second: in a shorter one it counts who has the last page to make,
for libvips has a fifth of one."""
_WARM_PAGES = 50
"""Of each kind and for each contender, before anything is measured: memory is given out for the first time and the
interpreter learns. Both live through all repeats then, as they would in service."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Photos of about the same size."""

    name: str
    photos: tuple[str, ...]


def page(photos: Path | None, *, repeats: int, rounds: int, connections: int) -> Report:
    """Measure and print; the figures are medians over the repeats."""
    report = Report("page", {"repeats": repeats, "rounds": rounds, "connections": connections, "workers": WORKERS})
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        gathered = gather_photos(photos, home / "images")
        kinds = _kinds(gathered)
        works = _measure(home, gathered, kinds, repeats=repeats, rounds=rounds, connections=connections)
        scores = scores_of(home, gathered, PAGE)
    rows = [_row(works, kind, name) for kind in kinds for name in (LIBVIPS, IMGBANG)]
    report.table(
        f"Page: {len(PAGE)} sizes of each JPEG photo, two worker processes, nothing stored",
        ["photos", "contender", "pages/s", "of libvips", "CPU ms/page", "of libvips, by CPU"],
        rows,
        note=f"Medians of {repeats} repeats of {_LEAST_PAGES[LARGE]} and {_LEAST_PAGES[SMALL]} pages or more; ratios are "
        f"of pairs: median (lowest–highest). Goals: 2.5 times libvips ({LARGE}), 1.8 times ({SMALL}).",
    )
    add_scores(report, "Page", scores)
    report.raw = {
        f"{name}, {kind}": [{"rate": work.rate, "cpu_ms": work.cpu_ms} for work in found]
        for (name, kind), found in works.items()
    }
    return report


def _kinds(photos: Photos) -> list[Kind]:
    found = defaultdict(list)
    for name in photos.only(JPEG):
        with Image.open(photos.root / "c0" / name) as image:
            found[LARGE if image.width * image.height >= _LARGE_PIXELS else SMALL].append(name)
    return [Kind(name, tuple(found[name])) for name in (LARGE, SMALL) if found[name]]


def _measure(
    home: Path, photos: Photos, kinds: list[Kind], *, repeats: int, rounds: int, connections: int
) -> dict[tuple[str, str], list[Work]]:
    names = {kind.name: ColdNames(photos, list(kind.photos)) for kind in kinds}
    works: dict[tuple[str, str], list[Work]] = defaultdict(list)
    env = {**NO_CACHES, "IMGBANG_RENDER_WORKERS": str(WORKERS)}
    with (
        Generator() as generator,
        Workers(WORKERS) as workers,
        start_imgbang(home / "imgbang", photos.root, env) as server,
    ):
        for kind in kinds:
            warm = names[kind.name].rounds(-(-_WARM_PAGES // len(kind.photos)))
            _ask(generator, server, warm, connections)
            _render(workers, [photos.root / key for key in warm])
        for order in turns([LIBVIPS, IMGBANG], repeats):
            for kind in kinds:
                keys = names[kind.name].rounds(max(rounds, -(-_LEAST_PAGES[kind.name] // len(kind.photos))))
                for name in order:
                    if name == LIBVIPS:
                        work = _render(workers, [photos.root / key for key in keys])
                    else:
                        work = _ask(generator, server, keys, connections)
                    works[name, kind.name].append(work)
    return works


def _render(workers: Workers, paths: Sequence[Path]) -> Work:
    """Five renders of each; a page is the unit."""
    done = workers.run_pairs(thumbnail, [(path, box) for path in paths for box in PAGE])
    return Work(len(paths), done.seconds, done.cpu)


def _ask(generator: Generator, server: Imgbang, keys: list[str], connections: int) -> Work:
    requests = [Request("page", image_path(key, box)) for key in keys for box in PAGE]
    before = sum(server.cpu_seconds())
    run = generator.closed(server.url, requests, connections)
    if set(run.statuses) != {200}:
        raise SystemExit(f"imgbang answers {counted(run.statuses)}: there is nothing to compare")
    return Work(len(keys), run.seconds, sum(server.cpu_seconds()) - before)


def _row(works: dict[tuple[str, str], list[Work]], kind: Kind, name: str) -> list[object]:
    own, theirs = works[name, kind.name], works[LIBVIPS, kind.name]
    rates = paired_ratio([work.rate for work in own], [work.rate for work in theirs])
    by_cpu = paired_ratio([work.cpu_ms for work in theirs], [work.cpu_ms for work in own])
    rate, cpu = middle([work.rate for work in own]), middle([work.cpu_ms for work in own])
    return [f"{len(kind.photos)} of {kind.name}", name, rate, str(rates), cpu, str(by_cpu)]

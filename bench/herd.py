"""A herd: many connections ask for one cold URL at the same moment, beside one cold request alone."""

from __future__ import annotations

import resource
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import counted, middle
from bench.load import Generator
from bench.report import Report
from bench.servers import start_imgbang
from bench.workload import BOXES, JPEG, Box, ColdNames, Request, gather_photos, image_path

ALLOWANCE_MS = 50.0
FACTOR = 1.3


def herd(photos: Path | None, *, connections: int, repeats: int) -> Report:
    """Measure and print, at each size, with the largest JPEG file."""
    report = Report("herd", {"connections": connections, "repeats": repeats})
    _allow_files(connections + 200)
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="imgbang-bench-")))
        gathered = gather_photos(photos, home / "images")
        name = max(gathered.only(JPEG), key=lambda one: (gathered.root / "c0" / one).stat().st_size)
        names = ColdNames(gathered, [name])
        generator = stack.enter_context(Generator())
        env = {"IMGBANG_RESULTS": (home / "results").as_uri()}
        server = stack.enter_context(start_imgbang(home / "imgbang", gathered.root, env))
        for key in names.rounds(4):
            generator.herd(server.url, Request("warm", image_path(key, BOXES[-1])), 1)
        rows = []
        for box in BOXES:
            singles: list[float] = []
            lasts: list[float] = []
            statuses: dict[object, int] = {}
            before = _counts(server.metric("imgbang_fetches_total"), server.metric("imgbang_renders_total"))
            for _ in range(repeats):
                alone, crowd = (Request("cold", image_path(key, box)) for key in names.rounds(2))
                singles.append(generator.herd(server.url, alone, 1).seconds * 1000)
                run = generator.herd(server.url, crowd, connections)
                lasts.append(run.seconds * 1000)
                for status, count in run.statuses.items():
                    statuses[status] = statuses.get(status, 0) + count
                server.wait_quiet()
            after = _counts(server.metric("imgbang_fetches_total"), server.metric("imgbang_renders_total"))
            # The lone request of each pair is counted too.
            fetches, renders = (now - then - repeats for now, then in zip(after, before, strict=True))
            rows.append([*_row(box, singles, lasts), fetches, renders, counted(statuses)])
            report.raw[str(box)] = {"single_ms": singles, "last_ms": lasts}
    report.table(
        f"Herd: {connections} connections, one cold URL ({name}), {repeats} times",
        ["box", "single ms", "last ms", "last / single", "allowed ms", "fetches", "renders", "statuses"],
        rows,
        note=f"Medians. Allowed: {FACTOR} times the single render plus {ALLOWANCE_MS:.0f} ms. "
        "Fetches and renders are those of all herds of the row together.",
    )
    return report


def _counts(*values: float) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _row(box: Box, singles: list[float], lasts: list[float]) -> list[object]:
    single, last = middle(singles), middle(lasts)
    return [str(box), single, last, last / single, FACTOR * single + ALLOWANCE_MS]


def _allow_files(count: int) -> None:
    """Raise the soft limit on open files, which the server and the generator inherit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))

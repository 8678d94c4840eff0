"""Damaged files by the thousand against the render workers, through the front's own way to them.

Every input is made from its number alone, so that a finding can be made again: `mutant(bodies, number)`. Inputs that
cost a worker are kept in bench/out/fuzz/. What must hold: each input is answered with a picture or with one of our
errors, and the workers go on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import counted
from bench.report import OUT, Report
from bench.workload import CORPUS
from proxy.errors import ProxyError
from proxy.imaging.fences import Fences
from proxy.imaging.job import RenderJob, RenderLimits
from proxy.imaging.workers import RenderWorkers
from proxy.plan.operations import AutoOrient, Blur, Crop, Operation, Resize
from proxy.plan.output import Answer, Metadata, Output, Target

MOST_BYTES = 200_000
"""Larger originals spend their time in pixels; what breaks decoders lies in headers and tables."""
SECONDS = 10.0
"""For one input."""
WORKER_MEMORY = 1 << 30
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Numbers at which sizes, counts and offsets overflow."""

_COSTLY = ("render_crashed", "deadline_passed", "too_costly")
"""What costs a worker."""

WAYS: tuple[tuple[tuple[Operation, ...], Output], ...] = (
    ((AutoOrient(), Resize(64, 64)), Output(Target.JPEG)),
    ((AutoOrient(), Resize(64, 64)), Output(Target.WEBP, metadata=Metadata.COPYRIGHT)),
    ((Crop(40, 40), Blur(2.0)), Output(Target.PNG)),
    ((AutoOrient(), Resize(48, 48)), Output(Target.SOURCE)),
    ((), Output(answer=Answer.QINIU_INFO)),
    ((), Output(answer=Answer.EXIF)),
)
"""What is asked of them: shrinking decoders, whole decodes, every frame, and the readers of headers and metadata."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one input."""

    number: int
    origin: str
    """The name of the file it was made from."""
    code: str
    """`ok`, or the code of the error; `LEAK` and the class where it was none of ours."""
    seconds: float


def fuzz(source: Path | None, *, count: int, first: int, workers: int) -> Report:
    """Try the inputs `first` to `first + count`, and print what came of them."""
    bodies = load_bodies(source or CORPUS.parent)
    report = Report("fuzz", {"inputs": count, "first": first, "files": len(bodies)})
    findings, events = asyncio.run(_try(bodies, range(first, first + count), workers))
    by_folder: dict[str, list[Finding]] = {}
    for finding in findings:
        by_folder.setdefault(finding.origin.rpartition(".")[2].lower(), []).append(finding)
    report.table(
        f"Fuzz: {count} damaged files, by the extension of what they were made from",
        ["made from", "inputs", "outcomes", "longest s"],
        [
            [suffix, len(some), counted(Counter(one.code for one in some)), max(one.seconds for one in some)]
            for suffix, some in sorted(by_folder.items())
        ],
    )
    lost = [one for one in findings if one.code in _COSTLY or one.code.startswith("LEAK")]
    _keep(bodies, lost)
    report.table(
        "Fuzz: in numbers",
        ["fact", "count"],
        [
            ["inputs", count],
            ["answered", len(findings)],
            ["rendered", sum(one.code == "ok" for one in findings)],
            ["refused with an error of ours", sum(one.code not in ("ok", *(x.code for x in lost)) for one in findings)],
            ["errors that were none of ours", sum(one.code.startswith("LEAK") for one in findings)],
            ["inputs that take more than 8 s of CPU", sum(one.code == "too_costly" for one in findings)],
            ["inputs that crash a worker twice", sum(one.code == "render_crashed" for one in findings)],
            [f"inputs that take longer than {SECONDS:g} s", sum(one.code == "deadline_passed" for one in findings)],
            ["workers that died, were killed at a deadline, were replaced", counted(events)],
        ],
        note="Kept: " + (", ".join(f"{one.number} ({one.origin}, {one.code})" for one in lost) or "nothing"),
    )
    report.raw = {"findings": [[one.number, one.origin, one.code, one.seconds] for one in lost]}
    return report


def load_bodies(root: Path) -> list[tuple[str, bytes]]:
    """The files to begin with, small ones only, by name."""
    paths = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix not in (".tsv", ".md"))
    bodies = [(path.name, path.read_bytes()) for path in paths if 0 < path.stat().st_size <= MOST_BYTES]
    if not bodies:
        raise SystemExit(f"no files of up to {MOST_BYTES} bytes in {root}")
    return bodies


def mutant(bodies: Sequence[tuple[str, bytes]], number: int) -> tuple[str, bytes]:
    """Input `number`: the name of the file it was made from, and its bytes."""
    chance = random.Random(number)
    name, body = chance.choice(bodies)
    data = bytearray(body)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        chance.choice(DAMAGES)(data, chance, bodies)
        if not data:
            data = bytearray(body[:1])
    return name, bytes(data)


def flip_bit(data: bytearray, chance: random.Random, _: object) -> None:
    """One bit, more often near the beginning, where headers are."""
    at = _place(data, chance)
    data[at] ^= 1 << chance.randrange(8)


def set_number(data: bytearray, chance: random.Random, _: object) -> None:
    """A number from `EDGES` in place of one, two or four bytes, in either order."""
    width = chance.choice((1, 2, 4))
    at = _place(data, chance)
    value = chance.choice(EDGES) & (256**width - 1)
    data[at : at + width] = value.to_bytes(width, chance.choice(("big", "little")))


def cut(data: bytearray, chance: random.Random, _: object) -> None:
    """The end is missing."""
    del data[_place(data, chance) :]


def drop(data: bytearray, chance: random.Random, _: object) -> None:
    """A piece in the middle is missing."""
    at = _place(data, chance)
    del data[at : at + chance.randint(1, 64)]


def repeat(data: bytearray, chance: random.Random, _: object) -> None:
    """A piece comes twice, or many times."""
    at = _place(data, chance)
    piece = data[at : at + chance.randint(1, 256)]
    data[at:at] = piece * chance.choice((1, 1, 2, 50))


def scramble(data: bytearray, chance: random.Random, _: object) -> None:
    """A piece is noise."""
    at = _place(data, chance)
    length = chance.randint(1, 32)
    data[at : at + length] = chance.randbytes(length)


def splice(data: bytearray, chance: random.Random, bodies: Sequence[tuple[str, bytes]]) -> None:
    """A piece of another file stands in the middle."""
    other = chance.choice(bodies)[1]
    start = chance.randrange(len(other))
    at = _place(data, chance)
    data[at:at] = other[start : start + chance.randint(1, 512)]


DAMAGES: tuple[Callable[[bytearray, random.Random, Sequence[tuple[str, bytes]]], None], ...] = (
    flip_bit, set_number, set_number, cut, drop, repeat, scramble, splice,
)  # fmt: skip


def _place(data: bytearray, chance: random.Random) -> int:
    """A place in the data: half of the time within the first 256 bytes."""
    return chance.randrange(min(len(data), 256)) if chance.random() < 0.5 else chance.randrange(len(data))


async def _try(
    bodies: Sequence[tuple[str, bytes]], numbers: Sequence[int], count: int
) -> tuple[list[Finding], dict[str, int]]:
    limits = RenderLimits(max_pixels=20_000_000, svg=True, pdf=True)
    queue = iter(numbers)
    findings: list[Finding] = []
    with TemporaryDirectory(prefix="imgbang-fuzz-") as folder:
        fences = Fences(memory_bytes=WORKER_MEMORY, cpu_seconds=8, file_bytes=256 << 20, directory=folder)
        workers = RenderWorkers(count, limits=limits, fences=fences)
        await workers.start()

        async def one_after_the_other(place: int) -> None:
            for number in queue:
                path = Path(folder, f"{place}")
                findings.append(await answer(workers, bodies, number, path, limits))

        try:
            await asyncio.gather(*(one_after_the_other(place) for place in range(count)))
        finally:
            statistics = workers.statistics
            await workers.close()
    findings.sort(key=lambda one: one.number)
    return findings, {
        "died": statistics.crashes,
        "killed": statistics.timeouts,
        "replaced": statistics.restarts,
        "recycled": statistics.recycled,
    }


async def answer(
    workers: RenderWorkers, bodies: Sequence[tuple[str, bytes]], number: int, path: Path, limits: RenderLimits
) -> Finding:
    """Give one input to the workers as the front does: inspect, then render."""
    origin, body = mutant(bodies, number)
    path.write_bytes(body)
    operations, output = WAYS[number % len(WAYS)]
    job = RenderJob(str(path), f"{path}.result", operations, output, limits)
    began = time.monotonic()
    code = await _code(lambda: _both(workers, job))
    Path(job.result_path).unlink(missing_ok=True)
    return Finding(number, origin, code, time.monotonic() - began)


async def _both(workers: RenderWorkers, job: RenderJob) -> None:
    await workers.inspect(job.path, timeout=SECONDS)
    await workers.run(job, timeout=SECONDS)


async def _code(work: Callable[[], Awaitable[None]]) -> str:
    try:
        await work()
    except ProxyError as error:
        return error.code
    except Exception as error:  # noqa: BLE001 -- that is what is looked for
        return f"LEAK {type(error).__name__}"
    return "ok"


def _keep(bodies: Sequence[tuple[str, bytes]], findings: Sequence[Finding]) -> None:
    folder = OUT / "fuzz"
    for finding in findings:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{finding.number}-{finding.origin}").write_bytes(mutant(bodies, finding.number)[1])

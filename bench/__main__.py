"""`python -m bench`: cold, hits and herd; or one command by name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.bucket import bucket as run_bucket
from bench.cold import cold as run_cold
from bench.colour import colour as run_colour
from bench.corpus import corpus as run_corpus
from bench.curve import curve as run_curve
from bench.effort import effort as run_effort
from bench.fences import fences as run_fences
from bench.fuzz import fuzz as run_fuzz
from bench.herd import herd as run_herd
from bench.hits import hits as run_hits
from bench.nginx import nginx as run_nginx
from bench.overload import overload as run_overload
from bench.page import CONNECTIONS as PAGE_CONNECTIONS
from bench.page import page as run_page
from bench.quality import quality as run_quality
from bench.replicas import replicas as run_replicas
from bench.scale.command import scale as run_scale
from bench.scale.fleet import fleet as run_fleet
from bench.scale.measuring import measure_costs
from bench.scale.scenarios import STEPS
from bench.scale.sizing import Prices, Shape
from bench.soak import soak as run_soak
from bench.start import start as run_start
from bench.workload import BOXES
from proxy.plan.output import ColourPolicy

app = typer.Typer(add_completion=False, help="Measure imgbang beside what it could be.")

Directory = Annotated[
    Path | None, typer.Option(help="A directory of photos; default: the corpus, or generated samples.")
]
Repeats = Annotated[int, typer.Option(min=1, help="Paired repeats; figures are medians.")]
Connections = Annotated[int, typer.Option(min=1, help="Connections at the same time.")]
PEER = "Another server: 'name=http://127.0.0.1:8888/unsafe/fit-in/{w}x{h}/{file}'; may be given several times."


@app.callback(invoke_without_command=True)
def everything(context: typer.Context) -> None:
    """Without a command: cold, hits and herd, in about four minutes on two cores."""
    if context.invoked_subcommand is None:
        cold()
        hits()
        herd()


@app.command()
def cold(
    photos: Directory = None,
    repeats: Repeats = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Times each photo is asked for in each measurement.")] = 3,
    connections: Connections = 6,
    peer: Annotated[list[str] | None, typer.Option(help=PEER)] = None,
) -> None:
    """Nothing stored: decode floor, plain libvips, imgbang and peers at 50, 400 and 1200 px."""
    peers = dict(_peer(text) for text in peer or [])
    run_cold(photos, repeats=repeats, rounds=rounds, connections=connections, peers=peers).save()


@app.command()
def page(
    photos: Directory = None,
    repeats: Repeats = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Times each photo is asked for in each measurement.")] = 2,
    connections: Connections = PAGE_CONNECTIONS,
) -> None:
    """Nothing stored, five sizes of each photo at about the same time; and what that costs in quality."""
    run_page(photos, repeats=repeats, rounds=rounds, connections=connections).save()


@app.command()
def hits(
    photos: Directory = None,
    repeats: Repeats = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each measurement.")] = 1.5,
    connections: Connections = 16,
) -> None:
    """From memory, from the results' directory, and 304, beside a bare aiohttp handler."""
    run_hits(photos, repeats=repeats, seconds=seconds, connections=connections, boxes=BOXES[:2]).save()


@app.command()
def bucket(
    photos: Directory = None,
    repeats: Repeats = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each measurement.")] = 1.5,
    connections: Connections = 8,
) -> None:
    """Hits in a bucket: CPU of the front, calls, and what the client library would take."""
    run_bucket(photos, repeats=repeats, seconds=seconds, connections=connections).save()


@app.command()
def start(photos: Directory = None, repeats: Repeats = 5) -> None:
    """From nothing to the first picture, and idle memory; beside thumbor and ipx where they are installed."""
    run_start(photos, repeats=repeats).save()


@app.command()
def curve(photos: Directory = None, repeats: Annotated[int, typer.Option(min=1)] = 3) -> None:
    """Throughput, memory and cost by megapixels, and by the number of workers."""
    run_curve(photos, repeats=repeats).save()


@app.command()
def herd(photos: Directory = None, connections: Connections = 500, repeats: Repeats = 7) -> None:
    """Many connections on one cold URL, beside one alone."""
    run_herd(photos, connections=connections, repeats=repeats).save()


@app.command()
def soak(
    photos: Directory = None,
    broken: Annotated[Path | None, typer.Option(help="A directory of broken files to ask for as well.")] = None,
    minutes: Annotated[float, typer.Option(min=0.05)] = 10.0,
    connections: Connections = 6,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between looks at the memory.")] = 2.0,
) -> None:
    """Mixed load for minutes: the memory of front and workers over time."""
    run_soak(photos, broken, minutes=minutes, connections=connections, interval=interval).save()


@app.command()
def corpus(
    files: Annotated[
        Path | None, typer.Option(help="A directory of real images, in folders by class; default: the corpus.")
    ] = None,
) -> None:
    """Every file in ten presets: outcomes by class, orientation, positions left, memory."""
    run_corpus(files).save()


@app.command()
def fuzz(
    files: Annotated[Path | None, typer.Option(help="A directory of files to damage; default: the corpus.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many inputs.")] = 20_000,
    first: Annotated[int, typer.Option(min=0, help="The number of the first: the same number is the same input.")] = 0,
    workers: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Damaged files against the render workers: every input is answered, and the workers go on."""
    run_fuzz(files, count=count, first=first, workers=workers).save()


@app.command()
def overload(
    photos: Directory = None,
    factor: Annotated[list[float] | None, typer.Option(help="Times the capacity; may be given several times.")] = None,
    seconds: Annotated[float, typer.Option(min=1.0, help="Length at each factor.")] = 20.0,
    hit_rate: Annotated[float, typer.Option(min=1.0, help="Hits per second on the side.")] = 50.0,
    new_folders: Annotated[bool, typer.Option(help="Photos in folders of which nothing was asked for yet.")] = False,
) -> None:
    """Distinct cold URLs at a constant rate beyond capacity, with hits on the side."""
    run_overload(
        photos, factors=factor or [0.5, 2.0, 10.0], seconds=seconds, hit_rate=hit_rate, new_folders=new_folders
    ).save()


@app.command()
def colour(
    directory: Annotated[Path | None, typer.Option(help="A directory of pictures; default: the corpus's.")] = None,
    policy: Annotated[ColourPolicy, typer.Option(help="What is asked of us: srgb or p3.")] = ColourPolicy.SRGB,
) -> None:
    """Our colours beside LittleCMS's, file by file, in CIEDE2000."""
    run_colour(directory, policy).save()


@app.command()
def fences(
    repeats: Repeats = 7,
    renders: Annotated[int, typer.Option(min=1, help="Renders in each measurement.")] = 60,
) -> None:
    """What the fences around render workers cost."""
    run_fences(repeats, renders).save()


@app.command()
def quality(
    photos: Directory = None,
    size: Annotated[list[int] | None, typer.Option(help="Pixels a side; may be given several times.")] = None,
    sharp: Annotated[
        Path | None, typer.Option(help="A folder where `npm install sharp` was run; else its settings.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Photos at most.")] = 100,
    efforts: Annotated[bool, typer.Option("--options", help="What encoder options cost and save, instead.")] = False,
) -> None:
    """Bytes at equal SSIMULACRA2 beside the defaults of libvips and sharp."""
    run_quality(photos, sizes=size or [400, 1200], modules=sharp, most=most, efforts=efforts).save()


@app.command()
def effort(
    photos: Directory = None,
    size: Annotated[list[int] | None, typer.Option(help="Pixels a side; may be given several times.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Photos at most.")] = 6,
    highest: Annotated[int, typer.Option(min=0, max=9, help="Effort, as presets count.")] = 9,
    others: Annotated[bool, typer.Option("--others", help="What JPEG, PNG and lossless files take, instead.")] = False,
) -> None:
    """Time, bytes and SSIMULACRA2 of every effort of AVIF, WebP and JPEG XL."""
    run_effort(photos, sizes=size or [400, 1200], most=most, highest=highest, others=others).save()


@app.command()
def nginx(
    photos: Directory = None,
    repeats: Repeats = 7,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each measurement.")] = 2.0,
    connections: Connections = 32,
) -> None:
    """Hits through nginx beside a static file, and what it costs when nginx asks again."""
    run_nginx(photos, repeats=repeats, seconds=seconds, connections=connections).save()


@app.command()
def replicas(
    photos: Directory = None,
    repeats: Repeats = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each measurement.")] = 1.5,
    connections: Connections = 16,
) -> None:
    """Hits with Redis and without, and the calls that each kind of request makes."""
    run_replicas(photos, repeats=repeats, seconds=seconds, connections=connections).save()


@app.command()
def costs(
    photos: Directory = None,
    repeats: Annotated[int, typer.Option(min=1, help="Renders of each size; four times as many of small ones.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each measurement.")] = 2.0,
    connections: Connections = 8,
) -> None:
    """CPU of every kind of answer, on S3 and behind nginx: what `scale` calculates with."""
    measure_costs(photos, repeats=repeats, seconds=seconds, connections=connections).save()


@app.command()
def scale(
    *,
    step: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(STEPS)}; may be given several times.")
    ] = None,
    requests: Annotated[int, typer.Option(min=1000, help="Requests simulated for each.")] = 1_000_000,
    exponent: Annotated[float, typer.Option(min=0.0, help="Of Zipf's law over pictures.")] = 0.9,
    utilisation: Annotated[float, typer.Option(min=0.05, max=0.95, help="How busy workers and fronts may be.")] = 0.6,
    cores: Annotated[int, typer.Option(min=1, help="Render workers of one replica.")] = 4,
    seed: int = 1,
    trouble: Annotated[bool, typer.Option(help="Restarts, edits and purges as well.")] = True,
) -> None:
    """From one box to internet scale, simulated with measured costs."""
    if unknown := set(step or []) - set(STEPS):
        raise typer.BadParameter(f"expected one of {', '.join(STEPS)}, got {', '.join(sorted(unknown))}")
    shape = Shape(cores=cores, utilisation=utilisation)
    run_scale(
        steps=step or list(STEPS),
        requests=requests,
        exponent=exponent,
        seed=seed,
        trouble=trouble,
        shape=shape,
        prices=Prices(),
    ).save()


@app.command()
def fleet(
    *,
    photos: Directory = None,
    rate: Annotated[float, typer.Option(min=1.0, help="Requests a second.")] = 40.0,
    seconds: Annotated[float, typer.Option(min=10.0, help="Length of the load.")] = 80.0,
    connections: Connections = 300,
    exponent: Annotated[float, typer.Option(min=0.0, help="Of Zipf's law over pictures.")] = 0.9,
    redis: Annotated[bool, typer.Option(help="With a Redis for all replicas.")] = False,
) -> None:
    """Three replicas behind nginx on S3: predicted and measured, restarts, an edit, a herd."""
    run_fleet(photos, rate=rate, seconds=seconds, connections=connections, exponent=exponent, redis=redis).save()


def _peer(text: str) -> tuple[str, str]:
    name, equals, template = text.partition("=")
    if not equals or not template.startswith("http://"):
        raise typer.BadParameter(f"expected name=http://…, got {text!r}")
    return name, template


if __name__ == "__main__":
    app()

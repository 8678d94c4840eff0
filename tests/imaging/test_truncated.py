"""Files that end too early or are damaged: what is refused, what is shown, and that nothing else ever happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytest_asyncio

from proxy.errors import CannotRender, NotAnImage, OriginalTooLarge, ProxyError, TruncatedImage
from proxy.imaging.job import RenderJob, RenderLimits
from proxy.imaging.workers import RenderWorkers
from proxy.plan.geometry import Gravity
from proxy.plan.operations import AutoOrient, Crop, Fit, Resize
from proxy.plan.output import Output, Target, Truncated
from tests.corpus import ROOT, corpus_files, require_corpus
from tests.imaging.conftest import Studio
from tests.imaging.stunts import result_of
from tests.pictures import coordinates, decoded, encoded

REFUSE = Output(target=Target.PNG)
RENDER = Output(target=Target.PNG, truncated=Truncated.RENDER)


def noisy(kind: str, **options: object) -> bytes:
    """A picture that does not compress to nothing."""
    return encoded(coordinates(300, 200).effect_spread(30), kind, **options)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["JPEG", "progressive", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP"])
@pytest.mark.parametrize(
    "operations",
    [(), (AutoOrient(), Resize(20, 20)), (Resize(300, 300, Fit.COVER), Crop(9, 9, Gravity.SOUTHEAST))],
    ids=str,
)
def test_truncated_is_refused(studio: Studio, kind: str, share: float, operations: tuple[Resize, ...]) -> None:
    """Whatever the format and the operations, half a file is refused as truncated, and leaves no result."""
    body = noisy("JPEG", progressive=True) if kind == "progressive" else noisy(kind)

    with pytest.raises(TruncatedImage, match="ends too early"):
        studio.render(body[: int(len(body) * share)], *operations, output=REFUSE)

    assert not studio.result.exists()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_truncated_is_rendered_where_wanted(studio: Studio, kind: str) -> None:
    """With RENDER, the part that is there is shown at the size of the whole."""
    body = noisy(kind)
    studio.render(body, output=REFUSE)
    whole = np.asarray(decoded(studio.result.read_bytes()).convert("RGB"), int)

    studio.render(body[: int(len(body) * 0.6)], output=RENDER)

    part = np.asarray(decoded(studio.result.read_bytes()).convert("RGB"), int)
    assert part.shape == whole.shape
    assert np.abs(part[:60] - whole[:60]).max() == 0
    assert np.abs(part[-40:] - whole[-40:]).mean() > 10


def test_a_crop_of_what_is_there_is_whole(studio: Studio) -> None:
    """A picture that needs none of the missing part is not a half picture."""
    body = noisy("JPEG")

    report = studio.render(body[: len(body) // 2], Crop(9, 9), output=REFUSE)

    assert (report.width, report.height) == (9, 9)


def test_bytes_after_the_end_are_harmless(studio: Studio) -> None:
    """What cameras and editors append behind a picture does not make it damaged."""
    for kind in ("JPEG", "PNG", "GIF", "WEBP"):
        studio.render(noisy(kind) + b"appended" * 20_000, Resize(20, 20), output=REFUSE)


SHOWN = (
    "RangeError_Invalid_typed_array_length.jpg", "broken-exif-tag.jpg", "broken_exif_dpi.jpg",
    "exif-43kB-of-52kB.jpg", "exif-dpi-zerodivision.jpg", "exif_typeerror.jpg", "gif-named-300x300.jpg",
    "hopper_bad_exif.jpg", "hopper_idat_after_image_end.png", "icc-after-SOF.jpg", "icc_profile_big.jpg",
    "invalid_quantization.jpg", "jpeg_ff00_header.jpg", "junk_jpeg_header.jpg", "looks-like-svg.webp",
    "md5-collision-1.gif", "md5-collision-1.png", "non-utf8-text-keyword.png", "truncated_app14.jpg",
    "truncated_end_chunk.png", "truncated_exif_dpi.jpg", "bomb-ztxt.png", "hopper_rle8_row_overflow.bmp",
)  # fmt: skip
"""What every browser shows: stray bytes, broken metadata, a missing last chunk, a wrong name."""

ENDS_EARLY = (
    "BlueSquare_truncated.jpg", "sharp-truncated-6mp.jpg", "sharp-truncated.png", "truncated-60pct.webp",
    "truncated.gif", "truncated_image.png", "truncated_jpeg.jpg", "vips-truncated.jpg", "broken_data_stream.png",
)  # fmt: skip

REFUSED = {
    "bomb-268mp-33k.png": OriginalTooLarge, "bomb-280mp-grey.jpg": OriginalTooLarge,
    "bomb-289mp-1340-bytes.avif": OriginalTooLarge, "bomb-4128mp-lottapixel.jpg": OriginalTooLarge,
    "bomb-4295mp-palette.png": OriginalTooLarge, "bomb-claimed.ico": OriginalTooLarge,
    "crash-0c7e.tif": CannotRender, "crash-74d2.tif": CannotRender, "libtiff_segfault.tif": CannotRender,
    "issue_2270_poc.webp": CannotRender, "xc1n0g08.png": CannotRender,
    "git-lfs-pointer.jpg": NotAnImage, "html-page.jpg": NotAnImage, "one-byte.jpg": NotAnImage,
    "zero-byte.jpeg": NotAnImage, "xs1n0g01.png": NotAnImage, "xss.svg": NotAnImage,
    "bug515-pattern-billion-laughs.svg": NotAnImage, "truncated.svgz": NotAnImage,
}  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_what_browsers_show_is_rendered(studio: Studio, name: str) -> None:
    """Files that are odd but whole are rendered."""
    require_corpus()

    report = studio.render(ROOT / "broken" / name, AutoOrient(), Resize(200, 200), output=REFUSE)

    assert decoded(studio.result.read_bytes()).size == (report.width, report.height)


@pytest.mark.parametrize("name", ENDS_EARLY)
def test_what_ends_early_is_said_to(studio: Studio, name: str) -> None:
    """Files that end too early are refused as such."""
    require_corpus()

    with pytest.raises(TruncatedImage):
        studio.render(ROOT / "broken" / name, AutoOrient(), Resize(200, 200), output=REFUSE)


@pytest.mark.parametrize(("name", "error"), REFUSED.items(), ids=REFUSED)
def test_what_is_hostile_or_damaged_is_refused(studio: Studio, name: str, error: type[ProxyError]) -> None:
    """Bombs, crashers and what is no picture are refused, each as what it is."""
    require_corpus()

    with pytest.raises(error):
        studio.render(ROOT / "broken" / name, AutoOrient(), Resize(200, 200), output=REFUSE)


@pytest_asyncio.fixture(name="workers")
async def _workers() -> AsyncIterator[RenderWorkers]:
    workers = RenderWorkers(2, limits=RenderLimits(svg=True))
    await workers.start()
    yield workers
    await workers.close()


@pytest.mark.integration
@pytest.mark.parametrize("output", [REFUSE, RENDER], ids=["refuse", "render"])
async def test_every_broken_file_is_answered(tmp_path: Path, workers: RenderWorkers, output: Output) -> None:
    """Each file of the corpus' bestiary gives a picture or one of our errors, soon, in less than a gigabyte.

    SVG is switched on here, and no worker crashes.
    """
    require_corpus()
    limits = RenderLimits(svg=True)

    async def answer(path: Path) -> None:
        job = RenderJob(str(path), str(tmp_path / path.name), (AutoOrient(), Resize(200, 200)), output, limits)
        started = time.monotonic()
        refusal = None
        try:
            await workers.inspect(str(path), timeout=5)
            report = await workers.run(job, timeout=5)
        except ProxyError as error:
            refusal = error.message
            assert not Path(job.result_path).exists(), path.name
        else:
            assert len(result_of(report, job)) == report.size > 0, path.name
        assert str(path.parent) not in (refusal or "")
        assert time.monotonic() - started < 8, path.name

    async def measure() -> None:
        while True:
            for pid in workers.pids():
                assert psutil.Process(pid).memory_info().rss < 1 << 30
            await asyncio.sleep(0.02)

    watch = asyncio.create_task(measure())
    for path in corpus_files("broken"):
        await answer(path)

    assert not watch.done()
    watch.cancel()
    assert workers.statistics.crashes == 0

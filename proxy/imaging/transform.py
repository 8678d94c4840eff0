"""Render one job: header → sizes → pixels → file.

Rules:

1. Every size is computed from the header and held against the limits before a pixel is decoded.
2. Operations happen in the order given. Only the beginning AutoOrient → Resize is fused: the decoder shrinks, and
   turning comes after scaling, which gives the same size for less work.
3. The file is written to the job's `result_path` and nowhere else; a failed job leaves no file.
4. Only ProxyError comes out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pyvips

from proxy.errors import CannotRender
from proxy.imaging.budget import Frames, choose_frames
from proxy.imaging.colours import from_profile, settle_colours, without_profile
from proxy.imaging.contest import hold
from proxy.imaging.damage import reading
from proxy.imaging.effort import PACE, Pace, least, lowered, stepped
from proxy.imaging.faces import FoundFaces
from proxy.imaging.fields import PROFILE
from proxy.imaging.file_limits import Written, copy_original, is_searched, passes, write_within
from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderJob, RenderReport, SourceInfo
from proxy.imaging.jpeg_quality import settle_quality
from proxy.imaging.library import translated
from proxy.imaging.loading import load
from proxy.imaging.metadata import credit_of, stripped, tells_position
from proxy.imaging.overlays import opener
from proxy.imaging.pacing import write_in_time
from proxy.imaging.picture import Picture
from proxy.imaging.reports import write_report
from proxy.imaging.saving import HOLDS_EXIF, HOLDS_PROFILE, HOLDS_XMP, plain_jpeg, save
from proxy.imaging.scaling import scale_to
from proxy.imaging.scratch import remove
from proxy.imaging.searching import USUAL_TRIES
from proxy.imaging.sizes import begin, check_sizes
from proxy.imaging.step_table import STEPS
from proxy.imaging.steps import flattened
from proxy.imaging.targets import contenders, ready_in_time
from proxy.imaging.task_files import forget, size_of_file, write_file
from proxy.imaging.times import Times
from proxy.imaging.view import STORED
from proxy.plan.animation import in_hundredths
from proxy.plan.operations.hiding import hides
from proxy.plan.output import (
    REPORT_TYPE,
    Answer,
    ColourPolicy,
    Format,
    Metadata,
    Orientation,
    Output,
)

Load = Callable[..., Picture]
"""`loading.load`, or what stands in for it."""
MOST_PLAYS = 65_535
"""What a WebP can count. A GIF counts the repetitions, libvips and a WebP the plays; a GIF without a count plays once,
which libvips translates both ways."""


def render(job: RenderJob, info: SourceInfo | None = None, pixels: Load = load, *, pace: Pace = PACE) -> RenderReport:
    """Make the picture that the job asks for and write it to the job's `result_path`.

    What is known of the original already, and pixels that others use as well, may be brought along.
    """
    try:
        return _render(job, info, pixels, pace)
    except BaseException:
        remove(job.result_path)
        raise


def _render(job: RenderJob, info: SourceInfo | None, pixels: Load, pace: Pace) -> RenderReport:
    if job.output.answer is Answer.PICTURE:
        return _picture(job, info, pixels, pace)
    return _report(job, pace)


def _picture(job: RenderJob, info: SourceInfo | None, pixels: Load, pace: Pace) -> RenderReport:
    started, times = time.perf_counter(), Times.of(job)
    info = info or job.header or inspect(job.path, job.limits)
    if passes(job, info) and not tells_position(job.path, info, job.limits):
        return _original(job, info)
    frames = choose_frames(info, job.operations, job.output, job.limits)
    check_sizes(job.operations, info, job.limits, len(frames.kept))
    with reading(job.path, info.format):
        picture = make(job, info, frames, pixels)
        targets = contenders(picture, info, job.output)
    decoded = time.perf_counter()
    if len(targets) == 1:
        wanted = targets[0]
        targets = (ready_in_time(wanted, picture, info, job.output, seconds=times.for_encode, pace=pace),)
        if targets != (wanted,):
            picture = picture.noting(f"{_name(targets[0])} instead of {_name(wanted)}: that would not be ready in time")
    outcome = hold(
        targets,
        job.output,
        lambda target, output: _file(replace(job, output=output), info, picture, target, times=times, pace=pace),
        path=job.result_path,
        pixels=picture.size.pixels * len(picture.frames),
        limit=times.searching,
        pace=pace,
    )
    kept = outcome.winner.written.kept
    if not kept and not hides(job.operations) and not tells_position(job.path, info, job.limits):
        return _original(job, info)
    written, size, before = outcome.winner.written.picture, outcome.winner.size, size_of_file(job.path)
    if len(written.frames) > 1 and size > before:
        written = written.noting(f"more bytes than the original: {size}, not {before}")
    return RenderReport(
        format=outcome.winner.format,
        size=size,
        width=written.size.width,
        height=written.size.height,
        frames=len(written.frames),
        decode_seconds=decoded - started,
        encode_seconds=time.perf_counter() - decoded,
        resident_bytes=0,
        notes=(*written.notes, *outcome.notes),
        found=outcome.found,
    )


def _file(job: RenderJob, info: SourceInfo, picture: Picture, target: Format, *, times: Times, pace: Pace) -> Written:
    """Write the picture as a file of this format, with the effort that is ready in time."""
    with translated(lambda _: CannotRender(f"the picture cannot be written as {_name(target)}")):
        picture = fit_format(picture, target, job.output)
        output = settle_quality(job.output, info, job.path, picture.size, target)
        picture, output = _in_time(picture, output, target, times, pace)
        seconds = times.moving.left  # the same for each try of a search: all should have the same frames

        def attempt(tried: Output) -> Picture:
            attempted = replace(job, output=tried)

            def put(made: Picture) -> None:
                since = time.perf_counter()
                write(made, target, attempted)
                if len(made.frames) == 1:  # how long several take depends on what they have in common
                    pace.learn(target, tried, made.size.pixels, time.perf_counter() - since)

            policy = tried.over_budget or job.limits.over_budget
            return write_in_time(picture, put, seconds=seconds, policy=policy)

        return write_within(replace(job, output=output), target, picture, attempt, times.searching)


def _in_time(picture: Picture, output: Output, target: Format, times: Times, pace: Pace) -> tuple[Picture, Output]:
    """The output with the effort that is ready in time; the picture notes one that was lowered."""
    seconds = times.for_encode
    if len(picture.frames) > 1:
        seconds = min(seconds, times.moving.left)
    if is_searched(output, target, len(picture.frames)):
        seconds = min(seconds, times.searching.left / USUAL_TRIES)
    elif output.candidates:
        seconds = min(seconds, times.searching.left)
    pixels = picture.size.pixels * len(picture.frames)
    chosen = lowered(output, target, pixels, seconds, pace) or least(output, target)
    if chosen == output:
        return picture, output
    return picture.noting(stepped(output, chosen, target)), chosen


def _name(target: Format) -> str:
    return target.value.upper()


def _original(job: RenderJob, info: SourceInfo) -> RenderReport:
    """The original as the result."""
    copy_original(job)
    size = size_of_file(job.result_path)
    return RenderReport(
        info.format, size, info.width, info.height, info.frames, 0.0, 0.0, 0, notes=("the original as it is",)
    )


def _report(job: RenderJob, pace: Pace) -> RenderReport:
    """A report about the original, or about the picture that the operations make of it."""
    started = time.perf_counter()
    path, info = job.path, job.header
    if job.operations:
        _picture(replace(job, output=replace(job.output, answer=Answer.PICTURE)), None, load, pace)
        info, path = None, job.result_path
    info = info or inspect(path, job.limits)
    with translated(lambda _: CannotRender("the original cannot be read as a picture")):
        body = write_report(path, info, job.output, job.limits)
    write_file(job.result_path, body)
    return RenderReport(
        info.format,
        len(body),
        info.width,
        info.height,
        info.frames,
        time.perf_counter() - started,
        0.0,
        0,
        media_type=REPORT_TYPE,
    )


def make(job: RenderJob, info: SourceInfo, frames: Frames, pixels: Load = load) -> Picture:
    """Decode, do the operations, and compute the pixels."""
    begun = begin(job.operations, info)
    picture = pixels(job.path, info, job.output, job.limits, target=begun.target, kept=frames.kept)
    if info.pages > 1:
        picture = picture.noting(f"first of {info.pages} pages")
    if frames.note:
        picture = picture.noting(frames.note)
    if begun.target is not None:
        # Scaled in its own colours, converted afterwards: fewer pixels to convert.
        picture = scale_to(picture, begun.target)
    picture = settle_colours(picture, job.output.colour)
    if job.overlays:
        picture = replace(picture, overlay=opener(dict(job.overlays), job.limits))
    picture = replace(
        picture,
        view=STORED[picture.orientation],
        focus=job.focus,
        faces=FoundFaces(job.path, info, job.limits, job.output, frames.kept),
    )
    for done, operation in enumerate(begun.operations, start=1):
        picture = STEPS[type(operation)](picture, operation)
        if operation.settles_size:
            rest = begun.operations[done:]
            settled = replace(info, width=picture.size.width, height=picture.size.height)
            # What was trimmed to a strip may be scaled up to anything.
            check_sizes(rest, replace(settled, orientation=picture.orientation), job.limits, len(picture.frames))
    return picture.in_memory()


def fit_format(picture: Picture, target: Format, output: Output) -> Picture:
    """Give up what the format cannot hold: transparency, a colour profile."""
    if picture.has_alpha and not target.holds_alpha:
        picture = picture.each(lambda frame: flattened(frame, output.background)).noting("transparency flattened")
        picture = picture.in_memory()  # once, however often it is written
    if picture.first.get_typeof(PROFILE):
        if output.colour is ColourPolicy.SRGB:
            picture = picture.relabelled(without_profile)
        elif target not in HOLDS_PROFILE:
            picture = picture.each(from_profile).noting("colour profile converted to sRGB")
    return picture


def write(picture: Picture, target: Format, job: RenderJob) -> None:
    """Put the frames and what is to stay of the metadata together, and encode."""
    keep = ["icc"] if picture.first.get_typeof(PROFILE) else []
    credit = credit_of(picture.first) if job.output.metadata is Metadata.COPYRIGHT else None
    turned = job.output.orientation is Orientation.KEEP and picture.orientation > 1
    if target is Format.JPEG and not keep and credit is None and not turned:
        body = plain_jpeg(picture.raster, job.output)
        if body is not None:
            write_file(job.result_path, body)
            return
    forget(job.result_path)
    image = stripped(_joined(picture))
    if credit is not None and target in HOLDS_XMP:
        keep += ["exif", "xmp"]
        credit.attach(image)
    if turned and target in HOLDS_EXIF:
        keep = [*dict.fromkeys([*keep, "exif"])]
        image.set_type(pyvips.GValue.gint_type, "orientation", picture.orientation)
    if job.output.density is not None:
        image = image.copy(xres=job.output.density / 25.4, yres=job.output.density / 25.4)
    if len(picture.frames) > 1:
        image.set_type(pyvips.GValue.gint_type, "page-height", picture.size.height)
        delays = in_hundredths(picture.delays) if target is Format.GIF else picture.delays
        image.set_type(pyvips.GValue.array_int_type, "delay", list(delays))
        image.set_type(
            pyvips.GValue.gint_type, "loop", picture.loop if target is Format.GIF else min(picture.loop, MOST_PLAYS)
        )
    save(image, target, job.output, job.result_path, keep="|".join(keep) or "none")


def _joined(picture: Picture) -> pyvips.Image:
    if len(picture.frames) == 1:
        return picture.first
    return pyvips.Image.arrayjoin(list(picture.frames), across=1)

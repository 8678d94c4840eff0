"""Plans as pipelines of `imageView2`, `imageMogr2` and `watermark`: what Qiniu's and Tencent's words have in common.

What is written is the shortest run of imageMogr2 that says it, with imageView2 where only that never enlarges. A
`Vocabulary` holds what the two vendors say differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from proxy.plan import operations as ops
from proxy.plan.colour import Colour
from proxy.plan.dialects.writing import Wordless, base64_of, offsets
from proxy.plan.geometry import Gravity
from proxy.plan.operations import MAX_SIDE, Operation
from proxy.plan.output import (
    SOURCE_BYTES,
    Animation,
    Answer,
    Format,
    OnError,
    Orientation,
    Output,
    OverLimit,
    QualityRule,
    Target,
)

Command = tuple[str, int]
"""A whole command, and how many operations it says."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of one vendor."""

    command: Callable[[Operation, Operation | None], Command | None]
    """The command for an operation, perhaps together with the one after it, that must stand alone; None for others."""
    words: Callable[[Operation], list[str]]
    """The words of imageMogr2 for an operation."""
    qualities: Mapping[QualityRule, str]
    """The names of qualities, by their rule. An exact one has the name of `quality` and an exclamation mark."""
    hard_limit: OverLimit
    """What a size limit with an exclamation mark does."""
    fewer_frames: str
    """The name of a number of frames; empty where there is none."""
    reports: Mapping[Answer, str]


def write_pipeline(operations: tuple[Operation, ...], output: Output, vocabulary: Vocabulary) -> str | None:
    """The pipeline for these operations and output; None if there is none."""
    try:
        return "|".join(_fops(operations, output, vocabulary)) or "imageMogr2"
    except Wordless:
        return None


def _fops(operations: tuple[Operation, ...], output: Output, vocabulary: Vocabulary) -> Iterator[str]:
    """Runs of what imageMogr2 says, between the commands that stand alone."""
    if output.slim and not operations:
        yield "imageslim"
        return
    runs = list(_runs(operations, output, vocabulary))
    of_file = list(_output_words(output, vocabulary))
    alone = output.answer is not Answer.PICTURE and not operations
    if output.orientation is Orientation.DROP and ops.AutoOrient() not in operations and not alone:
        of_file.append("strip")
    held = Colour.WHITE
    for run in runs:
        words = [word for operation in run.operations for word in vocabulary.words(operation)]
        # imageView2 turns the picture upright anyway.
        if words == ["auto-orient"] and run.command.startswith("imageView2"):
            words = []
        if run.background is not None and (run.background != Colour.WHITE or held != Colour.WHITE):
            words.append(coloured("background", run.background))
            held = run.background
        words += ["format/jpg"] if run.ends_as_jpeg else []
        words += of_file if run is runs[-1] else []
        if words:
            yield "imageMogr2/" + "/".join(words)
        if run.command:
            yield run.command
    if output.answer is not Answer.PICTURE:
        if output.answer not in vocabulary.reports:
            raise Wordless
        yield vocabulary.reports[output.answer]


@dataclass(frozen=True, slots=True)
class _Run:
    """Operations that imageMogr2 says in one go, over one background; and the command after them, if there is one."""

    operations: tuple[Operation, ...]
    background: Colour | None = None
    command: str = ""
    ends_as_jpeg: bool = False


def _runs(operations: tuple[Operation, ...], output: Output, vocabulary: Vocabulary) -> Iterator[_Run]:
    """The last one has no command, and the background of the output."""
    run: list[Operation] = []
    background: Colour | None = None
    rest = list(operations)
    while rest:
        operation = rest.pop(0)
        command = vocabulary.command(operation, rest[0] if rest else None)
        colour = _background_of(operation) if command is None else None
        if colour is not None and background not in (None, colour):
            yield _Run(tuple(run), background)
            run, background = [], None
        if command is None and not isinstance(operation, ops.Flatten):
            run.append(operation)
            background = colour or background
            # A command drops frames at its end, and in one way.
            if isinstance(operation, ops.FirstFrames) and (rest or output.max_frames is not None):
                yield _Run(tuple(run), background)
                run, background = [], None
            continue
        if command is None:  # what a JPEG between two commands does
            yield _Run(tuple(run), colour, ends_as_jpeg=True)
        else:
            text, said = command
            del rest[: said - 1]
            yield _Run(tuple(run), background, text)
        run, background = [], None
    if background not in (None, output.background):
        yield _Run(tuple(run), background)
        run = []
    yield _Run(tuple(run), output.background)


def _background_of(operation: Operation) -> Colour | None:
    """The colour that the word `background` must stand for at an operation."""
    match operation:
        case ops.Extent(background=colour) | ops.Flatten(background=colour):
            return colour
        case ops.Rotate(background=colour, degrees=degrees) if degrees % 90:
            return colour
        case _:
            return None


def view_command(operation: Operation, following: Operation | None) -> Command | None:
    """The imageView2 for an operation that nothing else says."""
    match operation:
        case ops.Resize(fit=ops.Fit.INSIDE, enlarge=False, shrink=True, axes=ops.Axes.LONG_SHORT):
            return _view(0, operation.width, operation.height), 1
        case ops.Resize(fit=ops.Fit.COVER, enlarge=False, shrink=True, width=int(w), height=int(h)):
            if operation.axes is ops.Axes.LONG_SHORT:
                return _view(4, w, h), 1
            return (_view(1, w, h), 2) if following == ops.Crop(w, h, Gravity.CENTRE) else (_view(3, w, h), 1)
        case ops.Resize(axes=ops.Axes.LONG_SHORT) | ops.Reframe(axes=ops.Axes.WIDTH_HEIGHT):
            raise Wordless
        case ops.Reframe(how=ops.How.CUT, small=ops.Small.CLIP, axes=ops.Axes.LONG_SHORT):
            return _view(5, operation.width, operation.height), 1
        case ops.Reframe():
            raise Wordless
        case _:
            return None


def _view(mode: int, width: int | None, height: int | None) -> str:
    sides = (f"/w/{width}" if width else "") + (f"/h/{height}" if height else "")
    return f"imageView2/{mode}{sides}"


def round_command(operation: Operation) -> Command | None:
    """The roundPic for round corners."""
    if not isinstance(operation, ops.RoundCorners):
        return None
    x, y = operation.x, operation.y
    if operation.even or not (x.is_integer() and y.is_integer()):
        raise Wordless
    a, b = ("!", "p") if operation.unit is ops.Unit.PERCENT else ("", "")
    return f"roundPic/radiusx/{a}{x:.0f}{b}/radiusy/{a}{y:.0f}{b}", 1


def animate_command(operation: Operation) -> Command | None:
    """The animation of other pictures."""
    if not isinstance(operation, ops.Animate):
        return None
    keys = "".join(f"/key/{base64_of(key)}" for key in operation.images)
    effect = "/effect/1" if operation.backwards else ""
    return f"animate/duration/{operation.delay // 10}/merge{keys}{effect}", 1


def common_words(operation: Operation) -> list[str]:
    """The words that both vendors have for an operation."""
    match operation:
        case ops.AutoOrient():
            return ["auto-orient"]
        case ops.Resize() | ops.Scale() | ops.Area():
            return [f"thumbnail/{_thumbnail(operation)}"]
        case ops.Rotate(degrees=degrees) if degrees.is_integer() and 0 < degrees <= 360:
            return [f"rotate/{degrees:.0f}"]
        case ops.Blur(radius=radius) if radius is not None and operation.sigma >= 0.001:
            return [f"blur/{radius}x{operation.sigma:.9f}"]
        case ops.Extent(gravity=Gravity.CENTRE, dx=0, dy=0) if operation.width or operation.height:
            return [f"extent/!{box_text(operation)}"]
        case ops.Extent(gravity=Gravity.NORTHWEST):
            return [f"extent/!{box_text(operation)}{far_offsets(-operation.dx, -operation.dy)}"]
        case ops.Border(width=width, height=height, colour=colour) if max(width, height) <= 10_000:
            return [f"border/{width}x{height}", *([] if colour == Colour.WHITE else [coloured("bordercolor", colour)])]
        case _:
            raise Wordless


def _thumbnail(operation: ops.Resize | ops.Scale | ops.Area) -> str:
    match operation:
        case ops.Scale(horizontal=x, vertical=y):
            if not (x.is_integer() and y.is_integer() and x <= 1000 and y <= 1000):
                raise Wordless
            return f"!{x:.0f}p" if x == y else f"!{x:.0f}px{y:.0f}p"
        case ops.Area(pixels=pixels, enlarge=enlarge):
            if enlarge != (pixels <= 25_000_000):
                raise Wordless
            return f"{pixels}@"
        case ops.Resize():
            return _resize(operation)


def _resize(operation: ops.Resize) -> str:
    box = box_text(operation)
    large = max(operation.width or 0, operation.height or 0) > 10_000
    inside = operation.fit is ops.Fit.INSIDE
    if inside and not operation.enlarge and operation.shrink:
        return box if large else f"{box}>"
    if large or not operation.enlarge or not (operation.shrink or inside):
        raise Wordless
    if not operation.shrink:
        return f"{box}<"
    return {ops.Fit.COVER: f"!{box}r", ops.Fit.FILL: f"{box}!", ops.Fit.INSIDE: box}[operation.fit]


def box_text(operation: ops.Resize | ops.Crop | ops.Extent) -> str:
    """The box of an operation; empty without one."""
    if operation.width is None and operation.height is None:
        return ""
    if max(operation.width or 0, operation.height or 0) > MAX_SIDE:
        raise Wordless
    return f"{operation.width or ''}x{operation.height or ''}"


def far_offsets(right: int, down: int) -> str:
    """Offsets, as far as they are allowed to go."""
    if max(abs(right), abs(down)) > 10_000:
        raise Wordless
    return offsets(right, down)


def coloured(name: str, colour: Colour) -> str:
    """A parameter that is a colour in base64."""
    return f"{name}/{base64_of(str(colour))}"


def _output_words(output: Output, vocabulary: Vocabulary) -> Iterator[str]:
    known = output.target.known_format
    if known is Format.ICO or output.target is Target.PLAIN or output.slim or output.effort is not None:
        raise Wordless
    if output.lossless or output.animation is not Animation.KEEP or output.animated is not None:
        raise Wordless
    if known is not None:
        yield f"format/{known.extension}"
    if output.progressive:
        yield "interlace/1"
    if output.quality is not None:
        yield _quality(output.quality, output.quality_rule, vocabulary)
    if output.palette is not None:
        yield f"colors/{output.palette}"
    if output.density is not None:
        yield f"density/{output.density}"
    if output.max_bytes is not None:
        limit = "$(fsize)" if output.max_bytes == SOURCE_BYTES else str(output.max_bytes)
        yield f"size-limit/{limit}{'!' if output.over_limit is vocabulary.hard_limit else ''}"
    if output.max_frames is not None:
        if not vocabulary.fewer_frames:
            raise Wordless
        yield f"{vocabulary.fewer_frames}/{output.max_frames}"
    if output.on_error is OnError.ORIGINAL:
        yield "ignore-error/1"


def _quality(quality: int, rule: QualityRule, vocabulary: Vocabulary) -> str:
    if rule is QualityRule.EXACT:
        return f"quality/{quality}!"
    if rule not in vocabulary.qualities:
        raise Wordless
    return f"{vocabulary.qualities[rule]}/{quality}"

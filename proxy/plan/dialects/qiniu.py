"""Qiniu: the commands of Kodo and Dora, as they stand in a query or in a bucket's styles.

    /cat.jpg?imageView2/1/w/200/h/200
    /cat.jpg?imageMogr2/thumbnail/!50p/crop/300x300|watermark/1/image/bG9nby5wbmc=|imageslim
    /cat.jpg?imageInfo

`imageView2`, `imageMogr2` and `watermark` have modules of their own; pipelines are in `stage`. Here are the small ones:

    roundPic/radius/<r>  or  roundPic/radiusx/<r>/radiusy/<r>     round corners, in pixels or as `!20p`; answers PNG
    imageslim[/zlevel/<0-10>]                                     the same picture in fewer bytes, never in more
    animate/duration/<1/100 s>/merge/key/<b64>…[/effect/<0|1>]    a GIF of these pictures; 1: backwards
    imageInfo   exif   imageAve                                   JSON about the picture
    saveas/<b64 bucket:key>/sign/<access key>:<signature>         also stores the result under the key; the last command

An animation is as large as the picture that the URL names, which is a frame only if its key is listed, too.
The bucket of `saveas` is not looked at: there is one, our own. Its signature is `signing`'s subject.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.errors import InvalidCommand
from proxy.plan.dialects.arguments import read_base64, read_int, read_switch
from proxy.plan.dialects.dialect import Context, Dialect
from proxy.plan.dialects.imagemogr2 import compile_first_mogr, compile_mogr
from proxy.plan.dialects.imageview2 import compile_first_view, compile_view, read_output
from proxy.plan.dialects.qiniu_text import write_qiniu
from proxy.plan.dialects.stage import Compiler, Stage, compile_pipeline, read_pairs
from proxy.plan.dialects.watermark import compile_watermark
from proxy.plan.dialects.writing import says
from proxy.plan.keys import check_key, shown
from proxy.plan.operations import Animate, Operation, RoundCorners, Unit
from proxy.plan.output import SOURCE_BYTES, Answer, OnError, Orientation, Output, OverLimit, Target
from proxy.plan.request import AskAdhoc

_RADII = frozenset({"radius", "radiusx", "radiusy"})
_LARGEST = 10**12


def compile_round(tokens: list[str]) -> Stage:
    """Compile `roundPic`."""
    fields = dict(read_pairs("roundPic", tokens, _RADII | {"ignore-error"}))
    across = fields.get("radiusx", fields.get("radius", ""))
    down = fields.get("radiusy", fields.get("radius", ""))
    if not across or not down:
        raise InvalidCommand("roundPic needs a radius, or radiusx and radiusy")
    (x, unit), (y, other) = _radius(across), _radius(down)
    if unit is not other:
        raise InvalidCommand("roundPic takes both radii in pixels or both in percent")
    output: dict[str, object] = {"target": Target.PNG, "orientation": Orientation.KEEP}
    if "ignore-error" in fields:
        output |= read_output("roundPic", "ignore-error", fields["ignore-error"])
    return Stage((RoundCorners(float(x), float(y), unit),), output)


def _radius(text: str) -> tuple[int, Unit]:
    plain = text.removeprefix("!")
    number = plain.removesuffix("p").removesuffix("%")
    if number != plain:
        return read_int("roundPic: a radius in percent", number, 1, 100), Unit.PERCENT
    if len(plain) > 12 and plain.isascii() and plain.isdigit():
        return _LARGEST, Unit.PIXELS
    return read_int("roundPic: a radius", plain, 1, _LARGEST), Unit.PIXELS


def compile_slim(tokens: list[str]) -> Stage:
    """Compile `imageslim`."""
    for name, value in read_pairs("imageslim", tokens, frozenset({"zlevel"})):
        read_int(f"imageslim: {name}", value, 0, 10)
    output = {
        "slim": True, "quality": 75, "effort": 8, "palette": 256, "orientation": Orientation.KEEP,
        "max_bytes": SOURCE_BYTES, "over_limit": OverLimit.SMALLER, "on_error": OnError.ORIGINAL,
    }  # fmt: skip
    return Stage((), output)


def compile_animation(tokens: list[str]) -> Stage:
    """Compile `animate`."""
    duration, effect = 0, False
    keys: list[str] = []
    for name, value in read_pairs("animate", tokens, frozenset({"duration", "key", "effect"}), frozenset({"merge"})):
        match name:
            case "duration":
                duration = read_int("animate: duration", value, 1, 65_535)
            case "key":
                keys.append(check_key(read_base64("animate: key", value)))
            case "effect":
                effect = read_switch("animate: effect", value)
    if not duration:
        raise InvalidCommand("animate needs a duration, in hundredths of a second")
    return Stage((Animate(tuple(keys), duration * 10, effect),), {"target": Target.GIF})


def report(answer: Answer) -> Compiler:
    """The compiler of a command without parameters that answers with a report."""

    def compile_report(tokens: list[str]) -> Stage:
        if tokens:
            raise InvalidCommand(f"a report takes no parameters, got {shown('/'.join(tokens), 40)}")
        return Stage((), {"answer": answer})

    return compile_report


def compile_saving(tokens: list[str]) -> Stage:
    """Compile `saveas`."""
    if len(tokens) != 3 or tokens[1] != "sign":
        raise InvalidCommand("saveas must be saveas/<base64 of bucket:key>/sign/<access key>:<signature>")
    bucket, colon, key = read_base64("saveas: the entry", tokens[0]).partition(":")
    if not bucket or not colon:
        raise InvalidCommand("saveas: the entry must be base64 of bucket:key")
    return Stage(save_as=check_key(key))


COMPILERS: Mapping[str, Compiler] = {
    "imageView2": compile_view,
    "imageMogr2": compile_mogr,
    "watermark": compile_watermark,
    "roundPic": compile_round,
    "imageslim": compile_slim,
    "animate": compile_animation,
    "imageView": compile_first_view,
    "imageMogr": compile_first_mogr,
    "imageInfo": report(Answer.QINIU_INFO),
    "exif": report(Answer.EXIF),
    "imageAve": report(Answer.AVERAGE),
    "saveas": compile_saving,
}


def compile_qiniu(text: str, _: Context) -> AskAdhoc:
    """Compile a pipeline of Qiniu's commands."""
    return compile_pipeline(text, COMPILERS)


def write(operations: tuple[Operation, ...], output: Output) -> str | None:
    """A plan as a command that compiles back to it; None where there is none."""
    text = write_qiniu(operations, output)
    return text if text is not None and says(compile_qiniu, text, operations, output) else None


QINIU = Dialect("qiniu", compile_qiniu, commands=frozenset(COMPILERS), protects_with_401=True, write=write)

"""presets.toml: what it means, and what is wrong with it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.plan.adhoc import AdhocBox, AdhocMode
from proxy.plan.animation import OverBudget
from proxy.plan.colour import Colour
from proxy.plan.geometry import Gravity
from proxy.plan.operations import (
    OPERATIONS,
    WRITTEN,
    AutoOrient,
    Blur,
    Crop,
    Extent,
    Fit,
    Flip,
    Grayscale,
    Operation,
    Resize,
    Rotate,
    Sharpen,
)
from proxy.plan.output import Animation, Answer, ColourPolicy, Metadata, Output, OverLimit, Target, Truncated
from proxy.plan.plan import CachePolicy, Plan
from proxy.plan.preset_file import MAX_FILE_BYTES, PresetProblem, PresetProblems, json_schema, read_presets
from proxy.plan.preset_tables import PresetTable
from proxy.plan.presets import DIALECTS, Originals, Preset

ROOT = Path(__file__).parents[2]


def preset(body: str) -> Preset:
    """Read the one preset `p` with these lines."""
    return read_presets(f"[presets.p]\n{body}").presets["p"]


def problems(text: str) -> str:
    """All problems of a text, a line each."""
    with pytest.raises(PresetProblems) as caught:
        read_presets(text)
    return str(caught.value)


def test_empty_file_has_the_defaults() -> None:
    """Without any text: `!`, open originals, no boxes, three dialects, no presets."""
    snapshot = read_presets("")

    assert snapshot.separators == ("!",)
    assert snapshot.originals is Originals.OPEN
    assert snapshot.adhoc.mode is AdhocMode.OFF
    assert snapshot.dialects == ("qiniu", "aliyun", "upyun")
    assert dict(snapshot.presets) == {}


def test_settings_are_read() -> None:
    """Everything above the presets arrives as a value."""
    snapshot = read_presets(
        'separators = ["-", "/"]\noriginals = "protected"\nadhoc = { sizes = ["50x50", "x9", "50x50"] }\ndialects = ["all"]'
    )

    assert snapshot.separators == ("-", "/")
    assert snapshot.originals is Originals.PROTECTED
    assert snapshot.adhoc.sizes == (AdhocBox(50, 50), AdhocBox(None, 9))
    assert snapshot.dialects == DIALECTS


@pytest.mark.parametrize(
    ("text", "dialects"),
    [
        ('"all"', DIALECTS),
        ("[]", ()),
        ('["tencent", "all"]', ("tencent", "qiniu", "aliyun", "upyun", "huawei", "volcengine")),
    ],
)
def test_dialects_keep_their_order(text: str, dialects: tuple[str, ...]) -> None:
    """`all` stands for the rest, after what is listed."""
    assert read_presets(f"dialects = {text}").dialects == dialects


@pytest.mark.parametrize(
    ("body", "operations"),
    [
        ("", (AutoOrient(),)),
        ("auto_orient = false", ()),
        ("width = 40", (AutoOrient(), Resize(40))),
        ("height = 40\nenlarge = true", (AutoOrient(), Resize(None, 40, enlarge=True))),
        ('width = 4\nheight = 5\nfit = "fill"', (AutoOrient(), Resize(4, 5, Fit.FILL))),
        (
            'width = 4\nheight = 5\nfit = "cover"',
            (AutoOrient(), Resize(4, 5, Fit.COVER), Crop(4, 5, Gravity.CENTRE)),
        ),
        (
            'width = 4\nheight = 5\nfit = "cover"\ngravity = "attention"',
            (AutoOrient(), Resize(4, 5, Fit.COVER), Crop(4, 5, Gravity.ATTENTION)),
        ),
        (
            'width = 4\nheight = 5\nfit = "pad"\ngravity = "north"\nbackground = "red"',
            (AutoOrient(), Resize(4, 5), Extent(4, 5, Gravity.NORTH, background=Colour(255, 0, 0))),
        ),
        (
            'sharpen = true\nblur = 2\ngrayscale = true\nflip = "horizontal"\nrotate = 10\nwidth = 9',
            (AutoOrient(), Resize(9), Rotate(10), Flip("horizontal"), Grayscale(), Blur(2), Sharpen()),
        ),
        ("sharpen = { sigma = 1.5 }", (AutoOrient(), Sharpen(1.5))),
        ("sharpen = {}", (AutoOrient(), Sharpen())),
        ("sharpen = false\ngrayscale = false\nrotate = 0\nenlarge = false", (AutoOrient(),)),
        ("rotate = -90", (AutoOrient(), Rotate(270))),
        ("rotate = 360.0", (AutoOrient(),)),
        ('rotate = 90\nbackground = "red"', (AutoOrient(), Rotate(90))),
        ("operations = [{ resize = { width = 400 } }, { sharpen = {} }]", (AutoOrient(), Resize(400), Sharpen())),
        ("operations = [{ blur = { sigma = 1 } }, { auto-orient = {} }]", (Blur(1), AutoOrient())),
        ("operations = [{ auto_orient = {} }]", (AutoOrient(),)),
        ("auto_orient = false\noperations = [{ grayscale = {} }]", (Grayscale(),)),
        (
            'operations = [{ crop = { width = 3, gravity = "center", dx = -1 } }, { flatten = { background = "#000" } }]',
            (AutoOrient(), Crop(3, gravity=Gravity.CENTRE, dx=-1), OPERATIONS["flatten"](background=Colour(0, 0, 0))),  # type: ignore[call-arg]
        ),
    ],
)
def test_fields_compile_to_operations(body: str, operations: tuple[Operation, ...]) -> None:
    """A preset's fields mean these operations, in the documented order."""
    assert preset(body).operations == operations


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ("", Output()),
        ('format = "jpg"', Output(Target.JPEG)),
        ('format = "source"', Output()),
        ('format = "auto"', Output(Target.PLAIN)),
        (
            'format = "webp"\nlossless = true\neffort = 9',
            Output(Target.WEBP, lossless=True, effort=9),
        ),
        (
            (
                'quality = 70\nprogressive = true\nbackground = "#12345678"\nmetadata = "copyright"\ncolor = "keep"\n'
                'animation = "first"\ntruncated = "render"\nmax_frames = 50\nover_budget = "refuse"'
            ),
            Output(
                quality=70,
                progressive=True,
                background=Colour(0x12, 0x34, 0x56, 0x78),
                metadata=Metadata.COPYRIGHT,
                colour=ColourPolicy.KEEP,
                animation=Animation.FIRST,
                truncated=Truncated.RENDER,
                max_frames=50,
                over_budget=OverBudget.REFUSE,
            ),
        ),
    ],
)
def test_fields_compile_to_output(body: str, output: Output) -> None:
    """A preset's fields say how the result is written."""
    assert preset(body).output == output


def test_auto_is_a_choice_for_later() -> None:
    """Only `auto` is negotiated."""
    assert preset('format = "auto"').auto_format
    assert not preset('format = "avif"').auto_format


@pytest.mark.parametrize(
    ("body", "cache"),
    [
        ("", CachePolicy()),
        ('cache = "7d"', CachePolicy(604_800)),
        ('cache = "1h30m"', CachePolicy(5400)),
        ("cache = 0", CachePolicy(0)),
        ('cache = "1y"', CachePolicy(31_536_000)),
        ('cache = "immutable"', CachePolicy(31_536_000, immutable=True)),
        ('cache = "no-store"', CachePolicy(0, no_store=True)),
        ('stale_while_revalidate = "1d"\nstale_if_error = 60', CachePolicy(None, 86_400, 60)),
    ],
)
def test_fields_compile_to_cache_policy(body: str, cache: CachePolicy) -> None:
    """Durations are texts or seconds; two words stand for the extremes."""
    assert preset(body).cache == cache


@pytest.mark.parametrize(
    "spellings",
    [
        ['width = 9\nheight = 9\nfit = "cover"', 'height = 9\nwidth = 9\nfit = "cover"\nfocal = true',
         'operations = [{ resize = { width = 9, height = 9, fit = "cover" } }, { crop = { gravity = "centre", width = 9, height = 9 } }]'],
        ["rotate = -90", "rotate = 270.0", "operations = [{ rotate = { degrees = 270 } }]"],
        ['format = "jpg"', 'format = "jpeg"\nbackground = "white"\nenlarge = false'],
        ["sharpen = true", "sharpen = { sigma = 0.8, amount = 1 }", "operations = [{ sharpen = {} }]"],
        ["blur = 2", "blur = 2.0"],
    ],
)  # fmt: skip
def test_equal_meanings_share_a_fingerprint(spellings: list[str]) -> None:
    """Presets with different names and spellings but one meaning share their stored results."""
    presets = [preset(body) for body in spellings]

    assert len({one.operations for one in presets}) == 1
    assert len({Plan("k", one.operations, one.output).fingerprint for one in presets}) == 1


PROBLEMS = {
    "not TOML": ("a = \n", "presets.toml:1: not valid TOML: Invalid value"),
    "not TOML, at the end": ("\n\na = [", "presets.toml:3: not valid TOML"),
    "key twice": ("[presets.a]\n[presets.a]", "presets.toml:2: not valid TOML"),
    "long number": ("a = " + "9" * 5000, "presets.toml:1: not valid TOML: a number is too long"),
    "deep": ("a = " + "[" * 9000, "presets.toml:1: not valid TOML"),
    "unknown setting": ('originls = "open"', 'presets.toml:1: originls: unknown key; did you mean "originals"?'),
    "unknown field": ("[presets.p]\nwidht = 3", 'presets.toml:2: presets.p.widht: unknown key; did you mean "width"?'),
    "British": ('[presets.p]\ncolour = "keep"', 'unknown key; did you mean "color"?'),
    "range": ("[presets.p]\nwidth = 0", "presets.toml:2: presets.p.width: must be 1 to 8192, got 0"),
    "huge": (f"[presets.p]\nheight = {10**40}", "presets.p.height: must be 1 to 8192, got 1e+40"),
    "fraction": ("[presets.p]\nwidth = 5.0", "presets.p.width: must be a whole number, got 5.0"),
    "text for number": ('[presets.p]\nwidth = "5"', 'presets.p.width: must be a whole number, got "5"'),
    "number for boolean": ("[presets.p]\neager = 1", "presets.p.eager: must be true or false, got 1"),
    "not a number": ("[presets.p]\nblur = nan", "presets.p.blur: must be 0.1 to 50, got nan"),
    "infinite": ("[presets.p]\nrotate = inf", "presets.p.rotate: must be -360 to 360, got inf"),
    "word": (
        '[presets.p]\nfit = "covr"',
        'presets.p.fit: must be "inside", "cover", "fill" or "pad", got "covr"; did you mean "cover"?',
    ),
    "face with pad": (
        '[presets.p]\nwidth = 9\nheight = 9\nfit = "pad"\ngravity = "face"',
        '"face" needs fit = "cover"',
    ),
    "gravity behind what is always found": (
        '[presets.p]\nwidth = 9\nheight = 9\nfit = "cover"\ngravity = ["attention", "face"]',
        "attention is always found: what follows it in the list is never tried",
    ),
    "focal point outside": (
        '[presets.p]\nwidth = 9\nheight = 9\nfit = "cover"\ngravity = { x = 30, y = 60 }',
        "in fractions of the upright picture",
    ),
    "focal twice": (
        '[presets.p]\nwidth = 9\nheight = 9\nfit = "cover"\ngravity = ["focal", "north"]\nfocal = false',
        'contradicts gravity, which names "focal"',
    ),
    "blur without pad": ('[presets.p]\nbackground = "blur"', '"blur" needs fit = "pad"'),
    "radius": ('[presets.p]\nradius = "60%"', "must be above 0 and up to 50 %"),
    "redact nothing": ("[presets.p]\nredact = {}", "redact needs faces = true, areas, or both"),
    "one tone of two": ('[presets.p]\nduotone = ["red"]', "must have at least 2, got 1"),
    "colour": ('[presets.p]\nbackground = "nocolor"', "presets.p.background: a colour must be #rgb"),
    "colour type": ("[presets.p]\nbackground = 7", "presets.p.background: must be a colour in quotes, got 7"),
    "preset is no table": ("[presets]\np = 3", "presets.toml:2: presets.p: must be a table, got 3"),
    "presets is no table": ("presets = 3", "presets.toml:1: presets: must be a table, got 3"),
    "presets is a list": ("[[presets]]\nwidth = 3", "presets.toml:1: presets: must be a table, got a list"),
    "cover with one side": (
        '[presets.p]\nwidth = 3\nfit = "cover"',
        'presets.toml:3: presets.p.fit: "cover" needs both sides: height is missing',
    ),
    "pad without sides": ('[presets.p]\nfit = "pad"', '"pad" needs both sides: width and height is missing'),
    "fit without sides": ('[presets.p]\nfit = "inside"', "presets.p.fit: has no effect without width or height"),
    "enlarge without sides": ("[presets.p]\nenlarge = true", "enlarge: has no effect without width or height"),
    "gravity of nothing": (
        '[presets.p]\nwidth = 3\ngravity = "north"',
        'presets.p.gravity: has no effect without fit = "cover" or fit = "pad"',
    ),
    "pad by attention": (
        '[presets.p]\nwidth = 3\nheight = 3\nfit = "pad"\ngravity = "entropy"',
        '"entropy" needs fit = "cover"; with "pad" it is one of the nine anchors',
    ),
    "operations and fields": (
        "[presets.p]\nwidth = 3\noperations = [{ grayscale = {} }]",
        "presets.toml:2: presets.p.width: cannot stand beside operations, which takes its place",
    ),
    "command and operations": (
        '[presets.p]\ncommand = "x"\noperations = [{ grayscale = {} }]',
        "presets.p.command: cannot stand beside operations",
    ),
    "lossless quality": ("[presets.p]\nlossless = true\nquality = 3", "quality: has no effect with lossless = true"),
    "lossless jpeg": (
        '[presets.p]\nlossless = true\nformat = "jpeg"',
        'presets.p.lossless: has no effect with format = "jpeg"',
    ),
    "progressive webp": ('[presets.p]\nprogressive = true\nformat = "webp"', "it is for gif, jpeg, png"),
    "animated png": ('[presets.p]\nanimation = "keep"\nformat = "png"', 'animation: "keep" has no effect'),
    "stale without cache": (
        '[presets.p]\ncache = "no-store"\nstale_if_error = 3',
        'stale_if_error: has no effect with cache = "no-store"',
    ),
    "duration": ('[presets.p]\ncache = "7 days"', 'must be a duration like "7d", "1h30m" or 3600 (seconds), got "7 days"'),
    "negative duration": ("[presets.p]\nstale_if_error = -1", 'must be 0 seconds to 365 days ("365d"), got -1'),
    "long duration": ('[presets.p]\ncache = "2y"', "must be 0 seconds to 365 days"),
    "command": ('[presets.p]\ncommand = "frobnicate/1"', "presets.p.command: 'frobnicate/1' is not a command of any vendor's"),
    "no operations": ("[presets.p]\noperations = []", "presets.p.operations: must have at least 1, got 0"),
    "many operations": (
        f"[presets.p]\noperations = [{'{ grayscale = {} },' * 33}]",
        "presets.p.operations: must have at most 32, got 33",
    ),
    "unknown operation": ("[presets.p]\noperations = [{ resise = {} }]", 'operations[0]: unknown operation "resise"'),
    "two operations in one": (
        "[presets.p]\noperations = [{ grayscale = {}, flatten = {} }]",
        "operations[0]: must be a table with one operation in it, got 2",
    ),
    "operation is no table": ('[presets.p]\noperations = ["grayscale"]', "operations[0]: must be a table"),
    "operation's field": (
        "[presets.p]\noperations = [\n{ resize = { widht = 3 } }]",
        'presets.toml:3: presets.p.operations[0].resize.widht: unknown key; did you mean "width"?',
    ),
    "operation's range": (
        "[presets.p]\noperations = [{ rotate = { degrees = 999 } }]",
        "operations[0].rotate: rotate takes -360 to 360 degrees, got 999",
    ),
    "operation's type": (
        "[presets.p]\noperations = [{ auto-orient = {} }, { blur = { sigma = true } }]",
        "operations[1].blur.sigma: must be a number, got true",
    ),
    "operation's missing field": (
        "[presets.p]\noperations = [{ border = { width = 3 } }]",
        "operations[0].border.height: is required",
    ),
    "hyphenated operation": (
        "[presets.p]\noperations = [{ auto-orient = { x = 1 } }]",
        "operations[0].auto-orient.x: unknown key",
    ),
    "sharpen's table": ("[presets.p]\nsharpen = { sigma = 99 }", "presets.p.sharpen.sigma: must be 0.1 to 10, got 99"),
    "name with separator": ('[presets."a!b"]', 'presets."a!b": a preset\'s name cannot contain the separator \'!\''),
    "name with slash": ('[presets."a/b"]', "a preset's name cannot contain '/'"),
    "empty name": ('[presets.""]', "a preset's name has 1 to 64 characters, got 0"),
    "long name": (f"[presets.{'n' * 65}]", "a preset's name has 1 to 64 characters, got 65"),
    "name with blank": ('[presets."a b"]', "cannot contain blanks or invisible characters, got U+0020"),
    "invisible name": ('[presets."a\\u200bb"]', "cannot contain blanks or invisible characters, got U+200B"),
    "dots": ('[presets.".."]', "a preset cannot be called '..'"),
    "separator": ('separators = ["?"]', "presets.toml:1: separators[0]: a separator is one character out of ~ @ $"),
    "long separator": ('separators = ["!!"]', 'got "!!"'),
    "no separator": ("separators = []", "separators: must have at least 1, got 0"),
    "separators as text": ('separators = "!"', 'separators: must be a list in brackets, got "!"'),
    "separator twice": ('separators = ["!", "!"]', 'separators: "!" is listed twice'),
    "dialect": ('dialects = ["foo"]', 'dialects: knows qiniu, aliyun, upyun, tencent, huawei, volcengine and all, got "foo"'),
    "dialects as text": ('dialects = "qiniu"', 'dialects: must be a list of dialects or "all", got "qiniu"'),
    "adhoc word": ('adhoc = "on"', 'adhoc: must be "off", "signed" or "any", got "on"'),
    "adhoc table": ("adhoc = {}", "adhoc.sizes: is required"),
    "adhoc box": ('adhoc = { sizes = ["50x50",\n"0x0"] }', "presets.toml:2: adhoc.sizes[1]: '0x0' is not a box"),
    "adhoc number": ("adhoc = { sizes = [50] }", "adhoc.sizes[0]: '50' is not a box"),
    "too many presets": (
        "".join(f"[presets.p{number}]\n" for number in range(2001)),
        "presets.toml:1: presets: at most 2000 presets, got 2001",
    ),
    "too long": ("#" * (MAX_FILE_BYTES + 1), "the file is 262145 bytes long; at most 262144 are read"),
}  # fmt: skip


@pytest.mark.parametrize("case", PROBLEMS)
def test_problem_is_told_once_with_its_place(case: str) -> None:
    """One mistake is one line, with file, line, field and what was expected."""
    text, says = PROBLEMS[case]

    told = problems(text)

    assert says in told
    assert len(told.splitlines()) == 1


def test_all_problems_are_told_at_once() -> None:
    """A file with several mistakes lists all of them in the order of its lines, conflicts among them."""
    told = problems(
        'separators = ["?", "-"]\n\n[presets.a-b]\nwidth = 0\nfit = "cover"\nqualty = 3\n\n[presets.c]\nfit = "x"\ngravity = "north"\n'
    )

    assert [line.split(": ")[0] + ": " + line.split(": ")[1] for line in told.splitlines()] == [
        "presets.toml:1: separators[0]",
        "presets.toml:3: presets.a-b",
        "presets.toml:4: presets.a-b.width",
        "presets.toml:5: presets.a-b.fit",
        "presets.toml:6: presets.a-b.qualty",
        "presets.toml:9: presets.c.fit",
    ]


def test_problems_call_the_file_by_its_name() -> None:
    """The name given is the one that is shown, as editors and terminals expect it."""
    with pytest.raises(PresetProblems) as caught:
        read_presets("x = 1", name="conf/p.toml")

    assert str(caught.value) == "conf/p.toml:1: x: unknown key"
    assert [(one.line, one.field, one.message) for one in caught.value.problems] == [(1, "x", "unknown key")]


def test_byte_order_mark_and_line_ends_of_windows_are_fine() -> None:
    """Editors on Windows write both."""
    assert "p" in read_presets("\ufeff[presets.p]\r\nwidth = 3\r\n").presets


def test_digest_is_of_the_meaning() -> None:
    """Comments, order and spelling do not change the digest; a quality does."""
    one = read_presets('separators = ["!", "-"]\n[presets.a]\nwidth = 3\n[presets.b]\nformat = "jpg"')
    same = read_presets('separators = ["-", "!"]\n# why\n[presets.b]\nformat = "jpeg"\n[presets.a]\nwidth = 0x3')
    other = read_presets('separators = ["!", "-"]\n[presets.a]\nwidth = 3\nquality = 3\n[presets.b]\nformat = "jpg"')

    assert one.digest == same.digest
    assert one.digest != other.digest


def test_snapshot_cannot_be_changed() -> None:
    """What a request holds stays what it was."""
    snapshot = read_presets("[presets.p]\nwidth = 3")

    with pytest.raises(TypeError):
        snapshot.presets["q"] = Preset("q")  # type: ignore[index]


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(PresetTable.model_fields)),
        st.integers()
        | st.floats()
        | st.booleans()
        | st.sampled_from(["auto", "cover", "pad", "north", "7d", "jpeg", "white", "keep"])
        | st.just([])
        | st.just({"sigma": 1}),
        max_size=6,
    )
)
def test_no_values_break_the_reader(fields: dict[str, object]) -> None:
    """Whatever stands in a preset, there is a snapshot or a list of problems."""
    body = "\n".join(f"{name} = {_written(value)}" for name, value in fields.items())
    try:
        preset(body)
        found: tuple[PresetProblem, ...] = ()
    except PresetProblems as refused:
        found = refused.problems

    assert all(problem.line >= 1 and problem.message for problem in found)


def _written(value: object) -> str:
    if isinstance(value, dict):
        return "{ sigma = 1 }"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


def test_two_thousand_presets_are_read_in_a_second() -> None:
    """The largest file that is allowed does not hold a reload up."""
    text = "".join(f'[presets.p{number}]\nwidth = {number + 1}\nfit = "inside"\n' for number in range(2000))

    started = time.process_time()  # what it costs, and not what else the machine does
    snapshot = read_presets(text)

    assert len(snapshot.presets) == 2000
    assert time.process_time() - started < 2


def test_shipped_presets_are_valid() -> None:
    """The presets.toml that ships is read without problems, holds a dozen presets, and allows a few sizes only."""
    text = (ROOT / "presets.toml").read_text()

    snapshot = read_presets(text)

    assert text.startswith("#:schema ./presets.schema.json\n")
    assert len(snapshot.presets) >= 12
    assert {"thumb", "small", "card", "blur", "auto"} <= set(snapshot.presets)
    assert snapshot.adhoc.mode is AdhocMode.SIZES
    assert len(snapshot.adhoc.sizes) <= 8


@pytest.mark.parametrize("policy", ["off", "sizes", "signed", "any"])
def test_shipped_presets_show_every_adhoc_policy(policy: str) -> None:
    """Each policy is there to be uncommented, and is then valid."""
    lines = (ROOT / "presets.toml").read_text().splitlines()
    wanted = "adhoc = { sizes" if policy == "sizes" else f'adhoc = "{policy}"'
    (example,) = [line.lstrip("# ") for line in lines if line.lstrip("# ").startswith(wanted)]

    assert read_presets(example).adhoc.mode is AdhocMode(policy)


def test_shipped_schema_is_up_to_date() -> None:
    """presets.schema.json is what the code says; write it again with json_schema() after a change."""
    shipped = json.loads((ROOT / "presets.schema.json").read_text())

    assert shipped == json_schema()


def test_schema_knows_every_field_and_operation() -> None:
    """Editors complete what the reader accepts, hyphens included, and explain each field of a preset."""
    definitions = json_schema()["$defs"]

    fields = definitions["PresetTable"]["properties"]
    assert set(fields) == set(PresetTable.model_fields)
    assert all(field.get("description") for field in fields.values())
    assert set(WRITTEN) <= set(definitions["Step"]["properties"])
    assert "null" not in json.dumps(definitions)


def test_schema_and_operation_agree_on_sharpen() -> None:
    """The table of `sharpen` has the defaults of the operation."""
    assert preset("sharpen = {}").operations[-1] == Sharpen()


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ('quality = "ssimulacra2:80"', Output(ssimulacra2=80)),
        ('format = "webp"\nmax_bytes = "100k"', Output(Target.WEBP, max_bytes=100_000, over_limit=OverLimit.FIT)),
        ('max_bytes = "2MB"', Output(max_bytes=2_000_000, over_limit=OverLimit.FIT)),
        ("max_bytes = 5000\nquality = 60", Output(quality=60, max_bytes=5000, over_limit=OverLimit.FIT)),
        ('format = ["png", "jpg"]', Output(Target.PLAIN, candidates=(Target.PNG, Target.JPEG))),
        ('command = "imageView2/2/w/9/q/60"\nquality = "ssimulacra2:50"', Output(ssimulacra2=50)),
    ],
)
def test_targets_of_quality(body: str, output: Output) -> None:
    """A score, a limit of bytes, and a list of formats."""
    found = preset(body).output

    for field in ("quality", "ssimulacra2", "max_bytes", "over_limit", "candidates"):
        assert getattr(found, field) == getattr(output, field)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('quality = "ssimulacra2:99"', 'must be 1 to 100, or "ssimulacra2:10" to "ssimulacra2:95"'),
        ('quality = "dssim:1"', 'must be 1 to 100, or "ssimulacra2:10" to "ssimulacra2:95"'),
        ("quality = 101", "must be 1 to 100, got 101"),
        ('max_bytes = "100 apples"', 'must be a number of bytes from 100, like "100k" or "2m"'),
        ("max_bytes = 5", 'must be a number of bytes from 100, like "100k" or "2m"'),
        ('format = ["jpeg", "smallest"]', "knows jpeg,"),
        ("format = []", "knows jpeg,"),
        (
            'format = "png"\nquality = "ssimulacra2:80"',
            'a score needs a format with a quality (avif, jpeg, jxl, webp), not "png"',
        ),
        ('format = "png"\nmax_bytes = "9k"', 'has no effect with format = "png"; it is for avif, jpeg, jxl, webp'),
        ('format = "webp"\nlossless = true\nmax_bytes = "9k"', "has no effect with lossless = true"),
        ('format = ["jpeg", "avif"]\nanimation = "keep"', '"keep" has no effect with format = "avif" or "jpeg"'),
    ],
)
def test_targets_that_make_no_sense(body: str, message: str) -> None:
    """What is wrong with them is said in the words of the file."""
    assert message in problems(f"[presets.p]\n{body}")


def test_reports_are_presets() -> None:
    """Alone, a report is about the file; with a size, about the picture that it makes."""
    alone, sized = preset('answer = "info"'), preset('answer = "blurhash"\nwidth = 40')

    assert (alone.operations, alone.output.answer) == ((), Answer.INFO)
    assert sized.operations == (AutoOrient(), Resize(40))
    assert preset("width = 40").output.answer is Answer.PICTURE
    assert preset('command = "imageInfo"').output.answer is Answer.QINIU_INFO
    assert "answer" in problems('[presets.p]\nanswer = "horoscope"')

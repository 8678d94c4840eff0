"""docs/operations.md: one picture for each operation, rendered by the code it documents (`make docs`).

The examples are presets, in docs/operations.toml; what stands before the first hyphen of a name is the original. The
originals are the samples, made smaller, and one photograph in the public domain.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from proxy.imaging import library
from proxy.imaging.job import RenderJob, RenderLimits
from proxy.imaging.transform import render
from proxy.plan.operations import OPERATIONS
from proxy.plan.plan import Plan
from proxy.plan.planner import Planner, PresetBook
from proxy.plan.preset_file import read_presets
from proxy.plan.presets import Preset
from proxy.plan.request import AskPreset, ImageRequest
from proxy.samples import SAMPLES

ROOT = Path(__file__).resolve().parent
EXAMPLES = ROOT / "operations.toml"
PICTURES = ROOT / "operations"
PAGE = ROOT / "operations.md"
FACE = ROOT.parent / "tests" / "imaging" / "data" / "eileen-collins.jpg"
"""NASA's portrait of Eileen Collins; in the public domain."""
ORIGINALS = {
    "valley": "valley.jpg", "bay": "bay.jpg", "fruit": "fruit.jpg", "marble": "marble.png", "lake": "lake.jpg",
    "moon": "moon.gif", "page": "page.png", "face": "face.jpg",
}  # fmt: skip
_SAMPLES = {
    "valley.jpg": "evening-valley.jpg", "bay.jpg": "bahía al amanecer.jpg", "fruit.jpg": "still-life.jpg",
    "marble.png": "glass-marble.png", "lake.jpg": "mountain-lake.jpg",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Example:
    """One preset of docs/operations.toml."""

    preset: Preset
    toml: str
    """Its fields as they are written, without the name."""
    group: str

    @property
    def original(self) -> Path:
        """What it is rendered from."""
        return PICTURES / ORIGINALS[self.preset.name.partition("-")[0]]

    @property
    def title(self) -> str:
        """What it shows, in a word or two."""
        return self.preset.name.partition("-")[2]


def examples() -> list[Example]:
    """The examples in the order of the file."""
    text = EXAMPLES.read_text(encoding="utf-8")
    presets = read_presets(text, name=EXAMPLES.name).presets
    found, group = [], ""
    for part in re.split(r"\n(?=# --- |\[presets\.)", text):
        if heading := re.match(r"# --- (.+) ---", part):
            group = heading[1]
        elif name := re.match(r"\[presets\.([^\]]+)\]\n", part):
            found.append(Example(presets[name[1]], part[name.end() :].strip(), group))
    return found


def make_originals() -> None:
    """Make the originals that are missing."""
    PICTURES.mkdir(exist_ok=True)
    for name in sorted(set(ORIGINALS.values())):
        if not (PICTURES / name).exists():
            (PICTURES / name).write_bytes(_original(name))


def _original(name: str) -> bytes:
    file = io.BytesIO()
    if name == "face.jpg":
        return FACE.read_bytes()
    if name == "moon.gif":
        SAMPLES["moon-phases.gif"](file)
        return file.getvalue()
    if name == "page.png":
        fruit = Image.open(io.BytesIO(_original("fruit.jpg"))).resize((260, 260))
        ImageOps.expand(fruit, (90, 40), fill="white").save(file, "PNG")
        return file.getvalue()
    SAMPLES[_SAMPLES[name]](file)
    image = Image.open(file)
    exif = Image.Exif()
    if turned := image.getexif().get(ExifTags.Base.Orientation):
        exif[ExifTags.Base.Orientation] = turned
    image.thumbnail((600, 600), Image.Resampling.LANCZOS)
    small = io.BytesIO()
    image.save(small, "PNG" if name.endswith(".png") else "JPEG", quality=88, exif=exif)
    return small.getvalue()


def rendered(example: Example) -> tuple[bytes, str]:
    """The picture of an example, and its extension."""
    plan = plan_of(example)
    overlays = tuple((name, str(PICTURES / name)) for name in plan.overlays)
    with tempfile.TemporaryDirectory(prefix="imgbang-docs-") as folder:
        result = Path(folder, "result")
        job = RenderJob(
            str(example.original), str(result), plan.operations, plan.output, RenderLimits(), overlays=overlays
        )
        report = render(job)
        return result.read_bytes(), report.format.extension


def plan_of(example: Example) -> Plan:
    """What the service would render for `/<original>!<preset>`."""
    request = ImageRequest(example.original.name, AskPreset(example.preset))
    return Planner(PresetBook()).plan(request)


def picture_of(example: Example) -> Path:
    """Where the picture of an example lies, whatever its format."""
    return next(PICTURES.glob(f"{example.preset.name}.*"))


def make_pictures() -> None:
    """Render every example anew."""
    library.start()
    make_originals()
    for old in PICTURES.iterdir():
        if old.name not in ORIGINALS.values():
            old.unlink()
    for example in examples():
        body, extension = rendered(example)
        (PICTURES / f"{example.preset.name}.{extension}").write_bytes(body)


def page() -> str:
    """The page that shows them."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Operations"
    yield ""
    yield "<!-- Generated by `make docs` from docs/operations.toml; the pictures are what the code makes of it. -->"
    yield ""
    yield "One picture for each operation. On the left what presets.toml says, in the middle what comes out."
    yield "Every field of every operation: [configuration.md](configuration.md). Operations have the order in which a"
    yield "list names them; the fields of a preset have the order of that page."
    yield ""
    yield "The originals:"
    yield ""
    for name in dict.fromkeys(ORIGINALS.values()):
        yield f'<img src="operations/{name}" alt="{name}" height="120">'
    group = ""
    for example in examples():
        if example.group != group:
            group = example.group
            yield from ("", f"## {group}", "", "| preset | picture | operation |", "| --- | --- | --- |")
        name = example.preset.name
        code = "<br>".join(f"`{line}`" for line in example.toml.replace("|", "\\|").splitlines())
        picture = f'<img src="operations/{picture_of(example).name}" alt="{name}">'
        yield f"| **{name}**<br>{code} | {picture} | {_meaning(example)} |"


def _meaning(example: Example) -> str:
    """The operations that the example consists of, with what each is for; turning upright goes without saying."""
    seen = dict.fromkeys(type(operation) for operation in plan_of(example).operations)
    names = [operation for operation in seen if operation.name not in ("auto-orient", "resize")] or list(seen)
    return "<br>".join(f"**{kind.name}**: {(kind.__doc__ or '').splitlines()[0]}" for kind in names)


def shown() -> frozenset[str]:
    """The names of the operations that have a picture."""
    return frozenset(operation.name for example in examples() for operation in plan_of(example).operations)


def missing() -> list[str]:
    """Operations without a picture."""
    return sorted(set(OPERATIONS) - shown())

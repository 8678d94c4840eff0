"""Every file of a directory, converted to sRGB by us and by LittleCMS through Pillow: the CIEDE2000 between the two.

The reference shares no code with us up to LittleCMS itself: Pillow decodes, its ImageCms converts, and what a PNG
states in numbers is computed here from the specification. CMYK without a profile has no right answer; there, the
profile that libvips brings is what both sides take, and the conversion is what is checked.
"""

from __future__ import annotations

import io
import struct
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image, ImageCms, ImageFile

from bench.difference import Array, ciede2000, lab_of
from bench.report import Report
from bench.workload import CORPUS
from proxy.errors import ProxyError
from proxy.imaging import library
from proxy.imaging.job import RenderJob, RenderLimits
from proxy.imaging.transform import render
from proxy.plan.output import ColourPolicy, Output, Target, Truncated

_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_BLACK_POINT_COMPENSATION = 0x2000
_MOST_PIXELS = 100_000
"""Of a larger picture, every so-manieth pixel in each direction is compared."""
SRGB = ImageCms.createProfile("sRGB")


@dataclass(frozen=True, slots=True)
class Match:
    """How near one file's result is to its reference."""

    name: str
    kind: str
    """What the file is, as the reference saw it."""
    mean: float
    p95: float
    worst: float
    alpha: int
    """The largest difference in alpha, of 255."""
    notes: str


def colour(directory: Path | None, policy: ColourPolicy = ColourPolicy.SRGB) -> Report:
    """Compare every file."""
    folder = directory or CORPUS.parent / "color"
    if not folder.is_dir():
        raise SystemExit("no corpus here; name a directory with --directory")
    report = Report("colour", {"directory": folder.name, "policy": policy.value})
    matches = [compare(path, policy) for path in sorted(folder.iterdir()) if path.is_file()]
    rows = [(m.name, m.kind, m.mean, m.p95, m.worst, m.alpha, m.notes) for m in matches]
    columns = ("file", "kind", "mean", "95 %", "most", "alpha", "what we say")
    report.table(
        f"CIEDE2000 against LittleCMS, colour = {policy.value}",
        columns,
        rows,
        note=f"{len(rows)} files; worst mean {max(match.mean for match in matches):.2f}, bound 2.",
    )
    return report


def compare(path: Path, policy: ColourPolicy = ColourPolicy.SRGB) -> Match:
    """One file, both ways."""
    kind, wanted = reference(path)
    got, notes = ours(path, policy)
    if got.shape[:2] != wanted.shape[:2]:
        raise AssertionError(f"{path.name}: {got.shape} instead of {wanted.shape}")
    alpha = int(np.abs(got[..., 3].astype(int) - wanted[..., 3]).max())
    step = max(1, int((got.shape[0] * got.shape[1] / _MOST_PIXELS) ** 0.5))
    got, wanted = got[::step, ::step], wanted[::step, ::step]
    # As seen on white and on black: the colour of what is nearly transparent is nearly nothing.
    apart = np.concatenate([ciede2000(lab_of(_over(got, back)), lab_of(_over(wanted, back))) for back in (0, 255)])
    figures = (apart.mean(), np.percentile(apart, 95), apart.max())
    return Match(path.name, kind, *(float(figure) for figure in figures), alpha, notes)


def _over(pixels: Array, back: int) -> Array:
    share = pixels[..., 3:] / 255
    return pixels[..., :3] * share + back * (1 - share)


def ours(path: Path, policy: ColourPolicy) -> tuple[Array, str]:
    """RGBA of our result, in sRGB; one in Display P3 is read by its profile."""
    library.start()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result")
        output = Output(Target.PNG, colour=policy, truncated=Truncated.RENDER, effort=0)
        try:
            report = render(RenderJob(str(path), str(result), (), output, RenderLimits()))
        except ProxyError as error:
            raise AssertionError(f"{path.name}: {error.message}") from error
        _, pixels = reference(result)
    return pixels, "; ".join(report.notes)


def reference(path: Path) -> tuple[str, Array]:
    """What the file is, and its RGBA in sRGB, by Pillow and LittleCMS."""
    # A palette's transparency in bytes earns a warning; one file of the corpus ends early, and is read as far as it goes.
    with warnings.catch_warnings(), _forgiving(), Image.open(path) as image:
        warnings.simplefilter("ignore")
        image.load()
        mode, profile = image.mode, image.info.get("icc_profile")
        alpha = _alpha(image, path.read_bytes()[24] if image.format == "PNG" else 8)
        stated = _stated(path) if image.format == "PNG" and not profile else None
        if mode == "LAB":
            colours, kind = _converted(image, ImageCms.createProfile("LAB")), "LAB"
        elif mode == "CMYK":
            kind = "CMYK, its profile" if profile else "CMYK"
            colours = _converted(image, _opened(profile or _usual_cmyk()))
        else:
            deep = mode.startswith("I;16")
            plain = _eight_bit(image) if deep else image
            kind = ("16 bit " if deep else "") + ("grey" if plain.mode in ("1", "L", "LA") or deep else "RGB")
            kind += ", its profile" if profile else ""
            colours = np.asarray(plain.convert("RGB"))
            if profile and profile[8] > 4:
                kind = f"{kind} (iccMAX, which LittleCMS does not read)"
            elif profile:
                grey = _is_grey(profile)
                colours = _converted(plain.convert("L" if grey else "RGB"), _opened(profile))
            elif stated is not None:
                kind, colours = f"{kind}, {stated[0]}", _through(colours, stated[1])
    return kind, np.dstack([colours, alpha])


@contextmanager
def _forgiving() -> Iterator[None]:
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _alpha(image: Image.Image, depth: int) -> Array:
    if not image.has_transparency_data:
        return np.full((image.height, image.width), 255, np.uint8)
    if (
        image.mode == "L" and depth < 8
    ):  # Pillow scales the pixels to eight bits, and forgets the one that is transparent
        key = image.info["transparency"] * 255 // ((1 << depth) - 1)
        return np.where(np.asarray(image) == key, 0, 255)
    return np.asarray(image.convert("RGBA"))[..., 3]


def _eight_bit(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.round(np.asarray(image, float) / 257).astype(np.uint8))


def _converted(image: Image.Image, profile: object) -> Array:
    done = ImageCms.profileToProfile(image, profile, SRGB, _INTENT, "RGB", flags=_BLACK_POINT_COMPENSATION)
    return np.asarray(done)


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _is_grey(profile: bytes) -> bool:
    return profile[16:20] == b"GRAY"


def _usual_cmyk() -> bytes:
    return bytes(pyvips.Operation.call("profile_load", "cmyk"))


def _stated(path: Path) -> tuple[str, float] | None:
    """What a PNG without a profile says of its colours: a name and the power that it means for codes in sRGB."""
    chunks, data, at = {}, path.read_bytes(), 8
    while at + 8 <= len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        chunks.setdefault(name, data[at + 8 : at + 8 + length])
        at += 12 + length
    if b"cICP" in chunks:
        assert chunks[b"cICP"] == bytes([1, 4, 0, 1]), "the reference knows no other code points"
        return "cICP", -2.2
    if b"sRGB" in chunks or b"gAMA" not in chunks:
        return None
    gamma = struct.unpack(">I", chunks[b"gAMA"])[0] / 100_000
    return None if abs(gamma - 0.45455) < 0.001 else (f"gAMA {gamma:g}", 1 / (2.2 * gamma))


def _through(colours: Array, power: float) -> Array:
    """Codes to a power; or, where it is negative, light of that gamma, written as sRGB."""
    code = colours / 255
    if power > 0:
        return np.round(255 * code**power)
    light = code ** (-power)
    return np.round(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))

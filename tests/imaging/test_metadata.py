"""Metadata, looked at by exiftool, or by Pillow where that is not installed: what is stripped, and what stays."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from proxy.imaging.inspect import inspect
from proxy.imaging.job import RenderLimits
from proxy.imaging.metadata import tells_position
from proxy.imaging.reports import exif_fields
from proxy.plan.operations import AutoOrient, Resize
from proxy.plan.output import SOURCE_BYTES, ColourPolicy, Metadata, Orientation, Output, OverLimit, Target, Truncated
from tests.corpus import ROOT, corpus_files, manifest, require_corpus
from tests.imaging.conftest import Studio
from tests.pictures import coordinates, decoded, encoded

WITH_GPS = (
    sorted(path for path, row in manifest().items() if " GPS" in row["libvips_8.18.7_wheel"])
    if corpus_files("photos")
    else []
)
TARGETS = [Target.JPEG, Target.PNG, Target.WEBP, Target.AVIF, Target.TIFF, Target.GIF, Target.BMP, Target.ICO]
POLICIES = (
    Output(),
    Output(metadata=Metadata.COPYRIGHT),
    Output(metadata=Metadata.COPYRIGHT, orientation=Orientation.KEEP, colour=ColourPolicy.KEEP, density=72),
)


def tags_of(*paths: Path) -> dict[str, dict[str, object]]:
    """Every tag of each file, `Group:Name`."""
    if shutil.which("exiftool"):
        command = ["exiftool", "-json", "-a", "-G1", "-ee", "-u", *map(str, paths)]
        done = subprocess.run(command, capture_output=True, check=False)
        ours = ("System:", "ExifTool:", "File:")
        return {
            Path(str(found["SourceFile"])).name: {tag: said for tag, said in found.items() if not tag.startswith(ours)}
            for found in json.loads(done.stdout)
        }
    return {path.name: by_pillow(path) for path in paths}


def by_pillow(path: Path) -> dict[str, object]:
    """The tags of one file, where there is no exiftool."""
    with Image.open(path) as image:
        exif = image.getexif()
        found = {f"IFD0:{ExifTags.TAGS.get(number, number)}": value for number, value in exif.items()}
        found |= {f"GPS:GPS{number}": value for number, value in exif.get_ifd(ExifTags.IFD.GPSInfo).items()}
        return found | {f"XMP:{name}": value for name, value in image.info.items() if name == "xmp"}


def told(found: dict[str, object]) -> list[str]:
    """The tags that tell where a picture was taken."""
    return [name for name in found if "GPS" in name or "Location" in name or name.endswith(":City")]


def test_the_reader_finds_positions() -> None:
    """What the tests below look for is found in the originals."""
    require_corpus()
    assert WITH_GPS
    assert all(told(found) for found in tags_of(*(ROOT / path for path in WITH_GPS)).values())


@pytest.mark.parametrize("path", WITH_GPS)
def test_positions_never_leak(studio: Studio, path: str, tmp_path: Path) -> None:
    """In no format and under no policy does a result tell where its original was taken."""
    original = ROOT / path
    if path.endswith(".avif"):  # decoded once: twelve megapixels two dozen times take half a minute
        assert tells_position(str(original), inspect(str(original), RenderLimits()), RenderLimits())
    policies = POLICIES[2:] if path.endswith(".avif") else POLICIES
    results = tmp_path / "results"
    results.mkdir()
    for target in TARGETS:
        for number, policy in enumerate(policies):
            output = replace(policy, target=target, truncated=Truncated.RENDER)
            studio.render(original, AutoOrient(), Resize(64, 64), output=output)
            shutil.copy(studio.result, results / f"{number}.{target.value}")

    for result in results.iterdir():
        assert b"GPS" not in result.read_bytes()
    assert {name: found for name, found in tags_of(*results.iterdir()).items() if told(found)} == {}


def with_position(kind: str, size: int = 64, **options: object) -> bytes:
    """A picture that says that it was taken in Ljubljana, by whom and whose it is, and which way is up."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ana Novak"
    exif[ExifTags.Base.Copyright] = "(c) 2026 Ana"
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Software] = "secret editor"
    exif._ifds[ExifTags.IFD.GPSInfo] = {
        ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (46.0, 3.0, 5.0),
        ExifTags.GPS.GPSLongitudeRef: "E", ExifTags.GPS.GPSLongitude: (14.0, 30.0, 20.0),
    }  # fmt: skip
    return encoded(coordinates(size, size * 3 // 4), kind, exif=exif.tobytes(), **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("target", TARGETS)
def test_stripped_by_default(studio: Studio, kind: str, target: Target) -> None:
    """From no format into no format does anything go but pixels, by default; the orientation is used up."""
    studio.render(with_position(kind), AutoOrient(), target=target)

    result = studio.result.with_suffix("." + target.value)
    shutil.copy(studio.result, result)
    groups = ("ExifIFD", "GPS", "IFD1", "EXIF", "IPTC") + (() if target is Target.TIFF else ("IFD0",))
    assert [name for name in tags_of(result)[result.name] if name.split(":")[0] in groups] == []
    body = result.read_bytes()
    assert not any(word in body for word in (b"Ana", b"secret", b"xmpmeta", b"GPS"))
    assert decoded(body).size == (48, 64)
    assert decoded(body).getexif().get(ExifTags.Base.Orientation, 1) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("target", [Target.JPEG, Target.PNG, Target.WEBP, Target.AVIF])
def test_copyright_on_request(studio: Studio, kind: str, target: Target) -> None:
    """On request artist and copyright stay, as EXIF and as XMP, and nothing beside them."""
    studio.render(with_position(kind), AutoOrient(), output=Output(target, metadata=Metadata.COPYRIGHT))

    image = decoded(studio.result.read_bytes())
    exif = image.getexif()
    assert exif[ExifTags.Base.Artist] == "Ana Novak"
    assert exif[ExifTags.Base.Copyright] == "(c) 2026 Ana"
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    assert not exif.get_ifd(ExifTags.IFD.GPSInfo)
    body = studio.result.read_bytes()
    assert b"secret" not in body
    assert b"<dc:creator><rdf:Seq><rdf:li>Ana Novak</rdf:li>" in (
        image.info.get("xmp") or image.info.get("XML:com.adobe.xmp", "").encode() or body
    )


def test_copyright_from_xmp_and_iptc(studio: Studio) -> None:
    """Where EXIF does not say whose a picture is, XMP does, and then IPTC; markup in it stays text."""
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description exif:GPSLatitude="46,3N">'
        b"<dc:creator><rdf:Seq><rdf:li>&#381;iga &amp; &lt;b&gt;</rdf:li></rdf:Seq></dc:creator>"
        b'<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">All of them</rdf:li></rdf:Alt></dc:rights>'
        b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    original = encoded(coordinates(32, 32), "JPEG", xmp=xmp)

    studio.render(original, output=Output(Target.JPEG, metadata=Metadata.COPYRIGHT))

    body = studio.result.read_bytes()
    assert "<rdf:li>Žiga &amp; &lt;b&gt;</rdf:li>".encode() in body
    assert b"All of them" in body
    assert b"GPS" not in body

    def field(number: int, text: bytes) -> bytes:
        return b"\x1c\x02" + bytes([number]) + len(text).to_bytes(2, "big") + text

    record = field(80, b"Ana") + field(90, b"Ljubljana") + field(116, b"Ana's")
    block = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + len(record).to_bytes(4, "big") + record
    plain = encoded(coordinates(32, 32), "JPEG")
    studio.render(
        plain[:2] + b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block + plain[2:],
        output=Output(Target.JPEG, metadata=Metadata.COPYRIGHT),
    )
    body = studio.result.read_bytes()
    assert b"Ana&apos;s" in body or b"Ana's" in body
    assert b"Ljubljana" not in body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_an_original_with_a_position_is_no_result(studio: Studio, kind: str) -> None:
    """Where a vendor answers with the original because the result is larger, a position prevents it."""
    original = with_position(kind, quality=5) if kind != "PNG" else with_position(kind)
    assert tells_position(str(studio.store(original)), inspect(str(studio.original), RenderLimits()), RenderLimits())

    for output in (
        Output(quality=100, max_bytes=SOURCE_BYTES, over_limit=OverLimit.SMALLER),
        Output(quality=100, max_bytes=1, over_limit=OverLimit.OR_ORIGINAL),
        Output(slim=True),
    ):
        studio.render(original, output=output)
        body = studio.result.read_bytes()
        assert body != original
        assert not decoded(body).getexif().get_ifd(ExifTags.IFD.GPSInfo)
        assert b"secret" not in body


def test_reports_tell_no_position(studio: Studio) -> None:
    """EXIF reports leave positions out, unless the operator lets them in."""
    path = str(studio.store(with_position("JPEG")))
    info = inspect(path, RenderLimits())

    private = exif_fields(path, info, RenderLimits())
    public = exif_fields(path, info, RenderLimits(exif_gps=True))

    assert private["Artist"][0] == "Ana Novak"
    assert not any("GPS" in name or "Latitude" in name for name in private)
    assert any("Latitude" in name for name in public)

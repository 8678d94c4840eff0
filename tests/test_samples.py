"""The sample pictures: what they show off, and that writing them is safe to repeat and to interrupt."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import ExifTags, Image, ImageOps, ImageStat

from proxy import samples
from proxy.samples import fields

NAMES = {
    "mountain-lake.jpg": ("JPEG", (4000, 3000)),
    "evening-valley.jpg": ("JPEG", (1680, 1120)),
    "bahía al amanecer.jpg": ("JPEG", (1200, 800)),
    "still-life.jpg": ("JPEG", (1000, 1000)),
    "moonlit-lake.webp": ("WEBP", (1080, 720)),
    "glass-marble.png": ("PNG", (800, 800)),
    "moon-phases.gif": ("GIF", (240, 240)),
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the samples in it; made once, for it takes seconds."""
    made = tmp_path_factory.mktemp("images") / "not" / "there yet"
    written = samples.generate(made)
    assert [path.name for path in written] == list(NAMES)
    return made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[samples.Draw], None]:
    """Offer one sample only, drawn by the function given."""
    return lambda draw: monkeypatch.setattr(samples, "SAMPLES", {"one.jpg": draw})


def draw_bytes(file: io.BytesIO) -> None:
    file.write(b"a picture")


def test_nothing_but_the_samples_is_written(directory: Path) -> None:
    """No temporary file stays behind."""
    assert {path.name for path in directory.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_format_and_size(directory: Path, name: str) -> None:
    """Each sample is a whole picture of the format its name says."""
    with Image.open(directory / name) as picture:
        picture.load()

        assert (picture.format, picture.size) == NAMES[name]


@pytest.mark.parametrize("name", NAMES)
def test_pictures_show_something(directory: Path, name: str) -> None:
    """No sample is flat: its brightness varies."""
    with Image.open(directory / name) as picture:
        assert ImageStat.Stat(picture.convert("L")).stddev[0] > 15


def test_the_large_one_lies_on_its_side(directory: Path) -> None:
    """Turned as its EXIF says, it is upright: bright sky above, meadow below."""
    with Image.open(directory / "mountain-lake.jpg") as picture:
        assert picture.getexif()[ExifTags.Base.Orientation] == 6
        upright = ImageOps.exif_transpose(picture)

    red, green, blue = upright.resize((1, 8), Image.Resampling.BOX).getpixel((0, 0))
    assert blue > green > red
    red, green, blue = upright.resize((1, 8), Image.Resampling.BOX).getpixel((0, 7))
    assert green > red > blue


def test_the_large_one_says_where_and_by_what_it_was_taken(directory: Path) -> None:
    """There is private metadata to strip: camera, date, place."""
    with Image.open(directory / "mountain-lake.jpg") as picture:
        exif = picture.getexif()

        assert exif[ExifTags.Base.Model]
        assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal]
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (46, 33, 0)


def test_one_is_progressive(directory: Path) -> None:
    """The valley is a progressive JPEG."""
    with Image.open(directory / "evening-valley.jpg") as picture:
        assert picture.info["progressive"]


def test_the_marble_is_transparent(directory: Path) -> None:
    """The PNG is clear at the corners, half clear in the glass and in the shadow, and has soft edges."""
    with Image.open(directory / "glass-marble.png") as picture:
        assert picture.mode == "RGBA"
        alpha = picture.getchannel("A")

    assert alpha.getpixel((5, 5)) == 0
    assert 60 < alpha.getpixel((400, 350)) < 250
    assert 20 < alpha.getpixel((560, 690)) < 200
    assert sum(1 for count in alpha.histogram() if count) > 100


def test_the_moon_goes_round_for_ever(directory: Path) -> None:
    """The GIF has twelve differing frames, each shown for a while, and loops without end."""
    with Image.open(directory / "moon-phases.gif") as picture:
        assert picture.n_frames == 12
        assert picture.info["loop"] == 0
        assert picture.info["duration"] >= 50
        light = []
        for frame in range(12):
            picture.seek(frame)
            light.append(ImageStat.Stat(picture.convert("L")).mean[0])

    assert light[0] == max(light)
    assert light[6] < light[0] / 4


@pytest.mark.parametrize("name", ["bahía al amanecer.jpg", "still-life.jpg", "glass-marble.png", "moon-phases.gif"])
def test_the_same_picture_every_time(directory: Path, name: str) -> None:
    """A sample drawn again, from nothing remembered, has the same bytes."""
    fields.fractal.cache_clear()
    again = io.BytesIO()

    samples.SAMPLES[name](again)

    assert again.getvalue() == (directory / name).read_bytes()


def test_a_second_run_writes_nothing(directory: Path) -> None:
    """What is there stays as it is, to the nanosecond."""
    before = {path: path.stat().st_mtime_ns for path in directory.iterdir()}

    assert samples.generate(directory) == []
    assert {path: path.stat().st_mtime_ns for path in directory.iterdir()} == before


def test_a_file_of_the_users_is_left_alone(tmp_path: Path, quick: Callable[[samples.Draw], None]) -> None:
    """A file that happens to have a sample's name is not overwritten."""
    quick(draw_bytes)
    (tmp_path / "one.jpg").write_bytes(b"mine")

    assert samples.generate(tmp_path) == []
    assert (tmp_path / "one.jpg").read_bytes() == b"mine"


def test_an_interrupted_drawing_leaves_nothing(tmp_path: Path, quick: Callable[[samples.Draw], None]) -> None:
    """Ctrl-C in the middle of a picture leaves no file, half or hidden."""

    def interrupted(file: io.BytesIO) -> None:
        file.write(b"half a pic")
        raise KeyboardInterrupt

    quick(interrupted)

    with pytest.raises(KeyboardInterrupt):
        samples.generate(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, quick: Callable[[samples.Draw], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run stopped between writing and renaming leaves no file under the real name, nor a hidden one."""

    def stopped(path: Path, target: Path) -> None:
        assert path.name.startswith(".")
        assert path.read_bytes() == b"a picture"
        raise KeyboardInterrupt

    quick(draw_bytes)
    monkeypatch.setattr(Path, "replace", stopped)

    with pytest.raises(KeyboardInterrupt):
        samples.generate(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_cleared(tmp_path: Path, quick: Callable[[samples.Draw], None]) -> None:
    """An old hidden part goes with the next run; a fresh one may be another run's, and stays."""
    quick(draw_bytes)
    old, fresh = tmp_path / ".one.jpg.1.part", tmp_path / ".one.jpg.2.part"
    old.write_bytes(b"half")
    fresh.write_bytes(b"half")
    os.utime(old, (1_000_000, 1_000_000))

    assert samples.generate(tmp_path) == [tmp_path / "one.jpg"]
    assert {path.name for path in tmp_path.iterdir()} == {"one.jpg", fresh.name}

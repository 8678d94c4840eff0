"""The staging directory: within its budget, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.delivery.staging import StagedFile, Staging
from proxy.errors import Overloaded

_OWNER = """
import sys, time
from pathlib import Path
from proxy.delivery.staging import Staging
staging = Staging(Path(sys.argv[1]), limit=1000)
staging.start()
staging.new_path().write_bytes(b"left behind")
print("started", flush=True)
time.sleep(60)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "staging"


@pytest.fixture
def staging(directory: Path) -> Iterator[Staging]:
    staging = Staging(directory, limit=1000)
    staging.start()
    yield staging
    staging.close()


def start_owner(directory: Path) -> subprocess.Popen[bytes]:
    """Another process that stages into the directory."""
    process = subprocess.Popen([sys.executable, "-c", _OWNER, str(directory)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def parts(directory: Path) -> list[Path]:
    """The sub-directories."""
    return [path for path in directory.iterdir() if path.is_dir()]


def test_dead_process_is_swept_and_a_living_one_is_not(directory: Path) -> None:
    """At start, what a killed process left is deleted; a running replica's files stay."""
    dead, living = start_owner(directory), start_owner(directory)
    end(dead)
    staging = Staging(directory, limit=1000)

    assert staging.start() == 1
    names = [part.name for part in parts(directory)]
    assert len(names) == 2
    assert [name for name in names if name.startswith(f"{living.pid}-")]
    assert [
        part for part in parts(directory) if part.name.startswith(f"{living.pid}-") and len(list(part.iterdir())) == 2
    ]

    end(living)
    staging.close()
    later = Staging(directory, limit=1000)
    assert later.start() == 1
    later.close()
    assert parts(directory) == []


def test_process_that_died_before_its_lock(directory: Path) -> None:
    """A sub-directory without a lock belongs to nobody."""
    (directory / "123-0123abcd").mkdir(parents=True)
    staging = Staging(directory, limit=1000)
    assert staging.start() == 1
    staging.close()
    assert parts(directory) == []


def test_replicas_start_at_the_same_time(directory: Path) -> None:
    """Those who start together do not sweep each other away."""
    replicas = [Staging(directory, limit=1000) for _ in range(40)]
    together = threading.Barrier(8)

    def start(replica: Staging) -> None:
        together.wait()
        replica.start()
        replica.new_path().write_bytes(b"x")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(start, replicas))

    assert len(parts(directory)) == 40
    for replica in replicas:
        replica.close()


def test_what_others_keep_there_is_not_touched(directory: Path) -> None:
    """A directory that is used for other things as well loses nothing of theirs."""
    (directory / "theirs").mkdir(parents=True)
    (directory / "locked").mkdir()
    (directory / "locked" / ".lock").touch()
    (directory / "locked" / "precious").touch()
    (directory / "file").touch()
    staging = Staging(directory, limit=1000)

    assert staging.start() == 0
    staging.close()
    assert sorted(path.name for path in directory.iterdir()) == [".lock", "file", "locked", "theirs"]
    assert (directory / "locked" / "precious").exists()


def test_link_instead_of_the_directory_is_refused(tmp_path: Path) -> None:
    """Somebody else's link in a shared place is not followed."""
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="not a link"):
        Staging(tmp_path / "link", limit=1000).start()
    assert list((tmp_path / "target").iterdir()) == []


def test_link_inside_is_not_followed(directory: Path, tmp_path: Path) -> None:
    """A link that looks like a dead process's sub-directory does not lead the sweep elsewhere."""
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "precious").touch()
    directory.mkdir()
    (directory / "123-0123abcd").symlink_to(tmp_path / "target")
    staging = Staging(directory, limit=1000)

    assert staging.start() == 0
    staging.close()
    assert (tmp_path / "target" / "precious").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory of somebody else")
def test_somebody_elses_directory_is_refused(directory: Path) -> None:
    """Its owner could put other files in the place of ours."""
    directory.mkdir()
    os.chown(directory, 12345, 12345)
    with pytest.raises(OSError, match="must be a writable directory"):
        Staging(directory, limit=1000).start()


def test_directory_is_private(staging: Staging, directory: Path) -> None:
    """Nobody else reads originals here."""
    assert directory.stat().st_mode & 0o077 == 0
    assert parts(directory)[0].stat().st_mode & 0o077 == 0


def test_budget(staging: Staging) -> None:
    """More than the limit cannot be reserved; what is refused is not accounted."""
    first, second = staging.new_path(), staging.new_path()
    staging.reserve(first, 600)
    assert staging.fits(second, 400)
    assert not staging.fits(second, 401)
    with pytest.raises(Overloaded):
        staging.reserve(second, 401)

    assert (staging.statistics.files, staging.statistics.used_bytes) == (1, 600)


def test_reservation_grows_and_shrinks(staging: Staging) -> None:
    """A reservation is a total for its file, not an addition."""
    path = staging.new_path()
    for size in (10, 900, 1000, 50):
        staging.reserve(path, size)
        assert staging.statistics.used_bytes == size


def test_discard_twice(staging: Staging) -> None:
    """Discarding is idempotent, also for what was never written or reserved."""
    path = staging.new_path()
    path.write_bytes(b"x")
    staging.reserve(path, 1)
    staging.discard(path)
    staging.discard(path)
    staging.discard(staging.new_path())

    assert not path.exists()
    assert (staging.statistics.files, staging.statistics.used_bytes) == (0, 0)


def test_file_closed_under_a_write(staging: Staging) -> None:
    """Closing never waits for a write under way, and the write cannot end up in another file."""
    file = StagedFile(staging.new_path())
    read_end, write_end = os.pipe()  # a write into a pipe blocks until somebody reads
    os.dup2(write_end, file._file.fileno())
    os.close(write_end)
    writing = threading.Thread(target=file.write, args=(b"x" * 1_000_000,))
    writing.start()
    os.read(read_end, 1)  # it has begun

    file.close()
    still_open = not file._file.closed
    while writing.is_alive():
        os.read(read_end, 65_536)
    writing.join()

    assert still_open
    assert file._file.closed
    os.close(read_end)


def test_write_after_close_is_dropped(staging: Staging) -> None:
    """A chunk whose turn comes after the caller has gone is not written anywhere."""
    path = staging.new_path()
    file = StagedFile(path)
    file.close()
    file.write(b"late")
    assert path.read_bytes() == b""

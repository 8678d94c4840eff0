"""Tasks for render workers that do what somebody would who has taken over a decoder."""

from __future__ import annotations

import ctypes
import fcntl
import os
import pickle
import resource
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from proxy.imaging.job import RenderJob, RenderReport
from proxy.imaging.worker import _task, render_job
from tests.imaging.stunts import report


def _said(job: RenderJob, attempt: Callable[[], object]) -> RenderReport:
    """Try it, and leave behind what came of it."""
    try:
        outcome = f"done: {attempt()!r}"
    except OSError as error:
        outcome = f"refused: {type(error).__name__}"
    Path(job.result_path).write_text(outcome)
    return report(job)


def connect(job: RenderJob) -> RenderReport:
    """Open a connection."""
    return _said(job, lambda: socket.create_connection(("127.0.0.1", 9), timeout=1))


def talk_locally(job: RenderJob) -> RenderReport:
    """Open a socket of this machine, as to a container's daemon."""
    return _said(job, lambda: socket.socket(socket.AF_UNIX))


def run_a_program(job: RenderJob) -> RenderReport:
    """Start a shell."""
    return _said(job, lambda: subprocess.run(["/bin/sh", "-c", "id"], capture_output=True, check=True))


def read_secrets(job: RenderJob) -> RenderReport:
    """Read a file next to the staging directory."""
    return _said(job, Path(job.path).parent.with_name("secret").read_bytes)


def read_passwords(job: RenderJob) -> RenderReport:
    """Read a file of the system."""
    return _said(job, Path("/etc/passwd").read_bytes)


def write_elsewhere(job: RenderJob) -> RenderReport:
    """Write next to the staging directory."""
    return _said(job, lambda: Path(job.path).parent.with_name("secret").write_bytes(b"mine"))


def write_a_module(job: RenderJob) -> RenderReport:
    """Put code where the next worker would import it."""
    return _said(job, lambda: Path(sys.prefix, "attack.pth").write_text("import os"))


def kill_the_front(job: RenderJob) -> RenderReport:
    """Look into the process that started this one."""
    return _said(job, Path(f"/proc/{os.getppid()}/environ").read_bytes)


def tell_environment(job: RenderJob) -> RenderReport:
    """Show what this process was started with, as the kernel and as Python see it."""
    found = "\n".join(f"{name}={value}" for name, value in os.environ.items())
    entries = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    at = 0
    while entries[at] is not None:
        found += f"\n{entries[at]!r}"
        at += 1
    Path(job.result_path).write_text(found)
    return report(job)


def _to_the_front() -> int:
    """The pipe that answers go through: the only one that can be written to."""
    (number,) = _pipes_out()
    return number


def _pipes_out() -> list[int]:
    found = []
    for number in range(3, 1024):
        with suppress(OSError):
            writable = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
            if writable and stat.S_ISFIFO(os.fstat(number).st_mode):
                found.append(number)
    return found


class _Order:
    """Makes a file where it is unpickled."""

    def __init__(self, marker: str) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (Path(self._marker),)


def tell_pipes(job: RenderJob) -> RenderReport:
    """Count the pipes that lead out of this process."""
    Path(job.result_path).write_text(str(len(_pipes_out())))
    return report(job)


def order_the_front(job: RenderJob) -> RenderReport:
    """Answer with code, as multiprocessing's pools would run it."""
    message = pickle.dumps(_Order(f"{job.path}.ordered"))
    os.write(_to_the_front(), struct.pack("!i", len(message)) + message + b"\n")
    return report(job)


def name_a_class(job: RenderJob) -> RenderReport:
    """Answer with an error that the front does not know as one."""
    os.write(_to_the_front(), b'_Refused 0 {"error":"Path","message":"/etc/passwd"}\n')
    return report(job)


def promise_too_much(job: RenderJob) -> RenderReport:
    """Answer with more to follow than the front should keep."""
    os.write(_to_the_front(), b"RenderReport 99999999 {}\n" + bytes(1 << 16))
    return report(job)


def never_end(job: RenderJob) -> RenderReport:
    """Answer more than the front should keep."""
    with suppress(OSError):
        for _ in range(64):
            os.write(_to_the_front(), bytes(1 << 20))
    return report(job)


def write_to_sockets(job: RenderJob) -> RenderReport:
    """Say something to whoever is at the other end of each socket."""
    sockets = []
    for number in range(3, 256):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                sockets.append(number)
    return _said(job, lambda: [os.write(number, b"hello") for number in sockets])


def tell_files(job: RenderJob) -> RenderReport:
    """Show every file that is open."""
    names = []
    for number in range(256):
        try:
            names.append(f"{number} {os.fstat(number).st_mode & 0o170000:o}")
        except OSError:
            continue
    Path(job.result_path).write_text("\n".join(names))
    return report(job)


def allocate(job: RenderJob) -> RenderReport:
    """Take two gigabytes."""
    with _task():
        Path(job.result_path).write_bytes(bytes(2 << 30))
    return report(job)


def allocate_in_libvips(job: RenderJob) -> RenderReport:
    """Take two gigabytes inside a library."""
    import pyvips

    from proxy.errors import CannotRender
    from proxy.imaging.library import translated

    with translated(lambda _: CannotRender("no")):
        pyvips.Image.black(50_000, 50_000).copy_memory()
    return report(job)


def spin(job: RenderJob) -> RenderReport:
    """Compute for ever, in C."""
    del job
    return pow(3, 10**10)


def fill_the_disk(job: RenderJob) -> RenderReport:
    """Write more than a result may have."""

    def write() -> int:
        with Path(job.result_path).open("wb") as file:
            return file.truncate(1 << 40)

    return _said(job, write)


def raise_the_limits(job: RenderJob) -> RenderReport:
    """Take the limits away again; not as root, who may."""
    with Path(job.result_path).open("w") as result:
        os.setuid(65534)
        try:
            resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (ValueError, OSError):
            result.write("refused")
    return report(replace(job, result_path=""))


def render(job: RenderJob) -> RenderReport:
    """Render, as ever."""
    return render_job(job)


Attack = Callable[[int, Path], object]
"""Something to try with the descriptor of a lent file; the directory is one that may be written to."""

_kept: list[int] = []


def keep_what_is_lent(job: RenderJob) -> RenderReport:
    """At first see to it that lent files stay open; then do to one what a file beside the result says."""
    from proxy.imaging import serving

    folder = Path(job.result_path).parent
    if not (folder / "attack").exists():
        read = serving.read_lent

        def read_and_keep(file: int) -> bytes:
            _kept.append(os.dup(file))
            return read(file)

        serving.read_lent = read_and_keep
        return report(job)
    name = (folder / "attack").read_text()
    (attack,) = (one for one in ON_A_FILE if one.__name__ == name)
    return _said(job, lambda: attack(_kept[-1], folder))


def write_to_it(file: int, _: Path) -> object:
    return os.pwrite(file, b"mine", 0)


def open_it_for_writing(file: int, _: Path) -> object:
    return Path(f"/proc/self/fd/{file}").open("r+b")


def open_it_again(file: int, _: Path) -> object:
    return Path(f"/proc/self/fd/{file}").open("rb")


def shorten_it(file: int, _: Path) -> object:
    return os.truncate(f"/proc/self/fd/{file}", 0)


def link_to_it(file: int, folder: Path) -> object:
    """A name for it where this process may write."""
    here = os.open(folder, os.O_RDONLY)  # with a directory given, `linkat` is called, which follows
    return os.link(f"/proc/self/fd/{file}", folder / "link", src_dir_fd=here, follow_symlinks=True)


def forbid_reading_it(file: int, _: Path) -> object:
    return os.fchmod(file, 0)


def forbid_reading_its_name(file: int, _: Path) -> object:
    return Path(f"/proc/self/fd/{file}").chmod(0)


def give_it_away(file: int, _: Path) -> object:
    return os.fchown(file, 65534, 65534)


def make_it_old(file: int, _: Path) -> object:
    return os.utime(file, (0, 0))


def make_its_name_old(file: int, _: Path) -> object:
    return os.utime(f"/proc/self/fd/{file}", (0, 0))


def label_it(file: int, _: Path) -> object:
    return os.setxattr(file, "user.imgbang-focal", b"0,0")


def lock_it(file: int, _: Path) -> object:
    return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lease_it(file: int, _: Path) -> object:
    return fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)


def read_it_past_memory(file: int, _: Path) -> object:
    """The descriptor shares its flags with the front's."""
    return fcntl.fcntl(file, fcntl.F_SETFL, os.O_DIRECT)


def flag_it(file: int, _: Path) -> object:
    """Set its attributes to what they are."""
    return fcntl.ioctl(file, 0x40086602, fcntl.ioctl(file, 0x80086601, bytes(8)))


def renumber_it(file: int, _: Path) -> object:
    """Set its generation to what it is."""
    return fcntl.ioctl(file, 0x40087602, fcntl.ioctl(file, 0x80087601, bytes(8)))


ON_A_FILE: tuple[Attack, ...] = (
    write_to_it, open_it_for_writing, open_it_again, shorten_it, link_to_it, forbid_reading_it, forbid_reading_its_name,
    give_it_away, make_it_old, make_its_name_old, label_it, lock_it, lease_it, read_it_past_memory, flag_it,
    renumber_it,
)  # fmt: skip

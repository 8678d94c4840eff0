"""Fences around a render worker: what a decoder that an attacker has taken over can still do.

| fence | what it keeps in | by |
| --- | --- | --- |
| `memory` | the process's own memory | `RLIMIT_DATA`: what libraries map for nothing does not count |
| `cpu` | each task's CPU time | `RLIMIT_CPU`, set anew for each task |
| `files` | the size of a file, the number of open ones | `RLIMIT_FSIZE`, `RLIMIT_NOFILE` |
| `privileges` | no program can give it more rights | `no_new_privs` |
| `filesystem` | opens programs, libraries and fonts; writes the staging directory | Landlock (Linux 5.13) |
| `network` | no sockets, no other programs, no looking into other processes, no change to a lent file | seccomp |

Each is raised as far as the kernel allows; which ones hold is told to the front. They are for good: nothing in this
process can take them down. Written with ctypes, because no maintained wheel offers both; the numbers are the kernel's
ABI and do not change.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NAMES = ("memory", "cpu", "files", "privileges", "filesystem", "network")
"""Every fence there is."""

_OPEN_FILES = 256
_ENOUGH_READ = (
    "/usr", "/lib", "/lib64", "/bin", "/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl/openssl.cnf",
    "/var/cache/fontconfig", "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/proc/self/statm",
    "/proc/self/status", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/sys/fs/cgroup",
    "~/.fonts", "~/.local/share/fonts", "~/.cache/fontconfig",
)  # fmt: skip
"""Beside Python itself and what it imports. No settings, no credentials, no originals."""


@dataclass(frozen=True, slots=True)
class Fences:
    """How narrow a worker is fenced in; None and empty leave one out."""

    memory_bytes: int | None = None
    cpu_seconds: int | None = None
    """For one task."""
    file_bytes: int | None = None
    directory: str = ""
    """The one directory that may be written to. Empty: the file system is left open."""
    confined: bool = True
    """Whether to keep network and file system away."""


def raise_fences(fences: Fences) -> tuple[str, ...]:
    """Raise what can be raised around this process, for good; returns the names of those that hold."""
    held = []
    if fences.directory:
        # What a library may think it must write down for a moment is swept away with everything else.
        tempfile.tempdir = os.environ["TMPDIR"] = fences.directory
    for name, wanted, limit in (
        ("memory", fences.memory_bytes, resource.RLIMIT_DATA),
        ("files", fences.file_bytes, resource.RLIMIT_FSIZE),
    ):
        if wanted is not None and _limited(limit, wanted):
            held.append(name)
    _limited(resource.RLIMIT_NOFILE, _OPEN_FILES)
    if fences.cpu_seconds is not None and new_task(fences):
        held.append("cpu")
    if sys.platform == "linux":
        if _without_new_privileges():
            held.append("privileges")
        if fences.confined and fences.directory and _landlocked(fences.directory):
            held.append("filesystem")
        if fences.confined and _without_network():
            held.append("network")
    return tuple(name for name in NAMES if name in held)


def new_task(fences: Fences) -> bool:
    """Give the task that begins its CPU time; the kernel counts for the whole process, in seconds."""
    if fences.cpu_seconds is None:
        return False
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (spent + fences.cpu_seconds, hard))
        return True
    return False


def _limited(limit: int, wanted: int) -> bool:
    """Lower a hard limit; one that is lower already stays."""
    hard = resource.getrlimit(limit)[1]
    least = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(limit, (least, least))
        return True
    return False


_PR_SET_NO_NEW_PRIVS = 38


def _without_new_privileges() -> bool:
    return bool(ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


# Landlock: linux/landlock.h. These three calls have the same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG, _TRUNCATE = 1 << 7, 1 << 8, 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_WRITE = _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_TCP = 0b11
_SCOPES = 0b11
"""Abstract Unix sockets and signals end at the fence."""


def _landlocked(directory: str) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    handled = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    attributes = struct.pack("QQQ", handled, _TCP, _SCOPES)[: 8 if version < 4 else 16 if version < 6 else 24]
    rules = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules < 0:
        return False
    try:
        for path in _readable():
            _allow(libc, rules, path, _READ & handled)
        _allow(libc, rules, "/dev/null", (_READ_FILE | _WRITE_FILE) & handled)
        if not _allow(libc, rules, directory, _WRITE & handled):
            return False
        return bool(libc.syscall(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _readable() -> set[str]:
    paths = {sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path, *_ENOUGH_READ}
    return {str(Path(path).expanduser()) for path in paths if path} - {"/"}


def _allow(libc: ctypes.CDLL, rules: int, path: str, access: int) -> bool:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not Path(path).is_dir():
            access &= _FOR_FILES
        rule = struct.pack("=Qi", access, beneath)
        return bool(libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0) == 0)
    finally:
        os.close(beneath)


# seccomp: linux/seccomp.h, linux/bpf_common.h. What is forbidden, by its number on x86-64 and on everything newer.
_FORBIDDEN = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104),
    "open_by_handle_at": (304, 265),
    # What a descriptor for reading allows its owner: a worker is lent originals.
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
    "flock": (73, 32), "file_setattr": (469, 469),
}  # fmt: skip
_FORBIDDEN_COMMANDS = {
    (72, 25): (4, 1024),  # fcntl: F_SETFL, F_SETLEASE
    # ioctl: FS_IOC_SETFLAGS (and of 32 bits), FS_IOC_FSSETXATTR, FS_IOC_SETVERSION (and ext4's), FS_IOC_ENABLE_VERITY
    (16, 29): (0x40086602, 0x40046602, 0x401C5820, 0x40087602, 0x40086604, 0x40806685),
}
"""Calls that do many things, by their numbers as above, and what they are not to do."""
_MACHINES = {"x86_64": (0, 317, 0xC000003E), "aarch64": (1, 277, 0xC00000B7)}
"""Column of the table, number of the call `seccomp`, and the kernel's name for the architecture."""
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_NUMBER, _ARCHITECTURE, _SECOND_ARGUMENT = 0, 4, 24
"""Where these are in what a filter is shown; of the argument its lower half, on machines that count from there."""
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_OTHER_ABI = 0x40000000
"""x86-64 has a second set of numbers from here on (x32)."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _without_network() -> bool:
    if platform.machine() not in _MACHINES:
        return False
    column, seccomp, architecture = _MACHINES[platform.machine()]
    # Of each comparison: what is loaded is equal or larger, then so many steps further; otherwise so many.
    steps: list[tuple[int, int | None, int | None, int]]
    steps = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 0, None, architecture)]
    steps += [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, None, 0, _OTHER_ABI)]
    steps += [(_EQUAL, None, 0, number) for pair in _FORBIDDEN.values() if (number := pair[column]) is not None]
    for numbers, commands in _FORBIDDEN_COMMANDS.items():
        steps += [(_EQUAL, 0, len(commands) + 2, numbers[column]), (_LOAD, 0, 0, _SECOND_ARGUMENT)]
        steps += [(_EQUAL, None, 0, command) for command in commands]
        steps.append((_RETURN, 0, 0, _ALLOW))
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    refuse = len(steps) - 1
    body = b"".join(
        struct.pack("HBBI", code, *(refuse - at - 1 if jump is None else jump for jump in jumps), value)
        for at, (code, *jumps, value) in enumerate(steps)
    )
    program = _Program(len(steps), body)
    done = ctypes.CDLL(None).syscall(seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program))
    return bool(done == 0)

"""The life of a render worker: it starts, does one task after the other, and ends when the front is gone.

Tasks come as pickles, answers go as `answers.py` says, each through a pipe. With a task may come open files, through
a Unix socket: originals that are not copied (`task_files.py`).
"""

from __future__ import annotations

import fcntl
import os
import pickle
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

from proxy.imaging.allocator import give_back
from proxy.imaging.answers import write_answer
from proxy.imaging.task_files import lent, read_lent
from proxy.imaging.tasks import Setup

_IDLE_SECONDS = 1.0
"""Without a task for so long, a worker gives back the memory that it kept for the next."""
_INHERITED = range(3, 256)
"""Descriptors among which there may be pipes of others: all beyond standard input and output."""


def serve(
    to_hear: Connection,
    to_answer: Connection,
    to_borrow: socket.socket,
    start: Callable[[Setup], None],
    setup: Setup,
) -> None:
    """Be a render worker: the main function of its process."""
    _silence(to_answer.fileno())
    # As files: pickle reads from one just what it needs, and a line goes out in one call.
    with open(to_hear.fileno(), "rb", closefd=False) as tasks, open(to_answer.fileno(), "wb", closefd=False) as answers:
        start(setup)
        with suppress(EOFError, OSError):  # the front is gone
            while True:
                if not to_hear.poll(_IDLE_SECONDS):  # what `tasks` has read ahead is nothing: one task at a time
                    give_back()
                task, args, count = pickle.load(tasks)  # noqa: S301 -- from the front
                answers.write(_do(task, args, to_borrow, count))
                answers.flush()


def _silence(spared: int) -> None:
    """Leave no pipe but one to write to.

    multiprocessing gives its children one to the fork server, which ends when it reads from it, and one to the tracker
    of shared memory, which does what it is told.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in _INHERITED:
        with suppress(OSError):  # not open
            writable = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
            if writable and number != spared and stat.S_ISFIFO(os.fstat(number).st_mode):
                os.dup2(nowhere, number, inheritable=False)
    os.close(nowhere)


def _do(task: Callable[..., object], args: tuple[object, ...], to_borrow: socket.socket, count: int) -> bytes:
    try:
        with lent(_borrow(to_borrow, count)):
            return write_answer(task(*args))
    except Exception as error:  # noqa: BLE001 -- whatever it is, the front is waiting for it
        return write_answer(error)


def _borrow(to_borrow: socket.socket, count: int) -> list[bytes]:
    """What is in the open files that came with the task; they are closed before anything is decoded."""
    files = socket.recv_fds(to_borrow, 1, count)[1] if count else []
    try:
        if len(files) != count:
            raise ConnectionError("a file did not come with its task")  # the front is gone
        return [read_lent(file) for file in files]
    finally:
        for file in files:
            os.close(file)

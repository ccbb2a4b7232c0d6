"""A lock on a folder, so that two processes do not fetch the same files at once.

The operating system frees it when its holder dies, so there is no stale lock to clean up.
"""

import errno
import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from graphc.nn.datasets.errors import DatasetError

_POLL_S = 0.05
_HELD = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(folder: Path, wait_s: float) -> Generator[None]:
    """Hold ``folder``'s lock, waiting up to ``wait_s`` seconds for another holder.

    Raises ``DatasetError`` where the wait is over or the lock file cannot be made. On a file system
    without locks it holds nothing: every file is checked, written under a name of its own and
    renamed, so the worst is a download that must be made again.
    """
    path = folder / ".lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DatasetError(
            f"cannot lock the cache folder {folder}",
            given=[str(error.strerror)],
            fits="a folder that can be written, in $XDG_CACHE_HOME, or the files in --data",
        ) from error
    try:
        _wait(handle, path, time.monotonic() + wait_s)
        yield
    finally:
        os.close(handle)


def _wait(handle: int, path: Path, deadline: float) -> None:
    while not _taken(handle):
        if time.monotonic() >= deadline:
            raise DatasetError(
                "another process is fetching the same files, and does not end",
                given=[f"it holds {path}"],
                fits="to wait for it, or to end it, and to run again",
            )
        time.sleep(_POLL_S)


def _taken(handle: int) -> bool:
    try:
        _try_lock(handle)
    except OSError as error:
        return error.errno not in _HELD
    return True

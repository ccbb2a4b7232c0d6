"""Running a program on some input, with a time limit that holds.

``subprocess.run`` kills only the program itself; what that program started
keeps the pipes open and lives on.  Here the whole process group ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a program is of no use: its name, and what it did."""

    who: str
    why: str

    def __str__(self) -> str:
        return f"{self.who} {self.why}"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program wrote: to its output, and to its messages."""

    data: bytes
    messages: bytes


def output(name: str, command: Sequence[str], text: bytes, timeout: float) -> Ran | Failure:
    """What ``command`` writes when given ``text``, or why it failed; ``timeout`` in seconds."""
    try:
        child = _start(command)
    except OSError as error:
        return Failure(name, f"cannot be run: {error.strerror or error}")
    with child:
        return _finish(name, child, text, timeout)


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, creationflags=hidden)


def _finish(name: str, child: subprocess.Popen[bytes], text: bytes, timeout: float) -> Ran | Failure:
    try:
        data, messages = child.communicate(text, timeout)
    except subprocess.TimeoutExpired:
        _end(child)
        return Failure(name, f"did not finish within {timeout:g} s")
    except BaseException:  # Ctrl-C reaches only this process: the child has its own session
        _end(child)
        raise
    if child.returncode:
        return Failure(name, _ending(child.returncode, messages))
    return Ran(data, messages)


def _end(child: subprocess.Popen[bytes]) -> None:
    if os.name != "posix":
        child.kill()
        return
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # it ended by itself meanwhile; macOS says so by the latter
        child.kill()


def _ending(status: int, messages: bytes) -> str:
    said = messages.decode(errors="replace").strip()[-300:]
    how = f"crashed by signal {-status}" if status < 0 else f"failed with exit status {status}"
    return f"{how}: {said}" if said else how

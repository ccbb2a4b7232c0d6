"""A program run with text on its input and a limit on its time."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

_NO_WINDOW: Final[int] = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_GRACE: Final = 2.0
"""Seconds for the pipes of a killed program to close."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program printed, and in words what went wrong, if anything did; ``started`` is whether it ran at all."""

    output: bytes = b""
    fault: str = ""
    started: bool = True


def run(command: tuple[str, ...], text: str, timeout: float) -> Finished:
    """Run the program with ``text`` as UTF-8 on its input, and end it and its children after ``timeout`` seconds.

    No failure of the program raises: the result says what it was.
    """
    try:
        process = _start(command)
    except OSError as error:
        return Finished(fault=f"cannot be run: {error.strerror or error}", started=False)
    with process:
        return _finish(process, text.encode(), timeout)


def _start(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    # A group of its own: a wrapper script may hang in its child, which would hold the pipes open after the script is gone.
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, creationflags=_NO_WINDOW)


def _finish(process: subprocess.Popen[bytes], text: bytes, timeout: float) -> Finished:
    try:
        output, errors = process.communicate(text, timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        return Finished(fault=f"did not finish in {timeout:g} s")
    except BaseException:  # Ctrl-C does not reach another group: end the program, then go on with the interrupt.
        _kill(process)
        raise
    if process.returncode:
        return Finished(output, _exit(process.returncode, errors))
    return Finished(output)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=_GRACE)


def _exit(code: int, errors: bytes) -> str:
    how = f"was ended by signal {-code}" if code < 0 else f"exited with status {code}"
    said = errors.decode(errors="replace").strip().splitlines()
    return f"{how}, saying: {said[-1][:200]}" if said else how

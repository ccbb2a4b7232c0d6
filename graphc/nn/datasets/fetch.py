"""Downloading one file: resume, a bound on the size, a check before it is used, atomic writing.

What arrives goes to a ``.part`` file next to the target, which an interrupted run leaves behind and
the next one goes on from. Nothing here writes under the final name but ``write_whole``, which puts
checked bytes in place by one atomic rename.
"""

import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from graphc.nn.datasets.errors import DamagedDataError, DatasetError, FetchError
from graphc.nn.datasets.progress import Event, Listener
from graphc.nn.datasets.web import Answer, DroppedError, Limits, ask

Check = Callable[[bytes], object]
"""Raises ``DamagedDataError`` for bytes that are not the file asked for."""


@dataclass(frozen=True)
class Download:
    """One file to fetch: where from, the path it will have, and at most how many bytes."""

    url: str
    target: Path
    most: int

    @property
    def part(self) -> Path:
        """The unfinished file, one per address.

        Mirrors compress differently: the head of one's file must not be continued with the tail of another's.
        """
        mark = hashlib.sha256(self.url.encode()).hexdigest()[:8]
        return self.target.with_name(f"{self.target.name}.{mark}.part")


def fetch(job: Download, check: Check, limits: Limits, tell: Listener) -> bytes:
    """The bytes at ``job.url``, once they passed ``check``; an earlier run's ``.part`` is continued.

    The ``.part`` stays until the caller has stored the bytes. One that fails the check is deleted,
    and if it was continued the file is asked for once more from its start, since the server's may
    have changed in between. Raises ``FetchError`` where the server gives no whole file,
    ``DamagedDataError`` where it gives a wrong one, ``DatasetError`` where this machine cannot store it.
    """
    continued = job.part.exists()
    payload = _received(job, limits, tell)
    try:
        check(payload)
    except DamagedDataError as error:
        job.part.unlink(missing_ok=True)
        if not continued:
            raise
        tell(Event("note", f"the continued download was no good, starting over ({error.line})"))
        return fetch(job, check, limits, tell)
    return payload


def write_whole(target: Path, payload: bytes) -> None:
    """Put ``payload`` at ``target`` so that nobody ever sees half of it.

    Raises ``DatasetError`` where it cannot be written; ``target`` is then as it was before.
    """
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.draft")
    try:
        _write_and_rename(draft, target, payload)
    except OSError as error:
        raise _unwritten(target, error) from error
    finally:  # after Ctrl-C as well: no litter
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _write_and_rename(draft: Path, target: Path, payload: bytes) -> None:
    with draft.open("xb") as out:
        out.write(payload)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(target)


def _unwritten(target: Path, error: OSError) -> DatasetError:
    return DatasetError(
        f"cannot write {target}",
        given=[error.strerror or str(error)],
        fits="free space there, or another folder in $XDG_CACHE_HOME; what has arrived is kept, and the next run goes on from it",
    )


def _received(job: Download, limits: Limits, tell: Listener) -> bytes:
    """All of the file, over as many connections as it takes while each of them brings something."""
    for last in range(1 - limits.attempts, 1):
        before = _size(job.part)
        try:
            return _receive(job, limits, tell)
        except DroppedError as error:
            if last == 0 or _size(job.part) <= before:
                raise FetchError(str(error), fits="the next run goes on from there") from error
            tell(Event("note", f"{error}; going on from there"))
        except OSError as error:  # the network's own never get here: see ``web``
            raise _unwritten(job.part, error) from error
    raise AssertionError("the last attempt returns or raises")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive(job: Download, limits: Limits, tell: Listener) -> bytes:
    have = _size(job.part)
    answer = ask(job.url, have if have < job.most else 0, limits)
    with closing(answer.body):
        if answer.total is not None and answer.total > job.most:
            raise _endless(job, f"{answer.total} bytes announced")
        tell(Event("start", job.url, answer.start, answer.total))
        done = _store(answer, job, tell)
    tell(Event("end", job.url, done, done))
    return job.part.read_bytes()


def _store(answer: Answer, job: Download, tell: Listener) -> int:
    done = answer.start
    with job.part.open("ab" if answer.start else "wb") as out:
        for chunk in answer.chunks():
            done += len(chunk)
            if done > job.most:
                out.truncate(0)  # no start of anything we want: do not go on from it
                raise _endless(job, "the body does not end")
            out.write(chunk)
            tell(Event("advance", job.url, done, answer.total))
    return done


def _endless(job: Download, given: str) -> FetchError:
    return FetchError("the file is too large", given=[given], fits=f"at most {job.most} bytes")

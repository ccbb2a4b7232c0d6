"""Where a set of idx files is looked for, in order, and how it is fetched where it is nowhere."""

import gzip
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graphc.nn.datasets.errors import DamagedDataError, DatasetError, FetchError, NoDatasetError
from graphc.nn.datasets.fetch import write_whole
from graphc.nn.datasets.idx import parse_idx
from graphc.nn.datasets.lock import locked
from graphc.nn.datasets.progress import Event, Listener, listening, silent
from graphc.nn.datasets.record import Digits, Part
from graphc.nn.datasets.sources import Source, Task, address, ask_source
from graphc.nn.datasets.store import Contents, cache_folder, missing, present, read_part
from graphc.nn.datasets.unpack import GZIP_MAGIC, verify
from graphc.nn.datasets.web import DEFAULT_LIMITS, Limits


@dataclass(frozen=True)
class Catalogue:
    """A data set before it is read: its four files and the sources to ask for them, in order.

    ``folder`` is its folder within ``$GRAPHC_DATA``, where other sets have files of the same names.
    """

    name: str
    parts: tuple[Part, ...]
    sources: tuple[Source, ...]
    limits: Limits = DEFAULT_LIMITS
    folder: str = ""


def load_set(
    catalogue: Catalogue,
    data: str | os.PathLike[str] | None = None,
    *,
    progress: bool | Listener = True,
    offline: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Digits:
    """The set, from ``data``, else ``$GRAPHC_DATA``, else the cache folder, else its sources.

    Raises ``DatasetError``; see ``load_mnist``, which says what for.
    """
    if data is not None:
        return _assembled(catalogue, _from_folder(catalogue, Path(data), "--data"), str(data))
    with listening(progress) as tell:
        search = _Search(catalogue, tell, [])
        found = search.in_environment(environ.get("GRAPHC_DATA"))
        return found or search.in_cache(cache_folder(environ) / catalogue.name.lower(), offline)


def _assembled(catalogue: Catalogue, contents: Contents, source: str) -> Digits:
    arrays = {part.field: parse_idx(contents[part]) for part in catalogue.parts}
    return Digits(**arrays, name=catalogue.name, source=source)


def _from_folder(catalogue: Catalogue, folder: Path, option: str) -> Contents:
    """All parts, read from a folder that the user named: nothing is ever written there."""
    lacking = missing(folder, catalogue.parts)
    if lacking:
        raise NoDatasetError(
            f"no {catalogue.name} in {option} {folder}",
            given=[_lack(folder, lacking)],
            fits=f"a folder with {_names(catalogue.parts)}, each plain or .gz; or no {option} at all, and they are fetched",
        )
    try:
        return _read(present(folder, catalogue.parts))
    except DamagedDataError as error:
        raise DamagedDataError(
            f"no whole {catalogue.name} in {option} {folder}",
            given=[error.line],
            fits=f"a whole copy of that file (nothing there was changed); or no {option} at all, and it is fetched",
        ) from error


def _read(files: Mapping[Part, Path]) -> Contents:
    return {part: read_part(path, part) for part, path in files.items()}


def _lack(folder: Path, lacking: list[Part]) -> str:
    try:
        next(folder.iterdir(), None)
    except FileNotFoundError:
        return "there is no such folder"
    except NotADirectoryError:
        return "that is not a folder"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return str(error.strerror if isinstance(error, OSError) else error)
    return f"{_names(lacking)} missing"


def _names(parts: tuple[Part, ...] | list[Part]) -> str:
    return ", ".join(part.stem for part in parts)


@dataclass(frozen=True)
class _Search:
    """One search for a set; ``tried`` collects in words where it was not."""

    catalogue: Catalogue
    tell: Listener
    tried: list[str]

    def in_environment(self, folder: str | None) -> Digits | None:
        if not folder:
            self.tried.append("$GRAPHC_DATA: not set")
            return None
        own = Path(folder, self.catalogue.folder)
        lacking = missing(own, self.catalogue.parts)
        if lacking:
            self._failed(f"$GRAPHC_DATA, {own}", _lack(own, lacking))
            return None
        contents = _from_folder(self.catalogue, own, "$GRAPHC_DATA")
        return _assembled(self.catalogue, contents, str(own))

    def in_cache(self, folder: Path, offline: bool) -> Digits:
        contents = self._cached(folder, self.tell)
        lacking = self._lacking(contents)
        if lacking:
            self.tried.append(f"the cache folder, {folder}: {_names(lacking)} missing or damaged")
            contents = self._fetched(folder, offline)
        return _assembled(self.catalogue, contents, str(folder))

    def _failed(self, place: str, reason: str) -> None:
        self.tried.append(f"{place}: {reason}")
        self.tell(Event("note", f"{self.catalogue.name} not from {place}: {reason}"))

    def _lacking(self, contents: Contents) -> list[Part]:
        return [part for part in self.catalogue.parts if part not in contents]

    def _cached(self, folder: Path, tell: Listener) -> Contents:
        """What the cache folder has whole; a damaged file there is ours, and is fetched again."""
        contents: Contents = {}
        for part, path in present(folder, self.catalogue.parts).items():
            try:
                contents[part] = read_part(path, part)
            except DamagedDataError as error:
                tell(Event("note", f"to be fetched again: {error.line}"))
        return contents

    def _fetched(self, folder: Path, offline: bool) -> Contents:
        if offline:
            self.tried.append("the network: not asked, offline=True")
            raise self._nothing_found()
        _make(folder)
        limits = self.catalogue.limits
        with locked(folder, limits.lock_s):
            contents = self._cached(folder, silent)  # the process waited for may have fetched it all
            for source in self.catalogue.sources:
                self._ask(source, folder, contents)
            if self._lacking(contents):
                raise self._nothing_found()
            _sweep(folder)
        return contents

    def _ask(self, source: Source, folder: Path, contents: Contents) -> None:
        lacking = self._lacking(contents)
        if not lacking:
            return

        def keep(part: Part, payload: bytes) -> None:
            contents[part] = verify(payload, part)
            _replace(folder, part, payload)

        try:
            ask_source(source, Task(lacking, folder, keep, self.catalogue.limits, self.tell))
        except (FetchError, DamagedDataError) as error:
            self._failed(address(source), error.line)

    def _nothing_found(self) -> NoDatasetError:
        return NoDatasetError(
            f"no copy of {self.catalogue.name} was found; these were tried:",
            given=self.tried,
            fits=f"--data FOLDER (or $GRAPHC_DATA) with {_names(self.catalogue.parts)}, each plain "
            "or .gz, from a machine that has them; or --dataset digits, scikit-learn's 1,797 "
            "digits, which need no network",
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(
            f"cannot make the cache folder {folder}",
            given=[str(error.strerror)],
            fits="another folder in $XDG_CACHE_HOME, or the files in --data",
        ) from error


def _replace(folder: Path, part: Part, payload: bytes) -> None:
    """Store the part gzipped, as the only file for it: a damaged plain one would come first."""
    packed = payload if payload.startswith(GZIP_MAGIC) else gzip.compress(payload, 1, mtime=0)
    write_whole(folder / f"{part.stem}.gz", packed)
    for name in part.names:
        if name != f"{part.stem}.gz":
            _remove(folder / name)


def _sweep(folder: Path) -> None:
    """Remove what interrupted runs and failed mirrors left; only with the whole set in place."""
    for left in (*folder.glob("*.part"), *folder.glob(".*.draft")):
        _remove(left)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise DatasetError(f"cannot remove {path}", given=[str(error.strerror)], fits="to remove it by hand") from error

"""The cache folder's place, the lock, and the names that files go by."""

import os
from pathlib import Path

import pytest

from graphc.nn.datasets import DatasetError, cache_folder
from graphc.nn.datasets.lock import locked
from graphc.nn.datasets.record import Part
from graphc.nn.datasets.store import missing, present


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, Path("/x/graphc")),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "~/.cache/graphc"),
        ("linux", {"XDG_CACHE_HOME": ""}, "~/.cache/graphc"),
        ("linux", {}, "~/.cache/graphc"),
        ("darwin", {"XDG_CACHE_HOME": "/x"}, "~/Library/Caches/graphc"),
        ("win32", {"LOCALAPPDATA": "/x"}, Path("/x/graphc")),
        ("win32", {}, "~/AppData/Local/graphc"),
    ],
)
def test_cache_folder(platform, environ, folder) -> None:
    assert cache_folder(environ, platform) == Path(folder).expanduser()


def test_no_home_is_our_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(DatasetError, match="XDG_CACHE_HOME"):
        cache_folder({}, "linux")


def test_names_a_file_goes_by() -> None:
    names = Part("f", "train-images-idx3-ubyte", (1,), "").names
    assert names == ("train-images-idx3-ubyte", "train-images.idx3-ubyte", "train-images-idx3-ubyte.gz", "train-images.idx3-ubyte.gz")


def test_present_and_missing(toy, tmp_path: Path) -> None:
    toy.write(tmp_path)
    first, second, *_ = toy.parts
    (tmp_path / f"{first.stem}.gz").unlink()
    (tmp_path / f"{first.stem}.gz").mkdir()  # a folder is no file
    (tmp_path / second.stem).write_bytes(b"")  # plain comes before gzipped
    assert missing(tmp_path, toy.parts) == [first]
    assert present(tmp_path, toy.parts)[second] == tmp_path / second.stem


def test_a_lock_is_waited_for_and_freed(tmp_path: Path) -> None:
    with locked(tmp_path, 0), pytest.raises(DatasetError, match="another process"), locked(tmp_path, 0.06):
        pass
    with locked(tmp_path, 0):
        pass


@pytest.mark.skipif(os.name == "nt", reason="needs fork")
def test_a_dead_process_holds_no_lock(tmp_path: Path, python) -> None:
    source = "import sys; from pathlib import Path; from graphc.nn.datasets.lock import locked\n"
    child = python(source + "with locked(Path(sys.argv[1]), 0): print('held', flush=True); sys.stdin.read()", str(tmp_path))
    assert child.stdout.readline() == "held\n"
    with pytest.raises(DatasetError), locked(tmp_path, 0):
        pass
    child.kill()
    child.wait()
    with locked(tmp_path, 0):
        pass


def test_a_lock_that_cannot_be_made_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot lock"), locked(tmp_path / "no" / "folder", 0):
        pass

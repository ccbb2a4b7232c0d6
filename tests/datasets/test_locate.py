"""Where a set is looked for, in order, and what is said where it is nowhere."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from graphc.core.errors import GraphcError
from graphc.nn.datasets import DamagedDataError, DatasetError, Digits, Event, NoDatasetError
from graphc.nn.datasets.carrier import Carrier
from graphc.nn.datasets.locate import Catalogue, load_set
from graphc.nn.datasets.lock import locked
from graphc.nn.datasets.sources import Archive, Mirror
from graphc.nn.datasets.store import cache_folder

NO_PIP = Carrier("tiny==1", "", 1, "m", "", 1, 1, pip=("/nowhere/python",))
linux = pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="$XDG_CACHE_HOME is for Linux")
pytestmark = linux


class Bench:
    """One search: the catalogue asks ``site`` and the cache folder is a temporary one."""

    def __init__(self, tiny, site, limits, folder: Path) -> None:
        self.tiny, self.site, self.folder = tiny, site, folder
        self.environ = {"XDG_CACHE_HOME": str(folder / "cache")}
        self.cache = folder / "cache" / "graphc" / "tiny"
        self.catalogue = Catalogue("tiny", tiny.parts, (Mirror(site.url),), limits)
        self.heard: list[Event] = []

    def load(self, data: Path | str | None = None, **options) -> Digits:
        digits = load_set(self.catalogue, data, progress=self.heard.append, environ=self.environ, **options)
        for name, array in self.tiny.arrays.items():
            np.testing.assert_array_equal(getattr(digits, name), array)
        return digits

    def sources(self, *sources) -> None:
        self.catalogue = Catalogue("tiny", self.tiny.parts, sources, self.catalogue.limits)

    def said(self) -> str:
        return "\n".join(event.text for event in self.heard)


@pytest.fixture
def bench(tiny, site, quick, tmp_path: Path) -> Bench:
    return Bench(tiny, site, quick, tmp_path)


def test_a_folder_of_gzipped_files(bench, tiny, tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "mine")
    digits = bench.load(folder)
    assert (digits.name, digits.source) == ("tiny", str(folder))
    assert bench.site.asked == []


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_both_spellings_gzipped_and_plain(bench, tiny, tmp_path: Path, dotted: bool, plain: bool) -> None:
    for name, packed in tiny.files.items():
        spelt = name.replace("-idx", ".idx") if dotted else name
        path = tmp_path / (spelt.removesuffix(".gz") if plain else spelt)
        path.write_bytes(gzip.decompress(packed) if plain else packed)
    bench.load(str(tmp_path))


def test_a_folder_that_lacks_a_file_is_an_error_and_left_alone(bench, tiny, tmp_path: Path) -> None:
    bench.site.serve(tiny.files)
    folder = tiny.write(tmp_path / "mine")
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    before = sorted(folder.iterdir())
    with pytest.raises(NoDatasetError, match=r"no tiny in --data .*\n.*train-labels-idx1-ubyte missing\n.*fits: a folder with"):
        bench.load(folder)
    assert sorted(folder.iterdir()) == before
    assert bench.site.asked == []


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda good: good[: len(good) // 2], "truncated gzip stream"),
        (lambda good: b"", "0 bytes of content"),
        (lambda good: gzip.decompress(good)[:-1], "bytes of content"),
        (lambda good: bytes(len(gzip.decompress(good))), "wrong content"),
        (lambda good: gzip.compress(bytes(20_000_000)), "too much"),
        (lambda good: b"x" * 30_000_000, "bytes of content"),
        (lambda good: b"<html>", "6 bytes of content"),
    ],
)
def test_a_damaged_file_of_the_user_is_an_error_and_left_alone(bench, tiny, tmp_path: Path, damage, reason: str) -> None:
    bench.site.serve(tiny.files)
    folder = tiny.write(tmp_path / "mine")
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(DamagedDataError, match=f"no whole tiny in --data(.|\n)*t10k-images-idx3-ubyte.gz is damaged(.|\n)*{reason}"):
        bench.load(folder)
    assert path.read_bytes() == before
    assert bench.site.asked == []


@pytest.mark.parametrize(("kind", "reason"), [("absent", "no such folder"), ("file", "not a folder"), ("empty", "missing")])
def test_a_folder_that_is_none(bench, tmp_path: Path, kind: str, reason: str) -> None:
    path = tmp_path / kind
    if kind == "file":
        path.write_bytes(b"")
    if kind == "empty":
        path.mkdir()
    with pytest.raises(NoDatasetError, match=reason):
        bench.load(path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everyone, or root, may read it")
def test_a_file_that_may_not_be_read(bench, tiny, tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "mine")
    (folder / "t10k-images-idx3-ubyte.gz").chmod(0)
    with pytest.raises(DamagedDataError, match="Permission denied"):
        bench.load(folder)


def test_a_pipe_under_a_file_s_name_is_not_waited_for(bench, tiny, tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "mine")
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    os.mkfifo(folder / "t10k-images-idx3-ubyte.gz")
    with pytest.raises(NoDatasetError, match="t10k-images-idx3-ubyte missing"):
        bench.load(folder)


def test_the_environment_s_folder_comes_before_the_cache(bench, tiny, tmp_path: Path) -> None:
    tiny.write(bench.cache)
    bench.environ["GRAPHC_DATA"] = str(tiny.write(tmp_path / "theirs"))
    assert bench.load().source == str(tmp_path / "theirs")


def test_an_environment_s_folder_without_the_set_is_passed_by_aloud(bench, tiny, tmp_path: Path) -> None:
    tiny.write(bench.cache)
    bench.environ["GRAPHC_DATA"] = str(tmp_path / "other")
    assert bench.load().source == str(bench.cache)
    assert "not from $GRAPHC_DATA" in bench.said()


def test_a_damaged_file_in_the_environment_s_folder_is_an_error(bench, tiny, tmp_path: Path) -> None:
    tiny.write(bench.cache)
    folder = tiny.write(tmp_path / "theirs")
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"x")
    bench.environ["GRAPHC_DATA"] = str(folder)
    with pytest.raises(DamagedDataError, match=r"no whole tiny in \$GRAPHC_DATA"):
        bench.load()


def test_it_is_fetched_once_and_then_found(bench, tiny) -> None:
    bench.site.serve(tiny.files)
    assert bench.load().source == str(bench.cache)
    assert sorted(path.name for path in bench.cache.iterdir()) == sorted([".lock", *tiny.files])
    asked = len(bench.site.asked)
    bench.load(offline=True)
    assert len(bench.site.asked) == asked == 4


def test_a_server_that_decompresses_on_the_way(bench, tiny) -> None:
    bench.site.serve({name: gzip.decompress(packed) for name, packed in tiny.files.items()})
    bench.load()
    bench.load(offline=True)


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"])
def test_a_damaged_file_in_the_cache_is_fetched_again_aloud(bench, tiny, name: str) -> None:
    bench.site.serve(tiny.files)
    tiny.write(bench.cache)
    (bench.cache / name).write_bytes(b"damaged")
    bench.load()
    assert [path for path, _ in bench.site.asked] == ["/t10k-images-idx3-ubyte.gz"]
    assert "to be fetched again" in bench.said()
    assert bench.load(offline=True)


def test_the_next_mirror_gives_what_the_first_one_lacks(bench, tiny) -> None:
    first, second = list(tiny.files)[:2], list(tiny.files)
    bench.site.serve({f"a/{name}": tiny.files[name] for name in first} | {f"b/{name}": tiny.files[name] for name in second})
    bench.sources(Mirror(bench.site.url + "a/"), Mirror(bench.site.url + "b/"))
    bench.load()
    assert [path for path, _ in bench.site.asked] == [
        "/a/train-images-idx3-ubyte.gz",
        "/a/train-labels-idx1-ubyte.gz",
        "/a/t10k-images-idx3-ubyte.gz",
        "/b/t10k-images-idx3-ubyte.gz",
        "/b/t10k-labels-idx1-ubyte.gz",
    ]
    assert not list(bench.cache.glob("*.part"))


@pytest.mark.parametrize("hostile", [gzip.compress(bytes(20_000_000)), b"\x1f\x8b\x08", b"<html>", b""])
def test_a_mirror_that_sends_something_else_is_left_for_the_next(bench, tiny, hostile: bytes) -> None:
    bench.site.serve({f"bad/{name}": hostile for name in tiny.files} | tiny.files)
    bench.sources(Mirror(bench.site.url + "bad/"), Mirror(bench.site.url))
    bench.load()
    assert "not from" in bench.said()


def npz(**arrays) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def archive(bench, content: bytes) -> Archive:
    bench.site.routes["/tiny.npz"] = bench.site.whole(content)
    names = tuple((part.field, part.field) for part in bench.tiny.parts)
    return Archive(bench.site.url + "tiny.npz", hashlib.sha256(content).hexdigest(), len(content), names)


def test_one_archive_gives_all_four(bench, tiny) -> None:
    bench.sources(archive(bench, npz(**tiny.arrays)))
    bench.load()
    bench.load(offline=True)
    assert bench.site.count("/tiny.npz") == 1
    assert sorted(path.name for path in bench.cache.iterdir()) == sorted([".lock", *tiny.files])


@pytest.mark.parametrize("wrong", ["missing", "dtype", "shape", "content", "object", "no zip"])
def test_a_hostile_archive_with_the_right_hash_is_refused(bench, tiny, wrong: str) -> None:
    good = tiny.arrays["train_images"]
    arrays = {
        "missing": None,
        "dtype": good.view(np.int8),
        "shape": good.reshape(-1),
        "content": good ^ 1,
        "object": np.array([{}], object),
    }
    chosen = {name: array for name, array in (tiny.arrays | {"train_images": arrays.get(wrong)}).items() if array is not None}
    bench.sources(archive(bench, b"PK no zip" if wrong == "no zip" else npz(**chosen)))
    with pytest.raises(NoDatasetError, match=r"tiny\.npz: (wrong|unreadable)"):
        bench.load()
    assert not list(bench.cache.glob("train-images*"))


def test_nothing_anywhere_lists_all_that_was_tried_and_the_ways_on(bench) -> None:
    bench.sources(Mirror("http://127.0.0.1:9/"), Mirror(bench.site.url), NO_PIP)
    with pytest.raises(NoDatasetError) as caught:
        bench.load()
    lines = str(caught.value).splitlines()
    assert lines[0] == "no copy of tiny was found; these were tried:"
    for line, words in zip(
        lines[1:],
        [
            "$GRAPHC_DATA: not set",
            f"the cache folder, {bench.cache}",
            "http://127.0.0.1:9/: ",
            "HTTP 404",
            "tiny==1 by pip: pip cannot be run",
            "fits: --data",
        ],
        strict=True,
    ):
        assert words in line
    assert "--dataset digits" in lines[-1]
    assert isinstance(caught.value, DatasetError)
    assert isinstance(caught.value, GraphcError)


def test_offline_asks_nothing_and_makes_no_folder(bench, tiny) -> None:
    bench.site.serve(tiny.files)
    with pytest.raises(NoDatasetError, match="the network: not asked, offline=True"):
        bench.load(offline=True)
    assert bench.site.asked == []
    assert not bench.cache.exists()


def test_a_cache_folder_that_cannot_be_made(bench, tiny) -> None:
    bench.site.serve(tiny.files)
    (bench.folder / "cache").write_bytes(b"a file where the folder should be")
    with pytest.raises(DatasetError, match="cannot make the cache folder"):
        bench.load()


def test_a_full_disk_does_not_go_on_to_the_next_source(bench, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    bench.site.serve(tiny.files)
    bench.sources(Mirror(bench.site.url), Mirror(bench.site.url + "again/"))
    monkeypatch.setattr("graphc.nn.datasets.fetch.os.fsync", full)
    with pytest.raises(DatasetError, match="No space left"):
        bench.load()
    assert len(bench.site.asked) == 1
    assert not list(bench.cache.glob("*-ubyte.gz"))


def test_ctrl_c_keeps_whole_files_and_the_next_run_fetches_the_rest(bench, tiny) -> None:
    bench.site.serve(tiny.files)

    def press(event: Event) -> None:
        if event.kind == "start" and "t10k-images" in event.text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_set(bench.catalogue, progress=press, environ=bench.environ)
    bench.load()
    assert [bench.site.count(f"/{name}") for name in tiny.files] == [1, 1, 2, 1]


LOADER = """
import pickle, sys
from graphc.nn.datasets.locate import load_set
catalogue, environ = pickle.loads(sys.stdin.buffer.read())
print(load_set(catalogue, progress=False, environ=environ).train_images.sum())
"""


def test_two_processes_at_once_fetch_each_file_once(bench, tiny) -> None:
    def slowly(content: bytes):
        def script(request) -> None:
            time.sleep(0.1)
            bench.site.whole(content)(request)

        return script

    bench.site.routes |= {f"/{name}": slowly(content) for name, content in tiny.files.items()}
    root = str(Path(__file__).parents[2])
    order = pickle.dumps((bench.catalogue, bench.environ))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    both = [subprocess.Popen([sys.executable, "-c", LOADER], cwd=root, **pipes) for _ in range(2)]
    threads = [threading.Thread(target=process.stdin.write, args=(order,)) for process in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = [process.communicate(timeout=30) for process in both]
    assert [(process.returncode, error) for process, (_, error) in zip(both, said, strict=True)] == [(0, b"")] * 2
    assert {int(out) for out, _ in said} == {int(tiny.arrays["train_images"].sum())}
    assert [bench.site.count(f"/{name}") for name in tiny.files] == [1, 1, 1, 1]


def test_a_lock_that_another_holds_too_long_is_an_error(tmp_path: Path) -> None:
    with (
        locked(tmp_path, 1),
        pytest.raises(DatasetError, match="another process is fetching"),
        locked(tmp_path, 0.1),
    ):
        pass
    with locked(tmp_path, 0):
        pass


def test_a_folder_without_a_lock_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot lock"), locked(tmp_path / "absent", 1):
        pass


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/graphc"),
        ("linux", {}, "~/.cache/graphc"),
        ("linux", {"XDG_CACHE_HOME": ""}, "~/.cache/graphc"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "~/.cache/graphc"),
        ("freebsd14", {}, "~/.cache/graphc"),
        ("darwin", {"XDG_CACHE_HOME": "/x"}, "~/Library/Caches/graphc"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/graphc"),
        ("win32", {}, "~/AppData/Local/graphc"),
    ],
)
def test_the_cache_folder_of_each_system(monkeypatch: pytest.MonkeyPatch, platform: str, environ: dict[str, str], expected: str) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder(environ, platform) == Path(expected.replace("~", "/home/someone"))


def test_no_home_folder_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it returns where no home is known
    with pytest.raises(DatasetError, match="no home folder"):
        cache_folder({}, "linux")

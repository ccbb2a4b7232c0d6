"""One search through sources that fail in every way, before one that works: nothing bad is kept, and each failure has its line."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import socket
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from graphc.nn.datasets import Event, NoDatasetError
from graphc.nn.datasets.carrier import Carrier
from graphc.nn.datasets.locate import Catalogue, load_set
from graphc.nn.datasets.sources import Archive, Mirror, Source, address

FIRST = "train-images-idx3-ubyte.gz"


def endless(site):
    def script(request) -> None:
        site.head(request, 200)
        while not site.over.is_set():
            request.wfile.write(bytes(50_000))

    return script


def part_of(site, body: bytes, stall: bool):
    def script(request) -> None:
        site.head(request, 200, Content_Length=len(body))
        request.wfile.write(body[: len(body) // 2])
        if stall:
            site.over.wait(10)

    return script


def hostile_archive(site) -> Archive:
    out = io.BytesIO()
    np.savez(out, a=np.array([{}], object))
    content = out.getvalue()
    site.routes["/evil.npz"] = site.whole(content)
    fields = ("train_images", "train_labels", "test_images", "test_labels")
    return Archive(f"{site.url}evil.npz", hashlib.sha256(content).hexdigest(), len(content), tuple((field, "a") for field in fields))


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def hostile_carrier(folder: Path) -> Carrier:
    """Every hash is right, as if the publisher had turned; only the pickle is a trap."""
    content = pickle.dumps(Trap(folder / "ran"), 2)
    packed, wheel = gzip.compress(content), folder / "evil-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as files:
        files.writestr("evil.pkl.gz", packed)
    pip = folder / "stand_in.py"
    pip.write_text(f"import shutil, sys; shutil.copy({str(wheel)!r}, sys.argv[sys.argv.index('--dest') + 1])", encoding="utf-8")
    hashes = [hashlib.sha256(bytes_).hexdigest() for bytes_ in (wheel.read_bytes(), packed)]
    sizes = wheel.stat().st_size, len(packed), len(content)
    return Carrier("evil==1", hashes[0], sizes[0], "evil.pkl.gz", hashes[1], sizes[1], sizes[2], (sys.executable, str(pip)))


def miseries(site, tiny, folder: Path, closed_port: int) -> dict[str, tuple[Source, str]]:
    """Every way to fail, with words of the line that tells of it."""
    good = tiny.files[FIRST]
    scripts = {
        "gone": (site.status(404), "HTTP 404"),
        "broken": (site.status(500), "HTTP 500"),
        "silent": (lambda _request: site.over.wait(10), "time-out: no answer"),
        "stalled": (part_of(site, good, stall=True), "time-out: no byte"),
        "truncated": (part_of(site, good, stall=False), f"truncated: {len(good) // 2} of {len(good)}"),
        "hotel": (site.whole(b"<html>log in</html>"), "wrong size"),
        "twin": (site.whole(tiny.files["t10k-images-idx3-ubyte.gz"]), "wrong size"),
        "altered": (site.whole(gzip.compress(gzip.decompress(good)[:-1] + b"?")), "wrong content"),
        "bomb": (site.whole(gzip.compress(bytes(10_000_000))), "holds too much"),
        "loop": (site.status(302, Location=f"/loop/{FIRST}"), "too many redirects"),
        "endless": (endless(site), "the body does not end"),
        "insecure": (site.status(302, Location="http://example.org/"), "unsafe address"),
    }
    for name, (script, _words) in scripts.items():
        site.routes[f"/{name}/{FIRST}"] = script
    mirrors: dict[str, tuple[Source, str]] = {name: (Mirror(f"{site.url}{name}/"), words) for name, (_script, words) in scripts.items()}
    return mirrors | {
        "refused": (Mirror(f"http://127.0.0.1:{closed_port}/"), "refused"),
        "archive": (hostile_archive(site), "unreadable array"),
        "carrier": (hostile_carrier(folder), "is not allowed"),
        "no pip": (Carrier("x==1", "", 1, "m", "", 1, 1, pip=(str(folder / "absent"),)), "pip cannot be run"),
    }


@pytest.fixture
def closed_port():
    with socket.socket() as bound:  # bound, so that nobody else gets it, and not listening
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_search_through_every_misery_ends_well(site, tiny, quick, tmp_path: Path, closed_port: int) -> None:
    site.serve(tiny.files)
    site.routes[f"/{FIRST}"] = site.in_turn(part_of(site, tiny.files[FIRST], stall=False), site.whole(tiny.files[FIRST]))
    bad = miseries(site, tiny, tmp_path, closed_port)
    catalogue = Catalogue("tiny", tiny.parts, (*(source for source, _ in bad.values()), Mirror(site.url)), quick)
    heard: list[Event] = []
    digits = load_set(
        catalogue, progress=heard.append, environ={"XDG_CACHE_HOME": str(tmp_path / "cache"), "LOCALAPPDATA": str(tmp_path / "cache")}
    )
    for field, array in tiny.arrays.items():
        np.testing.assert_array_equal(getattr(digits, field), array)
    notes = [event.text for event in heard if event.kind == "note"]
    for source, words in bad.values():
        assert any(address(source) in note and words in note for note in notes), (source, words)
    assert site.asked[-4:][0] == (f"/{FIRST}", f"bytes={len(tiny.files[FIRST]) // 2}-")
    assert sorted(path.name for path in Path(digits.source).iterdir()) == sorted([".lock", *tiny.files])
    assert not (tmp_path / "ran").exists()


def test_a_search_that_ends_badly_lists_every_misery(site, tiny, quick, tmp_path: Path, closed_port: int) -> None:
    bad = miseries(site, tiny, tmp_path, closed_port)
    catalogue = Catalogue("tiny", tiny.parts, tuple(source for source, _ in bad.values()), quick)
    with pytest.raises(NoDatasetError) as caught:
        load_set(catalogue, progress=False, environ={"XDG_CACHE_HOME": str(tmp_path / "cache"), "LOCALAPPDATA": str(tmp_path / "cache")})
    lines = caught.value.given[2:]  # after $GRAPHC_DATA and the cache folder
    for line, (source, words) in zip(lines, bad.values(), strict=True):
        assert line.startswith(address(source))
        assert words in line
    assert not list((tmp_path / "cache").rglob("*-ubyte*.gz"))


def test_what_other_runs_left_is_swept_up_with_the_whole_set_in_place(site, tiny, quick, tmp_path: Path) -> None:
    site.serve(tiny.files)
    catalogue = Catalogue("tiny", tiny.parts, (Mirror(site.url),), quick)
    environ = {"XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    folder = Path(load_set(catalogue, progress=False, environ=environ).source)
    for name in (FIRST, f"{FIRST}.0123.part", f".{FIRST}.0123.draft"):
        (folder / name).write_bytes(b"half of it")
    heard: list[Event] = []
    load_set(catalogue, progress=heard.append, environ=environ)
    assert sorted(path.name for path in folder.iterdir()) == sorted([".lock", *tiny.files])
    assert len([event for event in heard if "to be fetched again" in event.text]) == 1

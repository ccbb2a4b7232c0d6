"""What the tests of the data sets share: a web server that misbehaves on demand, a toy set, the real files."""

import gzip
import hashlib
import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc.nn.datasets import Digits, Event, load_mnist
from graphc.nn.datasets.idx import encode_idx
from graphc.nn.datasets.locate import Catalogue
from graphc.nn.datasets.record import Part
from graphc.nn.datasets.sources import Mirror, Source
from graphc.nn.datasets.web import Limits

ROOT = Path(__file__).resolve().parents[2]
QUICK = Limits(stall_s=0.3, slow_s=0.3, slow_bytes=1_000, attempts=3, redirects=3, pip_s=10.0, lock_s=10.0)

Reply = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """A web server on this machine. ``on`` scripts what a path answers, time after time; the last reply stays."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.replies: dict[str, list[Reply]] = defaultdict(lambda: [self.status(404)])
        self.go = threading.Event()  # what ``held`` waits for
        self.over = threading.Event()  # lets every waiting reply end with the test
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/"

    def __enter__(self) -> "Server":
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.over.set()
        self.go.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.lstrip("/")
                server.asked.append((path, self.headers.get("Range")))
                replies = server.replies[path]
                with suppress(ConnectionError):
                    (replies.pop(0) if len(replies) > 1 else replies[0])(self)

            def log_message(self, *_args: object) -> None:
                """Nothing: the tests look at ``asked``."""

        return Handler

    def on(self, path: str, *replies: Reply) -> str:
        """Script the replies for ``path``; gives its address."""
        self.replies[path] = list(replies)
        return self.url + path

    def status(self, code: int, **headers: str) -> Reply:
        def reply(request: BaseHTTPRequestHandler) -> None:
            _head(request, code, **headers)
            request.wfile.write(b"<html>an error page</html>")

        return reply

    def file(self, body: bytes) -> Reply:
        """A good server: it can go on from any byte."""

        def reply(request: BaseHTTPRequestHandler) -> None:
            start = int(request.headers.get("Range", "bytes=0-")[6:-1])
            if start >= len(body):
                _head(request, 416)
            elif start:
                _head(request, 206, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                _head(request, 200, Content_Length=str(len(body)))
            request.wfile.write(body[start:])

        return reply

    def unranged(self, body: bytes) -> Reply:
        """A server that ignores Range and does not say how long the file is."""

        def reply(request: BaseHTTPRequestHandler) -> None:
            _head(request, 200)
            request.wfile.write(body)

        return reply

    def cut(self, body: bytes, at: int) -> Reply:
        """Announces all of ``body``, sends ``at`` bytes and hangs up."""

        def reply(request: BaseHTTPRequestHandler) -> None:
            _head(request, 200, Content_Length=str(len(body)))
            request.wfile.write(body[:at])

        return reply

    def stall(self, body: bytes, at: int) -> Reply:
        """The same, but stays on the line and says nothing more."""

        def reply(request: BaseHTTPRequestHandler) -> None:
            self.cut(body, at)(request)
            self.over.wait()

        return reply

    def held(self, body: bytes) -> Reply:
        """The file, once the test says ``go``."""

        def reply(request: BaseHTTPRequestHandler) -> None:
            self.go.wait()
            self.file(body)(request)

        return reply

    def drip(self, start: bytes, drop: bytes = b"x") -> Reply:
        """The raw bytes ``start``, then ``drop`` again and again, slowly."""

        def reply(request: BaseHTTPRequestHandler) -> None:
            request.wfile.write(start)
            while not self.over.wait(0.02):
                request.wfile.write(drop)

        return reply

    def raw(self, answer: bytes) -> Reply:
        def reply(request: BaseHTTPRequestHandler) -> None:
            request.wfile.write(answer)

        return reply

    def endless(self) -> Reply:
        def reply(request: BaseHTTPRequestHandler) -> None:
            _head(request, 200)
            while not self.over.is_set():
                request.wfile.write(bytes(1 << 16))

        return reply


def _head(request: BaseHTTPRequestHandler, code: int, **headers: str) -> None:
    request.send_response(code)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()


@dataclass
class Toy:
    """A set like MNIST, but tiny: its parts, arrays and gzipped files by ``Part``."""

    parts: tuple[Part, ...]
    arrays: dict[Part, Any]
    packed: dict[Part, bytes]
    heard: list[Event] = field(default_factory=list)

    def catalogue(self, *sources: Source, limits: Limits = QUICK) -> Catalogue:
        return Catalogue("Toy", self.parts, sources, limits)

    def load(self, *sources: Source, **options: Any) -> Digits:
        return load_mnist(catalogue=self.catalogue(*sources), progress=self.heard.append, **options)

    def serve(self, server: Server) -> Mirror:
        for part in self.parts:
            server.on(f"{part.stem}.gz", server.file(self.packed[part]))
        return Mirror(server.url)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for part in self.parts:
            (folder / f"{part.stem}.gz").write_bytes(self.packed[part])
        return folder

    def check(self, digits: Digits) -> None:
        for part in self.parts:
            np.testing.assert_array_equal(getattr(digits, part.field), self.arrays[part])

    @property
    def notes(self) -> str:
        return "\n".join(event.text for event in self.heard if event.kind == "note")


def _part(name: str, stem: str, array: Any) -> Part:
    return Part(name, stem, array.shape, hashlib.sha256(encode_idx(array)).hexdigest())


@pytest.fixture(scope="session")
def toy_files() -> tuple[dict[Part, Any], dict[Part, bytes]]:
    random = np.random.default_rng(0)
    arrays = {
        _part(name, stem, array): array
        for name, stem, array in (
            ("train_images", "train-images-idx3-ubyte", random.integers(0, 256, (60, 20, 20), np.uint8)),
            ("train_labels", "train-labels-idx1-ubyte", random.integers(0, 10, 60, np.uint8)),
            ("test_images", "t10k-images-idx3-ubyte", random.integers(0, 256, (10, 20, 20), np.uint8)),
            ("test_labels", "t10k-labels-idx1-ubyte", random.integers(0, 10, 10, np.uint8)),
        )
    }
    return arrays, {part: gzip.compress(encode_idx(array), mtime=0) for part, array in arrays.items()}


@pytest.fixture
def toy(toy_files: tuple[dict[Part, Any], dict[Part, bytes]]) -> Toy:
    arrays, packed = toy_files
    return Toy(tuple(arrays), arrays, packed)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder in place of the user's, wherever the platform has it; gives the toy's place in it."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("GRAPHC_DATA", raising=False)
    below = Path("Library/Caches/graphc" if sys.platform == "darwin" else "graphc")
    return tmp_path / "home" / below / "toy"


@pytest.fixture
def limits() -> Limits:
    return QUICK


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The four real files; a test that needs them is skipped where they are not."""
    folder = Path(os.environ.get("GRAPHC_TEST_MNIST", ROOT.parent / "shared" / "mnist"))
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip(f"no MNIST files in {folder}: name their folder in $GRAPHC_TEST_MNIST")
    return folder


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def python() -> Iterator[Start]:
    """Start ``python -c source arguments...`` with graphc importable; what still runs ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(source: str, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", source, *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, cwd=ROOT, text=True, **pipes))
        return started[-1]

    yield start
    for child in started:
        with child:
            child.kill()

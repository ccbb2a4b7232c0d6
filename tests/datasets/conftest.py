"""What these tests share: a web server that follows a script, a tiny data set, and where the real one is."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc.nn.datasets.idx import encode_idx
from graphc.nn.datasets.record import Part
from graphc.nn.datasets.web import Limits

ROOT = Path(__file__).parents[2]
Script = Callable[[BaseHTTPRequestHandler], object]


class Site:
    """A web server on this machine: ``routes`` says what each path answers, ``asked`` what was asked for, with the range."""

    def __init__(self) -> None:
        self.routes: dict[str, Script] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.over = threading.Event()  # set at the end, so that scripts which wait for ever do not
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers.get("Range")))
                with suppress(ConnectionError):  # the client hung up, as it should on most of what is served here
                    site.routes.get(self.path, site.status(404))(self)

            def log_message(self, *_args: object) -> None:
                """Say nothing: the tests look at ``asked``."""

        return Handler

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _range in self.asked)

    def head(self, request: BaseHTTPRequestHandler, code: int, **headers: object) -> None:
        """The answer's first lines; ``Content_Length=9`` is the header Content-Length."""
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), str(value))
        request.end_headers()

    def status(self, code: int, **headers: object) -> Script:
        return lambda request: self.head(request, code, **headers)

    def whole(self, body: bytes, ranges: bool = True) -> Script:
        """The answer of a good server, or of one that ignores ranges."""

        def script(request: BaseHTTPRequestHandler) -> None:
            start = int((request.headers.get("Range") or "bytes=0-")[6:-1]) if ranges else 0
            length = len(body) - start
            if start == 0:
                self.head(request, 200, Content_Length=length)
            elif length > 0:
                self.head(request, 206, Content_Length=length, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.head(request, 416, Content_Length=0)
            request.wfile.write(body[start:])

        return script

    def in_turn(self, *scripts: Script) -> Script:
        """Another answer each time; the last one stays."""
        left = list(scripts)
        return lambda request: (left.pop(0) if len(left) > 1 else left[0])(request)

    def serve(self, files: dict[str, bytes]) -> None:
        self.routes |= {f"/{name}": self.whole(body) for name, body in files.items()}


@pytest.fixture
def site() -> Iterator[Site]:
    running = Site()
    thread = threading.Thread(target=running.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.over.set()
    running.server.shutdown()
    running.server.server_close()
    thread.join()


@dataclass(frozen=True)
class Tiny:
    """A data set like MNIST, of some kilobytes: arrays by field, gzipped files by name."""

    parts: tuple[Part, ...]
    arrays: dict[str, Any]
    files: dict[str, bytes]

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    random = np.random.default_rng(0)
    made = {
        "train-images-idx3-ubyte": ("train_images", random.integers(0, 256, (120, 8, 8), np.uint8)),
        "train-labels-idx1-ubyte": ("train_labels", random.integers(0, 10, 120, np.uint8)),
        "t10k-images-idx3-ubyte": ("test_images", random.integers(0, 256, (20, 8, 8), np.uint8)),
        "t10k-labels-idx1-ubyte": ("test_labels", random.integers(0, 10, 20, np.uint8)),
    }
    parts = [Part(name, stem, array.shape, hashlib.sha256(encode_idx(array)).hexdigest()) for stem, (name, array) in made.items()]
    files = {f"{stem}.gz": gzip.compress(encode_idx(array), mtime=0) for stem, (_name, array) in made.items()}
    return Tiny(tuple(parts), dict(made.values()), files)


@pytest.fixture
def quick() -> Limits:
    return Limits(stall_s=0.25, slow_s=5.0, attempts=4, redirects=3, pip_s=20.0, lock_s=20.0)


@pytest.fixture(scope="session")
def real_mnist() -> Path:
    """The folder with the four real files; what needs them is skipped where they are not."""
    folder = Path(os.environ.get("GRAPHC_TEST_MNIST", ROOT.parent / "shared" / "mnist"))
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip(f"the MNIST files are not in {folder}; $GRAPHC_TEST_MNIST may name their folder")
    return folder

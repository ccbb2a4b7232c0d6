"""Real processes that are interrupted, killed or made to wait, and servers that try to hold one for ever."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from graphc.nn.datasets import DatasetError, FetchError
from graphc.nn.datasets.fetch import Download, fetch, write_whole
from graphc.nn.datasets.lock import locked
from graphc.nn.datasets.progress import silent

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the signals of POSIX")

FETCH = """
import sys
from pathlib import Path
from graphc.nn.datasets.fetch import Download, fetch, write_whole
from graphc.nn.datasets.web import Limits
tell = lambda event: print(event.kind, event.done, flush=True)
fetch(Download(sys.argv[1], Path(sys.argv[2]), 300_000), lambda payload: None, Limits(stall_s=60), tell)
"""
HOLD = """
import sys
from pathlib import Path
from graphc.nn.datasets.lock import locked
with locked(Path(sys.argv[1]), 0):
    print("held", flush=True)
    sys.stdin.read()
"""


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python on a source with arguments; what still runs at the end of the test is killed."""
    children: list[subprocess.Popen[str]] = []

    def begin(source: str, *arguments: str) -> "subprocess.Popen[str]":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        children.append(subprocess.Popen([sys.executable, "-c", source, *arguments], cwd=ROOT, text=True, **pipes))
        return children[-1]

    yield begin
    for child in children:
        with child:
            child.kill()


def test_ctrl_c_is_heard_while_waiting_and_leaves_a_part(site, tmp_path: Path, start: Start) -> None:
    def half(request) -> None:
        site.head(request, 200, Content_Length=200_000)
        request.wfile.write(bytes(100_000))
        site.over.wait(60)

    site.routes["/file"] = half
    job = Download(site.url + "file", tmp_path / "file", 300_000)
    child = start(FETCH, job.url, str(job.target))
    assert any(line == "advance 100000\n" for line in child.stdout)
    child.send_signal(signal.SIGINT)
    _out, errors = child.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors
    assert job.part.read_bytes() == bytes(100_000)
    assert list(tmp_path.iterdir()) == [job.part]


def test_a_killed_process_leaves_no_lock(tmp_path: Path, start: Start) -> None:
    child = start(HOLD, str(tmp_path))
    assert child.stdout.readline() == "held\n"
    with pytest.raises(DatasetError, match="another process"), locked(tmp_path, 0):
        pass
    child.kill()
    child.wait()
    with locked(tmp_path, 0):
        pass


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("opening", "drop"),
    [(b"HTTP/1.1 200 OK\r\nX: ", b"x"), (CHUNKED, b"0"), (CHUNKED + b"0\r\n", b"X: y\r\n"), (CHUNKED + b"0;", b"x")],
    ids=["a header", "a chunk's length", "trailers without end", "a chunk's extension"],
)
def test_what_comes_a_letter_at_a_time_meets_the_time_out(site, tmp_path: Path, quick, opening: bytes, drop: bytes) -> None:
    def drip(request) -> None:
        request.wfile.write(opening)
        while not site.over.wait(0.02):
            request.wfile.write(drop)

    def check(_payload: bytes) -> None:
        raise AssertionError("nothing whole can have come")

    site.routes["/file"] = drip
    begun = time.monotonic()
    with pytest.raises(FetchError, match="time-out"):
        fetch(Download(site.url + "file", tmp_path / "file", 300_000), check, quick, silent)
    assert time.monotonic() - begun < 5


def test_a_reader_of_the_old_file_never_sees_the_new_one_half_written(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_whole(target, b"the old one")
    with target.open("rb") as reader:
        write_whole(target, b"new")
        assert reader.read() == b"the old one"
    assert target.read_bytes() == b"new"

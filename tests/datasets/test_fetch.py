"""The downloader against a server on this machine that fails in every way."""

import gzip
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graphc.nn.datasets import DamagedDataError, DatasetError, FetchError
from graphc.nn.datasets.fetch import Download, fetch, write_whole
from graphc.nn.datasets.progress import silent

BODY = np.random.default_rng(1).bytes(200_000)
HALF = len(BODY) // 2
MOST = 300_000


def check(payload: bytes) -> None:
    if payload != BODY:
        raise DamagedDataError("wrong content", given=[f"{len(payload)} bytes"], fits=f"{len(BODY)} bytes")


@pytest.fixture
def job(server, tmp_path: Path) -> Download:
    return Download(f"{server.url}file", tmp_path / "file", MOST)


def test_a_good_file_arrives(server, job, limits) -> None:
    server.on("file", server.file(BODY))
    heard = []
    assert fetch(job, check, limits, heard.append) == BODY
    assert [heard[0].kind, heard[-1].kind] == ["start", "end"]
    assert (heard[0].total, heard[-1].done) == (len(BODY), len(BODY))
    done = [event.done for event in heard if event.kind == "advance"]
    assert done == sorted(done)
    assert not job.target.exists()  # only the caller puts it there, by write_whole


FAILURES = {
    "404": (lambda s: s.status(404), "HTTP 404", 1),
    "403": (lambda s: s.status(403), "HTTP 403", 1),
    "500": (lambda s: s.status(500), "HTTP 500", 1),
    "204": (lambda s: s.status(204), "no file in the answer", 1),
    "206 unasked": (lambda s: s.status(206, Content_Range="bytes 5-9/10"), "no file in the answer", 1),
    "no answer": (lambda s: lambda _request: s.over.wait(), "time-out after 0.3 s", 1),
    "hangs up": (lambda s: s.raw(b""), "closed connection", 1),
    "not http": (lambda s: s.raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "SSH-2.0", 1),
    "headers by the letter": (lambda s: s.drip(b"HTTP/1.1 200 OK\r\nX: "), "time-out after 0.3 s", 1),
    "headers without end": (lambda s: s.raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200), "more than 100 headers", 1),
    "endless body": (lambda s: s.endless(), "the body does not end", 1),
    "a huge announcement": (lambda s: s.cut(bytes(MOST + 1), 10), "300001 bytes announced", 1),
    "redirect loop": (lambda s: s.status(302, Location="/file"), "too many redirects", 4),
    "redirect to nowhere": (lambda s: s.status(302), "HTTP 302", 1),
    "redirect to a file": (lambda s: s.status(302, Location="file:///etc/passwd"), "unsafe address", 1),
    "redirect by plain http": (lambda s: s.status(302, Location="http://example.org/file"), "unsafe address", 1),
    "redirect to rubbish": (lambda s: s.status(302, Location="http://[1/file"), "redirect to", 1),
    "silence in mid-body": (lambda s: s.stall(BODY, 0), "time-out after 0.3 s", 1),
    "a chunk's length by the digit": (lambda s: s.drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"), "time-out", 1),
    "a chunk of rubbish": (lambda s: s.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "connection lost", 1),
}


@pytest.mark.parametrize(("reply", "says", "times"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_named_and_leaves_nothing(server, job, limits, reply, says, times) -> None:
    server.on("file", reply(server))
    with pytest.raises(FetchError) as caught:
        fetch(job, check, limits, silent)
    assert says in caught.value.line
    assert len(server.asked) == times
    assert not job.target.exists()
    assert not job.part.exists() or job.part.stat().st_size == 0


def test_connection_refused(job, limits) -> None:
    with socket.socket() as bound:  # bound, but it does not listen
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(FetchError, match="refused"):
            fetch(replace(job, url=f"http://127.0.0.1:{bound.getsockname()[1]}/"), check, limits, silent)


@pytest.mark.parametrize("url", ["http://example.org/file", "ftp://example.org/file", "file:///etc/passwd", "/etc/passwd", "http://[1"])
def test_only_https_goes_out(job, limits, url) -> None:
    with pytest.raises(FetchError, match=r"unsafe address|the address"):
        fetch(replace(job, url=url), check, limits, silent)


def test_control_characters_of_a_server_stay_out_of_messages(server, job, limits) -> None:
    server.on("file", server.raw(b"HTTP/1.1 404 \x1b[31m" + b"long " * 1000 + b"\r\n\r\n"))
    with pytest.raises(FetchError) as caught:
        fetch(job, check, limits, silent)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_redirects_are_followed(server, job, limits) -> None:
    server.on("there", server.file(BODY))
    server.on("file", server.status(302, Location="/there"))
    assert fetch(job, check, limits, silent) == BODY


def test_a_cut_body_goes_on_by_range(server, job, limits) -> None:
    server.on("file", server.cut(BODY, HALF), server.file(BODY))
    notes = []
    assert fetch(job, check, limits, notes.append) == BODY
    assert server.asked == [("file", None), ("file", f"bytes={HALF}-")]
    assert any(f"truncated: {HALF} of {len(BODY)}" in event.text for event in notes)


def test_a_stalled_body_times_out_and_goes_on(server, job, limits) -> None:
    server.on("file", server.stall(BODY, HALF), server.file(BODY))
    assert fetch(job, check, limits, silent) == BODY
    assert server.asked[1] == ("file", f"bytes={HALF}-")


def test_a_crawling_body_is_given_up(server, job, limits) -> None:
    server.on("file", server.drip(b"HTTP/1.1 200 OK\r\n\r\n"))
    with pytest.raises(FetchError, match="too slow"):
        fetch(job, check, replace(limits, attempts=1), silent)


def test_attempts_are_counted(server, job, limits) -> None:
    server.on("file", server.cut(BODY, 1000), server.raw(b"HTTP/1.1 206 P\r\nContent-Range: bytes 1000-1999/200000\r\n\r\n" + BODY[1000:2000]))
    with pytest.raises(FetchError, match="truncated"):
        fetch(job, check, replace(limits, attempts=2), silent)
    assert len(server.asked) == 2
    assert job.part.read_bytes() == BODY[:2000]


def test_no_more_attempts_where_nothing_comes(server, job, limits) -> None:
    server.on("file", server.cut(BODY, 1000))  # ignores Range: always the same first 1000 bytes
    with pytest.raises(FetchError, match="truncated: 1000 of"):
        fetch(job, check, limits, silent)
    assert len(server.asked) == 2


def test_a_server_that_ignores_range_starts_over(server, job, limits) -> None:
    job.part.write_bytes(BODY[:HALF])
    server.on("file", server.unranged(BODY))
    assert fetch(job, check, limits, silent) == BODY
    assert server.asked == [("file", f"bytes={HALF}-")]


def test_another_range_than_asked_starts_over(server, job, limits) -> None:
    job.part.write_bytes(BODY[:HALF])
    server.on("file", server.status(206, Content_Range="bytes 7-9/10"), server.file(BODY))
    assert fetch(job, check, limits, silent) == BODY
    assert server.asked == [("file", f"bytes={HALF}-"), ("file", None)]


def test_a_part_as_long_as_the_file_starts_over(server, job, limits) -> None:
    job.part.write_bytes(BODY[:-1] + b"?")
    server.on("file", server.file(BODY))
    assert fetch(job, check, limits, silent) == BODY
    assert [span for _, span in server.asked] == [f"bytes={len(BODY)}-", None]


@pytest.mark.parametrize("have", [HALF, MOST, MOST + 1])
def test_a_part_of_something_else_is_dropped(server, job, limits, have) -> None:
    job.part.write_bytes(bytes(have))
    server.on("file", server.file(BODY))
    assert fetch(job, check, limits, silent) == BODY


def test_wrong_content_is_refused_and_not_kept(server, job, limits) -> None:
    server.on("file", server.file(b"<html>Please log in to this network</html>"))
    with pytest.raises(DamagedDataError, match="wrong content"):
        fetch(job, check, limits, silent)
    assert not job.part.exists()
    assert not job.target.exists()


def test_wrong_content_twice_ends(server, job, limits) -> None:
    job.part.write_bytes(b"<ht")
    server.on("file", server.file(b"<html>"))
    with pytest.raises(DamagedDataError):
        fetch(job, check, limits, silent)
    assert [span for _, span in server.asked] == ["bytes=3-", None]


def test_two_addresses_have_two_parts(job) -> None:
    assert replace(job, url="https://example.org/file").part != job.part
    assert job.part.parent == job.target.parent


def test_ctrl_c_leaves_a_part_to_go_on_from(server, job, limits) -> None:
    def interrupt(event) -> None:
        if event.kind == "advance" and event.done >= HALF:
            raise KeyboardInterrupt

    server.on("file", server.stall(BODY, HALF), server.file(BODY))
    with pytest.raises(KeyboardInterrupt):
        fetch(job, check, limits, interrupt)
    assert job.part.read_bytes() == BODY[:HALF]
    assert fetch(job, check, limits, silent) == BODY
    assert server.asked[1] == ("file", f"bytes={HALF}-")


def test_write_whole_replaces(tmp_path: Path) -> None:
    target = tmp_path / "file"
    for payload in (b"one", b"two"):
        write_whole(target, payload)
        assert target.read_bytes() == payload
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full disk", "Ctrl-C"])
def test_write_whole_or_not_at_all(tmp_path: Path, monkeypatch, error) -> None:
    def fail(_handle: int) -> None:
        raise error

    target = tmp_path / "file"
    write_whole(target, b"old")
    monkeypatch.setattr("graphc.nn.datasets.fetch.os.fsync", fail)
    expected = DatasetError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        write_whole(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
    assert isinstance(error, KeyboardInterrupt) or "No space left" in caught.value.line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_the_search(server, job, limits) -> None:
    job.part.symlink_to("/dev/full")
    server.on("file", server.file(BODY))
    with pytest.raises(DatasetError, match="No space left") as caught:
        fetch(job, check, limits, silent)
    assert not isinstance(caught.value, FetchError)  # another mirror would fill the same disk
    assert len(server.asked) == 1


def test_a_gzip_bomb_from_a_mirror(server, toy) -> None:
    mirror = toy.serve(server)
    bomb = gzip.compress(bytes(60_000_000))
    assert len(bomb) < toy.parts[0].size + (1 << 16)  # small enough to be downloaded
    server.on(f"{toy.parts[0].stem}.gz", server.file(bomb))
    with pytest.raises(DatasetError, match="holds too much"):
        toy.load(mirror)


SCRIPT = """
import sys
from pathlib import Path
from graphc.nn.datasets.fetch import Download, fetch
from graphc.nn.datasets.web import Limits
tell = lambda event: print(event.kind, event.done, flush=True)
fetch(Download(sys.argv[1], Path(sys.argv[2]), 300_000), lambda payload: None, Limits(stall_s=60), tell)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_a_real_interrupt_is_heard_while_waiting(server, job, python) -> None:
    import signal

    url = server.on("file", server.stall(BODY, HALF))
    child = python(SCRIPT, url, str(job.target))
    while child.stdout.readline() not in {f"advance {HALF}\n", ""}:
        pass
    child.send_signal(signal.SIGINT)
    _out, errors = child.communicate(timeout=10)
    assert "KeyboardInterrupt" in errors
    assert job.part.read_bytes() == BODY[:HALF]
    assert not job.target.exists()

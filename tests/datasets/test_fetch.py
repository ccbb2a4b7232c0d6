"""The downloader against a server that fails in every way; every file asked for is checked by hash."""

from __future__ import annotations

import errno
import hashlib
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from graphc.nn.datasets import DamagedDataError, DatasetError, Event, FetchError
from graphc.nn.datasets.fetch import Download, fetch, write_whole
from graphc.nn.datasets.progress import silent
from graphc.nn.datasets.unpack import check_hash
from graphc.nn.datasets.web import Limits

BODY = np.random.default_rng(1).bytes(300_000)
HALF = len(BODY) // 2


def check(payload: bytes) -> None:
    check_hash("the file", payload, hashlib.sha256(BODY).hexdigest())


@pytest.fixture
def job(site, tmp_path: Path) -> Download:
    return Download(site.url + "file.gz", tmp_path / "file.gz", len(BODY) + 1000)


def half_of(body: bytes):
    """Announce all of the body, send half and hang up."""

    def script(request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: len(body) // 2])

    return script


def stalling(site, body: bytes = b""):
    """Announce a body, send the start of it, then nothing more while the connection stays open."""

    def script(request) -> None:
        site.head(request, 200, Content_Length=len(BODY))
        request.wfile.write(body)
        request.wfile.flush()
        site.over.wait(10)

    return script


def fails(job: Download, limits: Limits, match: str) -> None:
    """The download fails with one clear error, and nothing lies under the final name."""
    with pytest.raises(FetchError, match=match):
        fetch(job, check, limits, silent)
    assert not job.target.exists()


def test_a_whole_file_arrives_with_its_progress(site, job, quick) -> None:
    site.routes["/file.gz"] = site.whole(BODY)
    heard: list[Event] = []
    assert fetch(job, check, quick, heard.append) == BODY
    assert [heard[0].kind, heard[-1].kind] == ["start", "end"]
    steps = [event.done for event in heard if event.kind == "advance"]
    assert steps == sorted(steps)
    assert steps[-1] == heard[-1].done == heard[0].total == len(BODY)
    assert site.asked == [("/file.gz", None)]


def test_connection_refused(tmp_path: Path, quick) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    fails(Download(f"http://127.0.0.1:{port}/f", tmp_path / "f", 10), quick, "refused")


@pytest.mark.parametrize("code", [204, 206, 400, 401, 403, 404, 410, 416, 429, 500, 502, 503])
def test_an_answer_that_is_no_file(site, job, quick, code: int) -> None:
    site.routes["/file.gz"] = site.status(code)
    fails(job, quick, f"HTTP {code}")
    assert site.count("/file.gz") == 1


def test_a_server_that_never_answers(site, job, quick) -> None:
    site.routes["/file.gz"] = lambda request: site.over.wait(10)
    start = time.monotonic()
    fails(job, quick, "time-out|closed connection")
    assert time.monotonic() - start < 3


def test_headers_that_come_a_letter_at_a_time(site, job, quick) -> None:
    def script(request) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not site.over.wait(0.05):
            request.wfile.write(b"x")

    site.routes["/file.gz"] = script
    start = time.monotonic()
    fails(job, quick, ".")
    assert time.monotonic() - start < 3


def test_a_body_that_stalls(site, job, quick) -> None:
    site.routes["/file.gz"] = stalling(site)
    fails(job, quick, r"time-out: no byte for 0\.25 s")


def test_a_body_that_crawls(site, job) -> None:
    def script(request) -> None:
        site.head(request, 200, Content_Length=len(BODY))
        while not site.over.wait(0.02):
            request.wfile.write(b"x")

    site.routes["/file.gz"] = script
    fails(job, Limits(stall_s=2, slow_s=0.2, slow_bytes=1000, attempts=1), "too slow: [0-9]+ bytes in 0.2 s")


def test_a_body_that_stalls_is_continued_on_a_new_connection(site, job, quick) -> None:
    site.routes["/file.gz"] = site.in_turn(stalling(site, BODY[:HALF]), site.whole(BODY))
    assert fetch(job, check, quick, silent) == BODY
    assert site.asked == [("/file.gz", None), ("/file.gz", f"bytes={HALF}-")]


def test_a_truncated_body_is_continued_from_where_it_broke(site, job, quick) -> None:
    site.routes["/file.gz"] = site.in_turn(half_of(BODY), site.whole(BODY))
    assert fetch(job, check, quick, silent) == BODY
    assert site.asked == [("/file.gz", None), ("/file.gz", f"bytes={HALF}-")]


def test_a_body_always_truncated_is_an_error_that_keeps_what_came(site, job, quick) -> None:
    site.routes["/file.gz"] = half_of(BODY)
    fails(job, quick, f"truncated: {HALF} of {len(BODY)} bytes")
    assert job.part.read_bytes() == BODY[:HALF]


def test_a_server_that_gives_one_byte_at_a_time_is_left_after_the_attempts(site, job, quick) -> None:
    def script(request) -> None:
        start = int((request.headers.get("Range") or "bytes=0-")[6:-1])
        site.head(request, 206, Content_Length=9, Content_Range=f"bytes {start}-99/100")
        request.wfile.write(b"x")

    job.part.write_bytes(b"x")
    site.routes["/file.gz"] = script
    fails(job, quick, "truncated: 5 of 100")
    assert site.count("/file.gz") == quick.attempts


def test_a_chunked_body_cut_short_or_malformed(site, job, quick) -> None:
    for tail in (b"", b"zz\r\nxx", b"-5\r\n"):

        def script(request, tail: bytes = tail) -> None:
            site.head(request, 200, Transfer_Encoding="chunked")
            request.wfile.write(b"3\r\nabc\r\n" + tail)

        site.routes["/file.gz"] = script
        with pytest.raises((FetchError, DamagedDataError)):
            fetch(job, check, Limits(stall_s=0.3, attempts=1), silent)
        job.part.unlink(missing_ok=True)


def test_a_server_that_ignores_ranges_is_read_from_the_start(site, job, quick) -> None:
    job.part.write_bytes(BODY[:HALF])
    site.routes["/file.gz"] = site.whole(BODY, ranges=False)
    assert fetch(job, check, quick, silent) == BODY
    assert site.asked == [("/file.gz", f"bytes={HALF}-")]


def test_a_server_that_answers_another_range_is_asked_from_the_start(site, job, quick) -> None:
    def other(request) -> None:
        site.head(request, 206, Content_Length=1, Content_Range=f"bytes 7-7/{len(BODY)}")

    job.part.write_bytes(BODY[:HALF])
    site.routes["/file.gz"] = site.in_turn(other, site.whole(BODY))
    assert fetch(job, check, quick, silent) == BODY
    assert site.asked[1] == ("/file.gz", None)


@pytest.mark.parametrize("extra", [0, 1, 999, 5000])
def test_a_part_as_long_as_the_file_or_longer_starts_over(site, job, quick, extra: int) -> None:
    job.part.write_bytes(BODY + bytes(extra))
    site.routes["/file.gz"] = site.whole(BODY)
    assert fetch(job, check, quick, silent) == BODY


def test_a_part_of_another_file_is_thrown_away_and_asked_for_again(site, job, quick) -> None:
    job.part.write_bytes(bytes(HALF))
    site.routes["/file.gz"] = site.whole(BODY)
    heard: list[Event] = []
    assert fetch(job, check, quick, heard.append) == BODY
    assert site.asked == [("/file.gz", f"bytes={HALF}-"), ("/file.gz", None)]
    assert any("starting over" in event.text for event in heard)


def test_wrong_content_is_refused_once_and_not_kept(site, job, quick) -> None:
    site.routes["/file.gz"] = site.whole(b"<html>Please log in to the hotel's network</html>")
    with pytest.raises(DamagedDataError, match="wrong content of the file"):
        fetch(job, check, quick, silent)
    assert site.count("/file.gz") == 1
    assert not job.part.exists()
    assert not job.target.exists()


def test_an_endless_body_is_cut_off(site, job, quick) -> None:
    def script(request) -> None:
        site.head(request, 200)
        while not site.over.is_set():
            request.wfile.write(bytes(50_000))

    site.routes["/file.gz"] = script
    fails(job, quick, rf"too large(.|\n)*at most {job.most} bytes")
    assert job.part.stat().st_size == 0


def test_a_body_announced_too_large_is_not_read(site, job, quick) -> None:
    site.routes["/file.gz"] = lambda request: site.head(request, 200, Content_Length=10**15)
    fails(job, quick, "1000000000000000 bytes announced")
    assert not job.part.exists()


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "9" * 5000])
def test_a_nonsense_length_does_no_harm(site, job, quick, length: str) -> None:
    def script(request) -> None:
        site.head(request, 200, Content_Length=length)
        request.wfile.write(BODY)

    site.routes["/file.gz"] = script
    try:
        assert fetch(job, check, quick, silent) == BODY
    except DatasetError:
        assert not job.target.exists()


def test_redirects_are_followed(site, job, quick) -> None:
    site.routes |= {"/file.gz": site.status(302, Location="/b"), "/b": site.status(307, Location=site.url + "c")}
    site.routes["/c"] = site.whole(BODY)
    assert fetch(job, check, quick, silent) == BODY


def test_a_redirect_loop_ends(site, job, quick) -> None:
    site.routes["/file.gz"] = site.status(301, Location="/file.gz")
    fails(job, quick, "too many redirects")
    assert site.count("/file.gz") == quick.redirects + 1


def test_an_endless_redirect_body_is_not_read(site, job, quick) -> None:
    def script(request) -> None:
        site.head(request, 302, Location="/b")
        while not site.over.is_set():
            request.wfile.write(bytes(50_000))

    site.routes |= {"/file.gz": script, "/b": site.whole(BODY)}
    assert fetch(job, check, quick, silent) == BODY


@pytest.mark.parametrize("address", ["file:///etc/passwd", "http://example.org/x", "ftp://127.0.0.1/x", "data:,x", "//[", "http://a b/"])
def test_a_redirect_to_an_unsafe_address_is_refused(site, job, quick, address: str) -> None:
    site.routes["/file.gz"] = site.status(302, Location=address)
    fails(job, quick, "unsafe address|redirect|Name or service|failure|Invalid|URL")


def test_a_redirect_from_https_to_http_is_refused() -> None:
    from graphc.nn.datasets.web import _next_address

    with pytest.raises(FetchError, match="unsafe redirect"):
        _next_address("https://example.org/a", "http://127.0.0.1/a")
    assert _next_address("https://example.org/a", "b") == "https://example.org/b"


@pytest.mark.parametrize("url", ["http://example.org/x", "file:///etc/passwd", "ftp://example.org/x", "", "x"])
def test_only_https_is_spoken_with_other_machines(tmp_path: Path, quick, url: str) -> None:
    fails(Download(url, tmp_path / "f", 10), quick, "unsafe address")


def test_control_characters_of_a_server_do_not_reach_the_terminal(site, job, quick) -> None:
    def script(request) -> None:
        request.wfile.write(b"HTTP/1.1 500 \x1b[31mred\x07\r\nContent-Length: 0\r\n\r\n")

    site.routes["/file.gz"] = script
    with pytest.raises(FetchError) as caught:
        fetch(job, check, quick, silent)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "answer", [b"", b"\0\0\0", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200]
)
def test_something_that_does_not_speak_http(site, job, quick, answer: bytes) -> None:
    site.routes["/file.gz"] = lambda request: request.wfile.write(answer)
    fails(job, quick, ".")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_one_clear_error(site, job, quick) -> None:
    site.routes["/file.gz"] = site.whole(BODY)
    job.part.symlink_to("/dev/full")
    with pytest.raises(DatasetError, match=r"cannot write(.|\n)*No space left(.|\n)*fits: free space") as caught:
        fetch(job, check, quick, silent)
    assert not isinstance(caught.value, FetchError)  # no other source would help
    assert not job.target.exists()


def test_a_disk_that_fills_up_while_the_file_is_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"as it was")

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("graphc.nn.datasets.fetch.os.fsync", full)
    with pytest.raises(DatasetError, match="No space left"):
        write_whole(target, BODY)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"as it was")]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot write"):
        write_whole(tmp_path / "absent" / "file", BODY)


def test_ctrl_c_leaves_a_part_that_the_next_run_continues(site, job, quick) -> None:
    def script(request) -> None:
        site.head(request, 200, Content_Length=len(BODY))
        request.wfile.write(BODY[:HALF])
        request.wfile.flush()
        site.over.wait(10)

    def press(event: Event) -> None:
        if event.kind == "advance" and event.done == HALF:
            raise KeyboardInterrupt

    site.routes["/file.gz"] = site.in_turn(script, site.whole(BODY))
    with pytest.raises(KeyboardInterrupt):
        fetch(job, check, quick, press)
    assert not job.target.exists()
    assert job.part.read_bytes() == BODY[:HALF]
    assert fetch(job, check, quick, silent) == BODY
    assert site.asked[1] == ("/file.gz", f"bytes={HALF}-")


def test_ctrl_c_while_the_file_is_put_in_place_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def press(_handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("graphc.nn.datasets.fetch.os.fsync", press)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", BODY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_files_get_the_user_s_own_permissions(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    write_whole(tmp_path / "file", BODY)
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_each_address_has_its_own_part(tmp_path: Path) -> None:
    parts = {Download(url, tmp_path / "f", 1).part for url in ("https://a/f", "https://b/f")}
    assert len(parts) == 2
    assert all(part.suffix == ".part" and part.parent == tmp_path for part in parts)

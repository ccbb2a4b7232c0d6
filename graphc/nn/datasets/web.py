"""Asking a web server for a file, from some byte on, and reading the answer with patience bounded.

Only ``https`` is spoken, and ``http`` with this machine itself. Redirects are followed here, not by
urllib, which would read a redirect's body whole, however long, and would go on to any host by
plain http.
"""

import http.client
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn, cast
from urllib.parse import urljoin, urlsplit

from graphc.nn.datasets.errors import FetchError, printable

_CHUNK = 1 << 16
_HERE = {"127.0.0.1", "::1", "localhost"}
_MOVED = {301, 302, 303, 307, 308}
_NOT_THAT_RANGE = 416
_SPAN = re.compile(r"bytes (\d{1,18})-\d+/(\d{1,18}|\*)", re.ASCII)


@dataclass(frozen=True)
class Limits:
    """How long and how often to try; seconds and bytes.

    ``stall_s`` bounds connecting, the whole of the headers, and each wait for more of the body.
    A body must bring ``slow_bytes`` in every ``slow_s``. ``attempts`` counts connections per file,
    ``pip_s`` bounds the whole run of pip, ``lock_s`` the wait for another process.
    """

    stall_s: float = 10.0
    slow_s: float = 30.0
    slow_bytes: int = 60_000
    attempts: int = 4
    redirects: int = 5
    pip_s: float = 600.0
    lock_s: float = 900.0


DEFAULT_LIMITS = Limits()


class DroppedError(Exception):
    """The connection ended in mid-body; what came before it may be good."""


@dataclass(frozen=True)
class Answer:
    """A server's answer: the body from byte ``start`` on, of a file of ``total`` bytes if it says."""

    start: int
    total: int | None
    body: http.client.HTTPResponse
    limits: Limits

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes. Raises ``DroppedError`` where it stops, stalls or crawls."""
        arrived = since = 0
        mark = time.monotonic()
        while chunk := _read(self.body, self.limits):
            arrived, since = arrived + len(chunk), since + len(chunk)
            yield chunk
            if time.monotonic() - mark > self.limits.slow_s:
                if since < self.limits.slow_bytes:
                    raise DroppedError(f"too slow: {since} bytes in {self.limits.slow_s:g} s")
                mark, since = time.monotonic(), 0
        if self.total is not None and self.start + arrived < self.total:
            raise DroppedError(f"truncated: {self.start + arrived} of {self.total} bytes arrived")


def ask(url: str, have: int, limits: Limits) -> Answer:
    """The server's answer for ``url`` from byte ``have`` on; from 0 where it cannot go on from there.

    The caller closes ``body``. Raises ``FetchError`` where there is no answer, or not one of a file.
    """
    response = _follow(url, have, limits)
    if response is None:
        return ask(url, 0, limits)
    if response.status == http.HTTPStatus.OK:
        return Answer(0, _number(response.headers.get("Content-Length")), response, limits)
    span = _SPAN.match(response.headers.get("Content-Range", ""))
    if response.status == http.HTTPStatus.PARTIAL_CONTENT and span and int(span[1]) == have:
        return Answer(have, _number(span[2]), response, limits)
    response.close()
    if have:
        return ask(url, 0, limits)
    raise FetchError("no file in the answer", given=[f"HTTP {response.status}"], fits="HTTP 200")


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None


def _read(body: http.client.HTTPResponse, limits: Limits) -> bytes:
    try:
        # read1 returns what is there; read would wait for a whole chunk, drop by drop, for ever.
        return body.read1(_CHUNK)
    except TimeoutError as error:
        raise DroppedError(f"time-out: no byte for {limits.stall_s:g} s") from error
    # ValueError: a chunked body whose lengths are no numbers.
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DroppedError(f"connection lost: {_reason(error)}") from error


def _follow(url: str, have: int, limits: Limits) -> http.client.HTTPResponse | None:
    """The answer at the end of the redirects; None where the server lacks bytes from ``have`` on."""
    for _hop in range(limits.redirects + 1):
        _check_address(url)
        try:
            return _open(url, have, limits)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == _NOT_THAT_RANGE and have:
                    return None
                if error.code not in _MOVED or "Location" not in error.headers:
                    _refuse(f"HTTP {error.code} {error.reason}", error)
                url = _next_address(url, error.headers["Location"])
        # ValueError: an address or a header that urllib cannot take apart.
        except (OSError, http.client.HTTPException, ValueError) as error:
            _refuse(_unanswered(error, limits), error)
    raise FetchError("too many redirects", given=[f"the last one to {printable(url)}"])


def _refuse(given: str, error: Exception) -> NoReturn:
    raise FetchError(printable(given)) from error


def _unanswered(error: Exception, limits: Limits) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"time-out: no answer in {limits.stall_s:g} s"
    return _reason(cause) if isinstance(cause, Exception) else str(cause)


def _reason(error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) else None
    return printable(words or str(error)) or type(error).__name__


def _next_address(url: str, location: str) -> str:
    try:
        following = urljoin(url, location)
    except ValueError as error:
        _refuse(f"a redirect to {location!r}", error)
    if urlsplit(url).scheme == "https" and urlsplit(following).scheme != "https":
        raise FetchError("unsafe redirect", given=[printable(following)], fits="https://...")
    return following


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        _refuse(f"the address {url!r}", error)
    if parts.scheme == "https" or (parts.scheme == "http" and host in _HERE):
        return
    raise FetchError("unsafe address", given=[printable(url)], fits="https://...")


def _open(url: str, have: int, limits: Limits) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "graphc"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    handlers: list[Any] = [_NoRedirect(), _HttpHandler(), _HttpsHandler()]
    if urlsplit(url).hostname in _HERE:
        handlers.append(urllib.request.ProxyHandler({}))  # a proxy cannot reach this machine
    answer = urllib.request.build_opener(*handlers).open(request, timeout=limits.stall_s)
    return cast("http.client.HTTPResponse", answer)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_options: Any) -> None:
        return None


class _Response(http.client.HTTPResponse):
    """An answer whose headers, and each further piece of it, must be whole within the socket's time-out.

    The time-out alone bounds each wait for a packet; a server that sends a letter at a time, of a
    header, of a chunk's length or of a trailer, never meets it.
    """

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._sock = sock

    def begin(self) -> None:
        with self._in_time():
            super().begin()

    def read1(self, n: int = -1) -> bytes:
        with self._in_time():
            return super().read1(n)

    @contextmanager
    def _in_time(self) -> Generator[None]:
        late = threading.Event()
        timer = threading.Timer(self._sock.gettimeout() or 0, self._hang_up, [late])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if late.is_set():  # whatever the hanging up looked like from the reader's side
                raise TimeoutError

    def _hang_up(self, late: threading.Event) -> None:
        late.set()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


class _Http(http.client.HTTPConnection):
    response_class = _Response


class _Https(http.client.HTTPSConnection):
    response_class = _Response


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Http, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Https, req, context=ssl.create_default_context())

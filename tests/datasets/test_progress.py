"""What the user sees of a download."""

import io

import pytest

from graphc.nn.datasets.progress import Event, listening, megabytes

FILE = (
    Event("note", "hello [there]"),
    Event("start", "https://a/b", 0, 2_000_000),
    Event("advance", "https://a/b", 1_000_000, 2_000_000),
    Event("end", "https://a/b", 2_000_000, 2_000_000),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _seen(stream: io.StringIO, events=FILE) -> str:
    with listening(True, stream) as tell:
        for event in events:
            tell(event)
    return stream.getvalue()


def test_a_log_gets_a_line_at_the_start_and_one_at_the_end() -> None:
    assert _seen(io.StringIO()).splitlines() == [
        "graphc: hello [there]",
        "graphc: fetching https://a/b (2.0 MB)",
        "graphc: fetched  https://a/b: 2.0 MB",
    ]


def test_a_size_that_is_not_known_is_not_said() -> None:
    assert _seen(io.StringIO(), [Event("start", "x")]) == "graphc: fetching x\n"


def test_a_terminal_gets_a_bar() -> None:
    seen = _seen(Terminal())
    assert "hello [there]" in seen
    assert "2.0/2.0 MB" in seen


def test_a_terminal_gets_nothing_where_nothing_happens() -> None:
    assert _seen(Terminal(), []) == ""


def test_false_is_silence_and_a_function_hears_all(capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[Event] = []
    for progress in (False, heard.append):
        with listening(progress) as tell:
            for event in FILE:
                tell(event)
    assert capfd.readouterr() == ("", "")
    assert tuple(heard) == FILE


def test_rich_is_only_imported_for_a_bar(python) -> None:
    source = "import sys, io; from graphc.nn.datasets.progress import *\nwith listening(True, io.StringIO()) as tell: tell(Event('note', 'x'))\n"
    out, errors = python(source + "print('rich' in sys.modules, 'sklearn' in sys.modules)").communicate(timeout=30)
    assert (out, errors) == ("False False\n", "")


@pytest.mark.parametrize(("count", "words"), [(9_912_422, "9.9 MB"), (28_881, "29 kB"), (0, "0 kB")])
def test_megabytes(count: int, words: str) -> None:
    assert megabytes(count) == words

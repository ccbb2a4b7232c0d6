"""What the user sees of a download."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from graphc.nn.datasets import Event
from graphc.nn.datasets.progress import listening, megabytes, silent

EVENTS = [
    Event("note", "not from [red]there[/red]"),
    Event("start", "https://a/f.gz", 0, 2_000_000),
    Event("advance", "https://a/f.gz", 1_000_000, 2_000_000),
    Event("end", "https://a/f.gz", 2_000_000, 2_000_000),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_at_the_start_and_the_end() -> None:
    out = io.StringIO()
    with listening(True, out) as tell:
        for event in EVENTS:
            tell(event)
    assert out.getvalue().splitlines() == [
        "graphc: not from [red]there[/red]",
        "graphc: fetching https://a/f.gz (2.0 MB)",
        "graphc: fetched  https://a/f.gz: 2.0 MB",
    ]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with listening(True, out) as tell:
        for event in EVENTS:
            tell(event)
    assert "not from [red]there[/red]" in out.getvalue()
    assert "2.0/2.0 MB" in out.getvalue()


def test_false_is_silence_and_a_function_hears_everything() -> None:
    heard: list[Event] = []
    with listening(False) as quiet, listening(heard.append) as tell:
        assert quiet is silent
        for event in EVENTS:
            tell(event)
    assert heard == EVENTS


@pytest.mark.parametrize(("count", "words"), [(9_912_422, "9.9 MB"), (28_881, "29 kB"), (0, "0 kB")])
def test_sizes_in_words(count: int, words: str) -> None:
    assert megabytes(count) == words


def test_importing_the_data_sets_imports_no_more_than_it_must() -> None:
    code = "import sys, graphc.nn.datasets; print(sorted({'rich', 'sklearn', 'scipy'} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

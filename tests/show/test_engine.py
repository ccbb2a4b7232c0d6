"""Engines: where they are found, and what happens when one hangs, crashes or writes rubbish."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphc.core.errors import DrawError, DrawWarning
from graphc.show.engine import BUNDLED, INSTALL, PLAIN, Engine, Search, engines, named, render

DOT = "digraph { a -> b }"
SVG = "<svg><text>drawn</text></svg>"
scripts = pytest.mark.skipif(os.name != "posix", reason="the fake engines are shell scripts")


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def nowhere(tmp_path: Path, **environment: str) -> Search:
    """A search that sees only a folder of the test's own, and no pygraphviz."""
    return Search(environment, path=str(tmp_path / "bin"), python=None)


GOOD = f"cat >/dev/null; echo '{SVG}'"


@scripts
def test_dot_on_the_path_is_found_and_run(tmp_path: Path) -> None:
    script(tmp_path / "bin/dot", GOOD)
    drawing = render(DOT, "svg", search=nowhere(tmp_path))
    assert drawing.data.decode().strip() == SVG
    assert drawing.drawn_by == "dot"


@scripts
def test_the_order_is_the_variable_then_dot_then_pygraphviz_then_pure(tmp_path: Path) -> None:
    for name in ("dot", "graphviz-pure", "mine"):
        script(tmp_path / "bin" / name, GOOD)
    search = Search({"GRAPHC_DOT": "mine"}, path=str(tmp_path / "bin"), python=sys.executable)
    names = [engine.name for engine in engines(search) if isinstance(engine, Engine)]
    bundled = [BUNDLED] if search.has_bundled else []
    assert names == ["mine", "dot", *bundled, "graphviz-pure"]


@scripts
def test_graphviz_pure_is_found_beside_the_interpreter(tmp_path: Path) -> None:
    script(tmp_path / "venv/graphviz-pure", GOOD)
    search = Search({}, path=str(tmp_path / "bin"), python=str(tmp_path / "venv/python"))
    assert "graphviz-pure" in [engine.name for engine in engines(search) if isinstance(engine, Engine)]


@scripts
def test_the_text_and_the_options_reach_the_engine(tmp_path: Path) -> None:
    script(tmp_path / "bin/dot", f"cat >{tmp_path}/text; echo \"$@\" >{tmp_path}/options; echo '{SVG}'")
    render("digraph { é }", "svg", search=nowhere(tmp_path))
    assert (tmp_path / "text").read_text(encoding="utf-8") == "digraph { é }"
    assert (tmp_path / "options").read_text().split() == ["-Tsvg", "-Gnslimit=2", "-Gnslimit1=2"]


FAKES = {
    "hangs": ("exec sleep 60", "did not finish within 1 s"),
    "starts a child that keeps the pipes": ("sleep 60 & wait", "did not finish within 1 s"),
    "crashes": ("kill -SEGV $$", "crashed by signal 11"),
    "refuses": ("echo 'no such layout' >&2; exit 3", "failed with exit status 3: no such layout"),
    "writes rubbish": ("cat >/dev/null; echo hello", "wrote no SVG but b'hello"),
    "writes nothing": ("cat >/dev/null", "wrote no SVG but b''"),
    "stops half way": ("cat >/dev/null; echo '<svg><text>'", "wrote no SVG"),
    "does not read": ("exit 1", "failed with exit status 1"),
    "loses edges": (f"{GOOD}; echo 'Error: lost a b edge' >&2", "lost edges"),
}


def patience(why: str) -> float:
    """Seconds: few for a program that hangs, and enough for any other, however busy the machine is."""
    return 1.0 if "did not finish" in why else 60.0


@scripts
@pytest.mark.parametrize(("body", "why"), FAKES.values(), ids=FAKES)
def test_a_failing_variable_warns_and_goes_on(tmp_path: Path, body: str, why: str) -> None:
    script(tmp_path / "bin/dot", GOOD)
    bad = script(tmp_path / "bad", body)
    start = time.monotonic()
    with pytest.warns(DrawWarning) as caught:
        drawing = render(DOT * 20_000, "svg", timeout=patience(why), search=nowhere(tmp_path, GRAPHC_DOT=str(bad)))
    assert drawing.drawn_by == "dot"
    assert len(caught) == 1
    assert why in str(caught[0].message)
    assert "drawn by dot instead" in str(caught[0].message)
    assert time.monotonic() - start < 10


@scripts
@pytest.mark.parametrize(("body", "why"), FAKES.values(), ids=FAKES)
def test_a_failing_argument_raises(tmp_path: Path, body: str, why: str) -> None:
    script(tmp_path / "bin/dot", GOOD)
    bad = script(tmp_path / "bad", body)
    with pytest.raises(DrawError) as caught:
        render(DOT, "svg", engine=str(bad), timeout=patience(why), search=nowhere(tmp_path))
    assert why in str(caught.value)
    assert str(bad) in str(caught.value)
    assert INSTALL.splitlines()[0] in str(caught.value)


@scripts
def test_the_program_that_hangs_and_its_children_are_gone(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    bad = script(tmp_path / "bad", f"sleep 61 & echo $! >>{pids}; echo $$ >>{pids}; wait")
    with pytest.raises(DrawError):
        render(DOT, "svg", engine=str(bad), timeout=1.0, search=nowhere(tmp_path))
    started = pids.read_text().split()
    assert len(started) == 4  # two attempts, two programs each
    deadline = time.monotonic() + 5
    while any(map(alive, started)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, started))


def alive(pid: str) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False).stdout
    return bool(listed.strip()) and not listed.strip().startswith("Z")


@scripts
def test_a_time_out_is_tried_again_with_straight_lines(tmp_path: Path) -> None:
    script(tmp_path / "bin/dot", f'case "$*" in *splines=line*) {GOOD};; *) exec sleep 60;; esac')
    assert render(DOT, "svg", timeout=2.0, search=nowhere(tmp_path)).data.decode().strip() == SVG


@scripts
def test_lost_edges_are_tried_again_with_straight_lines(tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    lost = "echo 'Warning: Unable to reclaim box space\nError: lost a b edge' >&2"
    script(tmp_path / "bin/dot", f'echo x >>{tried}; {GOOD}; case "$*" in *splines=line*) ;; *) {lost};; esac')
    render(DOT, "svg", search=nowhere(tmp_path))
    assert tried.read_text().split() == ["x", "x"]


def test_a_variable_that_points_at_nothing_is_told(tmp_path: Path) -> None:
    missing = str(tmp_path / "no-such-dot")
    with pytest.raises(DrawError) as caught:
        render(DOT, "svg", search=nowhere(tmp_path, GRAPHC_DOT=missing))
    assert f"{missing} is no program" in str(caught.value)


@scripts
def test_a_file_that_may_not_be_run_is_told(tmp_path: Path) -> None:
    script(tmp_path / "dot", GOOD).chmod(0o644)
    with pytest.raises(DrawError, match="may not be run"):
        render(DOT, "svg", engine=str(tmp_path / "dot"), search=nowhere(tmp_path))


@scripts
def test_a_file_that_is_no_program_is_told(tmp_path: Path) -> None:
    (tmp_path / "dot").write_bytes(b"\x00\x01 not a program")
    (tmp_path / "dot").chmod(0o755)
    with pytest.raises(DrawError, match="cannot be run: Exec format error"):
        render(DOT, "svg", engine=str(tmp_path / "dot"), search=nowhere(tmp_path))


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    assert list(engines(nowhere(tmp_path, GRAPHC_DOT="  "))) == []


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_without_any_engine_the_message_says_what_to_install(tmp_path: Path, form: str) -> None:
    with pytest.raises(DrawError) as caught:
        render(DOT, form, search=nowhere(tmp_path))  # pyright: ignore[reportArgumentType]
    message = str(caught.value)
    for words in (
        f"drawing a {form}",
        "no engine found",
        "apt-get install",
        "brew install",
        "winget install",
        "graphc[draw]",
        "GRAPHC_DOT",
    ):
        assert words in message


def test_the_plain_layout_is_no_engine_for_bitmaps(tmp_path: Path) -> None:
    with pytest.raises(DrawError, match="draws SVG only"):
        render(DOT, "png", engine=PLAIN, search=nowhere(tmp_path))


def test_pygraphviz_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DrawError, match="not installed for this Python"):
        render(DOT, "svg", engine=BUNDLED, search=nowhere(tmp_path))


REAL = [engine for engine in engines(Search({"PATH": os.environ.get("PATH", "")})) if isinstance(engine, Engine)]


@pytest.mark.parametrize("name", ["dot", BUNDLED, "graphviz-pure"])
@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_a_real_engine_draws(name: str, form: str) -> None:
    if name not in [engine.name for engine in REAL]:
        pytest.skip(f"{name} is not installed here")
    if (name, form) == ("graphviz-pure", "pdf"):
        pytest.skip("graphviz-pure writes no PDF")
    found = next(engine for engine in REAL if engine.name == name)
    engine = BUNDLED if name == BUNDLED else found.command[0]
    assert render(DOT, form, engine=engine).data  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", [engine.name for engine in REAL] or [pytest.param("", marks=pytest.mark.skip(reason="no engine here"))])
def test_a_real_engine_refuses_text_that_is_not_dot(name: str) -> None:
    found = named(name, Search())
    engine = name if name == BUNDLED or not isinstance(found, Engine) else found.command[0]
    with pytest.raises(DrawError):
        render("this is not DOT", "svg", engine=engine)


def test_importing_the_engine_imports_no_library() -> None:
    heavy = "{'networkx', 'graphviz', 'pygraphviz'}"
    code = f"import sys, graphc.show.engine, graphc.show.picture; sys.exit(bool({heavy} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0

"""Pictures: shown in a notebook, saved to files, and there without any engine."""

from __future__ import annotations

import os
import pickle
import warnings
from dataclasses import FrozenInstanceError
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from graphc.core.errors import DrawError, DrawWarning
from graphc.show.dot import to_dot
from graphc.show.engine import Search
from graphc.show.picture import Picture
from graphc.show.sketch import Edge, Node, Sketch

NOWHERE = Search({}, path="", python=None)
SKETCH = Sketch('a "net" <&>', "Two nodes & an edge.", (Node("x", ("x",), "input"), Node("y", ("y",))), (Edge("x", "y"),))
scripts = pytest.mark.skipif(os.name != "posix", reason="the fake engines are shell scripts")

FAKES = {
    "svg": 'echo \'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x"><!-- by fake --><svg width="1pt" xmlns="http://www.w3.org/2000/svg"><g/></svg>\'',
    "png": r"printf '\211PNG\r\n\032\n body IEND'",
    "pdf": "printf '%%PDF-1.7 body %%%%EOF'",
}


@pytest.fixture
def fake(tmp_path: Path) -> Search:
    """A search that finds one engine, a script that counts its calls in ``calls``."""
    cases = "\n".join(f"-T{form}) {body};;" for form, body in FAKES.items())
    script = tmp_path / "bin/dot"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\ncat >/dev/null\necho $1 >>{tmp_path}/calls\ncase "$1" in\n{cases}\nesac\n')
    script.chmod(0o755)
    return Search({}, path=str(script.parent), python=None)


def plain() -> Picture:
    return Picture(SKETCH, engine="plain")


def test_a_picture_is_a_value() -> None:
    picture = plain()
    assert picture == plain()
    assert hash(picture) == hash(plain())
    assert picture != Picture(SKETCH, engine="dot")
    with pytest.raises(FrozenInstanceError):
        picture.timeout = 1.0  # pyright: ignore[reportAttributeAccessIssue]


def test_a_picture_can_be_pickled_before_and_after_it_is_drawn() -> None:
    picture = plain()
    assert pickle.loads(pickle.dumps(picture)) == picture
    assert pickle.loads(pickle.dumps(picture)).svg == picture.svg


def test_dot_and_title_need_no_engine() -> None:
    picture = Picture(SKETCH, search=NOWHERE)
    assert picture.dot == to_dot(SKETCH)
    assert picture.title == SKETCH.title
    assert repr(picture) == "<Picture 'a \"net\" <&>': Two nodes & an edge.>"


def test_without_an_engine_the_plain_layout_comes_with_one_warning() -> None:
    picture = Picture(SKETCH, search=NOWHERE)
    with pytest.warns(DrawWarning) as caught:
        first = picture.svg
    assert len(caught) == 1
    for words in (
        "no Graphviz engine works",
        "graphc[draw]",
        "apt-get install",
        "brew install",
        "winget install",
        "GRAPHC_DOT",
        "plain layout",
    ):
        assert words in str(caught[0].message)
    assert caught[0].filename == __file__
    assert (first, picture.drawn_by) == (plain().svg, "plain")
    assert picture.svg is not None  # and no second warning, which would be an error here


def test_the_plain_layout_asked_for_gives_no_warning() -> None:
    assert plain().drawn_by == "plain"
    assert Picture(SKETCH, search=Search({"GRAPHC_DOT": "plain"}, path="", python=None)).drawn_by == "plain"


@pytest.mark.parametrize("form", ["png", "pdf"])
def test_without_an_engine_bitmaps_say_what_to_install(tmp_path: Path, form: str) -> None:
    picture = Picture(SKETCH, search=NOWHERE)
    with pytest.raises(DrawError, match=r"graphc\[draw\]"):
        getattr(picture, form)
    with pytest.raises(DrawError, match="no Graphviz engine works"):
        picture.save(tmp_path / f"net.{form}")
    assert list(tmp_path.iterdir()) == []


def test_an_engine_given_that_fails_raises(tmp_path: Path) -> None:
    picture = Picture(SKETCH, engine=str(tmp_path / "no-such-dot"))
    with pytest.raises(DrawError, match="no-such-dot"):
        _ = picture.svg


@scripts
def test_each_format_is_drawn_once(fake: Search, tmp_path: Path) -> None:
    picture = Picture(SKETCH, search=fake)
    assert picture.png.startswith(b"\x89PNG")
    assert picture.pdf.startswith(b"%PDF")
    assert picture.svg == picture.svg
    assert (picture.png, picture.pdf, picture.drawn_by) == (picture.png, picture.pdf, "dot")
    assert (tmp_path / "calls").read_text().split() == ["-Tpng", "-Tpdf", "-Tsvg"]


@scripts
def test_the_svg_of_an_engine_has_no_prolog_and_tells_what_it_shows(fake: Search) -> None:
    svg = Picture(SKETCH, search=fake).svg
    root = ET.fromstring(svg)
    assert svg.startswith("<svg ")
    assert (root.get("role"), root.get("aria-label")) == ("img", SKETCH.title)
    assert (root.findtext("{*}title"), root.findtext("{*}desc")) == (SKETCH.title, SKETCH.description)


def test_the_plain_svg_tells_what_it_shows() -> None:
    root = ET.fromstring(plain().svg)
    assert (root.get("role"), root.get("aria-label")) == ("img", SKETCH.title)
    assert (root.findtext("{*}title"), root.findtext("{*}desc")) == (SKETCH.title, SKETCH.description)


def test_jupyter_gets_one_bundle_and_nothing_beside_it() -> None:
    picture = plain()
    assert picture._repr_mimebundle_() == {"image/svg+xml": picture.svg, "text/plain": repr(picture)}  # pyright: ignore[reportPrivateUsage]
    assert [name for name in dir(picture) if name.startswith("_repr_")] == ["_repr_mimebundle_"]


@scripts
@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf", ".dot", ".gv", ".PNG"])
def test_the_suffix_is_the_format(fake: Search, tmp_path: Path, suffix: str) -> None:
    picture = Picture(SKETCH, search=fake)
    path = picture.save(tmp_path / f"net{suffix}")
    texts = {".svg": picture.svg, ".dot": picture.dot, ".gv": picture.dot}
    expected = texts[suffix].encode() if suffix in texts else getattr(picture, suffix[1:].lower())
    assert path.read_bytes() == expected


@pytest.mark.parametrize("name", ["net.jpeg", "net", "net.svg.bak", ".svg"])
def test_an_unknown_suffix_is_refused_with_those_that_fit(tmp_path: Path, name: str) -> None:
    with pytest.raises(DrawError) as caught:
        plain().save(tmp_path / name)
    assert name in caught.value.asked
    assert ".svg, .png, .pdf, .dot, .gv" in caught.value.fits
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DrawError) as caught:
        plain().save(str(tmp_path / "gone" / "net.svg"))
    assert str(tmp_path / "gone") in caught.value.given[0]


def test_saving_replaces_the_file_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "net.svg"
    path.write_text("old" * 100_000)
    assert plain().save(path) == path
    assert path.read_text(encoding="utf-8") == plain().svg
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "net.png"
    path.write_text("old")
    with pytest.raises(DrawError):
        Picture(SKETCH, search=NOWHERE).save(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_be_written_leaves_no_part_behind(tmp_path: Path) -> None:
    (tmp_path / "net.svg").mkdir()
    with pytest.raises(OSError):
        plain().save(tmp_path / "net.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["net.svg"]


def test_a_real_engine_draws_all_formats() -> None:
    picture = Picture(SKETCH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DrawWarning)
        drawn_by = picture.drawn_by
    if drawn_by in ("plain", "graphviz-pure"):
        pytest.skip("no engine here that draws all formats")
    assert picture.png.startswith(b"\x89PNG")
    assert picture.pdf.startswith(b"%PDF")
    assert ET.fromstring(picture.svg).findtext("{*}title") == SKETCH.title

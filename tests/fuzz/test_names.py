"""Names that would be code, markup or commands: wherever one is shown or written, the rest is as it would be for another name."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import graphc as gc
from graphc import nn

CANARY = "graphc_canary"
NAMES = [
    f"'+__import__('{CANARY}')+'",
    f'"""+{CANARY}()+"""',
    f"\n{CANARY}()\n",
    f"\u2028{CANARY}()",
    f"\x85{CANARY}()",
    f"\r{CANARY}()#",
    f"\\{CANARY}\\",
    f"<script>{CANARY}</script>",
    f'" onload="{CANARY}()',
    f"--><img src=x onerror={CANARY}()>",
    f"]]>&{CANARY};&#0;",
    f"\\write18{{{CANARY}}}",
    f"\\input{{{CANARY}}}",
    f"}}$\\end{{aligned}}{CANARY}%",
    f'"];{CANARY} [URL="x"];"',
    "%s%n{0}{x!r}$x",
    "\0",
    "\x1b[31m",
    "\ud800",
    "‮abc",
]


def programs(name: str) -> tuple[Any, Any, Any, Any]:
    x = gc.input(name, ("batch", 3))
    w = gc.variable(np.ones((3, 2)), name)
    with gc.scope(name):
        h = gc.tanh(x @ w).named(name)
    return x, w, h, gc.sum(h).named(name)


class Tags(HTMLParser):
    """The elements of a page and the names of their attributes, in their order, and the text within scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Any] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, sorted(name for name, _ in attrs)))


LOADING = ("script", "img", "iframe", "object", "embed", "link", "meta", "style", "a", "base", "form")
"""Elements that run or fetch something."""


def _text(shown: Any) -> Any:
    """What a property or a method gives."""
    return shown() if callable(shown) else shown


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_source(name: str, backend: str) -> None:
    x, w, h, loss = programs(name)
    source = gc.compile([x], {"loss": loss, "h": h}, updates={w: (w - gc.grad(loss, w)).named(name)}, backend=backend).source
    source.encode()
    a, b, c, d = programs("plain")
    plain = gc.compile([a], {"loss": d, "h": c}, updates={b: (b - gc.grad(d, b)).named("plain")}, backend=backend).source
    assert _calls(source) == _calls(plain)


def _calls(source: str) -> list[str]:
    """The kinds of what a source consists of, in its order; an import or a call of something else would be one more, or another."""
    calls = [
        ast.dump(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    return [re.sub(r"id='[^']*(graphc_canary|plain|v|write|input|x|script|abc|n|31m|end)[^']*'", "id", call) for call in calls]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_text(name: str) -> None:
    """A listing and a formula have as many lines as for another name, and no control characters."""
    *_, loss = programs(name)
    *_, plain = programs("plain")
    assert len(str(gc.listing(loss)).splitlines()) == len(str(gc.listing(plain)).splitlines())
    for text in (str(gc.listing(loss)), gc.formula(loss).text):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", text)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_markup(name: str, tmp_path: Path) -> None:
    """Pages and pictures have the elements and attributes that they have for another name."""
    x, w, _, loss = programs(name)
    a, _, _, plain = programs("plain")
    for show in (lambda x, y: gc.formula(y).html, lambda x, y: gc.explore(gc.compile(x, y), tmp_path / "graph.html").html):
        found, expected = (Tags(_text(show(*arguments))).found for arguments in ((x, loss), (a, plain)))
        assert [tag for tag in found if tag[0] in LOADING] == [tag for tag in expected if tag[0] in LOADING]
        assert {attribute for _, names in found for attribute in names} <= {attribute for _, names in expected for attribute in names}
    svg = _text(gc.draw(loss, wrt=[w]).svg)
    root = ET.fromstring(svg)
    assert {element.tag.rpartition("}")[2] for element in root.iter()}.isdisjoint({"script", "foreignObject", "image"})
    assert not [key for element in root.iter() for key in element.attrib if key.lower().startswith("on")]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_dot(name: str) -> None:
    """A description for Graphviz has the nodes and edges that it has for another name."""
    pygraphviz = pytest.importorskip("pygraphviz")
    counts = []
    for given in (name, "plain"):
        _, w, _, loss = programs(given)
        graph = pygraphviz.AGraph(string=_text(gc.draw(loss, wrt=[w]).dot))
        counts.append((graph.number_of_nodes(), graph.number_of_edges()))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_latex(name: str) -> None:
    """The commands of a formula are those that it has for another name, and braces are balanced."""
    *_, loss = programs(name)
    *_, plain = programs("plain")
    latex, other = gc.formula(loss).latex, gc.formula(plain).latex
    escapes = {
        r"\textbackslash",
        r"\textasciicircum",
        r"\textasciitilde",
        r"\backslash",
        r"\text",
        r"\mathit",
        r"\mathrm",
        r"\sim",
        r"\wedge",
        r"\char",
    }
    assert set(re.findall(r"\\[A-Za-z]+", latex)) - escapes <= set(re.findall(r"\\[A-Za-z]+", other))
    unescaped = re.sub(r"\\[\\{}%$#&_]", "", latex)
    assert unescaped.count("{") == unescaped.count("}")
    assert "\n\n" not in latex


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_layers(name: str, tmp_path: Path) -> None:
    """A layer may be called anything that a file can hold; its weights are found again."""
    x = nn.Input((3,), name=name)
    model = nn.Model(x, nn.layers.Dense(2, name=f"{name}.")(x), name=name)
    if name == "\ud800":
        with pytest.raises(nn.WeightsError, match="no Unicode"):
            model.save(tmp_path / "model")
        return
    model.save(tmp_path / "model")
    found = nn.load_model(tmp_path / "model")
    assert np.array_equal(found.predict(np.ones((2, 3), "float32"), verbose=0), model.predict(np.ones((2, 3), "float32"), verbose=0))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_sizes(name: str) -> None:
    with pytest.raises(gc.errors.ShapeError, match="cannot name a size"):
        gc.input("x", (name,))

"""Sketches and the DOT that they become: every text comes out as it went in, whatever is in it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from graphc.core.errors import DrawError
from graphc.show import style
from graphc.show.dot import to_dot
from graphc.show.engine import Engine, Failure, Search, engines, render
from graphc.show.legend import legend_of
from graphc.show.plain import to_svg
from graphc.show.sketch import Edge, Node, Sketch, printable

NET = Sketch(
    "a net",
    "",
    (
        Node("x", ("x", "float32[n, 784]"), "input"),
        Node("W", ("W",), "variable"),
        Node("dot_1", ("dot",)),
        Node("eps", ("1e-07",), "constant"),
        Node("loss", ("loss",), "output", "cross-entropy"),
    ),
    (
        Edge("x", "dot_1"),
        Edge("W", "dot_1"),
        Edge("dot_1", "loss"),
        Edge("eps", "loss", kind="carried"),
        Edge("loss", "dot_1", "−y / p", "reversed", "the cotangent"),
        Edge("dot_1", "W", "∂z/∂W = xᵀ", "reversed"),
    ),
)

HOSTILE = [
    'say "hi"',
    "back\\slash",
    "\\",
    'odd\\"',
    r"\N \G \l \r \n \E",
    "<b>bold</b>",
    "<<table><tr><td>x</td></tr></table>>",
    "&lt; &amp; &#955; & &nosuch;",
    "∂L/∂W = xᵀ ⊙ Σ 漢字 😀",
    "a]; evil [label=x",
    "} // /* */ #",
    "-->]]><script>alert(1)</script>",
    "node",
    "x:port:ne",
    'charset="latin-1"',
    "%s {0} $HOME",
    "=" * 300,
]


def test_dot_is_the_same_every_time_and_has_what_graphviz_needs() -> None:
    text = to_dot(NET)
    assert text == to_dot(NET)
    assert "nslimit=2 nslimit1=2" in text
    assert 'fontname="Helvetica,Arial,sans-serif"' in text
    assert 'margin="0.13,0.05"' in text
    assert "record" not in text
    assert "ortho" not in text


def test_every_node_has_a_label_of_its_own() -> None:
    nodes = [line for line in to_dot(NET).splitlines() if "shape=" in line and "class=legend" not in line]
    assert len(nodes) == len(NET.nodes)
    assert all(" label=" in line for line in nodes)


def test_reversed_edges_are_dashed_in_another_colour_and_add_nothing_to_the_layout() -> None:
    reverse = [line for line in to_dot(NET).splitlines() if "class=reversed" in line]
    ahead = [line for line in to_dot(NET).splitlines() if "class=forward" in line]
    assert (len(reverse), len(ahead)) == (2, 3)
    assert all("dir=back" in line and "style=dashed" in line and style.EDGES["reversed"].colour in line for line in reverse)
    assert [line.split(" [")[0].strip() for line in reverse] == ["dot_1 -> loss", "W -> dot_1"]
    alone = Sketch("t", "", (Node("a", ()), Node("b", ())), (Edge("b", "a", "", "reversed"),))
    assert "constraint=false" in to_dot(alone)
    assert all("constraint" not in line and "style=solid" in line and style.EDGES["forward"].colour in line for line in ahead)


def test_hovering_tells_the_tooltip_over_an_edge_and_over_its_label() -> None:
    edge = next(line for line in to_dot(NET).splitlines() if "the cotangent" in line)
    assert ' tooltip="the cotangent"' in edge
    assert 'labeltooltip="the cotangent"' in edge


def test_the_legend_has_what_is_in_the_picture_and_nothing_else() -> None:
    small = legend_of(Sketch("t", "", (Node("a", ("a",), "input"), Node("b", ("b",))), (Edge("a", "b"),)))
    assert [node.kind for node in small.nodes] == ["input", "operator"]
    assert [(edge.kind, edge.label) for edge in small.edges] == [("forward", "value")]
    assert "derivative, in reverse" in to_dot(NET)
    assert ">derivative, in reverse<" in to_svg(NET)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_gets_out_of_its_quotes(text: str) -> None:
    everywhere = Sketch(text, text, (Node(text, (text,), tooltip=text), Node("b", ("b",))), (Edge(text, "b", text, tooltip=text),))
    plain = Sketch("t", "t", (Node("a", ("a",)), Node("b", ("b",))), (Edge("a", "b"),))
    assert len(to_dot(everywhere).splitlines()) == len(to_dot(plain).splitlines())


def test_line_breaks_in_labels_become_lines() -> None:
    text = to_dot(Sketch("t", "", (Node("n", ("a\nb", "c")), Node("m", ())), (Edge("n", "m", "one\n\ntwo  words"),)))
    assert [line.count("<br/>") for line in text.splitlines() if "class=operator" in line] == [2, 0]
    assert r'label="  one  \n  two words  "' in text


def crowd(labels: int) -> Sketch:
    back = [Edge("b", "a", f"∂{i}", "reversed", tooltip="" if i else "∂0 in full") for i in range(labels)]
    return Sketch("t", "", (Node("a", ("a",)), Node("b", ("b",))), (Edge("a", "b"), *back))


def test_over_a_thousand_labels_are_told_by_tooltips_alone() -> None:
    assert to_dot(crowd(1000)).count('label="  ∂') == 1000
    many = to_dot(crowd(1001))
    assert 'label="  ∂' not in many
    assert many.count("tooltip=∂") + many.count('tooltip="∂') == 1001
    assert 'tooltip="∂0 in full"' in many
    assert ">∂1</text>" in to_svg(crowd(1000))
    assert ">∂1</text>" not in to_svg(crowd(1001))
    assert "<title>∂1</title>" in to_svg(crowd(1001))


REAL = {engine.name: engine for engine in engines(Search()) if isinstance(engine, Engine)}


def drawn(name: str, sketch: Sketch) -> str:
    if name == "plain":
        return to_svg(sketch)
    if name not in REAL:
        pytest.skip(f"{name} is not installed here")
    engine = name if name == "pygraphviz" else REAL[name].command[0]
    return render(to_dot(sketch), "svg", engine=engine).data.decode()


def groups(svg: str, kind: str) -> list[Any]:
    root = ET.fromstring(svg)
    found = [(group, group.get("class", "").split()) for group in root.iter("{http://www.w3.org/2000/svg}g")]
    legend = {inner for group, kinds in found if "legend" in kinds for inner in group.iter()}
    return [group for group, kinds in found if kind in kinds and group not in legend]


def words(group: Any) -> list[str]:
    texts = ("".join(text.itertext()) for text in group.iter("{http://www.w3.org/2000/svg}text"))
    return [text.replace("\N{NO-BREAK SPACE}", " ").strip() for text in texts]


def hovers(group: Any) -> set[str]:
    link = "{http://www.w3.org/1999/xlink}title"
    return {element.get(link, element.text or "") for element in group.iter() if element.get(link) or element.tag.endswith("}title")}


@pytest.mark.parametrize("name", ["plain", "dot", "pygraphviz", "graphviz-pure"])
def test_every_text_comes_out_as_it_went_in(name: str) -> None:
    nodes = tuple(Node(f"{i} {text}", (text, "second"), tooltip=f"tip {text}") for i, text in enumerate(HOSTILE))
    edges = tuple(Edge(nodes[0].id, node.id, text, "reversed", f"edge {text}") for node, text in zip(nodes[1:], HOSTILE[1:], strict=True))
    svg = drawn(name, Sketch("t", "", nodes, edges))
    assert sorted(words(group) for group in groups(svg, "node")) == sorted([text, "second"] for text in HOSTILE)
    assert sorted(words(group) for group in groups(svg, "edge")) == sorted([text] for text in HOSTILE[1:])
    assert {f"tip {text}" for text in HOSTILE} <= set().union(*map(hovers, groups(svg, "node")))
    assert {f"edge {text}" for text in HOSTILE[1:]} <= set().union(*map(hovers, groups(svg, "edge")))


@pytest.mark.parametrize("name", ["plain", "dot", "pygraphviz", "graphviz-pure"])
def test_each_engine_draws_all_nodes_and_edges_in_their_looks(name: str) -> None:
    svg = drawn(name, NET)
    assert [len(groups(svg, kind)) for kind in ("node", "edge", "forward", "reversed", "carried")] == [5, 6, 3, 2, 1]
    for group in groups(svg, "reversed"):
        colours = {element.get("stroke") for element in group.iter()}
        dashes = {element.get("stroke-dasharray") for element in group.iter()} - {None}
        assert style.EDGES["reversed"].colour in colours
        assert dashes
    assert len({tuple(words(group)) for group in groups(svg, "node")}) == 5


@pytest.mark.parametrize("text", ["bell\x07", "nul\x00", "lone\ud800", "non\uffff", "esc\x1b[31m", "\x85"])
def test_what_xml_cannot_hold_is_replaced(text: str) -> None:
    assert "\N{REPLACEMENT CHARACTER}" in printable(text)
    sketch = Sketch(text, text, (Node(text, (text,)),))
    assert "\N{REPLACEMENT CHARACTER}" in ET.fromstring(to_svg(sketch)).findtext(".//{*}text", "")
    to_dot(sketch).encode()


def test_ids_that_differ_only_in_backslashes_stay_two_nodes() -> None:
    text = to_dot(Sketch("t", "", (Node("a\\", ("1",)), Node("a\\\\", ("2",)))))
    assert len({line.split(" [")[0] for line in text.splitlines() if "class=operator" in line}) == 2


@pytest.mark.parametrize(
    ("nodes", "edges", "words"),
    [
        ((Node("a", ()), Node("a", ())), (), "given twice: 'a'"),
        ((Node("a", ()),), (Edge("a", "b"),), "unknown ids: 'b'"),
        ((Node("a", (), "blob"),), (), "unknown kinds of nodes: 'blob'"),  # pyright: ignore[reportArgumentType]
        ((Node("a", ()),), (Edge("a", "a", kind="up"),), "unknown kinds of edges: 'up'"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_a_sketch_that_makes_no_sense_is_refused(nodes: tuple[Node, ...], edges: tuple[Edge, ...], words: str) -> None:
    with pytest.raises(DrawError) as caught:
        Sketch("mine", "", nodes, edges)
    assert "mine" in caught.value.asked
    assert words in caught.value.given[0]
    assert caught.value.fits


def test_an_empty_sketch_is_a_picture_too() -> None:
    empty = Sketch("nothing")
    assert empty.description == "0 nodes; edges: none."
    assert ET.fromstring(to_svg(empty)).findtext("{*}title") == "nothing"


def test_contrast_is_what_the_standard_says() -> None:
    assert style.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert style.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert style.contrast("#123456", "#123456") == 1


def against(theme: style.Theme) -> list[tuple[str, str]]:
    """Every text and every line of a theme with what may lie behind it."""
    behind = [theme.background, *theme.frames]
    lines = [theme.ink, theme.muted, theme.aside, theme.frame_stroke]
    lines += [look.colour for look in (*theme.edges.values(), *theme.marks.values())] + [look.stroke for look in theme.nodes.values()]
    pairs = [(line, page) for line in lines for page in behind]
    pairs += [(ink, look.fill) for look in theme.nodes.values() for ink in (theme.ink, theme.muted, look.stroke)]
    return pairs + [(theme.ink, shade) for shade in theme.ramp]


@pytest.mark.parametrize("name", style.THEMES)
def test_every_text_and_line_has_a_contrast_of_four_and_a_half(name: style.ThemeName) -> None:
    low = {pair: style.contrast(*pair) for pair in against(style.THEMES[name]) if style.contrast(*pair) < 4.5}
    assert not low


@pytest.mark.parametrize("name", style.THEMES)
def test_shades_grow(name: style.ThemeName) -> None:
    theme = style.THEMES[name]
    away = [style.contrast(shade, theme.background) for shade in theme.ramp]
    assert away == sorted(away)
    assert min(later / earlier for earlier, later in pairwise(away)) > 1.1


def test_neither_shapes_nor_lines_rest_on_colour_alone() -> None:
    assert len({look.shape for look in style.NODES.values()}) == len(style.NODES)
    assert len({look.line for look in style.EDGES.values()}) == len(style.EDGES)


def test_no_engine_found_is_no_failure() -> None:
    assert not [engine for engine in engines(Search({}, path="", python=None)) if isinstance(engine, Failure)]

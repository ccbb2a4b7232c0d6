"""The plain layout: nothing overlaps, arrows run downwards, and it comes for every graph."""

from __future__ import annotations

import random
import time
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import pytest

from graphc.show.layout import Box, place, spaced
from graphc.show.measure import node_size, text_width
from graphc.show.plain import to_svg
from graphc.show.sketch import Edge, Node, Sketch
from graphc.show.style import NODES


def dag(size: int, seed: int = 0) -> Sketch:
    """A graph like those of a training step: near and far arguments, most edges reversed as well."""
    rng = random.Random(seed)
    kinds = list(NODES)
    nodes = tuple(
        Node(f"n{i}", (rng.choice(["dot", "softmax", "+"]), "float32[n, 10]")[: rng.randint(1, 2)], rng.choice(kinds)) for i in range(size)
    )
    near = {(max(0, i - rng.randint(1, 4)), i) for i in range(1, size)}
    pairs = sorted(near | {(rng.randrange(i), i) for i in range(9, size, 9)})
    back = [Edge(f"n{i}", f"n{j}", "∂y/∂x", "reversed") for j, i in pairs if rng.random() < 0.7]
    return Sketch("random", "", nodes, (*(Edge(f"n{j}", f"n{i}") for j, i in pairs), *back))


def apart(one: Box, other: Box) -> bool:
    aside = abs(one.x - other.x) >= (one.width + other.width) / 2
    return aside or abs(one.y - other.y) >= (one.height + other.height) / 2


@pytest.mark.parametrize("seed", range(8))
def test_no_two_nodes_overlap(seed: int) -> None:
    boxes = place(dag(60, seed)).boxes
    assert all(apart(one, other) for one, other in combinations(boxes, 2))


@pytest.mark.parametrize("seed", range(8))
def test_forward_edges_run_down_and_reversed_ones_up(seed: int) -> None:
    sketch = dag(60, seed)
    for edge, way in zip(sketch.edges, place(sketch).ways, strict=True):
        downwards = all(one[1] < other[1] for one, other in pairwise(way))
        upwards = all(one[1] > other[1] for one, other in pairwise(way))
        assert upwards if edge.kind == "reversed" else downwards


@pytest.mark.parametrize("seed", range(4))
def test_everything_lies_inside_the_picture(seed: int) -> None:
    placed = place(dag(60, seed))
    assert all(box.x >= box.width / 2 and box.y >= box.height / 2 for box in placed.boxes)
    assert all(box.x + box.width / 2 <= placed.width and box.y + box.height / 2 <= placed.height for box in placed.boxes)


@pytest.mark.parametrize("seed", range(4))
def test_an_edge_meets_both_its_nodes(seed: int) -> None:
    sketch = dag(40, seed)
    placed = place(sketch)
    boxes = {node.id: box for node, box in zip(sketch.nodes, placed.boxes, strict=True)}
    for edge, way in zip(sketch.edges, placed.ways, strict=True):
        for (x, y), box in ((way[0], boxes[edge.tail]), (way[-1], boxes[edge.head])):
            assert abs(x - box.x) <= box.width / 2
            assert abs(y - box.y) == pytest.approx(box.height / 2)


def test_a_forward_edge_and_its_reverse_do_not_lie_on_each_other() -> None:
    sketch = Sketch("t", "", (Node("a", ("a",)), Node("b", ("b",))), (Edge("a", "b"), Edge("b", "a", "1", "reversed")))
    ahead, back = place(sketch).ways
    assert ahead[0][0] != back[-1][0]
    assert ahead[-1][0] != back[0][0]


def test_a_weight_stands_right_above_its_first_use() -> None:
    names = ("x", "one", "two", "three", "w")
    edges = (*(Edge(one, other) for one, other in pairwise(names[:4])), Edge("w", "three"))
    boxes = place(Sketch("t", "", tuple(Node(name, (name,)) for name in names), edges)).boxes
    assert boxes[4].y == boxes[2].y


def test_a_long_edge_goes_around_the_nodes_between() -> None:
    names = ("x", "a", "b", "c", "y")
    edges = (*(Edge(one, other) for one, other in pairwise(names)), Edge("x", "y"))
    placed = place(Sketch("t", "", tuple(Node(name, ("a rather wide node",)) for name in names), edges))
    for x, y in placed.ways[-1][1:-1]:
        assert all(abs(x - box.x) > box.width / 2 for box in placed.boxes if abs(y - box.y) < 1)


def test_crossings_that_need_not_be_are_undone() -> None:
    nodes = tuple(Node(name, (name,)) for name in ("a", "b", "p", "q"))
    boxes = place(Sketch("t", "", nodes, (Edge("a", "q"), Edge("b", "p")))).boxes
    assert (boxes[0].x < boxes[1].x) == (boxes[3].x < boxes[2].x)


@pytest.mark.parametrize(
    "edges",
    [
        (Edge("a", "b"), Edge("b", "a")),
        (Edge("a", "a"),),
        (Edge("b", "a", "up", "reversed"),),
        (Edge("a", "b"), Edge("a", "b"), Edge("a", "b", kind="carried")),
        (),
    ],
    ids=["a cycle", "a loop", "only reversed", "several", "none"],
)
def test_a_picture_comes_for_every_graph(edges: tuple[Edge, ...]) -> None:
    svg = to_svg(Sketch("t", "", (Node("a", ("a",)), Node("b", ())), edges))
    root = ET.fromstring(svg)
    groups = list(root.iter("{http://www.w3.org/2000/svg}g"))
    legend = {inner for group in groups if group.get("class") == "legend" for inner in group.iter()}
    drawn = [group for group in groups if group.get("class", "").startswith("edge") and group not in legend]
    assert len(drawn) == len(edges)
    assert "nan" not in svg


def test_the_same_sketch_gives_the_same_text() -> None:
    assert to_svg(dag(50)) == to_svg(dag(50))


def test_wider_text_asks_for_wider_nodes() -> None:
    assert text_width("", 10) == 0
    assert text_width("ill", 10) < text_width("WMW", 10)
    assert text_width("漢字", 10) > text_width("ab", 10)
    assert text_width("e\N{COMBINING ACUTE ACCENT}", 10) == text_width("e", 10)
    one, two = (node_size(Node("a", lines)) for lines in (("ab",), ("ab", "a much longer line")))
    assert one[0] < two[0]
    assert one[1] < two[1]


def test_spaced_keeps_wishes_that_fit_and_shares_what_does_not() -> None:
    assert spaced([], []) == []
    assert spaced([0.0, 10.0, 30.0], [5.0, 5.0]) == [0.0, 10.0, 30.0]
    assert spaced([0.0, 0.0], [10.0]) == [-5.0, 5.0]


@pytest.mark.parametrize("seed", range(5))
def test_spaced_is_the_least_squares_answer(seed: int) -> None:
    rng = random.Random(seed)
    wished, gaps = [rng.uniform(0, 50) for _ in range(6)], [rng.uniform(1, 12) for _ in range(5)]
    best = spaced(wished, gaps)
    cost = sum((x - want) ** 2 for x, want in zip(best, wished, strict=True))
    assert all(other - one >= gap - 1e-9 for (one, other), gap in zip(pairwise(best), gaps, strict=True))
    for _ in range(300):
        moved = [x + rng.uniform(-1, 1) for x in best]
        if all(other - one >= gap for (one, other), gap in zip(pairwise(moved), gaps, strict=True)):
            assert sum((x - want) ** 2 for x, want in zip(moved, wished, strict=True)) >= cost


def test_a_thousand_nodes_take_seconds_at_most() -> None:
    start = time.monotonic()
    svg = to_svg(dag(1000))
    assert svg.count('class="node') == 1000
    assert time.monotonic() - start < 10

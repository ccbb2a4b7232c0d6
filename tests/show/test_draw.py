"""``gc.draw`` with its options: levels, directions, themes, numbers, colours, a path; and what it says where that cannot be."""

import runpy
from itertools import product
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import graphc as gc
from graphc import nn
from graphc.core.errors import ArgumentError, DTypeError, GradientError, ShapeError
from graphc.nn import layers
from graphc.show.engine import Engine, Search, engines
from graphc.show.scale import scale_of, with_prefix
from tests.show.overlaps import overlapping, text_boxes

ROOT = Path(__file__).parents[2]
ENGINES = [engine.name for engine in engines(Search()) if isinstance(engine, Engine) and engine.name in ("dot", "pygraphviz")][:1]


def scalars():
    """``|y - (x w + b)|``, as the book has it: ``x`` is 2, ``w`` 3, ``b`` 1 and ``y`` 4."""
    x, y = gc.input("x", ()), gc.input("y", ())
    w, b = gc.variable(3.0, name="w"), gc.variable(1.0, name="b")
    x1 = (x * w).named("x1")
    x2 = (x1 + b).named("x2")
    return gc.abs(y - x2).named("loss"), x, y, w, b


def residual(blocks=16, width=4):
    """A network of about 200 nodes, as ResNet's, to be drawn as a prediction."""
    x = nn.Input((8, 8, 3))
    h = layers.Conv2D(width, 3, padding="same", name="stem")(x)
    for i in range(blocks):
        y = h
        for j in (1, 2):
            y = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"block{i}_conv{j}")(y)
            y = layers.LayerNormalization(center=False, name=f"block{i}_norm{j}")(y)
        h = layers.ReLU(name=f"block{i}_relu")(h + y)
    return nn.Model(x, layers.Dense(10, name="head")(layers.GlobalAveragePooling2D(name="pool")(h)), name="resnet")


def recurrent():
    """An LSTM, whose step is a frame."""
    return nn.Sequential([nn.Input((20, 2)), layers.LSTM(8, name="lstm"), layers.Dense(1, name="dense")], name="model")


def transformer():
    """The block of the example."""
    block = runpy.run_path(str(ROOT / "examples" / "transformer_block.py"))["block"]
    tokens = nn.Input((12,), dtype="int32")
    x = block(layers.Embedding(20, 32, name="embedding")(tokens))
    return nn.Model(tokens, layers.Dense(1, name="answer")(x[:, 0]), name="model")


def node(picture, name):
    return next(x for x in picture.sketch.nodes if x.id == name)


def labels(picture, kind):
    return {(edge.tail, edge.head): edge.label for edge in picture.sketch.edges if edge.kind == kind}


# ---------------------------------------------------------------- numbers
def test_the_books_numbers_stand_on_the_edges():
    loss, x, y, w, b = scalars()
    picture = gc.draw(loss, [w, b], values={x: 2, y: 4})
    forward, back = labels(picture, "forward"), labels(picture, "reversed")
    assert {ends: forward[ends] for ends in [("x", "x1"), ("w", "x1"), ("x1", "x2"), ("x2", "t1"), ("t1", "loss")]} == {
        ("x", "x1"): "2",
        ("w", "x1"): "3",
        ("x1", "x2"): "6",
        ("x2", "t1"): "7",
        ("t1", "loss"): "-3",
    }
    assert back["x1", "w"] == "∂x1/∂w = x = 2\n∂loss/∂w = 2"
    assert back["x2", "b"] == "∂x2/∂b = 1\n∂loss/∂b = 1"
    assert node(picture, "loss").lines[-1] == "= 3"
    assert "value: 6" in node(picture, "x1").tooltip


def test_where_paths_join_the_sum_is_told():
    x = gc.input("x", ())
    loss = (x * x + x).named("loss")
    back = labels(gc.draw(loss, x, values={"x": 3}), "reversed")
    assert back["+ x", "x"] == "∂loss/∂x = 7"
    assert sorted(text.splitlines()[-1] for ends, text in back.items() if ends[1] == "+ x") == ["1", "3"]


@pytest.mark.parametrize(
    ("array", "text"),
    [
        ([[1.0, 2.0]], "[[1, 2]]"),
        ([1.5], "1.5"),
        (np.ones((2, 8)), "2×8: mean 1, norm 4"),
        (np.array([np.nan, *[1.0] * 7]), "8: mean NaN, norm NaN, 1 NaN"),
        (np.zeros((0, 2)), "0×2: empty"),
        (np.arange(6), "6: 0 to 5"),
    ],
)
def test_arrays_are_told_in_short(array, text):
    array = np.asarray(array, None if np.asarray(array).dtype.kind == "i" else "float32")
    x = gc.input("x", array.shape, str(array.dtype))
    picture = gc.draw(gc.cast(x, "float64").named("y"), values={x: array})
    assert labels(picture, "forward")["x", "y"] == text


def test_numbers_around_a_loop():
    h, xs, w = gc.input("h0", (2,)), gc.input("xs", ("time", 2)), gc.variable(np.eye(2, dtype="float32"), name="w")
    loss = gc.sum(gc.scan(lambda c, x: (gc.tanh(c @ w + x), None), h, xs)[0]).named("loss")
    picture = gc.draw(loss, [w, h], values={h: [0, 0], xs: np.zeros((3, 2))}, path=(w, loss))
    assert labels(picture, "forward")["h0", "h"] == "[0, 0]"
    assert node(picture, "loss").lines[-1] == "= 0"
    assert any(edge.mark == "path" and edge.label == "g_next" for edge in picture.sketch.edges)
    assert picture.sketch.path == "paths whose products add up to ∂loss/∂w"


# ---------------------------------------------------------------- a path
def test_a_path_is_marked_and_everything_else_stands_back():
    loss, _, _, w, b = scalars()
    picture = gc.draw(loss, [w, b], path=(w, loss))
    marked = {(edge.tail, edge.head) for edge in picture.sketch.edges if edge.mark}
    assert marked == {("loss", "t1"), ("t1", "x2"), ("x2", "x1"), ("x1", "w")}
    assert {x.id for x in picture.sketch.nodes if x.mark} == {"loss", "t1", "x2", "x1", "w"}
    assert picture.sketch.path == "the path whose product is ∂loss/∂w"
    assert "4 thick edges: the path" in picture.sketch.description
    assert picture.dot == gc.draw(loss, [w, b], path=[w, loss]).dot
    assert {(e.tail, e.head) for e in gc.draw(loss, path=(w, loss)).sketch.edges if e.kind == "reversed"} == marked


def test_every_path_is_marked():
    x, z = gc.input("x", ()), gc.input("z", ())
    y = (gc.sin(x) * gc.cos(x)).named("y")
    picture = gc.draw((y * z).named("loss"), [x, z], path=(x, y))
    assert picture.sketch.path == "2 paths whose products add up to ∂y/∂x"
    assert sum(edge.mark == "path" for edge in picture.sketch.edges) == 5
    assert not any(edge.mark for edge in picture.sketch.edges if edge.head == "z")


# ---------------------------------------------------------------- colours
def network():
    x, w = gc.input("x", ("batch", 3)), gc.variable(np.array([[1, -1], [1, -1], [1, -1]], "float32"), name="w")
    return gc.mean(gc.relu(x @ w).named("h")).named("loss"), x, w


@pytest.mark.parametrize("quantity", ["gradient norm", "nan", "time", "flops", "bytes", "dead units", "gradient_norm"])
def test_colours_have_a_scale_and_are_told_in_words_too(quantity):
    loss, x, _ = network()
    picture = gc.draw(loss, values={x: np.ones((2, 3), "float32")}, color_by=quantity)
    shaded = [n for n in picture.sketch.nodes if n.amount is not None]
    assert shaded
    assert picture.sketch.scale is not None
    assert picture.sketch.scale.title in picture.svg.replace("&#45;", "-").replace("&#160;", " ")
    assert all(n.lines[-1] == n.lines[-1].strip() != "" for n in shaded)
    told = node(picture, "h").lines[-1]
    assert told == {"nan": "0 NaN", "dead units": "50% dead"}.get(quantity, told)


def test_the_cost_model_says_so_and_for_which_sizes():
    loss, x, _ = network()
    assert gc.draw(loss, color_by="time").sketch.scale.title == "time by the cost model, named sizes taken for 128"
    values = {x: np.ones((2, 3), "float32")}
    assert gc.draw(loss, color_by="time", values=values).sketch.scale.title == "time, measured node by node"
    picture = gc.draw(loss, color_by="flops", values=values)
    assert picture.sketch.scale.title == "operations by the cost model"
    assert next(n for n in picture.sketch.nodes if n.lines[0] == "matmul").lines[-1] == "24 flops"


def test_scales():
    assert scale_of("", [1.0, 2.0], str).bounds == (1.0, 2.0)
    assert [scale_of("", [1.0, 2.0], str).shade(x) for x in (1, 2)] == [0, 4]
    assert scale_of("", [], str).shade(1.0) == 0
    even, wide = scale_of("", range(1, 11), str), scale_of("", [1.0, 10.0, 100.0, 1e3, 1e4, 1e5], str)
    assert [even.shade(x) for x in (1, 2.8, 3, 10, float("nan"))] == [0, 0, 1, 4, 4]
    assert [wide.shade(x) for x in (1, 10, 11, 1e5, float("inf"))] == [0, 0, 1, 4, 4]
    assert [with_prefix(x) for x in (0, 0.5, 1234, 2.5e7, float("nan"))] == ["0", "0.5", "1.23 k", "25 M", "NaN"]


# ---------------------------------------------------------------- levels
def test_layers_fold_into_nodes_with_their_weights():
    model = recurrent()
    picture = gc.draw(gc.mean(model.graph()).named("loss"), model.trainable_weights, level="layers")
    assert [n.id for n in picture.sketch.nodes if n.kind == "layer"] == ["lstm", "dense"]
    lines = node(picture, "lstm").lines
    assert lines[:2] == ("lstm", "→ f32[batch, 8]")
    assert "lstm_cell/recurrent_kernel: f32[8, 32]" in lines
    assert labels(picture, "reversed")["dense", "lstm"] == ""
    assert [c.title for c in picture.sketch.clusters] == ["model"]
    folded = gc.draw(model, level="layers", depth=1).sketch
    assert [n.kind for n in folded.nodes] == ["input", "layer"]
    assert not folded.clusters


def test_groups_are_frames_and_what_lies_between_is_inside():
    x = gc.input("x", (3,))
    with gc.scope("outer"), gc.scope("first"):
        a = gc.tanh(x)
    b = gc.square(a).named("between")
    with gc.scope("outer"), gc.scope("second"):
        c = gc.exp(b)
    picture = gc.draw(gc.sum(c).named("loss"))
    titles = {cluster.id: cluster.title for cluster in picture.sketch.clusters}
    assert titles[node(picture, "between").cluster] == "outer"
    assert node(picture, "loss").cluster == ""


def test_a_function_is_its_declared_graph_or_its_program():
    x, w = gc.input("x", ("batch", 64)), gc.variable(np.ones((64, 64), "float32"), name="w")
    loss = gc.mean(gc.square(gc.tanh(x @ w))).named("loss")
    step = gc.compile([x], loss, updates={w: w - 0.1 * gc.grad(loss, w)})
    declared = gc.draw(step)
    assert {n.kind for n in declared.sketch.nodes} >= {"gradient", "variable", "output", "operator"}
    assert any(n.lines[-1] == "new w" for n in declared.sketch.nodes)
    assert [edge.head for edge in declared.sketch.edges if edge.kind == "carried"] == ["w"]
    step(np.ones((4096, 64), "float32"))
    program = gc.draw(step, level="program", color_by="bytes")
    assert any(c.title.startswith("a loop over the rows of batch") for c in program.sketch.clusters)
    told = " ".join(line for n in program.sketch.nodes for line in n.lines)
    assert "buffer 0" in told
    assert "new w, in the memory of w" in told
    assert "a block of rows" in told
    assert gc.draw(step, wrt=w).sketch.nodes[-1].kind == "output"


def test_a_model_is_its_prediction():
    model = nn.Sequential([nn.Input((3,)), layers.Dense(2, name="only")], name="small")
    picture = gc.draw(model, values={gc.draw(model).sketch.nodes[0].id: np.ones((1, 3), "float32")})
    assert picture.title == "small"
    assert [c.title for c in picture.sketch.clusters] == ["small", "only"]


def test_several_results():
    x = gc.input("x", (3,))
    sketch = gc.draw({"a": gc.sum(x), "b": gc.sin(x)}).sketch
    assert [n.kind for n in sketch.nodes] == ["input", "output", "output"]


# ---------------------------------------------------------------- looks
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("engine", [*ENGINES, "plain"])
def test_a_theme_is_on_every_part(theme, engine):
    loss, _, _, w, _ = scalars()
    picture = gc.draw(loss, w, theme=theme, engine=engine)
    colours = picture.sketch.colours
    root = ET.fromstring(picture.svg)
    assert root.get("role") == "img"
    assert root.findtext("{*}title") == "loss"
    assert "1 nodes" not in (root.findtext("{*}desc") or "")
    assert colours.background in picture.svg
    assert {look.colour for kind, look in colours.edges.items() if kind != "carried"} <= {e.get("stroke") for e in root.iter()}


@pytest.mark.parametrize(("direction", "axis", "grows"), [("TB", 1, True), ("BT", 1, False), ("LR", 0, True), ("RL", 0, False)])
@pytest.mark.parametrize("engine", [*ENGINES, "plain"])
def test_a_direction_is_where_values_run_to(direction, axis, grows, engine):
    loss, *_ = scalars()
    boxes = {box[4].splitlines()[0]: box for box in text_boxes(gc.draw(loss, direction=direction, engine=engine).svg)}
    assert (boxes["x"][axis] < boxes["|x|"][axis]) == grows


PICTURES = {
    "resnet": (residual, ("TB",)),
    "lstm": (recurrent, ("TB", "LR")),
    "transformer": (transformer, ("TB", "LR")),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("engine", [*ENGINES, "plain"])
def test_no_text_lies_on_another(name, engine):
    build, directions = PICTURES[name]
    model = build()
    loss = gc.mean(gc.square(model.graph())).named("loss")
    for level, direction in product(("ops", "layers"), directions):
        picture = gc.draw(loss, model.trainable_weights, level=level, direction=direction, engine=engine)
        assert len(text_boxes(picture.svg)) > len(picture.sketch.nodes)
        assert overlapping(picture.svg) == []


def test_a_residual_network_has_two_hundred_nodes():
    assert len(gc.draw(residual()).sketch.nodes) == 202


@pytest.mark.parametrize("engine", [*ENGINES, "plain"])
def test_no_number_lies_on_another(engine):
    loss, x, y, w, b = scalars()
    assert overlapping(gc.draw(loss, [w, b], values={x: 2, y: 4}, direction="LR", engine=engine).svg) == []
    loss, x, w = network()
    assert overlapping(gc.draw(loss, w, values={x: np.ones((2, 3))}, color_by="flops", engine=engine).svg) == []


# ---------------------------------------------------------------- the book's figures
FIGURES = ("book_forward", "book_reversed", "book_path")


@pytest.mark.parametrize("name", FIGURES)
def test_the_books_figures(name, golden):
    picture = runpy.run_path(str(ROOT / "examples" / "book_figures.py"))["figures"]()[name]
    golden(f"{name}.dot", picture.dot)
    assert picture.dot == runpy.run_path(str(ROOT / "examples" / "book_figures.py"))["figures"]()[name].dot
    drawn = (ROOT / "docs" / "figures" / f"{name}.svg").read_text(encoding="utf-8")
    assert ET.fromstring(drawn).findtext("{*}desc") == picture.sketch.description
    written = {line for box in text_boxes(drawn) for line in box[4].splitlines()}
    told = {line.strip() for n in picture.sketch.nodes for line in n.lines}
    told |= {line for edge in picture.sketch.edges for line in edge.label.splitlines()}
    assert told <= written


def test_the_product_along_the_path_is_the_gradient():
    picture = runpy.run_path(str(ROOT / "examples" / "book_figures.py"))["figures"]()["book_reversed"]
    back = labels(picture, "reversed")
    assert back["t1", "W1"].splitlines() == ["∂t1/∂W1 = xᵀ", "∂loss/∂W1 = [[0.731, 0], [1.46, 0]]"]
    assert back["h", "t2"].splitlines()[0] == "∂h/∂t2 = 1[t2 > 0]"


# ---------------------------------------------------------------- what cannot be
def refused(error, words, *args, **options):
    with pytest.raises(error) as caught:
        gc.draw(*args, **options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"directon": "LR"}, ["no option 'directon'", "is 'direction' meant?"]),
        ({"colour_by": "time"}, ["is 'color_by' meant?", "fits: wrt, level"]),
        ({"level": "layer"}, ["draw(level='layer')", "is 'layers' meant?", "'layers', 'ops', 'program'"]),
        ({"theme": "Dark"}, ["is 'dark' meant?"]),
        ({"direction": "lr"}, ["is 'LR' meant?", "'TB', 'LR', 'BT', 'RL'"]),
        ({"color_by": "gradients"}, ["is 'gradient norm' meant?"]),
        ({"color_by": "nan"}, ["without values"]),
        ({"depth": 1}, ["level='layers'"]),
        ({"level": "layers", "depth": 0}, ["depth from 1"]),
        ({"level": "program"}, ["a compiled function"]),
        ({"values": {}}, ["an input has no value", "input 'x'", "input 'y'"]),
        ({"values": {"x": 1, "z": 2}}, ["'z' is no input of the graph"]),
        ({"path": 3}, ["path=(w, loss)"]),
    ],
)
def test_choices_that_do_not_exist_are_refused_with_those_that_do(options, words):
    refused(ArgumentError, words, scalars()[0], **options)


def test_values_that_do_not_fit_are_refused():
    loss, x, _ = network()
    refused(ShapeError, ["shape (2, 4)"], loss, values={x: np.ones((2, 4))})
    refused(DTypeError, ["complex"], loss, values={x: np.ones((2, 3), "complex64")})


def test_a_path_that_is_none_says_why():
    loss, _, _, w, b = scalars()
    refused(GradientError, ["no path", "does not depend", "turned round: path=(w, loss)"], loss, path=(loss, w))
    refused(GradientError, ["no path", "does not depend"], loss, path=(w, b))
    other = gc.exp(w)
    refused(GradientError, ["what is drawn does not depend"], loss, path=(w, other))
    cut = gc.floor(w).named("cut")
    refused(GradientError, ["every path from x to y is cut: at floor"], cut, path=(w, cut))


def test_what_has_no_graph_is_refused():
    x = gc.input("x", (3,))
    refused(ArgumentError, ["a tensor, a list or dict of them"], 3)
    refused(ArgumentError, ["the gradient of 2 results"], [gc.sum(x), gc.sum(gc.exp(x))], wrt=x)
    step = gc.compile([x], gc.sum(x))
    refused(ArgumentError, ["the graph that was declared"], step, level="program", wrt=x)

"""Every example runs as a user would run it and prints the right figure, and the book's graph has the edges that the book says."""

import os
import re
import runpy
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import graphc as gc
from graphc.core import toposort

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DATA = Path(os.environ.get("GRAPHC_TEST_MNIST") or ROOT.parent / "shared" / "mnist")
needs_mnist = pytest.mark.skipif(
    not any((DATA / f"train-images-idx3-ubyte{end}").is_file() for end in ("", ".gz")),
    reason=f"no MNIST in {DATA}; $GRAPHC_TEST_MNIST names a folder",
)
EDGE = re.compile(r"^\s*(\w+) -> (\w+) \[(.*)\]$", re.MULTILINE)

# Of each example the pattern of a figure in what it prints, and between which numbers that is.
PRINTS = {
    "autoencoder": [(r"autoencoder (\S+), linear", 0.005, 0.024), (r"linear (\S+)", 0.0314, 0.0315)],
    "backprop_graph": [(r"grad\(loss, (\w)1\) = ", None, None)],
    "book_figures": [(r"drawn: (book_path)\.svg", None, None)],
    "custom_layer": [(r"accuracy (\S+)", 0.98, 1.0), (r"highway_3: (\d+) numbers", 2081, 2081), (r"loaded: accuracy (\S+)", 0.98, 1.0)],
    "custom_op": [(r"snake at 1: (\S+)", 1.708073, 1.708074), (r"the gradient (passes)", None, None), (r"loss (\S+),", 0.0, 1e-6)],
    "linear_classifier": [(r"step 40: loss (\S+)", 0.022, 0.030), (r"accuracy (\S+)", 0.99, 1.0)],
    "lstm_sequence": [(r"mean squared error (\S+);", 0.0, 0.01), (r"of the mean (\S+)", 0.15, 0.18)],
    "scale": [(r"epoch 3: loss (\S+)", 1.1, 1.2)],
    "second_order": [
        (r"Newton  8: loss \S+, gradient (\S+)", 1e-8, 1e-5),
        (r"Newton 10: loss \S+, gradient (\S+)", 0.0, 1e-15),
        (r"hvp equals hessian @ v: (True)", None, None),
    ],
    "transformer_block": [(r"test: .*accuracy (\S+)", 0.95, 1.0)],
}
ON_MNIST = {"cnn_mnist", "mlp_by_hand", "mlp_mnist"}


def run(name: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def figures(name: str, folder: Path, *arguments: str) -> str:
    done = run(name, folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(printed: str, pattern: str, least: float | None, most: float | None) -> None:
    found = re.search(pattern, printed)
    assert found, printed
    if least is not None and most is not None:
        assert least <= float(found[1]) <= most, printed


def test_every_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES} == set(PRINTS) | ON_MNIST


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60


@pytest.mark.parametrize("name", sorted(PRINTS))
def test_example_prints_its_figure(name: str, tmp_path: Path) -> None:
    printed = figures(name, tmp_path)
    for pattern, least, most in PRINTS[name]:
        check(printed, pattern, least, most)
    for drawn in tmp_path.glob("*.svg"):
        assert ET.parse(drawn).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert {path.name for path in tmp_path.iterdir()} == {
        "backprop_graph": {"backprop_graph.svg"},
        "book_figures": {"book_forward.svg", "book_reversed.svg", "book_path.svg"},
        "custom_layer": {"spirals.safetensors"},
        "linear_classifier": {"clouds.svg", "predictions.svg"},
    }.get(name, set())


@pytest.mark.parametrize("name", ["lstm_sequence", "transformer_block"])
def test_example_prints_its_figure_on_jax(name: str, tmp_path: Path) -> None:
    printed = figures(name, tmp_path, "--backend", "jax")
    for pattern, least, most in PRINTS[name]:
        check(printed, pattern, least, most)


# ---------------------------------------------------------------- MNIST
@needs_mnist
def test_mlp_mnist_on_a_part_of_the_images(tmp_path: Path) -> None:
    printed = figures("mlp_mnist", tmp_path, "--data", str(DATA), "--epochs", "2", "--limit", "6400")
    check(printed, r"test: loss \S+, accuracy (\S+)", 0.89, 0.97)
    check(printed, r"the first digit is a (\d)", 7, 7)
    assert "peak of a call" in printed
    assert "sparse_softmax_crossentropy" in (tmp_path / "mlp_mnist.svg").read_text()  # of the logits, though the model ends with a softmax


@needs_mnist
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_cnn_mnist_is_right_in_985_of_1000_after_one_epoch(backend: str, tmp_path: Path) -> None:
    printed = figures("cnn_mnist", tmp_path, "--data", str(DATA), "--backend", backend)
    check(printed, rf"test: loss \S+, accuracy (\S+) on {backend}", 0.985, 1.0)


@needs_mnist
@pytest.mark.slow
def test_mlp_by_hand_on_mnist(tmp_path: Path) -> None:
    check(figures("mlp_by_hand", tmp_path, str(DATA), "1"), r"test: loss \S+, accuracy (\S+)", 0.95, 0.98)


@pytest.mark.parametrize(("name", "arguments"), [("cnn_mnist", ["--data"]), ("mlp_mnist", ["--data"]), ("mlp_by_hand", [])])
def test_a_folder_without_mnist_is_named(name: str, arguments: list[str], tmp_path: Path) -> None:
    done = run(name, tmp_path, *arguments, str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert re.search(r"NoDatasetError: no MNIST in .*nowhere\n.*\n +fits: a folder with train-images-idx3-ubyte", done.stderr)


# ---------------------------------------------------------------- the book's graph
def book_graph() -> tuple[gc.Tensor, list[gc.Variable]]:
    return runpy.run_path(str(ROOT / "examples" / "backprop_graph.py"))["network"]()


def edges_of(dot: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Solid and dashed edges of a DOT text, from where they begin to their arrow."""
    drawn = [((b, a) if "dir=back" in rest else (a, b), rest) for a, b, rest in EDGE.findall(dot)]
    found = [(a, b, "dashed" in rest) for (a, b), rest in drawn]
    return [(a, b) for a, b, dashed in found if not dashed], [(a, b) for a, b, dashed in found if dashed]


def test_the_book_graph_has_every_forward_edge() -> None:
    loss, weights = book_graph()
    forward, _ = edges_of(gc.draw(loss, wrt=weights).dot)
    assert len(forward) == sum(len(node.inputs) for node in toposort([loss])) == 16


def test_every_edge_that_carries_gradient_has_one_reversed_edge() -> None:
    loss, weights = book_graph()
    forward, backward = edges_of(gc.draw(loss, wrt=weights).dot)
    needed = set(weights)
    carrying = 0
    for node in toposort([loss]):
        reached = [x for x in node.inputs if x in needed]
        carrying += len(reached)
        needed |= {node} if reached else set()
    assert len(backward) == carrying == 14
    assert {(b, a) for a, b in backward} <= set(forward)


def test_without_wrt_nothing_is_reversed() -> None:
    loss, _ = book_graph()
    assert edges_of(gc.draw(loss).dot)[1] == []


def test_the_names_shapes_and_derivatives_stand_in_the_picture() -> None:
    loss, weights = book_graph()
    dot = gc.draw(loss, wrt=weights).dot
    for text in ("f32[batch, 784]", "f32[784, 512]", "relu", "softmax", "W1", "loss", "xᵀ", "1[t2 > 0]"):
        assert text in dot

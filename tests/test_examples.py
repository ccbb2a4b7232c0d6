"""Every example runs as a user would run it, and the book's graph has the edges that the book says."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import graphc as gc
from graphc.core import toposort

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NEEDS_DATA = {"mlp_mnist.py"}
EDGE = re.compile(r"^\s*(\w+) -> (\w+) \[(.*)\]$", re.MULTILINE)


def run(path: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, str(path), *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("path", [p for p in EXAMPLES if p.name not in NEEDS_DATA], ids=lambda p: p.stem)
def test_example_runs(path: Path, tmp_path: Path) -> None:
    done = run(path, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60


def book_graph() -> tuple[gc.Tensor, list[gc.Variable]]:
    return runpy.run_path(str(ROOT / "examples" / "backprop_graph.py"))["network"]()


def edges_of(dot: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Solid and dashed edges of a DOT text."""
    found = [(a, b, "dashed" in rest) for a, b, rest in EDGE.findall(dot)]
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

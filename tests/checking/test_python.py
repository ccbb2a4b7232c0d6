"""``gc.to_python``: a graph as a program that declares the very same graph."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import sympy

import graphc as gc
from graphc.core import OPS, Tensor, Variable, substitute, toposort
from graphc.core.expr import Input
from graphc.core.subgraph import Parameter
from graphc.testing import calls


def again(roots: list[Tensor]) -> list[Tensor]:
    """The roots as the program declares them, over the leaves of the roots themselves: equal graphs are one."""
    space: dict[str, Any] = {}
    exec(gc.to_python(roots), space)
    return substitute(space["y"], dict(zip(leaves(space["y"]), leaves(roots), strict=True)))


def leaves(roots: list[Tensor]) -> list[Tensor]:
    return [x for x in toposort(roots) if isinstance(x, Input | Variable) and not isinstance(x, Parameter)]


@pytest.mark.parametrize("group", sorted({op.group for op in OPS.values()}))
def test_each_op_comes_back(group: str) -> None:
    for op in [op for op in OPS.values() if op.group == group]:
        for call in calls(op)[:12]:
            node = call.node(call.inputs("float32"))
            assert again([node]) == [node], call


def test_a_whole_graph() -> None:
    x, w = gc.input("x", ("n", "m")), gc.variable(np.random.default_rng(0).random((3, 20), "float32"), "w")
    rows = gc.concatenate([x, x * float("inf")], axis=0)[::2]
    last = gc.scan(lambda c, row: (c + gc.sum(row), c * 2), gc.constant(0.0, "float32"), x)[0]
    y = gc.sum(rows.reshape(-1)) + gc.cond(last > 0, gc.sin, lambda v: v + w[0, 0], last)
    roots = [y, gc.grad(y, x), gc.linalg.qr(w)[0], gc.random.uniform(gc.random.key(3), (2,))]
    assert again(roots) == roots
    assert gc.to_python(roots) == gc.to_python(roots)


def test_what_a_program_looks_like() -> None:
    x = gc.input("x", ("batch", 3))
    y = gc.sum(gc.tanh(x).named("hidden") * 2.0, axis=0)
    assert gc.to_python({"y": y}).splitlines() == [
        "import graphc as gc",
        "from graphc.core import sizes",
        "",
        "batch = sizes.named('batch')",
        "x = gc.input('x', (batch, 3), 'float32')",
        "hidden = gc.tanh(x).named('hidden')",
        "v0 = gc.constant(2.0, 'float32')",
        "v1 = gc.multiply(hidden, v0)",
        "v2 = gc.sum(v1, axis=(0,), keepdims=False)",
        "y = {'y': v2}",
    ]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "complex64", "bool", "uint8"])
def test_numbers_come_back_bit_by_bit(dtype: str) -> None:
    values = np.array([0.1, -0.0, 3.0, 1e-5]) if dtype not in ("bool", "uint8") else np.array([0, 1, 1, 0])
    c = gc.constant(values, dtype)
    assert again([c]) == [c]
    if dtype.startswith("float"):
        odd = gc.constant(np.array([np.nan, np.inf, -np.inf]), dtype)
        assert again([odd]) == [odd]


HOSTILE = ["x'); import os; ('", "a\nimport os", 'b"""', "__import__", "class", "np", "gc", "sizes"]


@pytest.mark.parametrize("label", HOSTILE)
def test_names_are_names_whatever_they_say(label: str) -> None:
    x = gc.input(label, (2,))
    y = gc.sin(x).named(label)
    space: dict[str, Any] = {}
    exec(gc.to_python(y), space)
    assert (space["y"].label, space["y"].inputs[0].label) == (label, label)
    assert "os" not in space


def test_an_op_that_a_formula_declared_is_declared_again() -> None:
    a, b = sympy.symbols("a b")
    op = gc.pointwise("checked_by_formula", a * sympy.exp(-b) / 3, operands=[b, a])
    y = op(gc.input("x", (2,)), gc.input("z", (2,)))
    assert again([y]) == [y]
    alone = subprocess.run([sys.executable, "-c", gc.to_python(y)], capture_output=True, text=True, check=False)
    assert alone.returncode == 0, alone.stderr


def test_an_op_of_another_module_imports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPS["relu"].rule, "__module__", "my_ops")
    monkeypatch.delattr(gc.ops, "relu")
    monkeypatch.setattr(gc.ops, "__all__", [name for name in gc.ops.__all__ if name != "relu"])
    assert "import my_ops  # it declares relu\n" in gc.to_python(OPS["relu"](gc.input("x", ())))

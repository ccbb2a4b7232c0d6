"""gc.lint and graphc lint: what they take, what they leave out, and how findings are printed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import cli
from graphc.core import toposort
from graphc.linter import document
from graphc.linter.rule import RULES
from graphc.ranges import Range, ranges

ROOT = Path(__file__).parents[2]
nn = gc.nn


def x(shape: Any = ("batch", 4), dtype: str = "float32") -> Any:
    return gc.input("x", shape, dtype)


# ---------------------------------------------------------------- what is looked at
def test_a_tensor_a_function_a_list_and_a_dict() -> None:
    y = gc.log(gc.relu(x()))
    a = x()
    function = gc.compile([a], gc.sum(gc.log(gc.square(a))))
    assert gc.lint(y).codes == ["GC102"]
    assert gc.lint(function).codes == ["GC102"]
    assert gc.lint([y, function]).codes == gc.lint({"y": y, "f": function}).codes == ["GC102", "GC102"]
    assert gc.lint([]).codes == []


def test_a_model_before_and_after_it_is_trained() -> None:
    model = nn.Sequential([nn.Input((4,)), nn.layers.Dense(3)])
    assert gc.lint(model).codes == []
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert gc.lint(model).codes == ["GC402"]
    model.fit(np.ones((4, 4), "float32"), np.zeros(4, "int32"), verbose=0)
    assert gc.lint(model).codes == ["GC402"]
    with pytest.raises(gc.errors.ArgumentError, match="has no graph yet"):
        gc.lint(nn.Sequential([nn.layers.Dense(3)]))


def test_several_outputs_have_targets_of_their_own() -> None:
    leaf = nn.Input((4,))
    first, second = nn.layers.Dense(3, name="a")(leaf), nn.layers.Dense(1, name="b", activation="sigmoid")(leaf)
    model = nn.Model(leaf, [first, second])
    model.compile("sgd", ["categorical_crossentropy", "binary_crossentropy"])
    assert gc.lint(model).codes == ["GC402"]


def test_layers_that_are_frozen_are_not_missed() -> None:
    fixed = nn.layers.Dense(3, trainable=False)
    model = nn.Sequential([nn.Input((4,)), fixed, nn.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 4), "float32"), np.zeros((4, 1), "float32"), verbose=0)
    assert gc.lint(model).codes == []


def test_what_has_no_graph_is_refused() -> None:
    with pytest.raises(gc.errors.ArgumentError) as caught:
        gc.lint(3.0)
    assert "3.0 has no graph" in str(caught.value)
    assert "fits: a tensor, a compiled function, a model" in str(caught.value)


def test_bodies_of_loops_are_looked_at() -> None:
    w = gc.variable(np.ones(4, "float32"), "w")
    _, ys = gc.scan(lambda c, row: (c, gc.log(gc.relu(row * w))), gc.constant(0.0), x((3, 4)))
    assert gc.lint(ys).codes == ["GC102"]


def test_only_what_is_differentiated_has_a_gradient_to_be_nan() -> None:
    w = gc.variable(np.ones(4, "float32"), "w")
    length, loss = gc.sqrt(gc.sum(gc.square(w))), gc.sum(gc.square(w))
    step = gc.compile([], [length, loss], updates={w: w - gc.grad(loss, w)})
    assert gc.lint(step).codes == []
    assert gc.lint(gc.compile([], loss, updates={w: w - gc.grad(length, w)})).codes == ["GC103"]


def test_a_branch_that_is_not_taken_does_no_harm() -> None:
    a = x()
    assert gc.lint(gc.where(a > 0, gc.log(gc.relu(a)), 0.0)).codes == []
    assert gc.lint(gc.where(a > 0, 1 / gc.relu(a), 0.0)).codes == []
    assert gc.lint(1 / gc.where(gc.equal(gc.abs(a), 0), 1.0, gc.abs(a))).codes == []
    assert gc.lint(gc.where(x() > 0, gc.log(gc.relu(a)), 0.0)).codes == ["GC102"]


# ---------------------------------------------------------------- what is left out
def test_rules_are_ignored_by_code_name_and_comment() -> None:
    y = gc.log(gc.relu(x()))
    assert gc.lint(y, ignore=["GC102"]).codes == gc.lint(y, ignore="log-of-zero").codes == []
    assert gc.lint(gc.log(gc.relu(x()))).codes == []  # noqa: GC102
    assert gc.lint(gc.log(gc.relu(x()))).codes == ["GC102"]  # noqa: GC101


@pytest.mark.parametrize(("asked", "near"), [("GC1O2", "GC102"), ("log-of-zer", "log-of-zero")])
def test_an_unknown_rule_is_an_error_with_the_near_one(asked: str, near: str) -> None:
    with pytest.raises(gc.errors.ArgumentError, match=f"is '{near}' meant") as caught:
        gc.lint(x() + 1, ignore=[asked])
    assert "GC101" in caught.value.fits


# ---------------------------------------------------------------- findings
def test_findings_are_frozen_sorted_and_print_themselves() -> None:
    a = x()
    found = gc.lint([gc.softmax(a, axis=0), gc.log(gc.relu(a))])
    with pytest.raises(FrozenInstanceError):
        found[0].line = 1  # type: ignore[misc]
    assert str(found).splitlines()[-1] == "2 warnings"
    assert str(found).startswith("test_lint.py:")
    assert "found = gc.lint([gc.softmax(a, axis=0), gc.log(gc.relu(a))])" in str(found)
    assert "  cure: axis=-1" in str(found)
    assert str(gc.lint(a + 1)) == "no findings"


def test_one_line_is_one_finding_with_a_count() -> None:
    (found,) = gc.lint([gc.log(gc.relu(x((i,)))) for i in range(2, 5)])
    assert found.count == 3
    assert "(3 times)" in str(found)


def test_findings_are_the_same_in_every_process(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(
        "import graphc as gc\nx = gc.input('x', ('n', 3))\n" + "".join(f"y{i} = gc.log(gc.relu(x[:{i}]))\n" for i in range(1, 8))
    )
    command = [sys.executable, "-m", "graphc", "lint", str(file)]
    runs: list[Any] = []
    for seed in ("1", "2"):
        environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        runs.append(subprocess.run(command, capture_output=True, text=True, env=environment))
    assert runs[0].stdout == runs[1].stdout
    assert [run.returncode for run in runs] == [1, 1]
    assert runs[0].stdout.endswith("7 warnings\n")


# ---------------------------------------------------------------- ranges
RANGES: dict[str, tuple[Any, Range]] = {
    "square": (lambda a: gc.square(a), Range(0, float("inf"), True, False)),
    "exp": (lambda a: gc.exp(a), Range(0, float("inf"))),
    "sigmoid": (lambda a: gc.sigmoid(a), Range(0, 1, False, True)),
    "1 - sigmoid": (lambda a: 1 - gc.sigmoid(a), Range(0, 1, True, False)),
    "clip": (lambda a: gc.clip(a, 0.25, 0.5), Range(0.25, 0.5, True, True)),
    "relu + 1": (lambda a: gc.relu(a) + 1, Range(1, float("inf"), True, False)),
    "less than its maximum": (lambda a: a - gc.max(a, axis=-1, keepdims=True), Range(-float("inf"), 0, False, True)),
    "share": (lambda a: gc.abs(a) / gc.sum(gc.abs(a)), Range(0, 1, True, False)),
    "sum of 4": (lambda a: gc.sum(gc.clip(a, -1.0, 1.0), axis=1), Range(-4, 4, True, True)),
    "x * x": (lambda a: a * a, Range(0, float("inf"), True, False)),
    "power": (lambda a: a**4, Range(0, float("inf"), True, False)),
    "tanh to integers": (lambda a: gc.cast(3.5 * gc.tanh(a), "int32"), Range(-3, 3, True, True)),
    "negative": (lambda a: -gc.relu(a), Range(-float("inf"), 0, False, True)),
    "minimum": (lambda a: gc.minimum(gc.relu(a), 3.0), Range(0, 3, True, True)),
    "a comparison": (lambda a: a > 0, Range(0, 1, True, True)),
    "anything": (lambda a: a + 1, Range()),
}


@pytest.mark.parametrize("name", RANGES)
def test_the_range_of_a_node(name: str) -> None:
    build, expected = RANGES[name]
    y = build(x())
    assert ranges(toposort([y]))[y] == expected


def test_values_lie_in_their_ranges() -> None:
    a = gc.input("a", (64,))
    w = gc.variable(np.linspace(-2, 2, 64, dtype="float32"), "w")
    unary = [gc.abs, gc.square, gc.exp, gc.relu, gc.sigmoid, gc.tanh, gc.softplus, gc.silu, gc.elu, gc.selu, gc.sin, gc.atan, gc.erf]
    ys = [f(a * w) for f in [*unary, gc.cos, gc.mish, gc.ndtr, gc.sign, gc.round]]
    ys += [gc.clip(y, -0.5, 2.0) * (1 - y) for y in ys] + [gc.maximum(y, z) - gc.minimum(y, z) for y, z in zip(ys, ys[::-1], strict=True)]
    known = ranges(toposort(ys))
    for seed in range(5):
        values = gc.evaluate(ys, {a: 40 * np.random.default_rng(seed).standard_normal(64)})
        for y, value in zip(ys, values, strict=True):
            low, high, *_ = known[y]
            assert low - 1e-6 <= value.min(), y
            assert value.max() <= high + 1e-6, y


# ---------------------------------------------------------------- the command
PROGRAM = """import graphc as gc

x = gc.input("x", ("batch", 3))
y = gc.log(gc.relu(x))
z = x + 1

if __name__ == "__main__":
    raise SystemExit("nobody runs this")
"""


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    assert cli.main(["lint", str(file)]) == 1
    assert "program.py:4: GC102 log-of-zero, warning" in capsys.readouterr().out
    assert cli.main(["lint", f"{file}:z"]) == 0
    assert capsys.readouterr().out == "no findings\n"
    assert cli.main(["lint", str(file), "--ignore", "GC101,GC102"]) == 0
    capsys.readouterr()
    assert cli.main(["lint", str(file), "--format", "json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["code"], told["line"], told["text"]) == ("GC102", 4, "y = gc.log(gc.relu(x))")
    assert cli.main(["lint", str(file), "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith(f"::warning file={file},line=4,title=GC102 log-of-zero::")


def test_the_command_says_what_is_wrong_with_its_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    assert cli.main(["lint", str(file), "--ignore", "GC1O2"]) == 1
    assert "is 'GC102' meant?" in capsys.readouterr().err
    assert cli.main(["lint", f"{tmp_path / 'progam.py'}"]) == 1
    assert "is program.py meant?" in capsys.readouterr().err


# ---------------------------------------------------------------- the page
def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "lint.md").read_text() == document.page(), "python -m graphc.linter.document > docs/lint.md"


def test_the_page_has_every_rule() -> None:
    page = document.page()
    assert [code for code in RULES if f"### {code} " not in page] == []
